"""Strict YAML <-> frozen dataclasses. A wrong key is an error that names the nearest right one."""

from __future__ import annotations

import dataclasses
import difflib
import importlib.resources
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from gtalk.errors import UserError
from gtalk.reading.plain_yaml import parse_yaml
from gtalk.reading.untrusted import read_text

Config = TypeVar("Config")
MOST_YAML_BYTES = 1_000_000
USUAL_RANGE = (0.0, 1e6)
"""Of numbers for which a config names no other, in a dictionary RANGES of the class: name -> (least, most)."""


def from_mapping(kind: type[Config], values: Any, where: str = "config") -> Config:
    """Build the dataclass `kind` from plain values; what is not named keeps its default.

    Nested dataclasses are nested mappings. Raises UserError for an unknown key (naming the nearest
    known one) and for a value of the wrong type.
    """
    hints = typing.get_type_hints(kind)
    known = {f.name: hints[f.name] for f in dataclasses.fields(typing.cast(Any, kind)) if f.init}
    if not isinstance(values, Mapping):
        raise UserError(
            where,
            expected="a mapping of names to values",
            got=type(values).__name__,
            remedy="Write one `name: value` a line.",
        )
    unknown = [key for key in values if key not in known]
    if unknown:
        nearest = difflib.get_close_matches(str(unknown[0]), list(known), n=1, cutoff=0.4)
        remedy = f"Did you mean `{nearest[0]}`?" if nearest else "Remove it."
        raise UserError(
            f"{where}.{unknown[0]}", expected=f"one of: {', '.join(sorted(known))}", got="an unknown key", remedy=remedy
        )
    return kind(**{name: _convert(known[name], value, f"{where}.{name}") for name, value in values.items()})


def check_ranges(config: Any, where: str = "config") -> None:
    """Raise UserError for a number in a config dataclass, or in one inside it, that lies outside its range."""
    ranges = getattr(config, "RANGES", {})
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), f"{where}.{field.name}" if where else field.name
        if dataclasses.is_dataclass(value):
            check_ranges(value, name)
        low, high = ranges.get(field.name, USUAL_RANGE)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, (int, float)) and not isinstance(number, bool) and not low <= number <= high:
                raise UserError(name, expected=f"{low:g} to {high:g}", got=f"{number:.6g}", remedy="Correct the value.")


def to_mapping(config: Any) -> dict[str, Any]:
    """Plain JSON/YAML values of a config dataclass; inverse of `from_mapping`."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config) if f.init}


def load_yaml(kind: type[Config], path: Path) -> Config:
    """Read a YAML file into the dataclass `kind`. Raises UserError when it is missing or wrong."""
    try:
        values = parse_yaml(read_text(path, MOST_YAML_BYTES))
    except (OSError, ValueError) as error:
        raise UserError(
            f"config file {path}",
            expected="a readable YAML file",
            got=f"{type(error).__name__}: {error}",
            remedy="Check the path and the indentation.",
        ) from error
    config = from_mapping(kind, values if values is not None else {}, where=str(path))
    check_ranges(config, str(path))
    return config


def load_preset(kind: type[Config], family: str, preset: str) -> Config:
    """The preset `configs/{family}_{preset}.yaml`, e.g. family "radiance", preset "cpu".

    Raises UserError when there is none.
    """
    folder = importlib.resources.files("gtalk") / "configs"
    file = folder / f"{family}_{preset}.yaml"
    if not file.is_file():
        stems = sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.startswith(f"{family}_"))
        have = [stem.removeprefix(f"{family}_") for stem in stems]
        nearest = difflib.get_close_matches(preset, have, n=1, cutoff=0.4)
        raise UserError(
            f"preset for {family}",
            expected=f"one of: {', '.join(have) or 'none found'}",
            got=preset,
            remedy=f"Did you mean `{nearest[0]}`?" if nearest else "Name one of these, or pass a config file.",
        )
    with importlib.resources.as_file(file) as path:
        return load_yaml(kind, path)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_mapping(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise _wrong(where, "one of: " + ", ".join(map(repr, arguments)), value)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_mapping(hint, value, where)
    if origin is tuple:
        return _convert_tuple(arguments, value, where)
    if origin is dict and isinstance(value, Mapping):
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise _wrong(where, getattr(hint, "__name__", str(hint)), value)


def _convert_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    errors = []
    for argument in arguments:
        if argument is type(None):
            continue
        try:
            return _convert(argument, value, where)
        except UserError as error:
            errors.append(error)
    raise errors[0]


def _convert_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _wrong(where, "a list", value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(arguments) != len(value):
        raise _wrong(where, f"{len(arguments)} values", value)
    return tuple(_convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(arguments, value, strict=True)))


def _wrong(where: str, expected: str, value: Any) -> UserError:
    shown = repr(value)
    return UserError(where, expected=expected, got=shown[:120] + ("..." if len(shown) > 120 else ""),
                     remedy="Correct the value.")  # fmt: skip

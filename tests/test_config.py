"""Strict configs: round trips, types, and errors that name the nearest right key."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gtalk.config import from_mapping, load_preset, load_yaml, to_mapping
from gtalk.errors import UserError


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    shape: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    steps: int = 10
    name: str | None = None
    mode: Literal["fast", "slow"] = "fast"
    inner: Inner = field(default_factory=Inner)
    pair: tuple[float, float] = (0.0, 1.0)


@given(
    steps=st.integers(-1000, 1000),
    name=st.none() | st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=8),
    rate=st.floats(allow_nan=False, allow_infinity=False, width=32),
    shape=st.lists(st.integers(0, 9), max_size=4),
)
def test_mapping_round_trip(steps, name, rate, shape) -> None:
    config = Outer(steps, name, "slow", Inner(rate, tuple(shape)))
    assert from_mapping(Outer, to_mapping(config)) == config


def test_yaml_round_trip(tmp_path: Path) -> None:
    config = Outer(3, "x", inner=Inner(1e-3, (4, 5, 6)), pair=(0.5, 2.0))
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(to_mapping(config)))
    assert load_yaml(Outer, tmp_path / "c.yaml") == config


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("# nothing\n")
    assert load_yaml(Outer, tmp_path / "c.yaml") == Outer()


def test_yaml_without_end_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("[" * 100_000)
    with pytest.raises(UserError, match="readable YAML"):
        load_yaml(Outer, tmp_path / "c.yaml")


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"config\.inner\.rats.*Did you mean `rate`\?"):
        from_mapping(Outer, {"inner": {"rats": 1.0}})


@pytest.mark.parametrize(
    "values",
    [
        {"steps": 1.5},
        {"steps": True},
        {"steps": "3"},
        {"mode": "medium"},
        {"inner": 3},
        {"inner": {"shape": 3}},
        {"pair": [1.0]},
        {"name": 4},
        ["steps"],
    ],
)
def test_a_wrong_value_is_refused(values) -> None:
    with pytest.raises(UserError, match="config"):
        from_mapping(Outer, values)


def test_a_whole_number_may_stand_for_a_float() -> None:
    value = from_mapping(Outer, {"inner": {"rate": 2}}).inner.rate
    assert value == 2.0 and isinstance(value, float)


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="readable YAML"):
        load_yaml(Outer, tmp_path / "none.yaml")
    (tmp_path / "c.yaml").write_text("a: [1")
    with pytest.raises(UserError, match="readable YAML"):
        load_yaml(Outer, tmp_path / "c.yaml")


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="cpu"):
        load_preset(Outer, "radiance", "huge")

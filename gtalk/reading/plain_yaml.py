"""YAML that strangers send: plain values, no aliases, a bounded size."""

from __future__ import annotations

from typing import Any

import yaml

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where libyaml is
_DEEPEST = 100


def parse_yaml(text: str) -> Any:
    """The value of a text. Raises ValueError for what is no YAML, is nested too deeply, or holds an alias.

    A few lines of aliases stand for more values than any memory holds.
    """
    try:
        _check_events(text)
        return yaml.load(text, _LOADER)
    except yaml.YAMLError as error:
        raise ValueError(f"no YAML: {' '.join(str(error).split())[:200]}") from error
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("an alias (*name): write the value itself")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:  # libyaml would use up the stack
            raise ValueError("nested too deeply")

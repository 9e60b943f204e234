"""An expression out of a picture or a clip as events of a score: `--emotion-from`."""

from __future__ import annotations

from pathlib import Path

from gtalk.direct.score import Event
from gtalk.errors import UserError
from gtalk.prepare.expression_of import expression_of
from gtalk.rig.expression import Expression
from gtalk.rig.reading import Reading

BY = "picture"
_LEAST = 0.03


def check_picture(path: Path) -> None:
    """Raises UserError where there is no such file."""
    if not path.is_file():
        raise UserError("emotion_from", expected="an existing picture or clip", got=str(path),
                        remedy="Check the path.")  # fmt: skip


def events_of_picture(path: Path) -> tuple[list[Event], tuple[str, ...]]:
    """What the whole film is to express, and what there is to say. Raises UserError as `expression_of` does."""
    check_picture(path)
    reading = expression_of(path)
    return events_of_expression(reading.expression), (f"{path.name} shows {told(reading)}",)


def events_of_expression(expression: Expression) -> list[Event]:
    """A shape each, from beginning to end; each person's rig bends what goes beyond its range."""
    return [
        Event(f"shape.{name}", round(min(1.0, weight), 3), by=BY)
        for name, weight in sorted(expression.weights.items())
        if weight >= _LEAST
    ]


def told(reading: Reading) -> str:
    """In words."""
    return " and ".join(f"{name} {weight:.2f}" for name, weight in reading.parts)

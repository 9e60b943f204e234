"""The controls: what a person may turn while an avatar talks. This is the one place where a control is declared.

The flags of `gtalk dub`, `motion edit` and `view`, the viewer's panel, the keys of a batch and every check are made
from the fields of `Controls`: a new control is one line here, and a line in `ControlEdit` that obeys it.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from typing_extensions import Doc

from gtalk.config import from_mapping
from gtalk.errors import UserError
from gtalk.motion.edits.emotion import read_emotion


class Control(Doc):
    """What is known of a control beside its name, its type and its default.

    Args:
        sentence: what it does.
        low, high: the range of each of its numbers.
        unit: of its numbers; "" for a share or a factor.
        step: how finely a panel sets it.
    """

    def __init__(
        self, sentence: str, low: float | int, high: float | int, unit: str = "", step: float | int = 0.05
    ) -> None:
        super().__init__(f"{sentence}: {low:g} to {high:g}{' ' * bool(unit)}{unit}.")  # the help of a flag
        self.sentence, self.low, self.high, self.unit, self.step = sentence, low, high, unit, step


class WordControl(Doc):
    """A control in words.

    Args:
        sentence: what it does and how it is written.
        read: makes sense of the words, or raises UserError.
    """

    def __init__(self, sentence: str, read: Callable[[str], object]) -> None:
        super().__init__(sentence)
        self.sentence, self.read = sentence, read


@dataclass(frozen=True)
class Controls:
    """What a person may turn while an avatar talks. The defaults change nothing.

    Raises UserError for a value that is out of range or not a number.
    """

    mouth: Annotated[float, Control("How far the mouth opens, relative to what was predicted", 0, 2)] = 1.0
    expression: Annotated[float, Control("How far the brows move, relative to what was predicted", 0, 2)] = 1.0
    pose: Annotated[float, Control("How far the head moves, relative to what was predicted", 0, 2)] = 1.0
    blink_rate: Annotated[float, Control("Share of the blinks that are kept", 0, 1)] = 1.0
    gaze_offset_rad: Annotated[
        tuple[float, float],
        Control("Added to the gaze, yaw towards the image's right and pitch up", -0.5, 0.5, "rad", 0.01),
    ] = (0.0, 0.0)
    pose_offset_rad: Annotated[
        tuple[float, float, float],
        Control("Added turn of the head about its own axes, pitch, yaw, roll", -0.5, 0.5, "rad", 0.01),
    ] = (0.0, 0.0, 0.0)
    smoothing_s: Annotated[
        float,
        Control("Time constant of a smoothing of all but blinks, which delays by about as much", 0, 0.5, "s", 0.01),
    ] = 0.0
    lle: Annotated[float, Control("How far mouths that are not the person's are pulled back", 0, 1)] = 0.0
    lle_neighbours: Annotated[int, Control("Mouths of the person that LLE looks at", 2, 30, "", 1)] = 10

    emotion: Annotated[
        str,
        WordControl(
            "What the face expresses: happy:0.7, mixtures as happy:0.5,surprised:0.3, single shapes as mouthSmile:0.4, "
            "regions as sad:0.8@brows+smile:0.5@mouth, the person's own as own.laugh; auto: by the voice, in dubs",
            read_emotion,
        ),
    ] = ""

    def __post_init__(self) -> None:
        for spec in (*control_specs(), *_WORDS):
            spec.check(getattr(self, spec.name))

    @staticmethod
    def of(values: Mapping[str, object], where: str = "controls") -> Controls:
        """From plain values by name. Raises UserError for an unknown name, with the nearest right one, and as above."""
        return from_mapping(Controls, values, where)


@dataclass(frozen=True)
class ControlSpec:
    """A control as panels, schemas and checks see it."""

    name: str
    control: Control
    default: float | int | tuple[float, ...]

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are allowed."""
        return isinstance(self.default, int)

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return len(self.default) if isinstance(self.default, tuple) else 1

    @property
    def label(self) -> str:
        """Its name for people, with the unit."""
        unit = self.control.unit
        words = self.name.removesuffix(f"_{unit}").replace("_", " ").replace("lle", "LLE")
        return words[:1].upper() + words[1:] + (f" ({unit})" if unit else "")

    def check(self, value: object) -> None:
        """Raises UserError when a value is no such number, or out of range."""
        numbers = value if isinstance(value, tuple) else (value,)
        kinds = (int,) if self.whole else (int, float)
        low, high = self.control.low, self.control.high
        right = all(
            isinstance(x, kinds) and not isinstance(x, bool) and math.isfinite(x) and low <= x <= high for x in numbers
        )
        if len(numbers) != self.size or isinstance(value, tuple) != isinstance(self.default, tuple) or not right:
            what = "a whole number" if self.whole else "a number" if self.size == 1 else f"{self.size} numbers"
            unit = f" {self.control.unit}" if self.control.unit else ""
            raise UserError(
                self.name,
                expected=f"{what} from {low:g} to {high:g}{unit}",
                got=repr(value) if isinstance(value, tuple) else str(value),
                remedy=f"{self.default} changes nothing.",
            )


@dataclass(frozen=True)
class WordSpec:
    """A control in words, as panels, schemas and checks see it."""

    name: str
    control: WordControl
    default: str

    def check(self, value: object) -> None:
        """Raises UserError when the words make no sense."""
        if not isinstance(value, str):
            raise UserError(self.name, expected="text", got=repr(value), remedy="Write for example `happy:0.7`.")
        self.control.read(value)


def word_specs() -> tuple[WordSpec, ...]:
    """The controls in words."""
    return _WORDS


def control_specs() -> tuple[ControlSpec, ...]:
    """The controls in numbers, in the order of their declaration."""
    return _SPECS


def _read_specs() -> tuple[tuple[ControlSpec, ...], tuple[WordSpec, ...]]:
    hints = typing.get_type_hints(Controls, include_extras=True)
    numbers, words = [], []
    for f in dataclasses.fields(Controls):
        known = next(m for m in hints[f.name].__metadata__ if isinstance(m, (Control, WordControl)))
        default = getattr(Controls, f.name)
        if isinstance(known, WordControl):
            words.append(WordSpec(f.name, known, default))
        else:
            numbers.append(ControlSpec(f.name, known, default))
    return tuple(numbers), tuple(words)


_SPECS, _WORDS = _read_specs()

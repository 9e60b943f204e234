"""What the sliders of emotions and shapes say, as the words of the control `emotion`."""

from __future__ import annotations

from gtalk.motion.edits.emotion import EMOTIONS, SINGLE_SHAPES


class EmotionPad:
    """Values by name: of the basic emotions and of single shapes."""

    emotions = EMOTIONS
    shapes = SINGLE_SHAPES

    def __init__(self, text: str = "") -> None:
        """`text`: what the control says; parts that no slider can show are left out."""
        self._values: dict[str, float] = {}
        for part in text.replace(",", "+").split("+") if "@" not in text else ():
            name, _, number = part.partition(":")
            if name.strip() in (*self.emotions, *self.shapes):
                self.set(name.strip(), float(number or 1.0))

    @property
    def text(self) -> str:
        """As people write it."""
        return ",".join(f"{name}:{value:g}" for name, value in self._values.items())

    def value(self, name: str) -> float:
        """0 to 1."""
        return self._values.get(name, 0.0)

    def set(self, name: str, value: float) -> None:
        """A slider was turned."""
        self._values.pop(name, None)
        if value > 0.0:
            self._values[name] = round(value, 3)

    def clear(self) -> None:
        """Nothing is expressed."""
        self._values.clear()

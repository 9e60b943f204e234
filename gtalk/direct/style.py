"""How somebody talks, as numbers: how far and how fast head, gaze, brows and mouth move, and how often they blink.

The numbers are ratios to be: a style at work (`gtalk.direct.style_edit`) multiplies what a person does by how the
style's person differs from this one. Shapes, voices and pictures of the style's person are not kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtalk.basis import LIPS, mouth_aperture
from gtalk.config import from_mapping
from gtalk.errors import UserError
from gtalk.files import write_json
from gtalk.geometry.pose import mean_pose, pose_vectors
from gtalk.motion.idle.blinks_gaze import EyeStream, blink_frames
from gtalk.motion.idle.head_motion import VOICE_ROWS, SwayStream
from gtalk.motion.model.model import PersonMotionModel
from gtalk.reading.untrusted import read_json
from gtalk.shapes import Float
from gtalk.types import Motion

STYLE_VERSION = 1
LEAST_S = 8.0
"""Of film with a face: less says nothing of how somebody talks."""
_OWN_S = 60.0  # of a person's idle life, for what is usual of them
_LEAST, _MOST = 1e-6, 1e4


@dataclass(frozen=True)
class Style:
    """Spreads (standard deviations) and speeds (root mean squares a second) of one person's talking."""

    head_deg: tuple[float, float, float]
    """Pitch, yaw, roll."""
    head_speed: tuple[float, float, float]
    gaze_deg: tuple[float, float]
    """Yaw, pitch."""
    blink_hz: float
    brow_mm: float
    open_mm: float
    wide_mm: float

    def __post_init__(self) -> None:
        """Raises UserError for numbers that no face has."""
        if not all(0.0 < value <= _MOST for value in self._values()):
            raise UserError("style", expected="positive numbers of a usual size", got=str(self)[:120],
                            remedy="Learn it again with `gtalk style learn`.")  # fmt: skip

    def vector(self) -> Float[np.ndarray, " 12"]:
        """Logarithms, by which styles are compared."""
        return np.log(np.maximum(self._values(), _LEAST))

    def _values(self) -> tuple[float, ...]:
        one = (self.blink_hz, self.brow_mm, self.open_mm, self.wide_mm)
        return (*self.head_deg, *self.head_speed, *self.gaze_deg, *one)

    def save(self, path: Path) -> None:
        """Write a `.style`: JSON."""
        write_json(Path(path), {"version": STYLE_VERSION, **dataclasses.asdict(self)})

    @staticmethod
    def load(path: Path) -> Style:
        """Read a `.style`. Raises UserError when it is none."""
        try:
            content = read_json(Path(path), 100_000)
            if not isinstance(content, dict) or content.pop("version", None) != STYLE_VERSION:
                raise ValueError(f"no style of version {STYLE_VERSION}")
        except (OSError, ValueError) as error:
            raise UserError(f"style {path}", expected="a file of `gtalk style learn`",
                            got=f"{type(error).__name__}: {error}", remedy="Learn it again.") from error  # fmt: skip
        return from_mapping(Style, content, f"style {path}")


def read_style(text: str) -> tuple[Style, float]:
    """What people write: `x.style` or `x.style:0.8`; the style and how much of it. Raises UserError."""
    name, colon, number = text.rpartition(":")
    name, number = (name, number) if colon and name else (text, "1")
    try:
        share = float(number)
    except ValueError:
        name, share = text, 1.0
    if not 0.0 <= share <= 1.0:
        raise UserError("style", expected="a share from 0 to 1 behind the name", got=text[:80],
                        remedy="Write x.style:0.8.")  # fmt: skip
    return Style.load(Path(name)), share


def learn_style(motions: Sequence[Motion], what: str = "clips") -> Style:
    """From tracked films of one person who talks. Raises UserError for less than LEAST_S with a face."""
    seconds = sum(float(motion.valid.sum()) / motion.fps for motion in motions)
    if seconds < LEAST_S:
        raise UserError(what, expected=f"at least {LEAST_S:g} s of a face that talks", got=f"{seconds:.1f} s",
                        remedy="Give a longer clip, or several of the same person.")  # fmt: skip
    parts = [_statistics(motion) for motion in motions if motion.valid.sum() > 2 * motion.fps]
    weights = np.array([part[0] for part in parts])
    mean = np.sqrt((np.array([part[1] for part in parts]) ** 2 * weights[:, None]).sum(0) / weights.sum())
    return _style_of(mean)


def own_style(model: PersonMotionModel) -> Style:
    """What is usual of an avatar's person, by their own idle processes and mouths."""
    count = round(_OWN_S * model.fps)
    sway = SwayStream(model.sway, 0)(np.zeros((count, 3 * len(VOICE_ROWS))), np.ones(count))
    _, gaze = EyeStream(model.eyes, model.fps, 0)(sway[:, :6])
    codes = np.zeros((len(model.bank), model.basis.size))
    codes[:, model.basis.groups["mouth"]] = model.bank
    mouth = model.basis.decode(codes)
    spread = [*_pose(sway[:, :3], model.fps), *_spread(np.rad2deg(gaze)), model.eyes.blink_rate_hz]
    brows = float(np.std(sway[:, 6:].mean(1))) * 1e3
    return _style_of(np.array([*spread, brows, *_mouth(mouth)]))


def _style_of(values: np.ndarray) -> Style:
    v = [round(float(x), 4) or _LEAST for x in np.clip(values, _LEAST, _MOST)]
    return Style((v[0], v[1], v[2]), (v[3], v[4], v[5]), (v[6], v[7]), *v[8:12])


def _statistics(motion: Motion) -> tuple[float, np.ndarray]:
    """(seconds, the twelve numbers) of one film."""
    seen = motion[np.flatnonzero(motion.valid)]
    turns = pose_vectors(seen.head_pose, mean_pose(seen.head_pose))[:, :3]
    blinks = blink_frames(motion.eyes, [(0, len(motion))], motion.valid)
    seconds = len(seen) / motion.fps
    return seconds, np.array(
        [
            *_pose(turns, motion.fps),
            *_spread(np.rad2deg(seen.gaze)),
            max(len(blinks), 0.5) / seconds,
            float(np.std(_smooth(seen.brows).mean(1))) * 1e3,
            *_mouth(seen.landmarks),
        ]
    )


def _pose(turns_rad: np.ndarray, fps: float) -> list[float]:
    degrees = np.rad2deg(_smooth(turns_rad))
    return [*_spread(degrees), *(np.sqrt((np.diff(degrees, axis=0) ** 2).mean(0)) * fps).tolist()]


def _mouth(landmarks: np.ndarray) -> list[float]:
    wide = landmarks[:, LIPS[6], 0] - landmarks[:, LIPS[0], 0]
    return [float(np.std(mouth_aperture(landmarks))) * 1e3, float(np.std(wide)) * 1e3]


def _spread(values: np.ndarray) -> list[float]:
    """Standard deviations of columns, a hundredth at either end left out: trackers slip."""
    low, high = np.percentile(values, [1, 99], axis=0)
    return np.clip(values, low, high).std(0).tolist()


def _smooth(values: np.ndarray) -> np.ndarray:
    """A mean of three frames, against the tracker's noise."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3.0

"""How somebody talks, as numbers: how far and how fast head, gaze, brows and mouth move, how often they blink, how much
of that goes on in pauses, and whether head and brows go with what is stressed.

The numbers are ratios to be: a style at work (`gtalk.direct.style_edit`) multiplies what a person does by how the
style's person differs from this one. Shapes, voices and pictures of the style's person are not kept. Pauses and stress
are read off the lips, so that films without sound will do: stressed vowels open them wider.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtalk.basis import LIPS, mouth_aperture
from gtalk.config import from_mapping
from gtalk.direct.speaking import Split, Stress
from gtalk.errors import UserError
from gtalk.files import write_json
from gtalk.geometry.pose import mean_pose, pose_vectors
from gtalk.motion.idle.blinks_gaze import EyeStream, blink_frames
from gtalk.motion.idle.head_motion import VOICE_ROWS, SwayStream
from gtalk.motion.model.model import PersonMotionModel
from gtalk.reading.untrusted import read_json
from gtalk.shapes import Float
from gtalk.types import Motion

STYLE_VERSION = 2
LEAST_S = 8.0
"""Of film with a face: less says nothing of how somebody talks."""
USUAL_CALM = 0.7
"""Where a film shows too few pauses."""
_OWN_S = 60.0  # of a person's idle life, for what is usual of them
_LEAST, _MOST = 1e-6, 1e4
_PAUSE, _SPEECH, _LEAST_PAUSES_S = 0.2, 0.6, 1.0  # activity of the lips


@dataclass(frozen=True)
class Style:
    """Spreads (standard deviations), speeds (root mean squares a second) and answers to stress of one person."""

    head_deg: tuple[float, float, float]
    """Pitch, yaw, roll."""
    head_speed: tuple[float, float, float]
    gaze_deg: tuple[float, float]
    """Yaw, pitch."""
    blink_hz: float
    brow_mm: float
    open_mm: float
    wide_mm: float
    calm: float
    """Speed of the head in pauses over that in speech."""
    nod_by_stress: float
    """How far the head's quick pitch goes down with the lips' opening, deviations of it for one of the opening's."""
    brows_by_stress: float
    """How far the brows go up with it, likewise."""

    def __post_init__(self) -> None:
        """Raises UserError for numbers that no face has."""
        right = all(0.0 < value <= _MOST for value in self._positive())
        if not right or not all(abs(value) <= 1.0 for value in self._signed()):
            raise UserError("style", expected="numbers of a usual size", got=str(self)[:120],
                            remedy="Learn it again with `gtalk style learn`.")  # fmt: skip

    def vector(self) -> Float[np.ndarray, " 15"]:
        """Logarithms, and the answers to stress as they are: by it styles are compared."""
        return np.concatenate([np.log(np.maximum(self._positive(), _LEAST)), self._signed()])

    @staticmethod
    def of_vector(vector: Float[np.ndarray, " 15"]) -> Style:
        """The style with that vector."""
        return _style_of(np.concatenate([np.exp(vector[:13]), vector[13:]]))

    def _positive(self) -> tuple[float, ...]:
        one = (self.blink_hz, self.brow_mm, self.open_mm, self.wide_mm, self.calm)
        return (*self.head_deg, *self.head_speed, *self.gaze_deg, *one)

    def _signed(self) -> tuple[float, float]:
        return self.nod_by_stress, self.brows_by_stress

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
    values = np.array([part[1] for part in parts])
    weights /= weights.sum()
    spreads = np.sqrt((values[:, :12] ** 2 * weights[:, None]).sum(0))
    return _style_of(np.concatenate([spreads, (values[:, 12:] * weights[:, None]).sum(0)]))


def own_style(model: PersonMotionModel) -> Style:
    """What is usual of an avatar's person, by their own idle processes and mouths; answers to stress apart."""
    sway, gaze = idle_life(model)
    codes = np.zeros((len(model.bank), model.basis.size))
    codes[:, model.basis.groups["mouth"]] = model.bank
    mouth = model.basis.decode(codes)
    spread = [*pose_numbers(sway[:, :3], model.fps), *_spread(np.rad2deg(gaze)), model.eyes.blink_rate_hz]
    brows = float(np.std(sway[:, 6:].mean(1))) * 1e3
    return _style_of(np.array([*spread, brows, *_mouth(mouth), model.sway.calm, 0.0, 0.0]))


def idle_life(model: PersonMotionModel) -> tuple[Float[np.ndarray, "T 8"], Float[np.ndarray, "T 2"]]:
    """(head and brows, gaze) of a minute of speech that says nothing."""
    count = round(_OWN_S * model.fps)
    sway = SwayStream(model.sway, 0)(np.zeros((count, 3 * len(VOICE_ROWS))), np.ones(count))
    return sway, EyeStream(model.eyes, model.fps, 0)(sway[:, :6])[1]


def _style_of(values: np.ndarray) -> Style:
    v = [round(float(x), 4) or _LEAST for x in np.clip(values[:13], _LEAST, _MOST)]
    signed = np.clip(values[13:], -1.0, 1.0).round(4).tolist()
    return Style((v[0], v[1], v[2]), (v[3], v[4], v[5]), (v[6], v[7]), *v[8:13], *signed)


def _statistics(motion: Motion) -> tuple[float, np.ndarray]:
    """(seconds, the fifteen numbers) of one film."""
    seen = motion[np.flatnonzero(motion.valid)]
    turns = pose_vectors(seen.head_pose, mean_pose(seen.head_pose))[:, :3]
    blinks = blink_frames(motion.eyes, [(0, len(motion))], motion.valid)
    seconds = len(seen) / motion.fps
    brows = _smooth(seen.brows).mean(1)
    return seconds, np.array(
        [
            *pose_numbers(turns, motion.fps),
            *_spread(np.rad2deg(seen.gaze)),
            max(len(blinks), 0.5) / seconds,
            float(np.std(brows)) * 1e3,
            *_mouth(seen.landmarks),
            *_with_speech(turns, brows, mouth_aperture(seen.landmarks), motion.fps),
        ]
    )


def _with_speech(turns: np.ndarray, brows: np.ndarray, opening_m: np.ndarray, fps: float) -> tuple[float, float, float]:
    """(speed in pauses over that in speech, how quick pitch and brows go with stress)."""
    stress = Stress(float(np.percentile(opening_m, 5)), float(np.std(opening_m)))
    activity, level = (np.array(values) for values in zip(*(stress(one, fps) for one in opening_m), strict=True))
    speed = np.abs(np.diff(_smooth(turns), axis=0)).sum(1)
    pause, speech = speed[activity[1:] < _PAUSE], speed[activity[1:] > _SPEECH]
    enough = min(len(pause), len(speech)) >= _LEAST_PAUSES_S * fps
    calm = float(np.clip(pause.mean() / max(speech.mean(), 1e-9), 0.2, 2.0)) if enough else USUAL_CALM
    quick = _quick(np.c_[turns[:, :1], brows], fps)
    nod, brow = (_slope(level, column) for column in quick.T)
    return calm, nod, brow


def _quick(values: np.ndarray, fps: float) -> np.ndarray:
    split = Split(fps)
    return np.array([split(row)[1] for row in values])


def _slope(stress: np.ndarray, values: np.ndarray) -> float:
    """Of the least squares line, in deviations of the values."""
    off = stress - stress.mean()
    return float(off @ (values - values.mean()) / max(float(off @ off) * float(values.std()), 1e-12))


def pose_numbers(turns_rad: Float[np.ndarray, "T 3"], fps: float) -> list[float]:
    """Spreads of pitch, yaw and roll in degrees, and their speeds in degrees a second."""
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

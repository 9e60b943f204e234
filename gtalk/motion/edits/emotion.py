"""An expression laid over any motion, so that speech survives it: the channel `expression`, and what leans with it.

Speech is local and fast, emotion is global and slow (Danecek et al. 2023, "EMOTE"). So the weights of an expression
change no faster than about 2 Hz; they lose most of what opens the lips; where speech shuts the lips (p, b, m) they
are shut again by least squares over the shapes that can; and lips never pass through each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from gtalk.basis import JAW, LIPS
from gtalk.errors import UserError
from gtalk.geometry.rotation import exp_so3
from gtalk.motion.edits.direct import without_torso
from gtalk.motion.model.model import PersonMotionModel
from gtalk.rig.expression import Expression, Recipe, parse, recipes
from gtalk.rig.limits import Gaps, soft_limit
from gtalk.rig.shapes import INDEPENDENT, SHAPES, displacements, facing_pairs, index, neutral
from gtalk.shapes import Float
from gtalk.types import Motion

EMOTIONS = tuple(name for name, recipe in recipes().items() if recipe.emotion and name != "neutral")
"""The basic ones, as a panel offers them; `read_emotion` knows more."""
SINGLE_SHAPES = INDEPENDENT
"""Shapes that no other makes up: what can be asked for one by one."""
VOICE_CAP = 0.6  # of `auto`: how strong an expression the voice may ask for
BAND_HZ = 2.0  # weights change no faster
LOST_OPENING = 0.6  # of what opens the lips: speech needs them, and lips that open in pauses would look like speech
LEAST_M, OPENS_M = 0.0006, 0.002  # what a whole shape may open the lips by unhindered, and where it counts in full
ATTACK_S, RELEASE_S = 0.08, 0.16  # of speech activity
SPEAKS_M, SPEAKS_M_S = 0.0025, 0.02  # lips that are so far open, or move so fast, speak
SHUT_M, FIRMLY = 0.0025, 4.0  # lips that are less open, while somebody speaks, are shut on purpose; and how soon wholly
SHUTTERS = (
    "jawOpen", "mouthClose", "mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthShrugLower", "mouthFunnel",
)  # fmt: skip
RIDGE_M2 = 1e-7
NO_LEAN = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0])  # head (3) and gaze (2) in degrees, gains of jaw and lips
_UPPER, _LOWER = np.array([61, 62, 63]), np.array([67, 66, 65])


def read_emotion(text: str, bank: Mapping[str, Recipe] | None = None) -> Expression:
    """What people write after `--emotion`: `happy:0.7`, mixtures with `+` or `,`; nothing is no expression.

    `bank`: the person's own expressions, as `own.laugh`; None where the person is not known yet. Raises UserError with
    the part at fault and the nearest known names.
    """
    if not text.strip() or voice_cap(text) is not None:
        return Expression()
    return parse(text if "@" in text else text.replace(",", "+"), bank)


def voice_cap(text: str) -> float | None:
    """The strongest intensity of `auto` or `auto:0.5`, by which the voice directs; None for anything else.

    Raises UserError for a number out of range.
    """
    found = re.fullmatch(r"\s*auto\s*(?::\s*([0-9.]+)\s*)?", text)
    if found is None:
        return None
    number = VOICE_CAP if found[1] is None else float(found[1]) if found[1].count(".") < 2 else -1.0
    if not 0.0 <= number <= 1.0:
        raise UserError("emotion auto", expected="a number from 0 to 1", got=found[1], remedy="Write `auto:0.5`.")
    return number


def no_voice(text: str, where: str) -> None:
    """Raise UserError in the name of `where`, which hears no whole speech, for `auto`."""
    if voice_cap(text) is not None:
        raise UserError("emotion auto", expected="a dub of a speech, or `gtalk score --voice`", got=where,
                        remedy="Choose an emotion by name.")  # fmt: skip


class ExpressionEdit:
    """An EventEdit: it eases over to the latest `Expression` that it received."""

    def __init__(self, model: PersonMotionModel | None = None, expression: Expression | None = None) -> None:
        """`model`: knows the person's resting mouth; without it the first frames' smallest opening stands for it."""
        self.expression = expression or Expression()
        self._layer = ExpressionLayer(model)
        self._begun, self._weights = False, np.zeros(len(SHAPES))
        self._speed = np.zeros(len(SHAPES))
        self._lean = NO_LEAN.copy()

    def receive(self, event: object) -> None:
        """Ease over to another expression from the next frame on."""
        if isinstance(event, Expression):
            self._begin()
            self.expression = event

    def __call__(self, motion: Motion, start_frame: int = 0) -> Motion:
        """The motion with the expression in its channel, and head, gaze and articulation leaning with it."""
        if not len(motion):
            return motion
        target, lean = self.expression.vector(), _lean_of(self.expression)
        target = soft_limit(target[None], np.ones(len(target)))[0]
        self._begin()
        still = not (target.any() or self._weights.any() or self._speed.any())
        if still and np.array_equal(self._lean, lean) and np.array_equal(lean, NO_LEAN):
            return motion
        return self._layer(motion, *self._ease(target, lean, len(motion), motion.fps))

    def _begin(self) -> None:
        """What a session begins with is there from its first frame."""
        if not self._begun:
            self._begun = True
            self._weights = soft_limit(self.expression.vector()[None], np.ones(len(SHAPES)))[0]
            self._lean = _lean_of(self.expression)

    def _ease(self, target: np.ndarray, lean: np.ndarray, frames: int, fps: float) -> tuple[np.ndarray, np.ndarray]:
        """Towards the target as a critically damped spring goes, exactly for any frame rate."""
        omega, dt = 2.0 * np.pi * BAND_HZ / 1.5, 1.0 / fps
        decay = np.exp(-omega * dt)
        weights, leans = np.empty((frames, len(target))), np.empty((frames, len(lean)))
        for i in range(frames):
            weights[i], leans[i] = self._weights, self._lean
            off = self._weights - target
            pull = self._speed + omega * off
            self._weights = target + (off + pull * dt) * decay
            self._speed = (self._speed - omega * pull * dt) * decay
            near = (np.abs(self._weights - target) < 1e-4) & (np.abs(self._speed) < 1e-3)
            self._weights, self._speed = np.where(near, target, self._weights), np.where(near, 0.0, self._speed)
            self._lean = lean + (self._lean - lean) * decay
            self._lean = np.where(np.abs(self._lean - lean) < 1e-5, lean, self._lean)
        return weights, leans


class ExpressionLayer:
    """Lays weights of shapes over motion, frame after frame, and remembers how much was spoken."""

    def __init__(self, model: PersonMotionModel | None = None) -> None:
        """`model`: as of ExpressionEdit."""
        self._rest = None if model is None else _rest_landmarks(model)
        self._rest_m = None if self._rest is None else float(_opening(self._rest[None])[0])
        self._activity, self._before = 0.0, None

    def __call__(self, motion: Motion, weights: Float[np.ndarray, "T E"], leans: Float[np.ndarray, "T 7"]) -> Motion:
        """The motion with the weights in its channel `expression`.

        Args:
            weights: in the order of SHAPES, on top of what the channel holds already.
            leans: head (yaw, pitch, roll) and gaze (yaw, pitch) in degrees, factors on what jaw and lips do.
        """
        motion = self._leaned(motion, leans)
        opening = _opening(motion.landmarks) - self._rest_opening(motion)
        weights = self._guarded(weights, opening, self._active(opening, motion.fps))
        if "expression" in motion.channels:
            weights = weights + motion.channels["expression"]
        return motion.replace(channels={**motion.channels, "expression": weights.astype(np.float32)})

    def watch(self, motion: Motion) -> None:
        """Frames that nothing is laid over."""
        self._active(_opening(motion.landmarks) - self._rest_opening(motion), motion.fps)

    def _rest_opening(self, motion: Motion) -> float:
        if self._rest_m is None:
            self._rest_m = float(_opening(motion.landmarks).min())
        return self._rest_m

    def _active(self, opening: Float[np.ndarray, " T"], fps: float) -> Float[np.ndarray, " T"]:
        """How much somebody is speaking, 0 to 1, from the lips alone."""
        out = np.empty(len(opening))
        rise, fall = 1.0 / max(ATTACK_S * fps, 1.0), 1.0 / max(RELEASE_S * fps, 1.0)
        for i, now in enumerate(opening):
            speed = 0.0 if self._before is None else abs(now - self._before) * fps
            self._before = now
            speaks = now > SPEAKS_M or speed > SPEAKS_M_S
            self._activity = float(np.clip(self._activity + (rise if speaks else -fall), 0.0, 1.0))
            out[i] = self._activity * self._activity * (3.0 - 2.0 * self._activity)
        return out

    def _guarded(
        self, weights: Float[np.ndarray, "T E"], opening: Float[np.ndarray, " T"], active: Float[np.ndarray, " T"]
    ) -> Float[np.ndarray, "T E"]:
        opens = np.clip((_opens().mean(1) - LEAST_M) / (OPENS_M - LEAST_M), 0.0, 1.0)
        weights = weights * (1.0 - LOST_OPENING * opens)
        shut = np.clip(4.0 * active, 0.0, 1.0) * np.clip(FIRMLY * (SHUT_M - opening) / SHUT_M, 0.0, 1.0)
        too_far = np.maximum(weights @ _opens(), 0.0) * shut[:, None]
        closed = weights - too_far @ _shutting().T
        return np.where(shut[:, None] > 0.0, closed, _gaps().uncrossed(weights, np.maximum(opening, 0.0)))

    def _leaned(self, motion: Motion, leans: Float[np.ndarray, "T 7"]) -> Motion:
        if np.array_equal(leans, np.broadcast_to(NO_LEAN, leans.shape)):
            return motion
        yaw, pitch, roll = np.deg2rad(leans[:, :3]).T
        turns = exp_so3(np.stack([-pitch, yaw, -roll], 1))
        if leans[:, :3].any():
            pose = motion.head_pose.astype(np.float64)
            pose[:, :3, :3] = pose[:, :3, :3] @ turns
            motion = without_torso(motion.replace(head_pose=pose))
        landmarks = motion.landmarks
        if self._rest is not None and (leans[:, 5:] != 1.0).any():
            landmarks = landmarks.copy()
            for group, gain in ((JAW, leans[:, 5]), (LIPS, leans[:, 6])):
                off = landmarks[:, group] - self._rest[group]
                landmarks[:, group] = self._rest[group] + gain[:, None, None] * off
        gaze = motion.gaze + np.deg2rad(leans[:, 3:5])
        return motion.replace(gaze=gaze, landmarks=landmarks)


def shown_opening(motion: Motion) -> Float[np.ndarray, " T"]:
    """How far the lips are seen to be open, metres: what the landmarks say and what the expression adds."""
    out = _opening(motion.landmarks)
    weights = motion.channels.get("expression")
    if weights is None:
        return out
    upper, lower = facing_pairs("lips").T
    shapes = _shapes()
    middle = slice(len(upper) // 2 - 1, len(upper) // 2 + 2)
    return out + weights @ (shapes[:, upper[middle], 1] - shapes[:, lower[middle], 1]).mean(1)


@lru_cache(maxsize=1)
def _shapes() -> Float[np.ndarray, "E 478 3"]:
    """Of the face that the shapes are sculpted on; a second's work, done once."""
    return displacements(neutral())


@lru_cache(maxsize=1)
def _gaps() -> Gaps:
    return Gaps.of(neutral(), _shapes())


@lru_cache(maxsize=1)
def _opens() -> Float[np.ndarray, "E P"]:
    """What each shape opens between facing points of the lips, metres."""
    upper, lower = facing_pairs("lips").T
    return _shapes()[:, upper, 1] - _shapes()[:, lower, 1]


@lru_cache(maxsize=1)
def _shutting() -> Float[np.ndarray, "E P"]:
    """Weights that open the lips by given amounts, by least squares over SHUTTERS."""
    columns = [index(name) for name in SHUTTERS]
    g, out = _opens()[columns].T, np.zeros_like(_opens())
    out[columns] = np.linalg.solve(g.T @ g + RIDGE_M2 * np.eye(len(columns)), g.T)
    return out


def _lean_of(expression: Expression) -> Float[np.ndarray, "7"]:
    return np.array([*expression.head_deg, *expression.gaze_deg, expression.jaw_gain, expression.lip_gain])


def _opening(landmarks: Float[np.ndarray, "T 68 3"]) -> Float[np.ndarray, " T"]:
    return (landmarks[:, _UPPER, 1] - landmarks[:, _LOWER, 1]).mean(1)


def _rest_landmarks(model: PersonMotionModel) -> Float[np.ndarray, "68 3"]:
    code = np.zeros((1, model.basis.size))
    code[:, model.basis.groups["mouth"]] = model.face.rest
    return model.basis.decode(code)[0]

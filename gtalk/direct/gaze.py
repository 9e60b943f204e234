"""Where somebody looks, in one place: the eyes jump, the head follows, the eyes turn back as it comes.

    places (a score, a scene, a sound; nothing: the camera) ─▶ saccade ─▶ head, later and slower ─▶ eyes = gaze - head

A saccade of a degrees takes 21 ms + 2.2 ms a (the main sequence; Carpenter, "Movements of the Eyes", 1988). The head
sets out later and comes in as a critically damped spring; while it moves, the eyes keep the gaze on the place (the
vestibulo-ocular reflex), so that the gaze is there long before the head. Large shifts come with a blink (Evinger et
al., "Not looking while leaping", 1994). The head keeps to the clip's range; what it cannot do is the eyes'.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gtalk.basis import GAZE_UNIT_RAD
from gtalk.direct.composer import BLINK_S, SHUT_AT
from gtalk.direct.score import Event
from gtalk.direct.tracks import track_of
from gtalk.geometry.easing import smoothstep
from gtalk.geometry.pose import pose_vectors
from gtalk.motion.model.model import PersonMotionModel
from gtalk.rig.shapes import SHAPES, index
from gtalk.rig.weights import GAZE_UNIT_RAD as SHAPE_UNIT_RAD
from gtalk.shapes import Float
from gtalk.types import Motion

PLACE_YAW, PLACE_PITCH = "attend.yaw", "attend.pitch"
MOST_EYE_RAD = math.radians(36.0)
"""How far the eyes turn in the head when the head can turn no further."""
_SACCADE_S, _SACCADE_S_A_RAD = 0.021, math.degrees(0.0022)
_HEAD_LATER_S, _HEAD_TAU_S = 0.12, 0.16  # the spring has come two thirds of the way .35 s after it began
_EYES_ALONE_RAD, _HEAD_SHARE = math.radians(5.0), 0.65  # so far the eyes go alone; the head's share of what is beyond
_BLINK_FROM_RAD = math.radians(18.0)
_NEW_RAD = math.radians(1.0)  # what moves less is the same place
_TAKE_S, _LEAVE_S = 0.08, 0.5  # how soon a place holds the gaze, and how the person's own gaze comes back
_LOOKS = (("Left", 1.0), ("Right", -1.0))  # the person's left eye is on the image's right: it looks out to the right
_CAMERA = np.zeros(2)


class Places:
    """Which place is attended when: of the events that hold, the one that began last; of two at once, the weightier."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.events: tuple[Event, ...] = ()
        self.put(events)

    def put(self, events: Iterable[Event]) -> None:
        """Attend to these instead."""
        mine = (e for e in events if e.weight and track_of(e.track).kind == "place")
        self.events = tuple(sorted(mine, key=lambda e: (e.start_s, e.weight, e.track, e.value)))

    def add(self, events: Iterable[Event], now_s: float) -> None:
        """More of them; what is over is forgotten, and what comes late begins now."""
        late = [dataclasses.replace(e, start_s=max(e.start_s, now_s)) for e in events if e.end_s > now_s]
        self.put([*(e for e in self.events if e.end_s > now_s), *late])

    def at(self, time_s: float) -> Float[np.ndarray, " 2"] | None:
        """Yaw towards the image's right and pitch up from the camera, radians; None where nothing is attended."""
        found = {e.track: float(e.value or 0.0) for e in self.events if e.start_s <= time_s < e.end_s}
        return np.deg2rad([found.get(PLACE_YAW, 0.0), found.get(PLACE_PITCH, 0.0)]) if found else None


@dataclass(frozen=True)
class Aim:
    """What one frame is to do. Angles are yaw to the image's right and pitch up, radians."""

    gaze: Float[np.ndarray, " 2"]
    """Where eyes and head together look, from the camera."""
    head: Float[np.ndarray, " 2"]
    """By how much the head is to be turned for it."""
    force: float
    """How far the gaze obeys, 0 to 1."""
    shut: float
    """Lids, 0 to 1."""

    def head_offset(self) -> Float[np.ndarray, " 6"]:
        """As a rotation vector of the head and a shift, as `pose_vectors` has them."""
        return np.array([-self.head[1], self.head[0], 0.0, 0.0, 0.0, 0.0])

    def eyes(self, head: Float[np.ndarray, " 6"], life: Float[np.ndarray, " 2"]) -> Float[np.ndarray, " 2"]:
        """The gaze in the head that keeps the aim while the head is at `head`; `life` is where looking straight is."""
        return life + np.clip(self.gaze - head_angles(head[None])[0], -MOST_EYE_RAD, MOST_EYE_RAD)


class GazeControl:
    """Eyes and head on their way from place to place, a frame at a time."""

    def __init__(self) -> None:
        self._goal, self._from, self._gaze = _CAMERA, _CAMERA, _CAMERA
        self._since_s = self._blink_s = math.inf
        self._saccade_s = _SACCADE_S
        self._head, self._speed, self._head_goal = np.zeros(2), np.zeros(2), np.zeros(2)
        self._force = 0.0

    @property
    def rests(self) -> bool:
        """Whether nothing is left of any place."""
        return self._force == 0.0 and not self._head.any()

    def __call__(self, place: Float[np.ndarray, " 2"] | None, step_s: float) -> Aim:
        """The next frame, `step_s` after the last."""
        goal = _CAMERA if place is None else place
        if np.abs(goal - self._goal).max() > _NEW_RAD:
            self._shift(goal)
        self._since_s += step_s
        self._blink_s += step_s
        share = float(smoothstep(0.0, 1.0, self._since_s / self._saccade_s)) if self._since_s < 9.0 else 1.0
        self._gaze = self._from + share * (self._goal - self._from)
        if self._since_s >= _HEAD_LATER_S:
            self._head_goal = _HEAD_SHARE * np.sign(self._goal) * np.maximum(np.abs(self._goal) - _EYES_ALONE_RAD, 0.0)
        self._turn(step_s)
        if place is not None:
            self._force = min(1.0, self._force + step_s / _TAKE_S)
        elif self._since_s > self._saccade_s:
            self._force = max(0.0, self._force - step_s / _LEAVE_S)
        t = self._blink_s / BLINK_S
        shut = float(smoothstep(0.0, SHUT_AT, t) * smoothstep(1.0, SHUT_AT, t)) if t < 1.0 else 0.0
        return Aim(self._gaze, self._head.copy(), float(smoothstep(0.0, 1.0, self._force)), shut)

    def _shift(self, goal: Float[np.ndarray, " 2"]) -> None:
        far = float(np.linalg.norm(goal - self._gaze))
        self._from, self._goal, self._since_s = self._gaze, goal, 0.0
        self._saccade_s = _SACCADE_S + _SACCADE_S_A_RAD * far
        if far > _BLINK_FROM_RAD:
            self._blink_s = 0.0

    def _turn(self, step_s: float) -> None:
        """The critically damped spring, solved for the step: how long a frame is changes no path."""
        away, fade = self._head - self._head_goal, math.exp(-step_s / _HEAD_TAU_S)
        pull = self._speed + away / _HEAD_TAU_S
        self._head = self._head_goal + (away + pull * step_s) * fade
        self._speed = (self._speed - pull * step_s / _HEAD_TAU_S) * fade
        if self._force == 0.0 and np.abs(self._head).max() < 1e-4:
            self._head, self._speed = np.zeros(2), np.zeros(2)


def head_angles(vectors: Float[np.ndarray, "T 6"]) -> Float[np.ndarray, "T 2"]:
    """Yaw to the image's right and pitch up of heads as `pose_vectors` has them."""
    return np.stack([vectors[:, 1], -vectors[:, 0]], axis=1)


def turned_eyes(
    model: PersonMotionModel, frame: Motion, wanted: Float[np.ndarray, "1 2"], weights: Float[np.ndarray, " E"]
) -> tuple[Motion, Float[np.ndarray, " E"]]:
    """A frame that looks as `wanted` in the head: by the clip's own eyes as far as it has shown, then by the rig's."""
    group = model.basis.groups["gaze"]
    low, high = model.basis.low[group] * GAZE_UNIT_RAD, model.basis.high[group] * GAZE_UNIT_RAD
    seen = np.clip(wanted, np.minimum(low, frame.gaze), np.maximum(high, frame.gaze))
    yaw, pitch = (wanted - seen)[0] / SHAPE_UNIT_RAD
    weights = weights.copy()
    for side, outwards in _LOOKS:
        for name, value in (("Out", outwards * yaw), ("In", -outwards * yaw), ("Up", pitch), ("Down", -pitch)):
            weights[index(f"eyeLook{name}{side}")] += max(0.0, value)
    return frame.replace(gaze=seen), weights


def gaze_in_room(motion: Motion, model: PersonMotionModel) -> Float[np.ndarray, "T 2"]:
    """Where eyes and head together look, from the camera: yaw to the image's right and pitch up, radians."""
    eyes = motion.gaze - model.eyes.gaze_mean
    shapes = motion.channels.get("expression", np.zeros((len(motion), len(SHAPES))))

    def turned(*names: str) -> np.ndarray:
        return shapes[:, [index(f"eyeLook{name}") for name in names]].mean(1) * SHAPE_UNIT_RAD

    yaw = turned("OutLeft", "InRight") - turned("InLeft", "OutRight")
    pitch = turned("UpLeft", "UpRight") - turned("DownLeft", "DownRight")
    return eyes + np.stack([yaw, pitch], axis=1) + head_angles(pose_vectors(motion.head_pose, model.mean_pose))

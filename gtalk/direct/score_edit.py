"""A score at work on motion: expression, gaze, head, lids and articulation of every frame.

    events ─▶ Composer ─▶ numbers of a frame ─▶ shapes (ExpressionLayer), head, gaze, lids, gains ─▶ Motion
       └───▶ Places ─▶ GazeControl ──────────────────────────────────┘

talker = character.talker(edits=[lambda: ScoreEdit(model, score)])
session.post(Event("emotion.smile", 0.6, start_s=3.2, end_s=4.0))     # may come late
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gtalk.basis import UPPER_GROUP
from gtalk.direct.composer import Composer, told_events
from gtalk.direct.gaze import Aim, GazeControl, Places, turned_eyes
from gtalk.direct.recipes import Asked, Tables
from gtalk.direct.score import Event, Score
from gtalk.geometry.pose import pose_matrices, pose_vectors
from gtalk.motion.edits.direct import without_torso
from gtalk.motion.edits.emotion import NO_LEAN, ExpressionLayer
from gtalk.motion.idle.head_motion import soft_limited
from gtalk.motion.model.model import PersonMotionModel
from gtalk.rig.limits import soft_limit
from gtalk.rig.shapes import SHAPES
from gtalk.shapes import Float
from gtalk.types import Motion

_POSE = 6  # of the values of Sway: the head
_LIDS_FOLLOW, _LIDS_MOST = 0.7, 0.3  # the upper lids go down with the eyes: share of openness a radian, at most
_WANDERS = 0.1  # of the eyes' own wandering, while they are on a place


class ScoreEdit:
    """An EventEdit that obeys a score. It may be told a Score, which replaces the former, an Event, or several."""

    def __init__(self, model: PersonMotionModel, score: Score | None = None) -> None:
        self._model = model
        events = () if score is None else score.events
        self._composer = Composer(events, lambda track: not track.startswith("look."))
        self._places, self._gaze = Places(events), GazeControl()
        self._tables = Tables(model.expressions)
        self._layer = ExpressionLayer(model)
        self._now_s = 0.0

    def receive(self, event: object) -> None:
        """Obey another score, or more events; what comes late eases in from now on."""
        self._composer.receive(event, self._now_s)
        if isinstance(event, Score):
            self._places.put(event.events)
        elif told := told_events(event):
            self._places.add(told, self._now_s)

    def __call__(self, motion: Motion, start_frame: int = 0) -> Motion:
        """The directed frames. Each is made by itself, so that cuts change no bit."""
        moments = self._composer(start_frame, len(motion), motion.fps)
        self._now_s = (start_frame + len(motion)) / motion.fps
        if not (any(moments) or self._places.events) and self._gaze.rests:
            if len(motion):
                self._layer.watch(motion)
            return motion
        if self._composer.channels or self._places.events:  # the torso follows a head that the score may turn
            motion = without_torso(motion)
        frames = [self._frame(motion[i], moments[i], (start_frame + i) / motion.fps) for i in range(len(motion))]
        return Motion.concatenate(frames) if frames else motion

    def _frame(self, frame: Motion, moment: dict[str, float], time_s: float) -> Motion:
        place = self._places.at(time_s)
        aim = None if place is None and self._gaze.rests else self._gaze(place, 1.0 / frame.fps)
        if not moment and aim is None:
            self._layer.watch(frame)
            return frame
        asked = Asked.of(moment, self._tables)
        frame = self._posed(frame, asked, aim)
        frame = self._lidded(frame, asked, moment, aim)
        frame, weights = self._looking(frame, asked, moment, aim)
        weights = soft_limit(weights[None], np.ones(len(SHAPES)))
        gains = NO_LEAN.copy()
        gains[5:] = asked.jaw_gain, asked.lip_gain
        return self._layer(frame, weights, gains[None])

    def _posed(self, frame: Motion, asked: Asked, aim: Aim | None) -> Motion:
        offset = asked.head_offset() + (0.0 if aim is None else aim.head_offset())
        if asked.sway_gain == 1.0 and not offset.any() and not asked.nod_deg[0] and not asked.shake_deg[0]:
            return frame
        mean = self._model.mean_pose
        own = pose_vectors(frame.head_pose, mean)
        kept = own * asked.sway_gain
        room = head_range(self._model)
        vectors = _swung(limited(kept, offset[None], room), asked, room)
        return without_torso(frame.replace(head_pose=pose_matrices(vectors, mean)))

    def _lidded(self, frame: Motion, asked: Asked, moment: dict[str, float], aim: Aim | None) -> Motion:
        natural, shut = moment.get("blink.natural", 1.0), moment.get("blink", 0.0)
        low = -math.radians(asked.gaze_deg[1])
        if aim is not None:
            shut, low = max(shut, aim.shut), low + aim.force * (aim.head[1] - aim.gaze[1])
        down = min(_LIDS_MOST, _LIDS_FOLLOW * max(0.0, low))
        if natural == 1.0 and shut == 0.0 and down == 0.0:
            return frame
        eyes = np.where(frame.eyes < 1.0, 1.0 - natural * (1.0 - frame.eyes), frame.eyes)
        eyes = np.minimum(eyes * (1.0 - down), 1.0 - shut)
        face, landmarks = self._model.face, frame.landmarks.copy()
        landmarks[:, UPPER_GROUP] += face.upper_landmarks(eyes, frame.brows) - face.upper_landmarks(
            frame.eyes, frame.brows
        )
        return frame.replace(eyes=eyes, landmarks=landmarks)

    def _looking(
        self, frame: Motion, asked: Asked, moment: dict[str, float], aim: Aim | None
    ) -> tuple[Motion, np.ndarray]:
        """The frame with its gaze, and the weights with what the clip has not shown of such a gaze."""
        offset, held = np.deg2rad(asked.gaze_deg), moment.get("gaze.held", 0.0)
        if not held and not offset.any() and aim is None:
            return frame, asked.weights
        life = self._model.eyes
        head = pose_vectors(frame.head_pose, self._model.mean_pose)
        steady = life.gaze_mean + head @ life.gaze_of_head
        wanted = frame.gaze + held * (steady - frame.gaze)
        if aim is not None:
            wander = _WANDERS * (frame.gaze - steady)
            wanted = wanted + aim.force * (aim.eyes(head[0], life.gaze_mean) + wander - wanted)
        return turned_eyes(self._model, frame, wanted + offset, asked.weights)


@dataclass(frozen=True)
class HeadRange:
    """How far a person's head went in the clip, from its mean pose: rotation vector in radians, shift in metres."""

    low: Float[np.ndarray, " 6"]
    high: Float[np.ndarray, " 6"]

    def degrees(self, track: str) -> tuple[float, float]:
        """(least, most) of `head.turn`, `head.raise` or `head.tilt`."""
        axis, sign = {"head.raise": (0, -1), "head.turn": (1, 1), "head.tilt": (2, -1)}[track]
        ends = sorted(math.degrees(sign * value) for value in (self.low[axis], self.high[axis]))
        return ends[0], ends[1]


def head_range(model: PersonMotionModel) -> HeadRange:
    """The clip's, as the sway of the head keeps to it."""
    sway = model.sway
    low, high = (sway.mean + sway.low)[:_POSE], (sway.mean + sway.high)[:_POSE]
    return HeadRange(np.minimum(low, -1e-6), np.maximum(high, 1e-6))


def limited(own: Float[np.ndarray, "T 6"], offset: Float[np.ndarray, "T 6"], room: HeadRange) -> np.ndarray:
    """Where the head is when it is moved by `offset` from where it is by itself: bent softly into the clip's range.

    Without an offset it stays where it is, bit for bit.
    """
    bent = own + (soft_limited(own + offset, room.low, room.high) - soft_limited(own, room.low, room.high))
    return np.clip(bent, np.minimum(room.low, own), np.maximum(room.high, own))


def _swung(vectors: Float[np.ndarray, "1 6"], asked: Asked, room: HeadRange) -> Float[np.ndarray, "1 6"]:
    """The head nodding and shaking, not as deep where the clip's range is too narrow: each stays one movement."""
    out = vectors.copy()
    for axis, (now, deepest) in ((0, asked.nod_deg), (1, asked.shake_deg)):
        if now:
            up = room.high[axis] - vectors[0, axis]
            free = up if axis == 0 else min(up, vectors[0, axis] - room.low[axis])
            scale = min(1.0, max(0.0, free) / max(math.radians(deepest), 1e-9))
            out[0, axis] += scale * math.radians(now)
    return np.clip(out, np.minimum(room.low, vectors), np.maximum(room.high, vectors))


def beyond_range(events: Iterable[Event], model: PersonMotionModel) -> list[str]:
    """Sentences for what is asked of the head beyond what the clip has shown: it is bent into that range."""
    room, out = head_range(model), []
    for event in events:
        if event.track in ("head.turn", "head.raise", "head.tilt"):
            low, high = room.degrees(event.track)
            if not low <= float(event.value or 0.0) <= high:
                out.append(
                    f"{event.track} {float(event.value or 0.0):g} deg at {event.start_s:.2f} s: the clip shows "
                    f"{low:.0f} to {high:.0f} deg, so the head stops there"
                )
    return out

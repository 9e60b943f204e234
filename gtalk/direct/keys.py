"""Keys: the mouth pulled at an instant; its neighbours follow by constrained least squares over the person's codes.

    min over d_t of  sum_t w_t |d_t|^2 + a sum_t |d_{t-1} - 2 d_t + d_{t+1}|^2
    with  A d_k = b  at the keys,  opening(d_t) = 0 where speech shuts the lips,  d_t = 0 beyond REACH_S of a key

d_t is what the mouth code of frame t changes by; w_t grows towards the end of the reach, so that the change ends
softly. What is to come must be known; where it is not, `gtalk.direct.live_keys` draws the mouth to a key instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtalk.basis import LIPS, MOUTH_GROUP, MotionBasis
from gtalk.direct.score import Event
from gtalk.errors import UserError
from gtalk.motion.base import EditFactory
from gtalk.motion.model.amplitude import opening_of_codes
from gtalk.motion.model.articulation import width_of_codes
from gtalk.motion.model.model import PersonMotionModel
from gtalk.shapes import Float
from gtalk.types import Motion

REACH_S = 0.28
"""How far from a key the mouth follows it."""
SMOOTH, EDGE = 60.0, 60.0
"""Weight of second differences, and of changes at the end of the reach against those at the key."""
SHUT_M = 0.0012
"""Lips that are less open than this beyond rest are shut by speech."""
OWN_FRAMES = 1
"""Around a key: there it wins over a closure."""
_RANGE = (1.0, 99.0)  # percentiles of the person's mouths that count as extremes
CROSSED_M = 1e-4
"""Of lips: less is none."""
_ROUNDS = 4  # how often lips that cross are held
_SLACK = 1e-9  # of the constraints, so that two that say the same are no contradiction

MotionOf = Callable[[Sequence[EditFactory]], Iterator[Motion]]
"""The motion that a speech or a file gives with some edits, in pieces from its first frame on."""


@dataclass(frozen=True)
class Measure:
    """A number of the mouth that is linear in the mouth code: metres, and the key values they stand for."""

    mean_m: float
    per_code_m: Float[np.ndarray, " Km"]
    at_value: tuple[tuple[float, float], ...]
    """(value of a key, metres), two or three of them in order."""

    def wanted_m(self, value: float) -> float:
        """What a key asks for, metres; beyond the ends it goes on straight."""
        values, metres = np.array(self.at_value).T
        i = int(np.clip(np.searchsorted(values, value) - 1, 0, len(values) - 2))
        share = (value - values[i]) / (values[i + 1] - values[i])
        return float(metres[i] + share * (metres[i + 1] - metres[i]))


def measures_of(model: PersonMotionModel) -> dict[str, Measure]:
    """By track: what each key means on this person's mouth."""
    out = {}
    for track, (mean_m, per_code_m) in (
        ("key.open", opening_of_codes(model.basis)),
        ("key.wide", width_of_codes(model.basis)),
        ("key.round", protrusion_of_codes(model.basis)),
    ):
        rest_m = mean_m + float(per_code_m @ model.face.rest)
        low, high = np.percentile(mean_m + model.bank @ per_code_m, _RANGE)
        high_m, low_m = max(float(high), rest_m + 1e-4), min(float(low), rest_m - 1e-4)
        ends = ((0.0, rest_m), (1.0, high_m)) if track == "key.open" else ((-1.0, low_m), (0.0, rest_m), (1.0, high_m))
        out[track] = Measure(mean_m, per_code_m, ends)
    return out


def protrusion_of_codes(basis: MotionBasis) -> tuple[float, Float[np.ndarray, " Km"]]:
    """(how far the middle of the lips stands out before their corners, what one unit of each code adds), metres."""
    codes = np.zeros((1 + len(basis.mouth), basis.size))
    codes[1:, basis.groups["mouth"]] = np.eye(len(basis.mouth))
    lips = basis.decode(codes)[:, LIPS, 2]
    out = lips[:, [2, 3, 4, 8, 9, 10]].mean(1) - lips[:, [0, 6]].mean(1)
    return float(out[0]), out[1:] - out[0]


@dataclass(frozen=True)
class KeyPlan:
    """What the keys of a score change, frame by frame."""

    moved_m: dict[int, Float[np.ndarray, "37 3"]]
    """By frame: displacement of MOUTH_GROUP."""
    notes: tuple[str, ...] = ()
    """Keys that speech contradicts, in words."""


@dataclass(frozen=True)
class KeyEdit:
    """A MotionEdit that adds what was planned; other frames are passed on as they are."""

    plan: KeyPlan

    def __call__(self, motion: Motion, start_frame: int = 0) -> Motion:
        """The edited frames."""
        mine = [i for i in range(len(motion)) if start_frame + i in self.plan.moved_m]
        if not mine:
            return motion
        landmarks = motion.landmarks.astype(np.float64)
        for i in mine:
            landmarks[i, MOUTH_GROUP] += self.plan.moved_m[start_frame + i]
        return motion.replace(landmarks=landmarks)


def plan_keys(events: Sequence[Event], model: PersonMotionModel, motion: Iterator[Motion]) -> KeyPlan:
    """What the keys among the events ask of a motion, which is read once; only frames near keys are kept.

    Raises UserError for a key beyond the motion, and for one that takes the mouth of a file that is none.
    """
    keys = sorted((e for e in events if e.track.startswith("key.")), key=lambda e: (e.start_s, e.track))
    seen = _near_keys(keys, motion)
    fps = seen.fps
    reach = max(2, round(REACH_S * fps))
    at: dict[int, list[Event]] = {}
    for key in keys:
        at.setdefault(round(key.start_s * fps), []).append(key)
    moved: dict[int, np.ndarray] = {}
    notes: list[str] = []
    for group in _groups(sorted(at), 2 * reach):
        first, last = max(0, group[0] - reach), min(seen.n_frames - 1, group[-1] + reach)
        window = Motion.concatenate([seen.frames[i] for i in range(first, last + 1)])
        solver = _Window(model, window, first, [f - first for f in group], reach)
        for frame in group:
            notes += solver.ask(frame - first, at[frame])
        change = solver.solve()
        moved |= {first + i: row for i, row in enumerate(np.einsum("tk,kpc->tpc", change, model.basis.mouth))}
    return KeyPlan(moved, tuple(notes))


@dataclass
class _Seen:
    fps: float
    n_frames: int
    frames: dict[int, Motion]


def _near_keys(keys: Sequence[Event], motion: Iterator[Motion]) -> _Seen:
    frames: dict[int, Motion] = {}
    count, fps = 0, 0.0
    times_s = np.array([key.start_s for key in keys])
    for piece in motion:
        fps = piece.fps
        instants_s = (count + np.arange(len(piece))) / fps
        near = (np.abs(instants_s[:, None] - times_s).min(1) <= REACH_S + 1.5 / fps).nonzero()[0]
        frames |= {count + int(i): piece[int(i)] for i in near}
        count += len(piece)
    late = [key for key in keys if not count or round(key.start_s * fps) >= count]
    if late:
        whole_s = count / max(fps, 1e-9)
        raise UserError(f"key {late[0].track}", expected=f"an instant within the {whole_s:.2f} s of motion",
                        got=f"{late[0].start_s:g} s", remedy="Move it.")  # fmt: skip
    return _Seen(fps, count, frames)


def _groups(frames: Sequence[int], apart: int) -> Iterator[list[int]]:
    group: list[int] = []
    for frame in frames:
        if group and frame - group[-1] > apart:
            yield group
            group = []
        group.append(frame)
    if group:
        yield group


class _Window:
    """The least squares of one stretch of frames whose keys reach each other."""

    def __init__(self, model: PersonMotionModel, window: Motion, first: int, keys: list[int], reach: int) -> None:
        self._model, self._first, self._keys = model, first, keys
        self._measures = measures_of(model)
        self._codes = model.basis.encode(window)[:, model.basis.groups["mouth"]]
        away = np.abs(np.arange(len(window))[:, None] - np.array(keys)).min(1) / reach
        self._weights = 1.0 + EDGE * away**2
        self._rows: list[tuple[int, np.ndarray, float]] = []
        opening = self._measures["key.open"]
        excess_m = opening.mean_m + self._codes @ opening.per_code_m - opening.wanted_m(0.0)
        self._shut = excess_m < SHUT_M
        for i in np.flatnonzero(self._shut):
            if np.abs(i - np.array(keys)).min() > OWN_FRAMES:
                self._rows.append((int(i), opening.per_code_m / np.linalg.norm(opening.per_code_m), 0.0))

    def ask(self, frame: int, keys: Sequence[Event]) -> list[str]:
        """Constraints of the keys at one frame, and what there is to say of them."""
        notes = []
        for key in keys:
            if key.track == "key.frame":
                wanted = mouth_of(str(key.value), self._model)
                self._rows += [
                    (frame, row, float(wanted[i] - self._codes[frame, i])) for i, row in enumerate(np.eye(len(wanted)))
                ]
                continue
            measure = self._measures[key.track]
            size = float(np.linalg.norm(measure.per_code_m))
            now_m = measure.mean_m + float(self._codes[frame] @ measure.per_code_m)
            self._rows.append(
                (frame, measure.per_code_m / size, (measure.wanted_m(float(key.value or 0.0)) - now_m) / size)
            )
            if key.track == "key.open" and self._shut[frame] and float(key.value or 0.0) > 0.1:
                notes.append(f"key.open at {key.start_s:.2f} s lies where speech shuts the lips: the key wins")
        return notes

    def solve(self) -> Float[np.ndarray, "T Km"]:
        """Changes of the codes, frame by frame. Lips that would pass through each other are held at rest."""
        opening = self._measures["key.open"]
        size, rest_m = float(np.linalg.norm(opening.per_code_m)), opening.wanted_m(0.0)
        before_m = opening.mean_m + self._codes @ opening.per_code_m
        floor_m = np.minimum(before_m, rest_m)
        for _ in range(_ROUNDS):
            change = self._solve()
            crossed = np.flatnonzero(before_m + change @ opening.per_code_m < floor_m - CROSSED_M)
            crossed = [int(i) for i in crossed if int(i) not in self._keys]
            if not crossed:
                break
            self._rows += [(i, opening.per_code_m / size, float(floor_m[i] - before_m[i]) / size) for i in crossed]
        return change

    def _solve(self) -> Float[np.ndarray, "T Km"]:
        from scipy.sparse import block_array, csc_array, diags_array, eye_array, kron
        from scipy.sparse.linalg import spsolve

        frames, size = self._codes.shape
        ends = np.eye(frames + 2)
        bend = csc_array(np.eye(frames + 2, k=-1) - 2.0 * ends + np.eye(frames + 2, k=1))[:, 1:-1]
        cost = kron(diags_array(self._weights) + SMOOTH * (bend.T @ bend), eye_array(size)).tocsc()
        at = np.array([frame for frame, _, _ in self._rows])[:, None] * size + np.arange(size)
        entries = np.stack([row for _, row, _ in self._rows])
        numbers = np.repeat(np.arange(len(at)), size)
        rows = csc_array((entries.ravel(), (numbers, at.ravel())), shape=(len(at), frames * size))
        slack = -_SLACK * eye_array(len(self._rows))
        system = block_array([[cost, rows.T], [rows, slack]]).tocsc()
        right = np.concatenate([np.zeros(frames * size), [row[2] for row in self._rows]])
        return np.asarray(spsolve(system, right))[: frames * size].reshape(frames, size)


def mouth_of(what: str, model: PersonMotionModel) -> Float[np.ndarray, " Km"]:
    """The mouth code of `FILE.motion.npz@SECONDS`. Raises UserError."""
    name, _, instant = what.rpartition("@")
    try:
        time_s = float(instant)
    except ValueError:
        time_s = -1.0
    if not name or not 0.0 <= time_s < 1e6:
        raise UserError("key.frame", expected="a motion file and an instant, `other.motion.npz@1.48`", got=what[:80],
                        remedy="Write both, joined by @.")  # fmt: skip
    motion = Motion.load(Path(name))
    frame = round(time_s * motion.fps)
    if frame >= len(motion):
        raise UserError("key.frame", expected=f"an instant within the {motion.duration_s:.2f} s of {name}",
                        got=f"{time_s:g} s", remedy="Choose an earlier one.")  # fmt: skip
    return model.basis.encode(motion[frame])[0, model.basis.groups["mouth"]]

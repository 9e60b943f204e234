"""A person's own expressions, learned from an expression take: what each is in this face, and how surely.

Labelled by a CSV (start_s,end_s,name), or found: windows of a second, grouped by what the face does (k-means, Lloyd
1982, from centres farthest first, Gonzalez 1985). Always against the person's own quiet face of the take.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from gtalk.errors import UserError
from gtalk.files import atomic_path
from gtalk.rig.expression import Expression, Recipe, read_recipes
from gtalk.rig.person import PersonRig
from gtalk.rig.shapes import ARKIT
from gtalk.rig.weights import weights_of_motion
from gtalk.shapes import Float
from gtalk.topology import LANDMARKS68
from gtalk.types import Motion

BANK_NAME = "expressions.yaml"
NEUTRAL = "neutral"
_LEAST_WEIGHT = 0.05  # smaller ones are the tracker's noise
_LEAST_FRAMES = 5
_WINDOW_S, _MOST_GROUPS, _ROUNDS = 1.0, 8, 50
_UNLIKE = 0.7  # length of the difference of weights from every group at which a face is one of its own
_APART = 0.35  # length of the difference of weights at which two faces differ


@dataclass(frozen=True)
class Span:
    """A stretch of the take that somebody has named."""

    start_s: float
    end_s: float
    name: str


@dataclass(frozen=True)
class Row:
    """One learned expression."""

    name: str
    weights: Float[np.ndarray, "52"]
    """Of ARKit's shapes, against the person's quiet face."""
    spread: Float[np.ndarray, "52"]
    """Half the range of the middle half of its frames."""
    frames: int
    best_frame: int
    """The frame of the take that looks most like it: for a thumbnail."""

    def recipe(self, source: str) -> Recipe:
        """As a named expression."""
        shapes = {n: (round(float(min(w, 1.0)), 3), 1.0) for n, w in zip(ARKIT, self.weights, strict=True)}
        kept = {name: value for name, value in shapes.items() if value[0] >= _LEAST_WEIGHT}
        return Recipe(self.name, f"as in {source}, {self.frames} frames", kept, Expression())


def read_labels(path: Path) -> list[Span]:
    """Spans of a CSV with the columns start_s, end_s and name. Raises UserError for other files."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"start_s", "end_s", "name"} - set(reader.fieldnames or ())
            if missing:
                raise ValueError(f"no column {', '.join(sorted(missing))}")
            spans = [Span(float(r["start_s"]), float(r["end_s"]), r["name"].strip().lower()) for r in reader]
        wrong = next((s for s in spans if not (0.0 <= s.start_s < s.end_s < 1e6 and s.name)), None)
        if wrong is not None or not spans:
            raise ValueError("no rows" if wrong is None else f"the row {wrong.start_s:g},{wrong.end_s:g},{wrong.name}")
        return spans
    except (OSError, TypeError, AttributeError, ValueError, csv.Error) as error:
        raise UserError(
            f"labels {path}",
            expected="a CSV with the columns start_s,end_s,name and a row for every expression",
            got=f"{type(error).__name__}: {error}",
            remedy="Write for example `start_s,end_s,name` and below it `2.0,4.5,happy`.",
        ) from error


def learn(motion: Motion, rig: PersonRig, spans: Sequence[Span] | None = None, what: str = "take") -> list[Row]:
    """The expressions of a take, the quiet face apart.

    Args:
        motion: the tracked take.
        rig: of the same person, best of the same take.
        spans: what is when; found by grouping without it.
        what: the take's name, for messages.

    Raises:
        UserError: hardly a face, one expression only, or spans outside the take.
    """
    if motion.valid.sum() < 2 * _LEAST_FRAMES:
        raise _unusable(
            what, f"a face in {int(motion.valid.sum())} of {len(motion)} frames", "Film it again, from the front."
        )
    weights = weights_of_motion(motion, rig.neutral[LANDMARKS68], rig.shapes68)
    looks = [i for i, name in enumerate(ARKIT) if name.startswith(("eyeLook", "eyeBlink"))]
    weights[:, looks] = 0.0  # gaze and blinks come and go by themselves
    groups = _labelled(motion, spans, what) if spans else _found(motion, weights)
    quiet_frames = groups.pop(NEUTRAL, None)
    if quiet_frames is None:
        size = np.where(motion.valid, np.linalg.norm(weights, axis=1), np.inf)
        quiet_frames = np.argsort(size)[: max(_LEAST_FRAMES, int(motion.valid.sum()) // 10)]
    quiet = np.median(weights[quiet_frames], axis=0)
    rows = []
    for name, frames in groups.items():
        own = weights[frames] - quiet
        middle = np.median(own, axis=0)
        low, high = np.quantile(own, [0.25, 0.75], axis=0)
        best = frames[int(np.linalg.norm(own - middle, axis=1).argmin())]
        rows.append(Row(name, np.maximum(middle, 0.0), 0.5 * (high - low), len(frames), int(best)))
    shown = [row for row in rows if np.linalg.norm(row.weights) >= _APART]
    if not shown:
        raise _unusable(what, "one expression only", "Film several: a smile, a frown, raised brows, a quiet face.")
    return shown if not spans else rows


def save_bank(path: Path, rows: Sequence[Row], source: str) -> None:
    """Write the rows as named expressions, in the format of the package's own."""
    content = {}
    for row in rows:
        recipe = row.recipe(source)
        content[row.name] = {"says": recipe.says, "shapes": {n: list(v) for n, v in recipe.shapes.items()}}
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def load_bank(folder: Path) -> dict[str, Recipe]:
    """The bank in an avatar's folder; empty without one. Raises UserError when the file is damaged."""
    path = Path(folder) / BANK_NAME
    return read_recipes(path) if path.is_file() else {}


def _labelled(motion: Motion, spans: Sequence[Span], what: str) -> dict[str, np.ndarray]:
    out: dict[str, list[int]] = {}
    for span in spans:
        first, last = round(span.start_s * motion.fps), min(round(span.end_s * motion.fps), len(motion))
        frames = [i for i in range(first, last) if motion.valid[i]]
        if len(frames) < _LEAST_FRAMES:
            raise _unusable(
                what,
                f"{len(frames)} frames with a face in {span.start_s:g}-{span.end_s:g} s ({span.name})",
                f"Check the labels: the take is {motion.duration_s:.1f} s long.",
            )
        out.setdefault(span.name, []).extend(frames)
    if len(out) < 2:
        raise _unusable(what, f"one expression only ({next(iter(out))})", f"Label several, and a stretch `{NEUTRAL}`.")
    return {name: np.array(frames) for name, frames in out.items()}


def _found(motion: Motion, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Groups of windows: the one nearest to rest is neutral, the others are numbered by when they come."""
    length = max(2, round(_WINDOW_S * motion.fps))
    starts = range(0, max(1, len(motion) - length + 1), max(1, length // 2))
    windows = [(np.arange(s, min(s + length, len(motion)))) for s in starts]
    windows = [w[motion.valid[w]] for w in windows if motion.valid[w].mean() > 0.5]
    means = np.stack([np.median(weights[w], axis=0) for w in windows])
    label = _groups(means)
    order = sorted(set(label), key=lambda g: np.linalg.norm(means[label == g].mean(0)))
    out = {NEUTRAL: _frames(windows, label == order[0])}
    others = sorted(order[1:], key=lambda g: int(np.flatnonzero(label == g)[0]))
    return out | {f"expression {i + 1}": _frames(windows, label == g) for i, g in enumerate(others)}


def _frames(windows: list[np.ndarray], chosen: np.ndarray) -> np.ndarray:
    return np.unique(np.concatenate([w for w, is_in in zip(windows, chosen, strict=True) if is_in]))


def _groups(points: np.ndarray) -> np.ndarray:
    """A label for every window: centres farthest first, as long as there is a face that none is like; then k-means."""
    between = np.linalg.norm(points[:, None] - points[None], axis=-1)
    chosen = [int(np.linalg.norm(points, axis=1).argmin())]  # the quietest face is the first
    while len(chosen) < _MOST_GROUPS and between[chosen].min(0).max() > _UNLIKE:
        chosen.append(int(between[chosen].min(0).argmax()))
    centres = points[chosen]
    label = np.zeros(len(points), int)
    for _ in range(_ROUNDS):
        new = np.linalg.norm(points[:, None] - centres[None], axis=-1).argmin(1)
        if (new == label).all():
            break
        label = new
        groups = range(len(centres))
        centres = np.stack([points[label == g].mean(0) if (label == g).any() else centres[g] for g in groups])
    return label


def _unusable(what: str, got: str, remedy: str) -> UserError:
    return UserError(
        f"expression take {what}", expected="one person making several faces towards the camera", got=got, remedy=remedy
    )

"""Who is in a clip, and who of them is its speaker.

Faces of successive frames are linked into runs by where they are. Runs are gathered into people by the shapes of
the faces, which no turn of the head changes much: over a second, the mean shape of one person strays from itself
by 1.3 % of a face's size (middle) and rarely by 3 %; those of two people differ by 3.2 to 7 %. The speaker is
whoever's lips the sound explains; where it explains nobody's or there is no sound, the largest, most central,
longest seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gtalk.geometry.rotation import nearest_rotation
from gtalk.prepare.ingest.av_offset import Offset, find_offset
from gtalk.prepare.landmarks.detectors import Face
from gtalk.shapes import Float
from gtalk.topology import BROW_POINTS, LEFT_EYE_RING, LIPS, N_FACE, RIGHT_EYE_RING, RIGID
from gtalk.types import AUDIO_RATE, VIDEO_FPS

FORGET_AFTER = 12  # frames without a face near by: what comes then is looked at anew
STILL = np.setdiff1d(np.arange(N_FACE), np.concatenate([LIPS, LEFT_EYE_RING, RIGHT_EYE_RING, BROW_POINTS.reshape(-1)]))
"""Points that tell people apart: no lips, lids, brows, irises."""
SHAPE_FRAMES = 60  # of a run, that its shape is made from
OTHER_SHAPE = 0.035  # of a face's size: shapes that differ more are two people's,
FEW_FRAMES = 0.15  # and by this over the number of frames more, as a short look errs more
LIKE_SHAPE, FEW_LIKE = 0.022, 0.1
"""The same, where a shape is known beforehand: own clips differ by 0.016 from it at most, others' by 0.029 at least."""
QUIET_SHARE, QUIET_FRAMES = 0.1, 3  # of a take
BRIEF = 50  # frames at most, between two looks at one person and in that person's very place: the same, seen badly
SAME_PLACE = 0.15  # of a face's size: how much place and size may differ in all for that
RIVAL_SHARE = 0.2  # of the main face's prominence: who has less is somebody in the background
LISTEN_S = 60.0  # of each rival, to find out who speaks

Sound = Callable[[], Float[np.ndarray, " N"]]
"""Loads the clip's sound at AUDIO_RATE; called only when there is a choice to make."""


@dataclass(eq=False)
class Run:
    """One face from frame to frame."""

    frames: list[int] = field(default_factory=list)
    which: list[int] = field(default_factory=list)
    """Which of the frame's faces."""


@dataclass(frozen=True)
class Person:
    """One person's faces throughout a clip."""

    which: dict[int, int]
    """Frame -> which of its faces."""
    shape: Float[np.ndarray, "S 3"]
    prominence: float
    """Sum over the frames of size and nearness to the centre."""


@dataclass(frozen=True)
class IdentityTracks:
    """Everybody in a clip, the speaker first."""

    people: tuple[Person, ...]
    heard: tuple[Offset | None, ...]
    """What the sound says of each person's lips; None for those it was not asked about."""

    @property
    def by_sound(self) -> bool:
        """Whether the sound told who speaks."""
        return bool(self.heard) and _speaks(self.heard[0])


def find_cast(
    faces: Sequence[Sequence[Face]],
    size: tuple[int, int],
    starts: Sequence[int] = (),
    sound: Sound | None = None,
    one_person: bool = False,
) -> IdentityTracks:
    """Everybody in a clip.

    Args:
        faces: of every frame, in pixels.
        size: (width, height) of the images.
        starts: frames at which a new shot begins.
        sound: to tell who of several speaks.
        one_person: faces that are never in the same image are one person's, however unlike.
    """
    people = gather(link(faces, starts), faces, size, one_person)
    if not people:
        return IdentityTracks((), ())
    rivals = [person for person in people if person.prominence > RIVAL_SHARE * people[0].prominence]
    if len(rivals) < 2 or sound is None:
        return IdentityTracks(tuple(people), (None,) * len(people))
    samples = sound()
    heard = [_listen(person, faces, samples, starts) for person in rivals]
    order = sorted(range(len(rivals)), key=lambda i: _weight(rivals[i], heard[i]), reverse=True)
    rest = people[len(rivals) :]
    return IdentityTracks((*(rivals[i] for i in order), *rest), (*(heard[i] for i in order), *(None for _ in rest)))


def find_like(
    faces: Sequence[Sequence[Face]], starts: Sequence[int], shape: Float[np.ndarray, "S 3"]
) -> tuple[dict[int, int], float]:
    """Where somebody of a known shape is: (frame -> which of its faces; the least difference there was).

    The longest look that is like the shape becomes the measure for looks that are nearly so, since it was seen in
    the same film. Of several in one frame it is the most alike.
    """
    looks = []
    for run in link(faces, starts):
        chosen = [i for i in np.linspace(0, len(run.frames) - 1, min(SHAPE_FRAMES, len(run.frames))).astype(int)]
        own = face_shape(np.stack([faces[run.frames[i]][run.which[i]].points for i in chosen]))
        looks.append((run, own, shape_difference(own, shape), FEW_LIKE / len(run.frames)))
    sure = [look for look in looks if look[2] < LIKE_SHAPE + look[3]]
    if sure:
        measure = max(sure, key=lambda look: len(look[0].frames))[1]
        nearly = [look for look in looks if look[2] < OTHER_SHAPE + look[3] and look not in sure]
        sure += [look for look in nearly if shape_difference(look[1], measure) < LIKE_SHAPE + look[3]]
    which: dict[int, int] = {}
    for run, _, _, _ in sorted(sure, key=lambda look: look[2], reverse=True):
        which.update(zip(run.frames, run.which, strict=True))
    return which, min((look[2] for look in looks), default=1.0)


def link(faces: Sequence[Sequence[Face]], starts: Sequence[int]) -> list[Run]:
    """Faces of successive frames that are near each other and of about the same size, within shots."""
    done: list[Run] = []
    alive: list[Run] = []
    cuts = frozenset(starts)
    for index, found in enumerate(faces):
        kept = [] if index in cuts else [run for run in alive if index - run.frames[-1] <= FORGET_AFTER]
        done += [run for run in alive if run not in kept]
        alive = kept
        pairs = []
        for run in alive:
            before = faces[run.frames[-1]][run.which[-1]].points
            pairs += [(*_apart(before, face.points), run, number) for number, face in enumerate(found)]
        free = set(range(len(found)))
        taken: list[Run] = []
        # Farther than its own size from where it was, it is someone else.
        for _, near, run, number in sorted(pairs, key=lambda pair: pair[0]):
            if near and number in free and run not in taken:
                run.frames.append(index)
                run.which.append(number)
                free.discard(number)
                taken.append(run)
        alive += [Run([index], [number]) for number in sorted(free)]
    return done + alive


def gather(
    runs: Sequence[Run], faces: Sequence[Sequence[Face]], size: tuple[int, int], one_person: bool = False
) -> list[Person]:
    """Runs of one person brought together, the most prominent person first. `one_person`: see `find_cast`."""
    found: list[tuple[dict[int, int], np.ndarray]] = []
    for run in sorted(runs, key=lambda run: len(run.frames), reverse=True):
        own = dict(zip(run.frames, run.which, strict=True))
        chosen = [run.frames[i] for i in np.linspace(0, len(own) - 1, min(SHAPE_FRAMES, len(own))).astype(int)]
        shape = face_shape(np.stack([faces[index][own[index]].points for index in chosen]))
        apart = [shape_difference(shape, theirs) if own.keys().isdisjoint(which) else 1.0 for which, theirs in found]
        best = int(np.argmin(apart)) if apart else -1
        alike = 1.0 if one_person else OTHER_SHAPE + FEW_FRAMES / len(own)
        if apart and apart[best] < alike:
            found[best][0].update(own)
        else:
            found.append((own, shape))
    for brief, _ in sorted(found, key=lambda look: len(look[0])):
        around = next((which for which, _ in found if _between_looks(brief, which, faces)), None)
        if around is not None:
            around.update(brief)
            brief.clear()
    people = [Person(which, shape, _prominence(which, faces, size)) for which, shape in found if which]
    return sorted(people, key=lambda person: person.prominence, reverse=True)


def face_shape(points: Float[np.ndarray, "T 478 3"]) -> Float[np.ndarray, "S 3"]:
    """Mean of the points that are STILL, free of place, turn and size (mean square distance from the middle 1)."""
    clouds = np.stack([_normed(cloud) for cloud in points[:, STILL].astype(np.float64)])
    mean = clouds[0]
    for _ in range(3):
        mean = _normed(np.mean([_turned(cloud, mean) for cloud in clouds], axis=0))
    return mean


def shape_difference(a: Float[np.ndarray, "S 3"], b: Float[np.ndarray, "S 3"]) -> float:
    """Root mean square distance of two shapes' points, in shares of a face's size."""
    return float(np.sqrt(((_turned(a, b) - b) ** 2).sum(1).mean()))


def quiet_difference(take: Float[np.ndarray, "T 478 3"], clip: Float[np.ndarray, "N 478 3"]) -> float:
    """How unlike the bones of two recordings' faces are where the take comes nearest to the clip; shares of a size.

    Of expressions no shape tells whose they are: one person's angry and happy face differ as much as two people's. Of
    quiet faces the bones do, as the image shows them; depth is guessed by the detector.

    Args:
        take: a face that makes expressions, and is quiet now and then; pixels, depth too.
        clip: a face that speaks.
    """
    clouds = [_normed(cloud) for cloud in clip[:, RIGID].astype(np.float64)]
    mean = clouds[0]
    for _ in range(3):
        mean = _normed(np.mean([_turned(cloud, mean) for cloud in clouds], axis=0))
    turned = np.stack([_turned(_normed(cloud), mean) for cloud in take[:, RIGID].astype(np.float64)])
    apart = ((turned - mean)[..., :2] ** 2).sum(-1).mean(1)
    quiet = _normed(turned[np.argsort(apart)[: max(QUIET_FRAMES, round(QUIET_SHARE * len(take)))]].mean(0))
    return float(np.sqrt(((_turned(quiet, mean) - mean)[:, :2] ** 2).sum(1).mean()))


def describe_cast(cast: IdentityTracks, faces: Sequence[Sequence[Face]], size: tuple[int, int]) -> list[str]:
    """What people should know about who is followed, in sentences."""
    if not cast.people:
        return []
    main = cast.people[0]
    others = [
        f"at the {_place(other, faces, size)} for {_seconds(other)}"
        for other in cast.people[1:]
        if other.prominence > RIVAL_SHARE * main.prominence and not main.which.keys().isdisjoint(other.which)
    ]
    if not others:
        return []
    why = "whose lips move with the sound" if cast.by_sound else "who is the largest and most central"
    return [
        f"{1 + len(others)} people are in the image: the one at the {_place(main, faces, size)} is followed, "
        f"{why}; others are {', '.join(others)}"
    ]


def find_strangers(cast: IdentityTracks, sources: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences about clips (`name`, `start`, `n_frames`) in which somebody is seen, and never the speaker."""
    sentences = []
    for source in sources:
        span = range(source["start"], source["start"] + source["n_frames"])
        here = [sum(index in span for index in person.which) for person in cast.people]
        if not here or here[0] or max(here) < FORGET_AFTER:
            continue
        difference = shape_difference(cast.people[0].shape, cast.people[int(np.argmax(here))].shape)
        sentences.append(
            f"{source['name']} shows another person: the face's shape differs by {difference:.1%} of its size, that of "
            f"one person by less than {OTHER_SHAPE:.1%}. Its frames are marked and not used"
        )
    return sentences


def _between_looks(brief: Mapping[int, int], which: Mapping[int, int], faces: Sequence[Sequence[Face]]) -> bool:
    """Whether a brief look, past a hand before the mouth for instance, fills a gap between two at somebody."""
    if len(brief) > BRIEF or len(which) <= len(brief) or not which.keys().isdisjoint(brief):
        return False
    first, last = min(brief), max(brief)
    for end, beside in (
        (first, range(first - 1, first - 1 - FORGET_AFTER, -1)),
        (last, range(last + 1, last + 1 + FORGET_AFTER)),
    ):
        look = next((index for index in beside if index in which), None)
        if look is None:
            return False
        theirs, own = faces[look][which[look]].points, faces[end][brief[end]].points
        if _apart(theirs, own)[0] > SAME_PLACE * _extent(theirs):
            return False
    return True


def _listen(
    person: Person, faces: Sequence[Sequence[Face]], samples: np.ndarray, starts: Sequence[int]
) -> Offset | None:
    """How well the sound explains a person's lips, over the LISTEN_S from when they are first seen."""
    first = min(person.which)
    rows = range(first, min(len(faces), first + round(LISTEN_S * VIDEO_FPS)))
    valid = np.array([index in person.which for index in rows])
    points = np.zeros((len(rows), len(faces[first][person.which[first]].points), 2), np.float32)
    for row, index in enumerate(rows):
        if valid[row]:
            points[row] = faces[index][person.which[index]].points[:, :2]
    own = samples[slice(*(round(edge * AUDIO_RATE / VIDEO_FPS) for edge in (rows.start, rows.stop)))]
    return find_offset(points, valid, own, VIDEO_FPS, [cut - first for cut in starts if rows.start < cut < rows.stop])


def _speaks(heard: Offset | None) -> bool:
    return heard is not None and heard.confidence > 0


def _weight(person: Person, heard: Offset | None) -> tuple[bool, float]:
    """Who speaks goes before who does not."""
    if heard is None or not _speaks(heard):
        return False, person.prominence
    return True, person.prominence * heard.explained


def _apart(before: np.ndarray, now: np.ndarray) -> tuple[float, bool]:
    """(how far apart two faces are in place and size, pixels; whether near enough to be one)."""
    centres, extents = [points[:, :2].mean(0) for points in (before, now)], [_extent(before), _extent(now)]
    distance = float(np.linalg.norm(centres[1] - centres[0]))
    return distance + abs(extents[1] - extents[0]), distance < extents[0]


def _extent(points: np.ndarray) -> float:
    return float(np.sqrt(np.ptp(points[:, 0]) * np.ptp(points[:, 1])))


def _prominence(which: dict[int, int], faces: Sequence[Sequence[Face]], size: tuple[int, int]) -> float:
    total = 0.0
    for index, number in which.items():
        points = faces[index][number].points
        off_centre = np.linalg.norm(points[:, :2].mean(0) - np.array(size) / 2) / np.hypot(*size)
        total += _extent(points) / max(size) * (1.0 - float(off_centre))
    return total


def _place(person: Person, faces: Sequence[Sequence[Face]], size: tuple[int, int]) -> str:
    across = np.median([faces[index][number].points[:, 0].mean() for index, number in person.which.items()]) / size[0]
    return "left" if across < 0.4 else "right" if across > 0.6 else "middle"


def _seconds(person: Person) -> str:
    return f"{len(person.which) / VIDEO_FPS:.1f} s"


def _normed(points: np.ndarray) -> np.ndarray:
    centred = points - points.mean(0)
    return centred / np.sqrt((centred**2).sum(1).mean())


def _turned(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Points rotated so that they lie as near as can be to others."""
    return points @ nearest_rotation(points.T @ onto)

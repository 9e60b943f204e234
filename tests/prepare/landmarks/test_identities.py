"""Who is in a clip and who speaks, on the demo person whose true landmarks are known."""

from functools import cache
from pathlib import Path

import numpy as np

from demo_person.truth import load_truth
from gtalk.media.audio import read_audio
from gtalk.prepare.landmarks.detectors import Face
from gtalk.prepare.landmarks.identities import (
    describe_cast,
    face_shape,
    find_cast,
    find_like,
    find_strangers,
    gather,
    link,
    quiet_difference,
    shape_difference,
)
from gtalk.topology import LIPS
from gtalk.types import AUDIO_RATE

DEMO = Path(__file__).parents[3] / "data" / "demo"
FRAMES, SIZE = 250, (1024, 512)
WIDER = np.array([1.0, 1.0, 1.0]) + np.array([0.12, 0.0, 0.0])


@cache
def talking() -> np.ndarray:
    """[T,478,3] true landmarks in pixels, with a detector's noise of 0.3 px; depth by weak perspective."""
    truth = load_truth(DEMO)
    pixels = truth.points_px[:FRAMES]
    turned = truth.landmarks478[:FRAMES] @ truth.T_world_head[:FRAMES, :3, :3].transpose(0, 2, 1)
    scale = np.ptp(pixels[..., 0]) / np.ptp(turned[..., 0])
    whole = np.concatenate([pixels, -scale * turned[..., 2:]], axis=-1)
    return (whole + np.random.default_rng(0).normal(0, 0.3, whole.shape)).astype(np.float32)


@cache
def silent() -> np.ndarray:
    """Another face, larger, whose lips only shiver."""
    points = talking()[::-1].copy()
    middle = points.mean(1, keepdims=True)
    points = (points - middle) * WIDER * 1.35 + middle + [480.0, 0.0, 0.0]
    points[:, LIPS] = points[:1, LIPS] - points[:1].mean(1, keepdims=True) + points.mean(1, keepdims=True)
    points += np.random.default_rng(1).normal(0, 0.3, points.shape)
    return points.astype(np.float32)


def sound() -> np.ndarray:
    return read_audio(DEMO / "clip.mp4").samples[: FRAMES * AUDIO_RATE // 25]


def side_by_side(*people: np.ndarray) -> list[list[Face]]:
    """Faces of every frame, in an order that changes."""
    return [
        [Face(people[(i + index) % len(people)][index]) for i in range(len(people))] for index in range(len(people[0]))
    ]


def test_whose_lips_move_with_the_sound_is_followed_however_small() -> None:
    faces = side_by_side(silent(), talking())
    cast = find_cast(faces, SIZE, sound=sound)
    assert len(cast.people) == 2 and cast.by_sound
    which = cast.people[0].which
    assert all(np.array_equal(faces[i][which[i]].points, talking()[i]) for i in range(FRAMES))
    (words,) = describe_cast(cast, faces, SIZE)
    assert words.startswith("2 people") and "the one at the left is followed, whose lips move" in words
    assert words.endswith("others are at the right for 10.0 s")


def test_without_sound_the_largest_is_followed() -> None:
    faces = side_by_side(silent(), talking())
    for nothing in (None, lambda: np.zeros(FRAMES * 640, np.float32)):
        cast = find_cast(faces, SIZE, sound=nothing)
        assert not cast.by_sound
        assert np.array_equal(faces[7][cast.people[0].which[7]].points, silent()[7])
        assert "who is the largest" in describe_cast(cast, faces, SIZE)[0]


def test_one_person_needs_no_sound() -> None:
    def refuse() -> np.ndarray:
        raise AssertionError("asked for the sound")

    faces = side_by_side(talking())
    cast = find_cast(faces, SIZE, starts=(0, 100), sound=refuse)
    assert len(cast.people) == 1 and sorted(cast.people[0].which) == list(range(FRAMES))
    assert describe_cast(cast, faces, SIZE) == []
    assert find_cast([[], []], SIZE).people == ()


def test_shots_of_one_person_are_brought_together_and_another_person_is_not() -> None:
    closer = (talking()[100:150] - 256) * np.float32(1.4) + np.float32(300)
    other = (silent()[150:210] - [480, 0, 0]).astype(np.float32)
    faces = side_by_side(talking()[:100]) + side_by_side(closer) + side_by_side(other)
    cast = find_cast(faces, SIZE, starts=(0, 100, 150))
    assert [len(person.which) for person in cast.people] == [150, 60]
    assert describe_cast(cast, faces, SIZE) == []  # never together
    sources = [{"name": "a.mp4", "start": 0, "n_frames": 150}, {"name": "b.mp4", "start": 150, "n_frames": 60}]
    (words,) = find_strangers(cast, sources)
    assert words.startswith("b.mp4 shows another person")
    assert find_strangers(cast, sources[:1]) == []


def test_of_one_person_whoever_is_alone_is_meant_however_unlike() -> None:
    points = talking()
    faces = [[Face(p)] for p in [*points[:60], *(points[60:120] * WIDER).astype(np.float32)]]
    runs = link(faces, [60])
    assert len(gather(runs, faces, SIZE)) == 2
    assert [len(person.which) for person in gather(runs, faces, SIZE, one_person=True)] == [120]


def test_bones_of_the_quiet_face_tell_two_people_apart_whatever_else_they_do() -> None:
    points, turned = (
        talking()[:100].astype(np.float64),
        np.array([[0.98, -0.2, 0.0], [0.2, 0.98, 0.0], [0.0, 0.0, 1.0]]),
    )
    grimaces = points[50:].copy()
    grimaces[5:, 351:, 0] *= 1.2
    assert quiet_difference(1.3 * grimaces @ turned, points[:50]) < 0.005
    assert quiet_difference(grimaces * WIDER, points[:50]) > 0.03


def test_a_brief_look_in_the_very_place_is_the_same_person_seen_badly() -> None:
    def shots(badly: np.ndarray) -> list[int]:
        points = talking()[:120].copy()
        points[40:54] = badly
        faces, starts = [[Face(frame)] for frame in points], (40, 54)
        return [len(person.which) for person in gather(link(faces, starts), faces, SIZE)]

    face = talking()[40:54]
    middle = face.mean(1, keepdims=True)
    garbled, aside = middle + (face - middle) * [1.0, 0.8, 1.6], np.array([60.0, 0.0, 0.0])
    assert shots(garbled) == [120]
    assert shots(garbled + aside) == [106, 14]  # elsewhere: somebody else


def test_shapes_do_not_depend_on_pose_but_on_the_person() -> None:
    shapes = [face_shape(talking()[a : a + 50]) for a in (0, 60, 120, 180)]
    same = max(shape_difference(a, b) for a in shapes for b in shapes)
    other = min(shape_difference(face_shape(silent()[:50]), shape) for shape in shapes)
    assert same < 0.02 and other > 0.035


def test_runs_end_where_the_face_is_elsewhere_or_long_gone() -> None:
    here, there = Face(talking()[0]), Face(talking()[0] + np.float32(600))
    runs = link([[here]] * 5 + [[]] * 5 + [[here]] * 5 + [[there]] * 4 + [[]] * 13 + [[there]], ())
    assert sorted((run.frames[0], len(run.frames)) for run in runs) == [(0, 10), (15, 4), (32, 1)]
    assert sorted(run.frames[0] for run in link([[here]] * 9, (0, 4))) == [0, 4]
    both = link([[here, there], [there, here], [there]], ())
    assert sorted((run.which, run.frames) for run in both) == [([0, 1], [0, 1]), ([1, 0, 0], [0, 1, 2])]
    assert len(gather(both, [[here, there], [there, here], [there]], SIZE)) == 2


def test_somebody_whose_shape_is_known_is_found_though_another_is_larger_or_alone() -> None:
    own, other = talking(), silent()
    meant = face_shape(own[::5])
    both = side_by_side(own, other)
    which, _ = find_like(both, (), meant)
    assert sorted(which) == list(range(FRAMES))
    assert all(np.array_equal(both[index][number].points, own[index]) for index, number in which.items())
    cut = [[Face(own[i])] for i in range(100)] + [[Face(other[i])] for i in range(100, 180)]
    cut += [[Face(own[i])] for i in range(180, FRAMES)]
    which, _ = find_like(cut, (100, 180), meant)
    assert sorted(which) == [*range(100), *range(180, FRAMES)]
    nobody, difference = find_like([[Face(points)] for points in other], (), meant)
    assert nobody == {} and difference > 0.03

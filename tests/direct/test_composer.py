import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.direct.composer import LATE_S, MOST_STEP, Composer
from gtalk.direct.score import Event
from gtalk.direct.tracks import every_track, track_of

FPS = 25.0
N = 120  # frames that are looked at
LEVELS = [name for name in every_track() if track_of(name).kind == "level"]
SWINGS = ["head.nod", "head.shake", "blink"]


@st.composite
def events(draw, tracks=(*LEVELS[:4], "gaze.yaw", "head.turn", "articulation.lips", *SWINGS)) -> Event:
    track = track_of(name := draw(st.sampled_from(tracks)))
    start = draw(st.floats(0, 2.5))
    return Event(
        name, draw(st.floats(track.low, track.high)), start, start + draw(st.floats(0, 2)),
        draw(st.floats(0, 1.5)), draw(st.floats(0, 1.5)), draw(st.floats(0, 3)), draw(st.integers(1, 4)),
    )  # fmt: skip


def run(composer: Composer, cuts: list[int], fps: float = FPS) -> list[dict[str, float]]:
    return [m for a, b in itertools.pairwise(cuts) for m in composer(a, b - a, fps)]


def curve(track: str, *asked: Event) -> np.ndarray:
    return np.array([moment.get(track, 0.0) for moment in run(Composer(asked), [0, 125])])


@settings(max_examples=20)
@given(st.lists(events(), max_size=8), st.randoms(use_true_random=False), st.lists(st.integers(0, N), max_size=6))
def test_neither_order_nor_cuts_change_a_bit(asked, shuffle, cuts) -> None:
    whole = run(Composer(asked), [0, N])
    other = list(asked)
    shuffle.shuffle(other)
    assert run(Composer(other), sorted([0, *cuts, N])) == whole


@settings(max_examples=15)
@given(st.lists(events(), max_size=5), events())
def test_weight_0_is_absent(asked, more) -> None:
    nothing = Event(more.track, more.value, more.start_s, more.end_s, weight=0.0)
    assert run(Composer([*asked, nothing]), [0, N]) == run(Composer(asked), [0, N])


@settings(max_examples=30)
@given(events(tracks=LEVELS))
def test_weight_1_alone_is_exact_and_nothing_elsewhere(event) -> None:
    alone = Event(event.track, event.value, event.start_s, event.end_s)
    neutral = track_of(event.track).neutral
    for i, moment in enumerate(run(Composer([alone]), [0, N])):
        if alone.start_s + 1e-9 <= i / FPS <= alone.end_s:
            assert moment.get(event.track, neutral) == alone.value
        ease = max(alone.ease_in_s, 0.6) + 1 / FPS
        if i / FPS < alone.start_s - ease or i / FPS > alone.end_s + ease:
            assert moment.get(event.track, neutral) == neutral


@settings(max_examples=30)
@given(st.lists(events(tracks=LEVELS[:3] + LEVELS[-6:]), max_size=8), st.sampled_from([25.0, 30.0, 60.0]))
def test_no_level_changes_by_more_than_a_tenth_of_its_range_a_frame(asked, fps) -> None:
    moments = run(Composer(asked), [0, N], fps)
    for channel in {c for m in moments for c in m}:
        track = track_of(channel)
        values = np.array([m.get(channel, track.neutral) for m in moments])
        assert np.abs(np.diff(values)).max() <= MOST_STEP * (track.high - track.low) * (1 + 1e-9)
        assert track.low - 1e-9 <= values.min() and values.max() <= track.high + 1e-9


def test_a_replaced_score_is_continuous_too() -> None:
    composer = Composer([Event("emotion.happy", 1.0, 0.0, 9.0), Event("region.brows", "sad:0.9", 0.0, 9.0)])
    before = run(composer, [0, 50])
    composer.put([])
    after = run(composer, [50, 80])
    happy = [m.get("emotion.happy", 0.0) for m in before + after]
    brows = [m.get("region.brows", 0.0) for m in before + after]
    for values in (happy, brows):
        assert np.abs(np.diff(values)).max() <= 0.1 + 1e-9
        assert values[0] > 0.8 and values[-1] == 0.0


def test_two_of_one_track_share_and_one_alone_does_not() -> None:
    one = Event("head.turn", 10.0, 1.0, 5.0)
    two = Event("head.turn", -20.0, 1.0, 5.0)
    both = run(Composer([one, two]), [0, 100])
    assert both[75]["head.turn"] == pytest.approx(-5.0)
    light = Event("head.turn", -20.0, 1.0, 5.0, weight=0.25)
    assert run(Composer([light]), [0, 100])[75]["head.turn"] == pytest.approx(-5.0)


def test_swings_count_and_turn_where_they_should() -> None:
    nods = curve("head.nod", Event("head.nod", 8.0, 1.0, 3.0, times=4))
    peaks = np.flatnonzero((nods[1:-1] > nods[:-2]) & (nods[1:-1] >= nods[2:])) + 1
    assert len(peaks) == 4 and np.abs(nods[peaks] - 8.0).max() < 0.3
    np.testing.assert_allclose(peaks / 25, [1.25, 1.75, 2.25, 2.75], atol=0.041)
    shake = curve("head.shake", Event("head.shake", 9.0, 1.0, 2.2, times=2))
    assert shake.max() == pytest.approx(9.0, abs=0.5) and shake.min() == pytest.approx(-9.0, abs=0.5)
    assert np.abs(np.diff(shake)[:25]).max() < 1.0  # begins at rest
    lids = curve("blink", Event("blink", 1.0, 1.0, 1.8, times=2))
    assert (np.diff((lids > 0.5).astype(int)) == 1).sum() == 2 and lids.max() > 0.9


def test_overlapping_swings_are_continuous() -> None:
    asked = [Event("head.nod", 8.0, 1.0, 1.6), Event("head.nod", 8.0, 1.2, 1.8), Event("head.nod", 4.0, 1.3, 1.9)]
    nods = np.array([m.get("head.nod", 0.0) for m in run(Composer(asked), [0, 1000], 400.0)])
    assert np.abs(np.diff(nods)).max() < 0.25 and nods.max() <= 8.0 + 1e-9


def test_what_comes_late_begins_after_now_and_what_is_over_is_left_out() -> None:
    composer = Composer()
    run(composer, [0, 50])
    smiles, over = Event("emotion.smile", 0.8, 0.5, 4.0), Event("emotion.sad", 1.0, 0.0, 1.0)
    composer.add_late([smiles, over, Event("head.nod", 8.0, 1.8, 2.4)], 2.0)
    moments = run(composer, [50, 150])
    smile = np.array([m.get("emotion.smile", 0.0) for m in moments])
    nod = np.array([m.get("head.nod", 0.0) for m in moments])
    assert (smile[: round(LATE_S * FPS)] == 0).all() and smile.max() == 0.8
    assert nod[: round(LATE_S * FPS)].max() == 0 and nod.max() > 7.0
    assert not any("emotion.sad" in m for m in moments)


def test_regions_take_part_of_an_expression_over() -> None:
    from gtalk.direct.recipes import Asked, Tables
    from gtalk.rig.expression import named
    from gtalk.rig.shapes import index

    moment = run(Composer([Event("emotion.smile", 1.0), Event("region.brows", "sad:0.8+frown:0.2")]), [50, 51])[0]
    assert moment["region.brows"] == 1.0 and moment["region.brows|sad"] == 0.8 and moment["region.brows|frown"] == 0.2
    asked = Asked.of(moment, Tables())
    assert asked.weights[index("mouthSmileLeft")] == pytest.approx(0.75)
    assert asked.weights[index("browInnerUpLeft")] == pytest.approx(0.8 * named("sad").weights["browInnerUpLeft"])
    assert asked.weights[index("mouthFrownLeft")] == 0.0


def test_ten_thousand_events_are_many_but_bounded_work() -> None:
    names = [*LEVELS, *SWINGS]
    asked = 40 * [Event(names[i % len(names)], None, 198.0 + i / 50, 200.0 + i / 50) for i in range(250)]
    composer = Composer(asked)
    moments = composer(5000, 10, FPS)
    assert len(moments) == 10 and all(moments)

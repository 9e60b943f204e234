import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.direct.directors.sound import events_of_sources
from gtalk.errors import UserError
from gtalk.hearing.direction import (
    Direction,
    DirectionFinder,
    azimuth_of_delay,
    delay_of_azimuth,
    directions,
    panned_azimuth,
)
from gtalk.hearing.tracker import Source, SourceTracker, require_two_ears

RATE = 16_000


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Sound in bursts, as speech has them."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    return 0.1 * rng.standard_normal(n) * (1.2 + np.sin(np.arange(n) * (2 * np.pi * 4 / RATE)))


def from_side(mono: np.ndarray, azimuth_deg: float, louder_db: float = 0.0) -> np.ndarray:
    """Two ears: a delay by the Fourier transform, and a difference of levels."""
    hz = np.fft.rfftfreq(len(mono), 1 / RATE)
    delay = delay_of_azimuth(azimuth_deg)
    early = np.fft.irfft(np.fft.rfft(mono) * np.exp(2j * np.pi * hz * delay), len(mono))
    return np.stack([mono, early * 10 ** (louder_db / 20)], axis=1)


@settings(max_examples=8)
@given(st.floats(-80.0, 80.0))
def test_a_delay_of_the_head_is_found(azimuth) -> None:
    found = list(directions([from_side(noise(0.6), azimuth)], RATE))
    assert found and all(abs(one.azimuth_deg - azimuth) < 2.0 and one.sure > 0.9 for one in found)


@given(st.floats(-90.0, 90.0))
def test_delay_and_azimuth_are_inverse(azimuth) -> None:
    assert azimuth_of_delay(delay_of_azimuth(azimuth)) == pytest.approx(azimuth, abs=0.05)


def test_how_the_sound_is_cut_changes_nothing() -> None:
    x = from_side(noise(1.5), 25.0)
    whole = DirectionFinder(RATE).push(x)
    finder, cuts = DirectionFinder(RATE), [0, 7, 3000, 3001, 15000, len(x)]
    assert [one for a, b in itertools.pairwise(cuts) for one in finder.push(x[a:b])] == whole and len(whole) > 8


def test_mono_is_ahead_level_alone_is_panned_and_contradictions_are_not_believed() -> None:
    mono = noise(1.0)
    assert all(one.azimuth_deg == pytest.approx(0, abs=0.5) for one in directions([from_side(mono, 0.0)], RATE))
    panned = list(directions([from_side(mono, 0.0, 10.0)], RATE))
    assert all(one.azimuth_deg == pytest.approx(panned_azimuth(10.0), abs=0.5) for one in panned)
    assert panned_azimuth(0.0) == 0.0 and panned_azimuth(-10.0) == -panned_azimuth(10.0)
    tracker = SourceTracker()
    assert not tracker.push(directions([from_side(noise(4.0), 40.0, -6.0)], RATE)) and tracker.contradicts


def test_wide_sound_has_no_direction_and_silence_none() -> None:
    wide = np.stack([noise(3.0, 1), noise(3.0, 2)], axis=1)
    assert max(one.sure for one in directions([wide], RATE)) < 0.3
    assert not list(directions([np.zeros((RATE, 2))], RATE))


def heard(*parts: tuple[float, float], level_db: float = -20.0) -> list[Direction]:
    """Sure directions every .1 s: (seconds, azimuth) after each other; NaN is silence."""
    out, time_s = [], 0.0
    for seconds, azimuth in parts:
        for _ in range(round(seconds * 10)):
            if not np.isnan(azimuth):
                out.append(Direction(time_s, azimuth, 1.0, level_db))
            time_s += 0.1
    return out


def test_a_source_needs_agreement_and_is_lost_in_silence() -> None:
    found = SourceTracker().push(
        heard((1.0, -30.0), (0.1, 50.0), (1.0, -30.0), (1.0, 20.0), (3.0, np.nan), (0.5, 20.0))
    )
    assert [s.azimuth_deg if s.azimuth_deg is None else round(s.azimuth_deg) for s in found] == [-30, 20, None, 20]
    assert found[1].start_s == pytest.approx(2.1) and found[2].start_s == pytest.approx(3.0 + 1.5)


def test_a_bang_is_followed_at_once() -> None:
    calm = heard((1.0, 0.0), level_db=-40.0)
    found = SourceTracker().push([*calm, Direction(1.0, 60.0, 0.9, -12.0)])
    assert found[-1] == Source(1.0, 60.0, sudden=True)


def test_a_source_that_walks_is_followed() -> None:
    walk = [Direction(i / 10, 3.0 * i - 30, 1.0, -20.0) for i in range(21)]
    told = [s.azimuth_deg for s in SourceTracker().push(walk)]
    assert told == sorted(told, key=lambda a: a or 0.0) and told[-1] == pytest.approx(30, abs=10)


def test_the_face_turns_and_looks_at_the_camera_when_it_answers() -> None:
    sources = [Source(1.0, 30.0, sudden=True), Source(4.0, -20.0), Source(6.0, 3.0), Source(8.0, None)]
    events = events_of_sources(sources, 20.0, own=[(4.8, 5.4)])
    turns = [(e.value, round(e.start_s, 2), round(e.end_s, 2)) for e in events if e.track == "attend.yaw"]
    assert turns == [(30.0, 1.14, 4.2), (-20.0, 4.2, 4.5), (-20.0, 5.4, 6.2), (0.0, 6.2, 8.2)]
    assert {e.track for e in events if e.start_s == pytest.approx(1.14)} == {
        "attend.yaw",
        "shape.eyeWide",
        "shape.browInnerUp",
    }
    mirrored = events_of_sources(sources[:1], 20.0, mirrored=True)
    assert mirrored[0].value == -30.0
    assert json.dumps([e.plain() for e in events])


@pytest.mark.parametrize(
    ("channels", "levels", "says"), [(1, [0.5], "two channels"), (6, [0.5] * 6, "6"), (2, [0.5, 0.0], "silent right")]
)
def test_what_has_no_directions(channels, levels, says) -> None:
    with pytest.raises(UserError, match=says):
        require_two_ears(channels, np.array(levels), "hears x.wav")

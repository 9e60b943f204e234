from gtalk.direct.directors.sound import Turning
from gtalk.hearing.tracker import Source


def yaws(events) -> list[float]:
    return [event.value for event in events if event.track == "attend.yaw"]


def test_a_place_is_held_while_it_is_followed_and_left_when_it_falls_silent() -> None:
    turning = Turning()
    assert yaws(turning.push([Source(0.1, 30.0)], 0.5)) == [30.0] and turning.yaw_deg == 30.0
    assert not turning.push([], 0.6), "asked for already"
    again = turning.push([], 1.1)
    assert yaws(again) == [30.0] and again[0].end_s > 2.0
    assert not turning.push([Source(1.5, None)], 1.6) and turning.yaw_deg is None
    assert not turning.push([], 9.0)


def test_what_is_ahead_is_the_camera_and_own_ears_are_mirrored() -> None:
    assert yaws(Turning().push([Source(0.0, 5.0)], 1.0)) == [0.0]
    assert yaws(Turning(mirrored=True).push([Source(0.0, 30.0)], 1.0)) == [-30.0]
    assert yaws(Turning().push([Source(0.0, -170.0)], 1.0)) == [-90.0]


def test_a_bang_startles_but_not_whoever_speaks_and_who_speaks_turns_afterwards() -> None:
    tracks = {event.track for event in Turning().push([Source(0.0, 40.0, sudden=True)], 1.0)}
    assert tracks == {"attend.yaw", "shape.eyeWide", "shape.browInnerUp"}
    turning = Turning()
    assert not turning.push([Source(0.0, 40.0, sudden=True)], 1.0, speaks=True)
    assert yaws(turning.push([], 2.0)) == [40.0]

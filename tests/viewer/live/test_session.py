"""The live clock, run faster than real time by a clock of the test's own."""

import numpy as np
import pytest

from gtalk.direct.score import Event, Score
from gtalk.types import AUDIO_RATE
from gtalk.viewer.audio.sources import PushSource, speech_source
from gtalk.viewer.live.frames import LiveFrame
from tests.viewer.live_servers import bursts, run, still_session, voice


def test_ticks_keeps_sound_and_image_together() -> None:
    session, clock = still_session()
    listener = session.listen(lambda: None)
    source = PushSource("tts", audible=True, bounded=False)
    session.play(source)
    heard, times = [], []
    for second in range(20):
        source.push(voice(1.0) * (second % 2))
        for _ in range(5):
            run(session, clock, 5)
            heard += [frame.samples for frame in listener.frames]
            times += [frame.time_s for frame in listener.frames]
            listener.frames.clear()
    np.testing.assert_allclose(times, np.arange(len(times)) / 25, atol=1e-9)
    sound = np.concatenate(heard)
    expected = np.concatenate([voice(1.0) * (s % 2) for s in range(20)])[: len(sound)]
    np.testing.assert_array_equal(sound, expected)
    assert session.n_dropped == 0
    assert len(session._taken) <= 4


def test_late_images_are_dropped_but_their_sound_is_not() -> None:
    session, clock = still_session()
    listener = session.listen(lambda: None)
    run(session, clock, 25)
    listener.frames.clear()
    clock.now_s += 0.5  # the machine was busy
    for _ in range(12):
        session.tick()
    assert session.n_dropped > 5
    assert all(len(frame.samples) == 640 for frame in listener.frames)
    dropped = session.n_dropped
    run(session, clock, 25)
    assert session.n_dropped - dropped <= 2


@pytest.mark.parametrize("by", ["speech", "microphone"])
def test_barge_in_shuts_the_mouth_within_three_ticks_and_empties_the_queues(by: str) -> None:
    session, clock = still_session()
    listener = session.listen(lambda: None)
    source = PushSource(by, audible=by == "speech", bounded=False)
    source.push(voice(10.0))
    session.play(source) if by == "speech" else session.hear(source)
    run(session, clock, 50)
    open_before = listener.frames[-1].aperture
    session.interrupt()
    assert not listener.frames
    assert listener.flushed
    run(session, clock, 8)
    frames = list(listener.frames)
    assert open_before > 0.02
    assert all(np.abs(frame.samples).max() == 0 for frame in frames)
    # Ticks come 40 ms apart, so the first comes at most 40 ms after the interruption, the second at most 80 ms.
    assert [frame.aperture < 0.05 * open_before for frame in frames] == [False] + [True] * 7
    assert session.source is (None if by == "speech" else source)


def test_a_microphone_waits_while_the_avatar_speaks_and_does_not_hear_it() -> None:
    session, clock = still_session()
    listener = session.listen(lambda: None)
    microphone, speech = PushSource("microphone", audible=False), PushSource("text", audible=True, bounded=False)
    session.hear(microphone)
    speech.push(voice(1.0))
    speech.close()
    session.play(speech)
    heard = []
    for tick in range(75):
        level = 0.0 if tick < 4 else 0.2 if tick < 33 else 0.9  # the echo of its own speech, then the visitor
        microphone.push(np.full(640, level, np.float32))
        run(session, clock, 1)
        heard += [(frame.audible, float(np.abs(frame.samples).max())) for frame in listener.frames]
        listener.frames.clear()
    assert [audible for audible, _ in heard[:25]] == [True] * 25
    assert all(level < 0.31 for _, level in heard[:32]), "deaf while it speaks and for 0.3 s after"
    assert all(level > 0.89 for _, level in heard[34:]), "then the visitor drives it again"
    assert session.source is microphone
    assert microphone.buffered_s <= 0.04


@pytest.mark.parametrize(("gain", "echo_cancelled"), [(0.25, False), (0.02, True)])
def test_a_voice_cuts_in_at_once_and_the_avatars_own_echo_never(gain: float, echo_cancelled: bool) -> None:
    session, clock = still_session()
    listener = session.listen(lambda: None)
    microphone = PushSource("microphone", audible=False, echo_cancelled=echo_cancelled)
    speech = PushSource("text", audible=True, bounded=False)
    speech.push(np.tile(bursts(4.0, 0.7), 10))
    session.hear(microphone)
    session.play(speech)
    rng = np.random.default_rng(0)
    air = np.zeros(round(0.28 * AUDIO_RATE), np.float32)  # what was handed out and has not come back yet

    def tick(voice_level: float) -> None:
        nonlocal air
        echo, air = air[:640], air[640:]
        said = voice_level * rng.normal(size=640)
        microphone.push((gain * echo + said + 0.001 * rng.normal(size=640)).astype(np.float32))
        run(session, clock, 1)
        new = [frame.samples if frame.audible else np.zeros(640, np.float32) for frame in listener.frames]
        air = np.concatenate([air, *new, np.zeros(max(0, 640 - len(air)), np.float32)])
        listener.frames.clear()

    for _ in range(25 * 20):
        tick(0.0)
        assert session.source is speech, f"its own voice cut it off at {clock.now_s:.2f} s"
    voice_level = 0.1 if echo_cancelled else 0.5
    began = clock.now_s
    while session.source is speech and clock.now_s - began < 1.0:
        tick(voice_level)
    assert session.source is microphone
    assert clock.now_s - began < 0.125, "with the way of the sound, within 150 ms"
    assert listener.flushed


def test_a_voice_does_not_cut_in_where_that_is_switched_off() -> None:
    session, clock = still_session(16)
    microphone = PushSource("microphone", audible=False)
    speech = PushSource("text", audible=True, bounded=False)
    speech.push(0.05 * voice(5.0))
    session.hear(microphone)
    session.play(speech)
    session.barge_in = False
    for _ in range(50):
        microphone.push(voice(0.04))
        run(session, clock, 1)
    assert session.source is speech
    session.barge_in = True
    microphone.push(voice(0.2))
    run(session, clock, 1)
    assert session.source is microphone


def test_no_image_waits_longer_than_the_look_ahead() -> None:
    session, clock = still_session(16, lookahead_s=0.1)  # two and a half ticks
    listener = session.listen(lambda: None)
    source = PushSource("microphone", audible=False)
    session.hear(source)
    sound, lags = voice(2.0), []
    for _ in range(25):
        count = session._tick_samples()
        source.push(sound[:count], captured_ms=clock.now_s * 1e3)
        sound = sound[count:]
        clock.now_s += count / AUDIO_RATE
        session.tick()
        for frame in listener.frames:
            lags.append(clock.now_s - frame.heard_ms / 1e3)
            assert frame.time_s == pytest.approx(len(lags) / 25 - 0.04)
        listener.frames.clear()
    np.testing.assert_allclose(lags[1:], 0.1, atol=1e-6)
    assert len(lags) == 23


def test_speech_that_begins_within_a_image_is_heard_from_its_first_sample() -> None:
    session, clock = still_session(16, lookahead_s=0.1)
    listener = session.listen(lambda: None)
    run(session, clock, 8)
    listener.frames.clear()
    source = PushSource("text", audible=True, bounded=False)
    source.push(np.full(6400, 0.5, np.float32))
    session.play(source)
    run(session, clock, 8)
    played = np.concatenate([f.samples for f in listener.frames if f.audible])
    assert np.count_nonzero(played) == sum(np.count_nonzero(f.samples) for f in listener.frames)


def test_pitch_is_that_of_the_sound() -> None:
    session, clock = still_session(16)
    listener = session.listen(lambda: None)
    source = PushSource("text", audible=True, bounded=False)
    source.push((0.3 * np.sin(2 * np.pi * 180.0 * np.arange(AUDIO_RATE) / AUDIO_RATE)).astype(np.float32))
    session.play(source)
    run(session, clock, 20)
    assert abs(listener.frames[-1].pitch_hz - 180.0) < 2.0
    run(session, clock, 40)
    assert listener.frames[-1].pitch_hz == 0.0


def test_a_slow_listener_loses_its_own_frames_only() -> None:
    session, clock = still_session()
    slow, quick = session.listen(lambda: None), session.listen(lambda: None)
    seen = 0
    for _ in range(100):
        run(session, clock, 1)
        seen += len(quick.frames)
        quick.frames.clear()
    assert seen >= 97
    assert len(slow.frames) == 12
    session.leave(slow)
    assert session.stats().listeners == 1


def test_what_is_pushed_late_is_silence_in_between() -> None:
    session, clock = still_session()
    listener = session.listen(lambda: None)
    source = PushSource("mic", audible=False)
    session.hear(source)
    source.push(voice(0.02))
    run(session, clock, 10)
    sound = np.concatenate([f.samples for f in listener.frames])
    assert np.abs(sound[:320]).max() > 0.1
    assert np.abs(sound[320:]).max() == 0


def test_nothing_is_drawn_while_nobody_looks() -> None:
    session, clock = still_session()
    run(session, clock, 20)
    assert session.stats().drawn == session.n_dropped == 0
    listener = session.listen(lambda: None)
    run(session, clock, 10)
    assert session.stats().drawn == 10
    assert all(frame.jpeg is not None for frame in listener.frames)


def test_sound_that_is_cut_off_while_its_image_is_drawn_is_not_handed_out() -> None:
    session, clock = still_session()
    listener = session.listen(lambda: None)
    source = PushSource("text", audible=True, bounded=False)
    source.push(voice(5.0))
    session.play(source)
    run(session, clock, 20)
    drawn = session.talker.draw

    def cut_meanwhile(moments, view=None):
        session.interrupt()
        return drawn(moments, view)

    session.talker.draw = cut_meanwhile
    run(session, clock, 1)
    session.talker.draw = drawn
    run(session, clock, 5)
    assert listener.frames
    assert all(np.abs(frame.samples).max() == 0 for frame in listener.frames)


def test_light_and_framing_of_a_score_are_seen_while_it_is_spoken() -> None:
    session, clock = still_session()
    shown = []
    session.on_moment = lambda moment, frame: shown.append(frame.rgb.astype(float))
    run(session, clock, 10)
    source = PushSource("directed speech", audible=True, bounded=False)
    source.push(voice(2.0))
    session.perform(source, Score((Event("look.light", -1.0, 0.8, 1.2, 0.2, 0.2),)), 2.0)
    run(session, clock, 60)
    light = np.array([rgb.mean() for rgb in shown])
    assert light[28:32].mean() < 0.6 * light[:8].mean() and light[-5:].mean() > 0.95 * light[:8].mean()


def test_more_is_said_when_what_waits_is_over_and_how_much_was_shown_is_known() -> None:
    session, clock = still_session()
    source = PushSource("speech", audible=True, bounded=False)
    assert session.speak_on(source, voice(1.0)) is None, "not played yet"
    session.play(source)
    run(session, clock, 3)
    first_s = session.speak_on(source, voice(0.4))
    second_s = session.speak_on(source, voice(0.2))
    assert first_s is not None and second_s == pytest.approx(first_s + 0.4)
    heard: list[LiveFrame] = []
    listener = session.listen(lambda: listener.frames and heard.append(listener.frames.popleft()))
    run(session, clock, 8)
    sound = np.concatenate([frame.samples for frame in heard])
    begun_s = heard[0].time_s + np.flatnonzero(sound)[0] / AUDIO_RATE
    assert begun_s == pytest.approx(first_s, abs=2e-3)
    shown_s = heard[-1].time_s + 0.04 - first_s
    assert source.shown_s == pytest.approx(shown_s, abs=1e-3) and not source.all_shown
    source.close()
    run(session, clock, 15)
    assert source.all_shown and source.shown_s == pytest.approx(0.6)
    session.play(other := PushSource("other", audible=True, bounded=False))
    session.speak_on(other, voice(1.0))
    run(session, clock, 10)
    session.interrupt()
    run(session, clock, 10)
    assert session.speak_on(other, voice(1.0)) is None and 0.2 < other.shown_s < 0.45, "cut off"


def test_who_listens_in_the_faces_place_hears_the_microphone_and_when_it_may_be_an_echo() -> None:
    session, clock = still_session()
    heard: list[tuple[int, bool]] = []
    session.on_heard = lambda samples, deaf: heard.append((int(np.count_nonzero(samples)), deaf))
    microphone = PushSource("microphone", audible=False)
    session.hear(microphone)
    frames: list[LiveFrame] = []
    listener = session.listen(lambda: listener.frames and frames.append(listener.frames.popleft()))
    for _ in range(10):
        microphone.push(voice(0.04))
        run(session, clock, 1)
    assert sum(count for count, deaf in heard if not deaf) > 5000
    assert max(frame.aperture for frame in frames) < 0.01, "the face does not mouth what it hears"
    heard.clear()
    session.play(speech_source(voice(0.1)))
    microphone.push(0.01 * voice(0.04))
    run(session, clock, 2)
    assert heard and all(deaf for _, deaf in heard)

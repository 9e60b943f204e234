"""Talker: frame counts, chunking, sound, edits, barge-in, memory, bad samples."""

import gc
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.basis import MOUTH_GROUP
from gtalk.errors import UserError
from gtalk.talk import Talker, View
from gtalk.types import AUDIO_RATE, Motion
from tests.support.toys import ToyAvatar, motion_of, speech_like, toy_talker


def aperture(motion: Motion) -> np.ndarray:
    """Largest opening of the inner lips, metres."""
    return np.ptp(motion.landmarks[:, 60:68, 1], axis=1)


@settings(max_examples=25, deadline=None)
@given(
    n_samples=st.integers(0, 12_000),
    cuts=st.lists(st.integers(0, 12_000), max_size=12),
    fps=st.sampled_from([25.0, 12.0, 29.97, 50.0]),
    batch=st.integers(1, 5),
)
def test_chunking_and_batching_change_nothing(n_samples, cuts, fps, batch):
    sound = speech_like(1.0)[:n_samples]
    whole = list(toy_talker(16, fps=fps).stream([sound]))
    edges = [0, *sorted(min(c, n_samples) for c in cuts), n_samples]
    parts = [sound[a:b] for a, b in pairwise(edges)]
    chunked = list(toy_talker(16, fps=fps, batch=batch).stream(parts))
    exact = {25.0: (25, 1), 12.0: (12, 1), 29.97: (30_000, 1001), 50.0: (50, 1)}[fps]
    assert len(whole) == len(chunked) == -(-n_samples * exact[0] // (AUDIO_RATE * exact[1]))
    for a, b in zip(whole, chunked, strict=True):
        assert a.time_s == b.time_s
        np.testing.assert_array_equal(a.rgb, b.rgb)
        np.testing.assert_array_equal(a.alpha, b.alpha)
        np.testing.assert_array_equal(a.samples, b.samples)
        np.testing.assert_array_equal(a.motion.head_pose, b.motion.head_pose)
    if whole:
        np.testing.assert_array_equal(np.concatenate([f.samples for f in whole]), sound)


def test_a_frame_longer_than_the_look_ahead_waits_for_its_own_sound():
    sound = speech_like(1.0)
    session = toy_talker(16, fps=8.0).session()
    frames = [f for start in range(0, 16_000, 100) for f in session.push(sound[start : start + 100])]
    frames += session.finish()
    assert [len(f.samples) for f in frames] == [2000] * 8
    np.testing.assert_array_equal(np.concatenate([f.samples for f in frames]), sound)


def test_session_pushes_equal_stream():
    sound = speech_like(2.0)
    session = toy_talker(16).session()
    frames = [f for start in range(0, len(sound), 333) for f in session.push(sound[start : start + 333])]
    frames += session.finish()
    for a, b in zip(frames, toy_talker(16).stream([sound]), strict=True):
        np.testing.assert_array_equal(a.rgb, b.rgb)


def test_a_frame_comes_as_soon_as_its_look_ahead_has_been_heard():
    session = toy_talker(16).session()
    assert session.push(np.zeros(round(0.08 * AUDIO_RATE) - 1, np.float32)) == []
    assert [f.time_s for f in session.push(np.zeros(1, np.float32))] == [0.0]


def test_mouth_follows_sound_and_images_follow_mouth():
    frames = list(toy_talker(48).stream([speech_like(3.0)]))
    opening = np.array([aperture(f.motion)[0] for f in frames])
    dark = np.array([(255.0 - f.rgb[26:38, 16:32]).sum() for f in frames])
    assert opening[55:].max() < 1e-9 and opening[:45].max() > 0.01
    assert np.corrcoef(opening, dark)[0, 1] > 0.9


def test_render_motion_is_the_path_below_the_motion():
    sound = speech_like(1.5)
    spoken = list(toy_talker(24).stream([sound]))
    motion = Motion.concatenate([f.motion for f in spoken])
    again = list(toy_talker(24, batch=7).render_motion(motion, sound))
    assert len(again) == len(spoken)
    for a, b in zip(spoken, again, strict=True):
        np.testing.assert_array_equal(a.rgb, b.rgb)
        np.testing.assert_array_equal(a.samples, b.samples)
    silent = list(Talker(ToyAvatar(16), None, fps=60.0).render_motion(motion))
    assert len(silent) == np.ceil(len(motion) * 60 / 25)
    assert all(len(f.samples) == 0 for f in silent)


def test_interpolated_motion_lies_between_its_neighbours():
    motion = motion_of(np.linspace(0, 0.03, 30))
    frames = list(toy_talker(16, fps=50.0).render_motion(motion))
    opening = np.array([aperture(f.motion)[0] for f in frames])
    np.testing.assert_allclose(opening[:-1], np.interp(np.arange(59) / 2, np.arange(30), aperture(motion)), atol=1e-12)
    poses = np.stack([f.motion.head_pose[0] for f in frames])
    np.testing.assert_allclose(
        poses[:, :3, :3] @ poses[:, :3, :3].transpose(0, 2, 1), np.tile(np.eye(3), (60, 1, 1)), atol=1e-12
    )


class RunningMean:
    """An edit with memory: eyes become the mean of all frames of its session."""

    def __init__(self):
        self.total, self.count = np.zeros(2), 0

    def __call__(self, motion, start_frame=0):
        eyes = np.empty_like(motion.eyes)
        for i in range(len(motion)):
            self.total, self.count = self.total + motion.eyes[i], self.count + 1
            eyes[i] = self.total / self.count
        return motion.replace(eyes=eyes)


def test_edits_keep_state_within_an_utterance_and_forget_it_after():
    sound = speech_like(1.0)
    talker = toy_talker(16, edits=[RunningMean])
    first = [f.motion.eyes[0, 0] for f in talker.stream([sound])]
    second = [f.motion.eyes[0, 0] for f in talker.stream(np.array_split(sound, 9))]
    plain = [f.motion.eyes[0, 0] for f in toy_talker(16).stream([sound])]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, np.cumsum(plain) / np.arange(1, 26))


def test_two_sessions_of_one_talker_know_nothing_of_each_other():
    sound = speech_like(1.0)
    talker = toy_talker(16, edits=[RunningMean])
    alone = [m.motion.eyes for m in talker.moments([sound])]
    one, two = talker.session(), talker.session()
    both: tuple[list, list] = ([], [])
    for start in range(0, len(sound), 1000):
        for session, seen, piece in ((one, both[0], sound[start : start + 1000]), (two, both[1], sound[:700])):
            seen += [m.motion.eyes for m in session.advance(piece)]
    both[0].extend(m.motion.eyes for m in one.end())
    np.testing.assert_array_equal(both[0], alone)


def test_events_reach_the_edits_of_their_session_and_tell_what_they_can_still_change():
    class Gazing:
        at = 0.0

        def receive(self, event):
            self.at = event

        def __call__(self, motion, start_frame=0):
            starts.append(start_frame)
            return motion.replace(gaze=motion.gaze + self.at)

    starts: list[int] = []
    talker = toy_talker(16, edits=[Gazing])
    session, other = talker.session(), talker.session()
    before = session.advance(speech_like(0.5))
    assert session.post(0.25) == pytest.approx(len(before) / 25)
    after = session.advance(speech_like(0.5)) + session.end()
    assert starts[0] == 0 and starts == sorted(set(starts))
    assert [m.motion.gaze[0, 0] for m in before + after] == [0.0] * len(before) + [0.25] * len(after)
    assert other.advance(speech_like(0.5))[-1].motion.gaze[0, 0] == 0.0


def test_interrupt_eases_the_mouth_shut_silences_what_is_pending_and_speaks_again():
    talker = toy_talker(16)
    loud = np.full(AUDIO_RATE, 0.3, np.float32)
    session = talker.session()
    before = session.push(loud)
    session.interrupt()
    after = session.push(np.zeros(AUDIO_RATE // 2, np.float32)) + session.push(loud) + session.finish()
    frames = before + after
    assert len(frames) == np.ceil((2.5 * AUDIO_RATE) * 25 / AUDIO_RATE)
    opening = np.array([aperture(f.motion)[0] for f in frames])
    cut = len(before)
    assert opening[cut - 1] > 0.025
    assert opening[cut + 4 : cut + 8].max() < 1e-9, "shut within 160 ms"
    assert (np.diff(opening[cut - 1 : cut + 4]) <= 0).all()
    assert -np.diff(opening[cut - 1 : cut + 5]).min() < 0.6 * opening[cut - 1], "no jump"
    pending = np.concatenate([f.samples for f in frames])[cut * 640 : AUDIO_RATE]
    assert len(pending) > 0 and not pending.any()
    assert opening[45:].max() > 0.025, "speaks again"
    heads = np.stack([f.motion.head_pose[0] for f in frames])
    assert np.abs(np.diff(heads, axis=0)).max() < 0.02, "the head goes on"


def test_speech_right_after_an_interrupt_still_begins_from_closed_lips():
    session = toy_talker(16).session()
    loud = np.full(AUDIO_RATE, 0.3, np.float32)
    before = session.push(loud)
    session.interrupt()
    frames = before + session.push(loud) + session.finish()
    opening = np.array([aperture(f.motion)[0] for f in frames])
    assert opening[len(before) + 3] < 1e-9 < opening[-5]
    assert np.abs(np.diff(opening[len(before) - 1 :])).max() < 0.6 * opening.max()


def test_bad_samples_are_silence_and_are_counted():
    sound = np.full(8000, 0.3, np.float32)
    sound[1000:3000:7] = np.nan
    sound[3001] = np.inf
    clean = np.where(np.isfinite(sound), sound, 0).astype(np.float32)
    session, reference = toy_talker(16).session(), toy_talker(16).session()
    got = session.push(sound) + session.finish()
    want = reference.push(clean) + reference.finish()
    assert session.n_bad_samples == np.count_nonzero(~np.isfinite(sound))
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a.rgb, b.rgb)


@pytest.mark.parametrize("samples", [np.zeros((5, 2), np.float32), np.zeros(5, np.int16)])
def test_wrong_samples_are_refused_with_a_remedy(samples):
    with pytest.raises(UserError, match=r"mono floating-point.*got (int16|float32) of shape"):
        toy_talker(16).session().push(samples)


def test_without_a_motion_model_speech_is_a_user_error():
    with pytest.raises(UserError, match="motion train"):
        next(Talker(ToyAvatar(16), None).stream([np.zeros(10, np.float32)]))
    with pytest.raises(UserError, match="batch"):
        toy_talker(16, batch=0)
    with pytest.raises(UserError, match="fps"):
        next(toy_talker(16, fps=0.0).stream([np.zeros(10, np.float32)]))
    with pytest.raises(UserError, match="at least one frame"):
        next(toy_talker(16).render_motion(motion_of(np.zeros(0))))


def test_one_huge_chunk_needs_no_more_memory_than_a_short_one():
    def peak(seconds: int) -> int:
        sound = np.zeros(seconds * AUDIO_RATE, np.float32)
        stream = toy_talker(8, fps=5.0).stream([sound])
        next(stream)
        tracemalloc.start()
        for i, _ in enumerate(stream):
            if i % 50 == 0:
                gc.collect()  # garbage that waits for the collector is not growth
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    # Keeping the samples alone would take 1.5 MB more.
    assert peak(28) < peak(4) + 300_000


def test_view_can_change_while_talking():
    talker = toy_talker(16)
    session = talker.session()
    sound = speech_like(0.5)
    small = talker.draw(session.advance(sound))
    large = talker.draw(session.advance(sound), View(size=(32, 32), background=None))
    assert talker.view.size is None
    assert small[0].rgb.shape == (16, 16, 3) and large[0].rgb.shape == (32, 32, 3)
    assert large[0].rgb[0, 0].max() == 0 < small[0].rgb[0, 0].max()


def test_rest_mouth_is_the_answer_to_silence():
    talker = toy_talker(16)
    np.testing.assert_array_equal(talker.rest_mouth, motion_of(np.zeros(1)).landmarks[0, MOUTH_GROUP])

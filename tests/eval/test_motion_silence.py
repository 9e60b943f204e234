import numpy as np
import pytest

from gtalk.basis import MotionBasis
from gtalk.eval import motion as measures
from gtalk.eval import motion_silence
from gtalk.types import Motion
from tests.support.toys import motion_of


class Mouth:
    """Opens with the loudness of the sound; a MotionModel and its stream."""

    fps, lookahead_s = 25.0, 0.0

    def __init__(self, floor_db: float, late_frames: int = 0) -> None:
        self.floor_db, self.late = floor_db, late_frames
        self.basis = MotionBasis.fit(motion_of(np.random.default_rng(0).uniform(0, 0.01, 60)))

    def stream(self, seed: int = 0) -> "Mouth":
        self.heard = []
        return self

    def push(self, samples: np.ndarray) -> Motion:
        self.heard.append(samples)
        return motion_of(np.zeros(0))

    def finish(self) -> Motion:
        samples = np.concatenate(self.heard)
        count = int(np.ceil(len(samples) / 640))
        loud = measures.loudness_db(samples.astype(np.float32), count, self.fps)
        return motion_of(np.roll(np.clip(loud - self.floor_db, 0, None) * 2e-4, self.late))


SPEECH = (0.1 * np.random.default_rng(0).normal(size=8 * 16_000)).astype(np.float32)
USUAL_M = 0.002


def test_a_mouth_that_hears_only_speech_leaks_nothing() -> None:
    for name, pause in motion_silence.silence_test(Mouth(-30.0), SPEECH, USUAL_M).items():
        assert pause.closed_after_s <= 0.08 and pause.leakage == 0.0, name


def test_a_mouth_that_moves_with_noise_leaks() -> None:
    found = motion_silence.silence_test(Mouth(-70.0), SPEECH, USUAL_M)
    assert found["digital silence"].leakage < 0.01
    assert found["breathing -25 dB"].leakage > 0.3 and found["breathing -25 dB"].closed_after_s > 10


def test_a_late_mouth_closes_late() -> None:
    found = motion_silence.silence_test(Mouth(-30.0, late_frames=10), SPEECH, USUAL_M)
    assert found["digital silence"].closed_after_s == pytest.approx(0.4, abs=0.1)

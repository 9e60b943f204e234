"""Sound that nobody should send, and everybody does."""

import wave

import numpy as np
import pytest

from gtalk.basis import mouth_aperture
from gtalk.eval.motion import aperture, correlation
from gtalk.media.audio import stream_audio
from gtalk.motion.produce import drive, drive_whole
from gtalk.types import Motion
from tests.motion.talking import OPEN_M
from tests.speech.voices import RATE, babble, harmonic, room_noise

SPEECH = babble(4.0, seed=31)[0]


def is_sane(motion: Motion, model) -> bool:
    code = model.basis.encode(motion)[:, model.basis.groups["mouth"]]
    group = model.basis.groups["mouth"]
    inside = (code <= model.basis.high[group] + 1e-6).all() and (code >= model.basis.low[group] - 1e-6).all()
    return bool(np.isfinite(motion.landmarks).all() and np.isfinite(motion.head_pose).all() and inside)


@pytest.mark.parametrize(("rate", "channels", "width"), [(44_100, 2, 2), (48_000, 1, 2), (8_000, 1, 1)])
def test_other_rates_channels_and_depths(model, tmp_path, rate: int, channels: int, width: int) -> None:
    at = np.arange(round(len(SPEECH) * rate / RATE)) * RATE / rate
    samples = np.interp(at, np.arange(len(SPEECH)), SPEECH)
    whole = np.rint(samples * 127 + 128).astype(np.uint8) if width == 1 else np.rint(samples * 32767).astype("<i2")
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.repeat(whole, channels).tobytes())
    motion = Motion.concatenate(list(drive(model, stream_audio(tmp_path / "a.wav"))))
    assert abs(len(motion) - 100) <= 1 and is_sane(motion, model)
    clean = drive_whole(model, SPEECH)[: len(motion)]
    assert correlation(aperture(motion)[: len(clean)], aperture(clean)) > (0.9 if width == 2 else 0.5)


def test_an_offset_does_not_matter(model) -> None:
    shifted, clean = drive_whole(model, SPEECH + np.float32(0.2)), drive_whole(model, SPEECH)
    assert correlation(aperture(shifted), aperture(clean)) > 0.95


@pytest.mark.parametrize("kind", ["clipped", "nan", "music", "loud noise", "tiny"])
def test_the_mouth_stays_a_mouth(model, kind: str) -> None:
    rng = np.random.default_rng(0)
    music = sum(harmonic(hz, 4.0, seed=int(hz)) for hz in (110.0, 138.6, 164.8)) * (
        1 + np.sin(np.arange(64_000) / 4000)
    )
    broken = SPEECH.copy()
    broken[rng.integers(0, len(broken), 5000)] = np.nan
    sounds = {
        "clipped": np.clip(40 * SPEECH, -1, 1),
        "nan": broken,
        "music": music.astype(np.float32),
        "loud noise": np.clip(rng.normal(size=64_000), -1, 1).astype(np.float32),
        "tiny": SPEECH * np.float32(1e-6),
    }
    motion = drive_whole(model, sounds[kind])
    assert len(motion) == 100 and is_sane(motion, model)
    if kind in {"loud noise", "tiny"}:
        assert np.ptp(mouth_aperture(motion.landmarks)) < 0.12 * OPEN_M


def test_ten_milliseconds_are_a_frame(model) -> None:
    motion = drive_whole(model, SPEECH[:160])
    assert len(motion) == 1 and is_sane(motion, model)


def test_memory_and_lips_stay_put_however_long_it_lasts(model) -> None:
    stream = model.stream()
    quiet, kept, spans = room_noise(10.0, -62.0), [], []
    for _ in range(8):
        motion = stream.push(quiet)
        kept.append(stream._rows.nbytes)
        spans.append(np.ptp(mouth_aperture(motion.landmarks)))
    assert max(kept[1:]) - min(kept[1:]) <= 4 * stream._rows[:1].nbytes
    assert max(spans) < 0.12 * OPEN_M

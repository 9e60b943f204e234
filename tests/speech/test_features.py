import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.errors import UserError
from gtalk.speech import phones
from gtalk.speech.base import AudioEncoder, encode
from gtalk.speech.features import SpeechFeatures, extract
from tests.speech.voices import babble, harmonic, room_noise, vowel

SOUND = babble(1.3, seed=3)[0]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "phones"])
def features(request) -> SpeechFeatures:
    if request.param:
        pytest.importorskip("pocketsphinx")
    return SpeechFeatures(request.param)


@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(0, len(SOUND)), max_size=12), length=st.integers(0, len(SOUND)))
def test_any_chunking_gives_the_same_rows(features: SpeechFeatures, cuts: list[int], length: int) -> None:
    sound = SOUND[:length]
    stream, rows = features.stream(), []
    edges = sorted({0, length, *(cut for cut in cuts if cut <= length)})
    for a, b in itertools.pairwise(edges):
        rows.append(stream.push(sound[a:b]))
    rows.append(stream.finish())
    streamed, whole = np.concatenate(rows), encode(features, sound)
    assert streamed.shape == whole.shape == (-(-length // 160), features.size)
    np.testing.assert_allclose(streamed, whole, atol=1e-4)


def test_rows_come_as_soon_as_promised(features: SpeechFeatures) -> None:
    assert isinstance(features, AudioEncoder)
    stream, pushed, rows = features.stream(), 0, 0
    for start in range(0, len(SOUND), 160):
        pushed += 160
        rows += len(stream.push(SOUND[start : start + 160]))
        certain = int((pushed / 16_000 - features.lookahead_s) * 100)
        assert rows >= certain
    assert features.lookahead_s <= 0.09


def test_groups_cover_the_row() -> None:
    features = SpeechFeatures(False)
    covered = np.concatenate([np.arange(g.start, g.stop) for g in features.groups.values()])
    assert covered.tolist() == list(range(features.size))
    assert set(extract(SOUND, phones=False)) == {"mel", "pitch", "energy"}


def test_the_level_of_the_recording_does_not_matter() -> None:
    sound = babble(8.0, seed=1)[0]
    features = SpeechFeatures(False)
    loud, soft = (encode(features.adapted(g * sound), g * sound)[400:] for g in (1.0, 0.2))
    assert np.abs(loud[:, :44] - soft[:, :44]).mean() < 0.05


def test_pitch_is_in_octaves_about_the_voice() -> None:
    low, high = harmonic(110.0, 3.0), harmonic(165.0, 1.0)
    features = SpeechFeatures(False).adapted(low)
    pitch = extract_with(features, np.concatenate([low, high]))["pitch"]
    assert pitch[320:360, 0].mean() - pitch[250:290, 0].mean() == pytest.approx(np.log2(1.5), abs=0.06)
    assert pitch[100:290, 1].min() > 0.9


def extract_with(features: SpeechFeatures, sound: np.ndarray) -> dict[str, np.ndarray]:
    rows = encode(features, sound)
    return {name: rows[:, where] for name, where in features.groups.items()}


def test_noise_is_not_speech_and_a_vowel_in_it_is() -> None:
    noise = room_noise(6.0, -45.0)
    noise[48_000:64_000] += vowel("a", 1.0)
    activity = extract(noise, phones=False)["energy"][:, 1]
    assert activity[100:290].max() < 0.2
    assert np.median(activity[305:395]) > 0.9
    assert activity[430:].max() < 0.2


def test_bad_samples_are_silence() -> None:
    sound = SOUND.copy()
    sound[4000:4100] = np.nan
    sound[9000] = np.inf
    assert np.isfinite(encode(SpeechFeatures(False), sound)).all()


def test_without_pocketsphinx_the_error_names_the_package(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    phones.load_acoustic_model.cache_clear()
    with pytest.raises(UserError, match="pip install 'pocketsphinx"):
        SpeechFeatures().stream()
    phones.load_acoustic_model.cache_clear()


def test_phone_rows_are_log_posteriors() -> None:
    pytest.importorskip("pocketsphinx")
    rows = extract(np.concatenate([room_noise(1.0, -60.0), SOUND]))["phones"]
    np.testing.assert_allclose(np.exp(rows).sum(1), 1.0, atol=0.02)
    names = list(phones.load_acoustic_model().phones)
    quiet = np.exp(rows[20:90][:, [names.index(p) for p in ("SIL", "+NSN+", "+SPN+")]]).sum(1)
    assert np.median(quiet) > 2 * 3 / 42  # of a flat distribution

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from torch.nn import functional as F

from demo_person.speaking.visemes import segments
from demo_person.truth import load_truth
from gtalk.errors import UserError
from gtalk.media.audio import read_audio
from gtalk.speech import student as ears
from gtalk.speech.base import encode
from gtalk.speech.features import SpeechFeatures
from gtalk.speech.student import (
    BLOCKS,
    KERNEL,
    LAG_ROWS,
    N_BANDS,
    QUIET,
    STEM_ROWS,
    STUDENT_SIZE,
    STUDENT_VERSION,
    VISEMES,
    load_student,
    read_student,
)

WEIGHTS = Path(ears.__file__).with_name("ears.safetensors")
DEMO = Path(__file__).parents[2] / "data" / "demo"
MEL = np.random.default_rng(0).uniform(QUIET, 2.0, (240, N_BANDS)).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 60), max_size=8))
def test_any_chunking_gives_the_same_rows(cuts: list[int]) -> None:
    whole = load_student().stream().push(MEL)
    assert whole.shape == (len(MEL), STUDENT_SIZE)
    stream, parts, at = load_student().stream(), [], 0
    for cut in [*cuts, len(MEL)]:
        parts.append(stream.push(MEL[at : at + cut]))
        at += cut
    parts.append(stream.push(MEL[at:]))
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-5)


def test_it_is_a_plain_convolution_that_needs_lag_rows_of_the_future() -> None:
    arrays = {name: torch.from_numpy(value.astype(np.float32)) for name, value in load_file(WEIGHTS).items()}
    reach = sum((KERNEL - 1) * dilation for dilation, _ in BLOCKS)
    past = 2 * (reach - (LAG_ROWS - 1) // 2) + STEM_ROWS - 2
    x = torch.cat([torch.full((past, N_BANDS), QUIET), torch.from_numpy(MEL)]).T[None]
    x = F.conv1d(x, arrays["stem"].unflatten(0, (STEM_ROWS, -1)).permute(2, 1, 0), arrays["stem_bias"], stride=2)
    for i, (dilation, future) in enumerate(BLOCKS):
        taps = arrays[f"taps{i}"].unflatten(0, (KERNEL, -1)).permute(2, 1, 0)
        y = F.conv1d(x, taps, arrays[f"bias{i}"], dilation=dilation).relu()
        y = F.conv1d(y, arrays[f"mix{i}"].T[:, :, None], arrays[f"mix_bias{i}"])
        centre = (KERNEL - 1 - future) * dilation
        x = x[:, :, centre : centre + y.shape[2]] + y
    out = F.conv1d(x.relu(), arrays["out"].T[:, :, None], arrays["out_bias"])[0].T
    rows = load_student().stream().push(MEL)
    frames = torch.arange(0, (len(MEL) - LAG_ROWS - 1) // 2)
    for late in (0, 1):  # in the row that completes a frame, and in the next
        seen = rows[2 * frames + LAG_ROWS + late]
        wanted = out[frames, : len(VISEMES)].log_softmax(1).clamp(min=ears.FLOOR)
        np.testing.assert_allclose(seen[:, : len(VISEMES)], wanted, atol=1e-3)
        np.testing.assert_allclose(seen[:, len(VISEMES) :], torch.tanh(out[frames, len(VISEMES) :]), atol=1e-3)


def test_small_enough_for_a_package_and_a_browser() -> None:
    assert WEIGHTS.stat().st_size <= 3_000_000
    assert sum(value.size for value in load_file(WEIGHTS).values()) <= 1_500_000
    # 24 ms of the front end, the lag, and the frame's own 10 ms: no more than 0.12 s.
    assert SpeechFeatures(phones=False, ears=True).lookahead_s + LAG_ROWS / 100 <= 0.12


def test_it_hears_labials_and_rounding_of_a_voice() -> None:
    truth, samples = load_truth(DEMO), read_audio(DEMO / "clip.mp4").samples[: 20 * 16_000]
    rows = encode(SpeechFeatures(phones=False, ears=True), samples)
    heard = np.exp(rows[LAG_ROWS + 1 :, -STUDENT_SIZE:][:, : len(VISEMES)])
    times_s = np.arange(len(heard)) / 100.0
    at = np.clip(np.searchsorted(truth.phoneme_starts_s, times_s, side="right") - 1, 0, len(truth.phonemes) - 1)
    kinds = np.array([segments(truth.phonemes[i])[0][1] for i in at])
    labial, rounded = heard[:, VISEMES.index("p")], heard[:, [VISEMES.index("u"), VISEMES.index("o")]].sum(1)
    assert labial[kinds == "p"].mean() > 5 * labial[(kinds != "p") & (kinds != "")].mean()
    assert (
        rounded[np.isin(kinds, ["u", "o", "w", "U"])].mean() > 3 * rounded[np.isin(kinds, ["a", "i", "e", "s"])].mean()
    )


@pytest.mark.parametrize("kind", ["nothing", "clipped", "hum", "music", "noise", "not a number"])
def test_whatever_is_heard_the_rows_are_numbers(kind: str) -> None:
    rng, times_s = np.random.default_rng(0), np.arange(16_000) / 16_000
    sound = {
        "nothing": np.zeros(16_000),
        "clipped": np.sign(np.sin(2 * np.pi * 150 * times_s)),
        "hum": 0.3 * np.sin(2 * np.pi * 50 * times_s),
        "music": sum(np.sin(2 * np.pi * hz * times_s) for hz in (220, 277, 330)) / 3,
        "noise": rng.normal(size=16_000),
        "not a number": np.full(16_000, np.nan),
    }[kind]
    rows = encode(SpeechFeatures(phones=False, ears=True), sound.astype(np.float32))
    assert rows.shape == (100, 44 + STUDENT_SIZE) and np.isfinite(rows).all()


def test_nothing_said_is_heard_as_rest() -> None:
    rows = load_student().stream().push(np.full((50, N_BANDS), QUIET, np.float32))
    assert (rows[:, : len(VISEMES)].argmax(1) == VISEMES.index("rest")).all()


def test_no_sound_no_rows() -> None:
    assert load_student().stream().push(np.zeros((0, N_BANDS), np.float32)).shape == (0, STUDENT_SIZE)


@pytest.mark.parametrize("damage", ["missing", "cut", "version", "shape", "not a number", "layer"])
def test_damaged_weights_are_a_sentence(tmp_path: Path, damage: str) -> None:
    path, arrays, facts = tmp_path / "ears.safetensors", load_file(WEIGHTS), {"version": str(STUDENT_VERSION)}
    if damage == "version":
        facts = {"version": "999"}
    elif damage == "shape":
        arrays["mix0"] = arrays["mix0"][:, :-1].copy()
    elif damage == "not a number":
        arrays["bias3"][0] = np.nan
    elif damage == "layer":
        del arrays["taps5"]
    if damage != "missing":
        save_file(arrays, path, metadata=facts)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match="weights of the ears"):
        read_student(path)


def test_digital_silence_is_not_listened_to_again_and_again(monkeypatch) -> None:
    quiet = np.full((400, N_BANDS), QUIET, np.float32)
    both = [MEL, quiet, MEL[:50], quiet[:60], MEL]
    want = load_student().stream()
    monkeypatch.setattr(ears, "_FIELD_ROWS", 10**9)
    expected = [np.concatenate([want.push(part) for part in np.array_split(mel, 20)]) for mel in both]
    monkeypatch.undo()
    asked, stem = [], ears.StudentStream._stem
    monkeypatch.setattr(ears.StudentStream, "_stem", lambda self, rows: asked.append(len(rows)) or stem(self, rows))
    stream = load_student().stream()
    for mel, rows in zip(both, expected, strict=True):
        asked.clear()
        found = np.concatenate([stream.push(part) for part in np.array_split(mel, 20)])
        np.testing.assert_allclose(found, rows, atol=2e-5)
        assert (len(asked) < 12) == (len(mel) == 400), "silence of four seconds: the first of it alone"

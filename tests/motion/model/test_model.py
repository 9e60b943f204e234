import dataclasses
import itertools
import json
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from gtalk.basis import mouth_aperture
from gtalk.errors import UserError
from gtalk.motion.base import MotionModel, MotionStream
from gtalk.motion.model import model as module
from gtalk.motion.model.model import has_motion_model, load_motion_model, save_motion_model
from gtalk.motion.model.pause_gate import PauseHabit
from gtalk.types import Motion
from tests.motion.talking import OPEN_M
from tests.speech.voices import babble, room_noise, vowel

FIELDS = ("landmarks", "eyes", "gaze", "brows", "head_pose")
SPEECH = babble(3.1, seed=9)[0]


def whole(model, samples: np.ndarray, seed: int = 0) -> Motion:
    stream = model.stream(seed)
    return Motion.concatenate([stream.push(samples), stream.finish()])


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(0, len(SPEECH)), max_size=10), length=st.integers(0, len(SPEECH)))
def test_any_chunking_gives_the_same_motion(model, cuts: list[int], length: int) -> None:
    stream, parts = model.stream(5), []
    edges = sorted({0, length, *(cut for cut in cuts if cut <= length)})
    for a, b in itertools.pairwise(edges):
        parts.append(stream.push(SPEECH[a:b]))
    streamed, offline = Motion.concatenate([*parts, stream.finish()]), whole(model, SPEECH[:length], 5)
    assert len(streamed) == len(offline) == -(-length // 640)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(streamed, name), getattr(offline, name), atol=1e-5)
    assert not streamed.channels, "what follows from the head is the avatar's to know"


def test_one_thread_infers_however_many_there_are(model) -> None:
    seen: list[int] = []
    model = dataclasses.replace(model)
    quick = model.quick_net
    vars(model)["quick_net"] = lambda rows: (seen.append(torch.get_num_threads()), quick(rows))[1]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        whole(model, SPEECH)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen and set(seen) == {1}


@pytest.mark.parametrize("live", [False, True])
def test_frames_come_within_the_look_ahead(model, live: bool) -> None:
    model = dataclasses.replace(model, lead_rows=42)
    model = model.for_live() if live else model
    assert isinstance(model, MotionModel)
    assert isinstance(model.stream(), MotionStream)
    assert model.lookahead_s <= (0.16 if live else 0.5)
    stream, frames = model.stream(), 0
    for start in range(0, len(SPEECH), 640):
        frames += len(stream.push(SPEECH[start : start + 640]))
        certain = int(((start + 640) / 16_000 - model.lookahead_s) * 25 + 1e-9)
        assert frames >= min(certain, (start + 640) // 640)


def test_a_lead_changes_only_what_comes_before_speech(model) -> None:
    pause = room_noise(2.0, -48.0, seed=4)
    samples = np.concatenate([pause, vowel("a", 0.6, 118.0), pause])
    early, late = (whole(dataclasses.replace(model, lead_rows=lead), samples) for lead in (50, 10))
    changed = np.flatnonzero(np.abs(early.landmarks - late.landmarks).max((1, 2)) > 1e-9)
    assert len(changed) and changed.min() >= 50 - 13 and changed.max() <= 50
    assert whole(dataclasses.replace(model, lead_rows=50, pauses=None).for_live(), samples).landmarks == pytest.approx(
        late.landmarks
    )


def test_lips_close_within_200_ms_of_silence_and_stay_closed_in_a_noisy_room(model) -> None:
    pause = room_noise(3.0, -48.0, seed=4)
    speech = np.concatenate([vowel("a", 0.25, 118.0), vowel("e", 0.2, 125.0), vowel("a", 0.35, 110.0)])
    samples = np.concatenate([room_noise(2.0, -48.0), speech, pause, speech])
    samples[: len(speech) + 80_000] += room_noise((len(speech) + 80_000) / 16_000, -48.0, seed=5) * 0
    aperture = mouth_aperture(whole(model, samples).landmarks)
    end = int(np.ceil((32_000 + len(speech)) / 640))
    closed = 0.12 * OPEN_M
    assert aperture[52:end].max() > 0.6 * OPEN_M
    assert np.abs(aperture[: 50 - 4]).max() < closed
    assert np.abs(aperture[end + 5 : end + 70]).max() < closed


def test_live_lips_rest_in_a_pause_as_the_person_does_and_close_when_it_grows_long(model) -> None:
    samples = np.concatenate([vowel("a", 0.6, 118.0), room_noise(3.0, -48.0, seed=4)])
    habit = PauseHabit(1.0, 1.0, 1.0, longest_s=1.0)
    live = dataclasses.replace(model, pauses=habit).for_live()
    shut, dubbed = (whole(dataclasses.replace(m, pauses=None), samples).landmarks for m in (live, model))
    rested = whole(live, samples).landmarks
    np.testing.assert_array_equal(whole(dataclasses.replace(model, pauses=habit), samples).landmarks, dubbed)
    assert np.abs(rested[22:38] - shut[22:38]).max() > 1e-4
    np.testing.assert_allclose(rested[55:, 48:68], shut[55:, 48:68], atol=1e-9)
    assert live.lookahead_s <= 0.16


@pytest.mark.parametrize("level_db", [-120.0, -60.0, -40.0, -30.0])
def test_no_mouth_moves_under_room_noise(model, level_db: float) -> None:
    aperture = mouth_aperture(whole(model, room_noise(4.0, level_db)).landmarks)
    assert np.ptp(aperture) < 0.12 * OPEN_M


def test_the_mouth_stays_within_what_was_seen(model) -> None:
    loud = np.clip(5 * SPEECH[:32_000] + np.random.default_rng(0).normal(size=32_000), -1, 1).astype(np.float32)
    code = model.basis.encode(whole(model, loud))
    group = model.basis.groups["mouth"]
    assert (code[:, group] <= model.basis.high[group] + 1e-6).all()
    assert (code[:, group] >= model.basis.low[group] - 1e-6).all()


def test_seeds_choose_the_head_but_not_the_lips(model) -> None:
    one, same, other = (whole(model, SPEECH, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.head_pose, same.head_pose)
    assert np.abs(one.head_pose - other.head_pose).max() > 1e-3
    lips = slice(48, 68)
    np.testing.assert_array_equal(one.landmarks[:, lips], other.landmarks[:, lips])


def test_files_round_trip(model, tmp_path) -> None:
    assert not has_motion_model(tmp_path)
    save_motion_model(model, tmp_path)
    assert has_motion_model(tmp_path)
    again = whole(load_motion_model(tmp_path), SPEECH)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(again, name), getattr(whole(model, SPEECH), name), atol=1e-9)


def test_damaged_files_are_user_errors(model, tmp_path) -> None:
    with pytest.raises(UserError, match="gtalk motion train"):
        load_motion_model(tmp_path)
    save_motion_model(model, tmp_path)
    tensors = tmp_path / module.TENSORS_NAME
    good = tensors.read_bytes()
    tensors.write_bytes(good[: len(good) // 2])
    with pytest.raises(UserError, match="Train it again"):
        load_motion_model(tmp_path)
    tensors.write_bytes(good)
    facts = json.loads((tmp_path / module.JSON_NAME).read_text())
    for change in (
        {"schema_version": 99},
        {"kind": "other"},
        {"lead_rows": 5000},
        {"pauses": {"early": 1.0, "later": 1.0, "breath": 1.0, "longest_s": 900.0}},
        {"pauses": {"early": 1.0}},
        {"net": {"channel": 3}},
        {"net": {"channels": 12}},
    ):
        (tmp_path / module.JSON_NAME).write_text(json.dumps({**facts, **change}))
        with pytest.raises(UserError, match="motion model in"):
            load_motion_model(tmp_path)


def test_streaming_is_much_faster_than_real_time(model) -> None:
    stream = model.stream()
    stream.push(SPEECH[:16_000])
    start = time.process_time()
    for i in range(16_000, 48_000, 640):
        stream.push(SPEECH[i : i + 640])
    assert time.process_time() - start < 1.0  # two seconds of sound; five times slower than measured


def test_a_model_of_older_code_with_styles_says_what_it_said_without_one(model, tmp_path) -> None:
    save_motion_model(model, tmp_path)
    settings = json.loads((tmp_path / "motion.json").read_text())
    settings["net"]["style"] = 2
    (tmp_path / "motion.json").write_text(json.dumps(settings))
    arrays = load_file(tmp_path / "motion.safetensors")
    former = {"net.styled.weight": np.ones((8, 2), np.float32), "net.recognise.first.bias": np.ones(8, np.float32)}
    save_file(arrays | former, tmp_path / "motion.safetensors")
    older = load_motion_model(tmp_path)
    np.testing.assert_array_equal(whole(older, SPEECH).landmarks, whole(model, SPEECH).landmarks)


def test_who_only_listens_is_not_asked_what_the_lips_would_do(model, monkeypatch) -> None:
    def fails(*_):
        raise AssertionError("asked")

    monkeypatch.setattr(type(model), "quick_net", property(lambda _: fails))
    stream = model.stream(0)
    motion = Motion.concatenate([stream.push(np.zeros(640, np.float32)) for _ in range(60)])
    assert len(motion) > 50 and np.ptp(mouth_aperture(motion.landmarks)) == 0.0
    assert np.ptp(motion.head_pose[:, :3, 3]) > 0.0, "the head goes on"

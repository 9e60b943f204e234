import dataclasses
import shutil

import numpy as np
import pytest
import torch

from gtalk.dataset.format import Dataset
from gtalk.dataset.split import first_test_frame
from gtalk.errors import UserError
from gtalk.eval import motion as measures
from gtalk.motion.model.model import load_motion_model
from gtalk.motion.training.sequences import read_training_clip
from gtalk.motion.training.train import train_motion
from gtalk.speech.sound import read_samples
from gtalk.types import Motion
from tests.motion.talking import SMALL, write_dataset, write_sound

QUICK = dataclasses.replace(
    SMALL,
    fit=dataclasses.replace(SMALL.fit, steps=3, batch=2, check_every=1),
    augment=dataclasses.replace(SMALL.augment, copies=1),
)


def drive(model, samples: np.ndarray) -> Motion:
    stream = model.stream()
    return Motion.concatenate([stream.push(samples), stream.finish()])


def test_lips_are_learned_and_carry_over_to_held_out_speech(talking, model) -> None:
    dataset, _ = talking
    predicted = drive(model, read_samples(dataset.audio_path))
    first = first_test_frame(dataset.n_frames)
    truth = dataset.motion[first:]
    predicted = predicted[first : dataset.n_frames]
    assert measures.aperture_correlation(predicted, truth) > 0.85
    assert measures.lmd_ratio(predicted, truth, model.basis.mean) < 0.6
    assert 0.6 < measures.amplitude_ratio(predicted, truth) < 1.2
    assert abs(measures.av_offset_frames(predicted, truth)) <= 1


def test_nothing_held_out_is_read(tmp_path) -> None:
    dataset = write_dataset(tmp_path / "a", seconds=12.0)
    shutil.copytree(dataset.root, tmp_path / "b")
    first = first_test_frame(dataset.n_frames)
    motion = dataset.motion
    spoiled = motion.landmarks.copy()
    spoiled[first:] += 0.05
    motion.replace(landmarks=spoiled).save(tmp_path / "b" / "motion.npz")
    samples = read_samples(dataset.audio_path).copy()
    samples[first * 640 :] = np.random.default_rng(0).normal(size=len(samples) - first * 640) * 0.3
    write_sound(tmp_path / "b" / "audio.wav", samples)
    models = [train_motion(Dataset(tmp_path / name), tmp_path / f"out_{name}", QUICK) for name in "ab"]
    for one, other in zip(*(m.net.state_dict().values() for m in models), strict=True):
        assert torch.equal(one, other)
    np.testing.assert_array_equal(models[0].basis.mouth, models[1].basis.mouth)


def test_frames_without_a_face_do_not_count(tmp_path) -> None:
    dataset = write_dataset(tmp_path / "a", seconds=12.0)
    valid = np.ones(dataset.n_frames, bool)
    valid[100:140] = False
    models = []
    for name, junk in (("b", 0.0), ("c", 0.3)):
        shutil.copytree(dataset.root, tmp_path / name)
        landmarks = dataset.motion.landmarks.copy()
        landmarks[100:140] += junk
        dataset.motion.replace(landmarks=landmarks, valid=valid).save(tmp_path / name / "motion.npz")
        config = dataclasses.replace(QUICK, augment=dataclasses.replace(QUICK.augment, speed=0.0))
        models.append(train_motion(Dataset(tmp_path / name), tmp_path / f"out_{name}", config))
    for one, other in zip(*(m.net.state_dict().values() for m in models), strict=True):
        assert torch.equal(one, other)


def test_a_finished_model_is_not_trained_again(talking) -> None:
    dataset, folder = talking
    seen: list[str] = []
    model = train_motion(dataset, folder, SMALL, on_progress=lambda p: seen.append(p.stage))
    assert not seen
    assert model.facts["key"] == load_motion_model(folder).facts["key"]


def test_progress_is_told_and_several_datasets_are_joined(tmp_path) -> None:
    datasets = [write_dataset(tmp_path / str(k), seconds=8.0, seed=k).root for k in range(2)]
    seen: list[str] = []
    model = train_motion(datasets, tmp_path / "out", QUICK, on_progress=lambda p: seen.append(p.stage))
    assert {"motion features", "motion"} <= set(seen)
    assert model.facts["frames"] == 2 * first_test_frame(200)


def test_too_short_a_clip_is_a_user_error(tmp_path) -> None:
    with pytest.raises(UserError, match="Use a longer clip"):
        read_training_clip(write_dataset(tmp_path, seconds=1.6))
    with pytest.raises(UserError, match="at least one"):
        train_motion([], tmp_path)


def test_groups_can_be_hidden_and_wrong_names_are_user_errors(tmp_path) -> None:
    dataset = write_dataset(tmp_path / "a", seconds=8.0)
    model = train_motion(dataset, tmp_path / "out", dataclasses.replace(QUICK, without=("mel",)))
    assert (model.net.scale[:40] == 0).all() and (model.net.scale[40:] > 0).all()
    with pytest.raises(UserError, match="some of mel, pitch, energy"):
        train_motion(dataset, tmp_path / "out2", dataclasses.replace(QUICK, without=("mell",)))

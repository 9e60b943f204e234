import dataclasses

import numpy as np
import pytest
import torch

from gtalk.errors import UserError
from gtalk.motion.training.pretrain import BaseModel, load_base, pretrain, save_base
from gtalk.motion.training.sequences import read_training_clip
from gtalk.motion.training.train import fit_material, train_motion
from gtalk.motion.training.training_data import gather
from gtalk.speech.features import SpeechFeatures
from tests.motion.talking import SMALL, write_dataset

QUICK = dataclasses.replace(SMALL, fit=dataclasses.replace(SMALL.fit, steps=20, check_every=10), validation_share=0.0)


def data(folder, seed: int, seconds: float = 10.0):
    clip = read_training_clip(write_dataset(folder / str(seed), seconds=seconds, seed=seed))
    return gather([clip], QUICK.features, QUICK.augment, seed, lambda progress: None)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> BaseModel:
    people = [data(tmp_path_factory.mktemp("people"), seed, 20.0) for seed in (1, 2)]
    fit = dataclasses.replace(SMALL.fit, steps=240)
    return pretrain(people, SMALL.net, SMALL.loss, fit)


def error(model, held) -> float:
    from gtalk.motion.training.fit_net import predict

    guess = predict(model.net, held.rows, len(held.codes))[:, 0]
    return float(np.abs(guess - held.codes[:, 0]).mean())


def test_a_third_person_learns_faster_from_the_base(base: BaseModel, tmp_path) -> None:
    third = data(tmp_path, 3, 12.0)
    scratch, begun = (fit_material(third, QUICK, base=start) for start in (None, base))
    held = third.utterances[0]
    assert error(begun, held) < 0.92 * error(scratch, held)


def test_files_round_trip_and_train_with_them(base: BaseModel, tmp_path) -> None:
    save_base(base, tmp_path / "base.safetensors")
    again = load_base(tmp_path / "base.safetensors")
    assert again.net_config == base.net_config and again.features == base.features
    assert all(torch.equal(value, again.tensors[name]) for name, value in base.tensors.items())
    assert not any(name.startswith("out.") for name in again.tensors)
    dataset = write_dataset(tmp_path / "me", seconds=8.0)
    plain = train_motion(dataset, tmp_path / "a", QUICK)
    begun = train_motion(dataset, tmp_path / "a", QUICK, init=tmp_path / "base.safetensors")
    assert plain.facts["key"] != begun.facts["key"]
    assert not torch.equal(plain.net.stem.weight, begun.net.stem.weight)


def test_what_does_not_fit_is_a_user_error(base: BaseModel, tmp_path) -> None:
    wide = dataclasses.replace(SMALL.net, channels=32)
    with pytest.raises(UserError, match="init"):
        base.check(wide, QUICK.features)
    with pytest.raises(UserError, match="at least one"):
        pretrain([], SMALL.net, SMALL.loss, SMALL.fit)
    path = tmp_path / "base.safetensors"
    for bad in (dataclasses.replace(base, net_config=wide), dataclasses.replace(base, features=SpeechFeatures(True))):
        save_base(bad, path)
        with pytest.raises(UserError, match="gtalk motion pretrain"):
            load_base(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(UserError, match="gtalk motion pretrain"):
        load_base(path)

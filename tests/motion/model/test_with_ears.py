"""A motion model whose network listens through the ears."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gtalk.errors import UserError
from gtalk.files import write_json
from gtalk.motion.model import storage
from gtalk.motion.model.articulation import Articulation
from gtalk.motion.model.model import load_motion_model, save_motion_model
from gtalk.motion.model.readout import N_HEARD
from gtalk.motion.training.fit_net import predict
from gtalk.motion.training.train import train_motion
from gtalk.reading.untrusted import parse_json
from gtalk.speech.base import encode
from gtalk.speech.known_phones import KnownPhones
from gtalk.speech.student import load_student
from gtalk.types import Motion
from tests.motion.talking import SMALL, write_dataset
from tests.speech.voices import babble

SPEECH = babble(2.3, seed=9)[0]
FEW = dataclasses.replace(
    SMALL,
    ears=True,
    net=dataclasses.replace(SMALL.net, future_rows=13),
    fit=dataclasses.replace(SMALL.fit, steps=20, check_every=10),
)


@pytest.fixture(scope="module", params=["usual", "low"])
def model(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ears")
    config = dataclasses.replace(FEW, latency=request.param)
    return train_motion(write_dataset(folder / "data", seconds=8.0), folder / "avatar", config)


def whole(model, samples: np.ndarray) -> Motion:
    stream = model.stream(5)
    return Motion.concatenate([stream.push(samples), stream.finish()])


@pytest.mark.parametrize("step", [160, 640, 1111, 20_000])
def test_live_equals_offline(model, step: int) -> None:
    stream = model.stream(5)
    parts = [stream.push(SPEECH[a:b]) for a, b in itertools.pairwise([*range(0, len(SPEECH), step), len(SPEECH)])]
    streamed, offline = Motion.concatenate([*parts, stream.finish()]), whole(model, SPEECH)
    assert len(streamed) == len(offline) == -(-len(SPEECH) // 640)
    np.testing.assert_allclose(streamed.landmarks, offline.landmarks, atol=1e-5)


@pytest.mark.parametrize("step", [640, 20_000])
def test_what_is_known_guides_the_lips_there_alone_however_the_sound_is_cut(model, step: int) -> None:
    known = KnownPhones.of_ipa(["m", "a", "m"], [0.0, 0.1, 0.3], [0.1, 0.3, 0.4]).later(1.0)
    live, heard = model.for_live(), whole(model.for_live(), SPEECH)
    stream = live.stream(5)
    parts = []
    for start in range(0, len(SPEECH), step):
        if start <= 16_000 < start + step:  # before its sound
            stream.know(known)
        parts.append(stream.push(SPEECH[start : start + step]))
    told = Motion.concatenate([*parts, stream.finish()])
    moved = np.abs(told.landmarks - heard.landmarks).max((1, 2))
    assert moved[25:36].max() > 1e-4
    assert moved[:20].max() < 1e-6, "before it"


def test_what_is_forgotten_guides_nothing(model) -> None:
    stream = model.stream(5)
    stream.know(KnownPhones.of_ipa(["m"], [0.5], [1.0]))
    stream.forget()
    told = Motion.concatenate([stream.push(SPEECH), stream.finish()])
    np.testing.assert_array_equal(told.landmarks, whole(model, SPEECH).landmarks)


def test_the_look_ahead_is_no_longer_than_promised(model) -> None:
    live, low = model.for_live(), model.net_config.future_rows < 13
    assert live.lookahead_s <= (0.1 if low else 0.16)
    stream, frames = live.stream(), 0
    for start in range(0, len(SPEECH), 640):
        frames += len(stream.push(SPEECH[start : start + 640]))
        certain = int(((start + 640) / 16_000 - live.lookahead_s) * 25 + 1e-9)
        assert frames >= min(certain, (start + 640) // 640)


def test_it_round_trips_and_says_whose_ears_it_has(model, tmp_path) -> None:
    save_motion_model(model, tmp_path)
    again = load_motion_model(tmp_path)
    assert again.features.ears and again.targets == model.targets
    np.testing.assert_allclose(whole(again, SPEECH).landmarks, whole(model, SPEECH).landmarks, atol=1e-6)
    settings = json.loads((tmp_path / "motion.json").read_text())
    assert settings["ears"] == load_student().name
    settings["ears"] = "0123456789ab"
    (tmp_path / "motion.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match=r"other ears[\s\S]*gtalk motion train"):
        load_motion_model(tmp_path)


def test_a_model_from_before_the_ears_still_runs(tmp_path) -> None:
    old = train_motion(
        write_dataset(tmp_path / "data", seconds=8.0), tmp_path / "old", dataclasses.replace(FEW, ears=False)
    )
    settings = json.loads((tmp_path / "old/motion.json").read_text())
    del settings["ears"], settings["targets"], settings["pauses"], settings["articulation"]
    (tmp_path / "old/motion.json").write_text(json.dumps(settings))
    again = load_motion_model(tmp_path / "old")
    assert not again.features.ears and "ears" not in again.features.groups
    np.testing.assert_allclose(whole(again, SPEECH).landmarks, whole(old, SPEECH).landmarks, atol=1e-6)


def test_ears_that_only_articulate_may_be_others(tmp_path) -> None:
    config = dataclasses.replace(FEW, ears=False, articulation=True, net=SMALL.net)
    model = train_motion(write_dataset(tmp_path / "data", seconds=8.0), tmp_path / "avatar", config)
    assert model.features.ears and not model.network_has_ears
    assert [type(one) for one in model.articulations] == [Articulation]
    settings = json.loads((tmp_path / "avatar/motion.json").read_text())
    assert settings["ears"] == "" and settings["articulation"]
    again = load_motion_model(tmp_path / "avatar")
    np.testing.assert_allclose(whole(again, SPEECH).landmarks, whole(model, SPEECH).landmarks, atol=1e-6)
    rows = encode(model.features, SPEECH)
    deaf = rows.copy()
    deaf[:, model.features.groups["ears"]] = 0.0
    np.testing.assert_array_equal(predict(model.net, rows, 40), predict(model.net, deaf, 40))
    assert model.for_live().lookahead_s <= 0.16


def test_the_readout_is_stored_and_left_out_where_other_ears_hear(model, tmp_path, monkeypatch) -> None:
    assert model.readouts is not None
    save_motion_model(model, tmp_path)
    again = load_motion_model(tmp_path)
    assert again.readouts is not None and again.readouts.share == model.readouts.share
    np.testing.assert_allclose(again.readouts.live.table, model.readouts.live.table, rtol=1e-6)
    sound = SPEECH
    one, two, none = (
        m.stream(0).push(sound).landmarks for m in (model, again, dataclasses.replace(model, readouts=None))
    )
    np.testing.assert_allclose(one, two, atol=1e-6)
    assert np.abs(one[: len(none)] - none[: len(one)]).max() > 1e-5
    name = storage.load_student().name

    class Others:
        pass

    others = Others()
    others.name = f"not {name}"  # type: ignore[attr-defined]
    monkeypatch.setattr(storage, "load_student", lambda: others)
    assert load_motion_model(tmp_path).readouts is None


@pytest.mark.parametrize("damage", ["shape", "share", "nan"])
def test_a_damaged_readout_is_refused(model, tmp_path, damage: str) -> None:
    save_motion_model(model, tmp_path)
    file, settings = tmp_path / "motion.safetensors", tmp_path / "motion.json"
    arrays, told = load_file(file), parse_json(settings.read_text())
    match damage:
        case "shape":
            arrays["readout.live.table"] = arrays["readout.live.table"][:-N_HEARD].copy()
        case "share":
            told["readouts"][1] = 1.5
        case _:
            arrays["readout.dubbed.bias"] = np.full_like(arrays["readout.dubbed.bias"], np.nan)
    save_file(arrays, file)
    write_json(settings, told)
    with pytest.raises(UserError, match="motion model"):
        load_motion_model(tmp_path)

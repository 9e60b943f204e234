"""The trainer on a model of three numbers: events, exact resume, recovery, early stop, held-out hygiene."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest
import torch

from gtalk.dataset.format import Dataset
from gtalk.dataset.split import first_test_frame
from gtalk.errors import UserError
from gtalk.fit.checkpoint import TrainerState, load_checkpoint, save_checkpoint
from gtalk.fit.events import CheckpointEvent, DoneEvent, PreviewEvent, RollbackEvent, StepEvent
from gtalk.fit.trainer import CHECKPOINT_NAME, DivergedError, TrainerConfig, train
from tests.fit.toy_model import ToyModel
from tests.support.synthetic_dataset import make_synthetic_dataset

CONFIG = TrainerConfig(size=32, steps=60, report_every=10, preview_every=30, checkpoint_every=20)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return make_synthetic_dataset(tmp_path_factory.mktemp("ds"), n_frames=30, size=48)


def test_events_come_in_order_and_the_loss_falls(dataset: Dataset, tmp_path: Path) -> None:
    events = list(train(ToyModel(), dataset, tmp_path, CONFIG))
    steps = [e for e in events if isinstance(e, StepEvent)]
    assert [e.step for e in steps] == [10, 20, 30, 40, 50, 60]
    assert steps[-1].loss < steps[0].loss and steps[-1].psnr > steps[0].psnr
    assert all(b.elapsed_s >= a.elapsed_s for a, b in itertools.pairwise(steps))
    previews = [e for e in events if isinstance(e, PreviewEvent)]
    assert len(previews) == 2 and previews[0].truth.shape == previews[0].render.shape == (32, 32, 3)
    assert [e.step for e in events if isinstance(e, CheckpointEvent)] == [0, 20, 40, 60]
    assert isinstance(events[-1], DoneEvent) and events[-1].metrics["steps"] == 60


def test_a_stopped_fit_ends_like_one_never_stopped(dataset: Dataset, tmp_path: Path) -> None:
    whole = list(train(ToyModel(), dataset, tmp_path / "a", CONFIG))[-1].avatar.colour
    for event in train(ToyModel(), dataset, tmp_path / "b", CONFIG):
        if isinstance(event, StepEvent) and event.step == 50:
            break  # ten steps after the last checkpoint
    second = ToyModel()
    resumed = list(train(second, dataset, tmp_path / "b", CONFIG))[-1].avatar.colour
    assert second.calls == 20
    assert torch.equal(whole, resumed)


def test_a_finished_fit_is_not_done_again(dataset: Dataset, tmp_path: Path) -> None:
    first = list(train(ToyModel(), dataset, tmp_path, CONFIG))[-1].avatar.colour
    again = ToyModel()
    assert torch.equal(list(train(again, dataset, tmp_path, CONFIG))[-1].avatar.colour, first)
    assert again.calls == 0


@pytest.mark.parametrize("change", [{"seed": 1}, {"frames_per_step": 2}])
def test_another_config_starts_afresh(dataset: Dataset, tmp_path: Path, change) -> None:
    list(train(ToyModel(), dataset, tmp_path, CONFIG))
    model = ToyModel()
    list(train(model, dataset, tmp_path, dataclasses.replace(CONFIG, **change)))
    assert model.calls == CONFIG.steps


def test_held_out_frames_are_never_seen(dataset: Dataset, tmp_path: Path) -> None:
    model = ToyModel()
    list(train(model, dataset, tmp_path, dataclasses.replace(CONFIG, steps=200)))
    assert max(model.seen) < first_test_frame(dataset.n_frames)


def test_nan_rolls_back_to_the_last_good_checkpoint(dataset: Dataset, tmp_path: Path) -> None:
    model = ToyModel(break_at={35})
    events = list(train(model, dataset, tmp_path, CONFIG))
    (rollback,) = [e for e in events if isinstance(e, RollbackEvent)]
    assert (rollback.step, rollback.back_to) == (34, 20) and "nan" in rollback.reason
    assert isinstance(events[-1], DoneEvent) and torch.isfinite(model.colour).all()
    assert float(model.factor) == 0.5


def test_endless_divergence_is_given_up_and_the_good_checkpoint_kept(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="after 3 recoveries"):
        list(train(ToyModel(break_at=set(range(25, 200))), dataset, tmp_path, CONFIG))
    tensors, _, state = load_checkpoint(tmp_path / CHECKPOINT_NAME)
    assert state.step == 20 and torch.isfinite(tensors["colour"]).all()


def test_early_stop_when_the_held_out_block_gets_no_better(dataset: Dataset, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, steps=5000, hold_out_share=0.2, hold_out_every=20)
    done = list(train(ToyModel(), dataset, tmp_path, config))[-1]
    assert done.metrics["steps"] < 5000 and done.metrics["held_out_psnr"] > 5.0


def test_too_few_faces_is_the_users_to_know(dataset: Dataset, tmp_path: Path) -> None:
    short = make_synthetic_dataset(tmp_path / "ds", n_frames=2, size=32)
    with pytest.raises(UserError, match="at least 3 training frames"):
        list(train(ToyModel(), short, tmp_path, CONFIG))


def test_a_damaged_checkpoint_says_so(dataset: Dataset, tmp_path: Path) -> None:
    list(train(ToyModel(), dataset, tmp_path, CONFIG))
    path = tmp_path / CHECKPOINT_NAME
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match="fit from the start with --restart"):
        list(train(ToyModel(), dataset, tmp_path, CONFIG))


def test_a_checkpoint_of_a_newer_gtalk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gtalk.fit.checkpoint.CHECKPOINT_VERSION", 99)
    save_checkpoint(tmp_path / "c", {"x": torch.zeros(2)}, torch.Generator().get_state(), TrainerState("f", 7, 1.5))
    monkeypatch.undo()
    with pytest.raises(UserError, match="version 99"):
        load_checkpoint(tmp_path / "c")


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(3)
    tensors = {"a": torch.randn(3, 4), "b": torch.arange(5), "empty": torch.zeros(0, 3)}
    save_checkpoint(tmp_path / "c.safetensors", tensors, rng.get_state(), TrainerState("f", 7, 1.5))
    loaded, state_rng, state = load_checkpoint(tmp_path / "c.safetensors")
    assert loaded.keys() == tensors.keys() and all(torch.equal(loaded[k], tensors[k]) for k in tensors)
    assert state == TrainerState("f", 7, 1.5)
    other = torch.Generator()
    other.set_state(state_rng)
    assert torch.equal(torch.rand(4, generator=other), torch.rand(4, generator=rng))

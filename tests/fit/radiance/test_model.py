"""The radiance fit: it learns, resumes to the bit, prunes, and leaves a loadable avatar behind."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import load_avatar
from gtalk.avatar.head import HeadConfig
from gtalk.config import load_preset
from gtalk.dataset.format import Dataset
from gtalk.errors import UserError
from gtalk.fit.events import DoneEvent, StepEvent
from gtalk.fit.protocol import LateResult, Model
from gtalk.fit.radiance.budget import SampleBudget
from gtalk.fit.radiance.model import FitConfig, RadianceModel, make_model
from gtalk.fit.run import fit, load_config
from gtalk.fit.trainer import CHECKPOINT_NAME, train
from tests.avatar.small_radiance import moved_to_meta
from tests.fit.small_fit import small_config
from tests.ops.tcnn_stand_in import stand_in
from tests.support.host_waits import THERE, HostWaits
from tests.support.synthetic_dataset import make_synthetic_dataset

__all__ = ["stand_in"]  # the fixture

CONSENT = Consent("nobody", "a drawing")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return make_synthetic_dataset(tmp_path_factory.mktemp("ds"), n_frames=24, size=40)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(((a.astype(float) - b) ** 2).mean() / 255**2))


def test_it_learns_the_person_and_the_avatar_folder_renders_them(dataset: Dataset, tmp_path: Path) -> None:
    config = small_config(steps=120)
    events = list(fit(dataset.root, tmp_path / "me", "radiance", config, CONSENT))
    steps = [e for e in events if isinstance(e, StepEvent)]
    assert steps[-1].psnr > steps[0].psnr + 3.0
    assert isinstance(events[-1], DoneEvent)
    assert not (tmp_path / "me" / CHECKPOINT_NAME).exists()
    avatar = load_avatar(tmp_path / "me")
    for index in (3, 23):  # seen, and held out
        rgb = (avatar.render(dataset.motion[index]).rgb[0].clamp(0, 1) * 255).numpy()
        empty = psnr(dataset.background(), dataset.frame(index))
        assert psnr(rgb, dataset.frame(index)) > empty + 7.0
        alpha = avatar.render(dataset.motion[index]).alpha[0].numpy()
        assert np.abs(alpha - dataset.matte(index) / 255.0).mean() < 0.1


def test_a_stopped_fit_resumes_to_the_same_bits(dataset: Dataset, tmp_path: Path) -> None:
    config = small_config(steps=24, checkpoint_every=10)
    whole = list(train(make_model(config), dataset, tmp_path / "a", config.trainer))[-1].avatar
    for event in train(make_model(config), dataset, tmp_path / "b", config.trainer):
        if isinstance(event, StepEvent) and event.step == 15:
            break
    resumed = list(train(make_model(config), dataset, tmp_path / "b", config.trainer))[-1].avatar
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name


@pytest.mark.slow
def test_a_killed_fit_resumes_to_the_same_bits(dataset: Dataset, tmp_path: Path) -> None:
    script = (
        "import sys, torch; from pathlib import Path; torch.set_num_threads(1)\n"
        "from tests.fit.small_fit import small_config\n"
        "from gtalk.avatar.base import Consent\n"
        "from gtalk.fit.run import fit\n"
        "for e in fit(Path(sys.argv[1]), Path(sys.argv[2]), 'radiance', small_config(steps=60, checkpoint_every=5),\n"
        "             Consent('nobody', 'a drawing')):\n"
        "    print(type(e).__name__, getattr(e, 'step', ''), flush=True)\n"
    )

    def start(folder: str) -> subprocess.Popen:
        command = [sys.executable, "-c", script, str(dataset.root), str(tmp_path / folder)]
        root = Path(__file__).parents[3]
        return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)

    whole = start("a")
    assert whole.communicate(timeout=120)[0].splitlines()[-1].startswith("DoneEvent") and whole.returncode == 0
    killed = start("b")
    assert killed.stdout is not None
    for line in killed.stdout:
        if line.startswith("CheckpointEvent 20"):
            time.sleep(0.05)
            os.kill(killed.pid, signal.SIGKILL)
            break
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL and not (tmp_path / "b" / "avatar.json").exists()
    again = start("b")
    assert again.communicate(timeout=120)[0].splitlines()[-1].startswith("DoneEvent") and again.returncode == 0
    first, second = load_avatar(tmp_path / "a").tensors(), load_avatar(tmp_path / "b").tensors()
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_it_is_the_trainers_model_and_prunes(dataset: Dataset, tmp_path: Path) -> None:
    config = small_config(steps=60)
    model = make_model(config)
    assert isinstance(model, Model) and isinstance(model, RadianceModel)
    occupied = []
    for event in train(model, dataset, tmp_path, config.trainer):
        if isinstance(event, StepEvent):
            occupied.append(int((model.tensors["head.occupied"] > 0).sum()))
    assert occupied[-1] <= occupied[0] and occupied[-1] > 50


def test_tiny_cuda_nn_is_fitted_and_rendered_through_the_same_path(
    dataset: Dataset, tmp_path: Path, stand_in: ModuleType
) -> None:
    small = small_config(steps=3)
    head = dataclasses.replace(small.avatar.head, backend="tinycudann")
    config = dataclasses.replace(small, avatar=dataclasses.replace(small.avatar, head=head))
    folder = tmp_path / "me"
    steps = [e for e in fit(dataset.root, folder, "radiance", config, CONSENT) if isinstance(e, StepEvent)]
    assert steps and np.isfinite(steps[-1].loss)
    out = load_avatar(folder).render(dataset.motion[3])
    assert out.rgb.shape == (1, 40, 40, 3) and bool(torch.isfinite(out.rgb).all())


def test_tiny_cuda_nn_without_a_gpu_is_refused_before_anything_is_read() -> None:
    small = small_config(steps=3)
    head = dataclasses.replace(small.avatar.head, backend="tinycudann")
    with pytest.raises(UserError, match=r"set avatar\.head\.backend to gtalk"):
        make_model(dataclasses.replace(small, avatar=dataclasses.replace(small.avatar, head=head)))


@pytest.mark.parametrize("preset", ["cpu", "gpu", "quality"])
def test_every_preset_is_a_whole_config(preset: str) -> None:
    config = load_config("radiance", preset)
    assert isinstance(config, FitConfig) and config == load_preset(FitConfig, "radiance", preset)
    assert config.trainer.steps > 0


def test_no_step_waits_for_its_device(dataset: Dataset, tmp_path: Path) -> None:
    """Samples are counted late; pruning, which happens seven times a fit, may read."""
    config = dataclasses.replace(small_config(steps=2), prune_at=())
    here, there = make_model(config), make_model(config)
    list(train(here, dataset, tmp_path, config.trainer))
    context, there.device = here.context, THERE
    there._avatar = partial(moved_to_meta, here.live_avatar)
    there.prepare(context)
    rng = torch.Generator().manual_seed(0)
    frames = [context.frames[int(i)] for i in context.indices[:3]]
    for frame in frames:
        there.train_step([frame], 0.1, rng)
    with HostWaits() as waits:
        late = [there.train_step(frames[:2], 0.2, rng) for _ in range(20)]
        assert not waits.found
    assert all(isinstance(one, LateResult) and one.values.is_meta for one in late)
    names = 2 + len(late[0].read([0.0] * len(late[0].values)).terms) + 1
    assert len(late[0].values) == 2 * names


def test_a_step_with_a_fixed_number_of_samples_learns_the_same(dataset: Dataset, tmp_path: Path) -> None:
    config = dataclasses.replace(small_config(steps=12), prune_at=(0.5,))
    runs = []
    for fixed in (False, True):
        model = make_model(config)
        prepare = model.prepare
        if fixed:

            def with_budget(context, model=model, prepare=prepare) -> None:
                prepare(context)
                model.budget = SampleBudget(config.patches.count * config.patches.side**2, config.avatar.head)

            model.prepare = with_budget
        events = list(train(model, dataset, tmp_path / str(fixed), dataclasses.replace(config.trainer, report_every=1)))
        runs.append((model, [e.loss for e in events if isinstance(e, StepEvent)], events[-1].avatar.tensors()))
    (_, exact, wanted), (model, late, got) = runs
    assert model.budget.samples <= model.budget.most
    np.testing.assert_allclose(late, exact, rtol=1e-5)
    assert torch.equal(wanted["head.occupied"], got["head.occupied"])
    torch.testing.assert_close(got["head.basis"], wanted["head.basis"], atol=1e-5, rtol=1e-3)


def test_a_budget_follows_what_is_used_and_doubles_where_it_did_not_suffice() -> None:
    budget = SampleBudget(100_000, HeadConfig(max_samples=48))
    assert budget.samples == budget.most >= 4_800_000
    for _ in range(200):
        budget.learn(50_000)
    assert 65_000 <= budget.samples <= 70_000
    budget.learn(budget.samples)
    assert 130_000 <= budget.samples <= 140_000
    for _ in range(10):
        budget.learn(budget.samples)
    assert budget.samples == budget.most

"""LPIPS in the fits of both renderers, with a narrow stand-in for its network."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gtalk.avatar.base import Consent
from gtalk.config import from_mapping
from gtalk.dataset.format import Dataset
from gtalk.errors import UserError
from gtalk.fit.events import StepEvent
from gtalk.fit.gaussian import model as gaussian_model
from gtalk.fit.losses.perceptual import LpipsConfig, PerceptualLoss, open_perceptual
from gtalk.fit.radiance import model as radiance_model
from gtalk.fit.run import fit
from gtalk.fit.setup import config_values
from gtalk.fit.trainer import train
from gtalk.ops.lpips import alexnet_distance
from tests.fit.small_fit import small_config
from tests.support.lpips_stand_in import narrow_weights
from tests.support.synthetic_dataset import make_synthetic_dataset

RENDERERS = {"radiance": radiance_model, "gaussian": gaussian_model}
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return make_synthetic_dataset(tmp_path_factory.mktemp("ds"), n_frames=24, size=40)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("lpips") / "narrow.safetensors"
    save_file(narrow_weights(), path)
    return path


def config_of(renderer: str, path: Path | str, steps: int, checkpoint_every: int = 0) -> Any:
    if renderer == "radiance":
        config = small_config(steps, checkpoint_every)
    else:
        trainer = {"size": 40, "steps": steps, "preview_every": 0, "checkpoint_every": checkpoint_every}
        config = from_mapping(gaussian_model.FitConfig, {"avatar": {"count": 300}, "trainer": trainer, "device": "cpu"})
    config = dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, report_every=1))
    return dataclasses.replace(config, loss=dataclasses.replace(config.loss, lpips=LpipsConfig(str(path))))


def patches(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return torch.rand(2, side, side, 3, generator=rng).requires_grad_(), torch.rand(2, side, side, 3, generator=rng)


@pytest.mark.parametrize("side", [20, 32, 62, 63, 80])
def test_its_gradient_reaches_every_patch_of_any_size(weights: Path, side: int) -> None:
    loss = PerceptualLoss(LpipsConfig(str(weights), 0.5), CPU)
    render, truth = patches(side)
    value = loss(render, truth)
    (gradient,) = torch.autograd.grad(value, render)
    assert value.dtype == torch.float32 and float(value.detach()) > 0.0
    assert bool(gradient.isfinite().all()) and float((gradient != 0).float().mean()) > 0.9
    assert float(loss(truth, truth)) == 0.0
    if side >= 63:  # shown as they are
        a, b = (p.detach().permute(0, 3, 1, 2) * 2.0 - 1.0 for p in (render, truth))
        assert float(value.detach()) == pytest.approx(
            0.5 * float(alexnet_distance(loss.tensors, a, b).mean()), rel=1e-5
        )


def test_on_planes_it_is_the_loss_of_the_composed_image_and_its_gradient(weights: Path) -> None:
    loss = PerceptualLoss(LpipsConfig(str(weights)), CPU)
    loss.tensors = {name: tensor.double() for name, tensor in loss.tensors.items()}
    rng = torch.Generator().manual_seed(2)
    height, width, stride = 40, 36, 40
    planes = torch.rand(5, height, stride, generator=rng, dtype=torch.float64)
    plate = torch.rand(3, height, stride, generator=rng, dtype=torch.float64)
    truth = torch.randint(0, 256, (height, width, 3), generator=rng, dtype=torch.uint8)
    corners = torch.tensor([0, 5 * width + 9])  # two patches that overlap
    flat = corners[:, None, None] + torch.arange(24)[:, None] * width + torch.arange(24)

    def value(at: torch.Tensor) -> tuple[float, torch.Tensor]:
        gradient = torch.ones(4, height, stride, dtype=torch.float64)
        return float(loss.on_planes(at, plate, truth, flat, gradient)), gradient - 1.0

    here, gradient = value(planes)
    image = (planes[:3] + planes[3] * plate)[..., :width].permute(1, 2, 0).reshape(-1, 3)
    assert here == pytest.approx(float(loss(image[flat], truth.reshape(-1, 3)[flat].double() / 255.0)), rel=1e-12)
    for place in ((0, 12, 14), (2, 3, 20), (3, 15, 15), (1, 27, 30), (3, 39, 35)):
        step = torch.zeros_like(planes)
        step[place] = 1e-6
        slope = (value(planes + step)[0] - value(planes - step)[0]) / 2e-6
        assert float(gradient[place]) == pytest.approx(slope, rel=1e-4, abs=1e-10)
    assert float(gradient[3, 15, 15]) != 0.0
    assert float(gradient[:, :, width:].abs().max()) == 0.0 == float(gradient[3, 39, 35])


@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_fit_brings_it_down_and_leaves_the_network_alone(
    dataset: Dataset, tmp_path: Path, weights: Path, renderer: str
) -> None:
    config = config_of(renderer, weights, 60)
    model = RENDERERS[renderer].make_model(config)
    steps = [e for e in train(model, dataset, tmp_path, config.trainer) if isinstance(e, StepEvent)]
    shown = np.array([e.terms["lpips"] for e in steps])
    assert steps[-1].loss < 0.8 * steps[0].loss
    assert shown[-15:].mean() < 0.8 * shown[:5].mean()
    for name, tensor in narrow_weights().items():
        assert torch.equal(model.perceptual.tensors[name], tensor)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_it_changes_what_is_learned_and_is_absent_without_weights(
    dataset: Dataset, tmp_path: Path, weights: Path, renderer: str
) -> None:
    learned = {}
    for name, path in (("with", weights), ("without", "")):
        config = config_of(renderer, path, 3)
        *steps, done = train(RENDERERS[renderer].make_model(config), dataset, tmp_path / name, config.trainer)
        learned[name] = done.avatar.tensors()
        assert all(("lpips" in e.terms) == (name == "with") for e in steps if isinstance(e, StepEvent))
    assert any(not torch.equal(tensor, learned["without"][name]) for name, tensor in learned["with"].items())


@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_stopped_fit_resumes_to_the_same_bits(dataset: Dataset, tmp_path: Path, weights: Path, renderer: str) -> None:
    config = config_of(renderer, weights, 12, checkpoint_every=5)
    make = RENDERERS[renderer].make_model
    whole = list(train(make(config), dataset, tmp_path / "a", config.trainer))[-1].avatar
    for event in train(make(config), dataset, tmp_path / "b", config.trainer):
        if isinstance(event, StepEvent) and event.step == 7:
            break
    events = list(train(make(config), dataset, tmp_path / "b", config.trainer))
    assert next(e.step for e in events if isinstance(e, StepEvent)) == 6
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, events[-1].avatar.tensors()[name]), name


@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_fit_is_told_apart_by_the_weights_and_not_by_where_they_lie(
    tmp_path: Path, weights: Path, renderer: str
) -> None:
    moved, other = tmp_path / "moved.safetensors", tmp_path / "other.safetensors"
    moved.write_bytes(weights.read_bytes())
    save_file(narrow_weights(1), other)
    configs = [config_of(renderer, path, 1) for path in (weights, moved, other, "")]
    first, second, third, without = (RENDERERS[renderer].make_model(c).config_mapping() for c in configs)
    assert first == second != third
    assert "lpips" not in without["loss"]
    assert config_values(configs[0])["loss"]["lpips"] == {"path": "narrow.safetensors", "weight": 0.05}


@pytest.mark.parametrize("renderer", RENDERERS)
def test_files_that_hold_none_are_refused_before_the_fit_begins(
    dataset: Dataset, tmp_path: Path, renderer: str
) -> None:
    save_file(narrow_weights() | {"net.slice3.6.weight": torch.zeros(6, 9, 3, 3)}, tmp_path / "shape.safetensors")
    cases = {"absent.safetensors": "LPIPS weights", "shape.safetensors": r"net\.slice3", "m.pt": r"loss\.lpips\.path"}
    for name, words in cases.items():
        config = config_of(renderer, tmp_path / name, 5, checkpoint_every=5)
        with pytest.raises(UserError, match=words):
            list(fit(dataset.root, tmp_path / "me", renderer, config, Consent("nobody", "a drawing")))
    assert not list((tmp_path / "me").glob("*"))


def test_no_path_is_no_loss() -> None:
    assert open_perceptual(LpipsConfig(), CPU) is None

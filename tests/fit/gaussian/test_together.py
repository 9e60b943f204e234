"""Steps on several images at once: as good as image by image, and nobody waits for the device."""

import dataclasses

import numpy as np
import pytest
import torch

from gtalk.avatar.gaussian import REST_CODES
from gtalk.config import from_mapping
from gtalk.dataset.split import train_test_split
from gtalk.fit.events import StepEvent
from gtalk.fit.gaussian.model import FitConfig, GaussianModel, make_model
from gtalk.fit.gaussian.pose_refinement import (
    RefineConfig,
    Refinement,
    correction_gradient,
    gradients_of,
    moved,
    moved_frames,
)
from gtalk.fit.protocol import FitContext, LateResult
from gtalk.fit.trainer import train
from gtalk.ops import splat_torch
from tests.fit.gaussian.test_model import bowl, operators_in_torch, psnr, steep, still
from tests.support.host_waits import THERE, HostWaits
from tests.support.synthetic_dataset import make_synthetic_dataset

TRAINER = {"size": 64, "steps": 40, "report_every": 10, "preview_every": 0, "checkpoint_every": 0, "frames_per_step": 4}
CONFIG = from_mapping(FitConfig, {"avatar": {"count": 1200}, "trainer": TRAINER, "device": "cpu"})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    torch.set_num_threads(1)
    return make_synthetic_dataset(tmp_path_factory.mktemp("ds"), n_frames=30, size=64)


def together(config: FitConfig, product: torch.dtype) -> GaussianModel:
    model = make_model(config)
    model.product = product
    return model


@pytest.fixture(scope="module")
def contexts(dataset, tmp_path_factory) -> FitContext:
    model = make_model(dataclasses.replace(CONFIG, trainer=dataclasses.replace(CONFIG.trainer, steps=1)))
    list(train(model, dataset, tmp_path_factory.mktemp("one"), dataclasses.replace(CONFIG.trainer, steps=1)))
    return model.context


def test_it_learns_from_four_images_at_once(dataset, tmp_path):
    events = list(train(together(CONFIG, torch.bfloat16), dataset, tmp_path, CONFIG.trainer))
    losses = [e.loss for e in events if isinstance(e, StepEvent)]
    assert losses[-1] < 0.8 * losses[0]
    seen, held_out = train_test_split(dataset)
    assert psnr(events[-1].avatar, dataset, seen[::8]) > 21.0
    assert psnr(events[-1].avatar, dataset, held_out) > 20.0


def test_one_image_together_is_one_image_alone(contexts):
    """The same step, but for the order of sums."""
    frame, states = contexts.frames[int(contexts.indices[3])], []
    for product in (None, torch.float32):
        model = make_model(dataclasses.replace(CONFIG, relocate_every=0))
        model.product = product
        model.prepare(contexts)
        rng = torch.Generator().manual_seed(5)
        result = model.train_step([frame], 0.3, rng)
        states.append((result, {n: t.clone() for n, t in model.state().items()}, model))
    (alone, one, start), (batch, other, _) = states
    assert batch.loss == pytest.approx(alone.loss, rel=1e-4)
    for name in ("base.first", "face.first", "rest.first"):
        torch.testing.assert_close(other[name], one[name], atol=1e-6 * float(one[name].abs().max()) + 1e-9, rtol=2e-2)
    torch.testing.assert_close(other["need"], one["need"], atol=1e-6, rtol=1e-2)
    assert start.steps == 1


def test_no_step_on_several_images_waits_for_its_device(contexts, monkeypatch):
    operators_in_torch(monkeypatch)
    spread = lambda g, t, lens, width, height: (g.sum() + t.sum()).expand(*g.shape[:-2], 5, height, width)  # noqa: E731
    monkeypatch.setattr(splat_torch, "gsplat_planes", spread)
    monkeypatch.setattr(splat_torch, "_planes", spread)
    refine = RefineConfig(probes=4, polls=2, probe_every=1000)
    model = make_model(dataclasses.replace(CONFIG, relocate_every=0, refine=refine))
    model.device, model.product = THERE, torch.bfloat16
    model.prepare(contexts)
    size = contexts.basis.size + REST_CODES
    model.instants = {int(index): still(size, "meta") for index in contexts.indices}  # tracking is read on the host
    frames = [contexts.frames[int(i)] for i in contexts.indices[:6]]
    rng = torch.Generator().manual_seed(0)
    for start in range(8):
        model.train_step(frames[start % 3 :][:3], 0.3, rng)
    assert model.refinement.curvature.count == 4 and model.refinement.visits.sum() > 0
    with HostWaits() as waits:
        late = [model.train_step(frames[start % 3 :][:3], 0.3, rng) for start in range(1, 30)]
    assert not waits.found
    assert all(isinstance(one, LateResult) and one.values.is_meta for one in late)


def test_corrections_of_frames_at_once_are_those_of_each():
    rng = np.random.default_rng(0)
    corrections = torch.from_numpy(rng.normal(scale=0.01, size=(3, 13)).astype(np.float32))
    instants = [still(3)._replace(transforms=torch.from_numpy(rng.normal(size=(2, 3, 4)))) for _ in range(3)]
    transforms = torch.stack([one.transforms for one in instants])
    codes, placed = moved_frames(torch.zeros(3, 3), transforms, corrections)
    d_transforms, d_codes = torch.from_numpy(rng.normal(size=(3, 2, 3, 4))), torch.randn(3, 3)
    gradients = gradients_of(transforms, d_transforms, d_codes)
    for i, now in enumerate(instants):
        alone = moved(now, corrections[i])
        torch.testing.assert_close(placed[i], alone.transforms)
        torch.testing.assert_close(codes[i], alone.code)
        torch.testing.assert_close(gradients[i], correction_gradient(now, d_transforms[i], d_codes[i]))


def test_visits_of_frames_at_once_correct_them():
    indices = np.arange(16)
    refinement = Refinement(indices, 3, RefineConfig(probes=40, polls=0, doubt=0.0, code_doubt=0.0))
    curve = steep(refinement.units)
    for _ in range(40):
        refinement.probe(still(3), bowl(torch.zeros(13), curve))
    goals = 0.5 * refinement.units * torch.randn(16, 13, generator=torch.Generator().manual_seed(2))
    goals -= goals.mean(0)
    goals[:, 6:10] = 0.0
    for _ in range(2):
        for four in indices.reshape(4, 4):
            slopes = [bowl(goals[i], curve)(refinement.apply(int(i), still(3))) for i in four]
            refinement.step_frames([int(i) for i in four], torch.stack(slopes))
    left = (refinement.values - goals) / refinement.units
    assert left.pow(2).mean().sqrt() < 0.4 * (goals / refinement.units).pow(2).mean().sqrt()
    assert (refinement.values.mean(0) / refinement.units).abs().max() < 0.05
    assert refinement.visits.tolist() == [2.0] * 16

"""A Gaussian fit on a head of known truth: it learns, resumes exactly, corrects tracking, keeps teeth behind lips."""

import copy
import dataclasses

import cv2
import numpy as np
import pytest
import torch

from gtalk.avatar.gaussian import REST_CODES, torso_motion
from gtalk.avatar.sway import WEIGHT
from gtalk.config import from_mapping, load_preset, to_mapping
from gtalk.dataset.split import train_test_split
from gtalk.fit.checkpoint import load_checkpoint
from gtalk.fit.events import DoneEvent, StepEvent
from gtalk.fit.frames import FrameCache
from gtalk.fit.gaussian.init import skull_height
from gtalk.fit.gaussian.model import FitConfig, make_model
from gtalk.fit.gaussian.pose_refinement import (
    LONGEST,
    Curvature,
    Instant,
    RefineConfig,
    Refinement,
    corrected_head,
    corrected_torso,
    head_gradient,
    torso_gradient,
    turning,
)
from gtalk.fit.gaussian.relocation import relocate
from gtalk.fit.trainer import CHECKPOINT_NAME, train
from gtalk.geometry.similarity import apply, matrices
from gtalk.ops import splat_torch
from gtalk.types import SWAY_GRID
from tests.support.host_waits import HostWaits
from tests.support.synthetic_dataset import make_synthetic_dataset

TRAINER = {"size": 64, "steps": 240, "report_every": 80, "preview_every": 0, "checkpoint_every": 0}
CONFIG = from_mapping(FitConfig, {"avatar": {"count": 1500}, "trainer": TRAINER})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_synthetic_dataset(tmp_path_factory.mktemp("ds"), n_frames=44, size=64)


@pytest.fixture(scope="module")
def fitted(dataset, tmp_path_factory):
    torch.set_num_threads(1)
    model = make_model(CONFIG)
    events = list(train(model, dataset, tmp_path_factory.mktemp("out"), CONFIG.trainer))
    assert isinstance(events[-1], DoneEvent)
    return model, events[-1].avatar


def psnr(avatar, dataset, indices):
    """Mean over frames, dB."""
    values = []
    for index in indices:
        rgb = avatar.render_bytes(dataset.motion[int(index)])[0][0].numpy().astype(np.float64)
        values.append(-10 * np.log10(((rgb - dataset.frame(int(index))) ** 2).mean() / 255.0**2))
    return float(np.mean(values))


def test_it_learns_and_generalises(fitted, dataset):
    model, avatar = fitted
    seen, held_out = train_test_split(dataset)
    fresh = make_model(CONFIG)
    fresh.prepare(model.context)
    before = psnr(fresh.avatar(), dataset, seen[::8])
    after, unseen = psnr(avatar, dataset, seen[::8]), psnr(avatar, dataset, held_out)
    assert after > 25.0
    assert after > before + 3.0
    assert unseen > 23.0


def test_seeds_keep_to_the_budget(fitted):
    assert len(fitted[1].tensors()["base"]) <= CONFIG.avatar.count


def test_ears_are_seeded_behind_the_mesh_and_hair_on_a_skull():
    turn = np.linspace(0.0, 2.0 * np.pi, 60, endpoint=False)
    edge = np.stack([0.07 * np.cos(turn), 0.08 * np.sin(turn), 0.01 + 0.04 * np.abs(np.sin(turn))], 1)
    height = skull_height(np.concatenate([edge, [[0.0, 0.0, 0.1]]]))
    above, ear, beyond = height(np.array([[0.0, 0.1, 0.0], [0.085, 0.0, 0.0], [0.0, 0.3, 0.0]]))
    assert above > 0.05 and ear == beyond < 0.01
    temple, cheek, hair_by_jaw = height(np.array([[0.055, 0.055, 0.0], [0.0705, 0.0, 0.0], [0.06, -0.075, 0.0]]))
    assert temple > 0.01 and cheek <= 0.01 + 0.006
    assert hair_by_jaw < 0.02  # seen from aside it would lie before the cheek


def test_coverage_is_learned(fitted, dataset):
    _, avatar = fitted
    alpha = avatar.render(dataset.motion[20]).alpha[0].numpy()
    assert np.abs(alpha - dataset.matte(20) / 255.0).mean() < 0.03


def test_teeth_stay_behind_lips(fitted):
    model, _ = fitted
    mouth = model.mouth_front < 0.9
    assert int(mouth.sum()) >= 8
    assert (model.tensors["base"][mouth, 2] <= model.mouth_front[mouth] + 1e-6).all()


def test_resumed_is_uninterrupted_bit_for_bit(dataset, tmp_path):
    torch.set_num_threads(1)
    trainer = dataclasses.replace(CONFIG.trainer, steps=120, checkpoint_every=60)
    config = dataclasses.replace(CONFIG, trainer=trainer, relocate_every=40)
    whole = list(train(make_model(config), dataset, tmp_path / "a", trainer))[-1].avatar
    events = train(make_model(config), dataset, tmp_path / "b", trainer)
    for event in events:
        if getattr(event, "step", 0) == 60 and hasattr(event, "path"):
            break
    events.close()
    assert load_checkpoint(tmp_path / "b" / CHECKPOINT_NAME)[2].step == 60
    resumed = list(train(make_model(config), dataset, tmp_path / "b", trainer))[-1].avatar
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name


def operators_in_torch(monkeypatch):
    """What CUDA runs, gsplat's rasteriser apart, takes the place of the compiled operators."""
    for name, kernel in splat_torch.KERNELS.items():
        monkeypatch.setattr(torch.ops.gtalk, name, kernel)


def test_operators_that_cuda_runs_fit_the_same(fitted, dataset, tmp_path, monkeypatch):
    trainer = dataclasses.replace(CONFIG.trainer, steps=5, report_every=1)
    config = dataclasses.replace(CONFIG, trainer=trainer, relocate_every=3)
    runs = []
    for in_torch in (False, True):
        with monkeypatch.context() as patch:
            if in_torch:
                operators_in_torch(patch)
            events = list(train(make_model(config), dataset, tmp_path / str(in_torch), trainer))
        runs.append(([e.loss for e in events if isinstance(e, StepEvent)], events[-1].avatar.tensors()))
    np.testing.assert_allclose(runs[0][0], runs[1][0], rtol=2e-3)
    start = make_model(config)
    start.prepare(fitted[0].context)
    for name in ("base", "face", "rest"):
        before = start.tensors[name]
        ours, theirs = (v[name][: len(before)].float() for v in (runs[0][1], runs[1][1]))
        moved = (ours - before).norm()
        assert moved > 0
        assert (ours - theirs).norm() < 0.05 * moved, name


@pytest.fixture
def on_meta(fitted, monkeypatch):
    """(model on the meta device, which like CUDA refuses to mix with tensors of the CPU; its context)."""
    operators_in_torch(monkeypatch)
    spread = lambda g, t, lens, width, height: (g.sum() + t.sum()).expand(5, height, width)  # noqa: E731
    monkeypatch.setattr(splat_torch, "_planes", spread)
    refine = RefineConfig(probes=4, polls=2, probe_every=1000)
    model = make_model(dataclasses.replace(CONFIG, device="cpu", relocate_every=0, refine=refine))
    model.device = torch.device("meta")
    context = fitted[0].context
    model.prepare(context)
    size = context.basis.size + REST_CODES
    model.instants = {int(index): still(size, "meta") for index in context.indices}  # tracking is read on the host
    return model, context


def test_a_step_stays_on_its_device(on_meta):
    model, context = on_meta
    frame = context.frames[int(context.indices[0])]
    now = model.instants[frame.index]
    results = model._descend(frame, now, now.code, 1.0)
    assert all(r.device.type == "meta" for r in (*results, *model.tensors.values(), *model.moments.values()))


def test_no_step_waits_for_its_device(on_meta):
    """Corrections of tracking included, once their curvature is known; results are read when they are asked for."""
    model, context = on_meta
    rng = torch.Generator().manual_seed(0)
    step = lambda i, progress: model.train_step([context.frames[int(context.indices[i])]], progress, rng)  # noqa: E731
    for i in range(8):
        step(i % 3, 0.3)
    assert model.refinement.curvature.count == 4
    assert model.refinement.visits.sum() > 0
    with HostWaits() as waits:
        late = [step(i % 3, 0.3) for i in range(1, 12)]
        assert not waits.found
        values = torch.stack([one.values for one in late]).cpu()
    assert waits.count == 1
    assert late[0].read(values[0].tolist()).loss == 0.0


def test_no_frame_waits_for_its_device(fitted, dataset, monkeypatch):
    operators_in_torch(monkeypatch)
    spread = lambda g, t, lens, width, height: (g.sum() + t.sum()).expand(5, height, width)  # noqa: E731
    monkeypatch.setattr(splat_torch, "_planes", spread)
    there = fitted[1].to(torch.device("meta"))
    there.__dict__["code_norm"] = fitted[1].code_norm  # read once in an avatar's life
    with HostWaits() as waits:
        image, coverage = there.render_bytes(dataset.motion[:2])
        rgb = there.render(dataset.motion[:1]).rgb
    assert image.is_meta and coverage.is_meta and rgb.is_meta
    assert not waits.found


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_fit_on_cuda_is_as_good(fitted, dataset, tmp_path):
    config = dataclasses.replace(CONFIG, device="cuda")
    avatar = list(train(make_model(config), dataset, tmp_path, config.trainer))[-1].avatar
    assert avatar.tensors()["base"].is_cuda
    held_out = train_test_split(dataset)[1]
    assert psnr(avatar.to(torch.device("cpu")), dataset, held_out) > psnr(fitted[1], dataset, held_out) - 0.5


def numeric(function, x, step=1e-6):
    """Gradient by central differences."""
    out = np.zeros_like(x)
    for i in range(len(x)):
        d = np.zeros_like(x)
        d[i] = step
        out[i] = (function(x + d) - function(x - d)) / (2 * step)
    return out


def test_correction_gradients_are_slopes():
    rng = np.random.default_rng(0)
    T, weight = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    T, weight = torch.from_numpy(T), torch.from_numpy(weight)
    by_head = numeric(lambda c: float((corrected_head(T, torch.from_numpy(c)) * weight).sum()), np.zeros(6))
    np.testing.assert_allclose(head_gradient(T, weight), by_head, atol=1e-8)
    by_torso = numeric(lambda c: float((corrected_torso(T, torch.from_numpy(c)) * weight).sum()), np.zeros(4))
    np.testing.assert_allclose(torso_gradient(T, weight), by_torso, atol=1e-8)


@pytest.mark.parametrize("size", [0.0, 1e-9, 1e-3, 0.7, 3.1])
def test_turning_is_rodrigues(size):
    w = size * np.array([0.36, -0.48, 0.8])
    np.testing.assert_allclose(turning(torch.from_numpy(w)), cv2.Rodrigues(w)[0], atol=1e-12)


def bowl(goal: torch.Tensor, curve: torch.Tensor):
    """Gradient, by a further correction, of a loss that is least when a frame is moved by `goal`: curve (at - goal)."""

    def slope(now: Instant) -> torch.Tensor:
        head, torso = now.transforms.numpy()
        turn = cv2.Rodrigues(head[:, :3])[0][:, 0]
        at = np.concatenate(
            [
                turn,
                10.0 * head[:, 3],
                [torso[0, 2], torso[1, 2], np.arctan2(torso[1, 0], torso[0, 0]), np.log(np.hypot(*torso[:2, 0]))],
            ]
        )
        return curve @ (torch.cat([torch.from_numpy(at).float(), now.code]) - goal)

    return slope


def still(code_size: int, device: str = "cpu") -> Instant:
    transforms = torch.eye(4, dtype=torch.float64, device=device)[:3].repeat(2, 1, 1)
    return Instant(torch.zeros(code_size, device=device), transforms, (0.0, 0.0, 0.0))


def steep(units: torch.Tensor) -> torch.Tensor:
    """A curvature whose axes are not the numbers' own: turning and shifting a head look alike."""
    half = torch.eye(len(units))
    half[3, 1] = half[4, 0] = 0.6
    return torch.diag(1.0 / units) @ (half @ half.T) @ torch.diag(1.0 / units)


def test_curvature_is_measured_and_its_steps_reach_the_bottom():
    config = RefineConfig(damping=1e-3)
    units = config.units(3)
    curve = steep(units)
    found = Curvature(3, config.damping)
    for _ in range(60):
        found.probe(still(3), units, bowl(torch.zeros(13), curve))
    off = 0.3 * torch.randn(13, generator=torch.Generator().manual_seed(1))
    off[6:10] = 0.0  # torso: its correction is no sum, only near nothing
    step = found.newton((curve @ (-off * units)) * units)
    assert step == pytest.approx(off.numpy(), abs=0.06)
    assert found.newton(torch.full((13,), 1e6)).abs().max() <= LONGEST


def test_two_visits_correct_a_frame_and_the_mean_stays_at_zero():
    indices = np.arange(5, 21)
    refinement = Refinement(indices, 3, RefineConfig(probes=40, polls=0, doubt=0.0, code_doubt=0.0))
    curve = steep(refinement.units)
    for _ in range(40):
        refinement.probe(still(3), bowl(torch.zeros(13), curve))
    goals = 0.5 * refinement.units * torch.randn(16, 13, generator=torch.Generator().manual_seed(2))
    goals -= goals.mean(0)
    goals[:, 6:10] = 0.0
    for _ in range(2):
        for index, goal in zip(indices, goals, strict=True):
            now = refinement.apply(int(index), still(3))
            refinement.step(int(index), bowl(goal, curve)(now))
    left = (refinement.values - goals) / refinement.units
    assert left.pow(2).mean().sqrt() < 0.4 * (goals / refinement.units).pow(2).mean().sqrt()
    assert (refinement.values.mean(0) / refinement.units).abs().max() < 0.05


def test_corrections_resume():
    indices, curve = np.arange(4), torch.eye(13)
    ones = [Refinement(indices, 3, RefineConfig(probes=4, polls=1, doubt=0.1)) for _ in range(2)]
    for _ in range(4):
        ones[0].probe(still(3), bowl(torch.zeros(13), curve))
    ones[1].load_state({name: tensor.clone() for name, tensor in ones[0].state().items()})
    for one in ones:
        one.probe(still(3), bowl(torch.zeros(13), curve))
        one.step(int(indices[1]), torch.ones(13))
    assert torch.equal(ones[0].values, ones[1].values) and bool(ones[0].values.any())


def test_small_steps_are_not_believed_and_large_ones_are():
    def believed(size: float) -> float:
        refinement = Refinement(np.arange(40), 3, RefineConfig(probes=40, polls=8))
        curve = steep(refinement.units)
        for _ in range(40):
            refinement.probe(still(3), bowl(torch.zeros(13), curve))
        goals = size * refinement.units * torch.randn(40, 13, generator=torch.Generator().manual_seed(3))
        for index in range(40):
            refinement.step(index, bowl(goals[index], curve)(refinement.apply(index, still(3))))
        assert bool(refinement.values[:, :6].any()) == (float(refinement.trust()[0]) > 0.0)
        return float(refinement.trust()[0])

    assert believed(0.3) == 0.0
    assert believed(1.2) > 0.6


def test_without_gain_there_are_no_corrections():
    never = Refinement(np.arange(3), 3, RefineConfig(gain=0.0))
    assert not any(never.wants_probe(step, progress) for step in range(50) for progress in (0.0, 0.5, 1.0))
    usual = Refinement(np.arange(3), 3, RefineConfig())
    assert not usual.wants_probe(0, 0.0) and usual.wants_probe(100, 0.5)


def test_dead_gaussians_move_to_where_they_are_needed():
    rng = torch.Generator().manual_seed(0)
    base = torch.randn(50, 16, generator=rng)
    base[:, 10], base[:, 3:6] = 1.0, -2.0
    base[:10, 10] = -8.0
    tensors = {"base": base, "face": torch.randn(50, 4, 16, generator=rng)}
    moments = {"base.first": torch.ones(50, 16), "base.second": torch.ones(50, 16), "face.first": torch.ones(50, 4, 16)}
    need = torch.zeros(50)
    need[20:32] = 1.0
    assert relocate(tensors, moments, need, slice(0, 50), "face", -3.5, 8, rng) == 8
    revived = torch.nonzero(base[:10, 10] > -3.5)[:, 0]
    assert len(revived) == 8
    for row in revived:
        parent = [p for p in range(20, 32) if torch.equal(tensors["face"][p], tensors["face"][row])]
        assert len(parent) == 1
        assert (base[row, :3] - base[parent[0], :3]).norm() < 1.0
    assert relocate(tensors, moments, torch.zeros(50), slice(0, 50), "face", -3.5, 8, rng) == 0


def test_torso_at_rest_is_where_it_was():
    from gtalk.types import Camera

    np.testing.assert_allclose(torso_motion(Camera(100.0, 20.0, 25.0, 48, 48), np.zeros(4)), np.eye(4), atol=1e-12)


@pytest.mark.parametrize("preset", ["cpu", "gpu", "quality"])
def test_presets_are_valid(preset):
    config = load_preset(FitConfig, "gaussian", preset)
    assert from_mapping(FitConfig, to_mapping(config)) == config


def test_what_sways_is_anchored_where_the_clip_shows_it(fitted, dataset):
    context = fitted[0].context
    motion = dataset.motion
    knots = np.stack(np.meshgrid(np.linspace(0, 64, SWAY_GRID), np.linspace(0, 64, SWAY_GRID)), -1).reshape(-1, 2)
    moved = [apply(matrices(row, (64, 64)), knots) - knots for row in motion.channels["torso"]]
    sway = (np.stack(moved) / 64).reshape(len(motion), -1).astype(np.float32)
    rest = int(context.indices[np.abs(sway[context.indices]).sum(1).argmin()])
    swaying = copy.copy(dataset)
    swaying.__dict__["motion"] = motion.replace(channels={**motion.channels, "sway": sway})
    cache = FrameCache(swaying, (64, 64))
    model = make_model(CONFIG)
    model.prepare(dataclasses.replace(context, dataset=swaying, frames=cache))
    anchored = model.tensors["anchors"][:, WEIGHT] > 0
    assert 0.2 < float(anchored.float().mean()) < 0.9
    shifts = model.avatar().shifts(swaying.motion[rest])[0][: len(anchored)]  # without what stands behind
    assert float(shifts[anchored].abs().max()) < 0.1 * float(model.tensors["base"][:, :2].std())
    model.train_step([cache[rest]], 0.5, torch.Generator().manual_seed(0))
    assert len(model.state()["anchors"]) == len(model.tensors["base"])


def test_what_stands_behind_is_kept_as_it_was_made(fitted):
    model, avatar = fitted
    behind = len(model.backing)
    assert behind > 20
    torch.testing.assert_close(avatar.tensors()["base"][-behind:], model.backing)
    assert not avatar.tensors()["rest"][-behind:].any()
    assert len(model.tensors["base"]) + behind <= CONFIG.avatar.count

"""Where the face's code has a say: around what it moves, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gtalk.basis import MotionBasis
from gtalk.fit.radiance.influence import face_reach, within
from gtalk.fit.radiance.model import make_model
from gtalk.fit.radiance.occupancy import HeadVolume
from gtalk.fit.radiance.warp_init import MeshMotion
from gtalk.fit.trainer import train
from gtalk.ops import GridSpec, hash_encode
from gtalk.ops.adapters.tcnn import TcnnGridSpec
from tests.fit.small_fit import small_config
from tests.support.synthetic_dataset import make_synthetic_dataset

SPEC = GridSpec.geometric(3, 5, 8, 40, 14)
VOLUME = HeadVolume(np.array([-0.1, -0.1, -0.1]), 0.2, np.ones((16, 16, 16), bool))
MOUTH, EYE = np.array([0.0, -0.06, 0.0]), np.array([0.03, 0.05, 0.0])


@pytest.fixture(scope="module")
def basis(tmp_path_factory: pytest.TempPathFactory) -> MotionBasis:
    return MotionBasis.fit(make_synthetic_dataset(Path(tmp_path_factory.mktemp("ds")), n_frames=12, size=32).motion)


def mesh_of(basis: MotionBasis) -> MeshMotion:
    """Three points: a mouth, an eye, and an ear that nobody moves but a little noise."""
    moved = np.zeros((basis.size, 3, 3))
    mouth = basis.groups["mouth"]
    moved[mouth, 0, 1], moved[mouth.stop :, 1, 1] = 3e-3, 2e-3
    moved[:, 2, 0] = 1e-4
    return MeshMotion(np.stack([MOUTH, EYE, [-0.09, 0.0, -0.05]]), moved)


def test_a_code_reaches_its_own_points_and_not_the_others(basis: MotionBasis) -> None:
    reach = face_reach(basis, mesh_of(basis), VOLUME, SPEC, 4, 11, 0.021)
    assert reach.warp.shape == (basis.size, 11, 11, 11)
    steps = np.linspace(-0.1, 0.1, 11)
    z, y, x = np.meshgrid(steps, steps, steps, indexing="ij")
    control = np.stack([x, y, z], -1)
    first, last = (
        np.linalg.norm((control - MOUTH) * [1, 1, 0.5], axis=-1),
        np.linalg.norm((control - EYE) * [1, 1, 0.5], axis=-1),
    )
    assert np.array_equal(reach.warp[0], first < 0.021) and reach.warp[0].any()
    assert np.array_equal(reach.warp[-1], last < 0.021) and reach.warp[-1].any()


@pytest.mark.parametrize("kind", [GridSpec, TcnnGridSpec])
def test_entries_are_those_whose_vertices_are_near(basis: MotionBasis, kind: type[GridSpec]) -> None:
    spec = kind(3, SPEC.resolutions, SPEC.log2_table_size)
    reach = face_reach(basis, mesh_of(basis), VOLUME, spec, 4, 4, 0.02)
    assert (np.diff(reach.entries) > 0).all() and reach.entries[-1] < spec.offsets[4]
    assert reach.codes.shape == (basis.size, len(reach.entries)) and reach.codes.any(0).all()
    assert len(reach.entries) < 0.1 * spec.offsets[4]


def test_what_a_code_changes_is_seen_near_its_points_only(basis: MotionBasis) -> None:
    reach = face_reach(basis, mesh_of(basis), VOLUME, SPEC, 3, 4, 0.02)  # three levels that are stored whole
    assert all(SPEC.is_dense(level) for level in range(3))
    table = torch.zeros(SPEC.n_entries, 2)
    table[torch.from_numpy(reach.entries[reach.codes[0]])] = 1.0
    places = np.stack([MOUTH, EYE, [-0.09, 0.0, -0.05], [0.0, 0.02, 0.0]])
    seen = hash_encode(torch.as_tensor((places + 0.1) / 0.2, dtype=torch.float32), table, SPEC).abs().sum(1)
    assert seen[0] > 1.0 and float(seen[1:].abs().max()) == 0.0


def test_without_tracking_or_when_told_so_it_is_everywhere(basis: MotionBasis) -> None:
    for mesh, reach_m in ((None, 0.02), (mesh_of(basis), 0.0)):
        reach = face_reach(basis, mesh, VOLUME, SPEC, 2, 3, reach_m)
        assert reach.warp.all() and reach.codes.all() and len(reach.entries) == SPEC.offsets[2]


def test_near_is_measured_with_half_the_depth() -> None:
    points = np.array([[0.0, 0, 0.019], [0.0, 0, 0.021], [0.009, 0, 0], [0.011, 0, 0]])
    assert within(points, np.zeros((1, 3)), 0.01).tolist() == [True, False, True, False]
    assert not within(points, np.zeros((0, 3)), 0.01).any()


def test_steps_of_a_fit_leave_alone_what_a_code_does_not_reach(tmp_path: Path) -> None:
    dataset = make_synthetic_dataset(tmp_path, n_frames=24, size=40)
    opening = dataset.motion.landmarks[:, 57, 1] - dataset.motion.landmarks[:, 57, 1].mean()
    near = np.exp(-((dataset.person.shape[:, :2] - [0, -0.045]) ** 2).sum(1) / 0.02**2)
    dense = dataset.person.shape + np.einsum("t,p->tp", opening, near)[..., None] * [0.0, 1.0, 0.0]
    channels = {**dataset.motion.channels, "landmarks478": dense}
    dataset.__dict__["motion"] = dataset.motion.replace(channels=channels)
    config = small_config(steps=6)
    model = make_model(config)
    for _ in train(model, dataset, tmp_path, config.trainer):
        pass
    size = len(model.movable)
    warp, basis = model.tensors["head.warp"].detach(), model.tensors["head.basis"]
    still = ~model.movable.expand(size, *warp.shape[1:])
    assert 0.1 < float(still.float().mean()) < 1.0 and float(warp[:size][still].abs().max()) == 0.0
    assert float((basis * ~model.changeable).abs().max()) == 0.0
    assert all(float(t.abs().max()) > 0.0 for t in (warp[:size], warp[size:], basis))
    assert len(model.tensors["head.reach"]) < 0.8 * len(model.tensors["head.coarse"])

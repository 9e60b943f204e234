"""The Gaussian avatar: rendering, saving, its torso's motion, and `.ply` files that others can read."""

import numpy as np
import pytest
import torch

from gtalk import cli
from gtalk.avatar.base import Avatar, Consent
from gtalk.avatar.bundle import load_avatar, save_avatar
from gtalk.avatar.gaussian import REST_CODES, GaussianAvatar, GaussianConfig, torso_motion
from gtalk.avatar.parts import AvatarParts
from gtalk.avatar.pose_code import PoseCode
from gtalk.basis import MotionBasis
from gtalk.errors import UserError
from gtalk.export.ply import SH_CONSTANT, write_ply, write_ply_sequence
from gtalk.ops import splat
from gtalk.ops.reference import splat as reference
from gtalk.types import Camera
from tests.avatar.small_gaussian import random_bases
from tests.support.synthetic_dataset import make_synthetic_dataset

SIZE = 48


@pytest.fixture(scope="module")
def motion(tmp_path_factory):
    return make_synthetic_dataset(tmp_path_factory.mktemp("ds"), n_frames=12, size=SIZE).motion


@pytest.fixture(scope="module")
def avatar(motion):
    rng = torch.Generator().manual_seed(0)
    basis = MotionBasis.fit(motion)
    pose_code = PoseCode.fit(motion, np.zeros(len(motion), np.int64))
    codes = basis.size + REST_CODES
    base = torch.zeros(300, 16)
    base[:, :3] = torch.randn(300, 3, generator=rng) * 0.05
    base[:, 3:6] = -4.8 + 0.4 * torch.randn(300, 3, generator=rng)
    base[:, 6:10] = torch.randn(300, 4, generator=rng)
    base[:, 10] = torch.randn(300, generator=rng)
    base[:, 11:14] = torch.rand(300, 3, generator=rng)
    base[:, 14] = 3.0 * torch.randn(300, generator=rng)
    tensors = {"base": base, **random_bases(codes, 200, 100, rng)}
    plate = torch.randint(0, 256, (60, 60, 3), dtype=torch.uint8, generator=rng).numpy()
    camera = Camera(2.2 * SIZE, SIZE / 2, SIZE / 2, SIZE, SIZE)
    return GaussianAvatar(GaussianConfig(count=300), AvatarParts(basis, camera, 25.0, plate, pose_code), tensors)


def test_it_is_an_avatar(avatar, motion):
    assert isinstance(avatar, Avatar)
    out = avatar.render(motion[:2])
    assert out.rgb.shape == (2, SIZE, SIZE, 3)
    assert out.alpha.shape == out.depth.shape == (2, SIZE, SIZE)
    assert out.rgb.is_contiguous()
    assert 0.05 < float(out.alpha.mean()) < 0.95
    seen = out.alpha > 0.5
    assert ((out.depth[seen] > 0.3) & (out.depth[seen] < 1.5)).all()


def test_bytes_are_the_floats(avatar, motion):
    out = avatar.render(motion[3])
    rgb, alpha = avatar.render_bytes(motion[3])
    assert (rgb.float() - out.rgb.clamp(0, 1) * 255).abs().max() <= 0.501
    assert (alpha.float() - out.alpha * 255).abs().max() <= 0.501


def test_alpha_is_exact_on_any_background(avatar, motion):
    nothing = avatar.render(motion[1], background=None)
    grey = avatar.render(motion[1], background=np.full((SIZE, SIZE, 3), 51, np.uint8))
    over = nothing.rgb + (1.0 - nothing.alpha[..., None]) * 0.2
    assert (grey.rgb - over).abs().max() < 1e-5
    assert torch.equal(grey.alpha, nothing.alpha)


@pytest.mark.parametrize("size", [24, 96])
def test_other_sizes_show_the_same(avatar, motion, size):
    usual = avatar.render(motion[0], background=None)
    other = avatar.render(motion[0], size=(size, size), background=None)
    fine, coarse = (usual, other) if size < SIZE else (other, usual)
    pooled = torch.nn.functional.avg_pool2d(fine.rgb.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    assert (coarse.rgb.mean() - pooled.mean()).abs() < 0.01
    assert (coarse.rgb - pooled).abs().mean() < 0.025
    assert (coarse.alpha.mean() - fine.alpha.mean()).abs() < 0.01


def test_background_of_another_size_is_refused(avatar, motion):
    with pytest.raises(UserError, match="48x48"):
        avatar.render(motion[0], background=np.zeros((10, 10, 3), np.uint8))


def test_saved_and_loaded_is_the_same_bits(avatar, motion, tmp_path):
    save_avatar(tmp_path, avatar, provenance={}, consent=Consent("Toy", "A toy."), preview_motion=motion[0])
    again = load_avatar(tmp_path)
    assert again.kind == "gaussian"
    assert torch.equal(again.render(motion[:3]).rgb, avatar.render(motion[:3]).rgb)


def test_misshapen_tensors_are_refused(avatar):
    tensors = avatar.tensors()
    tensors["face"] = tensors["face"][:, :-1]
    with pytest.raises(ValueError, match="Gaussian avatar"):
        GaussianAvatar.from_parts({}, avatar.parts, tensors)
    tensors = avatar.tensors()
    tensors["base"] = tensors["base"] * float("nan")
    with pytest.raises(ValueError, match="Gaussian avatar"):
        GaussianAvatar.from_parts({}, avatar.parts, tensors)


def test_wild_motion_stays_bounded(avatar, motion):
    wild = motion[0].replace(landmarks=motion[0].landmarks * 5.0, eyes=np.full((1, 2), 30.0))
    now = avatar.instants(wild)[0]
    moved = avatar.gaussians(now) - avatar.tensors()["base"]
    assert (moved.abs() <= avatar.config.limits() + 1e-5).all()
    assert avatar.render(wild).rgb.isfinite().all()


@pytest.mark.parametrize("centre", [(24.0, 24.0), (20.0, 27.0)])
def test_torso_moves_by_the_similarity_in_the_image(centre):
    camera = Camera(100.0, centre[0], centre[1], 48, 48)
    similarity = np.array([0.03, -0.02, 0.1, 0.05])
    points = np.array([[0.1, -0.05, 0.8], [-0.12, 0.1, 0.6], [0.0, 0.02, 0.9]])
    before = points[:, :2] / points[:, 2:] * 100.0 + centre
    moved = points @ torso_motion(camera, similarity)[:3, :3].T
    after = moved[:, :2] / moved[:, 2:] * 100.0 + centre
    turn = np.exp(0.05) * np.array([[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]])
    np.testing.assert_allclose(after, 24.0 + (before - 24.0) @ turn.T + np.array([0.03, -0.02]) * 48, atol=1e-9)
    np.testing.assert_allclose(moved[:, 2], points[:, 2])


def read_back(path):
    """Gaussians of a 3DGS file by an independent reader, as rows of the rasteriser (world frame)."""
    plyfile = pytest.importorskip("plyfile")
    vertex = plyfile.PlyData.read(str(path))["vertex"]
    rows = np.zeros((len(vertex), 16), np.float32)
    names = ["x", "y", "z", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3", "opacity"]
    for column, name in enumerate(names):
        rows[:, column] = vertex[name]
    for channel in range(3):
        rows[:, 11 + channel] = 0.5 + SH_CONSTANT * np.asarray(vertex[f"f_dc_{channel}"])
    rows[:, 14] = -40.0
    return torch.from_numpy(rows)


@pytest.mark.parametrize(("frame", "axes"), [(None, "viewers"), (5, "viewers"), (5, "gtalk")])
def test_ply_read_back_draws_the_same_image(avatar, motion, tmp_path, frame, axes):
    path = tmp_path / "frame.ply"
    write_ply(avatar, path, None if frame is None else motion[frame], axes)
    rows = read_back(path)
    camera = avatar.camera
    T = camera.T_camera_world @ np.diag([1.0, -1.0, -1.0, 1.0]) if axes == "viewers" else camera.T_camera_world
    view = torch.from_numpy(np.stack([T[:3]] * 2).astype(np.float32))
    lens = (camera.focal_px, camera.focal_px, camera.cx_px, camera.cy_px)
    planes = splat.rasterise(rows, view, lens, SIZE, SIZE)
    if frame is None:
        assert len(rows) == 300
        assert float(1 - planes[3].mean()) > 0.05
        return
    ours = avatar.render(motion[frame], background=None).rgb[0]
    in_torch = reference.rasterise(rows.double(), view.double(), torch.tensor(lens).double(), SIZE, SIZE)
    for read in (planes, in_torch):
        error = ((read[:3].permute(1, 2, 0) - ours) ** 2).mean()
        assert -10.0 * torch.log10(error) > 60.0


def exported(folder, *arguments) -> int:
    """Exit status of `gtalk export`."""
    try:
        return cli.main(["export", str(folder), *map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)


def test_export_writes_rest_frame_and_sequence(avatar, motion, tmp_path, capsys):
    save_avatar(tmp_path / "me", avatar, provenance={}, consent=Consent("Toy", "A toy."))
    motion[:4].save(tmp_path / "act.motion.npz")
    act = ("--motion", tmp_path / "act.motion.npz")
    assert exported(tmp_path / "me", "-o", tmp_path / "rest.ply") == 0
    assert exported(tmp_path / "me", "-o", tmp_path / "one.ply", *act, "--frame", 2) == 0
    assert exported(tmp_path / "me", "-o", tmp_path / "all", "--format", "ply-sequence", *act) == 0
    rows = {name: read_back(tmp_path / name) for name in ("rest.ply", "one.ply", "all/000002.ply")}
    assert torch.equal(rows["one.ply"], rows["all/000002.ply"])
    assert not torch.equal(rows["one.ply"], rows["rest.ply"])
    assert exported(tmp_path / "me", "-o", tmp_path / "x.ply", *act, "--frame", 4) == 2
    assert exported(tmp_path / "me", "-o", tmp_path / "x", "--format", "ply-sequence") == 2
    shown = capsys.readouterr().err
    assert "0 to 3" in shown and "--motion" in shown


def test_ply_sequence_has_a_file_per_frame(avatar, motion, tmp_path):
    write_ply_sequence(avatar, motion[:3], tmp_path / "frames")
    assert sorted(p.name for p in (tmp_path / "frames").iterdir()) == ["000000.ply", "000001.ply", "000002.ply"]
    with pytest.raises(UserError, match="one frame"):
        write_ply(avatar, tmp_path / "x.ply", motion[:2])

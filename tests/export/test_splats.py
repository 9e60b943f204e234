"""Each splat file, read back as its public description says, holds the Gaussians of the ply file."""

import gzip
import itertools
import json
import struct

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.export.ply import SH_CONSTANT, still
from gtalk.export.splats import FRACTION_BITS, write_splat, write_splats_glb, write_spz
from gtalk.geometry.quaternion import rotation_matrices
from tests.avatar.small_gaussian import small_gaussian


def covariances(log_scale: np.ndarray, wxyz: np.ndarray) -> np.ndarray:
    import torch

    half = rotation_matrices(torch.from_numpy(np.asarray(wxyz, np.float64))).numpy() * np.exp(log_scale)[:, None]
    return half @ half.transpose(0, 2, 1)


def compare(table: np.ndarray, place, log_scale, wxyz, rgb, opacity, tolerance: float) -> None:
    """`tolerance`: of shapes, as a share of their size."""
    np.testing.assert_allclose(place, table[:, :3], atol=1e-5)
    np.testing.assert_allclose(opacity, 1 / (1 + np.exp(-table[:, 9])), atol=3e-3)
    np.testing.assert_allclose(rgb, np.clip(SH_CONSTANT * table[:, 6:9] + 0.5, 0, 1), atol=7e-3)
    wanted, found = covariances(table[:, 10:13], table[:, 13:17]), covariances(log_scale, wxyz)
    size = np.linalg.norm(wanted, axis=(1, 2))
    assert (np.linalg.norm(found - wanted, axis=(1, 2)) / size).max() < tolerance


def test_a_splat_file(tmp_path) -> None:
    avatar, motion = small_gaussian()
    write_splat(avatar, tmp_path / "a.splat", motion[3])
    kind = [("place", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("wxyz", "u1", 4)]
    rows = np.frombuffer((tmp_path / "a.splat").read_bytes(), kind)
    table = still(avatar, motion[3], "viewers")
    seen = np.exp(table[:, 10:13].sum(1)) / (1 + np.exp(-table[:, 9]))
    table = table[np.argsort(-seen, kind="stable")]
    rgba = rows["rgba"] / 255
    compare(table, rows["place"], np.log(rows["scale"]), rows["wxyz"] / 128.0 - 1, rgba[:, :3], rgba[:, 3], 0.05)


def test_a_spz_file(tmp_path) -> None:
    avatar, motion = small_gaussian()
    write_spz(avatar, tmp_path / "a.spz", motion[3])
    data = gzip.decompress((tmp_path / "a.spz").read_bytes())
    magic, version, count, degree, bits, flags, spare = struct.unpack_from("<IIIBBBB", data)
    assert (data[:4], version, degree, bits, flags, spare) == (b"NGSP", 2, 0, FRACTION_BITS, 0, 0) and magic
    at = np.cumsum([16, 9 * count, count, 3 * count, 3 * count, 3 * count])
    assert at[-1] == len(data)
    places, alpha, colour, scale, xyz = (np.frombuffer(data[a:b], "u1") for a, b in itertools.pairwise(at))
    wide = np.zeros((3 * count, 4), "u1")
    wide[:, 1:] = places.reshape(-1, 3)  # the sign goes along in the highest byte
    place = (wide.view("<i4").reshape(-1, 3) >> 8) / 2.0**bits
    v = xyz.reshape(-1, 3) / 127.5 - 1
    wxyz = np.column_stack([np.sqrt(np.maximum(0, 1 - (v**2).sum(1))), v])
    rgb = (colour.reshape(-1, 3) / 255.0 - 0.5) / 0.15 * SH_CONSTANT + 0.5
    table = still(avatar, motion[3], "gtalk")
    inside = (np.abs(table[:, 6:9]) < 0.5 / 0.15).all(1) & (np.abs(table[:, 9]) < 5)
    compare(
        table[inside], place[inside], scale.reshape(-1, 3)[inside] / 16.0 - 10, wxyz[inside],
        np.clip(rgb[inside], 0, 1), alpha[inside] / 255, 0.12,
    )  # fmt: skip


def test_a_glb_of_splats(tmp_path) -> None:
    avatar, motion = small_gaussian()
    write_splats_glb(avatar, tmp_path / "a.glb", motion[3], "Ada")
    data = (tmp_path / "a.glb").read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    document, binary = json.loads(data[20 : 20 + length]), data[28 + length :]
    own = "KHR_gaussian_splatting"
    (primitive,) = document["meshes"][0]["primitives"]
    assert document["extensionsUsed"] == [own] and document["asset"]["extras"]["likeness_of"] == "Ada"
    assert primitive["mode"] == 0
    assert primitive["extensions"][own] == {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}

    def values(name: str) -> np.ndarray:
        accessor = document["accessors"][primitive["attributes"][name]]
        view = document["bufferViews"][accessor["bufferView"]]
        flat = np.frombuffer(binary, "<f4", view["byteLength"] // 4, view["byteOffset"])
        return flat.reshape(accessor["count"], -1).astype(np.float64)

    xyzw, dc = values(f"{own}:ROTATION"), values(f"{own}:SH_DEGREE_0_COEF_0")
    np.testing.assert_allclose(np.linalg.norm(xyzw, axis=1), 1.0, atol=1e-6)
    rgb, opacity = np.clip(SH_CONSTANT * dc + 0.5, 0, 1), values(f"{own}:OPACITY")[:, 0]
    scale, place = values(f"{own}:SCALE"), values("POSITION")
    compare(still(avatar, motion[3], "gtalk"), place, np.log(scale), xyzw[:, [3, 0, 1, 2]], rgb, opacity, 1e-4)
    np.testing.assert_allclose(values("COLOR_0"), np.column_stack([rgb, opacity]), atol=1e-6)


def test_a_still_is_one_frame(tmp_path) -> None:
    avatar, motion = small_gaussian()
    with pytest.raises(UserError, match="one frame"):
        write_spz(avatar, tmp_path / "a.spz", motion)
    assert not list(tmp_path.iterdir())

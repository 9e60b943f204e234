"""The head as binary glTF: written, read back by another reader, recomposed."""

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from gtalk.export.glb import write_glb
from gtalk.export.recompose import Recomposed
from gtalk.export.skin import rig_of_avatar, skin_of_picture
from gtalk.geometry.pose import pose_matrices
from gtalk.rig.person import PersonRig
from gtalk.rig.shapes import ARKIT, SHAPES, displacements, index, neutral
from gtalk.topology import LANDMARKS68
from gtalk.types import Motion
from tests.avatar.expressing.speaking_face import speaking_face

KINDS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


class Glb:
    """Reads what the specification says, and nothing of gtalk."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        magic, version, size = struct.unpack_from("<4sII", data)
        assert magic == b"glTF" and version == 2 and size == len(data)
        length, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON" and length % 4 == 0
        self.json = json.loads(data[20 : 20 + length])
        size, kind = struct.unpack_from("<I4s", data, 20 + length)
        assert kind == b"BIN\0" and size % 4 == 0
        self.binary = data[28 + length :]
        assert len(self.binary) == size and self.json["buffers"][0]["byteLength"] <= size

    def array(self, accessor: int) -> np.ndarray:
        entry = self.json["accessors"][accessor]
        view = self.json["bufferViews"][entry["bufferView"]]
        dtype = {5126: "<f4", 5123: "<u2"}[entry["componentType"]]
        count = entry["count"] * KINDS[entry["type"]]
        assert view["byteOffset"] % 4 == 0 and count * np.dtype(dtype).itemsize == view["byteLength"]
        values = np.frombuffer(self.binary, dtype, count, view["byteOffset"])
        return values.reshape(entry["count"], -1) if entry["type"] != "SCALAR" else values

    def node(self, name: str) -> int:
        return [n["name"] for n in self.json["nodes"]].index(name)

    def track(self, node: str, path: str) -> np.ndarray:
        animation = self.json["animations"][0]
        target = {"node": self.node(node), "path": path}
        (channel,) = [c for c in animation["channels"] if c["target"] == target]
        return self.array(animation["samplers"][channel["sampler"]]["output"])


@pytest.fixture(scope="module")
def rig() -> PersonRig:
    return PersonRig.of_mesh(neutral() * [1.0, 1.05, 1.0])


@pytest.fixture(scope="module")
def motion(rig) -> Motion:
    """Speech, a smile, a blink and a little of what no shape makes up."""
    rng = np.random.default_rng(0)
    time = np.arange(60) / 25.0
    weights = np.zeros((60, len(SHAPES)))
    weights[:, index("jawOpen")] = 0.3 + 0.3 * np.sin(9 * time)
    weights[:, [index("mouthSmileLeft"), index("mouthSmileRight")]] = (0.5 * time / time[-1])[:, None]
    strange = 0.001 * rng.normal(size=(68, 3))
    landmarks = rig.neutral[LANDMARKS68] + np.tensordot(weights, rig.shapes68, 1)
    landmarks += np.sin(3 * time)[:, None, None] * strange
    turns = np.stack([0.1 * np.sin(time), 0.2 * np.cos(time), 0 * time, 0.01 * time, 0 * time, 0 * time], axis=1)
    mean = np.eye(4)
    mean[:3, 3] = [0, 0, -0.7]
    eyes = np.ones((60, 2))
    eyes[30:34] = 0.0
    gaze = np.full((60, 2), 0.1)
    return Motion(25.0, landmarks, eyes, gaze, np.zeros((60, 2)), pose_matrices(turns, mean), np.ones(60, bool))


def test_the_head_is_read_back(rig, tmp_path) -> None:
    write_glb(tmp_path / "me.glb", rig, person="Ann Example")
    file = Glb(tmp_path / "me.glb")
    assert file.json["asset"]["version"] == "2.0" and file.json["asset"]["extras"]["likeness_of"] == "Ann Example"
    assert "made with gtalk" in json.dumps(file.json["asset"])
    assert [n["name"] for n in file.json["nodes"]] == ["head", "face", "jaw", "eyeLeft", "eyeRight"]
    face = file.json["meshes"][file.json["nodes"][file.node("face")]["mesh"]]
    assert face["extras"]["targetNames"] == list(ARKIT) and len(face["weights"]) == 52
    np.testing.assert_allclose(
        file.array(face["primitives"][0]["attributes"]["POSITION"]), rig.neutral[:468], atol=1e-6
    )
    smile = face["primitives"][0]["targets"][ARKIT.index("mouthSmileLeft")]["POSITION"]
    np.testing.assert_allclose(file.array(smile), rig.shapes[index("mouthSmileLeft"), :468], atol=1e-6)
    for mesh in file.json["meshes"]:
        for primitive in mesh["primitives"]:
            count = file.json["accessors"][primitive["attributes"]["POSITION"]]["count"]
            assert file.array(primitive["indices"]).max() < count
            lengths = np.linalg.norm(file.array(primitive["attributes"]["NORMAL"]), axis=1)
            np.testing.assert_allclose(lengths, 1.0, atol=1e-5)
    left, right = (file.json["nodes"][file.node(n)]["translation"] for n in ("eyeLeft", "eyeRight"))
    assert left[0] > 0.02 and right[0] < -0.02  # the person's left is the image's right
    assert "animations" not in file.json


def test_the_animation_recomposes_the_landmarks(rig, motion, tmp_path) -> None:
    write_glb(tmp_path / "me.glb", rig, motion)
    file = Glb(tmp_path / "me.glb")
    primitive = file.json["meshes"][0]["primitives"][0]
    targets = np.stack([file.array(t["POSITION"]) for t in primitive["targets"]])
    weights = file.track("face", "weights").reshape(60, len(targets))
    assert weights[:, :52].min() >= 0 and weights.max() <= 1 + 1e-6
    made = file.array(primitive["attributes"]["POSITION"]) + np.tensordot(weights, targets, 1)
    error = np.linalg.norm(made[:, LANDMARKS68] - motion.landmarks, axis=-1)
    lids = np.arange(36, 48)  # the blink is a channel of its own, not in these landmarks
    rms = np.sqrt((np.delete(error, lids, axis=1) ** 2).mean(1))
    assert (rms < 1e-3).mean() >= 0.95
    assert np.corrcoef(weights[:, ARKIT.index("jawOpen")], 0.3 * np.sin(9 * np.arange(60) / 25))[0, 1] > 0.97
    assert weights[31, ARKIT.index("eyeBlinkLeft")] == pytest.approx(1.0)
    times = file.array(file.json["animations"][0]["samplers"][0]["input"])
    np.testing.assert_allclose(times, np.arange(60) / 25.0, atol=1e-6)
    turn = file.track("head", "rotation")
    np.testing.assert_allclose(np.linalg.norm(turn, axis=1), 1.0, atol=1e-6)
    assert np.ptp(2 * np.arcsin(turn[:, 0])) == pytest.approx(np.ptp(0.1 * np.sin(np.arange(60) / 25)), rel=0.2)
    eye = file.track("eyeLeft", "rotation")[0]
    assert eye[1] == pytest.approx(np.sin(0.05), rel=0.02) and eye[0] == pytest.approx(-np.sin(0.05), rel=0.02)
    jaw = file.track("jaw", "rotation")[:, 0]
    assert 0.05 < 2 * np.arcsin(jaw.max()) < 0.5


def test_residuals_only_where_they_are_needed(rig) -> None:
    weights = np.zeros((20, len(SHAPES)))
    weights[:, index("jawOpen")] = np.linspace(0, 1, 20)
    landmarks = rig.neutral[LANDMARKS68] + np.tensordot(weights, rig.shapes68, 1)
    zeros, poses = np.zeros((20, 2)), np.tile(np.eye(4), (20, 1, 1))
    plain = Motion(25.0, landmarks, zeros + 1, zeros, zeros, poses, np.ones(20, bool))
    assert len(Recomposed.of(rig, plain).residuals) == 0
    rng = np.random.default_rng(1)
    odd = plain.replace(landmarks=landmarks + 0.003 * rng.normal(size=(20, 1, 1)) * rng.normal(size=(68, 3)))
    found = Recomposed.of(rig, odd)
    assert 1 <= len(found.residuals) <= 3
    error = np.linalg.norm(found.landmarks() - odd.landmarks, axis=-1)
    assert np.quantile(np.sqrt((error**2).mean(1)), 0.95) < 1e-3


def test_the_skin_lies_where_the_points_are(rig, tmp_path) -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    image[:, 150:] = [200, 30, 10]
    points = np.stack([150 + 700 * rig.neutral[:, 0], 90 - 700 * rig.neutral[:, 1]], axis=1)
    skin = skin_of_picture(image, points)
    assert skin.uv.min() > 0 and skin.uv.max() < 1
    write_glb(tmp_path / "me.glb", rig, skin=skin)
    file = Glb(tmp_path / "me.glb")
    view = file.json["bufferViews"][file.json["images"][0]["bufferView"]]
    jpeg = file.binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    texture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    for name, red in ((280, True), (50, False)):  # cheeks on the image's right and left
        u, v = skin.uv[name] * texture.shape[1::-1]
        assert (texture[int(v), int(u), 0] > 100) == red


def test_displacements_are_those_of_the_rig(rig) -> None:
    np.testing.assert_allclose(rig.shapes, displacements(rig.neutral))


def test_the_clip_beside_an_avatar_corrects_the_head(tmp_path) -> None:
    avatar, motion = speaking_face()
    assert not rig_of_avatar(tmp_path, avatar).evidence.any()
    motion.save(tmp_path / "dataset" / "motion.npz")
    rig = rig_of_avatar(tmp_path, avatar)
    assert rig.evidence[index("jawOpen")] > 0.02
    assert rig.seen[index("jawOpen")] > 0.1

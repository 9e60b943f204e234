import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.eval.emotion.judges import SIDE, OnnxJudge, embedding, face_box


def network(path, outputs: int, side: int = SIDE):
    """The mean of each colour, and zeros."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    weights = np.zeros((3, outputs), np.float32)
    weights[:3, :3] = np.eye(3)
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["rgb"], ["m"]),
            helper.make_node("Flatten", ["m"], ["f"]),
            helper.make_node("MatMul", ["f", "w"], ["out"]),
        ],
        "means",
        [helper.make_tensor_value_info("rgb", kinds.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("out", kinds.FLOAT, [1, outputs])],
        [helper.make_tensor("w", kinds.FLOAT, weights.shape, weights.ravel())],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def test_a_judge_sees_the_box_of_the_face(tmp_path) -> None:
    judge = OnnxJudge(network(tmp_path / "a.onnx", 7), 7)
    image = np.zeros((200, 300, 3), np.uint8)
    image[50:150, 100:200] = [200, 100, 50]
    seen = judge(face_box(image, np.array([[100.0, 50.0], [200.0, 150.0]])))
    assert seen[:3] == pytest.approx([200.0, 100.0, 50.0], rel=0.02)


def test_an_embedding_has_length_one(tmp_path) -> None:
    judge = OnnxJudge(network(tmp_path / "a.onnx", 128), 128)
    points = np.random.default_rng(0).uniform(60, 140, (478, 2))
    rng = np.random.default_rng(1)
    assert np.linalg.norm(
        embedding(judge, rng.integers(0, 255, (200, 200, 3)).astype(np.uint8), points)
    ) == pytest.approx(1)


def test_wrong_networks_are_told(tmp_path) -> None:
    with pytest.raises(UserError, match="7 outputs"):
        OnnxJudge(network(tmp_path / "b.onnx", 128), 7)
    (tmp_path / "c.onnx").write_bytes(b"no network")
    with pytest.raises(UserError, match="Check the path"):
        OnnxJudge(tmp_path / "c.onnx", 7)

"""A parsing network from a file: tiny ones that tell colours apart, written here."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gtalk.dataset.format import MaskClass
from gtalk.errors import UserError
from gtalk.prepare.pipeline import PrepareConfig, prepare
from gtalk.prepare.segmentation.labels import ColourModel, Labeller
from gtalk.prepare.segmentation.parsing_model import BISENET, IMAGENET_MEAN, IMAGENET_STD, NO_ANSWER, load_parsing_model
from gtalk.topology import FACE_OVAL, INNER_LIPS_RING
from tests.prepare.segmentation.onnx_file import write_conv, write_flatten
from tests.prepare.segmentation.test_labels import HAIR, SHIRT, SIDE, SKIN, WALL, person

pytest.importorskip("onnxruntime")
CLASSES = ["background", "skin", "hair", "cloth"]
COLOURS = np.array([WALL, SKIN, HAIR, SHIRT], np.float64)
SIZE = 128


def nearest_colour(colours: np.ndarray = COLOURS) -> tuple[np.ndarray, np.ndarray]:
    """Weights [C,3] and bias [C] of scores that are highest for the nearest colour."""
    means = (colours / 255 - IMAGENET_MEAN) / IMAGENET_STD
    return 2 * means, -(means**2).sum(1)


def network(path: Path, weights: np.ndarray, bias: np.ndarray) -> Path:
    return write_conv(path, weights, bias, None)


def named(path: Path, **settings: object) -> Path:
    path.with_suffix(".json").write_text(json.dumps(settings))
    return path


def expected_labels() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(frame, matte, landmarks, labels that a network of nearest colours gives)."""
    frame, matte, points, _ = person(False)
    distance = np.linalg.norm(frame[:, :, None].astype(np.float64) - COLOURS, axis=-1)
    parts = np.array([MaskClass.BACKGROUND, MaskClass.HEAD, MaskClass.HEAD, MaskClass.TORSO], np.uint8)
    return frame, matte, points, parts[distance.argmin(-1)]


@pytest.mark.parametrize("side", [SIZE, None], ids=["fixed", "any"])
@pytest.mark.parametrize("pool", [1, 2], ids=["fine", "coarse"])
def test_answers_lie_where_the_image_is(pool: int, side: int | None, tmp_path: Path) -> None:
    path = write_conv(tmp_path / "net.onnx", *nearest_colour(), side, pool=pool)
    frame, _, points, truth = expected_labels()
    model = load_parsing_model(named(path, classes=CLASSES, size=SIZE))
    assert model.size == SIZE
    labels = model.label(frame, points)
    seen = labels != NO_ANSWER
    oval = points[FACE_OVAL]
    low, high = oval.min(0).astype(int), oval.max(0).astype(int)
    assert seen[low[1] : high[1], low[0] : high[0]].all()
    assert (labels[seen] == truth[seen]).mean() > (0.98 if pool == 1 else 0.93)  # pooling blurs borders
    # A shift of one pixel would be worse.
    moved = np.roll(truth, 2, axis=1)
    assert (labels[seen] == truth[seen]).mean() > (labels[seen] == moved[seen]).mean()


def test_masks_follow_the_network_and_keep_what_it_does_not_know(tmp_path: Path) -> None:
    path = network(tmp_path / "net.onnx", *nearest_colour())
    frame, matte, points, _ = expected_labels()
    colours = ColourModel.learn([(frame, matte, points)])
    plain = Labeller(colours).label(frame, matte, points)
    labels = Labeller(colours, load_parsing_model(named(path, classes=CLASSES, size=SIZE))).label(frame, matte, points)
    assert (plain == MaskClass.NECK).sum() > 200  # a neck has the colour of skin, which this network calls head
    assert (labels == MaskClass.NECK).sum() < 0.2 * (plain == MaskClass.NECK).sum()
    assert (labels == MaskClass.LIPS).sum() > 0.9 * (plain == MaskClass.LIPS).sum()
    assert (labels[matte < 128] == MaskClass.BACKGROUND).all()


def test_a_network_of_19_classes_needs_no_names(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).uniform(0, 255, (len(BISENET), 3))
    model = load_parsing_model(network(tmp_path / "net.onnx", *nearest_colour(colours)))
    assert model.size == 512
    by_name = dict(zip(BISENET, model.parts.tolist(), strict=True))
    assert (by_name["hair"], by_name["neck"], by_name["cloth"]) == (MaskClass.HEAD, MaskClass.NECK, MaskClass.TORSO)
    assert (by_name["u_lip"], by_name["mouth"], by_name["l_eye"]) == (MaskClass.LIPS, MaskClass.MOUTH, MaskClass.EYES)


def test_a_class_without_a_meaning_is_left_to_the_built_in_labels(tmp_path: Path) -> None:
    path = network(tmp_path / "net.onnx", *nearest_colour())
    model = load_parsing_model(named(path, classes=["background", "other", "hair", "cloth"], size=SIZE))
    frame, _, points, _ = expected_labels()
    labels = model.label(frame, points)
    x, y = points[[4]].mean(0).astype(int)
    assert labels[y, x] == NO_ANSWER


def test_what_is_no_parsing_network_is_named(tmp_path: Path) -> None:
    def refused(path: Path, words: str) -> None:
        with pytest.raises(UserError, match=words) as error:
            load_parsing_model(path)
        assert path.name in error.value.what or path.with_suffix(".json").name in error.value.what

    weights, bias = nearest_colour()
    refused(tmp_path / "none.onnx", "nothing there")
    (tmp_path / "text.onnx").write_text("words")
    (tmp_path / "net.bin").write_bytes(b"x")
    refused(tmp_path / "text.onnx", "ONNX model that onnxruntime can run")
    refused(tmp_path / "net.bin", "a name ending in")
    refused(network(tmp_path / "unnamed.onnx", weights, bias), "names the 4 classes")
    refused(named(network(tmp_path / "few.onnx", weights, bias), classes=CLASSES[:3]), "3 names for 4 classes")
    refused(named(network(tmp_path / "odd.onnx", weights, bias), classes=["background", "skin", "sky", "hair"]), "sky")
    refused(named(network(tmp_path / "typo.onnx", weights, bias), clases=CLASSES), "classes")
    flat = write_flatten(tmp_path / "flat.onnx", SIZE)
    refused(named(flat, classes=CLASSES, size=SIZE), r"shape \[1, 49152\]")
    nans = network(tmp_path / "nan.onnx", np.full_like(weights, np.nan), bias)
    refused(named(nans, classes=CLASSES, size=SIZE), "not all finite")


def test_onnx_models_of_the_wrong_shape_are_named(tmp_path: Path) -> None:
    write_conv(tmp_path / "grey.onnx", np.ones((4, 1)), np.zeros(4), SIZE, channels=1)
    with pytest.raises(UserError, match=r"one float32 input of shape \[1,3,S,S\]"):
        load_parsing_model(tmp_path / "grey.onnx")
    write_conv(tmp_path / "fixed.onnx", *nearest_colour(), SIZE)
    with pytest.raises(UserError, match="images of 128 as the model has it"):
        load_parsing_model(named(tmp_path / "fixed.onnx", classes=CLASSES, size=256))


class _Payload:
    """Runs when it is unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.witness,))


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "it_ran"
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(_Payload(witness)))
    torch.save(_Payload(witness), tmp_path / "checkpoint.pt")
    for name in ("plain.pt", "checkpoint.pt"):
        with pytest.raises(UserError, match=r"a name ending in \.onnx"):
            load_parsing_model(tmp_path / name)
    assert not witness.exists()


def test_prepare_refuses_a_wrong_model_before_it_begins(tmp_path: Path) -> None:
    clip = Path(__file__).parents[3] / "data" / "demo" / "clip.mp4"
    with pytest.raises(UserError, match="--parsing-model"):
        prepare([clip], tmp_path / "out", PrepareConfig(parsing_model=str(tmp_path / "none.onnx")))
    assert not (tmp_path / "out").exists()


def test_networks_are_imported_where_they_are_used() -> None:
    script = "import sys, gtalk.prepare.pipeline as p; print(sorted({'onnxruntime'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_square_is_cut_around_the_head_for_small_and_tilted_faces(tmp_path: Path) -> None:
    path = network(tmp_path / "net.onnx", *nearest_colour())
    model = load_parsing_model(named(path, classes=CLASSES, size=SIZE))
    frame, _, points, _ = person(False, roll=14.0)
    wide = np.zeros((SIDE // 2, 2 * SIDE, 3), np.uint8)
    wide[:, : SIDE // 2] = cv2.resize(frame, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
    labels = model.label(wide, points / 2)
    cheek = (points[INNER_LIPS_RING].mean(0) / 2 - [0, 25]).astype(int)
    assert labels.shape == wide.shape[:2]
    assert labels[cheek[1], cheek[0]] == MaskClass.HEAD
    assert (labels[:, SIDE:] == NO_ANSWER).all()

"""A face-parsing network from a file in place of the built-in labels: ONNX.

    in    float32 [1,3,S,S], RGB from 0 to 1 less `mean`, over `std`: a square around the head
    out   [1,C,h,w] scores of C classes; outputs after the first are ignored

The names of the classes, in order, stand in a JSON file beside the model (`face.onnx` -> `face.json`):

    {"classes": ["background", "skin", ...], "size": 512, "mean": [0.485, ...], "std": [0.229, ...]}

Without it a network of 19 classes is taken to have the order in which BiSeNet is usually trained on
CelebAMask-HQ (`BISENET`), one of 7 the order of `MaskClass`, and colours are normalised as for ImageNet.

No Python code of the file runs: ONNX is a graph of operators, read from this one file; no custom operators are
registered. Pickled checkpoints (`torch.save`) are refused, as they can run anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gtalk.dataset.format import MaskClass
from gtalk.errors import UserError
from gtalk.geometry.similarity import crop_matrix, opencv_matrix
from gtalk.shapes import Float, UInt8
from gtalk.topology import FACE_OVAL

ARGUMENT = "--parsing-model"
NO_ANSWER = 255
AROUND_FACE = 2.1  # side of the square in heights of the face: that of CelebAMask-HQ's images
DEFAULT_SIZE = 512
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PARTS: dict[str, MaskClass | None] = {
    **dict.fromkeys(("background", "bg"), MaskClass.BACKGROUND),
    **dict.fromkeys(
        ("head", "face", "skin", "nose", "hair", "hat", "eye_g", "glasses", "l_brow", "r_brow", "brow", "brows"),
        MaskClass.HEAD,
    ),
    **dict.fromkeys(("l_ear", "r_ear", "ear", "ears", "ear_r", "earring"), MaskClass.HEAD),
    **dict.fromkeys(("neck", "neck_l", "necklace"), MaskClass.NECK),
    **dict.fromkeys(("cloth", "clothes", "torso", "body"), MaskClass.TORSO),
    **dict.fromkeys(("u_lip", "l_lip", "lip", "lips"), MaskClass.LIPS),
    "mouth": MaskClass.MOUTH,
    **dict.fromkeys(("l_eye", "r_eye", "eye", "eyes"), MaskClass.EYES),
    "other": None,
}
"""What a class of that name is here; None leaves the pixel to the built-in labels."""
BISENET = (
    *("background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "ear_r", "nose"),
    *("mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat"),
)
OWN = tuple(part.name.lower() for part in MaskClass)

Network = Callable[[Float[np.ndarray, "1 3 S S"]], Any]
"""Returns its first output."""


@dataclass(frozen=True)
class ParsingModel:
    """A loaded network and how to read it."""

    network: Network
    size: int
    """Side of its input in pixels."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    parts: UInt8[np.ndarray, " C"]
    """MaskClass of each of its classes, or NO_ANSWER."""

    def label(
        self, frame: UInt8[np.ndarray, "H W 3"], points_px: Float[np.ndarray, "478 2"]
    ) -> UInt8[np.ndarray, "H W"]:
        """MaskClass of every pixel around the head; NO_ANSWER elsewhere and where the network has no word for it."""
        height, width = frame.shape[:2]
        matrix = _to_square(points_px, self.size)
        square = cv2.warpAffine(frame, matrix, (self.size, self.size), flags=cv2.INTER_LINEAR)
        classes = self._scores(square).argmax(0).astype(np.uint8)
        there = cv2.warpAffine(
            self.parts[classes],
            matrix,
            (width, height),
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            borderValue=(NO_ANSWER,),
        )
        return there.astype(np.uint8)

    def _scores(self, square: np.ndarray) -> np.ndarray:
        """[C,S,S] scores of a square image. Raises UserError when the network does not keep to the contract."""
        inputs = (square.astype(np.float32) / 255 - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        answer = np.asarray(self.network(np.ascontiguousarray(inputs.transpose(2, 0, 1)[None])))
        expected = f"scores of shape [1,{len(self.parts) or 'C'},h,w]"
        if answer.ndim != 4 or answer.shape[0] != 1 or (len(self.parts) and answer.shape[1] != len(self.parts)):
            raise wrong_model(expected, f"shape {list(answer.shape)}")
        if answer.dtype.kind != "f" or not np.isfinite(answer).all():
            raise wrong_model(expected, f"{answer.dtype} values" + (", not all finite" * (answer.dtype.kind == "f")))
        # Scores are enlarged, not labels: borders come out smooth.
        planes = answer[0].astype(np.float32)
        return np.stack([cv2.resize(plane, (self.size, self.size), interpolation=cv2.INTER_LINEAR) for plane in planes])


def load_parsing_model(path: Path) -> ParsingModel:
    """Read a network, see by a grey image that it keeps to the contract.

    Raises UserError when it is missing, of another kind, or answers with other shapes.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"{ARGUMENT} {path}", expected="an existing file", got="nothing there", remedy="Check the path."
        )
    if path.suffix.lower() != ".onnx":
        raise wrong_model("a name ending in .onnx", path.suffix or "no ending", path)
    settings = _read_settings(path)
    network, own_size = _load_onnx(path)
    size = own_size or settings.get("size", DEFAULT_SIZE)
    if settings.get("size", size) != size:
        raise wrong_model(f"images of {size} as the model has it", f'"size": {settings["size"]}', path)
    mean, std = (tuple(settings.get(n, d)) for n, d in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)))
    blank = ParsingModel(network, size, mean, std, np.zeros(0, np.uint8))
    try:
        n_classes = len(blank._scores(np.full((size, size, 3), 128, np.uint8)))
    except UserError as error:
        raise wrong_model(error.expected, error.got, path) from error
    except Exception as error:  # whatever the graph does wrong at run time
        got = (str(error).strip() or type(error).__name__).splitlines()[-1]
        raise wrong_model(f"a network that takes [1,3,{size},{size}]", got, path) from error
    return ParsingModel(network, size, mean, std, _parts(path, settings.get("classes"), n_classes))


def wrong_model(expected: str, got: str, path: Path | None = None) -> UserError:
    """The error for a file that is no usable parsing network."""
    return UserError(
        f"{ARGUMENT} {path}" if path is not None else ARGUMENT,
        expected=expected,
        got=got,
        remedy="Export the network with one RGB input and class scores as its first output, as ONNX.",
    )


def _load_onnx(path: Path) -> tuple[Network, int | None]:
    """(network, side of its input where that is fixed)."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"{ARGUMENT} {path}",
            expected="the package onnxruntime",
            got="none",
            remedy="pip install onnxruntime.",
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # several frames are under way at once
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common class
        raise wrong_model("an ONNX model that onnxruntime can run", str(error).strip().splitlines()[0], path) from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
        got = "; ".join(f"{entry.name} {entry.type} {entry.shape}" for entry in inputs) or "no input"
        raise wrong_model("one float32 input of shape [1,3,S,S]", got, path)
    name, (_, channels, height, width) = inputs[0].name, inputs[0].shape
    fixed = isinstance(height, int)
    if (isinstance(channels, int) and channels != 3) or (fixed and height != width):
        raise wrong_model("one float32 input of shape [1,3,S,S]", f"{inputs[0].shape}", path)
    return lambda image: session.run(None, {name: image})[0], height if fixed else None


def _read_settings(path: Path) -> dict[str, Any]:
    file = path.with_suffix(".json")
    if not file.is_file():
        return {}
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
        triples = [settings[name] for name in ("mean", "std") if name in settings]
        whole = (
            set(settings) <= {"classes", "size", "mean", "std"}
            and isinstance(settings.get("size", 1), int)
            and 16 <= settings.get("size", 512) <= 4096
            and all(len(t) == 3 and all(isinstance(v, (int, float)) for v in t) for t in triples)
            and all(isinstance(name, str) for name in settings.get("classes", []))
            and all(v > 0 for v in settings.get("std", []))
        )
    except (OSError, ValueError, TypeError) as error:
        raise _wrong_settings(file, f"{type(error).__name__}: {error}") from error
    if not whole:
        raise _wrong_settings(file, json.dumps(settings)[:120])
    return settings


def _wrong_settings(file: Path, got: str) -> UserError:
    return UserError(
        f"{ARGUMENT}: {file}",
        expected='JSON with "classes" (names in order), and perhaps "size" (pixels), "mean" and "std" (3 numbers each)',
        got=got,
        remedy="See gtalk/prepare/segmentation/parsing_model.py.",
    )


def _parts(path: Path, names: list[str] | None, n_classes: int) -> UInt8[np.ndarray, " C"]:
    """MaskClass of each class of the network."""
    known = {len(BISENET): BISENET, len(OWN): OWN}
    if names is None and n_classes not in known:
        raise UserError(
            f"{ARGUMENT} {path}",
            expected=f"{path.with_suffix('.json').name} beside it, which names the {n_classes} classes",
            got="nothing there",
            remedy=f'Write {{"classes": [...]}} with names from: {", ".join(PARTS)}.',
        )
    names = list(names if names is not None else known[n_classes])
    if len(names) != n_classes:
        raise _wrong_settings(path.with_suffix(".json"), f"{len(names)} names for {n_classes} classes")
    strange = [name for name in names if name.lower() not in PARTS]
    if strange:
        raise _wrong_settings(
            path.with_suffix(".json"), f"the class {strange[0]!r}, which is none of: {', '.join(PARTS)}"
        )
    parts = [PARTS[name.lower()] for name in names]
    return np.array([NO_ANSWER if part is None else int(part) for part in parts], np.uint8)


def _to_square(points_px: np.ndarray, size: int) -> np.ndarray:
    """Matrix for OpenCV from the image to the square around the head."""
    low, high = points_px[FACE_OVAL].min(0), points_px[FACE_OVAL].max(0)
    side = AROUND_FACE * max(float(high[1] - low[1]), 8.0)
    # The face's oval ends at the hairline: the head's middle is higher than the oval's.
    corner = (low + high) / 2 - [0.5 * side, 0.52 * side]
    return opencv_matrix(crop_matrix(corner, size / side))

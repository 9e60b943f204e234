"""Judges that know nothing of gtalk: a classifier of expressions and an embedding of identity, both by path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float, UInt8

CLASSES = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
SIDE = 112
_ARCFACE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)  # eyes, nose, corners of the mouth in a 112 x 112 image (Deng et al. 2019)
_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class OnnxJudge:
    """An ONNX network of images. Raises UserError where it cannot be opened."""

    def __init__(self, path: Path, outputs: int) -> None:
        """`outputs`: how many numbers an image gets."""
        expected = f"an ONNX network of {SIDE}x{SIDE} images with {outputs} outputs"
        try:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.log_severity_level, options.intra_op_num_threads = 3, 1
            self._session: Any = onnxruntime.InferenceSession(
                Path(path).read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except ImportError as error:
            raise UserError(f"judge {path}", expected="the package onnxruntime", got="none installed",
                            remedy="pip install onnxruntime, or leave the option out.") from error  # fmt: skip
        except Exception as error:  # whatever a stranger's file does
            raise UserError(f"judge {path}", expected=expected, got=f"{type(error).__name__}: {str(error)[:120]}",
                            remedy="Check the path.") from error  # fmt: skip
        shapes = self._session.get_inputs()[0].shape[1:], self._session.get_outputs()[0].shape[-1]
        if shapes != ([3, SIDE, SIDE], outputs):
            raise UserError(f"judge {path}", expected=expected, got=f"inputs {shapes[0]}, outputs {shapes[1]}",
                            remedy="Give the network that the option's help names.")  # fmt: skip

    def __call__(self, image: Float[np.ndarray, "H W 3"]) -> np.ndarray:
        """Numbers of one image."""
        planes = np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)
        return self._session.run(None, {self._session.get_inputs()[0].name: planes})[0][0].astype(np.float64)


def face_box(rgb: UInt8[np.ndarray, "H W 3"], points_px: Float[np.ndarray, "P 2"]) -> Float[np.ndarray, "112 112 3"]:
    """The square around the face's points, 112 x 112, values 0 to 255."""
    low, high = points_px.min(0), points_px.max(0)
    centre, half = 0.5 * (low + high), 0.5 * float((high - low).max())
    scale = SIDE / (2.0 * half)
    to_box = np.array([[scale, 0.0, SIDE / 2 - scale * centre[0]], [0.0, scale, SIDE / 2 - scale * centre[1]]])
    return cv2.warpAffine(rgb, to_box, (SIDE, SIDE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE).astype(
        np.float32
    )


def embedding(
    judge: OnnxJudge, rgb: UInt8[np.ndarray, "H W 3"], points_px: Float[np.ndarray, "478 2"]
) -> Float[np.ndarray, " D"]:
    """A face's identity, of length one."""
    eyes = points_px[[33, 133]].mean(0), points_px[[263, 362]].mean(0)
    five = np.stack([*eyes, points_px[1], points_px[61], points_px[291]])
    to_box, _ = cv2.estimateAffinePartial2D(five.astype(np.float32), _ARCFACE.astype(np.float32), method=cv2.LMEDS)
    aligned = cv2.warpAffine(rgb, to_box, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    out = judge((aligned / 255.0 - _MEAN) / _DEVIATION)
    return out / max(float(np.linalg.norm(out)), 1e-12)

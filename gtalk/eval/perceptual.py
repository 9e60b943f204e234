"""LPIPS (Zhang et al., CVPR 2018): a learnt distance of two images, with weights that the user brings.

Weights: safetensors as `gtalk/ops/lpips.py` lays them out.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from gtalk.ops.lpips import LEAST_SIDE, alexnet_distance, open_alexnet
from gtalk.reading.weights import unusable
from gtalk.shapes import UInt8

Distance = Callable[[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W 3"]], float]


def load_lpips(path: Path) -> Distance:
    """The distance that a file holds; 0 for equal images. Raises UserError when it holds none."""
    path = Path(path)
    tensors = open_alexnet(path)

    def distance(image: np.ndarray, truth: np.ndarray) -> float:
        pair = [torch.from_numpy(p.astype(np.float32).transpose(2, 0, 1)[None] / 127.5 - 1) for p in (image, truth)]
        with torch.inference_mode():
            return float(alexnet_distance(tensors, *pair).mean())

    return _checked(distance, path)


def _checked(distance: Distance, path: Path) -> Distance:
    """One small image goes through, so that a wrong file is found before minutes of rendering."""
    grey = np.full((LEAST_SIDE + 1, LEAST_SIDE + 1, 3), 128, np.uint8)
    try:
        distance(grey, grey)
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise unusable(path, "LPIPS", str(error).strip().splitlines()[-1]) from error
    return distance

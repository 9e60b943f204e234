"""Do lips and sound belong together? SyncNet (Chung and Zisserman, ACCV Workshops 2016), weights by path.

The network maps five frames of a face and 0.2 s of sound to vectors that are near each other when they
belong together. Distances over shifts of +-15 frames give

    distance    the least of the mean distances           (published as Sync-D or LSE-D: lower is better)
    confidence  their median minus the least              (published as Sync-C or LSE-C: higher is better)
    offset      the shift at which it is least            (published scores hide it; here it stands beside them)

Weights: the tensors of the published model as safetensors under the names of its state dict (`netcnnlip.*`,
`netcnnaud.*`, `netfclip.*`, `netfcaud.*`); layer widths are read from the tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from scipy.fft import dct
from torch import nn

from gtalk.reading.weights import open_tensors, unusable
from gtalk.shapes import Float, UInt8
from gtalk.types import AUDIO_RATE

FRAMES = 5  # images that the network sees at once
ROWS = 20  # of sound at 100 Hz that belong to them
ROWS_PER_FRAME = 4
REACH = 15  # frames that sound is shifted either way
CROP_PX = 224
SYNC_FPS = 25.0
_BATCH = 16
_BROW_SHARE = 0.30  # of the landmarks' height: how far a face detector's box reaches above the brows
_CROP_SCALE = 0.40  # of half the box's longer side, around it
_FILTERS, _COEFFICIENTS, _LIFTER = 26, 13, 22
_FRAME, _STEP, _FFT = 400, 160, 512  # samples: 25 ms every 10 ms


@dataclass(frozen=True)
class SyncNet:
    """The two halves of a network: batches of lips and of sound to vectors."""

    lips: Callable[[torch.Tensor], torch.Tensor]
    """[B,3,5,224,224], BGR, 0 to 255 -> [B,D]."""
    sound: Callable[[torch.Tensor], torch.Tensor]
    """[B,1,13,20] -> [B,D]."""


def load_syncnet(path: Path) -> SyncNet:
    """Open a network. Raises UserError when the file holds none; both halves are tried once."""
    path = Path(path)
    try:
        network = _of_tensors(open_tensors(path, "SyncNet"))
        with torch.inference_mode():
            lips = network.lips(torch.zeros(1, 3, FRAMES, CROP_PX, CROP_PX))
            sound = network.sound(torch.zeros(1, 1, _COEFFICIENTS, ROWS))
    except (KeyError, RuntimeError, AttributeError, TypeError, IndexError) as error:
        raise unusable(path, "SyncNet", f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}") from error
    if lips.ndim != 2 or lips.shape != sound.shape:
        raise unusable(path, "SyncNet", f"vectors of shape {list(lips.shape)} and {list(sound.shape)}")
    return network


# What tensors do not say: (kind, stride, padding) of the layers in order; pools have a kernel too.
_SOUND_LAYERS: tuple[tuple[Any, ...], ...] = (
    ("conv", 1, 1), ("pool", 1, 1, 0), ("conv", 1, 1), ("pool", 3, (1, 2), 0), ("conv", 1, 1), ("conv", 1, 1),
    ("conv", 1, 1), ("pool", 3, 2, 0), ("conv", 1, 0),
)  # fmt: skip
_LIP_LAYERS: tuple[tuple[Any, ...], ...] = (
    ("conv", (1, 2, 2), 0), ("pool", (1, 3, 3), (1, 2, 2), 0), ("conv", (1, 2, 2), (0, 1, 1)),
    ("pool", (1, 3, 3), (1, 2, 2), (0, 1, 1)), ("conv", 1, (0, 1, 1)), ("conv", 1, (0, 1, 1)),
    ("conv", 1, (0, 1, 1)), ("pool", (1, 3, 3), (1, 2, 2), 0), ("conv", 1, 0),
)  # fmt: skip


def _of_tensors(tensors: dict[str, torch.Tensor]) -> SyncNet:
    lips = _stack("netcnnlip", _LIP_LAYERS, tensors), _head("netfclip", tensors)
    sound = _stack("netcnnaud", _SOUND_LAYERS, tensors), _head("netfcaud", tensors)
    return SyncNet(lambda x: lips[1](lips[0](x).flatten(1)), lambda x: sound[1](sound[0](x).flatten(1)))


def _stack(prefix: str, layers: tuple[tuple[Any, ...], ...], tensors: dict[str, torch.Tensor]) -> nn.Sequential:
    """Convolutions with batch normalisation, numbered as in the published state dict."""
    flat = tensors[f"{prefix}.0.weight"].ndim == 4
    conv, norm, pool = (nn.Conv2d, nn.BatchNorm2d, nn.MaxPool2d) if flat else (nn.Conv3d, nn.BatchNorm3d, nn.MaxPool3d)
    modules: list[nn.Module] = []
    for kind, *rest in layers:
        if kind == "pool":
            modules.append(pool(*rest))
            continue
        width, depth, *kernel = tensors[f"{prefix}.{len(modules)}.weight"].shape
        modules += [conv(depth, width, tuple(kernel), *rest), norm(width), nn.ReLU()]  # type: ignore[arg-type]
    return _filled(nn.Sequential(*modules), prefix, tensors)


def _head(prefix: str, tensors: dict[str, torch.Tensor]) -> nn.Sequential:
    (middle, inside), outside = tensors[f"{prefix}.0.weight"].shape, len(tensors[f"{prefix}.3.weight"])
    layers = nn.Linear(inside, middle), nn.BatchNorm1d(middle), nn.ReLU(), nn.Linear(middle, outside)
    return _filled(nn.Sequential(*layers), prefix, tensors)


def _filled(module: nn.Sequential, prefix: str, tensors: dict[str, torch.Tensor]) -> nn.Sequential:
    for name, place in module.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            place.copy_(tensors[f"{prefix}.{name}"])
    return module.eval()


@dataclass(frozen=True)
class SyncScore:
    """Distance and confidence of one video; None where it is too short."""

    distance: float | None
    confidence: float | None
    offset_frames: int | None
    """By how many frames the lips come later than the sound."""


class SyncMeter:
    """Collects the face crops of a video and scores them against its sound. Feed frames in time order."""

    def __init__(self, network: SyncNet) -> None:
        self._network = network
        self._recent: list[tuple[int, np.ndarray]] = []
        self._waiting: list[tuple[int, np.ndarray]] = []
        self._vectors: dict[int, np.ndarray] = {}

    def add(self, number: int, image: UInt8[np.ndarray, "H W 3"], landmarks_px: Float[np.ndarray, "68 2"]) -> None:
        """Frame `number` of the video, RGB at 25 a second, with the face where the landmarks say."""
        crop = face_crop(image, landmarks_px)[..., ::-1]
        if self._recent and number != self._recent[-1][0] + 1:
            self._recent = []
        self._recent = [*self._recent[1 - FRAMES :], (number, crop)]
        if len(self._recent) == FRAMES:
            self._waiting.append((self._recent[0][0], np.stack([c for _, c in self._recent]).transpose(3, 0, 1, 2)))
        if len(self._waiting) == _BATCH:
            self._embed()

    def score(self, samples: Float[np.ndarray, " N"]) -> SyncScore:
        """Against 16 kHz sound whose first sample is the instant of frame 0."""
        self._embed()
        sound = _sound_vectors(self._network, samples)
        if len(self._vectors) < 2 or len(sound) < 2 * REACH:
            return SyncScore(None, None, None)
        means = np.array([self._mean_distance(sound, shift) for shift in range(-REACH, REACH + 1)])
        best = int(np.nanargmin(means))
        least = float(means[best])
        return SyncScore(least, float(np.nanmedian(means)) - least, REACH - best)

    def _mean_distance(self, sound: np.ndarray, shift: int) -> float:
        pairs = [(v, sound[i + shift]) for i, v in self._vectors.items() if 0 <= i + shift < len(sound)]
        return float(np.mean([np.linalg.norm(a - b) for a, b in pairs])) if pairs else float("nan")

    def _embed(self) -> None:
        if not self._waiting:
            return
        numbers = [number for number, _ in self._waiting]
        batch = torch.from_numpy(np.stack([window for _, window in self._waiting]).astype(np.float32))
        with torch.inference_mode():
            self._vectors.update(zip(numbers, self._network.lips(batch).numpy(), strict=True))
        self._waiting = []


def face_crop(image: UInt8[np.ndarray, "H W 3"], landmarks_px: Float[np.ndarray, "68 2"]) -> np.ndarray:
    """[224,224,3] as SyncNet was trained on: a detector's box, wider by 0.4 of its half and that much lower.

    The box is guessed from the landmarks, whose top is the brows. What lies outside the image is grey.
    """
    low, high = landmarks_px.min(0), landmarks_px.max(0)
    low = low - [0.0, _BROW_SHARE * (high[1] - low[1])]
    half = float((high - low).max()) / 2
    centre = (low + high) / 2
    side = half * 2 * (1 + _CROP_SCALE)
    left, top = centre[0] - half * (1 + _CROP_SCALE), centre[1] - half
    scale = CROP_PX / max(side, 1.0)
    to_crop = np.array([[scale, 0.0, -left * scale], [0.0, scale, -top * scale]])
    grey = (110, 110, 110)
    return cv2.warpAffine(image, to_crop, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR, borderValue=grey)


def _sound_vectors(network: SyncNet, samples: np.ndarray) -> np.ndarray:
    """[T,D] for frames 0, 1, ... as long as there is sound for them."""
    rows = mfcc(samples)
    count = max(0, (len(rows) - ROWS) // ROWS_PER_FRAME + 1)
    vectors = []
    for first in range(0, count, 4 * _BATCH):
        starts = [i * ROWS_PER_FRAME for i in range(first, min(count, first + 4 * _BATCH))]
        windows = np.stack([rows[s : s + ROWS].T[None] for s in starts]).astype(np.float32)
        with torch.inference_mode():
            vectors.append(network.sound(torch.from_numpy(windows)).numpy())
    return np.concatenate(vectors) if vectors else np.zeros((0, 1))


def mfcc(samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, "T 13"]:
    """Mel-frequency cepstra as SyncNet was trained on: 25 ms frames every 10 ms, liftered, energy as the first.

    The sound is taken in whole numbers of 16 bits; pre-emphasis 0.97, no window, 26 triangular filters from
    0 to 8 kHz whose corners are rounded down to bins of a 512-point transform.
    """
    signal = np.rint(samples.astype(np.float64) * 32768)
    signal = np.concatenate([signal[:1], signal[1:] - 0.97 * signal[:-1]])
    count = 1 + max(0, -(-(len(signal) - _FRAME) // _STEP))
    padded = np.zeros((count - 1) * _STEP + _FRAME)
    padded[: len(signal)] = signal
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_STEP]
    power = np.square(np.abs(np.fft.rfft(frames, _FFT))) / _FFT
    least = np.finfo(np.float64).eps
    energy = np.maximum(power.sum(1), least)
    bands = np.maximum(power @ _mel_filters().T, least)
    cepstra = np.asarray(dct(np.log(bands), type=2, axis=1, norm="ortho"))[:, :_COEFFICIENTS]
    cepstra *= 1 + _LIFTER / 2 * np.sin(np.pi * np.arange(_COEFFICIENTS) / _LIFTER)
    cepstra[:, 0] = np.log(energy)
    return cepstra


def _mel_filters() -> np.ndarray:
    import librosa

    corners_hz = librosa.mel_frequencies(_FILTERS + 2, fmin=0.0, fmax=AUDIO_RATE / 2, htk=True)
    corners = np.floor((_FFT + 1) * corners_hz / AUDIO_RATE)
    bins = np.arange(_FFT // 2 + 1)
    low, middle, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising = (bins - low) / np.maximum(middle - low, 1)
    falling = (high - bins) / np.maximum(high - middle, 1)
    return np.where((bins >= low) & (bins < middle), rising, np.where((bins >= middle) & (bins < high), falling, 0.0))

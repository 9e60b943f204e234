"""The ears: a small convolution that hears, in any voice and language, what lips do.

    mel rows at 100 Hz ─▶ stride 2 (50 Hz) ─▶ residual blocks ─▶ log-posteriors of visemes, and hidden numbers

It was taught by synthetic speech whose phones are known, and by two larger recognisers (docs/measured/ears.md,
tools/make/ears). Frame k, of the instant of row 2 k, needs rows up to 2 k + LAG_ROWS, so it comes out with that row:
rows of the ears tell of an instant LAG_ROWS (or one more) earlier than those of the other features beside them.
Every layer keeps the last of its input, so any cutting of the sound gives the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch.nn import functional as F

from gtalk.errors import UserError
from gtalk.files import sha256_of_file
from gtalk.shapes import Float

VISEMES = ("rest", "p", "f", "u", "o", "a", "e", "i", "@", "t", "th", "sh", "k")
"""By one of their sounds; "u" and "o" are the rounded vowels with w, "@" the neutral vowel."""
N_HIDDEN = 32
STUDENT_SIZE = len(VISEMES) + N_HIDDEN
LAG_ROWS = 9
"""Rows (10 ms) after an instant that its frame needs."""
STUDENT_VERSION = 1
N_BANDS = 40
FLOOR = -6.0
"""Of the log-posteriors."""
QUIET = -3.0
"""A mel row of digital silence."""
KERNEL, STEM_ROWS = 5, 6
BLOCKS = ((1, 1), (1, 1), (1, 1), (1, 1), (2, 0), (2, 0), (4, 0), (4, 0))
"""Dilation of each block, and how many of its four steps lie in the future. In all: (LAG_ROWS - 1) / 2."""
_FIELD_ROWS = STEM_ROWS + 2 * (KERNEL - 1) * sum(dilation for dilation, _ in BLOCKS)
"""Rows that a frame can depend on."""
_WEIGHTS = "ears.safetensors"


@dataclass(frozen=True)
class Layer:
    """y = x + mix(relu(taps)): one residual block, its taps `dilation` frames apart."""

    taps: Float[torch.Tensor, "K C"]
    bias: Float[torch.Tensor, " C"]
    mix: Float[torch.Tensor, "C C"]
    mix_bias: Float[torch.Tensor, " C"]
    dilation: int
    future: int

    @property
    def reach(self) -> int:
        """Frames before the newest one that an output needs."""
        return (KERNEL - 1) * self.dilation

    def __call__(self, x: Float[torch.Tensor, "T C"]) -> Float[torch.Tensor, "U C"]:
        """U = T - reach frames."""
        count = len(x) - self.reach
        seen = torch.cat([x[i * self.dilation :][:count] for i in range(KERNEL)], 1)
        centre = self.reach - self.future * self.dilation
        hidden = torch.addmm(self.bias, seen, self.taps).relu_()
        return torch.addmm(self.mix_bias, hidden, self.mix).add_(x[centre:][:count])


@dataclass(frozen=True)
class Student:
    """The trained network; `stream` runs it."""

    stem: Float[torch.Tensor, "W C"]
    stem_bias: Float[torch.Tensor, " C"]
    layers: tuple[Layer, ...]
    out: Float[torch.Tensor, "C S"]
    out_bias: Float[torch.Tensor, " S"]
    name: str = ""
    """Of the weights: the start of the file's SHA-256."""

    def stream(self) -> StudentStream:
        """A fresh stream: it has heard nothing but silence."""
        return StudentStream(self)

    def rows(self, frames: Float[torch.Tensor, "T C"]) -> Float[np.ndarray, "T S"]:
        """Frames of the last block as log-posteriors and hidden numbers."""
        out = torch.addmm(self.out_bias, torch.relu(frames), self.out)
        heard = F.log_softmax(out[:, : len(VISEMES)], 1).clamp(min=FLOOR)
        return torch.cat([heard, torch.tanh(out[:, len(VISEMES) :])], 1).numpy()


class StudentStream:
    """One running sound."""

    def __init__(self, student: Student) -> None:
        self._student = student
        with torch.inference_mode():
            self._mel = torch.full((STEM_ROWS - 2, N_BANDS), QUIET)
            frames = self._stem(torch.full((STEM_ROWS, N_BANDS), QUIET))
            self._kept: list[torch.Tensor] = []
            for layer in student.layers:
                self._kept.append(frames.expand(layer.reach, -1).clone())
                frames = layer(frames.expand(layer.reach + 1, -1))
            self._last = student.rows(frames)
        self._n_rows = 0
        self._same, self._n_same = np.full(N_BANDS, QUIET, np.float32), _FIELD_ROWS  # the newest row; since when

    def push(self, mel: Float[np.ndarray, "M 40"]) -> Float[np.ndarray, "M S"]:
        """As many rows as come in; row j tells of an instant LAG_ROWS or LAG_ROWS + 1 earlier."""
        if not len(mel):
            return np.zeros((0, STUDENT_SIZE), np.float32)
        mel = np.ascontiguousarray(mel, np.float32)
        unchanged = self._n_same >= _FIELD_ROWS and bool((mel == self._same).all())
        self._count_same(mel)
        with torch.inference_mode():
            rows = torch.cat([self._mel, torch.from_numpy(mel)])
            count = (len(rows) - STEM_ROWS) // 2 + 1
            self._mel = rows[2 * count :]
            if unchanged:  # as in digital silence: nothing that is kept changes either
                return self._spread(np.repeat(self._last, max(0, count), axis=0), len(mel))
            frames = self._stem(rows) if count > 0 else torch.zeros(0, self._student.stem.shape[1])
            for i, layer in enumerate(self._student.layers):
                seen = torch.cat([self._kept[i], frames])
                self._kept[i] = seen[len(seen) - layer.reach :]
                frames = layer(seen) if count > 0 else frames
            made = self._student.rows(frames) if count > 0 else self._last[:0]
        return self._spread(made, len(mel))

    def _count_same(self, mel: np.ndarray) -> None:
        """Note for how many rows nothing has changed."""
        differ = np.flatnonzero((mel != mel[-1]).any(1))
        goes_on = not len(differ) and bool((mel[-1] == self._same).all())
        run = len(mel) - (differ[-1] + 1 if len(differ) else 0)
        self._same, self._n_same = mel[-1].copy(), run + (self._n_same if goes_on else 0)

    def _stem(self, rows: torch.Tensor) -> torch.Tensor:
        windows = rows.unfold(0, STEM_ROWS, 2).transpose(1, 2).flatten(1)
        return torch.addmm(self._student.stem_bias, windows, self._student.stem)

    def _spread(self, made: np.ndarray, count: int) -> np.ndarray:
        """Each frame in the row that completes it and in the next: row j has frame (j - 1) // 2 of those made."""
        known = np.concatenate([self._last, made])
        at = (np.arange(self._n_rows, self._n_rows + count) - 1) // 2 - (self._n_rows - 2) // 2
        self._n_rows += count
        self._last = known[-1:]
        return known[at].astype(np.float32)


@lru_cache(maxsize=1)
def load_student() -> Student:
    """The weights in the package."""
    with_name = files("gtalk.speech").joinpath(_WEIGHTS)
    return read_student(Path(str(with_name)))


def read_student(path: Path) -> Student:
    """Weights from a file. Raises UserError when they are missing, damaged or of another version."""
    try:
        with safe_open(str(path), framework="np") as file:
            facts = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if facts.get("version") != str(STUDENT_VERSION):
            raise ValueError(f"version {facts.get('version')}")
        return _from_arrays(arrays, sha256_of_file(path)[:12])
    except Exception as error:  # whatever is wrong with the file, it is the file that is at fault
        raise UserError(
            f"weights of the ears {path}",
            expected=f"a file of tools/make/ears, version {STUDENT_VERSION}",
            got=f"{type(error).__name__}: {error}",
            remedy="Install gtalk again.",
        ) from error


def _from_arrays(arrays: dict[str, np.ndarray], name: str) -> Student:
    if not all(np.isfinite(value).all() for value in arrays.values()):
        raise ValueError("numbers that are none")
    width = arrays["stem_bias"].shape[0]
    wanted = {"stem": (STEM_ROWS * N_BANDS, width), "out": (width, STUDENT_SIZE), "out_bias": (STUDENT_SIZE,)}
    for i in range(len(BLOCKS)):
        wanted |= {f"taps{i}": (KERNEL * width, width), f"bias{i}": (width,)}
        wanted |= {f"mix{i}": (width, width), f"mix_bias{i}": (width,)}
    for key, shape in wanted.items():
        if arrays[key].shape != shape:
            raise ValueError(f"{key} is {arrays[key].shape}, not {shape}")
    t = {key: torch.from_numpy(value.astype(np.float32)) for key, value in arrays.items()}
    layers = [
        Layer(t[f"taps{i}"], t[f"bias{i}"], t[f"mix{i}"], t[f"mix_bias{i}"], dilation, future)
        for i, (dilation, future) in enumerate(BLOCKS)
    ]
    return Student(t["stem"], t["stem_bias"], tuple(layers), t["out"], t["out_bias"], name)

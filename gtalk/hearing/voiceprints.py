"""Who sounds like whom: windows of speech as points on a sphere, one voice's near each other, by a small network.

    16 kHz ─▶ 40 mel bands at 100 Hz ─▶ windows of 1 s ─▶ LSTM ─▶ 256 numbers of length 1

The network is Resemblyzer's voice encoder (Apache-2.0), trained by the generalised end-to-end loss (Wan et al. 2018).
Its wheel is an asset (`gtalk assets get voice-encoder.whl`) of which only the weights are read, as plain tensors.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import librosa
import numpy as np
import torch
from torch import nn

from gtalk.compute.threads import on_one_thread
from gtalk.errors import UserError
from gtalk.reading.assets import find_asset
from gtalk.shapes import Float, Int
from gtalk.types import AUDIO_RATE

ASSET = "voice-encoder.whl"
WINDOW = 100
"""Rows at 100 Hz that make one point."""
_MEMBER, _LARGEST = "resemblyzer/pretrained.pt", 40_000_000
_BANDS, _SIZE, _N_FFT, _HOP = 40, 256, 400, AUDIO_RATE // 100
_LEVEL = 10.0 ** (-30.0 / 20.0)
_PIECE_ROWS, _BATCH = 6000, 64


class VoiceEncoder(nn.Module):
    """The network; see above."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_BANDS, _SIZE, 3, batch_first=True)
        self.linear = nn.Linear(_SIZE, _SIZE)

    @torch.no_grad()
    def forward(self, windows: Float[torch.Tensor, "W R 40"]) -> Float[torch.Tensor, "W 256"]:
        """Points of mel windows."""
        _, (hidden, _) = self.lstm(windows)
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)


def encoder_at_hand() -> VoiceEncoder | None:
    """The network, where its weights have been fetched. Raises UserError where they are not what they should be."""
    path = find_asset(ASSET)
    return None if path is None else _loaded(path)


@lru_cache(maxsize=1)
def _loaded(path: Path) -> VoiceEncoder:
    encoder = VoiceEncoder().eval()
    try:
        with zipfile.ZipFile(path) as wheel:
            if wheel.getinfo(_MEMBER).file_size > _LARGEST:
                raise ValueError("larger than it can be")
            stored = torch.load(io.BytesIO(wheel.read(_MEMBER)), map_location="cpu", weights_only=True)["model_state"]
        encoder.load_state_dict({name: stored[name] for name in encoder.state_dict()})
    except Exception as error:  # whatever a damaged file does
        raise UserError(f"asset {path}", expected="the weights of the voice encoder", got=str(error)[:200],
                        remedy=f"Delete it and run `gtalk assets get {ASSET}`.") from error  # fmt: skip
    return encoder


def mel_rows(samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, "R 40"]:
    """What the network hears, mono at AUDIO_RATE: power in 40 bands every 10 ms, soft recordings raised to -30 dB."""
    level = max(float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0, 1e-6)
    gain = max(1.0, _LEVEL / level)
    return np.concatenate([np.zeros((0, _BANDS), np.float32), *(gain**2 * rows for rows in _powers(samples))])


def _powers(samples: np.ndarray) -> Iterator[Float[np.ndarray, "R 40"]]:
    filters = librosa.filters.mel(sr=AUDIO_RATE, n_fft=_N_FFT, n_mels=_BANDS).T.astype(np.float32)
    window = np.hanning(_N_FFT + 1)[:-1].astype(np.float32)
    padded = np.pad(samples.astype(np.float32), _N_FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[::_HOP]
    for i in range(0, len(frames), _PIECE_ROWS):
        spectrum = np.fft.rfft(frames[i : i + _PIECE_ROWS] * window, axis=1)
        yield (np.abs(spectrum) ** 2).astype(np.float32) @ filters


def voiceprints(
    encoder: VoiceEncoder, rows: Float[np.ndarray, "R 40"], starts: Int[np.ndarray, " W"]
) -> Float[np.ndarray, "W 256"]:
    """Points of the windows of WINDOW rows (or of all there are) that begin at `starts`."""
    length = min(WINDOW, len(rows))
    out = [np.zeros((0, _SIZE), np.float32)]
    with on_one_thread():
        for i in range(0, len(starts), _BATCH):
            windows = np.stack([rows[s : s + length] for s in starts[i : i + _BATCH]])
            out.append(encoder(torch.from_numpy(windows)).numpy())
    return np.concatenate(out)

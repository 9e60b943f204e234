"""Self-supervised speech encoders (HuBERT, wav2vec 2.0, WavLM) behind the AudioEncoder interface. Extra `hubert`.

Such a network attends to all of its input, so its numbers change with what it is given. Here it is given
fixed windows on a fixed grid of blocks, and only the rows of the block are kept: the same numbers live
and offline, at the price of a block more of delay.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gtalk.errors import UserError
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE

_STRIDE = 320  # samples between the network's own rows: 50 Hz
_REACH = 400  # samples that the network's first layers look at


@dataclass(frozen=True)
class HubertEncoder:
    """An AudioEncoder of one hidden layer of a model of `transformers`."""

    model_path: str
    """Folder with config.json and weights in safetensors, or a name on the hub."""
    layer: int = -1
    """Hidden layer; -1 is the last."""
    past_s: float = 1.0
    """Sound before a block that the network hears."""
    block_s: float = 0.4
    """Length of a block."""
    future_s: float = 0.2
    """Sound after a block that the network hears."""

    @property
    def rate_hz(self) -> float:
        """Rows a second."""
        return AUDIO_RATE / _STRIDE

    @property
    def size(self) -> int:
        """Numbers in a row."""
        return int(self._network.config.hidden_size)

    @property
    def lookahead_s(self) -> float:
        """How much sound after an instant is needed before its row is certain."""
        return self.block_s + self.future_s

    def stream(self) -> HubertStream:
        """A fresh stream."""
        return HubertStream(self)

    @cached_property
    def _network(self) -> Any:
        try:
            from transformers import AutoModel
        except ImportError as error:
            raise UserError("speech encoder", expected="the package transformers", got="none",
                            remedy="pip install 'gtalk[hubert]'") from error  # fmt: skip
        try:
            # Weights from safetensors only: a pickle could run code.
            network = AutoModel.from_pretrained(self.model_path, use_safetensors=True)
        except (OSError, ValueError) as error:
            raise UserError(
                f"speech encoder {self.model_path}",
                expected="a folder or hub name of a HuBERT, wav2vec 2.0 or WavLM model in safetensors",
                got=f"{type(error).__name__}: {str(error).splitlines()[0]}",
                remedy="Check the path, or download the model first.",
            ) from error
        strides = getattr(network.config, "conv_stride", ())
        if int(np.prod(strides)) != _STRIDE:
            raise UserError(
                f"speech encoder {Path(self.model_path).name}",
                expected=f"a row every {_STRIDE} samples at 16 kHz",
                got=f"every {int(np.prod(strides))}",
                remedy="Use another model.",
            )
        return network.eval()

    def _rows(self, window: np.ndarray) -> np.ndarray:
        """[rows, size] of one window, normalised as these models expect."""
        sound = (window - window.mean()) / max(float(window.std()), 1e-5)
        with torch.inference_mode():
            states = self._network(torch.from_numpy(sound)[None], output_hidden_states=True).hidden_states
        return states[self.layer][0].float().numpy()


class HubertStream:
    """One running sound; see EncoderStream."""

    def __init__(self, encoder: HubertEncoder) -> None:
        self._encoder = encoder
        self._past, self._block, self._future = (
            round(s * AUDIO_RATE / _STRIDE) * _STRIDE for s in (encoder.past_s, encoder.block_s, encoder.future_s)
        )
        self._kept = np.zeros(self._past, np.float32)
        self._n_samples = self._n_rows = 0

    def push(self, samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, "M D"]:
        """Take samples and return the rows that are now certain."""
        self._n_samples += len(samples)
        clean = np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        self._kept = np.concatenate([self._kept, clean])
        return self._ready()

    def finish(self) -> Float[np.ndarray, "M D"]:
        """The remaining rows; silence follows the sound."""
        total = -(-self._n_samples // _STRIDE)
        already = self._n_rows
        blocks = -(-(total - already) * _STRIDE // self._block)
        missing = self._past + blocks * self._block + self._future - len(self._kept)
        self._kept = np.concatenate([self._kept, np.zeros(max(0, missing), np.float32)])
        return self._ready()[: total - already]

    def _ready(self) -> np.ndarray:
        """Rows of all blocks whose window is complete."""
        length = self._past + self._block + self._future
        parts = [np.zeros((0, self._encoder.size), np.float32)]
        first, count = self._past // _STRIDE, self._block // _STRIDE
        while len(self._kept) >= length:
            # A row lies in the middle of what the first layers look at: shift by half of it.
            window = np.concatenate([np.zeros(_REACH // 2, np.float32), self._kept[:length]])
            parts.append(self._encoder._rows(window)[first : first + count])
            self._kept = self._kept[self._block :]
            self._n_rows += count
        return np.concatenate(parts)

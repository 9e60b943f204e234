"""Random crops of utterances, as batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from gtalk.motion.model.net import ROWS_PER_FRAME, MotionNet
from gtalk.motion.training.sequences import Utterance


class Crops:
    """Draws crops that do not cross a cut; what has no usable frame is never drawn."""

    def __init__(self, utterances: Sequence[Utterance], net: MotionNet, length: int) -> None:
        self.net, self.length = net, length
        self.rows, self.codes, self.usable = [], [], []
        starts = []
        for index, utterance in enumerate(utterances):
            missing = (len(utterance.codes) + length) * ROWS_PER_FRAME + net.rows - len(utterance.rows)
            rows = np.concatenate(
                [
                    np.repeat(utterance.rows[:1], net.past_rows, 0),
                    utterance.rows,
                    np.repeat(utterance.rows[-1:], max(missing, 0), 0),
                ]
            )
            self.rows.append(torch.from_numpy(np.ascontiguousarray(rows.T)))
            self.codes.append(torch.from_numpy(_padded(utterance.codes, length)).float())
            self.usable.append(torch.from_numpy(_padded(utterance.usable, length)))
            for first, stop in utterance.runs:
                for at in range(first, max(first + 1, stop - length + 1)):
                    if utterance.usable[at : min(at + length, stop)].sum() >= length // 4:
                        starts.append((index, at, stop))
        self.starts = starts

    def draw(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """([B,D,R] rows, [B,T,K] codes, [B,T] usable)."""
        window = (self.length - 1) * ROWS_PER_FRAME + self.net.rows
        rows, codes, usable = [], [], []
        for pick in torch.randint(len(self.starts), (count,), generator=generator).tolist():
            index, at, stop = self.starts[pick]
            rows.append(self.rows[index][:, at * ROWS_PER_FRAME : at * ROWS_PER_FRAME + window])
            codes.append(self.codes[index][at : at + self.length])
            mask = self.usable[index][at : at + self.length].clone()
            mask[max(0, stop - at) :] = False
            usable.append(mask)
        if not count:
            return (
                torch.zeros(0, self.rows[0].shape[0], window),
                torch.zeros(0, self.length, self.codes[0].shape[1]),
                torch.zeros(0, self.length, dtype=torch.bool),
            )
        return torch.stack(rows), torch.stack(codes), torch.stack(usable)


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([values, np.zeros((count, *values.shape[1:]), values.dtype)])

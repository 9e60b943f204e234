"""The network from speech features to a face code: a short temporal convolution, nothing recurrent.

    rows at 100 Hz ─▶ 1x1 ─▶ stride 2 (50 Hz) ─▶ residual blocks, dilations 1, 2, 4, 8 ─▶ stride 2 (25 fps) ─▶ code

All convolutions are unpadded, so an output frame depends on a fixed window of rows and on nothing else:
cut as you like, live equals offline.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from gtalk.shapes import Float

ROWS_PER_FRAME = 4
"""Feature rows (100 Hz) in a frame of motion (25 fps)."""


@dataclass(frozen=True)
class NetConfig:
    """Size of the network."""

    channels: int = 64
    """Width of the hidden layers."""
    dilations: tuple[int, ...] = (1, 2, 4, 8)
    """One residual block each; the receptive field is 0.06 s and 0.04 s for each unit of dilation."""
    dropout: float = 0.2
    """Share of hidden channels that are dropped in training."""
    future_rows: int = 10
    """Rows after a frame's instant that it may look at (10 ms each)."""


class MotionNet(nn.Module):
    """[B, D, R] rows -> [B, K, T] codes, T = (R - rows) // 4 + 1. Frame t looks at rows 4 t .. 4 t + rows - 1."""

    def __init__(self, n_in: int, n_out: int, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.channels
        self.shift: torch.Tensor
        self.scale: torch.Tensor
        self.register_buffer("shift", torch.zeros(n_in))
        self.register_buffer("scale", torch.ones(n_in))
        self.stem = nn.Conv1d(n_in, width, 1)
        self.down = nn.Conv1d(width, width, 4, stride=2)
        self.blocks = nn.ModuleList([_Block(width, d, config) for d in config.dilations])
        self.head = nn.Conv1d(width, width, 2, stride=2)
        self.out = nn.Conv1d(width, n_out, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    @property
    def rows(self) -> int:
        """Receptive field in rows."""
        return 6 + 4 * sum(self.config.dilations)

    @property
    def past_rows(self) -> int:
        """Rows before a frame's instant that it looks at."""
        return self.rows - 1 - self.config.future_rows

    def forward(self, rows: Float[torch.Tensor, "B D R"]) -> Float[torch.Tensor, "B K T"]:
        """See the class."""
        x = (rows - self.shift[:, None]) * self.scale[:, None]
        x = F.gelu(self.stem(F.dropout1d(x, 0.5 * self.config.dropout, self.training)))
        x = F.gelu(self.down(x))
        for block in self.blocks:
            x = block(x)
        return self.out(F.gelu(self.head(x)))


class _Block(nn.Module):
    """x + W gelu(conv(x)); what the convolution consumes is cut off where the window's past and future lie."""

    def __init__(self, width: int, dilation: int, config: NetConfig) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)
        self.dropout = config.dropout
        share = config.future_rows / (5 + 4 * sum(config.dilations))
        self.after = min(2 * dilation, round(2 * dilation * share))
        self.before = 2 * dilation - self.after
        if not self.mix.weight.is_meta:  # torch would import its compiler for that, which takes seconds
            nn.init.normal_(self.mix.weight, std=0.1 / width**0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.dropout1d(F.gelu(self.conv(x)), self.dropout, self.training)
        return x[:, :, self.before : x.shape[2] - self.after] + self.mix(y)


class QuickNet:
    """A trained MotionNet as matrix products over [R, D]: the same codes, one frame in a third of the time."""

    def __init__(self, net: MotionNet) -> None:
        bias, weight = _product(net.stem)
        scale = net.scale[:, None]
        self._stem = (bias - net.shift @ (scale * weight), scale * weight)
        self._down, self._head, self._out = (_product(conv) for conv in (net.down, net.head, net.out))
        blocks = (block for block in net.blocks if isinstance(block, _Block))
        self._blocks = [(block, _product(block.conv), _product(block.mix)) for block in blocks]

    def __call__(self, rows: Float[torch.Tensor, "R D"]) -> Float[torch.Tensor, "T K"]:
        """As MotionNet of one recording."""
        with torch.inference_mode():
            x = F.gelu(torch.addmm(self._stem[0], rows, self._stem[1]))
            x = F.gelu(torch.addmm(self._down[0], x.unfold(0, 4, 2).transpose(1, 2).flatten(1), self._down[1]))
            for block, (bias, taps), (mix_bias, mix) in self._blocks:
                step, count = block.conv.dilation[0], len(x) - block.before - block.after
                seen = torch.cat([x[i * step :][:count] for i in range(3)], 1)
                hidden = F.gelu(torch.addmm(bias, seen, taps))
                x = x[block.before :][:count] + torch.addmm(mix_bias, hidden, mix)
            x = F.gelu(torch.addmm(self._head[0], x.unfold(0, 2, 2).transpose(1, 2).flatten(1), self._head[1]))
            return torch.addmm(self._out[0], x, self._out[1])


def _product(conv: nn.Conv1d) -> tuple[torch.Tensor, torch.Tensor]:
    """(bias, [taps x inputs, outputs])."""
    assert conv.bias is not None
    return conv.bias.detach(), conv.weight.detach().transpose(1, 2).flatten(1).T.contiguous()

"""Do these lips say this sound? A small judge learned from the person's own clip, and what it adds to the loss.

    rows  ─▶ 0.2 s around each frame ─▶ vector ┐
                                               ├─▶ cosine: high where lips and sound are of one instant
    codes ─▶ five frames             ─▶ vector ┘

It is trained to pick the right instant among the others of the same crop (InfoNCE, van den Oord et al. 2018), as
SyncNet (Chung and Zisserman 2016) is between shifts of one video: near ones, which are hard, and far ones. Frozen,
it then asks of predicted lips that their instant be found by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from gtalk.motion.model.net import ROWS_PER_FRAME
from gtalk.motion.training.crops import Crops
from gtalk.shapes import Bool, Float

LIP_FRAMES = 5  # that one vector sees
_EDGE = LIP_FRAMES // 2
_BEFORE, _AFTER = 10, 11  # rows around a frame's instant that one vector sees
_TEMPERATURE = 0.2
_BESIDE = 1  # frames so near the right one that they are neither right nor wrong
_NOISE = 0.3  # of the codes' spread: a judge of exact codes would find no prediction good


@dataclass(frozen=True)
class ExpertConfig:
    """Size and training of the judge."""

    width: int = 48
    """Of the hidden layers."""
    size: int = 32
    """Numbers in a vector."""
    steps: int = 150
    """Gradient steps."""
    batch: int = 16
    """Crops in a step."""
    learning_rate: float = 3e-3
    """Of Adam, falling to nothing along a line."""


class SyncExpert(nn.Module):
    """Rows and mouth codes of crops to vectors of length one, for all frames but two at either end."""

    def __init__(
        self,
        shift: Float[torch.Tensor, " D"],
        scale: Float[torch.Tensor, " D"],
        spread: Float[torch.Tensor, " Km"],
        past_rows: int,
        config: ExpertConfig = ExpertConfig(),
    ) -> None:
        """
        Args:
            shift: of the rows.
            scale: of the rows; 0 hides a column.
            spread: standard deviation of each mouth code.
            past_rows: rows of a crop before the instant of its first frame.
            config: settings.
        """
        super().__init__()
        self.shift: torch.Tensor
        self.scale: torch.Tensor
        self.spread: torch.Tensor
        self.register_buffer("shift", shift.clone())
        self.register_buffer("scale", scale.clone())
        self.register_buffer("spread", spread.clamp(min=1e-6))
        self.past_rows, width = past_rows, config.width
        window = _BEFORE + 1 + _AFTER
        self.sound_layers = nn.Sequential(
            nn.Conv1d(len(shift), width, 1), nn.GELU(),
            nn.Conv1d(width, width, window, stride=ROWS_PER_FRAME), nn.GELU(),
            nn.Conv1d(width, config.size, 1),
        )  # fmt: skip
        self.lip_layers = nn.Sequential(
            nn.Conv1d(len(spread), width, LIP_FRAMES), nn.GELU(), nn.Conv1d(width, config.size, 1)
        )

    def sound(self, rows: Float[torch.Tensor, "B D R"], frames: int) -> Float[torch.Tensor, "B T E"]:
        """Vectors of a crop's frames 2 .. frames - 3."""
        first = self.past_rows + _EDGE * ROWS_PER_FRAME - _BEFORE
        stop = self.past_rows + (frames - 1 - _EDGE) * ROWS_PER_FRAME + _AFTER + 1
        # What a crop lacks of the future is taken to go on as it ends: the network may look less far than this.
        seen = F.pad(rows, (max(0, -first), max(0, stop - rows.shape[2])), mode="replicate")
        seen = seen[:, :, max(0, first) : max(0, first) + stop - first]
        vectors = self.sound_layers((seen - self.shift[:, None]) * self.scale[:, None])
        return F.normalize(vectors.transpose(1, 2), dim=2)

    def lips(self, codes: Float[torch.Tensor, "B T K"]) -> Float[torch.Tensor, "B T-4 E"]:
        """Vectors of the frames from the third to the last but two; codes beyond the mouth's do not count."""
        mouth = codes[..., : len(self.spread)] / self.spread
        return F.normalize(self.lip_layers(mouth.transpose(1, 2)).transpose(1, 2), dim=2)

    def loss(
        self, rows: Float[torch.Tensor, "B D R"], codes: Float[torch.Tensor, "B T K"], usable: Bool[torch.Tensor, "B T"]
    ) -> torch.Tensor:
        """How hard it is to tell by lips when their sound was, and by sound when its lips were, over chance: 1."""
        sound, lips = self.sound(rows, codes.shape[1]), self.lips(codes)
        return contrast(sound, lips, usable.unfold(1, LIP_FRAMES, 1).all(-1))


def contrast(
    sound: Float[torch.Tensor, "B T E"], lips: Float[torch.Tensor, "B T E"], usable: Bool[torch.Tensor, "B T"]
) -> torch.Tensor:
    """Mean cross-entropy of finding the right instant among the crop's usable ones, both ways, over chance."""
    likeness = lips @ sound.transpose(1, 2) / _TEMPERATURE
    frame = torch.arange(likeness.shape[1])
    gap = (frame[:, None] - frame).abs()
    beside = (gap > 0) & (gap <= _BESIDE)
    likeness = likeness.masked_fill(beside | ~(usable[:, :, None] & usable[:, None]), -1e4)
    right = likeness.diagonal(dim1=1, dim2=2)
    found = 0.5 * (likeness.logsumexp(1) + likeness.logsumexp(2)) - right
    chance = usable.sum(1, keepdim=True).clamp(min=2).float().log()
    return (found / chance * usable).sum() / usable.sum().clamp(min=1)


def train_expert(expert: SyncExpert, pools: Sequence[Crops], config: ExpertConfig, generator: torch.Generator) -> float:
    """Train on true lips, an equal share of each pool's crops; then freeze. Returns the last steps' mean loss."""
    optimiser = torch.optim.AdamW(expert.parameters(), lr=config.learning_rate, weight_decay=0.05)
    late: list[float] = []
    for step in range(config.steps):
        optimiser.param_groups[0]["lr"] = config.learning_rate * (1.0 - step / config.steps)
        parts = [pool.draw(config.batch // len(pools), generator) for pool in pools]
        rows, codes, usable = (torch.cat(part).to(expert.spread.device) for part in zip(*parts, strict=True))
        noise = torch.randn(codes.shape[0], codes.shape[1], len(expert.spread), generator=generator).to(codes)
        noisy = codes[..., : len(expert.spread)] + _NOISE * expert.spread * noise
        loss = expert.loss(rows, noisy, usable)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        late = [*late[-19:], float(loss.detach())]
    expert.requires_grad_(False)
    return sum(late) / max(1, len(late))

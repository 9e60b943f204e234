"""LPIPS as a part of a fit's loss, where the user brings its weights: what looks sharp, not only what is near."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from gtalk.errors import UserError
from gtalk.files import sha256_of_file
from gtalk.ops.lpips import LEAST_SIDE, alexnet_distance, open_alexnet
from gtalk.shapes import Float, Int, UInt8

ENLARGED_PX = 64  # least side of what the network is shown


@dataclass(frozen=True)
class LpipsConfig:
    """A learnt distance of images (Zhang et al. 2018) as a part of the loss."""

    path: str = ""
    """LPIPS weights: AlexNet as safetensors, laid out as `gtalk/ops/lpips.py` says. Empty: a fit without."""
    weight: float = 0.05
    """Its share in the loss, where a path is given."""


class PerceptualLoss:
    """The frozen network and its weight in the loss."""

    def __init__(self, config: LpipsConfig, device: torch.device) -> None:
        """Raises UserError when the path holds no such network."""
        path = Path(config.path)
        if path.suffix.lower() != ".safetensors":
            raise UserError(
                "loss.lpips.path",
                expected="a .safetensors file",
                got=config.path,
                remedy="Convert the published weights as gtalk/ops/lpips.py says, or leave the path empty.",
            )
        self.weight = config.weight
        self.tensors = {name: tensor.to(device) for name, tensor in open_alexnet(path).items()}
        self.sha256 = sha256_of_file(path)

    def __call__(
        self, render: Float[torch.Tensor, "P h w 3"], truth: Float[torch.Tensor, "P h w 3"]
    ) -> Float[torch.Tensor, ""]:
        """Weighted mean distance of patches in [0, 1]; small ones are enlarged first. Differentiable in both."""
        return self.weight * alexnet_distance(self.tensors, _shown(render), _shown(truth)).mean()

    def on_planes(
        self,
        planes: Float[torch.Tensor, "C H S"],
        plate: Float[torch.Tensor, "3 H S"],
        truth: UInt8[torch.Tensor, "H W 3"],
        patches: Int[torch.Tensor, "P s s"],
        d_planes: Float[torch.Tensor, "4 H S"],
    ) -> Float[torch.Tensor, ""]:
        """The same for patches (flat pixel numbers) of colour + T plate; its gradient is added to `d_planes`."""
        width = truth.shape[1]
        behind = plate[..., :width]
        image = (planes[:3, :, :width] + planes[3, :, :width] * behind).detach().requires_grad_()
        wanted = truth.reshape(-1, 3)[patches].to(image) / 255.0
        loss = self(image.flatten(1)[:, patches].permute(1, 2, 3, 0), wanted)
        (d_image,) = torch.autograd.grad(loss, image)
        d_planes[:3, :, :width] += d_image
        d_planes[3, :, :width] += (d_image * behind).sum(0)
        return loss.detach()


def open_perceptual(config: LpipsConfig, device: torch.device) -> PerceptualLoss | None:
    """The loss that a config names, or None. Raises UserError when its file is missing or holds something else."""
    return PerceptualLoss(config, device) if config.path else None


def _shown(patches: Float[torch.Tensor, "P h w 3"]) -> Float[torch.Tensor, "P 3 H W"]:
    """As the network sees them: planes in [-1, 1], large enough for its pooling."""
    planes = patches.permute(0, 3, 1, 2) * 2.0 - 1.0
    side = min(planes.shape[2:])
    if side >= LEAST_SIDE:
        return planes
    size = [round(ENLARGED_PX * n / side) for n in planes.shape[2:]]
    return F.interpolate(planes, size, mode="bilinear", align_corners=False)

"""gsplat's `rasterization` with its signature (1.5 and 1.6), its checks of shapes, and our reference behind it.

gsplat runs on CUDA alone. What it is asked for, in which shapes, and how often, can be seen without.
"""

from __future__ import annotations

import sys
import types

import pytest
import torch

from gtalk.ops.reference import splat as reference
from gtalk.ops.reference.splat import Splats


class StandIn(types.ModuleType):
    """The module, and how often it drew."""

    calls = 0

    def rasterization(
        self, means, quats, scales, opacities, colors, viewmats, Ks, width, height, near_plane=0.01, far_plane=1e10,
        radius_clip=0.0, eps2d=0.3, sh_degree=None, packed=True, tile_size=16, backgrounds=None, render_mode="RGB",
        sparse_grad=False, absgrad=False, rasterize_mode="classic", channel_chunk=32, distributed=False,
        camera_model="pinhole", segmented=False, covars=None,
    ):  # fmt: skip
        batch, count, cameras = means.shape[:-2], means.shape[-2], viewmats.shape[-3]
        assert means.shape == (*batch, count, 3) and opacities.shape == (*batch, count)
        assert quats.shape == (*batch, count, 4) and scales.shape == (*batch, count, 3)
        assert viewmats.shape == (*batch, cameras, 4, 4) and Ks.shape == (*batch, cameras, 3, 3)
        assert colors.shape == (*batch, count, 3) and covars.shape == (*batch, count, 3, 3)
        assert render_mode == "RGB+D" and not packed and sh_degree is None and cameras == 1
        assert near_plane == reference.NEAR_M and eps2d == reference.BLUR_PX2
        assert torch.equal(viewmats, torch.eye(4).expand_as(viewmats))
        self.calls += 1
        flat = [v.reshape(-1, *v.shape[len(batch) :]) for v in (means, covars, opacities, colors, Ks)]
        drawn = [self._one(*parts, width, height) for parts in zip(*flat, strict=True)]
        planes = torch.stack(drawn).reshape(*batch, 1, 5, height, width)
        seen = torch.cat([planes[..., :3, :, :], planes[..., 4:, :, :]], -3).movedim(-3, -1)
        return seen, 1.0 - planes[..., 3:4, :, :].movedim(-3, -1), {}

    def _one(self, centres, covariances, opacity, colour, lenses, width, height):
        lens = lenses[0]
        flat, px = reference.flatten(centres, covariances, lens[[0, 1, 0, 1], [0, 1, 2, 2]], width, height)
        return reference.draw(Splats(px, flat, opacity, colour, centres[:, 2]), width, height)


@pytest.fixture
def gsplat(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """In the place of the package."""
    module = StandIn("gsplat")
    monkeypatch.setitem(sys.modules, "gsplat", module)
    return module

"""One step on several images at once, as a GPU wants it: one basis product, one rasteriser call, one optimiser step.

What the CPU does image by image (`model.py`), in another order: the images of a step see the same Gaussians, whose
gradient is their mean. Numbers of the host go over in a few copies that nobody waits for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from gtalk.avatar.gaussian import PLACES, REST_CODES, intrinsics
from gtalk.compute.device import sent
from gtalk.fit.frames import TrainingFrame
from gtalk.fit.gaussian.pose_refinement import Instant, gradients_of, moved_frames
from gtalk.ops import splat, splat_frames
from gtalk.shapes import Float

FACE, REST = slice(None, -PLACES), slice(-REST_CODES, None)
"""The parts of a code that the two groups follow."""


class Looked(NamedTuple):
    """What a backward pass over B images leaves."""

    gaussians: Float[torch.Tensor, "B N 16"]
    d_gaussians: Float[torch.Tensor, "B N 16"]
    d_transforms: Float[torch.Tensor, "B 2 3 4"]
    parts: Float[torch.Tensor, "B L"]


def learn_together(
    model: Any, frames: Sequence[TrainingFrame], progress: float, rng: torch.Generator
) -> Float[torch.Tensor, "B L"]:
    """One step of a `GaussianModel`. Returns the loss's parts of each image, on the device."""
    config, refinement = model.config, model.refinement
    instants = [model.instant(frame) for frame in frames]
    codes, transforms = torch.stack([now.code for now in instants]), torch.stack([now.transforms for now in instants])
    rows = [refinement.row_of[frame.index] for frame in frames]
    if bool(refinement.visits[rows].any()):  # which is counted on the host
        codes, transforms = moved_frames(codes, transforms, refinement.values[sent(rows, model.device)])
    noise = sent(torch.randn(codes.shape, generator=rng), codes)
    patches = [model.patches(frame, rng) for frame in frames]
    if refinement.wants_probe(model.steps, progress):
        now = instants[0]._replace(code=codes[0], transforms=transforms[0])
        refinement.probe(now, partial(model.slope, frames[0], patches[0]))
    noisy = codes + config.code_noise * noise
    columns = {g: splat_frames.columns_of(model.tensors[g], model.product) for g in ("face", "rest")}
    looked = _look(model, frames, instants, transforms, noisy, columns, patches)
    d_codes = _step(model, looked, noisy, columns, progress)
    if progress >= config.refine.begin and config.refine.gain > 0.0:
        refinement.step_frames(
            [frame.index for frame in frames], gradients_of(transforms, looked.d_transforms, d_codes)
        )
    return looked.parts


def _look(
    model: Any,
    frames: Sequence[TrainingFrame],
    instants: Sequence[Instant],
    transforms: torch.Tensor,
    codes: torch.Tensor,
    columns: dict[str, torch.Tensor],
    patches: Sequence[torch.Tensor | None],
) -> Looked:
    camera, loss, split = model.context.camera, model.config.loss, len(model.tensors["face"])
    view, base = intrinsics(camera), model.tensors["base"]
    face = splat_frames.deform_frames(base[:split], columns["face"], codes[:, FACE], model.limits)
    rest = splat_frames.deform_frames(base[split:], columns["rest"], codes[:, REST], model.limits)
    gaussians = placed = torch.cat([face, rest], 1)
    if any(now.shift is not None for now in instants):
        placed = gaussians.clone()
        for row, now in zip(placed, instants, strict=True):
            if now.shift is not None:
                row[:, splat.POSITION] += now.shift
    learned = placed.shape[1]
    if model.backed:
        placed = torch.cat([placed, model.backing.expand(len(placed), -1, -1)], 1)
    planes, backward = splat_frames.rasterise_frames(placed, transforms.float(), view, camera.width, camera.height)
    framings = [now.framing for now in instants]
    plate, plate_width = model.plate_planes
    plates = splat_frames.framed_plates(plate, plate_width, framings, camera.width, camera.height)
    rgb, matte, labels = (torch.stack(part) for part in zip(*(model.images[f] for f in frames), strict=True))
    d_planes, parts = splat_frames.photo_loss_frames(
        planes, plates, rgb, matte, labels, model.weights, loss.dssim, loss.coverage
    )
    if model.perceptual is not None:
        values = [
            model.perceptual.on_planes(planes[i], plates[i], rgb[i], where, d_planes[i])
            for i, where in enumerate(patches)
            if where is not None
        ]
        parts = torch.cat([parts, torch.stack(values).to(parts)[:, None]], 1)
    for d, frame in zip(d_planes, frames, strict=True):
        if frame.face is not None:
            d[:, :, : camera.width] *= sent(frame.face, d) / 255.0
    d_gaussians, d_transforms = backward(d_planes)
    return Looked(gaussians, d_gaussians[:, :learned], d_transforms, parts)


def _step(
    model: Any, looked: Looked, codes: torch.Tensor, columns: dict[str, torch.Tensor], progress: float
) -> Float[torch.Tensor, "B K"]:
    """Step the Gaussians. Returns the gradients of the codes."""
    tensors, moments, rates, split = model.tensors, model.moments, model.config.rates, len(model.tensors["face"])
    schedule = model.schedule(progress)
    kept = 1.0 - rates.basis_decay * schedule * model.forgets
    model.steps += 1
    model.score(looked.d_gaussians.mean(0))
    d_codes = torch.zeros_like(codes)
    for group, rows, part in (("face", slice(0, split), FACE), ("rest", slice(split, None), REST)):
        base, d = tensors["base"][rows], looked.d_gaussians[:, rows]
        inner, d_part = splat_frames.deform_frames_backward(
            base, columns[group], model.limits, looked.gaussians[:, rows], d
        )
        d_codes[:, part] += d_part
        splat_frames.adam_frames_(
            base, tensors[group], d, inner, codes[:, part], moments["base.first"][rows], moments["base.second"][rows],
            moments[f"{group}.first"], model.rates[group] * schedule, rates.basis, kept, model.BETAS, model.EPSILON,
            model.steps,
        )  # fmt: skip
    model.keep_in_place()
    return d_codes

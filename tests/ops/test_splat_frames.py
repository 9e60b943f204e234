"""Splats of several frames at once are those of the frames alone: values, gradients, steps, calls of gsplat."""

import pytest
import torch

from gtalk.ops import splat, splat_frames, splat_torch
from gtalk.ops.reference import splat as reference
from tests.ops.gsplat_stand_in import gsplat
from tests.ops.test_ops import isa
from tests.ops.test_splat import HEIGHT, LENS, WIDTH, scene
from tests.support.host_waits import HostWaits

__all__ = ["gsplat", "isa"]  # fixtures


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def frames(count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Gaussians [B, 25, 16] and transforms [B, 2, 3, 4] that differ from frame to frame."""
    gaussians, transforms = scene(25)
    moved = gaussians + 0.01 * normal(count, 25, 16, seed=4)
    return moved, transforms + 0.01 * normal(count, 2, 3, 4, seed=5)


def test_one_product_moves_all_frames():
    base, basis, codes = normal(33, 16), normal(33, 5, 16, seed=1), normal(4, 5, seed=2)
    limit = torch.full((16,), 1.5)
    columns = splat_frames.columns_of(basis)
    out = splat_frames.deform_frames(base, columns, codes, limit)
    d_out = normal(4, 33, 16, seed=3)
    inner, d_codes = splat_frames.deform_frames_backward(base, columns, limit, out, d_out)
    for i in range(4):
        wanted = splat.deform(base, basis, codes[i], limit)
        torch.testing.assert_close(out[i], wanted, atol=1e-5, rtol=1e-5)
        by_one = splat.deform_backward(base, basis, limit, wanted, d_out[i])
        torch.testing.assert_close(inner[i], by_one[0])
        torch.testing.assert_close(d_codes[i], by_one[1], atol=1e-4, rtol=1e-4)
    halves = splat_frames.deform_frames(base, splat_frames.columns_of(basis, torch.bfloat16), codes, limit)
    assert 0 < (halves - out).abs().max() < 0.05  # eight bits of what a code moves


def test_a_basis_of_another_size_is_refused():
    columns = splat_frames.columns_of(normal(9, 5, 16))
    with pytest.raises(ValueError, match=r"columns: expected shape \[4, 144\]; got \[5, 144\]"):
        splat_frames.deform_frames(normal(9, 16), columns, normal(2, 4), torch.ones(16))


def test_gsplat_draws_all_frames_in_one_call_and_keeps_its_own_backward(gsplat):
    """No second forward pass; the stand-in's autograd is the twin's."""
    gaussians, transforms = frames()
    planes, backward = splat_frames.recorded(gaussians, transforms, LENS, WIDTH, HEIGHT)
    assert gsplat.calls == 1 and planes.shape == (3, 5, HEIGHT, splat.row_stride(WIDTH))
    d_planes = normal(3, 4, HEIGHT, splat.row_stride(WIDTH), seed=6)
    d_gaussians, d_transforms = backward(d_planes)
    assert gsplat.calls == 1
    for i in range(3):
        inputs = gaussians[i].clone().requires_grad_(), transforms[i].clone().requires_grad_()
        alone = reference.rasterise(*inputs, torch.tensor(LENS), WIDTH, HEIGHT)
        torch.testing.assert_close(planes[i, :, :, :WIDTH], alone.detach(), atol=2e-5, rtol=1e-4)
        wanted = torch.autograd.grad(alone[:4], inputs, d_planes[i, :, :, :WIDTH])
        torch.testing.assert_close(d_gaussians[i], wanted[0], atol=1e-3, rtol=1e-3)
        torch.testing.assert_close(d_transforms[i], wanted[1], atol=1e-2, rtol=1e-3)


def test_one_frame_of_gsplat_is_the_twins(gsplat):
    gaussians, transforms = scene(25)
    planes = splat_torch.gsplat_planes(gaussians, transforms, LENS, WIDTH, HEIGHT)
    assert gsplat.calls == 1
    wanted = reference.rasterise(gaussians, transforms, torch.tensor(LENS), WIDTH, HEIGHT)
    torch.testing.assert_close(planes, wanted, atol=2e-5, rtol=1e-4)


def test_on_a_processor_frames_are_drawn_one_by_one():
    gaussians, transforms = frames()
    planes, backward = splat_frames.rasterise_frames(gaussians, transforms, LENS, WIDTH, HEIGHT)
    d_planes = normal(*planes.shape, seed=7)
    d_gaussians, d_transforms = backward(d_planes)
    for i in range(3):
        alone, saved = splat.rasterise_planes(gaussians[i], transforms[i], LENS, WIDTH, HEIGHT)
        assert torch.equal(planes[i], alone)
        wanted = splat.rasterise_backward(gaussians[i], transforms[i], LENS, WIDTH, alone, saved, d_planes[i])
        assert torch.equal(d_gaussians[i], wanted[0]) and torch.equal(d_transforms[i], wanted[1])


def test_plates_and_losses_of_frames_are_those_of_each():
    plate, width = splat.plate_planes((torch.rand(40, 48, 3) * 255).to(torch.uint8)), 48
    framings = [(0.0, 0.0, 0.0), (0.05, -0.02, 0.1), (-0.1, 0.04, -0.2)]
    plates = splat_frames.framed_plates(plate, width, framings, WIDTH, HEIGHT)
    rng = torch.Generator().manual_seed(1)
    truth = torch.randint(0, 256, (3, HEIGHT, WIDTH, 3), generator=rng, dtype=torch.uint8)
    matte = torch.randint(0, 256, (3, HEIGHT, WIDTH), generator=rng, dtype=torch.uint8)
    labels = torch.randint(0, 7, (3, HEIGHT, WIDTH), generator=rng, dtype=torch.uint8)
    weights = 1.0 + torch.rand(256, generator=rng)
    planes = splat_frames.rasterise_frames(*frames(), LENS, WIDTH, HEIGHT)[0]
    gradient, parts = splat_frames.photo_loss_frames(planes, plates, truth, matte, labels, weights, 0.2, 0.3)
    for i, framing in enumerate(framings):
        framed = splat.framed_plate(plate, width, framing, WIDTH, HEIGHT)
        torch.testing.assert_close(plates[i, ..., :WIDTH], framed[..., :WIDTH], atol=1e-4, rtol=1e-4)
        d, values = splat.photo_loss(
            planes[i], plates[i].contiguous(), truth[i], matte[i], labels[i], weights, 0.2, 0.3
        )
        torch.testing.assert_close(gradient[i, ..., :WIDTH], d[..., :WIDTH], atol=1e-7, rtol=1e-3)
        torch.testing.assert_close(parts[i], values, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("rows", [37, 0])
def test_one_step_from_several_frames(isa, count, rows):
    def tensors() -> list[torch.Tensor]:
        shapes = [(rows, 16), (rows, 5, 16), (count, rows, 16), (count, rows, 16), (count, 5), (rows, 16)]
        made = [normal(*shape, seed=i) for i, shape in enumerate(shapes)]
        return [*made, normal(rows, 16, seed=7).abs(), normal(rows, 5, 16, seed=8)]

    rates, kept = normal(16, seed=9).abs() * 1e-2, 1.0 - normal(16, seed=10).abs() * 1e-3
    options = (rates, 0.1, kept, (0.9, 0.99), 1e-15, 3)
    ours, plain = tensors(), tensors()
    splat_frames.adam_frames_(*ours, *options)
    splat_frames._adam_frames(*plain, rates, 0.1, kept, 0.9, 0.99, 1e-15, 3)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)
    if count == 1 and rows:  # the step that the CPU takes image by image
        base, basis, gradients, inner, codes, first, second, basis_first = tensors()
        splat.adam_(base, gradients[0], first, second, rates, (0.9, 0.99), 1e-15, 3)
        splat.adam_basis_(basis, inner[0], codes[0], basis_first, second, rates * 0.1, kept, (0.9, 0.99), 1e-15, 3)
        for a, b in zip((base, basis, first, second, basis_first), (ours[0], ours[1], *ours[5:]), strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


def test_memory_that_four_numbers_do_not_fit_is_refused():
    if not hasattr(torch.ops.gtalk, "splat_adam_frames_"):
        pytest.skip("the extension is of an older build")
    base = torch.zeros(33)[1:].reshape(2, 16)
    rest = [torch.zeros(2, 5, 16), torch.zeros(1, 2, 16), torch.zeros(1, 2, 16), torch.zeros(1, 5), torch.zeros(2, 16),
            torch.zeros(2, 16), torch.zeros(2, 5, 16)]  # fmt: skip
    with pytest.raises(ValueError, match="base: expected memory that begins at a multiple of 16 bytes"):
        splat_frames.adam_frames_(base, *rest, torch.ones(16), 0.1, torch.ones(16), (0.9, 0.99), 1e-15, 1)


def test_nothing_of_a_batch_waits_for_its_device(monkeypatch):
    spread = lambda g, t, lens, width, height: (g.sum() + t.sum()).expand(len(g), 5, height, width)  # noqa: E731
    monkeypatch.setattr(splat_torch, "gsplat_planes", spread)
    gaussians, transforms = (v.to("meta") for v in frames())
    plate = torch.zeros(3, 40, 48, device="meta")
    with HostWaits() as waits:
        planes, backward = splat_frames.rasterise_frames(gaussians, transforms, LENS, WIDTH, HEIGHT)
        splat_frames.framed_plates(plate, 48, [(0.0, 0.1, 0.2)] * 3, WIDTH, HEIGHT)
        gradients = backward(torch.zeros_like(planes))
    assert planes.is_meta and all(g.is_meta for g in gradients)
    assert not waits.found

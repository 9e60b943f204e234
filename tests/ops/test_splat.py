"""The rasteriser against its twin in torch: values, every gradient, instruction sets, errors, registration."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.fit.losses.terms import dssim_loss
from gtalk.ops import native, splat
from gtalk.ops.reference import splat as reference
from gtalk.render.image import framed_plate

COMPILED = native.BUILT or hasattr(torch.ops.gtalk, "use_isa")
LENS = (150.0, 148.0, 18.0, 15.0)
WIDTH, HEIGHT = 37, 29


def scene(count: int = 60, seed: int = 0, spread_m: float = 0.04, log_scale: float = -4.5):
    """Random Gaussians before a camera, half of them following a second, affine transform."""
    rng = torch.Generator().manual_seed(seed)
    gaussians = torch.zeros(count, 16)
    gaussians[:, :3] = torch.randn(count, 3, generator=rng) * spread_m
    gaussians[:, 3:6] = log_scale + 0.5 * torch.randn(count, 3, generator=rng)
    gaussians[:, 6:10] = torch.randn(count, 4, generator=rng)
    gaussians[:, 10] = 1.5 * torch.randn(count, generator=rng)
    gaussians[:, 11:14] = torch.rand(count, 3, generator=rng)
    gaussians[:, 14] = torch.randn(count, generator=rng)
    head = torch.tensor([[1.0, 0.0, 0.0, 0.01], [0.0, -1.0, 0.0, 0.02], [0.0, 0.0, -1.0, 0.7]])
    torso = head.clone()
    torso[0, 1], torso[1, 3] = 0.1, 0.03
    return gaussians, torch.stack([head, torso])


@pytest.mark.parametrize("count", [0, 1, 15, 60])
def test_planes_and_gradients_are_the_twins(isa, count):
    gaussians, transforms = scene(count)
    gaussians.requires_grad_()
    transforms.requires_grad_()
    exact = [t.detach().double().requires_grad_() for t in (gaussians, transforms)]
    planes = splat.rasterise(gaussians, transforms, LENS, WIDTH, HEIGHT)
    wanted = reference.rasterise(*exact, torch.tensor(LENS).double(), WIDTH, HEIGHT)
    assert planes.shape == (5, HEIGHT, WIDTH)
    assert (planes - wanted).abs().max() < 5e-6
    if not count:
        assert (planes[3] == 1.0).all()
        return
    weight = torch.randn(4, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(3))
    ours = torch.autograd.grad((planes[:4] * weight).sum(), [gaussians, transforms])
    theirs = torch.autograd.grad((wanted[:4] * weight.double()).sum(), exact)
    for name, a, b in zip(("gaussians", "transforms"), ours, theirs, strict=True):
        scale = b.abs().amax(0, keepdim=True).clamp_min(1e-6)
        assert ((a - b).abs() / scale).max() < 2e-4, name


def test_twin_passes_gradcheck():
    gaussians, transforms = scene(4, seed=5)
    gaussians[:, 10] = 1.0  # far from the threshold at 1/255, where alpha jumps
    inputs = (gaussians.double().requires_grad_(), transforms.double().requires_grad_())
    lens = torch.tensor(LENS).double().requires_grad_()

    def image(g, t, k):
        splats = reference.project(g, t, k, 9, 7)
        return torch.cat([splats.centre_px, splats.covariance_px, splats.opacity[:, None], splats.depth_m[:, None]], 1)

    assert torch.autograd.gradcheck(image, (*inputs, lens))


def test_rasteriser_gradient_is_the_slope_of_the_image():
    gaussians, transforms = scene(30, seed=2)
    weight = torch.randn(4, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))

    def loss(g, t):
        planes = reference.rasterise(g, t, torch.tensor(LENS).double(), WIDTH, HEIGHT)
        return float((planes[:4] * weight.double()).sum())

    g, t = gaussians.clone().requires_grad_(), transforms.clone().requires_grad_()
    ours = torch.autograd.grad((splat.rasterise(g, t, LENS, WIDTH, HEIGHT)[:4] * weight).sum(), [g, t])
    rng = torch.Generator().manual_seed(7)
    for which, step in ((0, 1e-5), (1, 1e-6)):
        # Along one random direction at a time: a jump at alpha = 1/255 would show in a single number.
        direction = torch.randn(ours[which].shape, generator=rng).double()
        if which == 0:
            direction[:, :3] *= 0.01
        moved = [gaussians.double(), transforms.double()]
        up, down = list(moved), list(moved)
        up[which], down[which] = moved[which] + step * direction, moved[which] - step * direction
        slope = (loss(*up) - loss(*down)) / (2 * step)
        assert float((ours[which] * direction).sum()) == pytest.approx(slope, rel=0.03, abs=0.02)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), width=st.integers(1, 70), height=st.integers(1, 50), log_scale=st.floats(-8, -2))
def test_any_scene_and_size_agrees_with_the_twin(seed, width, height, log_scale):
    gaussians, transforms = scene(25, seed, spread_m=0.08, log_scale=log_scale)
    lens = (4.0 * width, 4.0 * width, width / 2, height / 2)
    planes = splat.rasterise(gaussians, transforms, lens, width, height)
    wanted = reference.rasterise(
        gaussians.double(), transforms.double(), torch.tensor(lens).double(), width, height, tile=64
    )
    close = (planes - wanted).abs() < 1e-4
    assert close.float().mean() > 0.999  # a pixel at the very threshold of 1/255 may fall on either side
    assert (planes - wanted).abs().max() < 0.01
    assert ((planes[3] >= 0) & (planes[3] <= 1)).all()


def test_what_is_behind_the_camera_or_beside_the_image_is_not_drawn():
    gaussians, transforms = scene(8)
    gaussians[:4, 2] += 2.0
    gaussians[4:, 0] += 5.0
    planes = splat.rasterise(gaussians, transforms, LENS, WIDTH, HEIGHT)
    assert (planes[3] == 1.0).all()
    assert (planes[:3] == 0.0).all()


def test_opaque_stack_shows_the_front_and_stays_finite():
    gaussians, transforms = scene(400, spread_m=0.001, log_scale=-3.0)
    gaussians[:, 10], gaussians[:, 14] = 20.0, -20.0
    gaussians[:, 2] = torch.linspace(-0.2, 0.2, 400)  # the last is nearest
    gaussians[:, 11:14] = 0.0
    gaussians[-1, 11] = 1.0
    gaussians.requires_grad_()
    planes = splat.rasterise(gaussians, transforms, LENS, WIDTH, HEIGHT)
    assert planes[0].max() > 0.98
    assert planes[3].max() < 1e-3
    (gradient,) = torch.autograd.grad(planes[:4].sum(), gaussians)
    assert gradient.isfinite().all()


def test_motion_basis_and_its_gradients(isa):
    rng = torch.Generator().manual_seed(0)
    base, basis, code = (torch.randn(*s, generator=rng) for s in ((33, 16), (33, 5, 16), (5,)))
    limit = torch.full((16,), 1.5)
    inputs = [t.requires_grad_() for t in (base, basis, code)]
    exact = [t.detach().double().requires_grad_() for t in inputs]
    out, wanted = splat.deform(*inputs, limit), reference.deform(*exact, limit.double())
    torch.testing.assert_close(out, wanted.float())
    weight = torch.randn(33, 16, generator=rng)
    ours = torch.autograd.grad((out * weight).sum(), inputs)
    theirs = torch.autograd.grad((wanted * weight.double()).sum(), exact)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b.float(), atol=2e-5, rtol=1e-4)
    halves = basis.detach().half()
    torch.testing.assert_close(
        splat.deform(base.detach(), halves, code.detach(), limit),
        reference.deform(base.detach(), halves.float(), code.detach(), limit),
    )


def test_halves_of_every_size_are_read_exactly(isa):
    bits = torch.arange(0, 0x7C00, 7, dtype=torch.int32)
    bits = torch.cat([bits, bits + 0x8000])[: len(bits) * 2 // 16 * 16].to(torch.int16)
    values = bits.view(torch.float16).reshape(-1, 1, 16)
    limit = torch.full((16,), 1e6)
    out = splat.deform(torch.zeros(len(values), 16), values, torch.ones(1), limit)
    assert torch.equal(out, values[:, 0].float())


def photo_inputs(width: int, height: int):
    rng = torch.Generator().manual_seed(1)
    stride = splat.row_stride(width)
    planes, plate = torch.zeros(5, height, stride), torch.zeros(3, height, stride)
    planes[:4, :, :width] = torch.rand(4, height, width, generator=rng)
    plate[:, :, :width] = torch.rand(3, height, width, generator=rng)
    truth = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=rng)
    matte = torch.randint(0, 256, (height, width), dtype=torch.uint8, generator=rng)
    labels = torch.randint(0, 7, (height, width), dtype=torch.uint8, generator=rng)
    return planes, plate, truth, matte, labels, torch.rand(256, generator=rng)


@pytest.mark.parametrize("size", [(37, 29), (16, 7), (64, 33), (5, 40)])
def test_photo_loss_is_the_formula(isa, size):
    width, height = size
    planes, plate, truth, matte, labels, weights = photo_inputs(width, height)
    gradient, terms = splat.photo_loss(planes, plate, truth, matte, labels, weights, 0.2, 0.3)
    own = planes[:4, :, :width].double().requires_grad_()
    x = (own[:3] + own[3] * plate[:, :, :width]).permute(1, 2, 0)
    y = truth.double() / 255.0
    l1 = ((x - y).abs().mean(-1) * weights[labels.long()]).mean()
    structure = dssim_loss(x[None], y[None]) if min(size) >= 7 else torch.zeros(())
    coverage = ((1.0 - own[3] - matte.double() / 255.0) ** 2).mean()
    (0.8 * l1 + 0.2 * structure + 0.3 * coverage).backward()
    wanted = [l1, structure, coverage, ((x - y) ** 2).mean()]
    np.testing.assert_allclose(terms.numpy(), [float(v.detach()) for v in wanted], atol=2e-6)
    assert (gradient[:, :, :width] - own.grad).abs().max() < 2e-5 * own.grad.abs().max()
    assert (gradient[:, :, width:] == 0).all()


def test_adam_is_torchs(isa):
    rng = torch.Generator().manual_seed(0)
    value = torch.randn(21, 16, generator=rng)
    theirs = value.clone().requires_grad_()
    optimiser = torch.optim.Adam([theirs], lr=0.01, betas=(0.9, 0.99), eps=1e-8)
    first, second, rates = torch.zeros_like(value), torch.zeros_like(value), torch.full((16,), 0.01)
    for step in range(1, 6):
        gradient = torch.randn(21, 16, generator=rng)
        theirs.grad = gradient.clone()
        optimiser.step()
        splat.adam_(value, gradient, first, second, rates, (0.9, 0.99), 1e-8, step)
    torch.testing.assert_close(value, theirs.detach())


def test_basis_step_is_adam_with_the_gaussians_second_moment(isa):
    rng = torch.Generator().manual_seed(0)
    basis, gradient, code = (torch.randn(*s, generator=rng) for s in ((9, 4, 16), (9, 16), (4,)))
    first, second = torch.randn(9, 4, 16, generator=rng), torch.rand(9, 16, generator=rng)
    rates, kept = torch.rand(16, generator=rng), torch.full((16,), 0.99)
    moment = 0.9 * first + 0.1 * gradient[:, None] * code[:, None]
    step = rates * moment / (1 - 0.9**3) / (torch.sqrt(second / (1 - 0.99**3)) + 1e-8)[:, None]
    wanted = 0.99 * basis - step
    splat.adam_basis_(basis, gradient, code, first, second, rates, kept, (0.9, 0.99), 1e-8, 3)
    torch.testing.assert_close(first, moment)
    torch.testing.assert_close(basis, wanted)


@pytest.mark.parametrize("framing", [(0.0, 0.0, 0.0), (0.013, -0.02, 0.03), (-0.4, 0.3, -0.2)])
@pytest.mark.parametrize("size", [(37, 29), (64, 48), (1, 5)])
@pytest.mark.parametrize("margin", [0.0, 0.25])
def test_plate_is_framed_as_the_radiance_avatar_frames_it(isa, framing, size, margin):
    width, height = size
    pad = round(margin * height)
    shape = (height + 2 * pad, width + 2 * pad, 3)
    image = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    out = splat.framed_plate(splat.plate_planes(image), shape[1], framing, width, height)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    points = torch.stack([x, y], -1).reshape(-1, 2)
    wanted = framed_plate(image.float() / 255.0, torch.tensor(framing), points, size, pad / height)
    assert (out[..., :width].permute(1, 2, 0).reshape(-1, 3) - wanted).abs().max() < 2e-4
    assert (out[..., width:] == 0).all()


@pytest.mark.parametrize("with_plate", [True, False])
def test_whole_frame_is_its_parts(isa, with_plate):
    rng = torch.Generator().manual_seed(4)
    base, transforms = scene(70)
    face, rest = torch.randn(40, 5, 16, generator=rng) * 1e-2, torch.randn(30, 3, 16, generator=rng) * 1e-2
    codes = torch.randn(5, generator=rng), torch.randn(3, generator=rng)
    limit = torch.full((16,), 0.02)
    image = torch.randint(0, 256, (HEIGHT, WIDTH, 3), dtype=torch.uint8, generator=rng)
    plate = splat.plate_planes(image) if with_plate else None
    framing = (0.01, 0.02, 0.01)
    arguments = (base, (face, rest.half()), codes, limit, transforms, LENS, (WIDTH, HEIGHT), plate, WIDTH, framing)
    rgb, alpha, depth = splat.render_frame(*arguments, as_bytes=False)
    moved = torch.cat(
        [reference.deform(base[:40], face, codes[0], limit), reference.deform(base[40:], rest.half(), codes[1], limit)]
    )
    planes = reference.rasterise(moved, transforms, torch.tensor(LENS), WIDTH, HEIGHT)
    behind = (
        splat.framed_plate(plate, WIDTH, framing, WIDTH, HEIGHT)[..., :WIDTH]
        if plate is not None
        else torch.zeros(3, 1, 1)
    )
    wanted = (planes[:3] + planes[3] * behind).permute(1, 2, 0)
    assert (rgb - wanted).abs().max() < 1e-4
    assert (alpha - (1 - planes[3])).abs().max() < 1e-4
    seen = alpha > 0.01
    assert (depth - planes[4] / (1 - planes[3]).clamp_min(1e-3))[seen].abs().max() < 1e-3
    apart = splat.render_frame(base[:40], *arguments[1:], as_bytes=False, rest=base[40:])
    unmoved = splat.render_frame(moved[:40], (face[:, :0], rest.half()), (codes[0][:0], codes[1]), *arguments[3:],
                                 as_bytes=False, rest=base[40:])  # fmt: skip
    assert torch.equal(apart[0], rgb)
    assert (unmoved[0] - rgb).abs().max() < 1e-5
    levels_rgb, levels_alpha, none = splat.render_frame(*arguments, as_bytes=True)
    assert levels_rgb.dtype == levels_alpha.dtype == torch.uint8
    assert none.numel() == 0
    assert (levels_rgb.float() - rgb.clamp(0, 1) * 255).abs().max() <= 0.501
    assert (levels_alpha.float() - alpha * 255).abs().max() <= 0.501


def test_threads_do_not_change_the_image():
    gaussians, transforms = scene(900, spread_m=0.07)
    images, gradients = [], []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            g = gaussians.clone().requires_grad_()
            planes = splat.rasterise(g, transforms, (600.0, 600.0, 64.0, 64.0), 128, 128)
            images.append(planes.detach())
            gradients.append(torch.autograd.grad(planes[:4].sum(), g)[0])
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[0], images[2])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-3)


def test_registration_is_sound():
    gaussians, transforms = scene(12)
    deform = (torch.randn(9, 16), torch.randn(9, 3, 16), torch.randn(3), torch.ones(16) * 9)
    for tensor in (gaussians, transforms, *deform[:3]):
        tensor.requires_grad_()
    torch.library.opcheck(torch.ops.gtalk.splat_deform.default, deform)
    torch.library.opcheck(torch.ops.gtalk.splat_rasterise.default, (gaussians, transforms, list(LENS), WIDTH, HEIGHT))
    torch.library.opcheck(torch.ops.gtalk.splat_photo_loss.default, (*photo_inputs(20, 18), 0.2, 0.3))


def test_errors_name_the_argument():
    gaussians, transforms = scene(5)
    problem = (ValueError, TypeError)  # TypeError from the annotations where they are checked
    with pytest.raises(problem, match="gaussians"):
        splat.rasterise(gaussians[:, :15], transforms, LENS, WIDTH, HEIGHT)
    with pytest.raises(ValueError, match="intrinsics: expected fx, fy, cx, cy"):
        splat.rasterise(gaussians, transforms, LENS[:3], WIDTH, HEIGHT)
    with pytest.raises(problem, match="basis"):
        splat.deform(gaussians, torch.zeros(4, 2, 16), torch.zeros(2), torch.ones(16))
    if COMPILED:
        with pytest.raises(ValueError, match=r"size: expected 1\.\.32767; got 0x5"):
            torch.ops.gtalk.splat_rasterise(gaussians, transforms, list(LENS), 0, 5)
        with pytest.raises(ValueError, match="gaussians: expected Float; got Double"):
            torch.ops.gtalk.splat_rasterise(gaussians.double(), transforms, list(LENS), 5, 5)


def test_strided_input_is_as_good():
    gaussians, transforms = scene(20)
    strided = torch.empty(16, 20).T
    strided.copy_(gaussians)
    assert not strided.is_contiguous()
    assert torch.equal(
        splat.rasterise(strided, transforms, LENS, WIDTH, HEIGHT),
        splat.rasterise(gaussians, transforms, LENS, WIDTH, HEIGHT),
    )


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gsplat_draws_and_differentiates_the_same():
    pytest.importorskip("gsplat")
    gaussians, transforms = scene(800, spread_m=0.05)
    lens, size = (600.0, 600.0, 64.0, 64.0), (128, 128)
    weight = torch.randn(4, 128, 128, generator=torch.Generator().manual_seed(0))
    found = []
    for device in ("cpu", "cuda"):
        g, t = (v.detach().to(device).requires_grad_() for v in (gaussians, transforms))
        planes = splat.rasterise(g, t, lens, *size)
        gradients = torch.autograd.grad((planes[:4] * weight.to(device)).sum(), [g, t])
        found.append([v.detach().cpu() for v in (planes, *gradients)])
    assert (found[0][0] - found[1][0]).abs().max() < 1e-3
    for ours, theirs in zip(found[0][1:], found[1][1:], strict=True):
        scale = ours.abs().amax(0, keepdim=True).clamp_min(1e-3)
        assert ((ours - theirs).abs() / scale).max() < 2e-2

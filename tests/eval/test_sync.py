"""SyncNet's loader and scores, with small networks of its interface whose answers are known."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gtalk.errors import UserError
from gtalk.eval.sync import REACH, SyncMeter, SyncNet, face_crop, load_syncnet, mfcc

FPS = 25
SOUND = ((4, 1, 3, 3), (5, 4, 3, 3), (6, 5, 3, 3), (5, 6, 3, 3), (5, 5, 3, 3), (8, 5, 5, 4))
LIPS = ((4, 3, 5, 7, 7), (5, 4, 1, 5, 5), (5, 5, 1, 3, 3), (5, 5, 1, 3, 3), (5, 5, 1, 3, 3), (8, 5, 1, 6, 6))
PLACES = {"netcnnaud": (SOUND, (0, 4, 8, 11, 14, 18)), "netcnnlip": (LIPS, (0, 4, 8, 11, 14, 18))}


def narrow_weights() -> dict[str, torch.Tensor]:
    """Every tensor of the published state dict, with few channels."""
    torch.manual_seed(0)
    tensors: dict[str, torch.Tensor] = {}
    for prefix, (shapes, places) in PLACES.items():
        for shape, place in zip(shapes, places, strict=True):
            tensors[f"{prefix}.{place}.weight"] = torch.randn(shape) / np.sqrt(np.prod(shape[1:]))
            tensors[f"{prefix}.{place}.bias"] = torch.randn(shape[0]) * 0.1
            _norm(tensors, f"{prefix}.{place + 1}", shape[0])
    for prefix in ("netfcaud", "netfclip"):
        for place, shape in ((0, (7, 8)), (3, (6, 7))):
            tensors[f"{prefix}.{place}.weight"] = torch.randn(shape) / np.sqrt(shape[1])
            tensors[f"{prefix}.{place}.bias"] = torch.randn(shape[0]) * 0.1
        _norm(tensors, f"{prefix}.1", 7)
    return tensors


def _norm(tensors: dict[str, torch.Tensor], name: str, width: int) -> None:
    tensors |= {f"{name}.weight": torch.rand(width) + 0.5, f"{name}.bias": torch.randn(width) * 0.1}
    tensors |= {f"{name}.running_mean": torch.randn(width) * 0.1, f"{name}.running_var": torch.rand(width) + 0.5}
    tensors[f"{name}.num_batches_tracked"] = torch.tensor(3)


class Literal(nn.Module):
    """The published network, layer by layer, at the narrow widths."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()

        def conv(kind, norm, shape, stride, padding):
            return [kind(shape[1], shape[0], shape[2:], stride, padding), norm(shape[0]), nn.ReLU()]

        a = [conv(nn.Conv2d, nn.BatchNorm2d, shape, 1, 0 if i == 5 else 1) for i, shape in enumerate(SOUND)]
        self.netcnnaud = nn.Sequential(
            *a[0], nn.MaxPool2d(1, 1), *a[1], nn.MaxPool2d(3, (1, 2)), *a[2], *a[3], *a[4], nn.MaxPool2d(3, 2), *a[5]
        )
        strides = ((1, 2, 2), (1, 2, 2), 1, 1, 1, 1)
        pads = (0, (0, 1, 1), (0, 1, 1), (0, 1, 1), (0, 1, 1), 0)
        b = [conv(nn.Conv3d, nn.BatchNorm3d, *args) for args in zip(LIPS, strides, pads, strict=True)]
        pool = (1, 3, 3), (1, 2, 2)
        self.netcnnlip = nn.Sequential(
            *b[0], nn.MaxPool3d(*pool), *b[1], nn.MaxPool3d(*pool, (0, 1, 1)), *b[2], *b[3], *b[4],
            nn.MaxPool3d(*pool), *b[5],
        )  # fmt: skip
        self.netfcaud = nn.Sequential(nn.Linear(8, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 6))
        self.netfclip = nn.Sequential(nn.Linear(8, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Linear(7, 6))
        self.load_state_dict(tensors)
        self.eval()

    def forward_aud(self, x):
        return self.netfcaud(self.netcnnaud(x).flatten(1))

    def forward_lip(self, x):
        return self.netfclip(self.netcnnlip(x).flatten(1))


@pytest.fixture(scope="module")
def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.rand(2, 3, 5, 224, 224) * 255, torch.randn(3, 1, 13, 20) * 10


def test_safetensors_give_the_published_network(tmp_path, inputs):
    tensors = narrow_weights()
    literal = Literal(tensors)
    save_file(tensors, tmp_path / "sync.safetensors")
    with torch.no_grad():
        lips, sound = literal.forward_lip(inputs[0]), literal.forward_aud(inputs[1])
        network = load_syncnet(tmp_path / "sync.safetensors")
        torch.testing.assert_close(network.lips(inputs[0]), lips)
        torch.testing.assert_close(network.sound(inputs[1]), sound)


def test_files_without_the_network_are_refused(tmp_path):
    tensors = narrow_weights()
    (tmp_path / "bad.pt").write_bytes(b"nonsense")
    save_file({k: v for k, v in tensors.items() if k != "netfclip.3.bias"}, tmp_path / "part.safetensors")
    save_file(tensors | {"netcnnaud.4.weight": torch.zeros(5, 9, 3, 3)}, tmp_path / "shape.safetensors")
    save_file(tensors | {"netfcaud.3.weight": torch.zeros(5, 7), "netfcaud.3.bias": torch.zeros(5)},
              tmp_path / "lengths.safetensors")  # fmt: skip
    for name in ("bad.pt", "part.safetensors", "shape.safetensors", "lengths.safetensors", "absent.pt"):
        with pytest.raises(UserError, match="SyncNet weights"):
            load_syncnet(tmp_path / name)


def loudness_network() -> SyncNet:
    """Lips say how bright the five images are, sound how much energy its rows have."""
    return SyncNet(
        lambda x: torch.stack([x[:, 0, i].mean((1, 2)) for i in range(5)], 1) / 8,
        lambda x: torch.stack([x[:, 0, 0, 4 * i : 4 * i + 4].mean(1) for i in range(5)], 1),
    )


def talking_video(late: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Images as bright as the logarithmic energy of the sound `late` frames ago."""
    rng = np.random.default_rng(0)
    level = np.exp(rng.uniform(-4, -0.5, 90))
    samples = np.repeat(level, 640) * rng.standard_normal(90 * 640) * 0.3
    energy = mfcc(samples)[:, 0]
    per_frame = np.array([energy[4 * i : 4 * i + 4].mean() for i in range(85)])
    shown = np.roll(per_frame, late)
    return [np.full((64, 64, 3), max(0, min(255, round(e * 8))), np.uint8) for e in shown], samples


@pytest.mark.parametrize("late", [0, 3, -4])
def test_lag_is_found_with_its_sign_and_confidence_stands_out(late):
    images, samples = talking_video(late)
    face = np.array([[20.0, 20.0], [44.0, 44.0]]).repeat(34, 0)
    meter = SyncMeter(loudness_network())
    for number, image in enumerate(images[:-REACH]):
        meter.add(number, image, face)
    score = meter.score(samples)
    assert score.offset_frames == late
    assert score.distance is not None and score.confidence is not None
    assert score.distance < 0.5 and score.confidence > 2 * score.distance


def test_windows_do_not_cross_missing_frames():
    meter = SyncMeter(loudness_network())
    face = np.array([[20.0, 20.0], [44.0, 44.0]]).repeat(34, 0)
    for number in [0, 1, 2, 3, 5, 6, 7, 8]:
        meter.add(number, np.zeros((64, 64, 3), np.uint8), face)
    assert meter.score(np.zeros(90 * 640)).distance is None


def test_crop_is_a_detectors_box_widened():
    image = np.zeros((300, 300, 3), np.uint8)
    image[100:200, 110:190] = 255  # the face: brows to chin is 100 high
    face = np.array([[110.0, 100.0], [190.0, 200.0]]).repeat(34, 0)
    crop = face_crop(image, face)
    # The box is 130 high with the forehead, so the crop is 182 wide; the face fills 80 / 182 and 100 / 182 of it.
    assert crop.shape == (224, 224, 3)
    assert (crop[150, :, 0] > 128).sum() == pytest.approx(224 * 80 / 182, abs=2)
    assert (crop[:, 112, 0] > 128).sum() == pytest.approx(224 * 100 / 182, abs=2)


def test_cepstra_are_the_formula_written_out():
    rng = np.random.default_rng(0)
    samples = np.clip(rng.standard_normal(2000) * 0.1, -1, 1)
    rows = mfcc(samples)
    assert rows.shape == (11, 13)  # 1 + ceil((2000 - 400) / 160)
    whole = np.rint(samples * 32768)
    flat = np.append(whole[0], whole[1:] - 0.97 * whole[:-1])
    frame = flat[5 * 160 : 5 * 160 + 400]
    k = np.arange(257)
    spectrum = np.array([(frame * np.exp(-2j * np.pi * n * np.arange(400) / 512)).sum() for n in k])
    power = np.abs(spectrum) ** 2 / 512
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 28)
    corner = np.floor(513 * 700 * (10 ** (mel / 2595) - 1) / 16000).astype(int)
    bands = np.zeros(26)
    for j in range(26):
        for i in range(corner[j], corner[j + 1]):
            bands[j] += power[i] * (i - corner[j]) / (corner[j + 1] - corner[j])
        for i in range(corner[j + 1], corner[j + 2]):
            bands[j] += power[i] * (corner[j + 2] - i) / (corner[j + 2] - corner[j + 1])
    for c in range(1, 13):
        value = (np.log(bands) * np.cos(np.pi * c * (2 * np.arange(26) + 1) / 52)).sum() * np.sqrt(2 / 26)
        assert rows[5, c] == pytest.approx(value * (1 + 11 * np.sin(np.pi * c / 22)), rel=1e-6)
    assert rows[5, 0] == pytest.approx(np.log(power.sum()), rel=1e-9)

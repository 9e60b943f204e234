"""The evaluation of avatars whose scores are known beforehand."""

import json
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
import torch

from gtalk.basis import MotionBasis
from gtalk.errors import UserError
from gtalk.eval.config import EvalConfig
from gtalk.eval.lips import held_out, predict, with_true_head
from gtalk.eval.report import _ticks, table, write_html
from gtalk.eval.run import evaluate_character
from gtalk.talk import Character, Identity
from gtalk.types import RenderOutput
from tests.support.synthetic_dataset import make_synthetic_dataset
from tests.support.toys import toy_character

OFF_BY = 8  # grey levels
LATE = 2  # frames


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_synthetic_dataset(tmp_path_factory.mktemp("eval") / "ds", n_frames=220, size=64)


class Copyist:
    """Shows the clip's own image for a tracked pose, `OFF_BY` grey levels too bright."""

    kind = "copyist"
    fps = 25.0
    device = torch.device("cpu")

    def __init__(self, dataset):
        self.dataset, self.camera = dataset, dataset.camera
        self.basis = MotionBasis.fit(dataset.motion)

    def render(self, motion, camera=None, size=None, background=None):
        images = []
        for pose in motion.head_pose:
            index = int(np.abs(self.dataset.motion.head_pose - pose).sum((1, 2)).argmin())
            images.append(np.minimum(self.dataset.frame(index), 255 - OFF_BY) + OFF_BY)
        rgb = torch.from_numpy(np.stack(images).astype(np.float32) / 255)
        return RenderOutput(rgb, torch.ones(rgb.shape[:3]), torch.ones(rgb.shape[:3]))

    def tensors(self):
        return {}

    def to(self, device):
        return self


class Latecomer:
    """Answers to the clip's own sound with its own motion, some frames late and half as wide."""

    fps = 25.0
    lookahead_s = 0.0

    def __init__(self, dataset):
        self.motion, self.basis = dataset.motion, MotionBasis.fit(dataset.motion)
        self.first = held_out(dataset).first - round(len(held_out(dataset).lead) / 640)

    def stream(self, seed=0):
        model = self

        class Stream:
            frames = samples = 0

            def push(self, samples):
                self.samples += len(samples)
                return self._until(self.samples // 640)

            def finish(self):
                return self._until(-(-self.samples // 640))

            def _until(self, stop):
                numbers = np.clip(np.arange(self.frames, stop) + model.first - LATE, 0, len(model.motion) - 1)
                self.frames = stop
                part = model.motion[numbers]
                mean = model.motion.landmarks.mean(0)
                return part.replace(landmarks=mean + 0.5 * (part.landmarks - mean))

        return Stream()


@pytest.fixture(scope="module")
def result(dataset):
    character = Character(Copyist(dataset), Latecomer(dataset), Identity("id", "nobody", "0"))
    return evaluate_character(character, dataset)


def test_keys_are_those_of_the_design(result):
    assert {"self_driven", "audio_driven", "peer_protocol", "real", "speed"} <= set(result)
    for region in ("full", "head", "mouth"):
        assert {"psnr", "ssim"} <= set(result["self_driven"][region])
    lips = {"lmd_px", "lmd_norm", "lmd_ratio", "aperture_corr", "av_offset_frames", "silence_leakage", "jitter_ratio"}
    assert lips | {"amplitude_ratio"} <= set(result["audio_driven"]) and lips <= set(result["real"])
    assert {"psnr", "ssim", "lmd_px"} <= set(result["peer_protocol"])
    speed = {"prepare_s_per_clip_s", "fit_s", "motion_s", "frame_ms_p50", "frame_ms_p95", "peak_rss_mb", "peak_gpu_mb"}
    assert speed <= set(result["speed"])
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_image_scores_are_the_known_ones(result):
    expected = 20 * np.log10(255 / OFF_BY)
    for region in ("full", "head", "mouth"):
        assert result["self_driven"][region]["psnr"] == pytest.approx(expected, abs=0.1)
        assert 0.95 < result["self_driven"][region]["ssim"] < 1
    assert result["self_driven"]["flicker"] == pytest.approx(result["real"]["flicker"], abs=0.05)
    assert result["clip"]["n_scored"] == 20 and result["clip"]["first_held_out_frame"] == 200


def test_pasting_the_truth_raises_the_score_and_is_kept_apart(result):
    assert result["peer_protocol"]["psnr"] > result["self_driven"]["full"]["psnr"] + 1
    assert "pasted" in result["peer_protocol"]["note"]


def test_lip_scores_are_the_known_ones(result, dataset):
    row = result["audio_driven"]
    assert row["av_offset_frames"] == pytest.approx(LATE, abs=0.2)
    assert row["amplitude_ratio"] == pytest.approx(0.5, abs=0.1)
    assert row["lmd_px"] > 0 and row["lmd_ratio"] > 0.2
    part = held_out(dataset)
    camera = dataset.camera
    # One per cent of the outer-eye distance, in pixels at the head's distance.
    scale = camera.focal_px / 0.6 * 0.09 / 100
    assert row["lmd_px"] == pytest.approx(row["lmd_norm"] * scale, rel=0.15)
    assert result["real"]["lmd_px"] == 0 and len(part.truth) == 20


def test_speed_is_measured(result):
    speed = result["speed"]
    assert 0 < speed["frame_ms_p50"] <= speed["frame_ms_p95"] < 1000 and speed["peak_rss_mb"] > 50
    assert speed["fit_s"] is None and speed["peak_gpu_mb"] is None


def test_a_smaller_avatar_is_scored_at_its_own_size_without_a_motion_model(dataset):
    character = Character(toy_character(32).avatar, None, Identity("id", "nobody", "0"))
    result = evaluate_character(character, dataset, EvalConfig(max_frames=5))
    assert (result["clip"]["width"], result["clip"]["n_scored"]) == (32, 5)
    assert set(result["audio_driven"].values()) == {None} and result["peer_protocol"]["psnr"] is None
    assert "-" in table(result)


def test_prediction_has_one_frame_for_each_true_one_and_keeps_the_true_head(dataset):
    character = toy_character(32)
    part = held_out(dataset)
    predicted, seconds = predict(character.talker(), part)
    assert len(predicted) == len(part.truth) == 20 and seconds > 0
    mixed = with_true_head(predicted, part.truth)
    np.testing.assert_array_equal(mixed.head_pose, part.truth.head_pose)
    np.testing.assert_array_equal(mixed.landmarks[:, 48:], predicted.landmarks[:, 48:])
    np.testing.assert_array_equal(mixed.landmarks[:, 36:48], part.truth.landmarks[:, 36:48])


class Images(HTMLParser):
    def __init__(self):
        super().__init__()
        self.images, self.lines, self.links = [], 0, 0

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if tag == "img":
            self.images.append(named["src"])
        self.lines += tag == "polyline"
        self.links += tag in ("link", "script") or "href" in named


def test_the_report_is_one_file_with_tables_curves_and_images(result, tmp_path):
    write_html(tmp_path / "report.html", result)
    page = Images()
    page.feed((tmp_path / "report.html").read_text())
    assert len(result.examples) == 7 and len(page.images) == 21 and page.links == 0
    assert page.lines == 8, "three of images and two of them twice, two mouths and their distance"
    import base64

    shown = cv2.imdecode(np.frombuffer(base64.b64decode(page.images[0].split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (64, 64, 3)
    order = [example.psnr_head for example in result.examples]
    assert result.examples[0].label == "best" and order[0] == max(order)


def test_the_text_table_says_the_numbers(result):
    text = table(result)
    assert f"{result['self_driven']['mouth']['psnr']:.2f}" in text
    assert "peer protocol (truth pasted in)" in text and "mumbling" in text
    assert max(len(line) for line in text.splitlines()) < 130


def test_several_clips_stand_in_rows_above_their_spread(result):
    clips = {
        "a.mp4": {"frames": 20.0, "psnr_full": 30.0, "lmd_ratio": None},
        "b.mp4": {"frames": 9.0, "psnr_full": 28.5},
    }
    lines = table({**result, "clips": clips}).splitlines()
    row = next(line for line in lines if line.startswith("lowest..highest"))
    assert row.split() == ["lowest..highest", "28.50..30.00", "-", "-", "-", "-"]
    assert "lowest" not in table(result)


def test_curves_stand_on_round_numbers():
    assert _ticks(25.5, 33.4, 3) == [30.0]
    assert _ticks(64.7, 71.1, 8) == [65.0, 66.0, 67.0, 68.0, 69.0, 70.0, 71.0]
    assert _ticks(-0.9, 9.2, 3) == [0.0, 5.0]
    assert _ticks(0.2, 0.2, 3) in ([], [0.2])


def test_a_clip_without_a_held_out_face_is_refused(tmp_path):
    dataset = make_synthetic_dataset(tmp_path / "ds", n_frames=22, size=32)
    motion = dataset.motion
    motion.replace(valid=np.arange(22) < 20).save(tmp_path / "ds/motion.npz")
    from gtalk.dataset.format import Dataset

    with pytest.raises(UserError, match="longer clip"):
        evaluate_character(toy_character(32), Dataset(tmp_path / "ds"))

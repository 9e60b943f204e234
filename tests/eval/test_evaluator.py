"""Networks with known answers, through the whole evaluation; and the film, decoded."""

import numpy as np
import pytest
import torch

from gtalk.eval import run
from gtalk.eval.evaluator import Metrics
from gtalk.eval.preview_video import DIFFERENCE_GAIN, MOST_S, PreviewVideo, difference
from gtalk.eval.run import evaluate_character
from gtalk.eval.sync import SyncNet
from gtalk.media.audio import read_audio
from gtalk.media.video import read_video
from gtalk.talk import Character, Identity
from tests.eval.test_run import OFF_BY, Copyist, Latecomer
from tests.support.synthetic_dataset import make_synthetic_dataset


class BrightnessReader:
    """Sees the mean brightness as jawOpen."""

    def read(self, image):
        scores = np.zeros(52, np.float32)
        scores[25] = image.astype(np.float32).mean() / 255
        return scores

    def close(self):
        self.closed = True


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    dataset = make_synthetic_dataset(tmp_path_factory.mktemp("watch") / "ds", n_frames=396, size=64)
    network = SyncNet(lambda x: x[:, 0, :, 0, 0] * 0 + 1, lambda x: x[:, 0, 0, :5] * 0 + 1)
    reader = BrightnessReader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            run,
            "open_judges",
            lambda config: Metrics(lambda a, b: float(a[0, 0, 0]) - float(b[0, 0, 0]), network, reader),
        )
        character = Character(Copyist(dataset), Latecomer(dataset), Identity("id", "nobody", "0"))
        result = evaluate_character(character, dataset)
    assert reader.closed
    return result


def test_judges_see_rendered_and_real_images(result):
    assert result["self_driven"]["full"]["lpips"] == pytest.approx(OFF_BY, abs=1)
    assert result["audio_driven_images"]["full"]["lpips"] == pytest.approx(OFF_BY, abs=1)
    assert result["self_driven"]["aue_lower"] == pytest.approx((OFF_BY / 255) ** 2, rel=0.05)
    assert result["real"]["aue_lower"] == 0.0 and result["self_driven"]["aue_upper"] == 0.0
    for row in ("audio_driven", "real"):
        assert (result[row]["sync_distance"], result[row]["sync_confidence"]) == (0.0, 0.0)


def test_spread_and_clips_hold_values_of_parts(result):
    stretches = result["audio_driven_stretches"]
    assert stretches == {}, "36 frames make no two stretches"
    row = result["clips"]["synthetic"]
    assert row["frames"] == 36 and row["psnr_full"] == pytest.approx(result["self_driven"]["full"]["psnr"])
    assert row["lmd_ratio"] == pytest.approx(result["audio_driven"]["lmd_ratio"], rel=0.3)


def test_the_film_is_an_mp4_with_four_panels_and_sound(result, tmp_path):
    assert result.film is not None and result.film_panels == 4
    path = tmp_path / "film.mp4"
    path.write_bytes(result.film)
    images = list(read_video(path))
    assert len(images) == 36 and images[0].shape == (64, 256, 3)
    assert len(read_audio(path).samples) == 36 * 640 and read_audio(path).samples.std() > 0.01
    truth, driven = images[10][:, :64].astype(int), images[10][:, 64:128].astype(int)
    assert np.median(driven - truth) == pytest.approx(OFF_BY, abs=2)
    assert np.median(images[10][:, 128:192]) == pytest.approx(DIFFERENCE_GAIN * OFF_BY, abs=4)


def test_a_film_ends_after_its_time_and_shrinks_large_panels():
    film = PreviewVideo(2.0)
    image = np.zeros((400, 800, 3), np.uint8)
    for _ in range(50):
        film.add([image, image], np.zeros(8000, np.float32))
    assert film.full and film._writer.n_frames == MOST_S * 2 and film._writer.size == (576, 144)
    assert film.finish()
    assert PreviewVideo(25.0).finish() is None


def test_difference_is_absolute_and_clipped():
    a, b = np.full((2, 2, 3), 10, np.uint8), np.full((2, 2, 3), 30, np.uint8)
    assert (difference(a, b) == 80).all() and (difference(b, a) == 80).all()
    assert (difference(a, a + 200) == 255).all()


def test_stretches_are_of_two_seconds_or_more():
    from gtalk.eval.lips import spread
    from tests.support.toys import motion_of

    truth = motion_of(0.01 + 0.005 * np.sin(np.arange(230) / 3))
    made = motion_of(0.01 + 0.0025 * np.sin(np.arange(230) / 3))
    values = spread(made, truth, truth.landmarks.mean(0))
    assert {len(v) for v in values.values()} == {4}
    assert values["amplitude_ratio"] == pytest.approx([0.5] * 4, abs=0.01)
    assert spread(made[:99], truth[:99], truth.landmarks.mean(0)) == {}


def test_torch_is_left_as_it_was(result):
    assert not torch.is_inference_mode_enabled()

"""One image of the whole way, kept beside this file: what changes it changes everybody's dubs.

On the left an avatar of toys that hears speech (what the sound does to the motion, the defaults of every control), on
the right real Gaussians moved by a motion file (what is drawn). Where a change is meant:

    python -m tests.dub.test_golden      # then look at tests/dub/golden.png, and say in the commit why it changed
"""

import tempfile
from pathlib import Path

import cv2
import numpy as np

from gtalk.dub.config import DubConfig
from gtalk.dub.render import render_dub
from gtalk.media.audio import write_wav
from gtalk.talk import Character
from gtalk.talk.load import Identity
from gtalk.types import AudioTrack
from tests.avatar.small_gaussian import small_gaussian
from tests.support.toys import speech_like, toy_character

GOLDEN = Path(__file__).with_name("golden.png")
SIZE = 64
FRAME = 14


def dubbed(character: Character, source: Path, folder: Path) -> np.ndarray:
    """[64, 64, 3] one frame of a dub with all options at their defaults, as written without loss."""
    render_dub(character, source, folder, DubConfig(height=SIZE))
    paths = sorted(folder.glob("*.png"))
    assert len(paths) > FRAME
    image = cv2.imread(str(paths[FRAME]), cv2.IMREAD_COLOR)
    assert image is not None and image.shape == (SIZE, SIZE, 3)
    return image


def end_to_end(folder: Path) -> np.ndarray:
    """[64, 128, 3] both images, BGR."""
    write_wav(folder / "speech.wav", AudioTrack(speech_like(1.0), 16_000))
    avatar, motion = small_gaussian()
    motion[np.arange(FRAME + 2) % len(motion)].save(folder / "act.motion.npz")
    drawn = Character(avatar, None, Identity.of("0123456789abcdef" * 4, "nobody", "random numbers"))
    heard = dubbed(toy_character(SIZE), folder / "speech.wav", folder / "heard")
    return np.concatenate([heard, dubbed(drawn, folder / "act.motion.npz", folder / "drawn")], axis=1)


def test_a_dub_looks_as_it_did(tmp_path: Path) -> None:
    golden, image = cv2.imread(str(GOLDEN)), end_to_end(tmp_path)
    assert golden is not None
    error = np.abs(image.astype(float) - golden)
    assert golden[:, :SIZE].std() > 20 and golden[:, SIZE:].std() > 20
    assert error.mean() < 0.5 and np.percentile(error, 99) <= 6, "see the docstring if this is meant"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        cv2.imwrite(str(GOLDEN), end_to_end(Path(folder)))

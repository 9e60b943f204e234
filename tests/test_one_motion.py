"""Live, a dub and `motion edit` give the same motion, and the same images, from the same sound."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from gtalk.basis import MOUTH_GROUP
from gtalk.dub import DubConfig
from gtalk.dub.render import render_dub
from gtalk.media.audio import stream_audio, write_wav
from gtalk.motion.edits.controls import Controls
from gtalk.motion.produce import drive, edit_motion
from gtalk.talk import Character, load_character
from gtalk.types import AudioTrack, Motion
from gtalk.viewer.audio.sources import FileSource
from gtalk.viewer.live.session import LiveSession
from tests.speech.voices import babble
from tests.viewer.live_servers import Clock, run

TURNED = Controls(
    mouth=1.3, expression=1.5, pose=0.7, blink_rate=0.5, gaze_offset_rad=(0.1, -0.05), pose_offset_rad=(0.0, 0.1, 0.0),
    smoothing_s=0.08, lle=0.6,
)  # fmt: skip
FIELDS = ("landmarks", "eyes", "gaze", "brows", "head_pose")


@pytest.fixture(scope="module")
def character(small_person) -> Character:
    """A person who opens the lips half a second before speaking, where there is time to see it come."""
    loaded = load_character(small_person)
    return replace(loaded, motion_model=replace(loaded.motion_model, lead_rows=46))


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "speech.wav"
    samples = np.concatenate([np.zeros(12_000, np.float32), babble(1.6, 2)[0].astype(np.float32)])
    write_wav(path, AudioTrack(samples, 16_000))
    return path


def dubbed(character: Character, sound: Path, folder: Path, config: DubConfig) -> tuple[list[np.ndarray], Motion]:
    """The images of a dub as it wrote them, without loss, and its motion file."""
    config = replace(config, save_motion=folder / "said.motion.npz")
    render_dub(character, sound, folder / "frames", config)
    images = [cv2.imread(str(path))[..., ::-1] for path in sorted((folder / "frames").glob("*.png"))]
    return images, Motion.load(folder / "said.motion.npz")


def lived(character: Character, sound: Path, controls: Controls, ticks: int) -> tuple[list[np.ndarray], Motion]:
    """What a live session shows of a sound file."""
    clock, seen = Clock(), []
    session = LiveSession(character.talker(lookahead="live", controls=controls, seed=3), controls=controls, clock=clock)
    session.on_moment = lambda moment, frame: seen.append((moment.motion, frame))
    session.play(FileSource(sound))
    run(session, clock, ticks)
    return [frame.rgb for _, frame in seen], Motion.concatenate([motion for motion, _ in seen])


@pytest.mark.parametrize("controls", [Controls(), TURNED], ids=["defaults", "controls"])
def test_live_dub_and_motion_edit_are_one(character: Character, sound: Path, tmp_path: Path, controls: Controls):
    config = DubConfig(seed=3, controls=controls, lookahead="live")
    images, said = dubbed(character, sound, tmp_path, config)
    model = character.motion_model.for_live()
    edited = edit_motion(Motion.concatenate(list(drive(model, stream_audio(sound), 3))), model, controls, 3)
    shown, live = lived(character, sound, controls, len(said))
    # A file tells when it ends; a conversation hears silence instead, and shows a frame when its look-ahead is over.
    certain = len(said) - int(np.ceil(model.lookahead_s * 25))
    assert len(shown) == len(live) >= certain > 40
    for name in FIELDS:
        np.testing.assert_allclose(getattr(edited, name), getattr(said, name), atol=1e-6, err_msg=name)
        ours, theirs = getattr(live, name)[:certain], getattr(said, name)[:certain]
        np.testing.assert_allclose(ours, theirs, atol=1e-6, err_msg=name)
    for ours, theirs in zip(shown[:certain], images[:certain], strict=True):
        assert np.abs(ours.astype(int) - theirs).max() <= 1  # sums in another order: half an 8-bit step
    assert (said.landmarks != edit_motion(said, model, Controls(mouth=0.5)).landmarks).any()


def test_all_that_a_file_knows_more_is_when_the_lips_open(character: Character, sound: Path, tmp_path: Path):
    (tmp_path / "file").mkdir(), (tmp_path / "live").mkdir()
    _, ahead = dubbed(character, sound, tmp_path / "file", DubConfig(seed=3))
    _, soon = dubbed(character, sound, tmp_path / "live", DubConfig(seed=3, lookahead="live"))
    others = [i for i in range(17, 48) if i not in set(MOUTH_GROUP.tolist())]
    np.testing.assert_allclose(ahead.head_pose, soon.head_pose, atol=1e-6)
    np.testing.assert_allclose(ahead.gaze, soon.gaze, atol=1e-6)
    np.testing.assert_allclose(ahead.eyes, soon.eyes, atol=1e-6)
    apart = np.abs(ahead.landmarks - soon.landmarks).max((1, 2))
    first = 12_000 / 16_000 * 25  # the frame in which speech begins
    assert apart[: int(first - 12)].max() < 1e-6 < apart[int(first - 12) : int(first)].max()
    assert others

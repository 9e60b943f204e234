"""`gtalk motion drive | edit | track | pretrain`, as they are typed."""

from pathlib import Path

import numpy as np
import pytest

from gtalk import cli
from gtalk.media.audio import write_wav
from gtalk.motion.produce import drive
from gtalk.types import AudioTrack, Motion
from tests.speech.voices import babble

SECONDS = 2.0


def opening(motion: Motion) -> np.ndarray:
    """Distance between the inner lips, metres."""
    return motion.landmarks[:, 62, 1] - motion.landmarks[:, 66, 1]


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    write_wav(path, AudioTrack(babble(SECONDS, 3)[0]))
    return path


@pytest.fixture(scope="module")
def driven(talking, sound: Path) -> Path:
    """The motion file of that sound."""
    path = sound.with_name("a.motion.npz")
    assert cli.main(["motion", "drive", str(talking[1]), str(sound), "-o", str(path), "--seed", "4"]) == 0
    return path


def test_driven_motion_is_that_of_the_model(driven: Path, model, sound: Path) -> None:
    from gtalk.media.audio import read_audio

    motion = Motion.load(driven)
    wanted = Motion.concatenate(list(drive(model, [read_audio(sound).samples], 4)))
    assert len(motion) == len(wanted) == round(SECONDS * 25) and motion.fps == 25.0
    np.testing.assert_allclose(motion.landmarks, wanted.landmarks, atol=1e-6)
    np.testing.assert_allclose(motion.head_pose, wanted.head_pose, atol=1e-6)


def test_a_smaller_mouth_and_a_still_head(driven: Path, talking, tmp_path: Path, capsys) -> None:
    output = tmp_path / "b.motion.npz"
    options = ["--avatar", str(talking[1]), "--mouth", "0.5", "--pose", "0"]
    assert cli.main(["motion", "edit", str(driven), "-o", str(output), *options]) == 0
    before, after = Motion.load(driven), Motion.load(output)
    assert np.ptp(opening(after)) == pytest.approx(0.5 * np.ptp(opening(before)), rel=0.15)
    assert np.ptp(after.head_pose, axis=0).max() < 0.1 * np.ptp(before.head_pose, axis=0).max()
    assert str(output) in capsys.readouterr().out


def test_to_the_telephones_table_and_back(driven: Path, talking, tmp_path: Path) -> None:
    avatar, table = ["--avatar", str(talking[1])], tmp_path / "a.csv"
    assert cli.main(["motion", "edit", str(driven), "-o", str(table), *avatar]) == 0
    assert "JawOpen" in table.read_text().partition("\n")[0]
    assert cli.main(["motion", "edit", str(table), "-o", str(tmp_path / "b.motion.npz"), *avatar]) == 0
    before, after = opening(Motion.load(driven)), opening(Motion.load(tmp_path / "b.motion.npz"))
    assert np.corrcoef(before, after)[0, 1] > 0.9


@pytest.mark.parametrize("options", [["--mouth", "0.5"], ["--reenact"]])
def test_what_needs_a_face_asks_for_one(driven: Path, options: list[str], tmp_path: Path, capsys) -> None:
    assert cli.main(["motion", "edit", str(driven), "-o", str(tmp_path / "b.motion.npz"), *options]) == 2
    assert "--avatar" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_another_face_is_brought_to_the_avatars(driven: Path, talking, model, tmp_path: Path) -> None:
    other = Motion.load(driven)
    wide = other.replace(landmarks=other.landmarks * [1.3, 1.0, 1.0])
    wide.save(tmp_path / "other.motion.npz")
    command = ["motion", "edit", str(tmp_path / "other.motion.npz"), "-o", str(tmp_path / "own.motion.npz")]
    assert cli.main([*command, "--avatar", str(talking[1]), "--reenact"]) == 0
    brought = Motion.load(tmp_path / "own.motion.npz").landmarks.mean(0)
    own, theirs = np.asarray(model.basis.mean), wide.landmarks.mean(0)
    assert np.abs(brought - own).max() < 0.5 * np.abs(theirs - own).max()


def test_tracking_and_pretraining_hand_on_what_they_were_told(driven: Path, tmp_path: Path, monkeypatch) -> None:
    motion, seen = Motion.load(driven), []
    monkeypatch.setattr("gtalk.prepare.pipeline.track_motion", lambda video, bars: seen.append(video) or motion)
    assert cli.main(["motion", "track", "v.mp4", "-o", str(tmp_path / "v.motion.npz")]) == 0
    assert seen == [Path("v.mp4")] and len(Motion.load(tmp_path / "v.motion.npz")) == len(motion)

    monkeypatch.setattr("gtalk.motion.training.sequences.read_training_clip", lambda dataset: dataset.root.name)
    monkeypatch.setattr("gtalk.motion.training.training_data.gather", lambda clips, *others: clips)
    monkeypatch.setattr("gtalk.motion.training.pretrain.pretrain", lambda people, *others: (people, others[3]))
    monkeypatch.setattr("gtalk.motion.training.pretrain.save_base", lambda base, path: seen.append((base, path)))
    monkeypatch.setattr("gtalk.dataset.format.Dataset.__init__", lambda self, root: setattr(self, "root", Path(root)))
    assert cli.main(["motion", "pretrain", "ada", "bob", "-o", "base.safetensors", "--seed", "7"]) == 0
    assert seen[1] == (([["ada"], ["bob"]], 7), Path("base.safetensors"))

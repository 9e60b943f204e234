from pathlib import Path

import cv2
import numpy as np

from gtalk.media.audio import write_wav
from gtalk.media.output.writer import VideoWriter, WriteConfig
from gtalk.types import AUDIO_RATE, AudioTrack
from tests.speech.voices import babble
from tools.bench.scene import strips


def film(path: Path, seconds: int, sound: np.ndarray) -> Path:
    """Brighter every second."""
    with VideoWriter(path, (64, 48), 25.0, AUDIO_RATE, WriteConfig(), {}, 1) as writer:
        writer.write_audio(sound[: seconds * AUDIO_RATE])
        for i in range(25 * seconds):
            writer.write(np.full((48, 64, 3), 40 + 30 * (i // 25), np.uint8))
    return path


def test_a_conversation_is_shown_in_rows_of_five_seconds_with_a_bar_for_each_speaker(tmp_path, capsys) -> None:
    sound = babble(6.0, seed=1)[0]
    first, second = sound.copy(), sound.copy()
    first[3 * AUDIO_RATE :], second[: 3 * AUDIO_RATE] = 0, 0
    for name, voice in (("ann", first), ("bob", second)):
        (tmp_path / f"{name}.av").mkdir()
        write_wav(tmp_path / f"{name}.wav", AudioTrack(voice))
    (tmp_path / "talk.yaml").write_text(
        "version: 1\ncast:\n"
        "  - {name: Ann, avatar: ann.av, voice: ann.wav}\n  - {name: Bob, avatar: bob.av, voice: bob.wav}\n"
    )
    strips.talk(tmp_path / "talk.yaml", film(tmp_path / "talk.mp4", 6, sound), tmp_path / "out.png")
    assert str(tmp_path / "out.png") in capsys.readouterr().out
    image = cv2.imread(str(tmp_path / "out.png"))
    assert image is not None and image.shape[1] == 1600
    blue, red = (np.abs(image.astype(int) - colour).sum(2) < 30 for colour in ((172, 113, 36), (43, 57, 192)))
    rows = [np.flatnonzero(mask.any(1)) for mask in (red, blue)]
    assert rows[0].min() < 0.6 * len(image), "who speaks first is marked in the first row"
    assert blue[:, :800].sum() > 0 and rows[1].max() > 0.6 * len(image), "and the other goes on in the second"


def test_pictures_are_taken_in_the_middle_of_their_stretch(tmp_path) -> None:
    path = film(tmp_path / "a.mp4", 4, np.zeros(4 * AUDIO_RATE, np.float32))
    levels = [float(image.mean()) for image in strips._pictures(path, 1.0, 32, False)]
    assert np.allclose(levels, [40, 70, 100, 130], atol=4)

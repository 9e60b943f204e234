"""What of a clip's image and sound goes into a dataset."""

from pathlib import Path

import numpy as np
import pytest

from gtalk.media.video import read_video
from gtalk.prepare.ingest import ingest
from gtalk.prepare.ingest.ingest import choose_region, clip_sound
from tests.media.clips import Recipe, write_clip
from tests.support.bad_clips import Recipe as BadRecipe
from tests.support.bad_clips import Sound, demo_sound, faces, write

LARGE, SMALL = np.array([60.0, 40.0, 260.0, 280.0]), np.array([430.0, 100.0, 530.0, 220.0])


@pytest.mark.parametrize(("speaker", "followed"), [(SMALL + 6.0, SMALL), (LARGE - 6.0, LARGE), (None, LARGE)])
def test_the_image_is_framed_on_who_speaks(
    speaker: np.ndarray | None, followed: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = read_video(write_clip(tmp_path / "wide.mp4", Recipe(size=(640, 360), seconds=0.4, flash_s=9)))
    monkeypatch.setattr(ingest, "_boxes_in", lambda images, size: [[LARGE, SMALL] for _ in images])
    monkeypatch.setattr(ingest, "_speaker_box", lambda glance, sound: (speaker, ("2 people",)))
    (x, y, side, _), notes = choose_region(reader, 256, "auto")
    assert notes == ("2 people",)
    assert x < followed[0] and x + side > followed[2]
    assert y < followed[1] and y + side > followed[3]
    assert (x < LARGE[0]) == (followed is LARGE)


def test_nobody_is_listened_to_where_there_is_one_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(glance, sound) -> None:
        raise AssertionError("listened")

    reader = read_video(write_clip(tmp_path / "wide.mp4", Recipe(size=(640, 360), seconds=0.4, flash_s=9)))
    monkeypatch.setattr(ingest, "_speaker_box", refuse)
    seen = [[LARGE]] * 9 + [[SMALL, LARGE]] + [[]]
    monkeypatch.setattr(ingest, "_boxes_in", lambda images, size: seen)
    (x, _, side, _), notes = choose_region(reader, 256, "auto")
    assert x < LARGE[0] and x + side > LARGE[2] and notes == ()
    monkeypatch.setattr(ingest, "_boxes_in", lambda images, size: [[] for _ in images])
    assert choose_region(reader, 256, "auto") == ((0.0, 0.0, 640.0, 360.0), ())


@pytest.mark.parametrize("silent", [0, 1])
def test_a_silent_track_gives_way_to_one_with_sound(silent: int, tmp_path: Path) -> None:
    sounds = tuple(Sound("flac", 16_000, silent=i == silent, default=i == 0) for i in range(2))
    path = write(tmp_path, BadRecipe("a.mkv", faces(0, 45), sounds=sounds))
    reader = read_video(path)
    samples, facts = clip_sound(path, reader, len(reader))
    assert np.abs(samples - demo_sound()[: len(samples)]).max() < 2e-3
    assert facts["audio"]["tracks"] == 2
    assert facts["audio"]["used_instead"] == (1 if silent == 0 else None)

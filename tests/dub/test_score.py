"""Dubs that a score directs, with a small person."""

import json
from pathlib import Path

import numpy as np
import pytest

from gtalk.basis import mouth_aperture
from gtalk.direct.score import Event, Score
from gtalk.dub import DubConfig
from gtalk.dub.batch.jobs import read_jobs
from gtalk.dub.render import check_dub, plan_dub
from gtalk.errors import UserError
from gtalk.media.audio import write_wav
from gtalk.motion.edits.controls import Controls
from gtalk.progress import silent
from gtalk.rig.shapes import index
from gtalk.talk import load_character
from gtalk.types import AudioTrack, Motion
from tests.direct.directors.test_voice import CALM, EXCITED
from tests.support.toys import speech_like


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "a.wav"
    write_wav(path, AudioTrack(speech_like(2.4)))
    return path


def moved(person: Path, source: Path, **options) -> tuple[Motion, tuple[str, ...]]:
    """What a dub would draw, and what it has to say. (The small person has no rig that could draw an expression.)"""
    config = DubConfig(height=64, **options)
    check_dub(source, source.with_name("a.mp4"), config)
    plan = plan_dub(load_character(person), source, config, silent)
    return Motion.concatenate([moment.motion for moment in plan.moments]), plan.told


def test_a_dub_obeys_its_score_and_says_what_was_out_of_range(small_person, speech, tmp_path) -> None:
    events = (Event("emotion.smile", 0.8, 0.8, 1.4), Event("head.turn", 40.0, 0.5, 1.5), Event("key.open", 1.0, 1.2))
    Score(events).save(tmp_path / "x.score.yaml")
    plain, _ = moved(small_person, speech)
    motion, warnings = moved(small_person, speech, score=tmp_path / "x.score.yaml")
    smile = motion.channels["expression"][:, index("mouthSmileLeft")]
    assert smile[22:34].min() > 0.5 and smile[:4].max() == 0.0
    assert any("the clip shows" in line for line in warnings)
    assert mouth_aperture(motion.landmarks)[30] > mouth_aperture(plain.landmarks)[30] + 0.002
    motion.save(tmp_path / "again.motion.npz")
    short, _ = moved(small_person, tmp_path / "again.motion.npz", score=tmp_path / "x.score.yaml")
    assert short.channels["expression"][25, index("mouthSmileLeft")] > 0.5


def test_what_is_wrong_with_a_score_is_told_before_anything_is_drawn(small_person, speech, tmp_path) -> None:
    (tmp_path / "x.score.yaml").write_text("version: 1\nevents: [{track: emotion.happy, start: 3, end: 9}]")
    with pytest.raises(UserError, match=r"within the 2\.40 s"):
        moved(small_person, speech, score=tmp_path / "x.score.yaml")
    with pytest.raises(UserError, match="readable"):
        moved(small_person, speech, score=tmp_path / "none.score.yaml")
    line = {"avatar": str(small_person), "audio": str(speech), "output": "a.mp4", "score": "x.score.yaml"}
    (tmp_path / "jobs.jsonl").write_text(json.dumps(line))
    with pytest.raises(UserError, match=r"line 1: .*within the 2\.40 s"):
        read_jobs(tmp_path / "jobs.jsonl")
    (tmp_path / "x.score.yaml").write_text("version: 1\nevents: [{track: emotion.happy}]")
    key = read_jobs(tmp_path / "jobs.jsonl")[0].key
    (tmp_path / "x.score.yaml").write_text("version: 1\nevents: [{track: emotion.happy, value: 0.25}]")
    assert read_jobs(tmp_path / "jobs.jsonl")[0].key != key, "another score is another job"


def test_the_voice_directs_where_it_is_asked_to(small_person, tmp_path) -> None:
    write_wav(tmp_path / "a.wav", AudioTrack(np.concatenate([CALM, EXCITED])))
    motion, warnings = moved(small_person, tmp_path / "a.wav", controls=Controls(emotion="auto:0.5"))
    assert any("emotion.interested" in line for line in warnings)
    brows = motion.channels["expression"][:, index("browOuterUpLeft")]
    assert brows[:70].max() == 0.0 and brows[130:170].max() > 0.05
    with pytest.raises(UserError, match="a voice to hear"):
        motion.save(tmp_path / "x.motion.npz")
        moved(small_person, tmp_path / "x.motion.npz", controls=Controls(emotion="auto"))

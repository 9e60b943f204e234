"""Jobs files: every fault is found, with its line, before anything is rendered."""

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gtalk.dub.batch.jobs import by_avatar, read_jobs
from gtalk.dub.config import DubConfig
from gtalk.errors import UserError
from gtalk.media.audio import write_wav
from gtalk.motion.edits.controls import Controls
from gtalk.types import AudioTrack
from tests.support.toys import speech_like, write_toy_folder


@pytest.fixture
def folder(tmp_path) -> Path:
    write_toy_folder(tmp_path / "me")
    write_wav(tmp_path / "a.wav", AudioTrack(speech_like(0.2)))
    (tmp_path / "noise.wav").write_bytes(np.random.default_rng(0).bytes(4000))
    (tmp_path / "empty.wav").write_bytes(b"")
    for name, content in (("newer", '{"schema_version": 99}'), ("damaged", '{"schema')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "avatar.json").write_text(content)
    return tmp_path


def write(folder: Path, *lines: dict | str) -> Path:
    path = folder / "jobs.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


SAID = {"avatar": "me", "text": "Hello.", "output": "x.mp4"}
GOOD = {"avatar": "me", "audio": "a.wav", "output": "out/a.mp4"}


def test_a_good_file(folder):
    path = write(
        folder, "# a comment", GOOD, "", {**GOOD, "output": "b.mov", "background": "transparent", "fps": 30, "seed": 3}
    )
    first, second = read_jobs(path)
    assert (first.line, second.line) == (2, 4)
    assert first.source == folder / "a.wav" and first.output == folder / "out/a.mp4" and first.avatar == folder / "me"
    assert second.config.fps == 30.0 and second.config.seed == 3 and first.key != second.key


def test_a_text_is_a_job(folder):
    (folder / "speech.txt").write_text("[smile .6] Hello! [nod]")
    lines = ({"text": "Hello! [nod]", "voice": "de"}, {"text": "speech.txt", "output": "y.mp4"})
    line, file = read_jobs(write(folder, *({**SAID, **extra} for extra in lines)))
    assert line.source is None and line.lines is not None and line.lines.spoken == "Hello!" and line.voice == "de"
    assert file.lines is not None and [tag.text for tag in file.lines.tags] == ["smile .6", "nod"]
    (folder / "speech.txt").write_text("Something else.")
    assert read_jobs(folder / "jobs.jsonl")[1].key != file.key


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{nonsense", "line 2: not JSON"),
        ("[1, 2]", "line 2: expected an object in braces, got list"),
        ({**GOOD, "bakground": "red"}, "line 2: unknown key 'bakground', did you mean 'background'?"),
        ({**GOOD, "zzzz": 1}, "line 2: unknown key 'zzzz'; known"),
        ({"avatar": "me", "audio": "a.wav"}, "line 2: the key 'output' is missing"),
        ({"avatar": "me", "output": "x.mp4"}, "line 2: the key 'audio', 'text' or 'motion' is missing"),
        ({**GOOD, "output": "x.mp4", "text": "Hello."}, "line 2: 'text' or 'audio', got both"),
        ({**SAID, "text": 7}, "line 2: 'text' must be text, got 7"),
        ({**SAID, "text": "[smile]"}, "line 2: text: expected something to say"),
        ({**SAID, "text": "[flibber] Hello."}, r"line 2: tag \[flibber\]"),
        ({**SAID, "text": "gone.txt"}, "line 2: text gone.txt: expected a readable text file"),
        ({**SAID, "voice": 7}, "line 2: 'voice' must be str, got 7"),
        ({**SAID, "voice": "cmd:rm x"}, "line 2: 'voice' must be .* a jobs file starts no program"),
        ({**SAID, "voice": "gone.onnx"}, "line 2: voice: expected a Piper voice .* no file"),
        ({**GOOD, "output": "x.mp4", "voice": "de"}, "line 2: 'voice' is only for a 'text'"),
        ({**GOOD, "avatar": "you"}, "line 2: no avatar at"),
        ({**GOOD, "output": "x.mp4", "audio": "none.wav"}, "line 2: media file .*nothing there"),
        ({**GOOD, "output": "out/../out/a.mp4"}, "line 2: writes .* as line 1 does"),
        ({**GOOD, "output": "x.avi"}, "line 2: .*ending in"),
        ({**GOOD, "output": "x.mp4", "crf": "low"}, "line 2: 'crf' must be int, got 'low'"),
        ({**GOOD, "output": "x.mp4", "fps": "25"}, "line 2: 'fps' must be float or null"),
        ({**GOOD, "output": "x.mp4", "seed": True}, "line 2: 'seed' must be int, got True"),
        ({**GOOD, "output": "x.mp4", "codec": "mpeg1"}, "line 2: 'codec' must be one of auto, h264"),
        ({**GOOD, "output": 7}, "line 2: 'output' must be a path, got 7"),
        ({**GOOD, "output": "x.mp4", "audio": None}, "line 2: 'audio' must be a path"),
        ({**GOOD, "output": "a.wav/x.mp4"}, "line 2: output folder"),
        ({**GOOD, "output": "x.mp4", "audio": "noise.wav"}, "line 2: media file .*can be decoded"),
        ({**GOOD, "output": "x.mp4", "audio": "empty.wav"}, "line 2: media file .*0 bytes"),
        ({**GOOD, "output": "x.mp4", "avatar": "newer"}, "line 2: .*schema version 99, this gtalk reads"),
        ({**GOOD, "output": "x.mp4", "avatar": "damaged"}, "line 2: .*avatar.json is damaged"),
        ({**GOOD, "output": "x.mp4", "mouth": 5}, "line 2: mouth: expected a number from 0 to 2"),
    ],
)
def test_faults_are_told_with_their_line(folder, line, words):
    with pytest.raises(UserError, match=words) as caught:
        read_jobs(write(folder, GOOD, line))
    assert "nothing was rendered" in str(caught.value)


def test_a_folder_without_permission_is_told_before_anything_is_rendered(folder, monkeypatch):
    import os

    # The tests may run as a user whom no permission stops.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "closed")
    with pytest.raises(UserError, match=r"line 2: output folder .*closed: .*no permission to write"):
        read_jobs(write(folder, GOOD, {**GOOD, "output": "closed/x.mp4"}))


def test_all_faults_are_told_at_once(folder):
    with pytest.raises(UserError) as caught:
        read_jobs(write(folder, *(["{"] * 30), GOOD))
    assert "line 1:" in str(caught.value) and "line 5:" in str(caught.value) and "and 25 more" in str(caught.value)


def test_existing_output_is_a_fault_unless_an_earlier_run_began_it(folder):
    path = write(folder, {**GOOD, "output": "a.mp4"})
    key = read_jobs(path)[0].key
    (folder / "a.mp4").write_bytes(b"old")
    with pytest.raises(UserError, match=r"line 1: output .*overwrite"):
        read_jobs(path)
    assert read_jobs(path, frozenset([key]))[0].key == key
    assert len(read_jobs(write(folder, {**GOOD, "output": "a.mp4", "overwrite": True}))) == 1


def test_the_key_follows_what_the_output_depends_on(folder):
    path = write(folder, GOOD)
    keys = [read_jobs(path)[0].key]
    write_wav(folder / "a.wav", AudioTrack(speech_like(0.3)))
    keys.append(read_jobs(path)[0].key)
    write_toy_folder(folder / "me", size=32)
    keys.append(read_jobs(path)[0].key)
    keys.append(read_jobs(write(folder, {**GOOD, "seed": 1}))[0].key)
    assert len(set(keys)) == 4
    assert read_jobs(path)[0].key == keys[3]


def test_every_option_of_a_dub_can_be_said_in_a_line(folder):
    samples = {"crf": 20, "fps": 30, "height": 64, "background": "#102030", "onto_length": "retime", "seed": 2,
               "mouth": 1.2, "expression": 0.5, "pose": 0, "blink_rate": 0.5, "batch": 2, "label": "on",
               "overwrite": True, "lookahead": "live", "gaze_offset_rad": [0.1, 0], "pose_offset_rad": [0, 0, 0.1],
               "smoothing_s": 0.1, "lle": 0.5, "lle_neighbours": 8, "device": "cpu", "codec": "h265",
               "save_motion": "m.npz", "subtitles": "a.srt", "emotion": "happy:0.5",
               "hears": "b.wav", "hears_with": "own_ears", "listens": "c.wav", "sing": "auto", "encoder": "nvenc",
               "vocals": "a.wav", "lyrics": "a.lrc", "lyrics_in": "de",
               "accompanied": False, "emotion_from": "a.jpg"}  # fmt: skip
    (folder / "a.jpg").write_bytes(b"")
    (folder / "a.lrc").write_text("[00:00.10] hello")
    (folder / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    (job,) = read_jobs(write(folder, {**GOOD, **samples}))
    assert (
        job.config.controls.mouth == 1.2
        and job.config.controls.pose == 0.0
        and job.config.save_motion == folder / "m.npz"
        and job.config.hears == folder / "b.wav"
    )
    with pytest.raises(UserError, match=r"line 1: media file .*shot.mp4"):
        read_jobs(write(folder, {**GOOD, "onto": "shot.mp4"}))
    with pytest.raises(UserError, match=r"line 1: media file .*shot.mp4"):
        read_jobs(write(folder, {**GOOD, "camera_from": "shot.mp4"}))
    named = {*samples, "onto", "camera_from", "score", "style", "audio", "sign_cert", "sign_key"}
    options = {field.name for kind in (DubConfig, Controls) for field in dataclasses.fields(kind)}
    assert named == options - {"controls"}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"mouht": 1.2}, "unknown key 'mouht', did you mean 'mouth'"),
        ({"blink_rate": 1.5}, "blink_rate: expected a number from 0 to 1; got 1.5"),
        ({"mouth": math.nan}, "NaN"),
        ({"gaze_offset_rad": [0.1]}, "gaze_offset_rad: expected 2 values"),
        ({"lle_neighbours": 4.5}, "lle_neighbours: expected int; got 4.5"),
    ],
)
def test_controls_of_a_line_are_checked(folder, entry, told):
    with pytest.raises(UserError, match=re.escape(told)):
        read_jobs(write(folder, {**GOOD, **entry}))


def test_no_job_and_no_file(folder):
    with pytest.raises(UserError, match="no job"):
        read_jobs(write(folder, "", "# nothing"))
    with pytest.raises(UserError, match="readable"):
        read_jobs(folder / "none.jsonl")
    (folder / "bin.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="readable"):
        read_jobs(folder / "bin.jsonl")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=40),
        st.dictionaries(
            st.sampled_from([*GOOD, "crf", "fps", "codec", "motion", "x"]),
            st.one_of(
                st.none(),
                st.booleans(),
                st.integers(),
                st.floats(),
                st.text(max_size=8),
                st.lists(st.integers(), max_size=2),
            ),
            max_size=6,
        ).map(json.dumps),
    )
)
def test_strangers_files_end_in_a_user_error(folder, text):
    path = folder / "jobs.jsonl"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(UserError):
        read_jobs(path)


def test_jobs_of_one_avatar_stay_together(folder):
    write_toy_folder(folder / "you")
    lines = [{**GOOD, "avatar": who, "output": f"{i}.mp4"} for i, who in enumerate(["me", "you", "me", "you"])]
    assert [job.line for job in by_avatar(read_jobs(write(folder, *lines)))] == [1, 3, 2, 4]

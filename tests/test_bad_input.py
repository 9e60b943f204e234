"""What a user gets wrong about names: one message, with the nearest right one, and no traceback."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import gtalk
from gtalk import cli
from gtalk.config import load_preset
from gtalk.dub.batch.jobs import read_jobs
from gtalk.fit.gaussian.model import FitConfig
from gtalk.media.audio import write_wav
from gtalk.types import AudioTrack
from tests.support.toys import speech_like, write_toy_folder


def told(argv: list[str], capsys) -> str:
    """What the command line says to a wrong call, its boxes unwrapped."""
    try:
        status = cli.main(argv)
    except SystemExit as stop:
        status = stop.code
    shown = capsys.readouterr().err
    assert status == 2 and "Traceback" not in shown
    return " ".join(re.sub("[│╭╮╰╯─]", " ", shown).split())


def test_a_preset_that_does_not_exist():
    with pytest.raises(gtalk.UserError, match=r"preset for gaussian: expected one of: cpu, .*Did you mean `quality`"):
        load_preset(FitConfig, "gaussian", "qualty")


def test_wrong_words_from_python_where_nothing_checks_types(small_person, tmp_path: Path):
    """In a process of its own, since here every call is checked against its annotations."""
    (tmp_path / "me.mp4").write_bytes(b"x")
    (tmp_path / "calls.py").write_text(
        f"""
import gtalk, numpy as np
consent = gtalk.Consent("Ada", "I agree.")
for call in (
    lambda: next(gtalk.train("me.mp4", "me", consent=consent, preset="cpuu")),  # before anything slow
    lambda: next(gtalk.train("me.mp4", "me", consent=consent, renderer="gausian")),
    lambda: gtalk.load({str(small_person)!r}).predict(np.zeros(800, np.float32), lookahead="lief"),
):
    try:
        call()
    except gtalk.UserError as error:
        print(error)
"""
    )
    done = subprocess.run([sys.executable, "calls.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    preset, renderer, lookahead = done.stdout.splitlines()
    assert "preset for gaussian" in preset and "Did you mean `cpu`" in preset
    assert "renderer: expected one of" in renderer and "Did you mean `gaussian`" in renderer
    assert lookahead.startswith("lookahead: expected file or live; got lief.")
    assert not (tmp_path / "me" / "dataset").exists()


def test_a_device_that_is_not_there(capsys):
    assert "Expected one of ('auto', 'cpu', 'cuda')" in told(
        ["dub", "me", "a.wav", "-o", "b.mp4", "--device", "gpu"], capsys
    )
    if not torch.cuda.is_available():
        for command in (["dub", "me", "a.wav", "-o", "b.mp4"], ["eval", "me"], ["view", "me"]):
            message = told([*command, "--device", "cuda"], capsys)
            assert message.startswith("gtalk: ") and ("CUDA device that is there" in message or "avatar me" in message)


def test_an_avatar_of_an_older_version(small_person, tmp_path: Path, capsys):
    old = tmp_path / "old"
    old.mkdir()
    facts = json.loads((small_person / "avatar.json").read_text()) | {"schema_version": 1}
    (old / "avatar.json").write_text(json.dumps(facts))
    with pytest.raises(gtalk.UserError, match=r"expected schema_version 2; got 1. .*older gtalk: fit it again"):
        gtalk.load(old)
    write_wav(tmp_path / "a.wav", AudioTrack(speech_like(0.2), 16_000))
    message = told(["dub", str(old), str(tmp_path / "a.wav"), "-o", str(tmp_path / "b.mp4")], capsys)
    assert message.startswith("gtalk: avatar") and "fit it again" in message


def test_an_unknown_control_on_the_command_line(capsys):
    for command in (["dub", "me", "a.wav", "-o", "b.mp4"], ["view", "me"], ["motion", "edit", "a.npz", "-o", "b.npz"]):
        message = told([*command, "--mouht", "1.2"], capsys)
        assert "Unrecognized options: --mouht" in message and "Perhaps you meant: --mouth FLOAT" in message


def test_a_control_out_of_range_on_the_command_line(capsys):
    for command in (["dub", "me", "a.wav", "-o", "b.mp4"], ["view", "me"], ["motion", "edit", "a.npz", "-o", "b.npz"]):
        for value in ("2.5", "nan", "-1"):
            message = told([*command, "--mouth", value], capsys)
            assert message == f"gtalk: mouth: expected a number from 0 to 2; got {float(value)}. 1.0 changes nothing."


def test_an_unknown_control_in_a_batch(tmp_path: Path):
    write_toy_folder(tmp_path / "me")
    write_wav(tmp_path / "a.wav", AudioTrack(speech_like(0.2), 16_000))
    job = {"avatar": "me", "audio": "a.wav", "output": "a.mp4"}
    (tmp_path / "jobs.jsonl").write_text(json.dumps({**job, "smoothing": 0.1}))
    with pytest.raises(gtalk.UserError, match="line 1: unknown key 'smoothing', did you mean 'smoothing_s'"):
        read_jobs(tmp_path / "jobs.jsonl")

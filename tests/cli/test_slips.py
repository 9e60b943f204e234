"""What a newcomer mistypes is answered by what to type instead, and before anything slow begins."""

import wave
from pathlib import Path

import pytest

from tests.cli.test_cli import status_of


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    """A folder with a quarter of a second of sound in it and a text."""
    monkeypatch.chdir(tmp_path)
    with wave.open("speech.wav", "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(8000))
    Path("notes.txt").write_text("one\ntwo\nthree\nfour\nfive\nsix\nseven\n")
    return tmp_path


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["dubb", "me", "speech.wav"], "Did you mean `gtalk dub`?"),
        (["frobnicate"], "`gtalk --help`"),
        (["dub", "me", "Hello there", "-o", "x.mp4"], "`gtalk say AVATAR TEXT -o OUT`"),
        (["dub", "me", "none.wav", "-o", "x.mp4"], "none.wav: expected an existing file; got nothing there"),
        (["dub", "notes.txt", "speech.wav", "-o", "x.mp4"], "notes.txt: expected the folder that `gtalk train` made"),
        (["dub", "me", "speech.wav", "-o", "x.mp4", "--background", "blu"], "background 'blu': expected plate"),
        (["dub", "me", "speech.wav", "-o", "x.mp4", "--size", "4"], "height: expected 16 to 8192; got 4"),
        (["dub", "me", "speech.wav", "-o", "x.mp4", "--score", "x.yaml"], "got No such file or directory. Check"),
        (["scene", "x.yaml", "-o", "x.mp4"], "got No such file or directory."),
        (["batch", "notes.txt"], "and 2 more"),
    ],
)
def test_a_slip_is_answered_by_what_to_do(args: list[str], says: str, here: Path, capsys) -> None:
    assert status_of(*args) == 2
    told = capsys.readouterr().err
    assert says in told and "Error" not in told
    assert sorted(path.name for path in here.iterdir()) == ["notes.txt", "speech.wav"]

"""The public face: help that teaches, exit statuses, one clear message for what the user can mend."""

import pytest

from gtalk import cli
from gtalk.errors import UserError

COMMANDS = (
    "train", "prepare", "fit", "motion", "score", "style", "dub",
    "say", "batch", "scene", "view", "chat", "studio", "serve", "eval", "benchmark", "export", "mark", "assets",
)  # fmt: skip


def status_of(*args: str) -> int:
    try:
        return cli.main(list(args))
    except SystemExit as end:
        assert isinstance(end.code, int)
        return end.code


def test_help_names_every_command(capsys) -> None:
    assert status_of("--help") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str, capsys) -> None:
    assert status_of(command, "--help") == 0
    shown = capsys.readouterr().out
    assert f"gtalk {command}" in shown
    assert len(shown) > 300


def test_the_first_page_has_one_sentence_a_command_and_the_three_that_most_need(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert status_of("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 50 and sum("•" in line for line in lines) == len(COMMANDS)
    for example in ("gtalk train me.mp4 -o me --person", "gtalk dub me speech.wav -o dub.mp4", "gtalk view me"):
        assert any(line.startswith(example) for line in lines)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_page_can_be_read_in_one_go(command: str, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert status_of(command, "--help") == 0
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) < 140 and "{None}" not in shown and "STR]" not in shown
    assert "jerk" not in shown, "numbers of the solvers are no options"


def test_options_of_prepare_are_its_config_without_the_solvers_numbers() -> None:
    from gtalk.cli.training import PrepareOptions
    from gtalk.config import to_mapping
    from gtalk.prepare.pipeline import PrepareConfig

    assert to_mapping(PrepareOptions()) == to_mapping(PrepareConfig())
    assert PrepareOptions(size=256).size == 256


@pytest.mark.parametrize("command", ["train", "track", "drive"])
def test_motion_has_its_own_commands(command: str, capsys) -> None:
    assert status_of("motion", command, "--help") == 0
    assert "gtalk motion" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["train", "nowhere.mp4", "-o", "out", "--person", "a", "--consent", "b"], "nowhere.mp4"),
        (["train", "nowhere.mp4", "-o", "out"], "nowhere.mp4"),
        (["dub", "nowhere", "speech.wav", "-o", "x.mp4"], "speech.wav"),
        (["eval", "nowhere"], "nowhere"),
        (["view", "nowhere"], "nowhere"),
        (["fit", "nowhere", "-o", "x", "--person", "a", "--consent", "I agree."], "nowhere"),
        (["batch", "nowhere.jsonl"], "nowhere.jsonl"),
        (["motion", "drive", "nowhere", "a.wav", "-o", "x.npz"], "nowhere"),
        (["assets", "get", "face_landmaker.task"], "face_landmaker.task"),
    ],
)
def test_what_is_missing_is_named_with_status_2(args: list[str], says: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert status_of(*args) == 2
    message = capsys.readouterr().err
    assert says in message
    assert "Traceback" not in message
    assert not list(tmp_path.iterdir()), "something half-written was left"


def test_a_wrong_flag_is_status_2(capsys) -> None:
    assert status_of("dub", "me", "a.wav", "-o", "x.mp4", "--qualty", "3") == 2
    assert "--qualty" in capsys.readouterr().err


def test_consent_is_asked_for() -> None:
    from gtalk.cli.training import require_consent

    with pytest.raises(UserError, match="whose likeness"):
        require_consent("", "")
    with pytest.raises(UserError, match="only one of them"):
        require_consent("Ada", " ")
    assert require_consent(" Ada ", "I agree.").person == "Ada"


def test_assets_are_listed(capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("GTALK_ASSETS", raising=False)
    assert status_of("assets") == 0
    shown = capsys.readouterr().out
    assert "face_landmarker.task" in shown
    assert "Apache-2.0" in shown
    assert "not present" in shown

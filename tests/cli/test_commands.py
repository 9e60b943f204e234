"""Commands hand what they were told to the parts that do it; the parts are stand-ins here."""

import base64
import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from gtalk import cli
from gtalk.errors import UserError
from gtalk.fit.events import PreviewEvent, RollbackEvent, StepEvent
from gtalk.motion.training.sequences import read_training_clip
from gtalk.progress import Progress
from tests.support.synthetic_dataset import make_synthetic_dataset

CONSENT = ["--person", "Ada", "--consent", "I agree."]


@pytest.fixture
def calls(monkeypatch) -> list[tuple]:
    """What the stand-ins were called with, in order."""
    seen: list[tuple] = []

    def prepare(clips, output, config, bars, stage=None):
        output.mkdir(parents=True)
        seen.append(("prepare", clips, output, config, stage))
        bars(Progress("media", 3, 3))

    def fit(dataset, output, kind, config, consent, resume=True, take=None):
        seen.append(("fit", dataset, output, kind, consent, resume))
        yield StepEvent(1, 2, 0.5, 20.0, 0.1, {})
        yield PreviewEvent(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8), 1)
        yield RollbackEvent(2, 1, "loss is nan")

    def train_motion(datasets, output, config=None, on_progress=None, init=None, device="auto", take=None):
        seen.append(("motion", datasets, output, init))

    monkeypatch.setattr("gtalk.prepare.pipeline.prepare", prepare)
    monkeypatch.setattr("gtalk.fit.sizes.sized_for", lambda config, folder, size=None: (config, "as they are"))
    monkeypatch.setattr("gtalk.fit.run.fit", fit)
    monkeypatch.setattr("gtalk.fit.run.is_fitted", lambda *arguments: False)
    monkeypatch.setattr("gtalk.motion.training.train.train_motion", train_motion)
    monkeypatch.setattr("gtalk.motion.training.train.check_dataset", lambda folder: None)
    monkeypatch.setattr("gtalk.making.beside.is_worthwhile", lambda device: False)
    return seen


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "me.mp4").write_bytes(b"x")
    return tmp_path / "me.mp4"


def test_train_prepares_fits_and_learns_to_speak(calls, clip, tmp_path: Path, capsys) -> None:
    me = tmp_path / "me"
    assert cli.main(["train", str(clip), "-o", str(me), *CONSENT, "--renderer", "radiance", "--size", "256"]) == 0
    assert [call[0] for call in calls] == ["prepare", "fit", "motion"]
    assert calls[0][1:3] == ([clip], me / "dataset") and calls[0][3].size == 256
    assert calls[1][1:4] == (me / "dataset", me, "radiance") and calls[1][4].person == "Ada" and calls[1][5]
    assert calls[2][1:] == ([me / "dataset"], me, None)
    said = capsys.readouterr().err
    assert "media: 3 done" in said and "loss is nan at step 2, went back to step 1" in said and "gtalk view" in said
    assert not list(tmp_path.rglob("*.lock"))


def test_train_keeps_a_fit_that_is_done(calls, clip, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("gtalk.fit.run.is_fitted", lambda dataset, output, kind, *others: kind == "radiance")
    command = ["train", str(clip), "-o", str(tmp_path / "me"), *CONSENT, "--dataset"]
    assert cli.main([*command, str(tmp_path / "a"), "--renderer", "radiance"]) == 0
    assert [call[0] for call in calls] == ["prepare", "motion"] and "done before" in capsys.readouterr().err
    assert cli.main([*command, str(tmp_path / "b"), "--renderer", "gaussian"]) == 0
    assert [call[0] for call in calls[2:]] == ["prepare", "fit", "motion"]


def test_too_short_a_clip_is_told_before_the_fit(calls, clip, tmp_path: Path, monkeypatch, capsys) -> None:
    dataset = make_synthetic_dataset(tmp_path / "ds", n_frames=20, size=32)
    monkeypatch.setattr("gtalk.motion.training.train.check_dataset", lambda folder: read_training_clip(dataset))
    assert cli.main(["train", str(clip), "-o", str(tmp_path / "me"), *CONSENT]) == 2
    assert [call[0] for call in calls] == ["prepare"]
    assert "Use a longer clip" in capsys.readouterr().err


def test_train_shows_the_fit_to_who_wants_to_see_it(calls, clip, tmp_path: Path, monkeypatch) -> None:
    view = SimpleNamespace(url="http://here", shown=[])
    view.step = lambda *values: view.shown.append(values)
    view.preview = lambda truth, render: view.shown.append((truth.shape, render.shape))
    monkeypatch.setattr("gtalk.viewer.gui.training.TrainingView", lambda **_: view)
    assert cli.main(["train", str(clip), "-o", str(tmp_path / "me"), *CONSENT, "--view"]) == 0
    assert view.shown == [(1, 2, 0.5, 20.0), ((4, 4, 3), (4, 4, 3))]


def test_a_program_is_told_events_on_stdout(calls, clip, tmp_path: Path, capsys) -> None:
    me = tmp_path / "me"
    assert cli.main(["--events", "train", str(clip), "-o", str(me), *CONSENT]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told[0] == {"event": "progress", "stage": "media", "done": 3, "total": 3, "note": ""}
    [picture] = [event for event in told if event["event"] == "picture"]
    shown = cv2.imdecode(np.frombuffer(base64.b64decode(picture["jpeg"]), np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (4, 8, 3) and picture["step"] == 1
    assert any(event["event"] == "say" and "gtalk view" in event["text"] for event in told)
    assert cli.main(["--events", "train", str(clip), "-o", str(me), "--person", "Ada"]) == 2
    error = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert error["event"] == "error" and error["remedy"].startswith("For example")
    assert cli.main(["train", str(clip), "-o", str(tmp_path / "other"), *CONSENT]) == 0
    assert capsys.readouterr().out == "", "the next command is one for people again"


def test_prepare_and_motion_train_pass_their_options_on(calls, clip, tmp_path: Path) -> None:
    assert cli.main(["prepare", str(clip), "-o", str(tmp_path / "ds"), "--stage", "masks", "--framing", "full"]) == 0
    assert calls[0][4] == "masks" and calls[0][3].framing == "full"
    assert cli.main(["motion", "train", "a", "b", "-o", str(tmp_path / "me"), "--init", "base.safetensors"]) == 0
    assert calls[1][1:] == ([Path("a"), Path("b")], tmp_path / "me", Path("base.safetensors"))


def test_fit_wants_a_whole_dataset(calls, tmp_path: Path, monkeypatch, capsys) -> None:
    make_synthetic_dataset(tmp_path / "ds", n_frames=4, size=32)
    command = ["fit", str(tmp_path / "ds"), "-o", str(tmp_path / "me"), *CONSENT, "--restart"]
    assert cli.main(command) == 2 and not calls
    assert "is not done" in capsys.readouterr().err
    monkeypatch.setattr("gtalk.dataset.validate.validate", lambda folder, deep: None)
    assert cli.main(command) == 0
    assert calls[0][3] == "gaussian" and calls[0][5] is False


def test_dub_and_batch_tell_what_came_of_it(tmp_path: Path, monkeypatch, capsys) -> None:
    result = SimpleNamespace(warnings=["quiet"], duration_s=2.0, speed=1.5, wall_s=1.3, motion_s=0.2, draw_s=0.9)
    result.encode_s = 0.8
    monkeypatch.setattr("gtalk.dub.dub", lambda *arguments: result, raising=False)
    assert cli.main(["dub", "me", "a.wav", "-o", str(tmp_path / "a.mp4")]) == 0
    said = capsys.readouterr().err
    assert "warning: quiet" in said and "1.50x real time" in said
    done = SimpleNamespace(n_failed=1, table=lambda: "one failed", to_json=lambda: {"failed": 1})
    monkeypatch.setattr("gtalk.dub.run_batch", lambda *arguments, **options: done, raising=False)
    assert cli.main(["batch", "jobs.jsonl", "--json", str(tmp_path / "out.json")]) == 2
    said = capsys.readouterr()
    assert "one failed" in said.out and "1 failed" in said.err and (tmp_path / "out.json").is_file()


def test_eval_writes_numbers_and_a_report(tmp_path: Path, monkeypatch, capsys) -> None:
    seen = []
    monkeypatch.setattr("gtalk.eval.run.evaluate", lambda *arguments: seen.append(arguments) or {"a": 1})
    monkeypatch.setattr("gtalk.eval.report.table", lambda result: "the table")
    monkeypatch.setattr("gtalk.eval.report.write_html", lambda path, result: path.write_text("page"))
    outputs = ["--json", str(tmp_path / "a.json"), "--html", str(tmp_path / "a.html")]
    assert cli.main(["eval", "me", *outputs, "--max-frames", "5"]) == 0
    assert seen[0][:2] == (Path("me"), Path("me/dataset")) and seen[0][2].max_frames == 5
    assert "the table" in capsys.readouterr().out and (tmp_path / "a.html").read_text() == "page"


def test_assets_are_added_and_fetched(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("gtalk.reading.assets.add_asset", lambda path: path / "added")
    monkeypatch.setattr("gtalk.reading.assets.get_asset", lambda name, bars: name + " fetched")
    assert cli.main(["assets", "add", "x.task"]) == 0 and cli.main(["assets", "get", "y.task"]) == 0
    assert cli.main(["assets", "get"]) == 2
    said = capsys.readouterr()
    assert "x.task/added" in said.out and "y.task fetched" in said.out and "a file's name" in said.err


def test_ctrl_c_ends_with_130_and_words(monkeypatch, capsys) -> None:
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("gtalk.eval.run.evaluate", stop)
    assert cli.main(["eval", "me"]) == 130
    assert "finished work is kept" in capsys.readouterr().err


def test_bars_draw_on_a_terminal(monkeypatch) -> None:
    from gtalk.cli import bars as module

    with module.Bars() as bars:
        monkeypatch.setattr(type(bars._console), "is_terminal", property(lambda self: True))
        for done in (0, 1, 2):
            bars(Progress("fit", done, 2, "loss 0.1"))
        assert [task.completed for task in bars._rich.tasks] == [2]


def test_no_clip_and_no_consent_are_refused() -> None:
    from gtalk.making.train import require_clips

    with pytest.raises(UserError, match="at least one video"):
        require_clips(())

"""One worker, without a batch around it."""

import json
from pathlib import Path

import pytest

from gtalk.dub.batch import worker
from gtalk.dub.batch.jobs import read_jobs
from gtalk.dub.batch.scheduler import Scheduler
from gtalk.errors import UserError
from gtalk.voice.utterance import Utterance, words_by_length
from tests.support.toys import load_toy_character, speech_like, write_toy_folder


class Told:
    """A voice of 0.4 s that knows one word too few."""

    def say(self, text: str) -> Utterance:
        if "unspeakable" in text:
            raise UserError("voice", expected="a word", got="another", remedy="Say it otherwise.")
        samples = speech_like(0.4)
        return Utterance(text, samples, words_by_length(text, samples))


def test_texts_are_said_and_one_that_fails_stops_no_other(tmp_path: Path, monkeypatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(worker, "open_voice", lambda name, pace: opened.append(name) or Told())
    write_toy_folder(tmp_path / "me", 32)
    lines = [
        {"avatar": "me", "text": text, "voice": "de", "output": f"out/{i}"}
        for i, text in enumerate(["Hello!", "An unspeakable word.", "Goodbye."])
    ]
    (tmp_path / "jobs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    agenda, one = Scheduler(read_jobs(tmp_path / "jobs.jsonl"), split_s=0.01), worker.Worker(load_toy_character)
    results = [one.do(agenda.next(), lambda _progress: None) for _ in range(len(agenda))]
    assert [state for state, _ in results] == ["done", "failed", "done"]
    assert results[0][1]["n_frames"] == 10 and len(list((tmp_path / "out/0").glob("*.png"))) == 10
    assert "Say it otherwise" in results[1][1]["error"] and not (tmp_path / "out/1").exists()
    assert opened == ["de"], "a voice is opened once"


@pytest.mark.parametrize("key", ["text", "voice"])
def test_another_text_or_voice_is_another_job(tmp_path: Path, key: str) -> None:
    write_toy_folder(tmp_path / "me", 32)
    line = {"avatar": "me", "text": "Hello.", "voice": "de", "output": "a.mp4"}
    keys = set()
    for value in (line[key], "it"):
        (tmp_path / "jobs.jsonl").write_text(json.dumps({**line, key: value}))
        keys.add(read_jobs(tmp_path / "jobs.jsonl")[0].key)
    assert len(keys) == 2

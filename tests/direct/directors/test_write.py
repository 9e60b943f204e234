from pathlib import Path

import numpy as np
import pytest

from demo_person.speaking.speech import SENTENCES
from gtalk import cli
from gtalk.direct.directors.write import Wish, write_score
from gtalk.direct.score import Score
from gtalk.errors import UserError
from gtalk.media.audio import read_audio, write_wav
from gtalk.speech.align import align_words
from gtalk.speech.words import Word, Words
from gtalk.types import AudioTrack

pytest.importorskip("pocketsphinx")
DEMO = Path(__file__).parents[3] / "data" / "demo"
TEXT = " ".join(text for _, text in SENTENCES[:2])
SECONDS = 10.8


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return read_audio(DEMO / "clip.mp4").samples[: int(16_000 * SECONDS)]


def test_words_are_found_in_order_and_where_there_is_sound(samples) -> None:
    words = align_words(samples, TEXT)
    assert [word.text for word in words] == TEXT.split()
    assert all(0 <= word.start_s < word.end_s <= SECONDS for word in words)
    level = [np.sqrt(np.mean(samples[int(16_000 * w.start_s) : int(16_000 * w.end_s)] ** 2)) for w in words]
    assert np.median(level) > np.sqrt(np.mean(samples**2)) * 0.5


def test_words_that_do_not_fit_are_refused_with_how_badly(samples) -> None:
    other = "purple mountains sleep beneath a thousand yellow clouds"
    with pytest.raises(UserError, match=r"others, as it seems"):
        align_words(samples, other)


def test_instruction_and_tags_become_one_score(samples) -> None:
    first, *_, last = TEXT.split()
    text = TEXT.replace(last, f"[smile .5] {last}")
    written = write_score(samples, Wish(say=f"nod at '{first.strip('.,')}', frobnicate a smile", text=text))
    assert {event.by for event in written.score.events} == {"tag", "say"}
    assert {event.track for event in written.score.events} == {"head.nod", "emotion.smile"}
    assert "frobnicate" in written.notes[0]
    assert Score.parse(written.score.text()).words.text == TEXT


def test_words_of_another_recording_are_refused(samples) -> None:
    with pytest.raises(UserError, match=r"within the 10\.80 s"):
        write_score(samples, Wish(say="smile", words=Words((Word("a", 18.0, 19.0),))))
    with pytest.raises(UserError, match="the 1 words"):
        write_score(samples, Wish(text="[nod] two words", words=Words((Word("a", 1.0, 2.0),))))


def test_the_command_writes_a_file_or_nothing(samples, small_person, tmp_path, capsys) -> None:
    write_wav(tmp_path / "a.wav", AudioTrack(samples))
    out = tmp_path / "x.score.yaml"
    command = ["score", str(small_person), str(tmp_path / "a.wav"), "-o", str(out)]
    assert cli.main([*command, "--say", "smle"]) == 2 and not out.exists()
    assert "Did you mean smile" in capsys.readouterr().err
    assert cli.main([*command, "--say", "smile, turn far to the left"]) == 0
    said = capsys.readouterr()
    assert "2 events" in said.out and "the clip shows" in said.err
    assert len(Score.load(out).events) == 2
    assert cli.main([*command, "--say", "smile"]) == 2 and "exists" in capsys.readouterr().err
    command[-1] = str(tmp_path / "y.score.yaml")
    for wrong, says in ((["--llm", "http://x", "--say", "a"], "both or neither"), ([], "neither --say")):
        assert cli.main([*command, *wrong]) == 2 and says in capsys.readouterr().err

import numpy as np
import pytest

from gtalk.dub.lyrics import phones_of, read_lyrics
from gtalk.errors import UserError
from gtalk.hearing.notes import Note
from gtalk.speech.known_phones import KnownPhones


def pronounce(word: str) -> KnownPhones:
    """A letter a phone, of 80 ms: vowels themselves, everything else t."""
    letters = [c if c in "uoaei" else "t" for c in word.lower() if c.isalpha()]
    starts = np.arange(len(letters)) * 0.08
    return KnownPhones(tuple(letters), tuple(starts.tolist()), tuple((starts + 0.08).tolist()))


def written(tmp_path, text: str, name: str = "a.lrc"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_lines_of_lrc_last_until_the_next_and_may_come_twice(tmp_path) -> None:
    lines = read_lyrics(written(tmp_path, "[ti:Song]\n[00:01.50] la la\n[00:04.00][01:00.25] do re\n[00:06.00]\n"))
    assert [(line.text, line.start_s, line.end_s) for line in lines] == [
        ("la la", 1.5, 4.0), ("do re", 4.0, 6.0), ("do re", 60.25, 75.25),
    ]  # fmt: skip


def test_words_with_times_and_subrip(tmp_path) -> None:
    (line,) = read_lyrics(written(tmp_path, "[00:01.00] <00:01.00> I <00:01.50> walk <00:02.50>"))
    assert [(w.text, w.start_s, w.end_s) for w in line.words] == [("I", 1.0, 1.5), ("walk", 1.5, 2.5)]
    text = "1\n00:00:02,000 --> 00:00:04,500\nla\nla\n\n2\n00:01:00,000 --> 00:01:02,000\ndo\n"
    lines = read_lyrics(written(tmp_path, text, "a.srt"))
    assert [(line.text, line.start_s, line.end_s) for line in lines] == [("la la", 2.0, 4.5), ("do", 60.0, 62.0)]


def test_vowels_are_held_and_consonants_keep_their_length(tmp_path) -> None:
    lines = read_lyrics(written(tmp_path, "[00:01.00] <00:01.00> tat <00:03.00>"))
    known = phones_of(lines, (), pronounce)
    assert known.visemes == ("t", "a", "t")
    assert known.starts_s == pytest.approx((1.0, 1.08, 2.92)) and known.ends_s[-1] == pytest.approx(3.0)


def test_words_without_times_lie_on_what_is_sung_by_their_vowels(tmp_path) -> None:
    lines = read_lyrics(written(tmp_path, "[00:10.00] ta taoa\n[00:20.00] ta"))
    notes = [Note(5.0, 6.0, 60.0), Note(12.0, 13.0, 60.0), Note(15.0, 18.0, 62.0)]
    known = phones_of(lines, notes, pronounce)
    words = [t for t, v in zip(known.starts_s, known.visemes, strict=True) if v == "t"]
    assert words[:2] == pytest.approx([12.0, 15.0]), "one vowel of four on the first second, three on the rest"
    assert pytest.approx(known.ends_s[5]) == 18.0 and 20.0 <= known.starts_s[6] < known.ends_s[-1] < 21.0


def test_lyrics_without_times_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="lines with times"):
        read_lyrics(written(tmp_path, "la la la"))
    with pytest.raises(UserError, match="lyrics"):
        read_lyrics(tmp_path / "gone.lrc")

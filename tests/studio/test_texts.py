"""The page's languages say the same things, and each script has every phone of its language, as espeak-ng says them."""

import json
import re
from importlib import resources

import pytest

PAGE = resources.files("gtalk.studio") / "page"
LANGUAGES = ("en", "de")
PHONES = {
    "en": "p b t d k ɡ m n ŋ f v θ ð s z ʃ ʒ h tʃ dʒ l ɹ j w iː ɪ ɛ æ ɑː ɔː ʊ uː ʌ ɜː ɚ ə eɪ aɪ ɔɪ aʊ oʊ ɪɹ ɛɹ ɑːɹ ɔːɹ",
    "de": "p b t d k ɡ m n ŋ f v s z ʃ ʒ ç x h ts pf j l r iː ɪ yː ʏ eː ɛ ɛː øː œ ɑː a oː ɔ uː ʊ ə ɜ aɪ aʊ ɔø",
}
"""Phonemes of American English and of German, in espeak-ng's spelling."""


def texts(language: str) -> dict:
    return json.loads((PAGE / "texts" / f"{language}.json").read_text(encoding="utf-8"))


def paths(value: object, at: str = "") -> dict[str, set[str]]:
    """Path of every text -> the {names} in it."""
    if isinstance(value, dict):
        return {key: found for name, inner in value.items() for key, found in paths(inner, f"{at}.{name}").items()}
    return {at: set(re.findall(r"\{(\w+)\}", value)) if isinstance(value, str) else set()}


def test_both_languages_have_the_same_texts_with_the_same_names_in_them() -> None:
    assert paths(texts("en")) == paths(texts("de"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_script_has_every_phone_of_its_language(language: str) -> None:
    pytest.importorskip("espeakng_loader")
    from gtalk.voice.process import NativeSpeech

    engine = NativeSpeech("espeak")
    try:
        voice = {"en": "en-us", "de": "de"}[language]
        asked = {"text": " ".join(texts(language)["script"]), "voice": voice, "words_per_minute": 165, "most_s": 300.0}
        phones = {phone.strip("ˈˌ") for phone in engine.ask(asked)[0]["phones"]}
    finally:
        engine.close()
    assert not set(PHONES[language].split()) - phones


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_script_takes_three_minutes_in_all(language: str) -> None:
    script = texts(language)["script"]
    reading_s = sum(max(2.4, 0.06 * len(line) + 0.9) for line in script)  # page/prompter.js
    assert 70 < reading_s < 110 and max(map(len, script)) < 100
    assert 140 < reading_s + 25 + 2.5 * len(texts(language)["vowels"]) + 20 < 200


def test_every_text_that_the_page_asks_for_is_there() -> None:
    known = set(paths(texts("en")))
    asked = set()
    for path in PAGE.iterdir():
        if path.name.endswith(".js"):
            asked |= set(re.findall(r"\bt\('([\w.]+)'", path.read_text(encoding="utf-8")))
    assert len(asked) > 80
    assert not {name for name in asked if f".{name}" not in known}


def test_the_page_asks_nobody_else_and_is_small() -> None:
    files = [path for path in PAGE.iterdir() if path.is_file()]
    for path in files:
        words = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://", words), path.name
    bytes_ = sum(len(path.read_bytes()) for path in files) + len((PAGE / "texts" / "de.json").read_bytes())
    assert bytes_ < 300_000

"""Text -> phones of Kokoro's vocabulary, and what each phone does to lips.

Most languages go through espeak-ng (espeakng-loader), whose IPA is rewritten into the vocabulary's single letters;
Japanese and Chinese through tables of their regular spellings.
"""

from __future__ import annotations

import re

import numpy as np

from gtalk.speech.known_phones import VISEME_OF_IPA
from gtalk.speech.student import VISEMES
from tools.make.ears.espeak import ipa
from tools.make.ears.kokoro import LATE_S

_TIED = {
    "a^ɪ": "I", "a^ʊ": "W", "d^z": "ʣ", "d^ʒ": "ʤ", "e^ɪ": "A", "o^ʊ": "O", "ə^ʊ": "Q", "s^s": "S", "t^s": "ʦ",
    "t^ʃ": "ʧ", "ɔ^ɪ": "Y", "ə^l": "ᵊl", "ɔ^ø": "Y", "ʏ": "y",
}  # fmt: skip
_ENGLISH = {
    "ɜːɹ": "ɜɹ",
    "ɜː": "ɜɹ",
    "ɚ": "əɹ",
    "ː": "",
    "ɐ": "ə",
    "r": "ɹ",
    "x": "k",
    "ç": "k",
    "ʔ": "t",
    "ɾ": "T",
    "e": "A",
}
_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}
_INITIALS = {
    "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l",
    "g": "k", "k": "kʰ", "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "r": "ɻ", "z": "ʦ", "c": "ʦʰ", "s": "s",
}  # fmt: skip
_FINALS = {
    "a": "a", "ai": "ai", "an": "an", "ang": "aŋ", "ao": "au", "e": "ɤ", "ei": "ei", "en": "ən", "eng": "əŋ", "er": "ɚ",
    "i": "i", "ia": "ja", "ian": "jɛn", "iang": "jaŋ", "iao": "jau", "ie": "je", "in": "in", "ing": "iŋ",
    "iong": "jʊŋ", "iu": "jou", "o": "wo", "ong": "ʊŋ", "ou": "ou", "u": "u", "ua": "wa", "uai": "wai", "uan": "wan",
    "uang": "waŋ", "ui": "wei", "un": "wən", "uo": "wo", "ü": "y", "üe": "ɥe", "üan": "ɥɛn", "ün": "yn",
}  # fmt: skip
_ROMAJI = {
    "sh": "ɕ", "ch": "ʨ", "ts": "ʦ", "j": "ʥ", "f": "ɸ", "y": "j", "r": "ɾ", "w": "w", "u": "ɯ", "g": "ɡ", "z": "ʣ",
}  # fmt: skip

ARPABET = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "W", "ax": "ə", "axr": "ɚ", "ay": "I", "b": "b", "ch": "ʧ",
    "d": "d", "dh": "ð", "dx": "T", "eh": "ɛ", "er": "ɚ", "ey": "A", "f": "f", "g": "ɡ", "hh": "h", "hv": "h",
    "ih": "ɪ", "iy": "i", "jh": "ʤ", "k": "k", "l": "l", "m": "m", "n": "n", "ng": "ŋ", "ow": "O", "oy": "Y", "p": "p",
    "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ", "uh": "ʊ", "uw": "u", "v": "v", "w": "w", "y": "j", "z": "z",
    "zh": "ʒ", "pau": ".", "ssil": ".", "sil": ".",
}  # fmt: skip

_OF = {letter: (kind,) for letter, kind in (VISEME_OF_IPA | {"T": "t", "S": "t", "ꭧ": "sh"}).items()}
_OF |= {"I": ("a", "i"), "W": ("a", "u"), "A": ("e", "i"), "O": ("o", "u"), "Q": ("@", "u"), "Y": ("o", "i")}
_VOWELS = "".join(letter for letter, kinds in _OF.items() if kinds[0] in tuple("uoaei@") and letter not in "wɥʍɸβ")
_PAUSES = ".,!?;:…—"
LETTERS = {letter: number for number, letter in enumerate(["", *sorted(_OF), *_PAUSES])}
"""Numbers of the letters that sound."""
_BEFORE, _AFTER = "ˈˌ", "ː̃ʰʲ→↗↓↘"  # marks that belong to the next and to the last sound


def phones_of(text: str, language: str) -> str:
    """A sentence in the letters of Kokoro's vocabulary."""
    if language in ("ja", "zh"):
        spell = {"ja": _romaji, "zh": _pinyin}[language]
        return " ".join(spell(word.rstrip(".,")) + ("," if word.endswith(",") else "") for word in text.split()) + "."
    parts = re.split(r"([.,!?;:])", re.sub(r"[¿¡।]", lambda m: "." if m[0] == "।" else "", text))
    out = ""
    for part in parts:
        if part in (".", ",", "!", "?", ";", ":"):
            out += part
        elif part.strip():
            out += (" " if out else "") + _espeak(part.strip(), language)
    return out


def exchanged(phones: str, rng: np.random.Generator) -> str:
    """The words' first consonants change places, so that sounds meet more neighbours than any sentence brings."""
    words = phones.split(" ")
    heads = [re.match(f"[^{_VOWELS}{_BEFORE}]*", word).group() for word in words]  # type: ignore[union-attr]
    whole = [i for i, word in enumerate(words) if len(heads[i]) < len(word)]
    for i, j in zip(whole, rng.permutation(whole), strict=True):
        words[i] = heads[j] + words[i][len(heads[i]) :]
    return " ".join(words)


def timed(facts: dict) -> tuple[str, list[float], list[float]]:
    """Letters of a lesson's file and when each sounds."""
    late_s = 0.0 if facts["voice"].startswith(("espeak", "flite")) else LATE_S
    starts, ends = ([max(0.0, time - late_s) for time in facts[name]] for name in ("starts_s", "ends_s"))
    return facts["phones"], starts, ends


def visemes_of(phones: str, starts_s: list[float], ends_s: list[float]) -> list[tuple[str, float, float]]:
    """(viseme, start, end) of what was said; marks join their sound, diphthongs are halved, spaces give way."""
    out: list[list] = []
    waiting: float | None = None
    for letter, start, end in zip(phones, starts_s, ends_s, strict=True):
        if letter in _BEFORE:
            waiting = start if waiting is None else waiting
        elif letter in _AFTER:
            if out:
                out[-1][2] = end
        elif letter in _PAUSES:
            out.append(["rest", start, end])
        elif letter in _OF:
            kinds = _OF[letter]
            begin = start if waiting is None else waiting
            edges = [begin + (end - begin) * i / len(kinds) for i in range(len(kinds) + 1)]
            out += [[kind, a, b] for kind, a, b in zip(kinds, edges[:-1], edges[1:], strict=True)]
            waiting = None
        elif out:  # a space: half a breath at most, it belongs to its neighbours
            out[-1][2] = end
    unknown = {kind for kind, _, _ in out} - set(VISEMES)
    assert not unknown, unknown
    return [(kind, a, b) for kind, a, b in out if b > a]


def spread(names: list[str], starts_s: list[float], ends_s: list[float], language: str) -> tuple[str, list, list]:
    """espeak-ng's phones, one or more letters each, as letters with times of their own; "" is a pause."""
    letters, starts, ends = "", [], []
    for name, start, end in zip(names, starts_s, ends_s, strict=True):
        phone = letters_of(name, language) or "."
        count = sum(letter in _OF or letter in _PAUSES for letter in phone)
        number = 0
        for letter in phone:
            sounds = letter in _OF or letter in _PAUSES
            at = start + (end - start) * number / max(count, 1)
            number += sounds
            letters += letter
            starts.append(at)
            ends.append(start + (end - start) * number / max(count, 1))
    return letters, starts, ends


def _romaji(word: str) -> str:
    out, i = "", 0
    while i < len(word):
        two, letter, after = word[i : i + 2], word[i], word[i + 1 : i + 2]
        if (letter == after and letter in "kstpgdbcz") or two == "tc":
            out, i = out + "ʔ", i + 1
        elif two in ("sh", "ch", "ts"):
            out, i = out + _ROMAJI[two], i + 2
        elif letter == "n" and (not after or after not in "aeiouy"):
            out, i = out + {"b": "m", "p": "m", "m": "m", "k": "ŋ", "g": "ŋ", "": "ɴ"}.get(after, "n"), i + 1
        elif after == "y" and letter not in "aeiou":
            out, i = out + _ROMAJI.get(letter, letter) + "ʲ", i + 2
        elif two in ("ou", "oo", "uu", "ii", "aa"):
            out, i = out + _ROMAJI.get(letter, letter) + "ː", i + 2
        else:
            out, i = out + _ROMAJI.get(letter, letter), i + 1
    return out


def _pinyin(syllable: str) -> str:
    body, tone = syllable[:-1], _TONES[syllable[-1]]
    initial = next((i for i in _INITIALS if body.startswith(i)), "")
    final = body[len(initial) :]
    if not initial and body[0] in "yw":
        written = {"yu": "ü", "yue": "üe", "yuan": "üan", "yun": "ün", "you": "iu", "wei": "ui", "wen": "un", "yi": "i",
                   "yin": "in", "ying": "ing", "wu": "u", "yan": "ian", "ye": "ie", "wo": "uo"}  # fmt: skip
        final = written.get(body) or {"y": "i", "w": "u"}[body[0]] + body[1:]
    elif initial in ("j", "q", "x") and final.startswith("u"):
        final = "ü" + final[1:]
    elif final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s"):
        return _INITIALS[initial] + "ɨ" + tone
    elif final == "o" and initial in ("b", "p", "m", "f"):
        final = "uo"
    return _INITIALS.get(initial, "") + _FINALS[final] + tone


def _espeak(text: str, language: str) -> str:
    return letters_of(ipa(text, language), language)


def letters_of(phones: str, language: str) -> str:
    """espeak-ng's IPA in the letters of Kokoro's vocabulary."""
    phones = re.sub(r"\([a-z-]+\)", "", phones).strip()
    for old, new in _TIED.items():
        phones = phones.replace(old, new)
    if language.startswith("en"):
        for old, new in _ENGLISH.items():
            phones = phones.replace(old, new)
    phones = phones.replace("s.", "ʂ").replace("i.", "ɨ").replace(".", "")
    return phones.replace("^", "").replace("-", "").replace("\u0329", "").replace("\u032f", "").replace("g", "ɡ")

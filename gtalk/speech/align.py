"""When each word and phone of a known English text sounds, by forced alignment with PocketSphinx."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float
from gtalk.speech.features import SpeechFeatures
from gtalk.speech.known_phones import KnownPhones
from gtalk.speech.words import Word, Words
from gtalk.types import AUDIO_RATE

MOST_S = 600.0
"""Of sound at once: alignment keeps every frame."""
LEAST_FIT = 1.0
"""Of words to their sound, see `fit_of`."""
_FRAME_S = 0.01
_IPA = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AY": "aɪ", "B": "b", "CH": "tʃ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɝ", "EY": "eɪ", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "dʒ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t",
    "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
_SPELLING = {
    "ch": "CH", "sh": "SH", "th": "TH", "ph": "F", "ck": "K", "ng": "NG", "qu": "K W", "oo": "UW", "ee": "IY",
    "ea": "IY", "ou": "AW", "ow": "OW", "ai": "EY", "ay": "EY", "oa": "OW", "oi": "OY", "oy": "OY", "er": "ER",
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K",
    "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V",
    "w": "W", "x": "K S", "y": "IY", "z": "Z",
}  # fmt: skip


def align_text(samples: Float[np.ndarray, " N"], text: str) -> KnownPhones:
    """Phones of an English text with their times in the sound (mono, AUDIO_RATE).

    Words that the dictionary lacks are sounded out by their letters. Raises UserError when pocketsphinx is missing,
    the sound is too long, there are no words, or the words are not those of the sound.
    """
    phones = [phone for word in _aligned(samples, _spoken(text)) for phone in word.phones]
    starts = [phone.start * _FRAME_S for phone in phones]
    ends = [(phone.start + phone.duration) * _FRAME_S for phone in phones]
    return KnownPhones.of_ipa([_IPA.get(phone.name, "") for phone in phones], starts, ends)


def align_words(samples: Float[np.ndarray, " N"], text: str) -> Words:
    """Words of an English text, as they stand in it, with their times in the sound (mono, AUDIO_RATE).

    Raises UserError as `align_text` does, and for words that fit the sound worse than LEAST_FIT.
    """
    tokens = [(token, _spoken(token)) for token in text.split()]
    plain = [word for _, words in tokens for word in words]
    aligned = _aligned(samples, plain)
    fit = fit_of(samples, aligned)
    if fit < LEAST_FIT:
        raise UserError("--text", expected="the English words of the sound, in order",
                        got=f"others, as it seems: they fit by {fit:.2f}, {LEAST_FIT:g} is needed",
                        remedy="Correct the text, or give the words with --words.")  # fmt: skip
    times = iter([word for word in aligned if not word.is_pause])
    out: list[Word] = []
    for token, words in tokens:
        mine = [next(times) for _ in words]
        if mine:
            out.append(Word(token[:60], mine[0].start_s, mine[-1].end_s))
    return Words(tuple(out))


@dataclass(frozen=True)
class AlignedWord:
    """A word of the dictionary, or a pause, as the aligner found it."""

    name: str
    start_s: float
    end_s: float
    phones: tuple[Any, ...]
    """With name, start and duration in frames of 10 ms."""

    @property
    def is_pause(self) -> bool:
        """Silence or noise."""
        return self.name.startswith(("<", "[", "+"))


def fit_of(samples: Float[np.ndarray, " N"], aligned: Sequence[AlignedWord]) -> float:
    """How well aligned phones fit what is heard: how far their log-posteriors lie above their own mean over the speech,
    in deviations, on average.

    By the context-independent phone scores of gtalk.speech.phones, which know nothing of words. Right texts of 27
    recordings (acted emotions, a synthesiser, an old microphone) reach 1.03 to 1.36, wrong ones 0.69 to 0.96.
    """
    names, scores = _phone_scores(samples)
    number = {name: i for i, name in enumerate(names)}
    phones = [p for word in aligned if not word.is_pause for p in word.phones if p.name in number]
    rows = np.array([r for p in phones for r in range(p.start, p.start + p.duration) if r < len(scores)], int)
    said = np.array(
        [number[p.name] for p in phones for r in range(p.start, p.start + p.duration) if r < len(scores)], int
    )
    if not len(rows):
        return 0.0
    spoken = scores[rows].astype(np.float64)
    above = (scores[rows, said] - spoken.mean(0)[said]) / np.maximum(spoken.std(0)[said], 1e-6)
    return float(above.mean())


def _phone_scores(samples: np.ndarray) -> tuple[tuple[str, ...], Float[np.ndarray, "R P"]]:
    features = SpeechFeatures(phones=True)
    stream = features.stream()
    rows = np.concatenate([stream.push(samples.astype(np.float32)), stream.finish()])
    return features.phone_names, rows[:, features.groups["phones"]]


def _spoken(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]", " ", text.lower().replace("’", "'")).split()


def _aligned(samples: np.ndarray, words: Sequence[str]) -> list[AlignedWord]:
    if not words:
        raise UserError("--text", expected="English words", got="none", remedy="Give what is said, as text.")
    if len(samples) > MOST_S * AUDIO_RATE:
        raise UserError("--text", expected=f"at most {MOST_S:g} s of sound", got=f"{len(samples) / AUDIO_RATE:.0f} s",
                        remedy="Cut the sound and its text.")  # fmt: skip
    decoder = _decoder()
    for word in set(words):
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, _sounded_out(word), True)
    pcm = (np.clip(np.nan_to_num(samples), -1.0, 1.0) * 32767).astype("<i2").tobytes()
    decoder.set_align_text(" ".join(words))
    out: list[AlignedWord] = []
    try:
        found = len(samples) > 0 and _listen(decoder, pcm) and decoder.hyp() is not None
        if found:
            decoder.set_alignment()
            found = _listen(decoder, pcm)
        for word in decoder.get_alignment() if found else ():
            end_s = (word.start + word.duration) * _FRAME_S
            out.append(AlignedWord(word.name, word.start * _FRAME_S, end_s, tuple(word)))
    except RuntimeError:
        out = []
    if len([word for word in out if not word.is_pause]) != len(words):
        raise UserError("--text", expected="the English words of the sound, in order", got="others, as it seems",
                        remedy="Correct the text, or leave it out.")  # fmt: skip
    return out


def _decoder() -> Any:
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise UserError("--text", expected="the package pocketsphinx", got="none",
                        remedy="pip install 'gtalk[prepare]', or leave the text out.") from error  # fmt: skip
    return Decoder(samprate=AUDIO_RATE, bestpath=False, loglevel="FATAL", lm=None)


def _listen(decoder: Any, pcm: bytes) -> bool:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    return True


def _sounded_out(word: str) -> str:
    phones, at = [], 0
    while at < len(word):
        size = 2 if word[at : at + 2] in _SPELLING else 1
        phones.append(_SPELLING.get(word[at : at + size], ""))
        at += size
    return " ".join(phone for phone in phones if phone) or "AH"

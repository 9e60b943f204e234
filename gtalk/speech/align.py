"""When each phone of a known English text sounds, by forced alignment with PocketSphinx."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float
from gtalk.speech.known_phones import KnownPhones
from gtalk.types import AUDIO_RATE

MOST_S = 600.0
"""Of sound at once: alignment keeps every frame."""
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
    words = re.sub(r"[^a-z' ]", " ", text.lower().replace("’", "'")).split()
    if not words:
        raise UserError("--text", expected="English words", got=repr(text[:40]), remedy="Give what is said, as text.")
    if len(samples) > MOST_S * AUDIO_RATE:
        raise UserError("--text", expected=f"at most {MOST_S:g} s of sound", got=f"{len(samples) / AUDIO_RATE:.0f} s",
                        remedy="Cut the sound and its text.")  # fmt: skip
    decoder = _decoder()
    for word in set(words):
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, _sounded_out(word), True)
    pcm = (np.clip(np.nan_to_num(samples), -1.0, 1.0) * 32767).astype("<i2").tobytes()
    decoder.set_align_text(" ".join(words))
    try:
        found = len(samples) > 0 and _listen(decoder, pcm) and decoder.hyp() is not None
        if found:
            decoder.set_alignment()
            found = _listen(decoder, pcm)
        phones = [phone for word in decoder.get_alignment() for phone in word] if found else []
    except RuntimeError:
        phones = []
    if not phones:
        raise UserError("--text", expected="the English words of the sound, in order", got="others, as it seems",
                        remedy="Correct the text, or leave it out.")  # fmt: skip
    starts = [phone.start * _FRAME_S for phone in phones]
    ends = [(phone.start + phone.duration) * _FRAME_S for phone in phones]
    return KnownPhones.of_ipa([_IPA.get(phone.name, "") for phone in phones], starts, ends)


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

"""Where it is known what is said: the phones of a synthesiser or of an aligned text take the place of what is heard.

    phones with times ─▶ visemes, each rising and falling over RAMP_S ─▶ the viseme columns of the ears' rows

Diphthongs and affricates become two visemes; marks of stress, length and tone belong to their sound.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float
from gtalk.speech.base import RATE_HZ
from gtalk.speech.student import FLOOR, LAG_ROWS, VISEMES

RAMP_S = 0.04
"""Within which one viseme gives way to the next, centred on their border: lips are never switched."""
SHUT_S = 0.08
"""Lips stay shut so long at least, however short the sound of p, b or m is: two images are 0.04 s apart."""
_SHUT = VISEMES.index("p")
_KINDS = {
    "pbmɓ": "p",
    "fvʋɱ": "f",
    "wuʊɥyɯʏʉʍ": "u",
    "oɔøœɒɵɸβ": "o",
    "aɑɐæʌɶ": "a",
    "eɛɘ": "e",
    "ijɪɨᵻ": "i",
    "əɜɚɝᵊɤ": "@",
    "tdnlszɾɳɖʈɽʦʣrɬɭ": "t",
    "θð": "th",
    "ʃʒʧʤɹɻʂɕʐʑʨʥʎɲʝç": "sh",
    "kcɟɡgŋhxɣqχʁɴʔɰɦʀħ": "k",
}
VISEME_OF_IPA = {letter: kind for letters, kind in _KINDS.items() for letter in letters}


@dataclass(frozen=True)
class KnownPhones:
    """What is said when, in order of time."""

    visemes: tuple[str, ...]
    starts_s: tuple[float, ...]
    ends_s: tuple[float, ...]

    @staticmethod
    def of_ipa(phones: Sequence[str], starts_s: Sequence[float], ends_s: Sequence[float]) -> KnownPhones:
        """From phones in IPA, one or more letters each; "" or "_" is a pause.

        Raises UserError when times do not fit the phones or run backwards.
        """
        starts, ends = np.asarray(starts_s, float), np.asarray(ends_s, float)
        fits = len(phones) == len(starts) == len(ends) and np.isfinite(starts).all() and np.isfinite(ends).all()
        if not fits or (ends < starts).any() or (np.diff(starts) < 0).any():
            raise UserError(
                "known phones",
                expected="one start and end in seconds for each phone, in order",
                got=f"{len(phones)} phones, {len(starts)} starts, {len(ends)} ends"
                + ("" if len(phones) != len(starts) else ", out of order"),
                remedy="Align the text again.",
            )
        visemes: list[str] = []
        begun: list[float] = []
        ended: list[float] = []
        for phone, start, end in zip(phones, starts.tolist(), ends.tolist(), strict=True):
            kinds = visemes_of_phone(phone)
            edges = np.linspace(start, end, len(kinds) + 1).tolist()
            visemes += kinds
            begun += edges[:-1]
            ended += edges[1:]
        return KnownPhones(tuple(visemes), tuple(begun), tuple(ended))

    def later(self, by_s: float) -> KnownPhones:
        """The same, said so much later."""
        starts, ends = (tuple(time_s + by_s for time_s in times_s) for times_s in (self.starts_s, self.ends_s))
        return KnownPhones(self.visemes, starts, ends)

    def rows(self, first: int, count: int) -> Float[np.ndarray, "M 13"]:
        """Log-posteriors at the instants of rows first .. first + count - 1; before, after and between it is rest."""
        times_s = (first + np.arange(count)) / RATE_HZ
        starts, ends = np.array(self.starts_s), np.array(self.ends_s)
        shut = np.array([viseme == VISEMES[_SHUT] for viseme in self.visemes], bool)
        longer_s = 0.5 * np.maximum(0.0, SHUT_S - (ends - starts)) * shut
        starts, ends = starts - longer_s, ends + longer_s
        near = np.flatnonzero((ends > times_s[0] - RAMP_S) & (starts < times_s[-1] + RAMP_S)) if count else []
        share = np.zeros((count, len(VISEMES)))
        for i in near:
            rise = np.clip((times_s - starts[i]) / RAMP_S + 0.5, 0.0, 1.0)
            fall = np.clip((ends[i] - times_s) / RAMP_S + 0.5, 0.0, 1.0)
            share[:, VISEMES.index(self.visemes[i])] += np.minimum(rise, fall)
        share[:, 0] += np.maximum(0.0, 1.0 - share.sum(1))
        others = np.arange(len(VISEMES)) != _SHUT  # give way to it
        room = np.maximum(0.0, 1.0 - share[:, [_SHUT]])
        share[:, others] *= np.minimum(1.0, room / np.maximum(share[:, others].sum(1, keepdims=True), 1e-9))
        share /= share.sum(1, keepdims=True)
        return np.log(np.maximum(share, np.exp(FLOOR))).astype(np.float32)

    def put_into(self, rows: Float[np.ndarray, "M D"], ears: slice, first: int) -> Float[np.ndarray, "M D"]:
        """Feature rows first .. of a sound with the known visemes in place of those heard; they lag as the ears do.

        Before the first and after the last of them the ears go on hearing.

        Args:
            rows: as SpeechFeatures makes them.
            ears: where the ears lie in a row.
            first: number of the first row since the sound began.
        """
        if not self.visemes:
            return rows
        begin, end = (
            min(max(0, math.floor(time_s * RATE_HZ) + LAG_ROWS - first), len(rows))
            for time_s in (self.starts_s[0] - 0.5 * RAMP_S, self.ends_s[-1] + 0.5 * RAMP_S)
        )
        out = rows.copy()
        out[begin:end, ears.start : ears.start + len(VISEMES)] = self.rows(first + begin - LAG_ROWS, end - begin)
        return out


def visemes_of_phone(phone: str) -> list[str]:
    """Of a phone in IPA: two for a diphthong or an affricate, ["rest"] for a pause or what is no sound."""
    plain = unicodedata.normalize("NFD", phone)
    kinds = [VISEME_OF_IPA[letter] for letter in plain if letter in VISEME_OF_IPA]
    return kinds[:2] or ["rest"]

"""Lips in voices that nobody's clip has: nine languages, said by espeak-ng, which tells when each phone sounds.

There is no true mouth to compare with, but phonetics says what any mouth does: shut on p, b, m, nearly shut on f, v,
narrow on rounded vowels against spread ones, open on a. All is in shares of the person's own range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtalk.dataset.format import Dataset
from gtalk.dataset.split import first_test_frame
from gtalk.eval.motion import MouthRange
from gtalk.motion.model.model import PersonMotionModel
from gtalk.motion.produce import drive_whole
from gtalk.progress import OnProgress, silent, track
from gtalk.shapes import Float
from gtalk.speech.known_phones import KnownPhones
from gtalk.types import AUDIO_RATE, Motion
from gtalk.voice.synthesis import speak_with_phones

SPOKEN: dict[str, tuple[str, str]] = {
    "English": ("en+f2", "Maybe my boss would buy you five more blue umbrellas, before the move to the bay."),
    "German": ("de+f3", "Mein Papa baut im Mai eine blaue Bahn. Oben am Ufer blühen viele Blumen."),
    "French": ("fr+m2", "Bonjour, mon ami, vous venez beaucoup au bord du fleuve. Papa aime le pain."),
    "Spanish": ("es+f4", "Mi mamá me mima y amo a mi papá. Una bola azul vuela sobre la bahía."),
    "Italian": ("it+m4", "La mamma prepara la pizza per il bambino. Buon giorno, un po' di vino."),
    "Portuguese": ("pt-br+f2", "Minha mãe pôs a bola no mapa. Um povo bom vive na rua do fubá."),
    "Hindi": ("hi+m3", "मेरी माँ ने पापा के लिए भोजन बनाया। आप फूल और आम बाज़ार से लाए।"),
    "Japanese": ("ja+f4", "ままはぼくのぱんをたべた。ふゆのうみはあおくておおきい。"),
    "Chinese": ("cmn+m4", "妈妈买了葡萄和苹果。我们不怕老虎，也不怕火。"),
}
"""Voice and text; none of the voices taught the ears."""
_MIDDLE = (0.2, 0.8)  # of a phone, where its shape is reached
_PAUSE_S = 0.5


@dataclass(frozen=True)
class Said:
    """Lips and what was said while they moved."""

    opening: Float[np.ndarray, " T"]
    """0 shut to 1 wide open, of the person's range."""
    width: Float[np.ndarray, " T"]
    """0 narrow to 1 wide, of the person's range."""
    visemes: list[str]
    """Of each frame; "" at the borders of sounds."""

    def mean(self, values: Float[np.ndarray, " T"], visemes: str) -> float | None:
        """Over the frames of some visemes, separated by spaces."""
        chosen = np.isin(self.visemes, visemes.split())
        return float(values[chosen].mean()) if chosen.any() else None


def measure_voices(
    model: PersonMotionModel, trained: Motion, on_progress: OnProgress = silent
) -> dict[str, dict[str, float | None]]:
    """By language: left_open_pbm, open_fv, open_a, width_rounded, width_spread.

    Args:
        model: the person's.
        trained: tracked frames of the person, from which the ranges are taken.
        on_progress: told after each language.

    Raises UserError without espeak-ng.
    """
    table: dict[str, dict[str, float | None]] = {}
    for language in track(list(SPOKEN), "voices", len(SPOKEN), on_progress):
        said = _said(model, trained, *SPOKEN[language])
        table[language] = {
            "left_open_pbm": said.mean(said.opening, "p"),
            "open_fv": said.mean(said.opening, "f"),
            "open_a": said.mean(said.opening, "a"),
            "width_rounded": said.mean(said.width, "u o"),
            "width_spread": said.mean(said.width, "e i"),
        }
    columns = list(next(iter(table.values())))
    table["mean"] = {name: _mean([row[name] for row in table.values()]) for name in columns}
    return table


def training_motion(dataset: Dataset) -> Motion:
    """The tracked frames that trainers may see."""
    return dataset.motion[: first_test_frame(dataset.n_frames)]


def _said(model: PersonMotionModel, trained: Motion, voice: str, text: str) -> Said:
    speech, phones = speak_with_phones(text, voice)
    pause = np.zeros(round(_PAUSE_S * AUDIO_RATE), np.float32)
    motion = drive_whole(model, np.concatenate([pause, speech, pause]))
    times_s = np.arange(len(motion)) / motion.fps - _PAUSE_S
    widths = _width(trained)[trained.valid]
    low, high = np.percentile(widths, [5, 95])
    width = (_width(motion) - low) / max(high - low, 1e-9)
    return Said(MouthRange.of(trained).share(motion), width, _visemes_at(phones, times_s))


def _visemes_at(phones: KnownPhones, times_s: Float[np.ndarray, " T"]) -> list[str]:
    out = [""] * len(times_s)
    for viseme, start, end in zip(phones.visemes, phones.starts_s, phones.ends_s, strict=True):
        low, high = (start + share * (end - start) for share in _MIDDLE)
        for i in np.flatnonzero((times_s >= low) & (times_s <= high)):
            out[i] = viseme
    return out


def _width(motion: Motion) -> np.ndarray:
    return motion.landmarks[:, 54, 0] - motion.landmarks[:, 48, 0]


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None

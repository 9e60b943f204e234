"""The default features: what is said, how high and how loud, the same live and offline.

A row has these groups, at 100 Hz, all normalised to the voice by statistics that only look back:

    mel       log power of mel bands over the voice's running mean
    pitch     log F0 over the voice's running mean (held through voiceless parts), voicing
    energy    loudness over the voice's running mean, speech activity
    phones    log-posteriors of English phones (needs the package pocketsphinx)
    ears      log-posteriors of visemes in any language and hidden numbers, of 0.1 s earlier (gtalk.speech.student)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gtalk.shapes import Float
from gtalk.speech.base import RATE_HZ, encode
from gtalk.speech.frontend import LOOKAHEAD_S, N_FFT, FrontEnd, RawFrames
from gtalk.speech.mel import mel_filters
from gtalk.speech.normalise import RunningMean, SpeechActivity, VoicePrior
from gtalk.speech.phones import (
    DELTA_REACH,
    N_CEPSTRA,
    Cepstra,
    PhoneScores,
    load_acoustic_model,
    with_deltas,
)
from gtalk.speech.student import LAG_ROWS, N_BANDS, STUDENT_SIZE, Student, load_student
from gtalk.types import AUDIO_RATE

N_MEL, MEL_LOW_HZ, MEL_HIGH_HZ = 40, 60.0, 7600.0
assert N_MEL == N_BANDS
_PIECE = 4 * AUDIO_RATE  # longer pushes are cut, so that hours in one array cost no memory
_PITCH_HOLD = 0.97  # per frame: a held pitch fades towards the mean in a third of a second
_ROUNDING = 1e-9  # by which products of matrices of other sizes differ
_PAUSE_WEIGHT = 0.15  # the phone model expects the mean over speech with its pauses


def average_voice() -> VoicePrior:
    """Statistics of an average of men's and women's voices at a usual level."""
    return VoicePrior(np.array([*_AVERAGE_MEL, *_AVERAGE_CEPSTRA, -23.6]), float(np.log(165.0)))


# Means over ten recordings of eight people in five languages.
_AVERAGE_MEL = (11.7, 13.2, 14.2, 14.5, 14.2, 14.0, 14.2, 14.3, 14.2, 13.9, 13.6, 13.3, 13.1, 12.9, 13.0, 12.9, 12.9,
                12.9, 12.9, 12.9, 12.8, 12.8, 12.8, 12.8, 12.9, 13.0, 13.1, 13.2, 13.1, 12.9, 12.6, 12.3, 12.0, 11.6,
                11.4, 11.2, 11.0, 10.9, 10.9, 10.6)  # fmt: skip
_AVERAGE_CEPSTRA = (60.4, 10.7, -2.0, 12.7, -9.2, 0.8, -5.2, -6.2, 1.2, 0.8, 0.9, 1.8, 0.1)


@dataclass(frozen=True)
class SpeechFeatures:
    """An AudioEncoder of the groups above."""

    phones: bool = True
    """Use the phone scores."""
    prior: VoicePrior | None = None
    """The voice that is expected; an average one by default."""
    ears: bool = False
    """Use the student's visemes and hidden numbers."""

    @property
    def rate_hz(self) -> float:
        """Rows a second."""
        return RATE_HZ

    @property
    def lookahead_s(self) -> float:
        """How much sound after an instant is needed."""
        return LOOKAHEAD_S + (DELTA_REACH / RATE_HZ if self.phones else 0.0)

    @cached_property
    def groups(self) -> dict[str, slice]:
        """Where each group lies in a row."""
        sizes = {"mel": N_MEL, "pitch": 2, "energy": 2}
        if self.phones:
            sizes["phones"] = self._scores.size
        if self.ears:
            sizes["ears"] = STUDENT_SIZE
        ends = np.cumsum(list(sizes.values())).tolist()
        return {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}

    @property
    def ears_lag_rows(self) -> int:
        """How much older than its row the instant is of which the ears tell."""
        return LAG_ROWS

    @property
    def phone_names(self) -> tuple[str, ...]:
        """Of the columns of the group "phones"; none without it."""
        return self._scores.phones if self.phones else ()

    @property
    def size(self) -> int:
        """Numbers in a row."""
        return max(group.stop for group in self.groups.values())

    @cached_property
    def _scores(self) -> PhoneScores:
        return PhoneScores(load_acoustic_model())

    def stream(self) -> SpeechStream:
        """A fresh stream."""
        return SpeechStream(
            self.prior or average_voice(), self._scores if self.phones else None, load_student() if self.ears else None
        )

    def adapted(self, samples: Float[np.ndarray, " N"]) -> SpeechFeatures:
        """The same features, expecting the voice of `samples`."""
        stream = self.stream()
        stream.push(samples)
        return replace(self, prior=stream.voice())


class SpeechStream:
    """One running sound; see EncoderStream."""

    def __init__(self, prior: VoicePrior, scores: PhoneScores | None, student: Student | None = None) -> None:
        self._front, self._cepstra, self._activity = FrontEnd(), Cepstra(), SpeechActivity()
        self._mel = mel_filters(N_MEL, MEL_LOW_HZ, MEL_HIGH_HZ, N_FFT).T
        split = N_MEL, N_MEL + N_CEPSTRA
        mel, cepstra, level = np.split(prior.mean, split)
        self._mel_mean, self._cepstra_mean, self._level_mean = (
            RunningMean(mel),
            RunningMean(cepstra),
            RunningMean(level),
        )
        self._f0_mean = RunningMean(np.array([prior.log_f0]))
        self._held_pitch = 0.0
        self._scores = scores
        self._ears = None if student is None else student.stream()
        self._waiting: np.ndarray | None = None  # rows whose phones are still to come
        self._silent: tuple[np.ndarray, np.ndarray] | None = None  # rows that were all alike, and their phones
        self._context: np.ndarray | None = None  # cepstra for the differences
        self._context_mean = np.zeros((0, N_CEPSTRA))

    def push(self, samples: Float[np.ndarray, " N"]) -> Float[np.ndarray, "M D"]:
        """Take samples and return the rows that are now certain."""
        pieces = [samples[i : i + _PIECE] for i in range(0, len(samples), _PIECE)] or [samples]
        return np.concatenate([self._heard(self._rows(self._front.push(piece), last=False)) for piece in pieces])

    def finish(self) -> Float[np.ndarray, "M D"]:
        """The remaining rows."""
        return self._heard(self._rows(self._front.finish(), last=True))

    def voice(self) -> VoicePrior:
        """What is known about the voice so far."""
        means = (self._mel_mean, self._cepstra_mean, self._level_mean)
        return VoicePrior(np.concatenate([m.mean for m in means]), float(self._f0_mean.mean[0]))

    def _rows(self, raw: RawFrames, last: bool) -> np.ndarray:
        activity, voicing = self._activity(raw)
        mel = np.log(raw.power @ self._mel + 1.0)
        mel = np.clip(mel - self._mel_mean(mel, activity), -9.0, 6.0) / 3.0
        level = raw.level_db[:, None]
        level = np.clip(level - self._level_mean(level, activity), -60.0, 20.0) / 10.0
        pitch = self._pitch(raw.f0_hz, voicing)
        rows = np.concatenate([mel, pitch, level, activity[:, None]], axis=1)
        if self._scores is None:
            return rows.astype(np.float32)
        return self._with_phones(rows, self._cepstra(raw.power), activity, last)

    def _heard(self, rows: np.ndarray) -> np.ndarray:
        """The rows with the student's beside them."""
        return rows if self._ears is None else np.concatenate([rows, self._ears.push(rows[:, :N_MEL])], axis=1)

    def _pitch(self, f0_hz: np.ndarray, voicing: np.ndarray) -> np.ndarray:
        """[M,2]: log F0 over its mean in octaves, held while voiceless; voicing."""
        log_f0 = np.log(np.maximum(f0_hz, 1.0))
        mean = self._f0_mean(log_f0[:, None], voicing**2)[:, 0]
        out = np.empty((len(f0_hz), 2))
        for i in range(len(f0_hz)):
            octaves = min(max((log_f0[i] - mean[i]) / np.log(2.0), -1.5), 1.5)
            self._held_pitch += voicing[i] * (octaves - self._held_pitch)
            self._held_pitch *= 1.0 - (1.0 - _PITCH_HOLD) * (1.0 - voicing[i])
            out[i] = self._held_pitch, voicing[i]
        return out

    def _with_phones(self, rows: np.ndarray, cepstra: np.ndarray, activity: np.ndarray, last: bool) -> np.ndarray:
        assert self._scores is not None
        mean = self._cepstra_mean(cepstra, np.maximum(activity, _PAUSE_WEIGHT * (rows[:, 0] > -2.9)))
        if self._context is None and len(cepstra):
            self._context = np.repeat(cepstra[:1], DELTA_REACH, axis=0)
        context = cepstra if self._context is None else np.concatenate([self._context, cepstra])
        means = np.concatenate([self._context_mean, mean])
        waiting = rows if self._waiting is None else np.concatenate([self._waiting, rows])
        if last and len(context):
            context = np.concatenate([context, np.repeat(context[-1:], DELTA_REACH, axis=0)])
        count = max(0, len(context) - 2 * DELTA_REACH)
        out = np.zeros((0, rows.shape[1] + self._scores.size), np.float32)
        if count:
            phones = self._phones(with_deltas(context, means[:count]))
            out = np.concatenate([waiting[:count], phones], axis=1).astype(np.float32)
        self._context = context[count:] if len(context) else None
        self._waiting, self._context_mean = waiting[count:], means[count:]
        return out

    def _phones(self, streams: list[np.ndarray]) -> np.ndarray:
        """Scores of rows. Those of digital silence are all alike and made once."""
        assert self._scores is not None
        row = np.concatenate([stream[0] for stream in streams])
        alike = all((np.abs(stream - stream[0]) < _ROUNDING).all() for stream in streams)
        if alike and self._silent is not None and (np.abs(row - self._silent[0]) < _ROUNDING).all():
            return np.repeat(self._silent[1], len(streams[0]), axis=0)
        phones = self._scores(streams)
        if alike:
            self._silent = row, phones[:1]
        return phones


def extract(samples: Float[np.ndarray, " N"], phones: bool = True) -> dict[str, np.ndarray]:
    """Features of a whole sound by group name, each [ceil(N / 160), D] float32 at RATE_HZ.

    Raises UserError when `phones` are wanted and pocketsphinx is not installed.
    """
    encoder = SpeechFeatures(phones)
    rows = encode(encoder, samples)
    return {name: rows[:, where] for name, where in encoder.groups.items()}

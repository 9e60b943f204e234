"""Who speaks when in one mixed sound, with nobody known beforehand: windows, clusters, and a hidden Markov model.

    speech ─▶ cepstra and pitch at 100 Hz ─▶ windows of 1 to 2 s ─▶ agglomerative clusters ─▶ a Gaussian mixture each
                                                     Viterbi, which seldom changes the speaker ◀─┘  (a few rounds)

Where the voice encoder is at hand (`gtalk.hearing.voiceprints`), windows are clustered by what it makes of them, and
each row goes by the windows that cover it and by the mixtures. Without it voices are told apart that differ in pitch
or timbre, as two people in a conversation mostly do.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from gtalk.hearing.turns import Turn, spans_of
from gtalk.hearing.voiceprints import WINDOW, VoiceEncoder, encoder_at_hand, mel_rows, voiceprints
from gtalk.shapes import Bool, Float, Int
from gtalk.speech.frontend import N_FFT, FrontEnd
from gtalk.speech.mel import mel_filters
from gtalk.speech.normalise import SpeechActivity

N_CEPSTRA = 19
_N_MEL, _LOW_HZ, _HIGH_HZ = 30, 100.0, 6000.0
_STARTS = tuple((window, weight) for window in (100, 120, 150, 200) for weight in (1.0, 3.0))
"""Rows of a window, and how much pitch counts for the clusters: of all, the likeliest division is taken."""
_HOP, _MOST_WINDOWS = 40, 600
"""Rows between windows that are clustered; of a long sound so many that no more windows come of it."""
_LEAST_ROWS = 240
_COMPONENTS, _EM_ROUNDS, _ROUNDS = 8, 12, 5
_CHANGE = 35.0  # nats that a change of the speaker costs
_LEAST_VARIANCE = 0.05
_VOICED = 0.75
_PRINT_HOP = 20
_ALIKE, _PRINT_CHANGE = 0.2, 6.0  # nats a row that a likeness of 1 is worth, and those that a change costs then
_MIXTURE, _MOST_NATS, _MIXTURE_ROUNDS = 0.3, 4.0, 2  # how much the mixtures say beside it


def found_turns(
    samples: Float[np.ndarray, " N"], count: int, encoder: VoiceEncoder | None = None, *, at_hand: bool = True
) -> list[Turn]:
    """Turns of `count` speakers, named "1", "2", ... in the order in which they begin, mono at AUDIO_RATE.

    Where there is no `encoder`, the one `at_hand` is used, if any.
    """
    rows, speaks = _rows(samples)
    if speaks.sum() < _LEAST_ROWS or count < 2:
        return [Turn("1", a, b) for a, b in spans_of(speaks)]
    where = np.flatnonzero(speaks)
    encoder = encoder_at_hand() if encoder is None and at_hand else encoder
    spoken = rows[where]
    if encoder is not None:
        mel = mel_rows(samples)
        who = _by_voiceprints(encoder, mel[np.minimum(where, len(mel) - 1)], spoken, count)
    else:
        who = max((_divided(spoken, count, *start) for start in _STARTS), key=lambda found: found[0])[1]
    everywhere = np.full(len(speaks), -1)
    everywhere[where] = who
    turns = [Turn(str(k), a, b) for k in range(count) for a, b in spans_of(everywhere == k, lead_s=0.0)]
    turns.sort(key=lambda turn: (turn.start_s, turn.end_s))
    names = {old: str(i + 1) for i, old in enumerate(dict.fromkeys(turn.speaker for turn in turns))}
    return [Turn(names[turn.speaker], turn.start_s, turn.end_s) for turn in turns]


def _rows(samples: np.ndarray) -> tuple[Float[np.ndarray, "R D"], Bool[np.ndarray, " R"]]:
    """(cepstra and pitch of every row, each of unit spread over what is spoken; whether it is spoken)."""
    front, activity = FrontEnd(), SpeechActivity()
    filters = mel_filters(_N_MEL, _LOW_HZ, _HIGH_HZ, N_FFT).T
    mel, pitch, speaks = [], [], []
    pieces = [samples[i : i + 160_000] for i in range(0, len(samples), 160_000)]
    for raw in [*(front.push(piece) for piece in pieces), front.finish()]:
        active, _ = activity(raw)
        mel.append(np.log(raw.power @ filters + 1.0))
        pitch.append(np.where(raw.periodicity > _VOICED, np.log2(np.maximum(raw.f0_hz, 1.0)), np.nan))
        speaks.append(active > 0.5)
    levels, f0, spoken = np.concatenate(mel), np.concatenate(pitch), np.concatenate(speaks)
    k, n = np.arange(1, N_CEPSTRA + 1), np.arange(_N_MEL)
    cepstra = levels @ np.cos(np.pi * np.outer(n + 0.5, k) / _N_MEL)
    usual = np.nanmedian(f0[spoken]) if np.isfinite(f0[spoken]).any() else 0.0
    values = np.concatenate([cepstra, np.nan_to_num(f0 - usual, nan=0.0)[:, None]], axis=1)
    seen = values[spoken] if spoken.any() else values
    return (values - seen.mean(0)) / (seen.std(0) + 1e-6), spoken


def _divided(
    rows: Float[np.ndarray, "R D"], count: int, window: int, pitch_weight: float
) -> tuple[float, Int[np.ndarray, " R"]]:
    """(how likely it is, the speaker of each row)."""
    who = _clusters(rows, count, window, pitch_weight)
    for left in reversed(range(_ROUNDS + 1)):
        scores = np.stack([_Mixture(rows[who == k]).score(rows) for k in range(count)], axis=1)
        if not left:
            break
        who = _viterbi(scores)
        if len(np.unique(who)) < count:
            return -np.inf, who
    likely = scores[np.arange(len(who)), who].sum() - _CHANGE * np.count_nonzero(np.diff(who))
    return float(likely), who


def _clusters(rows: Float[np.ndarray, "R D"], count: int, window: int, pitch_weight: float) -> Int[np.ndarray, " R"]:
    """A cluster for each row: windows' means and spreads, joined by the least growth of variance (Ward 1963)."""
    hop = max(_HOP, len(rows) // _MOST_WINDOWS)
    starts = np.arange(0, max(1, len(rows) - window + 1), hop)
    parts = [rows[s : s + window] for s in starts]
    points = np.array([np.concatenate([part.mean(0), 0.5 * part.std(0)]) for part in parts])
    points = (points - points.mean(0)) / (points.std(0) + 1e-6)
    points[:, rows.shape[1] - 1] *= pitch_weight
    sizes = np.ones(len(points))
    label = np.arange(len(points))
    alive = list(range(len(points)))
    while len(alive) > count:
        at = points[alive]
        weight = sizes[alive]
        apart = ((at[:, None] - at[None]) ** 2).sum(-1) * (weight[:, None] * weight / (weight[:, None] + weight))
        apart[np.tril_indices(len(alive))] = np.inf
        i, j = (alive[k] for k in np.unravel_index(int(apart.argmin()), apart.shape))
        points[i] = (sizes[i] * points[i] + sizes[j] * points[j]) / (sizes[i] + sizes[j])
        sizes[i] += sizes[j]
        label[label == j] = i
        alive.remove(j)
    order = {old: new for new, old in enumerate(alive)}
    nearest = np.clip((np.arange(len(rows)) - window // 2 + hop // 2) // hop, 0, len(starts) - 1)
    return np.array([order[k] for k in label])[nearest]


def _by_voiceprints(
    encoder: VoiceEncoder, mel: Float[np.ndarray, "R 40"], rows: Float[np.ndarray, "R D"], count: int
) -> Int[np.ndarray, " R"]:
    """The speaker of each row of speech, out of what the encoder and cepstra say of it."""
    starts = np.arange(0, max(1, len(mel) - WINDOW + 1), _PRINT_HOP)
    points = voiceprints(encoder, mel, starts)
    points -= points.mean(0)  # what all have in common, room and line
    points /= np.linalg.norm(points, axis=1, keepdims=True) + 1e-9
    if len(points) < count:
        return np.zeros(len(rows), np.int64)
    likeness = points @ _centres(points, count).T
    alike = _ALIKE * _over_rows(likeness, starts, min(WINDOW, len(mel)), len(mel))
    who = _viterbi(alike, _PRINT_CHANGE)
    for _ in range(_MIXTURE_ROUNDS):
        if np.bincount(who, minlength=count).min() < _LEAST_ROWS // 2:
            break
        scores = np.stack([_Mixture(rows[who == k]).score(rows) for k in range(count)], axis=1)
        scores = np.clip(scores - scores.mean(1, keepdims=True), -_MOST_NATS, _MOST_NATS)
        who = _viterbi(alike + _MIXTURE * scores, _PRINT_CHANGE)
    return who


def _centres(points: Float[np.ndarray, "W D"], count: int) -> Float[np.ndarray, "K D"]:
    """Middles of so many clusters on the sphere: Ward's rule on some of the points, then means of all (k-means)."""
    some = points[:: -(-len(points) // _MOST_WINDOWS)]
    label = fcluster(linkage(some, "ward"), count, "maxclust") - 1
    centres = np.stack([some[label == k].sum(0) for k in range(label.max() + 1)])
    for _ in range(_ROUNDS):
        centres /= np.linalg.norm(centres, axis=1, keepdims=True) + 1e-9
        label = (points @ centres.T).argmax(1)
        centres = np.stack([points[label == k].sum(0) if (label == k).any() else c for k, c in enumerate(centres)])
    return centres / (np.linalg.norm(centres, axis=1, keepdims=True) + 1e-9)


def _over_rows(
    values: Float[np.ndarray, "W K"], starts: Int[np.ndarray, " W"], length: int, count: int
) -> Float[np.ndarray, "R K"]:
    """For each row the mean over the windows that cover it, those the most whose middle it is near to."""
    near = np.minimum(np.arange(length) + 1, np.arange(length)[::-1] + 1.0)[:, None]
    total, weight = np.zeros((count, values.shape[1])), np.zeros((count, 1))
    for start, value in zip(starts, values, strict=True):
        total[start : start + length] += near * value
        weight[start : start + length] += near
    last = np.flatnonzero(weight[:, 0])[-1]
    total[last + 1 :], weight[last + 1 :] = total[last], weight[last]
    return total / weight


class _Mixture:
    """A mixture of Gaussians with diagonal covariances, fitted by expectation and maximisation from fixed starts."""

    def __init__(self, rows: Float[np.ndarray, "R D"]) -> None:
        count = max(1, min(_COMPONENTS, len(rows) // 60))
        order = np.argsort(rows @ np.linalg.svd(rows - rows.mean(0), full_matrices=False)[2][0])
        self._mean = np.stack([rows[part].mean(0) for part in np.array_split(order, count)])
        self._variance = np.tile(rows.var(0) + _LEAST_VARIANCE, (count, 1))
        self._weight = np.full(count, 1.0 / count)
        for _ in range(_EM_ROUNDS):
            logs = self._logs(rows)
            share = np.exp(logs - np.logaddexp.reduce(logs, axis=1)[:, None])
            total = share.sum(0) + 1e-3
            self._weight = total / total.sum()
            self._mean = share.T @ rows / total[:, None]
            self._variance = np.maximum(share.T @ rows**2 / total[:, None] - self._mean**2, 0.0) + _LEAST_VARIANCE

    def score(self, rows: Float[np.ndarray, "R D"]) -> Float[np.ndarray, " R"]:
        """Log-likelihood of each row."""
        return np.asarray(np.logaddexp.reduce(self._logs(rows), axis=1))

    def _logs(self, rows: np.ndarray) -> np.ndarray:
        far = [((rows - m) ** 2 / v + np.log(v)).sum(1) for m, v in zip(self._mean, self._variance, strict=True)]
        return np.log(self._weight) - 0.5 * np.stack(far, axis=1)


def _viterbi(scores: Float[np.ndarray, "R K"], change: float = _CHANGE) -> Int[np.ndarray, " R"]:
    """The likeliest speakers when each change costs so many nats."""
    best = scores[0].copy()
    back = np.zeros(scores.shape, np.int64)
    for i in range(1, len(scores)):
        other = int(best.argmax())
        stay = best >= best[other] - change
        back[i] = np.where(stay, np.arange(len(best)), other)
        best = np.where(stay, best, best[other] - change) + scores[i]
    out = np.zeros(len(scores), np.int64)
    out[-1] = best.argmax()
    for i in range(len(scores) - 1, 0, -1):
        out[i - 1] = back[i, out[i]]
    return out

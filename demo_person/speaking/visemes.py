"""Phonemes to motion of the mouth: dominance functions (Cohen and Massaro 1993).

Every phoneme wants values of some parameters and insists on them more or less; the mouth is their
weighted mean, with weights that die away exponentially before and after the phoneme.
"""

from __future__ import annotations

import numpy as np

from demo_person.speaking.speech import Speech

PARAMETERS = ("jaw", "spread", "rounded", "upper", "lower", "tuck", "seal", "tongue")
_ZERO = dict.fromkeys(PARAMETERS, 0.0)


def _shape(**values: float) -> np.ndarray:
    return np.array([(_ZERO | values)[name] for name in PARAMETERS])


REST = _shape(seal=0.9)
VOWELS = {
    "a": _shape(jaw=0.165, spread=0.30, lower=0.45, upper=0.20),
    "A": _shape(jaw=0.190, spread=0.05, lower=0.40, upper=0.12),
    "V": _shape(jaw=0.125, spread=0.10, lower=0.35, upper=0.10),
    "@": _shape(jaw=0.075, spread=0.08, lower=0.25, upper=0.05),
    "3": _shape(jaw=0.080, rounded=0.35, lower=0.30, upper=0.15),
    "E": _shape(jaw=0.115, spread=0.40, lower=0.40, upper=0.15),
    "e": _shape(jaw=0.095, spread=0.50, lower=0.40, upper=0.15),
    "I": _shape(jaw=0.065, spread=0.50, lower=0.40, upper=0.15),
    "i": _shape(jaw=0.045, spread=0.80, lower=0.50, upper=0.25),
    "O": _shape(jaw=0.150, rounded=0.55, lower=0.30, upper=0.15),
    "0": _shape(jaw=0.160, rounded=0.30, lower=0.30, upper=0.10),
    "o": _shape(jaw=0.095, rounded=0.75, lower=0.20, upper=0.10),
    "U": _shape(jaw=0.055, rounded=0.75, lower=0.20, upper=0.10),
    "u": _shape(jaw=0.040, rounded=1.00, lower=0.15, upper=0.10),
}
CONSONANTS = {
    "p": _shape(jaw=0.018, seal=1.0),
    "f": _shape(jaw=0.035, tuck=1.0, upper=0.35),
    "T": _shape(jaw=0.055, lower=0.35, upper=0.10, tongue=0.75),
    "t": _shape(jaw=0.042, spread=0.25, lower=0.35, upper=0.12, tongue=0.65),
    "s": _shape(jaw=0.026, spread=0.45, lower=0.60, upper=0.30, tongue=0.25),
    "S": _shape(jaw=0.035, rounded=0.65, lower=0.60, upper=0.45, tongue=0.25),
    "k": _shape(jaw=0.060, lower=0.25, upper=0.05),
    "l": _shape(jaw=0.070, lower=0.35, upper=0.10, tongue=1.0),
    "r": _shape(jaw=0.050, rounded=0.50, lower=0.35, upper=0.15, tongue=0.3),
    "w": _shape(jaw=0.028, rounded=1.0, lower=0.10),
    "j": _shape(jaw=0.042, spread=0.60, lower=0.35, upper=0.15),
    "h": _shape(jaw=0.070, lower=0.25, upper=0.05),
}
# How much a phoneme insists (alpha), by parameter; what is not named takes the class's default.
_ALPHA = {"vowel": 1.0, "consonant": 0.55, "pause": 0.8}
_INSISTS = {
    **{vowel: {"jaw": 1.8, "seal": 4.0} for vowel in VOWELS},
    "p": {"seal": 45.0, "jaw": 8.0, "lower": 4.0, "upper": 4.0, "tuck": 3.0},
    "f": {"tuck": 12.0, "jaw": 4.0, "lower": 3.0, "seal": 3.0},
    "s": {"jaw": 3.5, "lower": 1.5, "seal": 3.0},
    "S": {"jaw": 3.0, "rounded": 2.5, "lower": 2.0, "seal": 3.0},
    "w": {"rounded": 4.0, "jaw": 2.0, "seal": 3.0},
    "r": {"rounded": 1.5, "seal": 3.0},
    "T": {"tongue": 5.0, "seal": 3.0},
    "l": {"tongue": 5.0, "seal": 3.0},
    "t": {"tongue": 4.0, "jaw": 1.5, "seal": 3.0},
}
_THETA_S = {"vowel": 0.055, "consonant": 0.045, "pause": 0.075}  # time in which a phoneme's weight falls to 1/e
_QUICK_S = 0.028  # lips that close do so fast
_KINDS = {
    "p": "p", "b": "p", "m": "p", "f": "f", "v": "f", "T": "T", "D": "T", "t": "t", "d": "t", "n": "t", "*": "t",
    "s": "s", "z": "s", "S": "S", "Z": "S", "k": "k", "g": "k", "N": "k", "x": "k", "l": "l", "r": "r", "w": "w",
    "j": "j", "h": "h", "?": "h",
}  # fmt: skip
_FIRST_LETTER = {"A": "A", "a": "a", "V": "V", "@": "@", "3": "3", "E": "E", "e": "e", "I": "I", "i": "i", "O": "O",
                 "0": "0", "o": "o", "U": "U", "u": "u", "Y": "@", "y": "u"}  # fmt: skip


def segments(name: str) -> list[tuple[str, str]]:
    """(class, target) of a phoneme's parts: diphthongs and affricates have two."""
    if name.startswith("_"):
        return [("pause", "")]
    if name in ("tS", "dZ"):
        return [("consonant", "t"), ("consonant", "S")]
    letters = [c for c in name if (c not in "'`,:;#%=|~-^!\"" and not c.isdigit()) or c in "03"]
    if not letters:
        return [("pause", "")]
    parts: list[tuple[str, str]] = []
    for letter in letters[:2]:
        if letter in _FIRST_LETTER:
            parts.append(("vowel", _FIRST_LETTER[letter]))
        elif letter in _KINDS or letter.lower() in _KINDS:
            parts.append(("consonant", _KINDS.get(letter, _KINDS.get(letter.lower(), "t"))))
        elif letter == "L":
            parts.append(("consonant", "l"))
    return parts or [("vowel", "@")]


def mouth_motion(speech: Speech, times_s: np.ndarray) -> np.ndarray:
    """[T,8] PARAMETERS at instants."""
    numerator = np.zeros((len(times_s), len(PARAMETERS)))
    denominator = np.full((len(times_s), len(PARAMETERS)), 1e-9)
    numerator += denominator * REST
    for name, start, end in zip(speech.names, speech.starts_s, speech.ends_s, strict=True):
        parts = segments(name)
        bounds = np.linspace(start, end, len(parts) + 1)
        for (kind, target), begin, stop in zip(parts, bounds[:-1], bounds[1:], strict=True):
            near = np.flatnonzero((times_s > begin - 0.6) & (times_s < stop + 0.6))
            weight = _dominance(times_s[near], begin, stop, kind, target)
            wanted = REST if kind == "pause" else {**VOWELS, **CONSONANTS}[target]
            numerator[near] += weight * wanted
            denominator[near] += weight
    weight = _dominance(times_s, -5.0, speech.starts_s[0], "pause", "")
    numerator += weight * REST
    denominator += weight
    return numerator / denominator


def _dominance(times_s: np.ndarray, begin: float, stop: float, kind: str, target: str) -> np.ndarray:
    """[T,8] weight of one segment."""
    # The mouth is early: it reaches a shape a little before its sound.
    lead = 0.012
    # Distance from the segment's core; inside the core the weight stays whole.
    core = 0.22 * (stop - begin)
    distance = np.maximum(np.maximum(begin + core - times_s, times_s - (stop - core)) + lead * (times_s < begin), 0)
    alpha = np.full(len(PARAMETERS), _ALPHA[kind])
    for parameter, value in _INSISTS.get(target, {}).items():
        alpha[PARAMETERS.index(parameter)] = value
    if kind == "pause":
        # A short gap between words does not close the mouth.
        alpha *= np.clip((stop - begin) / 0.16, 0.05, 1.0)
    return alpha * np.exp(-distance / (_QUICK_S if target == "p" else _THETA_S[kind]))[:, None]

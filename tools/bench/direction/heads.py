"""Head orders at words of a speech: count, direction, when the first peak is, and whether the clip's range is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gtalk.direct.directors.grammar import read_instruction
from gtalk.direct.directors.speech import Speech
from gtalk.direct.score import Score
from gtalk.direct.score_edit import ScoreEdit, head_range
from gtalk.geometry.pose import pose_vectors
from gtalk.media.audio import read_audio
from gtalk.motion.model.model import load_motion_model
from gtalk.motion.produce import drive_whole
from gtalk.types import AUDIO_RATE

ORDERS = (
    *((f"nod {how} at", "nod", n) for how, n in (("once", 1), ("twice", 2), ("three times", 3))),
    *((f"shake the head {how} at", "shake", n) for how, n in (("twice", 2), ("three times", 3))),
    *((f"turn {side} at", "turn", sign) for side, sign in (("left", -1), ("right", 1))),
)


def head(avatar: Path, sound: Path, text: str, *words: str) -> None:
    """Each order at each word: count, direction, when its first peak is, and whether the clip's range is kept."""
    from gtalk.speech.align import align_words

    model, samples = load_motion_model(avatar), read_audio(sound).samples
    speech = Speech(len(samples) / AUDIO_RATE, align_words(samples, text))
    plain, room = drive_whole(model, samples), head_range(model)
    own = pose_vectors(plain.head_pose, model.mean_pose)
    right, away, beyond = 0, [], -1.0
    for say, kind, count in ORDERS:
        for word in words:
            events = read_instruction(f"{say} '{word}'", speech).events
            vectors = pose_vectors(ScoreEdit(model, Score(events))(plain).head_pose, model.mean_pose)
            beyond = max(beyond, float((vectors - np.maximum(room.high, own)).max()))
            added, middle_s = np.rad2deg(vectors - own), speech.words.find(word).middle_s
            right += _obeyed(kind, count, added, round(middle_s * plain.fps))
            if kind == "nod":
                away.append(abs(float(added[:, 0].argmax()) / plain.fps - middle_s) if count == 1 else 0.0)
    print(
        f"{right} of {len(ORDERS) * len(words)} obeyed; single nods peak within {max(away):.3f} s; {beyond:.1e} beyond"
    )


def _obeyed(kind: str, count: int, added_deg: np.ndarray, at: int) -> bool:
    if kind == "turn":
        return np.sign(added_deg[at, 1]) == count
    moved = added_deg[:, 0] if kind == "nod" else added_deg[:, 1]
    if kind == "nod":
        peaks = (moved[1:-1] > moved[:-2]) & (moved[1:-1] >= moved[2:]) & (moved[1:-1] > 0.4 * moved.max())
        return int(peaks.sum()) == count and moved.max() > 0.5
    signs = np.sign(moved[np.abs(moved) > 0.3 * np.abs(moved).max()])
    return 1 + int((np.diff(signs) != 0).sum()) == 2 * count

"""The true mouth as a key at each sound of a held-out stretch: how far the predicted lips come to the true ones."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gtalk.basis import LIPS, MOUTH_GROUP
from gtalk.dataset.format import Dataset
from gtalk.dataset.split import first_test_frame
from gtalk.direct.keys import KeyEdit, plan_keys
from gtalk.direct.score import KEYS_APART_S, Event
from gtalk.media.audio import read_audio
from gtalk.motion.model.model import PersonMotionModel, load_motion_model
from gtalk.motion.produce import drive_whole
from gtalk.speech.align import align_text
from gtalk.types import AUDIO_RATE, Motion

GRID = """#JSGF V1.0;
grammar grid;
public <take> = (bin | lay | place | set) (blue | green | red | white) (at | by | in | with)
  (a | b | c | d | e | f | g | h | i | j | k | l | m | n | o | p | q | r | s | t | u | v | x | y | z)
  (zero | one | two | three | four | five | six | seven | eight | nine) (again | now | please | soon);
"""
"""What is said in takes of the GRID corpus (Cooke et al. 2006)."""


def keys(avatar: Path, folder: Path | None = None, said: str = "") -> None:
    """The table of a motion model and its dataset.

    Args:
        folder: its dataset; the one inside the avatar by default.
        said: the text of the whole sound, or `grid`; without it, phones are heard, with no words known.
    """
    dataset, model = Dataset(folder or avatar / "dataset"), load_motion_model(avatar)
    samples, fps = read_audio(dataset.audio_path).samples, dataset.fps
    first, last = first_test_frame(dataset.n_frames), dataset.n_frames
    predicted = drive_whole(model, samples[: round(last * AUDIO_RATE / fps)])[first:last]
    true = dataset.motion[first:last]
    starts = [0, *(s.start - first for s in dataset.segments if first < s.start < last), last - first]
    instants = [
        (a + i) / fps
        for a, b in pairwise(starts)
        for i in _sounds(samples[round((first + a) * AUDIO_RATE / fps) : round((first + b) * AUDIO_RATE / fps)], said,
                         fps, b - a)
    ]  # fmt: skip
    instants = [t for t in instants if true.valid[round(t * fps)]]
    keyed = with_true_mouth(model, predicted, true, instants)
    report(model, predicted, keyed, true, instants)


def with_true_mouth(model: PersonMotionModel, predicted: Motion, true: Motion, instants_s: list[float]) -> Motion:
    """The predicted motion with the true one's mouth as keys."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.motion.npz"
        true.save(path)
        asked = [Event("key.frame", f"{path}@{t:.3f}", t) for t in instants_s]
        return KeyEdit(plan_keys(asked, model, iter([predicted])))(predicted)


def report(model: PersonMotionModel, predicted: Motion, keyed: Motion, true: Motion, instants_s: list[float]) -> None:
    """Lips' errors, how well keys are met, and the jerk."""
    seen = model.basis.encode(true)
    within = true.replace(landmarks=model.basis.decode(seen))
    before, after, least = (lips_mm(motion, true) for motion in (predicted, keyed, within))
    at = [round(t * true.fps) for t in instants_s]
    met = np.linalg.norm((keyed.landmarks - within.landmarks)[at][:, MOUTH_GROUP], axis=-1).max() * 1e3
    jerk = [np.sqrt((np.diff(m.landmarks[:, LIPS], 3, axis=0) ** 2).mean()) for m in (predicted, keyed, true)]
    print(
        f"{len(instants_s)} keys in {true.duration_s:.1f} s: lips {before:.3f} -> {after:.3f} mm "
        f"({1 - after / before:.0%}; {least:.3f} mm lie outside the person's codes), met within {met:.3f} mm, "
        f"jerk {jerk[1] / jerk[0]:.2f} times (the true lips: {jerk[2] / jerk[0]:.2f})"
    )


def _sounds(samples: np.ndarray, said: str, fps: float, n_frames: int) -> list[int]:
    """Frames in the middle of each phone, a key's least distance apart."""
    middles_s = _of_text(samples, said) if said else _of_sound(samples)
    out: list[int] = []
    for middle_s in middles_s:
        frame = round(middle_s * fps)
        if frame < n_frames and (not out or frame - out[-1] >= max(1.0, KEYS_APART_S * fps)):
            out.append(frame)
    return out


def _of_text(samples: np.ndarray, said: str) -> list[float]:
    text = _grid_text(samples) if said == "grid" else said
    if not text:  # a piece of a take
        return _of_sound(samples)
    phones = align_text(samples, text)
    middles = [0.5 * (a + b) for a, b in zip(phones.starts_s, phones.ends_s, strict=True)]
    return [t for t, kind in zip(middles, phones.visemes, strict=True) if kind]


def _grid_text(samples: np.ndarray) -> str:
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=AUDIO_RATE, bestpath=False, loglevel="FATAL", lm=None)
    decoder.add_jsgf_string("grid", GRID)
    decoder.activate_search("grid")
    _hear(decoder, samples)
    found = decoder.hyp()
    return "" if found is None else found.hypstr


def _of_sound(samples: np.ndarray) -> list[float]:
    """Middles of the phones that PocketSphinx hears where it knows no words."""
    import pocketsphinx

    decoder = pocketsphinx.Decoder(
        samprate=AUDIO_RATE, loglevel="FATAL", lm=None, lw=0.5, beam=1e-30, pbeam=1e-30,
        allphone=pocketsphinx.get_model_path("en-us/en-us-phone.lm.bin"),
    )  # fmt: skip
    _hear(decoder, samples)
    return [
        0.5 * (part.start_frame + part.end_frame + 1) / 100
        for part in decoder.seg()
        if part.word not in ("SIL", "+NSN+", "+SPN+")
    ]


def _hear(decoder: Any, samples: np.ndarray) -> None:
    decoder.start_utt()
    decoder.process_raw((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()


def lips_mm(motion: Motion, true: Motion) -> float:
    """Mean distance of the lips' points, each one's constant offset left out."""
    off = (motion.landmarks - true.landmarks)[:, LIPS][true.valid]
    return float(np.sqrt(((off - off.mean(0)) ** 2).sum(-1)).mean()) * 1e3

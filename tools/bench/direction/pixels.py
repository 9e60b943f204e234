"""What instructions do to pixels: each channel in its span and outside it, against the same film undirected.

A film of the avatar is drawn undirected and directed; Face Landmarker reads both. Of each channel: the mean difference
within the span, the mean size of the difference where nothing is asked for, and that in the spans of the film's other
channels (a smile moves cheeks, lids that follow the eyes down look like brows that go up), in deviations of the
undirected film.
Frames in which lids shut in either film are left out: blinks hide irises, and pull brows and scores with them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtalk.direct.directors.grammar import read_instruction
from gtalk.direct.directors.speech import Speech
from gtalk.direct.score import Score
from gtalk.dub.config import DubConfig
from gtalk.dub.render import plan_dub
from gtalk.media.audio import read_audio, write_wav
from gtalk.prepare.landmarks.detect import Landmarks, detect_landmarks
from gtalk.progress import silent
from gtalk.rig.shapes import ARKIT
from gtalk.talk import load_character
from gtalk.topology import BROW_POINTS, EYE_CORNERS, IRIS_CENTRES, RIGID
from gtalk.types import AUDIO_RATE, AudioTrack

EVERY_S, LASTS_S, FIRST_S = 2.8, 1.0, 0.9
EASE_S = 0.6
"""Around a span: neither inside nor outside."""
SCORES = ("neutral", *sorted(set(ARKIT) - {"tongueOut"}))
"""As Face Landmarker orders them."""
SHUT, AROUND = 0.4, 3  # score of shut lids, frames around them


@dataclass(frozen=True)
class Asked:
    """One thing that is asked for, and the reading that has to move."""

    say: str
    reading: str
    sign: int
    swings: bool = False


FILMS = (
    (Asked("smile", "smile", 1), Asked("look down", "gaze", -1), Asked("nod twice", "pitch", -1, True),
     Asked("look worried", "worry", 1)),
    (Asked("raise the brows", "brows", 1), Asked("turn left", "yaw", -1),
     Asked("shake the head twice", "yaw", 0, True), Asked("look sad", "frown", 1)),
)  # fmt: skip


def pixels(avatar: Path, sound: Path, size: int = 320) -> None:
    """The table of both films."""
    character = load_character(avatar)
    samples = read_audio(sound).samples
    seconds = FIRST_S + EVERY_S * max(map(len, FILMS))
    samples = np.tile(samples, 1 + int(seconds * AUDIO_RATE / len(samples)))[: round(seconds * AUDIO_RATE)]
    with tempfile.TemporaryDirectory() as folder:
        speech = Path(folder) / "speech.wav"
        write_wav(speech, AudioTrack(samples.astype(np.float32)))

        def film(say: str) -> dict[str, np.ndarray]:
            path = None
            if say:
                path = Path(folder) / "x.score.yaml"
                Score(read_instruction(say, Speech(seconds)).events).save(path)
            plan = plan_dub(character, speech, DubConfig(height=size, score=path), silent)
            frames = [frame.rgb for frame in plan.frames]
            return readings(landmarks_of(frames))

        plain = film("")
        print(f"{avatar.name}, {seconds:.1f} s: in deviations, inside, outside, in others' spans")
        for asked in FILMS:
            spans = [FIRST_S + EVERY_S * i for i in range(len(asked))]
            say = ", ".join(f"{a.say} from {s:g} to {s + LASTS_S:g} seconds" for a, s in zip(asked, spans, strict=True))
            directed = film(say)
            for one, start_s in zip(asked, spans, strict=True):
                inside, outside, others = moved(plain, directed, one, start_s, spans)
                good = inside >= 2.0 and outside <= 0.5
                print(f"{one.say:22} {one.reading:6} {inside:6.1f} {outside:6.2f} {others:6.2f}{'' if good else '  !'}",
                      flush=True)  # fmt: skip


def landmarks_of(frames: list[np.ndarray]) -> Landmarks:
    """By Face Landmarker, of $GTALK_ASSETS."""
    model = Path(os.environ["GTALK_ASSETS"]) / "face_landmarker.task"
    size = frames[0].shape[1], frames[0].shape[0]
    return detect_landmarks(frames, size, model=model, twice=False)


def readings(seen: Landmarks) -> dict[str, np.ndarray]:
    """Numbers of each frame, by name."""
    scores = seen.arkit52
    assert scores is not None

    def both(name: str) -> np.ndarray:
        return scores[:, [SCORES.index(f"{name}{side}") for side in ("Left", "Right")]].mean(1)

    points = np.concatenate([seen.points_px, seen.depth[..., None]], 2).astype(np.float64)
    upright, angles_deg = _upright(points)
    width = np.linalg.norm(upright[:, EYE_CORNERS[:, 0]] - upright[:, EYE_CORNERS[:, 1]], axis=-1)
    brows = -upright[:, BROW_POINTS][..., 1] / width[..., None]  # [T,2,5] outer to inner, above what is rigid
    return {
        "smile": both("mouthSmile"),
        "frown": both("mouthFrown") + both("browDown"),
        "brows": brows.mean((1, 2)),
        "worry": (brows[..., 3:].mean((1, 2)) - brows[..., :2].mean((1, 2))),
        "inner": scores[:, SCORES.index("browInnerUp")],
        "gaze": _gaze(seen.points_px),
        "pitch": angles_deg[:, 0], "yaw": angles_deg[:, 1], "roll": angles_deg[:, 2],
        "shut": both("eyeBlink"),
    }  # fmt: skip


def _gaze(points_px: np.ndarray) -> np.ndarray:
    """How far the irises stand above the line between the eyes' corners, in widths of an eye."""
    out = []
    for eye in (0, 1):
        outer, inner = points_px[:, EYE_CORNERS[eye, 0]], points_px[:, EYE_CORNERS[eye, 1]]
        along = inner - outer
        iris = points_px[:, IRIS_CENTRES[eye]] - 0.5 * (outer + inner)
        down = (along[:, 0] * iris[:, 1] - along[:, 1] * iris[:, 0]) * np.sign(along[:, 0])
        out.append(-down / (along**2).sum(1))
    return np.mean(out, 0)


def _upright(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(points turned back to the film's mean head, turns in degrees: pitch up, yaw to the right, roll), by what is
    rigid of a face.
    """
    rigid = points[:, RIGID] - points[:, RIGID].mean(1, keepdims=True)
    mean = rigid[len(rigid) // 2]
    for _ in range(3):
        turns = np.stack([_turn(one, mean) for one in rigid])
        mean = np.einsum("tij,tpj->tpi", turns, rigid).mean(0)
    upright = np.einsum("tij,tpj->tpi", turns, points - points[:, RIGID].mean(1, keepdims=True))
    back = turns.transpose(0, 2, 1)
    pitch = np.arctan2(back[:, 2, 1], back[:, 2, 2])
    yaw = np.arcsin(np.clip(back[:, 2, 0], -1, 1))
    roll = np.arctan2(back[:, 1, 0], back[:, 0, 0])
    return upright, np.rad2deg(np.stack([pitch, yaw, roll], 1))


def _turn(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    u, _, vt = np.linalg.svd(onto.T @ points)
    sign = np.diag([1.0, 1.0, np.linalg.det(u @ vt)])
    return u @ sign @ vt


def moved(
    plain: dict[str, np.ndarray],
    directed: dict[str, np.ndarray],
    asked: Asked,
    start_s: float,
    spans_s: Sequence[float],
    fps: float = 25.0,
) -> tuple[float, float, float]:
    """(inside its span, where nothing is asked for, in the others' spans)."""
    a, b = plain[asked.reading], directed[asked.reading]
    times_s = np.arange(len(a)) / fps
    shut = np.maximum(plain["shut"], directed["shut"]) > SHUT
    seen = np.convolve(shut, np.ones(2 * AROUND + 1), "same") == 0
    inside = (times_s >= start_s) & (times_s <= start_s + LASTS_S) & seen
    near = np.array([(times_s > s - EASE_S) & (times_s < s + LASTS_S + EASE_S) for s in spans_s])
    others = near[[s != start_s for s in spans_s]].any(0) & seen
    change = (b - a) / a[seen].std()
    if asked.swings:  # there and back: how far it goes
        within = float(np.ptp(change[inside]) if asked.sign == 0 else np.abs(change[inside]).max())
    else:
        within = float(asked.sign * change[inside].mean())
    return within, float(np.abs(change[seen & ~near.any(0)]).mean()), float(np.abs(change[others]).mean())

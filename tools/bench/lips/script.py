"""What the studio's script is worth: lips learned from it against lips learned from as long a free talk.

    python -m tools.bench.lips.script --language en --seeds 0 1 2 [--seconds 85] [--only script]

The demo person says both, in a voice of espeak-ng, and its rig gives the true face of every frame; nothing is drawn or
tracked. The lips are then asked for talks and for sentences that neither training has heard, in the same voice:
distance of the mouth's landmarks from the true ones in shares of the eyes' distance, and correlation of the opening.
"gain" is how much smaller the distance is after the script. Free talks are what people say when they are asked to talk
for a while (tools/bench/lips/free_talk.json).
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import torch

from demo_person.body.head import build_skin
from demo_person.body.rig import Rig
from demo_person.speaking.animation import Performance, perform
from demo_person.speaking.speech import speak
from gtalk.dataset.format import Segment
from gtalk.eval.motion import aperture_correlation, lmd
from gtalk.files import atomic_path
from gtalk.motion.produce import drive_whole
from gtalk.motion.training.sequences import TrainingClip
from gtalk.motion.training.train import MotionConfig, fit_material
from gtalk.motion.training.training_data import TrainingData, gather
from gtalk.topology import LANDMARKS68
from gtalk.types import AUDIO_RATE, VIDEO_FPS, Motion

VOICES = {"en": "en-us+m3", "de": "de+m3"}
BETWEEN_S = 0.55
"""Pause before a sentence, of the script and of talks alike."""
Talk = Sequence[str]


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", choices=list(VOICES), default="en")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, help="of each training; the length of the script if not given")
    parser.add_argument("--only", nargs="*", help="names of trainings: script, talk 1, talk 2, ...")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(f"load {os.getloadavg()[0]:.1f}")
    rows = compare(asked.language, asked.seeds, asked.seconds, asked.only)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1))


def compare(
    language: str, seeds: Sequence[int], seconds: float | None, only: Sequence[str] | None
) -> dict[str, list[dict[str, float]]]:
    """Rows of every training, one for a seed; printed as they come."""
    texts = json.loads((resources.files("gtalk.studio") / "page" / "texts" / f"{language}.json").read_text("utf-8"))
    talks = json.loads((Path(__file__).parent / "free_talk.json").read_text("utf-8"))[language]
    voice, script = VOICES[language], texts["script"]
    length = clip_of(script, voice, seconds)
    seconds = len(length.motion) / VIDEO_FPS
    taught = {"script": script} | {f"talk {i + 1}": talk for i, talk in enumerate(talks["talks"])}
    exams = {f"talk {i + 1}": clip_of(talk, voice, None, seed=50 + i) for i, talk in enumerate(talks["talks"])}
    exams["sentences"] = clip_of(talks["sentences"], voice, None, seed=99)
    print(f"{language}, {seconds:.1f} s each; distance in % of the eyes' distance, correlation of the opening")
    rows: dict[str, list[dict[str, float]]] = {}
    for name, text in taught.items():
        if only and name not in only:
            continue
        clip = clip_of(text, voice, seconds)
        if len(clip.motion) < 0.98 * len(length.motion):
            raise SystemExit(f"{name} is only {len(clip.motion) / VIDEO_FPS:.1f} s long")
        config = MotionConfig()
        data = gather([clip], config.features, config.augment, 0)
        for seed in seeds:
            rows.setdefault(name, []).append(examined(data, dataclasses.replace(config, seed=seed), exams, name))
            print(f"{name} {seed}: " + ", ".join(f"{what} {value:.3f}" for what, value in rows[name][-1].items()),
                  flush=True)  # fmt: skip
    print_gains(rows)
    return rows


def examined(data: TrainingData, config: MotionConfig, exams: dict[str, TrainingClip], name: str) -> dict[str, float]:
    """Distance and correlation on everything that a training has not heard."""
    model, told = fit_material(data, config), {}
    for what, exam in exams.items():
        if what == name:
            continue
        guess = drive_whole(model, exam.samples)
        count = min(len(guess), len(exam.motion))
        told[what] = lmd(guess[:count], exam.motion[:count])
        told[f"{what} r"] = aperture_correlation(guess[:count], exam.motion[:count])
    return told


def print_gains(rows: dict[str, list[dict[str, float]]]) -> None:
    """By exam: mean distance after the script, after the talks that are not the exam itself, and the gain."""
    talks = {name: own for name, own in rows.items() if name != "script"}
    if "script" not in rows or not talks:
        return
    for exam in (name for name in rows["script"][0] if not name.endswith(" r")):
        after = np.mean([row[exam] for row in rows["script"]])
        free = [row[exam] for name, own in talks.items() if name != exam for row in own]
        spread = np.std([row[exam] for row in rows["script"]]) if len(rows["script"]) > 1 else np.nan
        print(f"{exam}: script {after:.3f} (spread of seeds {spread:.3f}), talks {np.mean(free):.3f}, "
              f"gain {100 * (1 - after / np.mean(free)):.1f} %")  # fmt: skip
    both = [
        1 - np.mean([row[exam] for row in rows["script"]])
        / np.mean([row[exam] for name, own in talks.items() if name != exam for row in own])
        for exam in rows["script"][0] if not exam.endswith(" r")
    ]  # fmt: skip
    print(f"gain over all: {100 * np.mean(both):.1f} %")


def clip_of(text: Talk, voice: str, seconds: float | None, seed: int = 7) -> TrainingClip:
    """The demo person says it: sound, and the true face of every frame, of the first `seconds` where they are given."""
    speech = speak(tuple((BETWEEN_S, line) for line in text), voice, 0.5)
    count = int(len(speech.samples) / AUDIO_RATE * VIDEO_FPS)
    count = count if seconds is None else min(count, round(seconds * VIDEO_FPS))
    acted = perform(speech, count / VIDEO_FPS, VIDEO_FPS, seed)
    motion = Motion(
        VIDEO_FPS, _faces(acted, count), 1.0 - acted.blink, acted.gaze, acted.brows, acted.T_world_head,
        np.ones(count, bool),
    )  # fmt: skip
    return TrainingClip(speech.samples[: round(count / VIDEO_FPS * AUDIO_RATE)], motion, (Segment(0, count, "rig"),))


def _faces(acted: Performance, count: int) -> np.ndarray:
    """[T,68,3] true landmarks in head space, metres: seconds of work, kept for the next run."""
    moved = np.concatenate([acted.mouth, acted.smile[:, None], acted.blink, acted.brows, acted.gaze], axis=1)[:count]
    kept = Path(tempfile.gettempdir()) / f"gtalk-faces-{hashlib.sha256(moved.tobytes()).hexdigest()[:16]}.npy"
    if kept.exists():
        return np.load(kept, allow_pickle=False)
    rig, faces = _rig(), []
    for index in range(count):
        expression = acted.expression(index)
        faces.append(rig.landmarks(rig.surface(rig.control_points(expression)), expression.gaze)[LANDMARKS68])
    with atomic_path(kept) as temporary:
        np.save(temporary, np.stack(faces))
    return np.stack(faces)


@cache
def _rig() -> Rig:
    return Rig(build_skin())


if __name__ == "__main__":
    main()

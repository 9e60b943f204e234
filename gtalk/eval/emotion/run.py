"""Renders an avatar's expressions amid its own speech, and asks the judges. Rows of real people beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gtalk.dataset.format import Dataset
from gtalk.dataset.split import train_test_split
from gtalk.errors import UserError
from gtalk.eval.config import EvalConfig
from gtalk.eval.emotion import measures
from gtalk.eval.emotion.judges import CLASSES, OnnxJudge, embedding, face_box
from gtalk.eval.emotion.scores import DETECTOR
from gtalk.eval.lips import held_out
from gtalk.media.video import read_video
from gtalk.motion.edits.emotion import ExpressionEdit, shown_opening
from gtalk.motion.model.model import PersonMotionModel
from gtalk.motion.produce import drive_whole
from gtalk.prepare.landmarks.detectors import FaceLandmarkerFinder
from gtalk.progress import OnProgress, silent, track
from gtalk.reading.assets import find_asset
from gtalk.rig.expression import named, recipes
from gtalk.rig.reading import readable
from gtalk.shapes import Float, UInt8
from gtalk.talk import Character
from gtalk.types import AUDIO_RATE, Motion

INTENSITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
SPEECH_S, SILENCE_S, SETTLE_S = 4.0, 20.0, 0.2  # the pause is as long as that of the silence test
FRAMES = 8  # that are rendered for each emotion and intensity


@dataclass
class Judges:
    """Who looks. Each is optional but the Face Landmarker."""

    landmarker: FaceLandmarkerFinder
    classifier: OnnxJudge | None
    identity: OnnxJudge | None

    def close(self) -> None:
        """Free the Face Landmarker."""
        self.landmarker.close()


@dataclass
class Look:
    """What the judges saw in some images."""

    scores: list[np.ndarray] = field(default_factory=list)
    classes: list[np.ndarray] = field(default_factory=list)
    identities: list[np.ndarray] = field(default_factory=list)

    def add(self, judges: Judges, rgb: UInt8[np.ndarray, "H W 3"]) -> None:
        """Look at an image; one without a face is passed over."""
        faces = [f for f in judges.landmarker.find(np.ascontiguousarray(rgb)) if f.blendshapes is not None]
        if not faces:
            return
        face = max(faces, key=lambda f: float(np.ptp(f.points[:, 1])))
        points = face.points[:, :2].astype(np.float64)
        self.scores.append(np.asarray(face.blendshapes, np.float64))
        if judges.classifier is not None:
            self.classes.append(judges.classifier(face_box(rgb, points[:468])))
        if judges.identity is not None:
            self.identities.append(embedding(judges.identity, rgb, points))


People = dict[str, dict[str, Look]]
"""What was seen of real people, by person and expression."""


def open_emotion_judges(config: EvalConfig) -> Judges:
    """Those that the config names. Raises UserError where one is missing or no such network."""
    model = find_asset(DETECTOR)
    if model is None:
        raise UserError("--expression", expected=f"{DETECTOR}, which reads faces", got="none at hand",
                        remedy="Run `gtalk assets get face_landmarker`.")  # fmt: skip
    return Judges(
        FaceLandmarkerFinder(model),
        OnnxJudge(config.expression_model, len(CLASSES)) if config.expression_model is not None else None,
        OnnxJudge(config.identity_model, 128) if config.identity_model is not None else None,
    )


def emotion_names() -> tuple[str, ...]:
    """The basic emotions, neutral apart."""
    return tuple(n for n, recipe in recipes().items() if recipe.emotion and n != "neutral")


def measure_expressions(
    character: Character, dataset: Dataset, config: EvalConfig, on_progress: OnProgress
) -> dict[str, Any]:
    """Everything under `expression.` of an evaluation's JSON.

    Raises UserError when the avatar has no motion model, or a judge or a clip is not what it should be.
    """
    judges = open_emotion_judges(config)
    try:
        clips = clips_of(config.expression_clips)
        people = real_people(judges, clips, on_progress) if clips else {}
        out = _measured(character, dataset, judges, config.seed, people, on_progress)
        return {**out, "real": real_rows(people)} if people else out
    finally:
        judges.close()


def clips_of(paths: Sequence[Path]) -> list[Path]:
    """Video files, and those in folders."""
    kinds = {".mp4", ".mov", ".webm", ".mkv"}
    found = [sorted(p for p in path.iterdir() if p.suffix in kinds) if path.is_dir() else [path] for path in paths]
    return [clip for part in found for clip in part]


def _measured(
    character: Character, dataset: Dataset, judges: Judges, seed: int, people: People, on_progress: OnProgress
) -> dict[str, Any]:
    model = character.motion_model
    if not isinstance(model, PersonMotionModel):
        raise UserError("--expression", expected="an avatar with a motion model", got="none",
                        remedy="Run `gtalk motion train DATASET -o AVATAR`.")  # fmt: skip
    spoken, silent_from = _speech_then_silence(model, dataset, seed)
    chosen = np.linspace(3, silent_from - 4, FRAMES).astype(int)
    colours, box = _known_colours(dataset, spoken, character)
    looks: dict[tuple[str, float], Look] = {}
    holes: dict[str, list[float]] = {}
    cases = [(name, level) for name in emotion_names() for level in INTENSITIES if level > 0.0]
    for name, level in track([("neutral", 0.0), *cases], "expressions", len(cases) + 1, on_progress):
        motion = _expressed(model, spoken, name, level)
        look = looks.setdefault((name, level), Look())
        for index in chosen:
            drawn = character.avatar.render(motion[int(index)])
            rgb = (drawn.rgb[0].clamp(0, 1) * 255 + 0.5).byte().cpu().numpy()
            look.add(judges, rgb)
            if level in {0.0, 1.0}:
                y, x = box(motion[int(index)])
                pixels = rgb[y, x].reshape(-1, 3)
                hole = colours.unlike(pixels) | (drawn.alpha[0, y, x].cpu().numpy().ravel() < 0.9)
                holes.setdefault(name, []).append(float(hole.mean()))
    rows = {
        name: {
            **_row(name, looks, changes_of(people, name)),
            **_speech_row(model, spoken, silent_from, name),
            "holes": float(np.mean(holes[name])) if name in holes else None,
        }
        for name in emotion_names()
    }
    return {"emotions": rows, "mean": _means(rows), "neutral_holes": float(np.mean(holes["neutral"]))}


def _expressed(model: PersonMotionModel, motion: Motion, name: str, level: float) -> Motion:
    return motion if level == 0.0 else ExpressionEdit(model, named(name, level))(motion)


def _speech_then_silence(model: PersonMotionModel, dataset: Dataset, seed: int) -> tuple[Motion, int]:
    """(motion of the clip's own held-out speech and silence after it; where the silence begins, frames)."""
    samples = held_out(dataset).samples[: round(SPEECH_S * AUDIO_RATE)].astype(np.float32)
    quiet = np.zeros(round(SILENCE_S * AUDIO_RATE), np.float32)
    motion = drive_whole(model, np.concatenate([samples, quiet]), seed)
    return motion, round(len(samples) / AUDIO_RATE * motion.fps)


def _speech_row(model: PersonMotionModel, spoken: Motion, silent_from: int, name: str) -> dict[str, float | None]:
    shown = shown_opening(_expressed(model, spoken, name, 1.0))
    said = shown_opening(spoken)
    rest, talks = float(said[-1]), np.arange(len(said)) < silent_from
    usual = max(float(said[talks].std()), 1e-4)
    quiet = silent_from + round(SETTLE_S * spoken.fps)
    return {
        "content_corr": measures.content_correlation(shown[talks], said[talks]),
        "closures": measures.closures_kept(shown, said, rest, talks),
        "silence_leakage": measures.silence_leakage(shown[quiet:], usual),
    }


def _row(
    name: str, looks: dict[tuple[str, float], Look], real: Sequence[Float[np.ndarray, "52"]]
) -> dict[str, float | None]:
    neutral = looks["neutral", 0.0]
    if not neutral.scores:
        keys = ("strength", "strength_of_real", "monotonic", "recognised", "recognised_change", "identity")
        return dict.fromkeys(keys)
    zero, wanted = np.mean(neutral.scores, 0), readable(named(name))
    changes = [np.zeros_like(zero)]
    for level in INTENSITIES[1:]:
        scores = looks[name, level].scores
        changes.append(np.mean(scores, 0) - zero if scores else changes[0])
    levels = [measures.strength(change, wanted) for change in changes]
    of_real = [measures.strength_of_real(change, real, wanted) for change in changes]
    return {
        "strength": levels[-1],
        "strength_of_real": of_real[-1],
        "monotonic": measures.spearman(levels if None in of_real else of_real),  # type: ignore[arg-type]
        **judged(name, looks[name, 1.0], neutral),
    }


def judged(name: str, look: Look, neutral: Look) -> dict[str, float | None]:
    """What classifier and identity say of images, against neutral ones of the same person."""
    out: dict[str, float | None] = dict.fromkeys(("recognised", "recognised_change", "identity"))
    if look.classes and neutral.classes and name in CLASSES:
        found = np.array(look.classes)
        own = CLASSES.index(name)
        out["recognised"] = float((found.argmax(1) == own).mean())
        change = np.log(found.mean(0) + 1e-3) - np.log(np.mean(neutral.classes, 0) + 1e-3)
        out["recognised_change"] = float(change[1:].argmax() + 1 == own)
    if look.identities and neutral.identities:
        mean = np.mean(neutral.identities, 0)
        out["identity"] = float(np.mean(look.identities, 0) @ mean / max(float(np.linalg.norm(mean)), 1e-9))
    return out


def _means(rows: dict[str, dict[str, float | None]]) -> dict[str, float | None]:
    out: dict[str, float | None] = {}
    for key in next(iter(rows.values())):
        values = [v for row in rows.values() if (v := row[key]) is not None]
        out[key] = float(np.mean(values)) if values else None
    found = [row["monotonic"] for row in rows.values() if row["monotonic"] is not None]
    out["monotonic_cases"] = float(np.mean([v > 1.0 - 1e-9 for v in found])) if found else None
    return out


def _known_colours(
    dataset: Dataset, spoken: Motion, character: Character
) -> tuple[measures.KnownColours, Callable[[Motion], tuple[slice, slice]]]:
    """Colours of the mouth's box over the training frames, and that box in an image."""
    camera, colours = character.avatar.camera, measures.KnownColours()

    def box(frame: Motion) -> tuple[slice, slice]:
        world = frame.landmarks[0, 48:68] @ frame.head_pose[0, :3, :3].T + frame.head_pose[0, :3, 3]
        points = camera.project(world)
        low, high = points.min(0), points.max(0)
        grow = 0.35 * float((high - low).max())
        x0, y0 = np.clip(low - grow, 0, None).astype(int)
        x1, y1 = (high + grow).astype(int) + 1
        return slice(y0, min(y1, camera.height)), slice(x0, min(x1, camera.width))

    training = train_test_split(dataset)[0]
    for index in training[:: max(1, len(training) // 120)]:
        image = dataset.frame(int(index))
        if image.shape[:2] != (camera.height, camera.width):
            image = cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
        y, x = box(dataset.motion[int(index)])
        colours.add(image[y, x].reshape(-1, 3))
    return colours, box


def _images(path: Path) -> list[UInt8[np.ndarray, "H W 3"]]:
    return list(read_video(path).read())


def real_people(
    judges: Judges,
    clips: Sequence[Path],
    on_progress: OnProgress = silent,
    read: Callable[[Path], list[UInt8[np.ndarray, "H W 3"]]] = _images,
) -> People:
    """What the same judges see in clips of real people.

    The person is what a file's name begins with, up to the first `_`; the expression is a known name within it.
    Raises UserError for a name without one.
    """
    people: People = {}
    for path in track(list(clips), "real people", len(clips), on_progress):
        words = path.stem.lower().split("_")
        aliases = {alias: n for n, r in recipes().items() for alias in (n, *r.aliases)}
        name = next((aliases[w] for w in words if w in aliases), None)
        if name is None:
            raise UserError(f"clip {path.name}", expected="an expression in its name, as in ada_happy.mp4",
                            got=path.stem, remedy="Rename it.")  # fmt: skip
        look = people.setdefault(words[0], {}).setdefault(name, Look())
        images = read(path)
        for image in images[len(images) // 6 :: max(1, len(images) // FRAMES)]:
            look.add(judges, image)
    return people


def changes_of(people: People, name: str) -> list[Float[np.ndarray, "52"]]:
    """How the scores of those who show an expression differ from the same person's neutral ones."""
    return [
        np.mean(looks[name].scores, 0) - np.mean(looks["neutral"].scores, 0)
        for looks in people.values()
        if name in looks and looks[name].scores and "neutral" in looks and looks["neutral"].scores
    ]


def real_rows(people: People) -> dict[str, Any]:
    """Their rows, by emotion; `strength_of_real` is against the others of them."""
    rows: dict[str, Any] = {}
    for name in emotion_names():
        changes, wanted, found = changes_of(people, name), readable(named(name)), []
        shown = [looks for looks in people.values() if changes_of({"": looks}, name)]
        for i, (looks, change) in enumerate(zip(shown, changes, strict=True)):
            others = changes[:i] + changes[i + 1 :]
            powers = measures.strength(change, wanted), measures.strength_of_real(change, others, wanted)
            rest = judged(name, looks[name], looks["neutral"])
            found.append({"strength": powers[0], "strength_of_real": powers[1], **rest})
        if found:
            rows[name] = {
                key: float(np.mean(values)) if (values := [f[key] for f in found if f[key] is not None]) else None
                for key in found[0]
            }
    return rows

"""`gtalk eval`: everything that is measured about an avatar, on the end of its clip that no trainer saw.

Images are scored as rendered, at the size the avatar was fitted at, before any encoder. Nothing of the
truth is pasted in, except under `peer_protocol`, which says so. What could not be measured is None.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gtalk.avatar.bundle import read_avatar_json
from gtalk.dataset.format import Dataset
from gtalk.dataset.split import train_test_split
from gtalk.errors import UserError
from gtalk.eval.config import EvalConfig
from gtalk.eval.emotion.run import measure_expressions, open_emotion_judges
from gtalk.eval.emotion.scores import open_reader
from gtalk.eval.evaluator import Evaluator, Metrics
from gtalk.eval.frames import Scores, Truth
from gtalk.eval.lips import HeldOut, audio_driven_row, cleaned, held_out, predict, real_row, spread, with_true_head
from gtalk.eval.motion import aperture, aperture_correlation, lip_distance, lmd_ratio
from gtalk.eval.perceptual import load_lpips
from gtalk.eval.sync import load_syncnet
from gtalk.eval.voices import measure_voices, training_motion
from gtalk.motion.model.model import PersonMotionModel
from gtalk.progress import OnProgress, silent, track
from gtalk.shapes import UInt8
from gtalk.talk import Character, MotionFrame, Talker, load_character
from gtalk.types import Motion

_N_TRAINING = 24  # training frames that are scored too: the gap to the held-out ones is overfitting
_N_WORST = 5
_NO_SOUND = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Example:
    """A held-out frame to look at."""

    label: str
    index: int
    psnr_head: float
    truth: UInt8[np.ndarray, "H W 3"]
    render: UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True)
class Curve:
    """Values over the held-out part."""

    title: str
    times_s: list[float]
    """Since the clip's beginning."""
    lines: dict[str, list[float]]


class Evaluation(dict):
    """The numbers, as plain JSON values; what a report shows beside them hangs on as attributes."""

    examples: list[Example]
    curves: list[Curve]
    film: bytes | None
    """truth | tracked motion | difference (| mouth from sound), as mp4."""
    film_panels: int


def evaluate(
    avatar_folder: Path, dataset_folder: Path, config: EvalConfig | None = None, on_progress: OnProgress = silent
) -> Evaluation:
    """Measure an avatar on the held-out part of the dataset it was fitted to. Keys: DESIGN.md, "Commands".

    Raises UserError when a folder is not what it should be or nothing is held out.
    """
    facts = read_avatar_json(Path(avatar_folder))
    character = load_character(Path(avatar_folder)).to((config or EvalConfig()).device)
    result = evaluate_character(character, Dataset(Path(dataset_folder)), config, on_progress)
    result["speed"]["fit_s"] = _number(_inside(facts["provenance"].get("metrics"), "fit_s"))
    result["speed"]["motion_s"] = _number(_inside(getattr(character.motion_model, "facts", None), "train_s"))
    result["avatar"] = {"kind": facts["kind"], "id": character.identity.avatar_id}
    return result


def evaluate_character(
    character: Character, dataset: Dataset, config: EvalConfig | None = None, on_progress: OnProgress = silent
) -> Evaluation:
    """`evaluate` with an avatar that is already loaded. Raises UserError as it does."""
    config = config or EvalConfig()
    truth = Truth(dataset, dataset.camera.resized(character.avatar.camera.width, character.avatar.camera.height))
    training, testing = train_test_split(dataset)
    if not len(testing):
        raise UserError(f"dataset {dataset.root}", expected="frames with a face in its last part", got="none",
                        remedy="Use a longer clip.")  # fmt: skip
    testing = _spread(testing, config.max_frames)
    judges = open_judges(config)
    if config.expression:
        open_emotion_judges(config).close()  # what is wrong with them is said before minutes of rendering
    talker = character.talker(fps=dataset.fps, seed=config.seed)
    part = held_out(dataset)

    run = _Run(talker, truth, on_progress)
    seen = Scores()
    for index, true, shown in run.frames(_spread(training, _N_TRAINING), "training frames"):
        seen.add(index, shown, true, truth)
    predicted, motion_s = predict(talker, part) if character.motion_model is not None else (None, None)
    watch = Evaluator(truth, part, judges)
    mixed = with_true_head(predicted, part.truth) if predicted is not None else None
    for index, true, shown in run.frames(testing, "held-out frames"):
        watch.add(index, true, shown, run.draw(mixed[index - part.first]) if mixed is not None else None)
    if judges.reader is not None:
        judges.reader.close()

    result = Evaluation()
    result["self_driven"] = watch.self_driven()
    result["training_frames"] = seen.mean()
    result["audio_driven"] = {**_lips(predicted, part, truth), **watch.audio_driven()}
    result["audio_driven_images"] = watch.audio_driven_images()
    result["audio_driven_stretches"] = {} if predicted is None else spread(predicted, part.truth, part.mean_mouth)
    result["peer_protocol"] = {**watch.peer_protocol(), "lmd_px": result["audio_driven"]["lmd_px"]}
    result["real"] = {**real_row(dataset, part), **watch.real()}
    result["clips"] = _clips(watch.driven.scores, dataset, predicted, part)
    result["speed"] = _speed(run, dataset, part, motion_s)
    if config.voices and isinstance(character.motion_model, PersonMotionModel):
        result["voices"] = measure_voices(character.motion_model, training_motion(dataset), on_progress)
    if config.expression:
        result["expression"] = measure_expressions(character, dataset, config, on_progress)
    result["clip"] = _clip(dataset, truth, testing, part)
    result.examples = run.examples(dataset.motion, watch.driven.scores)
    result.curves = _curves(watch, predicted, part)
    result.film_panels, result.film = watch.film.n_panels, watch.film.finish()
    return result


def open_judges(config: EvalConfig) -> Metrics:
    """The networks that the config names, opened before minutes of rendering. Raises UserError."""
    return Metrics(
        load_lpips(config.lpips) if config.lpips is not None else None,
        load_syncnet(config.syncnet) if config.syncnet is not None else None,
        open_reader(),
    )


@dataclass
class _Run:
    """Draws frames one at a time, through the only inference path, and keeps the times."""

    talker: Talker
    truth: Truth
    on_progress: OnProgress
    frame_ms: list[float] = field(default_factory=list)

    def draw(self, motion: Motion) -> UInt8[np.ndarray, "H W 3"]:
        start_s = time.perf_counter()
        rgb = self.talker.draw([MotionFrame(0.0, motion, _NO_SOUND)])[0].rgb
        self.frame_ms.append((time.perf_counter() - start_s) * 1e3)
        return rgb

    def frames(self, indices: np.ndarray, stage: str) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """(number, real image, image from the tracked motion) of frames of the clip."""
        motion = self.truth.dataset.motion
        for index in track(indices.tolist(), stage, len(indices), self.on_progress):
            yield index, self.truth.image(index), self.draw(motion[index])

    def examples(self, motion: Motion, scores: Scores) -> list[Example]:
        """Best, median and worst frames by the head's PSNR."""
        order = np.argsort(scores.psnr["head"])[::-1]
        places = {int(order[0]): "best", int(order[len(order) // 2]): "median"}
        for rank, place in enumerate(order[::-1][:_N_WORST], start=1):
            places.setdefault(int(place), "worst" if rank == 1 else f"worst {rank}")
        return [
            Example(label, scores.frames[i], scores.psnr["head"][i], self.truth.image(scores.frames[i]),
                    self.draw(motion[scores.frames[i]]))
            for i, label in places.items()
        ]  # fmt: skip


def _lips(predicted: Motion | None, part: HeldOut, truth: Truth) -> dict[str, float | None]:
    if predicted is None:
        return dict.fromkeys(audio_driven_row(part.truth, part, truth))
    return audio_driven_row(predicted, part, truth)


def _clips(
    driven: Scores, dataset: Dataset, predicted: Motion | None, part: HeldOut
) -> dict[str, dict[str, float | None]]:
    """The main measures of each clip that has a share in the held-out part."""
    table: dict[str, dict[str, float | None]] = {}
    for source in dict.fromkeys(segment.source for segment in dataset.segments):
        own = [s for s in dataset.segments if s.source == source and s.stop > part.first]
        if not own:
            continue
        start, stop = max(part.first, own[0].start), own[-1].stop
        psnr = {f"psnr_{name}": value for name, value in driven.mean_psnr(start, stop).items()}
        table[source] = {"frames": float(stop - start), **psnr}
        if predicted is not None:
            made, true = (m[start - part.first : stop - part.first] for m in (predicted, part.truth))
            row = {
                "lmd_ratio": lmd_ratio(made, true, part.mean_mouth),
                "aperture_corr": aperture_correlation(made, true),
            }
            table[source] |= cleaned(row)
    return table


def _speed(run: _Run, dataset: Dataset, part: HeldOut, motion_s: float | None) -> dict[str, float | None]:
    stages = dataset.manifest.get("stages", {}).values()
    prepare_s = sum(_number(stage.get("seconds")) or 0.0 for stage in stages)
    times = run.frame_ms[2:] or run.frame_ms  # the first frames fill caches
    heard_s = len(part.lead) / 16_000 + len(part.truth) / dataset.fps
    gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else 0
    return {
        "prepare_s_per_clip_s": prepare_s / (dataset.n_frames / dataset.fps) if prepare_s else None,
        "fit_s": None,
        "motion_s": None,
        "motion_ms_per_s": None if motion_s is None else motion_s * 1e3 / max(heard_s, 1e-9),
        "frame_ms_p50": float(np.percentile(times, 50)),
        "frame_ms_p95": float(np.percentile(times, 95)),
        "peak_rss_mb": _peak_rss_mb(),
        "peak_gpu_mb": gpu / 2**20 if gpu else None,
    }


def _peak_rss_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _clip(dataset: Dataset, truth: Truth, testing: np.ndarray, part: HeldOut) -> dict[str, Any]:
    return {
        "n_frames": dataset.n_frames,
        "fps": dataset.fps,
        "first_held_out_frame": part.first,
        "n_scored": len(testing),
        "width": truth.camera.width,
        "height": truth.camera.height,
    }


def _curves(watch: Evaluator, predicted: Motion | None, part: HeldOut) -> list[Curve]:
    fps = part.truth.fps
    frames = watch.driven.scores.frames
    head = {"tracked motion": watch.driven.scores.psnr["head"]}
    mouth = {"tracked motion": watch.driven.scores.psnr["mouth"]}
    lips = {"real": (aperture(part.truth) * 1e3).tolist()}
    if predicted is not None:
        head["mouth from sound"] = watch.said.scores.psnr["head"]
        mouth["mouth from sound"] = watch.said.scores.psnr["mouth"]
        lips["from sound"] = (aperture(predicted) * 1e3).tolist()
    at = [frame / fps for frame in frames]
    everywhere = [(part.first + i) / fps for i in range(len(part.truth))]
    curves = [
        Curve("PSNR of the whole image, dB", at, {"tracked motion": watch.driven.scores.psnr["full"]}),
        Curve("PSNR of the head, dB", at, head),
        Curve("PSNR of the mouth, dB", at, mouth),
        Curve("Opening of the mouth, mm", everywhere, lips),
    ]
    if predicted is not None:
        distance = lip_distance(predicted, part.truth).tolist()
        curves.append(
            Curve("Lip landmarks from sound, distance in % of the eyes", everywhere, {"from sound": distance})
        )
    return curves


def _spread(indices: np.ndarray, count: int | None) -> np.ndarray:
    if count is None or len(indices) <= count:
        return indices
    return indices[np.unique(np.linspace(0, len(indices) - 1, count).round().astype(int))]


def _inside(mapping: Any, name: str) -> Any:
    return mapping.get(name) if isinstance(mapping, dict) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None

"""`gtalk eval`: everything that is measured about an avatar, on the end of its clip that no trainer saw.

Pictures are scored as rendered, at the size the avatar was fitted at, before any encoder. Nothing of the
truth is pasted in, except under `peer_protocol`, which says so. What could not be measured is None.
"""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gtalk.avatar.bundle import read_avatar_json
from gtalk.dataset.format import Dataset
from gtalk.dataset.split import train_test_split
from gtalk.errors import UserError
from gtalk.eval.image import Flicker, load_lpips
from gtalk.eval.lips import HeldOut, audio_driven_row, held_out, predict, real_row, with_true_head
from gtalk.eval.pictures import Scores, Truth
from gtalk.progress import OnProgress, silent, track
from gtalk.shapes import UInt8
from gtalk.talk import Moment, Performer, Talker, load_performer
from gtalk.types import Motion

_N_TRAINING = 24  # training frames that are scored too: the gap to the held-out ones is overfitting
_N_WORST = 5
_NO_SOUND = np.zeros(0, np.float32)


@dataclass(frozen=True)
class EvalConfig:
    """What is measured."""

    max_frames: int | None = None
    """Score at most so many held-out frames, evenly spread; all by default."""
    seed: int = 0
    """Chooses the head motion that the motion model adds."""
    lpips: Path | None = None
    """TorchScript file of a perceptual distance of two pictures."""


@dataclass(frozen=True)
class Example:
    """A held-out frame to look at."""

    label: str
    index: int
    psnr_head: float
    truth: UInt8[np.ndarray, "H W 3"]
    render: UInt8[np.ndarray, "H W 3"]


class Evaluation(dict):
    """The numbers, as plain JSON values; what a report shows beside them hangs on as attributes."""

    examples: list[Example]
    curves: dict[str, dict[str, list[float]]]
    """Title -> name -> one value a held-out frame."""


def evaluate(
    avatar_folder: Path, dataset_folder: Path, config: EvalConfig | None = None, on_progress: OnProgress = silent
) -> Evaluation:
    """Measure an avatar on the held-out part of the dataset it was fitted to. Keys: DESIGN.md, "Commands".

    Raises UserError when a folder is not what it should be or nothing is held out.
    """
    facts = read_avatar_json(Path(avatar_folder))
    performer = load_performer(Path(avatar_folder))
    result = evaluate_performer(performer, Dataset(Path(dataset_folder)), config, on_progress)
    result["speed"]["fit_s"] = _number(facts["provenance"].get("metrics", {}).get("fit_s"))
    result["speed"]["motion_s"] = _number(getattr(performer.motion_model, "facts", {}).get("train_s"))
    result["avatar"] = {"kind": facts["kind"], "id": performer.identity.avatar_id}
    return result


def evaluate_performer(
    performer: Performer, dataset: Dataset, config: EvalConfig | None = None, on_progress: OnProgress = silent
) -> Evaluation:
    """`evaluate` with an avatar that is already loaded."""
    config = config or EvalConfig()
    truth = Truth(dataset, dataset.camera.resized(performer.avatar.camera.width, performer.avatar.camera.height))
    training, testing = train_test_split(dataset)
    if not len(testing):
        raise UserError(f"dataset {dataset.root}", expected="frames with a face in its last part", got="none",
                        remedy="Use a longer clip.")  # fmt: skip
    testing = _spread(testing, config.max_frames)
    lpips = load_lpips(config.lpips) if config.lpips is not None else None
    talker = performer.talker(fps=dataset.fps, seed=config.seed)
    part = held_out(dataset)

    run = _Run(talker, truth, on_progress)
    driven, flicker = Scores(lpips), Flicker()
    run.score(dataset.motion, testing, 0, driven, flicker, "self-driven")
    seen = Scores()
    run.score(dataset.motion, _spread(training, _N_TRAINING), 0, seen, None, "training frames")
    predicted, motion_s = predict(talker, part) if performer.motion_model is not None else (None, None)
    made, real = flicker.values()

    result = Evaluation()
    result["self_driven"] = {**driven.mean(), "flicker": made}
    result["training_frames"] = seen.mean()
    result["audio_driven"] = _audio_driven(predicted, part, truth)
    result["peer_protocol"] = _peer_protocol(run, predicted, part, testing, lpips)
    result["real"] = {**real_row(dataset, part), "flicker": real}
    result["speed"] = _speed(run, dataset, part, motion_s)
    result["clip"] = _clip(dataset, truth, testing, part)
    result.examples = run.examples(dataset.motion, driven)
    result.curves = _curves(driven, predicted, part)
    return result


@dataclass
class _Run:
    """Draws frames one at a time, through the only inference path, and keeps the times."""

    talker: Talker
    truth: Truth
    on_progress: OnProgress
    frame_ms: list[float] = field(default_factory=list)

    def draw(self, motion: Motion) -> UInt8[np.ndarray, "H W 3"]:
        start_s = time.perf_counter()
        rgb = self.talker.draw([Moment(0.0, motion, _NO_SOUND)])[0].rgb
        self.frame_ms.append((time.perf_counter() - start_s) * 1e3)
        return rgb

    def score(
        self, motion: Motion, indices: np.ndarray, offset: int, scores: Scores, flicker: Flicker | None, stage: str,
        pasted: bool = False,
    ) -> None:  # fmt: skip
        """Score frames `indices` of the clip; frame i of it is frame i - offset of `motion`."""
        starts = {segment.start for segment in self.truth.dataset.segments}
        last = None
        for index in track(indices.tolist(), stage, len(indices), self.on_progress):
            true = self.truth.picture(index)
            shown = self.draw(motion[index - offset])
            if pasted:
                shown = np.where(self.truth.head(index)[..., None], shown, true)
            scores.add(index, shown, true, self.truth)
            if flicker is not None:
                if last != index - 1 or index in starts:
                    flicker.cut()
                flicker.add(shown, true)
            last = index

    def examples(self, motion: Motion, scores: Scores) -> list[Example]:
        """Best, median and worst frames by the head's PSNR."""
        order = np.argsort(scores.psnr["head"])[::-1]
        places = {int(order[0]): "best", int(order[len(order) // 2]): "median"}
        for rank, place in enumerate(order[::-1][:_N_WORST], start=1):
            places.setdefault(int(place), "worst" if rank == 1 else f"worst {rank}")
        return [
            Example(label, scores.frames[i], scores.psnr["head"][i], self.truth.picture(scores.frames[i]),
                    self.draw(motion[scores.frames[i]]))
            for i, label in places.items()
        ]  # fmt: skip


def _audio_driven(predicted: Motion | None, part: HeldOut, truth: Truth) -> dict[str, float | None]:
    if predicted is None:
        return dict.fromkeys(audio_driven_row(part.truth, part, truth))
    return audio_driven_row(predicted, part, truth)


def _peer_protocol(
    run: _Run, predicted: Motion | None, part: HeldOut, testing: np.ndarray, lpips: Any
) -> dict[str, Any]:
    """What published tables hold: the mouth from sound, everything else of the head and all around it the truth's."""
    note = "true pose, eyes, torso and background pasted in; mouth from sound"
    if predicted is None:
        return {"psnr": None, "ssim": None, "lmd_px": None, "note": note}
    scores = Scores(lpips)
    run.score(with_true_head(predicted, part.truth), testing, part.first, scores, None, "peer protocol", pasted=True)
    full = scores.mean()["full"]
    lmd = audio_driven_row(predicted, part, run.truth)["lmd_px"]
    return {"psnr": full["psnr"], "ssim": full["ssim"], "lpips": full["lpips"], "lmd_px": lmd, "note": note}


def _speed(run: _Run, dataset: Dataset, part: HeldOut, motion_s: float | None) -> dict[str, float | None]:
    stages = dataset.manifest.get("stages", {}).values()
    prepare_s = sum(stage.get("seconds", 0.0) for stage in stages)
    times = run.frame_ms[2:] or run.frame_ms  # the first frames fill caches
    heard_s = len(part.lead) / 16_000 + len(part.truth) / dataset.fps
    gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else 0
    unit = 1 if sys.platform == "darwin" else 1024  # what ru_maxrss counts in
    return {
        "prepare_s_per_clip_s": prepare_s / (dataset.n_frames / dataset.fps) if prepare_s else None,
        "fit_s": None,
        "motion_s": None,
        "motion_ms_per_s": None if motion_s is None else motion_s * 1e3 / max(heard_s, 1e-9),
        "frame_ms_p50": float(np.percentile(times, 50)),
        "frame_ms_p95": float(np.percentile(times, 95)),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20,
        "peak_gpu_mb": gpu / 2**20 if gpu else None,
    }


def _clip(dataset: Dataset, truth: Truth, testing: np.ndarray, part: HeldOut) -> dict[str, Any]:
    return {
        "n_frames": dataset.n_frames,
        "fps": dataset.fps,
        "first_held_out_frame": part.first,
        "n_scored": len(testing),
        "width": truth.camera.width,
        "height": truth.camera.height,
    }


def _curves(driven: Scores, predicted: Motion | None, part: HeldOut) -> dict[str, dict[str, list[float]]]:
    from gtalk.eval.motion import aperture

    curves = {"PSNR of held-out frames, dB": {name: list(values) for name, values in driven.psnr.items()}}
    lips = {"real": (aperture(part.truth) * 1e3).tolist()}
    if predicted is not None:
        lips["from sound"] = (aperture(predicted) * 1e3).tolist()
    curves["Opening of the mouth, mm"] = lips
    return curves


def _spread(indices: np.ndarray, count: int | None) -> np.ndarray:
    if count is None or len(indices) <= count:
        return indices
    return indices[np.unique(np.linspace(0, len(indices) - 1, count).round().astype(int))]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None

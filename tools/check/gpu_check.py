"""The steps of tools/gpu_check.sh after the build, each within its time, and one JSON with everything."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import torch

from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import load_avatar
from gtalk.compute.device import Device
from gtalk.dataset.format import Dataset
from gtalk.dataset.split import train_test_split
from gtalk.files import write_json
from gtalk.fit import run
from gtalk.fit.events import DoneEvent, StartEvent
from gtalk.media.audio import read_audio, write_wav
from gtalk.motion.training.train import MotionConfig, train_motion
from gtalk.talk import load_character
from gtalk.talk.pixels import byte_images
from gtalk.types import AUDIO_RATE, AudioTrack

CONSENT = Consent("gpu check", "A measurement; the avatar is deleted.")
BATCH = 32


@dataclasses.dataclass(frozen=True)
class Check:
    """What is checked, and how large."""

    dataset: Path
    work: Path
    device: Device = "cuda"
    speech_s: float = 20.0
    frames: int = 256
    """Drawn for the frame rate."""
    motion: MotionConfig = dataclasses.field(
        default_factory=lambda: dataclasses.replace(MotionConfig(), phones=False, validation_share=0.0)
    )
    fits: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Configs by renderer."""
    judged: int = 60
    """Frames that `eval` looks at."""

    def character(self) -> Any:
        """The Gaussian avatar of the fit, with the motion model of its step."""
        return load_character(self.work / "gaussian").to(self.device)

    def speech(self, seconds: float) -> np.ndarray:
        """The clip's own, at AUDIO_RATE, repeated where it is short."""
        sound = read_audio(self.dataset / "audio.wav").samples
        return np.resize(sound, int(seconds * AUDIO_RATE))


def ops(check: Check) -> dict[str, Any]:
    """Counts of the operators' tests."""
    report, on_gpu = check.work / "ops.xml", check.device == "cuda"
    files = ["tests/ops"] if on_gpu else ["tests/ops/test_splat_frames.py"]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-o", "addopts=", "-qp", "no:cacheprovider", *files, f"--junitxml={report}"]
        + (["-k", "cuda"] if on_gpu else []),
        env={**os.environ, "GTALK_REQUIRE_CUDA": "1" if on_gpu else "0"}, check=False, capture_output=True, timeout=80,
    )  # fmt: skip
    suite = next(ElementTree.parse(report).getroot().iter("testsuite"))
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    if counts["failures"] or counts["errors"]:
        names = [
            case.get("name") for case in suite.iter("testcase") if len(case) and case[0].tag in ("failure", "error")
        ]
        raise RuntimeError(f"{counts}: {', '.join(map(str, names[:8]))}")
    return counts


def bench(check: Check) -> dict[str, Any]:
    """Milliseconds of every operator."""
    if check.device != "cuda":
        return {"left out": "a processor's figures are tools/bench/ops.py's own"}
    out = check.work / "bench.json"
    subprocess.run(
        [sys.executable, "tools/bench/ops.py", "--json", str(out)], check=True, capture_output=True, timeout=40
    )
    return json.loads(out.read_text())


def fit(check: Check, renderer: str) -> dict[str, Any]:
    """A fit, its speed, and PSNR of frames that it did not see."""
    config = check.fits.get(renderer) or run.load_config(renderer, "gpu")
    trainer = dataclasses.replace(config.trainer, preview_every=0, checkpoint_every=0)
    if renderer == "radiance" and check.device == "cuda":
        trainer = dataclasses.replace(trainer, steps=1000)
    config = dataclasses.replace(config, trainer=trainer, device=check.device)
    begin, backend = time.perf_counter(), ""
    for event in run.fit(check.dataset, check.work / renderer, renderer, config, CONSENT):
        if isinstance(event, StartEvent):
            backend = event.backend
        if isinstance(event, DoneEvent):
            metrics = event.metrics
    fit_s = time.perf_counter() - begin
    avatar, dataset = load_avatar(check.work / renderer).to(torch.device(check.device)), Dataset(check.dataset)
    size = (avatar.camera.width, avatar.camera.height)
    errors = []
    for index in train_test_split(dataset)[1][:60]:
        rgb, _ = byte_images(avatar, dataset.motion[int(index)], None, None, "plate").wait()
        truth = dataset.frame(int(index))
        truth = truth if truth.shape[1::-1] == size else cv2.resize(truth, size, interpolation=cv2.INTER_AREA)
        errors.append(((rgb[0].astype(np.float64) - truth) ** 2).mean() / 255.0**2)
    peak = torch.cuda.max_memory_allocated() / 1e6 if check.device == "cuda" else None
    return {
        "backend": backend, "fit_s": fit_s, "steps_a_second": metrics["steps"] / metrics["fit_s"], "metrics": metrics,
        "held_out_psnr": float(np.mean(-10 * np.log10(errors))), "peak_gpu_mb": peak,
    }  # fmt: skip


def frames(check: Check) -> dict[str, Any]:
    """How quickly both avatars draw, who waits for whom, and whether a processor draws the same."""
    out: dict[str, Any] = {}
    motion = Dataset(check.dataset).motion
    for renderer in ("gaussian", "radiance"):
        if not (check.work / renderer / "avatar.json").is_file():
            continue
        here = load_avatar(check.work / renderer)
        avatar = here.to(torch.device(check.device))
        size = (here.camera.width, here.camera.height)

        def draw(count: int, start: int = 0, avatar: Any = avatar) -> Any:
            return byte_images(avatar, motion[start : start + count], None, None, "plate")

        batch = min(BATCH, len(motion))
        draw(batch).wait()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            _watch(check, "warn")
            pending = draw(batch)
            _watch(check, "default")
        pending.wait()
        begin, done = time.perf_counter(), 0
        while done < check.frames:
            drawn = draw(batch)
            pending.wait()
            pending, done = drawn, done + batch
        pending.wait()
        fps = done / (time.perf_counter() - begin)
        single = []
        for index in range(min(60, check.frames)):
            begin = time.perf_counter()
            draw(1, index % len(motion)).wait()
            single.append((time.perf_counter() - begin) * 1e3)
        wanted = byte_images(here, motion[:2], None, None, "plate").wait()[0].astype(int)
        difference = np.abs(draw(2).wait()[0].astype(int) - wanted)
        out[renderer] = {
            "size": size, "fps": fps, "frame_ms_p50": float(np.percentile(single, 50)),
            "frame_ms_p95": float(np.percentile(single, 95)),
            "waits": {"count": len(told), "frames": batch, "where": sorted({f"{w.filename}:{w.lineno}" for w in told})},
            "parity_levels": {"largest": int(difference.max()), "mean": float(difference.mean())},
        }  # fmt: skip
    return out


def _watch(check: Check, mode: str) -> None:
    """Torch tells where the host waits for the GPU."""
    if check.device == "cuda":
        torch.cuda.set_sync_debug_mode(mode)


def motion(check: Check) -> dict[str, Any]:
    """A motion model for the Gaussian avatar."""
    begin = time.perf_counter()
    train_motion(check.dataset, check.work / "gaussian", check.motion, device=check.device)
    return {"train_s": time.perf_counter() - begin}


def live(check: Check) -> dict[str, Any]:
    """What a tick of a session takes."""
    session, sound = check.character().talker(lookahead="live").session(), check.speech(check.speech_s)
    ticks, count = [], 0
    for start in range(0, len(sound) - 640, 640):
        begin = time.perf_counter()
        count += len(session.push(sound[start : start + 640]))
        ticks.append((time.perf_counter() - begin) * 1e3)
    p50, p95 = (float(np.percentile(ticks, share)) for share in (50, 95))
    return {"frames": count, "tick_ms_p50": p50, "tick_ms_p95": p95}


def dub(check: Check) -> dict[str, Any]:
    """Speech to a video, and whether a processor makes the same one."""
    from gtalk.dub.config import DubConfig
    from gtalk.dub.render import render_dub
    from gtalk.media.video import read_video

    sound = check.work / "speech.wav"
    write_wav(sound, AudioTrack(check.speech(check.speech_s), AUDIO_RATE))
    batch = BATCH if check.device == "cuda" else 1
    config = DubConfig(batch=batch, device=check.device, overwrite=True)
    result = render_dub(check.character(), sound, check.work / "there.mp4", config)
    short = check.work / "short.wav"
    write_wav(short, AudioTrack(check.speech(1.0), AUDIO_RATE))
    images = []
    for device in dict.fromkeys((check.device, "cpu")):
        character = load_character(check.work / "gaussian").to(device)
        path = check.work / f"{device}.mkv"
        render_dub(character, short, path, dataclasses.replace(config, codec="lossless"))
        images.append(np.stack(list(read_video(path, retime=False))).astype(int))
    difference = np.abs(images[0] - images[-1])
    return {
        "fps": result.n_frames / result.wall_s, "frames": result.n_frames, "motion_s": result.motion_s,
        "draw_s": result.draw_s, "encode_s": result.encode_s,
        "parity_levels": {"largest": int(difference.max()), "mean": float(difference.mean())},
    }  # fmt: skip


def batch(check: Check) -> dict[str, Any]:
    """Several dubs at once."""
    from gtalk.dub import run_batch

    count, seconds, lines = 4, min(8.0, check.speech_s), []
    for i in range(count):
        path = check.work / f"job{i}.wav"
        write_wav(path, AudioTrack(np.roll(check.speech(seconds), 4000 * i), AUDIO_RATE))
        job = {
            "avatar": check.work / "gaussian",
            "audio": path,
            "output": path.with_suffix(".mp4"),
            "device": check.device,
        }
        lines.append({name: str(value) for name, value in job.items()})
    jobs = check.work / "jobs.jsonl"
    jobs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    begin = time.perf_counter()
    result = run_batch(jobs, workers=None if check.device == "cuda" else 1, resume=False)
    wall_s = time.perf_counter() - begin
    if result.n_failed:
        raise RuntimeError(result.table())
    return {"jobs": count, "wall_s": wall_s, "speech_seconds_a_second": count * seconds / wall_s}


def eval_(check: Check) -> dict[str, Any]:
    """What `gtalk eval` measures, on the device."""
    from gtalk.eval.config import EvalConfig
    from gtalk.eval.run import evaluate

    begin = time.perf_counter()
    config = dataclasses.replace(EvalConfig(), device=check.device, max_frames=check.judged)
    result = evaluate(check.work / "gaussian", check.dataset, config)
    return {"wall_s": time.perf_counter() - begin, "keys": sorted(result), "self_driven": result.get("self_driven")}


STEPS: dict[str, Callable[[Check], dict[str, Any]]] = {
    "ops": ops,
    "bench": bench,
    "gaussian": lambda check: fit(check, "gaussian"),
    "radiance": lambda check: fit(check, "radiance"),
    "frames": frames,
    "motion": motion,
    "live": live,
    "dub": dub,
    "batch": batch,
    "eval": eval_,
}


def carry_out(check: Check, limit_s: float, out: Path, steps: dict[str, Callable] | None = None) -> dict[str, Any]:
    """All steps; the result is written after each, so that a run that is cut leaves what it has."""
    began = time.perf_counter()
    on_gpu = check.device == "cuda" and torch.cuda.is_available()
    result: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if on_gpu else "processor",
        "torch": torch.__version__, "cuda": torch.version.cuda, "limit_s": limit_s, "steps": {},
    }  # fmt: skip
    for name, step in (steps or STEPS).items():
        begin = time.perf_counter()
        if begin - began >= limit_s:
            result["steps"][name] = {"left out": f"{limit_s:g} s were over"}
            continue
        try:
            facts = step(check)
        except Exception as error:  # one step's failure must not hide the others' figures
            facts = {"error": f"{type(error).__name__}: {error}"}
        result["steps"][name] = {**facts, "took_s": round(time.perf_counter() - begin, 2)}
        print(f"{name}: {result['steps'][name].get('error', 'done')} ({time.perf_counter() - begin:.0f} s)", flush=True)
        write_json(out, {**result, "summary": summary(result["steps"])})
    result |= {"took_s": round(time.perf_counter() - began, 2), "summary": summary(result["steps"])}
    write_json(out, result)
    return result


def summary(steps: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The figures that one asks for first; None where a step did not get there."""
    drawn, dubbed = steps.get("frames", {}), steps.get("dub", {})
    kinds = ("gaussian", "radiance")
    return {
        "fps": {kind: drawn.get(kind, {}).get("fps") for kind in kinds} | {"dub": dubbed.get("fps")},
        "frame_ms": {kind: drawn.get(kind, {}).get("frame_ms_p50") for kind in kinds}
        | {"live": steps.get("live", {}).get("tick_ms_p50")},
        "fit_s": {kind: steps.get(kind, {}).get("fit_s") for kind in kinds},
        "held_out_psnr": {kind: steps.get(kind, {}).get("held_out_psnr") for kind in kinds},
        "parity": {kind: drawn.get(kind, {}).get("parity_levels") for kind in kinds}
        | {"dub": dubbed.get("parity_levels")},
        "waits": {kind: drawn.get(kind, {}).get("waits", {}).get("count") for kind in kinds},
        "failed": [name for name, facts in steps.items() if "error" in facts],
        "left_out": [name for name, facts in steps.items() if "left out" in facts],
    }


def small(work: Path) -> Check:
    """A check of a minute, on a processor, of a person who is drawn."""
    from gtalk.config import from_mapping
    from gtalk.fit.gaussian.model import FitConfig
    from tests.fit.small_fit import small_config
    from tests.motion.talking import SMALL
    from tests.support.synthetic_dataset import make_synthetic_dataset

    dataset = make_synthetic_dataset(work / "dataset", n_frames=150, size=48)
    trainer = {"size": 48, "steps": 8, "preview_every": 0, "checkpoint_every": 0}
    gaussian = from_mapping(FitConfig, {"avatar": {"count": 500}, "trainer": trainer})
    hurried = dataclasses.replace(SMALL.fit, steps=4, batch=2, crop_frames=16)
    training = dataclasses.replace(SMALL, fit=hurried, validation_share=0.0)
    fits = {"gaussian": gaussian, "radiance": small_config(steps=4)}
    return Check(dataset.root, work, "cpu", 1.2, 4, training, fits, 4)


def main() -> None:
    """See tools/gpu_check.sh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path, nargs="?")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=float, default=480.0)
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args()
    if not args.dry_run and args.dataset is None:
        parser.error("a dataset, or --dry-run")
    result = carry_out(small(args.work) if args.dry_run else Check(args.dataset, args.work), args.limit, args.out)
    print(json.dumps(result["summary"], indent=2))
    sys.exit(1 if result["summary"]["failed"] else 0)


if __name__ == "__main__":
    main()

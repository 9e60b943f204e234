"""The second half of tools/gpu_check.sh: short fits, frame times, and one JSON with everything."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch

from gtalk.avatar.base import Consent
from gtalk.dataset.format import Dataset
from gtalk.dataset.split import train_test_split
from gtalk.fit import run
from gtalk.fit.events import DoneEvent


def op_tests(report: Path) -> dict[str, int]:
    """Counts of the op tests' junit report."""
    if not report.is_file():
        return {}
    suite = next(ElementTree.parse(report).getroot().iter("testsuite"))
    return {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}


def fit_and_time(renderer: str, dataset_path: Path, work: Path) -> dict[str, object]:
    """A fit with the gpu preset, held-out PSNR, and the time of single frames."""
    dataset = Dataset(dataset_path)
    consent = Consent("gpu check", "A measurement; the avatar is deleted.")
    begin = time.perf_counter()
    done = [
        event
        for event in run.fit(dataset_path, work / renderer, renderer, run.load_config(renderer, "gpu"), consent)
        if isinstance(event, DoneEvent)
    ][-1]
    fit_s = time.perf_counter() - begin
    held_out = train_test_split(dataset)[1]
    camera = done.avatar.camera
    truth_size = (camera.width, camera.height)
    errors, times_ms = [], []
    for index in held_out[:100]:
        begin = time.perf_counter()
        image = done.avatar.render(dataset.motion[int(index)]).rgb[0]
        if image.is_cuda:
            torch.cuda.synchronize()
        times_ms.append((time.perf_counter() - begin) * 1e3)
        truth = torch.from_numpy(_resized(dataset.frame(int(index)), truth_size)).float() / 255
        errors.append(float(((image.cpu() - truth) ** 2).mean()))
    return {
        "fit_s": fit_s,
        "metrics": done.metrics,
        "held_out_psnr": float(np.mean(-10 * np.log10(errors))),
        "frame_ms_p50": float(np.percentile(times_ms[5:], 50)),
        "frame_ms_p95": float(np.percentile(times_ms[5:], 95)),
        "size": truth_size,
        "peak_gpu_mb": torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else None,
    }


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import cv2

    return image if image.shape[1::-1] == size else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def main() -> None:
    """See tools/gpu_check.sh."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    bench = args.work / "bench_ops.json"
    result: dict[str, object] = {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device",
        "torch": torch.__version__,
        "op_tests": op_tests(args.work / "ops.xml"),
        "bench_ops": json.loads(bench.read_text()) if bench.is_file() else None,
    }
    for renderer in ("radiance", "gaussian"):
        try:
            result[renderer] = fit_and_time(renderer, args.dataset, args.work)
        except Exception as error:  # one renderer's failure must not hide the other's figures
            result[renderer] = {"error": f"{type(error).__name__}: {error}"}
    args.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

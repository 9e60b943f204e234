"""How well a face tracker agrees with the truth of the demo clip.

    .venv/bin/python tools/check_demo_clip.py [data/demo] [--step 1]

Prints the share of frames with a face, distances between detected and true landmarks in pixels of the
clip, and how the detected mouth and eyes follow the true ones.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("data/demo"))
    parser.add_argument("--step", type=int, default=1, help="look at every n-th frame")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    check(options.folder, options.step)


def check(folder: Path, step: int) -> None:
    """Detect, compare, print."""
    from gtalk.clip.landmarks import detect_landmarks
    from gtalk.media.video import read_video
    from gtalk.topology import EYELID_PAIRS, LANDMARKS68
    from tools.demo_person.truth import load_truth

    truth = load_truth(folder)
    video = read_video(folder / "clip.mp4")
    size = (truth.camera.width, truth.camera.height)
    found = detect_landmarks((f for i, f in enumerate(video) if i % step == 0), size, model="facemesh")
    true, seen = truth.points_px[::step], found.points_px
    valid = found.valid
    error = np.linalg.norm(seen - true, axis=2)[valid]
    print(f"frames {len(valid)}, with a face {valid.mean():.4f}")
    for name, index in (("478", slice(None)), ("68", LANDMARKS68)):
        part = error[:, index]
        print(f"landmarks {name}: median {np.median(part):.2f} px, 95 % below {np.quantile(part, 0.95):.2f} px")
    mouth = np.linalg.norm(seen[:, 13] - seen[:, 14], axis=1)[valid]
    print(f"aperture: correlation {np.corrcoef(mouth, truth.aperture[::step][valid])[0, 1]:.3f}")
    lids = np.linalg.norm(seen[:, EYELID_PAIRS[..., 0]] - seen[:, EYELID_PAIRS[..., 1]], axis=-1).mean((1, 2))[valid]
    eyes = truth.eyes[::step].mean(1)[valid]
    print(f"eyelids: correlation {np.corrcoef(lids, eyes)[0, 1]:.3f}, ", end="")
    print(f"gap shut {lids[eyes < 0.3].mean():.1f} px, open {lids[eyes > 0.85].mean():.1f} px")


if __name__ == "__main__":
    main()

"""Write gtalk/rig/sculpted/neutral.safetensors: the face that the shapes are sculpted on, which is nobody's.

    .venv/bin/python tools/make/rig_neutral.py

It is the demo person's cage (tools/make/demo_cage.py): a drawing of a few ellipses, seen by FaceMesh.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

ROOT = Path(__file__).parents[2]

if __name__ == "__main__":
    points = np.load(ROOT / "demo_person/body/cage.npz")["points"]
    path = ROOT / "gtalk/rig/sculpted/neutral.safetensors"
    save_file({"points": points.astype(np.float32)}, path, metadata={"source": "demo person's cage", "unit": "metres"})
    print(path, points.shape)

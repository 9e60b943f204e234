"""Pictures around a head as PNG with transparency: python examples/orbit.py me views/"""

import math
import sys
from pathlib import Path

import cv2
import numpy as np

import gtalk


def main(avatar: str, folder: str, height: int = 512, views: int = 5) -> None:
    """Writes views/00.png, ... from the left to the right, of the face at rest."""
    me, out = gtalk.load(avatar), Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    rest = me.predict(np.zeros(16_000, np.float32))[-1]  # what a second of silence leaves
    for number, yaw in enumerate(np.linspace(-0.4, 0.4, views)):
        camera = me.orbit(yaw_rad=float(yaw), pitch_rad=0.1)
        shown = me.render(rest, camera=camera, size=height, background=None)
        alpha = shown.alpha[0, ..., None].clamp(min=1e-4)
        rgba = np.concatenate([(shown.rgb[0] / alpha).clamp(0, 1).cpu(), shown.alpha[0, ..., None].cpu()], axis=2)
        bgra = (rgba[..., [2, 1, 0, 3]] * 255 + 0.5).astype(np.uint8)
        cv2.imwrite(str(out / f"{number:02d}.png"), bgra)
        print(f"{out / f'{number:02d}.png'}: {math.degrees(yaw):+.0f} degrees")


if __name__ == "__main__":
    main(*sys.argv[1:3])

"""Write tools/demo_person/cage.npz: the demo person's face as 478 points, seen in a drawing.

    .venv/bin/python tools/make/demo_cage.py

A face is drawn with a few ellipses, so it is nobody's; MediaPipe's FaceMesh says where in depth such a
face would lie. Its answers over several blurs are averaged, made symmetric and scaled to metres.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from gtalk.topology import MIRROR, N_POINTS
from gtalk.types import OUTER_EYE_DISTANCE_M

SIZE = 512
SKIN, DARK, LIP = np.array([205.0, 165.0, 140.0]), (62, 45, 36), (186, 104, 96)
HEAD_ORIGIN_M = np.array([0.0, 0.0, -0.065])  # from the midpoint of the outer eye corners, as the tracker has it


def draw_face(blur: float) -> np.ndarray:
    """A simple face, uint8 [SIZE,SIZE,3] RGB."""
    image = np.full((SIZE, SIZE, 3), (150, 140, 130), np.uint8)
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    distance = ((x - 256) / 112) ** 2 + ((y - 268) / 156) ** 2
    shade = SKIN * np.clip(1.1 - 0.35 * distance, 0, 1.1)[..., None]
    image[distance < 1] = shade[distance < 1].clip(0, 255).astype(np.uint8)
    cv2.ellipse(image, (256, 175), (122, 88), 0, 180, 360, DARK, -1)
    forehead = ((x - 256) / 103) ** 2 + ((y - 285) / 140) ** 2 < 1
    image[forehead] = shade[forehead].clip(0, 255).astype(np.uint8)
    for side in (-1, 1):
        eye = 256 + side * 46
        cv2.ellipse(image, (eye, 250), (22, 8), 0, 0, 360, (240, 240, 240), -1, cv2.LINE_AA)
        cv2.circle(image, (eye, 249), 8, (70, 50, 40), -1, cv2.LINE_AA)
        cv2.ellipse(image, (eye, 250), (22, 9), 0, 180, 360, (70, 50, 40), 3, cv2.LINE_AA)
        cv2.ellipse(image, (eye, 237), (29, 11), 0, 200, 340, DARK, 7, cv2.LINE_AA)
        cv2.ellipse(image, (256 + side * 12, 316), (6, 4), 0, 0, 360, (110, 70, 60), -1, cv2.LINE_AA)
    cv2.line(image, (247, 260), (242, 306), (184, 144, 122), 4, cv2.LINE_AA)
    cv2.ellipse(image, (256, 357), (35, 7), 0, 180, 360, LIP, -1, cv2.LINE_AA)
    cv2.ellipse(image, (256, 357), (33, 13), 0, 0, 180, (198, 116, 106), -1, cv2.LINE_AA)
    cv2.line(image, (222, 357), (290, 357), (104, 48, 46), 2, cv2.LINE_AA)
    cv2.ellipse(image, (256, 380), (22, 5), 0, 180, 360, (178, 136, 116), 3, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), blur)


def detect(image: np.ndarray) -> np.ndarray:
    """[478,3] pixels: x right, y up, z out of the face."""
    import mediapipe as mp

    with mp.solutions.face_mesh.FaceMesh(static_image_mode=True, refine_landmarks=True) as mesh:  # type: ignore[attr-defined]
        face = mesh.process(image).multi_face_landmarks[0]
    return np.array([[p.x, -p.y, -p.z] for p in face.landmark]) * SIZE


def symmetric_metres(points: np.ndarray) -> np.ndarray:
    """Centred, upright, symmetric, `OUTER_EYE_DISTANCE_M` wide between the outer corners of the eyes."""
    assert points.shape == (N_POINTS, 3)
    right = points[263] - points[33]
    right /= np.linalg.norm(right)
    out = np.cross(right, points[10] - points[152])
    out /= np.linalg.norm(out)
    points = (points - points.mean(0)) @ np.stack([right, np.cross(out, right), out]).T
    points = (points + points[MIRROR] * [-1, 1, 1]) / 2
    points *= OUTER_EYE_DISTANCE_M / np.linalg.norm(points[263] - points[33])
    return points - (points[33] + points[263]) / 2 - HEAD_ORIGIN_M


def main() -> None:
    """Write the file."""
    detected = np.mean([detect(draw_face(blur)) for blur in (1.0, 1.5, 2.0, 2.5)], axis=0)
    path = Path(__file__).parents[2] / "demo_person" / "body" / "cage.npz"
    np.savez_compressed(path, points=symmetric_metres(detected).astype(np.float32))
    print(path)


if __name__ == "__main__":
    main()

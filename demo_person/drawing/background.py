"""The room behind the person: wall, window light, shelves with books, far out of focus."""

from __future__ import annotations

import cv2
import numpy as np


def room_picture(width: int, height: int, seed: int = 21) -> np.ndarray:
    """[H,W,3] uint8 sRGB."""
    random = np.random.default_rng(seed)
    big_w, big_h = width * 2, height * 2
    y, x = np.mgrid[:big_h, :big_w].astype(np.float32)
    x, y = x / big_w, y / big_h
    wall = np.array([0.50, 0.49, 0.47], np.float32) * (1.10 - 0.42 * x - 0.20 * y)[..., None]
    picture = wall.copy()
    for level in (0.10, 0.40, 0.70, 1.0):
        _shelf(picture, random, level)
    # A tall window on the left, a lamp's glow on the right.
    window = ((x > 0.02) & (x < 0.17) & (y > 0.04) & (y < 0.74)).astype(np.float32)
    bars = ((np.abs(x - 0.095) < 0.006) | (np.abs((y - 0.04) % 0.235 - 0.117) < 0.006)).astype(np.float32)
    picture += (np.array([0.90, 0.95, 1.0], np.float32) - picture) * (window * (1 - 0.6 * bars))[..., None]
    glow = np.exp(-(((x - 0.88) / 0.09) ** 2 + ((y - 0.28) / 0.09) ** 2))
    picture += glow[..., None] * np.array([0.55, 0.42, 0.24], np.float32)
    picture = cv2.GaussianBlur(picture, (0, 0), big_w / 62)
    picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    grain = cv2.GaussianBlur(random.standard_normal((height, width, 1)).astype(np.float32), (0, 0), 1.1)
    picture += 0.010 * grain[..., None]
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _shelf(picture: np.ndarray, random: np.random.Generator, level: float) -> None:
    height, width = picture.shape[:2]
    bottom = int(level * height)
    cv2.rectangle(picture, (int(0.30 * width), bottom), (width, bottom + int(0.022 * height)), (0.23, 0.17, 0.13), -1)
    cv2.rectangle(
        picture, (int(0.30 * width), bottom - int(0.278 * height)), (width, bottom - 1), (0.20, 0.17, 0.15), -1
    )
    at = 0.31 * width
    palette = np.array(
        [[0.45, 0.20, 0.16], [0.18, 0.26, 0.36], [0.52, 0.46, 0.36], [0.20, 0.30, 0.24], [0.60, 0.52, 0.30],
         [0.33, 0.22, 0.30], [0.58, 0.56, 0.53], [0.26, 0.24, 0.24]]
    )  # fmt: skip
    while at < width:
        thick = random.uniform(0.016, 0.05) * width
        tall = random.uniform(0.15, 0.25) * height
        if random.uniform() > 0.13:
            colour = palette[random.integers(len(palette))] * random.uniform(0.7, 1.15)
            top_left = (int(at), int(bottom - tall))
            cv2.rectangle(picture, top_left, (int(at + thick), bottom - 1), tuple(colour.tolist()), -1)
            band = int(bottom - tall * 0.75)
            light = tuple((colour * 1.4).tolist())
            cv2.rectangle(picture, (int(at), band), (int(at + thick), band + int(0.012 * height)), light, -1)
        at += thick + 2

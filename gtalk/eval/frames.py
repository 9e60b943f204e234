"""Scores of rendered frames against the clip's own: where to look, and keeping count."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from gtalk.basis import LIPS
from gtalk.dataset.format import HEAD_CLASSES, Dataset
from gtalk.eval.image import box_around, in_box, psnr, ssim_in, ssim_map
from gtalk.eval.perceptual import Distance
from gtalk.shapes import Float, UInt8
from gtalk.types import Camera, Motion

HEAD_MARGIN = (0.20, 0.50, 0.20, 0.12)
"""Left, top, right, bottom, in parts of the 68 landmarks' box: they begin at the brows, the head does not."""
MOUTH_MARGIN = (0.30, 0.40, 0.30, 0.40)
"""In parts of the lips' box."""
REGIONS = ("full", "head", "mouth")


@dataclass(frozen=True)
class Truth:
    """The clip's own images at the size that the avatar was fitted at."""

    dataset: Dataset
    camera: Camera
    """The clip's camera at that size."""

    def image(self, index: int) -> UInt8[np.ndarray, "H W 3"]:
        """Image of an instant."""
        return self._resized(self.dataset.frame(index), cv2.INTER_AREA)

    def head(self, index: int) -> np.ndarray:
        """[H,W] True where the head is, neck and torso excluded."""
        labels = self._resized(self.dataset.labels(index), cv2.INTER_NEAREST)
        return np.isin(labels, [int(c) for c in HEAD_CLASSES])

    def landmarks_px(self, motion: Motion, indices: np.ndarray) -> Float[np.ndarray, "T 68 2"]:
        """Landmarks of `motion` (one frame an index) seen under the *true* poses of these instants, pixels."""
        pose = self.dataset.motion.head_pose[indices]
        world = np.einsum("tij,tpj->tpi", pose[:, :3, :3], motion.landmarks) + pose[:, None, :3, 3]
        return self.camera.project(world)

    def boxes(self, index: int) -> dict[str, tuple[int, int, int, int]]:
        """What each region is, from the tracked landmarks: (left, top, right, bottom) in pixels."""
        size = (self.camera.width, self.camera.height)
        points = self.landmarks_px(self.dataset.motion[index], np.array([index]))[0]
        return {
            "full": (0, 0, *size),
            "head": box_around(points, HEAD_MARGIN, size),
            "mouth": box_around(points[LIPS], MOUTH_MARGIN, size),
        }

    def _resized(self, image: np.ndarray, how: int) -> np.ndarray:
        size = (self.camera.width, self.camera.height)
        return image if image.shape[1::-1] == size else cv2.resize(image, size, interpolation=how)


@dataclass
class Scores:
    """PSNR, SSIM and optional LPIPS of frames, by region."""

    lpips: Distance | None = None
    frames: list[int] = field(default_factory=list)
    psnr: dict[str, list[float]] = field(default_factory=lambda: {r: [] for r in REGIONS})
    ssim: dict[str, list[float]] = field(default_factory=lambda: {r: [] for r in REGIONS})
    distance: list[float] = field(default_factory=list)

    def add(
        self, index: int, shown: UInt8[np.ndarray, "H W 3"], true: UInt8[np.ndarray, "H W 3"], truth: Truth
    ) -> None:
        """Score one frame."""
        self.frames.append(index)
        of_windows = ssim_map(shown, true)
        for region, box in truth.boxes(index).items():
            self.psnr[region].append(psnr(in_box(shown, box), in_box(true, box)))
            likeness = ssim_in(of_windows, box)
            if likeness is not None:
                self.ssim[region].append(likeness)
        if self.lpips is not None:
            self.distance.append(self.lpips(shown, true))

    def mean_psnr(self, start: int, stop: int) -> dict[str, float | None]:
        """Mean over frames [start, stop) of the clip, for each region."""
        inside = [start <= frame < stop for frame in self.frames]
        return {r: mean([v for v, i in zip(self.psnr[r], inside, strict=True) if i]) for r in REGIONS}

    def mean(self) -> dict[str, dict[str, float | None]]:
        """Mean over frames, and the spread between them, for each region."""
        table: dict[str, dict[str, float | None]] = {}
        for region in REGIONS:
            values = self.psnr[region]
            table[region] = {
                "psnr": mean(values),
                "ssim": mean(self.ssim[region]),
                "psnr_std": float(np.std(values)) if values else None,
                "psnr_p5": float(np.percentile(values, 5)) if values else None,
                "psnr_p95": float(np.percentile(values, 95)) if values else None,
            }
        table["full"]["lpips"] = mean(self.distance)
        return table


def mean(values: list[float]) -> float | None:
    """None where there is nothing to average."""
    return float(np.mean(values)) if values else None

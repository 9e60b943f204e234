"""Frames of an expression take for a fit: the face alone, brought to the clip's camera and colours.

The take is a dataset of its own, filmed by whatever camera from wherever. Pinhole cameras that stand in one place and
look one way differ by a scaling and a shift of the image, so a frame becomes one of the clip's camera exactly; around
the face (plate, torso, hair, light) it says nothing of the clip and is not looked at.
"""

from __future__ import annotations

import cv2
import numpy as np

from gtalk.dataset.format import HEAD_CLASSES, Dataset
from gtalk.dataset.split import first_test_frame
from gtalk.fit.frames import TrainingFrame
from gtalk.rig.take import on_clip
from gtalk.shapes import Float, UInt8
from gtalk.topology import N_FACE, RIGID
from gtalk.types import Camera, Motion

MOST_SHARE, AS_OFTEN = 0.35, 2.0  # of all looks; how much oftener a take's frame is drawn than a usual one of the clip
LEAST_INSIDE = 0.7  # of a face must lie within the clip's image
COLOUR_FRAMES = 16
_MOST_GAIN = 1.5


class TakeFrames:
    """The frames of a take that a fit may learn from, at `size` = (width, height)."""

    def __init__(self, take: Dataset, clip: Dataset, size: tuple[int, int]) -> None:
        """Raises UserError where a dataset has no face mesh."""
        self.dataset, self.size = take, size
        known = clip.motion[: first_test_frame(clip.n_frames)]
        self.motion = on_clip(take.motion, known)
        self.camera, own = clip.camera.resized(*size), take.camera
        zoom = self.camera.focal_px / own.focal_px
        shift = np.array([self.camera.cx_px, self.camera.cy_px]) - zoom * np.array([own.cx_px, own.cy_px])
        self.to_clip = np.column_stack([zoom * np.eye(2), shift])
        self.motion = self.motion.replace(head_pose=self._poses())
        inside = np.array([self._inside(i) for i in range(len(self.motion))])
        self.indices = np.flatnonzero(take.motion.valid & (inside >= LEAST_INSIDE))
        self.gain = self._colour_gain(clip, known) if len(self.indices) else np.ones(3)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def usable(self) -> Motion:
        """Motion of `indices`."""
        return self.motion[self.indices]

    def share(self, n_clip: int) -> float:
        """Of all looks, how many are at these frames beside `n_clip` of the clip."""
        often = AS_OFTEN * len(self) / max(n_clip, 1)
        return min(MOST_SHARE, often / (1.0 + often))

    def weights(self, clip_weights: Float[np.ndarray, " N"]) -> Float[np.ndarray, " M"]:
        """Probabilities of the clip's frames and of these, in this order."""
        share = self.share(len(clip_weights))
        return np.concatenate([(1.0 - share) * clip_weights, np.full(len(self), share / max(len(self), 1))])

    def read(self, index: int, number: int) -> TrainingFrame:
        """A frame of the take. `number`: what the fit calls it."""
        rgb = self._warped(self.dataset.frame(index), cv2.INTER_AREA)
        rgb = np.clip(rgb * self.gain + 0.5, 0.0, 255.0).astype(np.uint8)
        matte = self._warped(self.dataset.matte(index), cv2.INTER_AREA)
        labels = self._warped(self.dataset.labels(index), cv2.INTER_NEAREST)
        face = self.face(index) & np.where(np.isin(labels, HEAD_CLASSES), 255, 0).astype(np.uint8)
        return TrainingFrame(number, rgb, matte, labels, self.motion[index], face)

    def face(self, index: int) -> UInt8[np.ndarray, "H W"]:
        """255 within the outline of the face mesh."""
        return _within(mesh_px(self.motion, index, self.camera), self.size)

    def _poses(self) -> Float[np.ndarray, "T 4 4"]:
        """Where the clip's face is seen where the take's is: trackings differ in focal length and depth."""
        camera, take = self.camera, self.dataset
        matrix = np.array([[camera.focal_px, 0.0, camera.cx_px], [0.0, camera.focal_px, camera.cy_px], [0.0, 0.0, 1.0]])
        to_world = np.linalg.inv(camera.T_camera_world)
        poses = take.camera.T_camera_world @ self.motion.head_pose.astype(np.float64)
        bones = np.ascontiguousarray(self.motion.channels["landmarks478"][:, RIGID], np.float64)
        for index, pose in enumerate(poses):
            there = mesh_px(take.motion, index, take.camera)[RIGID] @ self.to_clip[:, :2].T + self.to_clip[:, 2]
            turn, place = cv2.Rodrigues(pose[:3, :3])[0], pose[:3, 3:].copy()
            cv2.solvePnP(bones[index], there, matrix, np.zeros(4), turn, place, True, cv2.SOLVEPNP_ITERATIVE)
            pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(turn)[0], place[:, 0]
        return to_world @ poses

    def _inside(self, index: int) -> float:
        points = mesh_px(self.motion, index, self.camera)
        return float(((points >= 0.0) & (points < self.size)).all(1).mean())

    def _warped(self, image: np.ndarray, how: int) -> np.ndarray:
        if how == cv2.INTER_AREA and self.to_clip[0, 0] < 0.75:  # warping does not average over what it makes smaller
            image = cv2.GaussianBlur(image, (0, 0), 0.4 / self.to_clip[0, 0])
        how = cv2.INTER_LINEAR if how == cv2.INTER_AREA else how
        return cv2.warpAffine(image, self.to_clip, self.size, flags=how, borderMode=cv2.BORDER_REPLICATE)

    def _colour_gain(self, clip: Dataset, known: Motion) -> Float[np.ndarray, "3"]:
        """What makes the take's skin as light as the clip's, channel by channel."""
        levels = []
        for dataset, frames in ((self.dataset, self.indices), (clip, np.flatnonzero(known.valid))):
            chosen = frames[np.linspace(0, len(frames) - 1, min(len(frames), COLOUR_FRAMES)).astype(int)]
            levels.append(np.median([_skin(dataset, int(i)) for i in chosen], axis=0))
        return np.clip(levels[1] / np.maximum(levels[0], 1.0), 1.0 / _MOST_GAIN, _MOST_GAIN)


def mesh_px(motion: Motion, index: int, camera: Camera) -> Float[np.ndarray, "P 2"]:
    """Where a camera sees the face mesh."""
    pose = motion.head_pose[index].astype(np.float64)
    points = motion.channels["landmarks478"][index, :N_FACE].astype(np.float64)
    return camera.project(points @ pose[:3, :3].T + pose[:3, 3])


def _within(points_px: Float[np.ndarray, "P 2"], size: tuple[int, int]) -> UInt8[np.ndarray, "H W"]:
    out = np.zeros(size[::-1], np.uint8)
    cv2.fillConvexPoly(out, cv2.convexHull(points_px.round().astype(np.int32)), (255.0,))
    return out


def _skin(dataset: Dataset, index: int) -> Float[np.ndarray, "3"]:
    """Median colour within the face's outline."""
    pixels = dataset.frame(index)[_within(mesh_px(dataset.motion, index, dataset.camera), dataset.size) > 0]
    return np.median(pixels, axis=0) if len(pixels) else np.full(3, 128.0)

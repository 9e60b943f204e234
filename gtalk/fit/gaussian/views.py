"""What the seeds of a fit are made of: the tracked mesh as it moves, and frames of the clip seen from head space."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from gtalk.avatar.gaussian import torso_motion
from gtalk.avatar.pose_code import PoseCode
from gtalk.avatar.sway import bilinear
from gtalk.dataset.format import MaskClass
from gtalk.fit.protocol import FitContext
from gtalk.shapes import Float
from gtalk.topology import MOUTH_TRIANGLES

FOLLOWED_BESIDE = 0.015  # image heights from the person in the rest frame within which motion counts as known
RIDGE = 1e-2
SKIN_LOGIT = {MaskClass.HEAD: -4.0, MaskClass.NECK: 0.0, MaskClass.TORSO: 4.0}
HEAD_PARTS = (MaskClass.HEAD, MaskClass.LIPS, MaskClass.MOUTH, MaskClass.EYES)
THIN = 0.35  # thickness of a Gaussian across the surface, as a share of its size along it


Height = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class MovingMesh:
    """The tracked mesh as a linear function of the code."""

    mean: Float[np.ndarray, "P 3"]
    motion: Float[np.ndarray, "K P 3"]
    triangles: NDArray[np.integer]


def moving_mesh(context: FitContext, codes: Float[np.ndarray, "N K"], n_face_codes: int) -> MovingMesh:
    """Ridge regression of the mesh's points on the training frames' codes.

    Rotation, the last codes, moves nothing in head space. Where only 68 landmarks were tracked, the
    mesh's points follow the landmarks near them.
    """
    person, motion = context.dataset.person, context.dataset.motion[context.indices]
    dense = motion.channels.get("landmarks478")
    if dense is not None:
        points, mean = dense.astype(np.float64), dense.mean(0, dtype=np.float64)
    else:
        mean = person.shape.astype(np.float64)
        rest = motion.landmarks.mean(0)
        distance = np.linalg.norm(mean[:, None] - rest[None], axis=-1)
        weight = np.exp(-((distance / 0.015) ** 2))
        weight /= np.maximum(weight.sum(1, keepdims=True), 0.3)
        points = mean + np.einsum("pl,tlc->tpc", weight, motion.landmarks - rest)
    x = codes[:, :n_face_codes]
    offsets = (points - mean).reshape(len(points), -1)
    slope = np.linalg.solve(x.T @ x + RIDGE * len(x) * np.eye(x.shape[1]), x.T @ offsets)
    moved = np.zeros((codes.shape[1], *mean.shape))
    moved[:n_face_codes] = slope.reshape(n_face_codes, *mean.shape)
    closing = {tuple(sorted(row)) for row in MOUTH_TRIANGLES.tolist()}  # a skin over the open mouth would hide teeth
    kept = [tuple(sorted(row)) not in closing for row in person.triangles.tolist()]
    return MovingMesh(mean, moved, person.triangles[kept] if dense is not None else person.triangles)


class ClipView:
    """One training frame, and how canonical points are seen in it."""

    def __init__(self, context: FitContext, pose_code: PoseCode, index: int, rest: ClipView | None = None) -> None:
        """`rest`: the rest frame of what sways."""
        camera, self.rest = context.camera, rest
        self.frame = context.frames[index]
        self.camera, self.index = camera, index
        placed = pose_code.torso_and_framing(self.frame.motion)[0]
        self.T_head = camera.T_camera_world @ self.frame.motion.head_pose[0]
        self.T_rest = camera.T_camera_world @ pose_code.T_world_mean
        self.T_torso = torso_motion(camera, placed[:4]) @ self.T_rest

    @property
    def metre_px(self) -> float:
        """Pixels of a metre at the head."""
        return self.camera.focal_px / abs(float(self.T_head[2, 3]))

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Points of the head in pixels [N,2]."""
        return self._seen(self.T_head, points)

    def rest_pixels(self, points: np.ndarray) -> np.ndarray:
        """Canonical points as the mean pose shows them."""
        return self._seen(self.T_rest, points)

    def _seen(self, T: np.ndarray, points: np.ndarray) -> np.ndarray:
        seen = points @ T[:3, :3].T + T[:3, 3]
        return seen[:, :2] / seen[:, 2:] * self.camera.focal_px + [self.camera.cx_px, self.camera.cy_px]

    def at_rest(self, pixels: np.ndarray) -> np.ndarray:
        """Where the rest frame shows what is at pixels [N,2] here, by a few fixed-point steps."""
        sides = np.array([self.camera.width, self.camera.height])
        sway = torch.from_numpy(self.frame.motion.channels["sway"][0].astype(np.float64))
        found = pixels
        for _ in range(5):
            place = torch.from_numpy(np.clip(found / sides, 0.0, 1.0))
            found = pixels - bilinear(sway, place).numpy() * self.camera.height
        return found

    def shows_person(self, pixels: np.ndarray) -> np.ndarray:
        """Whether pixels [N,2] are of the person, or nearly so: beyond, nothing was followed."""
        kernel = np.ones((2 * round(FOLLOWED_BESIDE * self.camera.height) + 1,) * 2, np.uint8)
        near = cv2.dilate(self.frame.matte, kernel) > 127
        x = np.clip(pixels[:, 0].astype(int), 0, self.camera.width - 1)
        y = np.clip(pixels[:, 1].astype(int), 0, self.camera.height - 1)
        return near[y, x] & (np.abs(pixels - pixels.clip(0, near.shape[::-1])).max(1) < 1.0)

    def lift(self, pixels: np.ndarray, height: Height, share: float) -> np.ndarray:
        """Pixels [N,2] to canonical points with z = height(points), by a few fixed-point steps."""
        inverse = np.linalg.inv(self.T_head + share * (self.T_torso - self.T_head))
        centre = np.array([self.camera.cx_px, self.camera.cy_px])
        ray = np.concatenate([(pixels - centre) / self.camera.focal_px, np.ones((len(pixels), 1))], 1)
        direction, origin = ray @ inverse[:3, :3].T, inverse[:3, 3]
        points = origin + (height(np.zeros((len(pixels), 3))) - origin[2])[:, None] / direction[:, 2:] * direction
        for _ in range(4):
            step = (height(points) - origin[2]) / direction[:, 2]
            points = origin + step[:, None] * direction
        return points

    def colours(self, pixels: np.ndarray) -> np.ndarray:
        """Colour [N,3] of pixels, averaged over 3x3."""
        smooth = cv2.blur(self.frame.rgb, (3, 3))
        x = np.clip(pixels[:, 0].astype(int), 0, self.camera.width - 1)
        y = np.clip(pixels[:, 1].astype(int), 0, self.camera.height - 1)
        return smooth[y, x] / 255.0

    def mesh_mask(self, mesh: MovingMesh) -> np.ndarray:
        """Where the mesh covers the image."""
        dense = self.frame.motion.channels.get("landmarks478")
        points = mesh.mean if dense is None else dense[0]
        corners = self.pixels(points)[mesh.triangles]
        mask = np.zeros((self.camera.height, self.camera.width), np.uint8)
        for triangle in np.round(corners * 16).astype(np.int32):
            cv2.fillConvexPoly(mask, triangle, (1.0,), shift=4)
        return mask > 0


def rest_view(context: FitContext, pose_code: PoseCode) -> ClipView | None:
    """The rest frame of what sways, the one that is displaced least; None where that was not tracked."""
    sway = context.dataset.motion.channels.get("sway")
    if sway is None:
        return None
    return ClipView(context, pose_code, int(context.indices[np.abs(sway[context.indices]).sum(1).argmin()]))

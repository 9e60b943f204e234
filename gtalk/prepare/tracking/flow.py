"""Sub-pixel tracks of skin texture over bone: what landmark detectors cannot see.

A few frames of every shot are keyframes. Corners of skin texture between brows and nose are picked there,
lifted onto the tracked mesh, and found again in later frames: the frame is first warped by the tracked
motion (an affine map), so that only a small shift is left for Lucas-Kanade to measure, there and back.
Every frame is compared with keyframes, never with its neighbour, so that errors do not add up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from gtalk.dataset.format import Segment
from gtalk.geometry.rotation import project
from gtalk.geometry.similarity import crop_matrix, opencv_matrix
from gtalk.prepare.frame_io import in_order
from gtalk.prepare.tracking.model import Model, States, place
from gtalk.prepare.tracking.rasterise import Backend, rasterise
from gtalk.progress import OnProgress, silent, track
from gtalk.shapes import Bool, Float, Int
from gtalk.topology import BROW_POINTS, EYE_CORNERS, LEFT_EYE_RING, N_FACE, RIGHT_EYE_RING, SKIN_TRIANGLES


@dataclass(frozen=True)
class FlowConfig:
    """Settings of the texture tracks."""

    points: int = 50
    """Texture points in a keyframe."""
    every: int = 25
    """Frames from one keyframe to the next."""
    bank: int = 10
    """Older keyframes of a shot that are kept, of different head poses."""
    eye_distance_px: float = 170.0
    """Faces are compared at the scale where the outer eye corners are so far apart, at most their own."""
    window: int = 17
    """Side of the patches that are compared, pixels at that scale."""
    worst_return_px: float = 0.25
    """A point must come back from the other image to within this distance."""
    likeness: float = 0.95
    """Least correlation of the patches around a point in both images: below it, skin has folded or is lit anew."""
    rasteriser: Backend = "auto"
    """Who tells which part of the mesh a pixel shows: own, pytorch3d, or auto (pytorch3d where it is installed)."""


@dataclass(frozen=True)
class TextureTracks:
    """N points of skin texture and where they were seen."""

    point_m: Float[np.ndarray, "N 3"]
    """First guess in head space, on the tracked mesh of the keyframe."""
    keyframe: Int[np.ndarray, " N"]
    triangle: Int[np.ndarray, " N"]
    """Row of SKIN_TRIANGLES it lies on."""
    frame: Int[np.ndarray, " M"]
    point: Int[np.ndarray, " M"]
    """Which point observation m shows."""
    seen_px: Float[np.ndarray, "M 2"]

    @staticmethod
    def none() -> TextureTracks:
        """No tracks at all."""
        index = np.zeros(0, np.int64)
        return TextureTracks(np.zeros((0, 3)), index, index, index, index, np.zeros((0, 2)))


@dataclass
class _Keyframe:
    index: int
    grey: np.ndarray  # crop at working scale
    first_point: int
    points_crop: np.ndarray  # [n,2] float32
    points_m: np.ndarray  # [n,3]
    patches: np.ndarray  # [n,window*window] around the points, mean 0 and norm 1


def track_texture(
    frames: Iterable[np.ndarray],
    model: Model,
    states: States,
    valid: Bool[np.ndarray, " T"],
    segments: Sequence[Segment],
    config: FlowConfig = FlowConfig(),
    on_progress: OnProgress = silent,
) -> TextureTracks:
    """Follow skin texture through a clip. Frames (uint8, RGB [H,W,3] or grey [H,W]) stream by once."""
    tracker = _Tracker(model, states, config)
    starts = {s.start for s in segments}

    def look_at() -> Iterator[tuple[int, np.ndarray, list[_Keyframe]]]:
        for index, frame in enumerate(track(frames, "texture", len(valid), on_progress)):
            if index in starts:
                tracker.new_shot()
            if index < len(valid) and valid[index]:
                yield index, frame, tracker.keyframes_for(index, frame)

    # Which keyframes there are is decided in order; finding them again in each frame is left to threads.
    for sightings in in_order(lambda job: tracker.match(*job), look_at()):
        tracker.remember(sightings)
    return tracker.result()


def texture_triangles(shape: Float[np.ndarray, "478 3"]) -> Int[np.ndarray, " F"]:
    """Rows of SKIN_TRIANGLES over bone or firm skin: above the upper lip, away from lids and brows."""
    nose_base = shape[2, 1] - 0.002
    lids = shape[np.concatenate([LEFT_EYE_RING, RIGHT_EYE_RING])]
    brows = shape[BROW_POINTS.reshape(-1)]
    from_lids = np.linalg.norm(shape[:, None, :2] - lids[None, :, :2], axis=-1).min(1)
    from_brows = np.linalg.norm(shape[:, None, :2] - brows[None, :, :2], axis=-1).min(1)
    firm = (shape[:, 1] > nose_base) & (from_lids > 0.006) & (from_brows > 0.007)
    firm[EYE_CORNERS[:, 1]] = True
    firm[N_FACE:] = False
    return np.flatnonzero(firm[SKIN_TRIANGLES].all(1))


_Sighting = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Frames [n], points [n] and pixels [n,2] of observations."""


class _Tracker:
    """Keyframes of the current shot, and everything seen so far."""

    def __init__(self, model: Model, states: States, config: FlowConfig) -> None:
        self._model, self._states, self._config = model, states, config
        self._rows = texture_triangles(model.shape)
        self._recent: list[_Keyframe] = []
        self._bank: list[_Keyframe] = []
        self._count = 0
        self._points: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._seen: list[_Sighting] = []

    def new_shot(self) -> None:
        self._recent, self._bank = [], []

    def keyframes_for(self, index: int, frame: np.ndarray) -> list[_Keyframe]:
        """Those that this frame is to be compared with; it becomes one itself when it is time."""
        chosen = self._chosen(index)
        if not self._recent or index - self._recent[-1].index >= self._config.every:
            self._add_keyframe(index, frame)
        return chosen

    def match(self, index: int, frame: np.ndarray, keyframes: Sequence[_Keyframe]) -> list[_Sighting]:
        """Points of keyframes found again in a frame."""
        found = (self._match(key, index, frame) for key in keyframes)
        return [sighting for sighting in found if sighting is not None]

    def remember(self, sightings: Sequence[_Sighting]) -> None:
        self._seen.extend(sightings)

    def _chosen(self, index: int) -> list[_Keyframe]:
        """The last keyframe and the older one whose pose is nearest."""
        chosen = self._recent[-1:]
        older = [key for key in self._bank if all(key.index != other.index for other in chosen)]
        if older:
            chosen = [*chosen, min(older, key=lambda key: self._pose_distance(key.index, index))]
        return chosen

    def _pose_distance(self, a: int, b: int) -> float:
        """Angle between two frames' rotations, radians."""
        cosine = (np.vdot(self._states.rotation[a], self._states.rotation[b]) - 1.0) / 2.0
        return math.acos(min(1.0, max(-1.0, cosine)))

    def _add_keyframe(self, index: int, frame: np.ndarray) -> None:
        points = place(self._model, self._states[index : index + 1])[0]
        pixels = project(points, self._model.focal_px, self._model.centre_px)
        crop_from_image, side = _crop(pixels, self._config.eye_distance_px)
        grey = _grey_crop(frame, crop_from_image, side)
        in_crop = pixels @ crop_from_image[:, :2].T + crop_from_image[:, 2]
        labels = _label_triangles(in_crop, points, self._rows, side, self._config.rasteriser)
        corners = cv2.goodFeaturesToTrack(
            grey, self._config.points, 0.002, 6, mask=(labels >= 0).astype(np.uint8), blockSize=7
        )
        if corners is None:
            return
        corners = corners.reshape(-1, 2)
        rows = labels[np.rint(corners[:, 1]).astype(int), np.rint(corners[:, 0]).astype(int)]
        corners, rows = corners[rows >= 0], rows[rows >= 0]
        turn = np.linalg.inv(crop_from_image[:, :2])
        seen = (corners + 0.5 - crop_from_image[:, 2]) @ turn.T
        head = (
            self._lift(seen, points[SKIN_TRIANGLES[rows]]) - self._states.translation[index]
        ) @ self._states.rotation[index]
        corners = corners.astype(np.float32)
        patches = _patches(grey, corners, self._config.window)
        key = _Keyframe(index, grey, self._count, corners, head, patches)
        self._points.append((head, np.full(len(head), index), rows))
        self._seen.append((np.full(len(head), index), self._count + np.arange(len(head)), seen))
        self._count += len(head)
        self._recent = [key]
        self._keep(key)

    def _keep(self, key: _Keyframe) -> None:
        """Keep the keyframe if its pose is new; drop the most redundant one when there are too many."""
        self._bank.append(key)
        if len(self._bank) > self._config.bank:
            poses = [k.index for k in self._bank]
            distance = np.array([[self._pose_distance(a, b) for b in poses] for a in poses])
            distance[np.diag_indices(len(poses))] = np.inf
            i, j = np.unravel_index(distance.argmin(), distance.shape)
            del self._bank[max(i, j)]

    def _lift(self, seen_px: np.ndarray, corners: np.ndarray) -> np.ndarray:
        """Points [n,3] of the camera frame where the rays through pixels meet the planes of triangles [n,3,3]."""
        ray = np.concatenate(
            [(seen_px - self._model.centre_px) / self._model.focal_px, np.ones((len(seen_px), 1))], axis=1
        )
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        return ray * ((normal * corners[:, 0]).sum(1) / (normal * ray).sum(1))[:, None]

    def _match(self, key: _Keyframe, index: int, frame: np.ndarray) -> _Sighting | None:
        """A keyframe's points in another frame."""
        state = self._states[index : index + 1]
        camera = key.points_m @ state.rotation[0].T + state.translation[0]
        predicted = project(camera, self._model.focal_px, self._model.centre_px)
        source = key.points_crop.astype(np.float64) + 0.5
        design = np.concatenate([source, np.ones((len(source), 1))], axis=1)
        if len(source) < 6:
            return None
        affine = np.linalg.lstsq(design, predicted, rcond=None)[0].T  # image <- keyframe crop
        crop_from_image = cv2.invertAffineTransform(affine)
        grey = _grey_crop(frame, crop_from_image, key.grey.shape[0])
        guess = (predicted @ crop_from_image[:, :2].T + crop_from_image[:, 2] - 0.5).astype(np.float32)
        found, good = _there_and_back(key.grey, grey, key.points_crop, guess, self._config)
        likeness = (_patches(grey, found, self._config.window) * key.patches).sum(1)
        good &= likeness > self._config.likeness
        if not good.any():
            return None
        seen = (found[good].astype(np.float64) + 0.5) @ affine[:, :2].T + affine[:, 2]
        return np.full(len(seen), index), key.first_point + np.flatnonzero(good), seen

    def result(self) -> TextureTracks:
        if not self._points:
            return TextureTracks.none()
        head, keyframe, rows = (np.concatenate(part) for part in zip(*self._points, strict=True))
        frame, point, seen = (np.concatenate(part) for part in zip(*self._seen, strict=True))
        return TextureTracks(head, keyframe, rows, frame, point, seen)


def _crop(pixels: np.ndarray, eye_distance_px: float) -> tuple[np.ndarray, int]:
    """Map [2,3] from the image to a square crop around the face at working scale, and the crop's side."""
    outer = pixels[EYE_CORNERS[:, 0]]
    scale = min(1.0, eye_distance_px / float(np.linalg.norm(outer[1] - outer[0])))
    low, high = pixels[:N_FACE].min(0), pixels[:N_FACE].max(0)
    side = float((high - low).max()) * 1.15
    corner = (low + high) / 2 - side / 2
    return crop_matrix(corner, scale), int(np.ceil(side * scale))


def _grey_crop(frame: np.ndarray, crop_from_image: np.ndarray, side: int) -> np.ndarray:
    """Warped grey crop."""
    matrix = opencv_matrix(crop_from_image)
    image_from_crop = cv2.invertAffineTransform(matrix)
    ends = np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1]]) @ image_from_crop.T
    x0, y0 = np.maximum(np.floor(ends.min(0)).astype(int) - 2, 0)
    x1, y1 = np.ceil(ends.max(0)).astype(int) + 3
    part = frame[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    if part.size == 0:
        return np.zeros((side, side), np.uint8)
    grey = part if part.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY)
    matrix[:, 2] += matrix[:, :2] @ [x0, y0]
    flags = cv2.INTER_LINEAR if abs(np.linalg.det(matrix[:, :2])) > 0.5 else cv2.INTER_AREA
    return cv2.warpAffine(grey, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _patches(grey: np.ndarray, points: np.ndarray, side: int) -> np.ndarray:
    """[n,side*side] float32: the image around points [n,2], of mean 0 and norm 1."""
    offset = np.arange(side, dtype=np.float32) - side // 2
    x = points[:, :1] + np.tile(offset, side)
    y = points[:, 1:] + np.repeat(offset, side)
    patches = cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    patches -= patches.mean(1, keepdims=True)
    return patches / (np.linalg.norm(patches, axis=1, keepdims=True) + 1e-6)


def _label_triangles(
    pixels: np.ndarray, points: np.ndarray, rows: np.ndarray, side: int, backend: Backend = "auto"
) -> np.ndarray:
    """[side,side] row of SKIN_TRIANGLES at every pixel where one of `rows` faces the camera squarely; else -1."""
    corners = points[SKIN_TRIANGLES[rows]]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    centre = corners.mean(1)
    facing = -(normal * centre).sum(1) / np.linalg.norm(normal, axis=1) / np.linalg.norm(centre, axis=1)
    seen = rasterise(pixels, points[:, 2], SKIN_TRIANGLES, (side, side), backend).triangle
    return np.where(np.isin(seen, rows[facing > 0.35]), seen, -1)


def _there_and_back(
    source: np.ndarray, target: np.ndarray, points: np.ndarray, guess: np.ndarray, config: FlowConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Points found in `target` and which of them come back to where they started."""
    window = (config.window, config.window)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.005)
    arguments = {"winSize": window, "maxLevel": 1, "criteria": criteria, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW}
    found, ok, _ = cv2.calcOpticalFlowPyrLK(source, target, points[:, None], guess[:, None].copy(), **arguments)
    back, ok_back, _ = cv2.calcOpticalFlowPyrLK(target, source, found, points[:, None].copy(), **arguments)
    error = np.linalg.norm(back[:, 0] - points, axis=1)
    good = (ok[:, 0] == 1) & (ok_back[:, 0] == 1) & (error < config.worst_return_px)
    return found[:, 0], good

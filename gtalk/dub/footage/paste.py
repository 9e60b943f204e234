"""Putting a rendered lower face back into the original image. Pure functions of images.

The avatar is rendered twice for a frame: as the shot shows it (the tracked mouth) and as it shall be.
Where the two hardly differ, their difference is added to the original, which keeps its own detail, grain and
collar, however well the avatar has learned them. Where they differ, the second replaces the original, with what
the first lacks of it in light and colour, smoothed. Both happen under a soft mask of the lower face: outside it
every pixel stays as it was, bit for bit.
"""

from __future__ import annotations

import cv2
import numpy as np

from gtalk.basis import INNER_LIPS, JAW, LIPS
from gtalk.geometry.easing import smoothstep
from gtalk.shapes import Float, UInt8

_CHEEKS = JAW[2:15]
_NOSE_BASE = 33
_INWARD = np.array([0.34, 0.32, 0.28, 0.18, 0.06, 0, 0, 0, 0.06, 0.18, 0.28, 0.32, 0.34])
"""How far each cheek point is moved towards the mouth: the face's outline at its sides is the shot's own."""
_BELOW = 0.10  # of the face's width: how far under the jaw the mask reaches, where its shadow moves
_FEATHER = 0.09  # of the face's width
_LIGHT_SIGMA = 0.10  # of the face's width: light and colour vary no faster
_LEAST_WEIGHT = 1e-3
_CHANGED = (4.0, 14.0)  # grey levels between the renders: below the original is kept, above it is replaced
_CHANGE_SIGMA = 0.02  # of the face's width


def face_width_px(points_px: Float[np.ndarray, "68 2"]) -> float:
    """Distance of the jaw's ends, pixels."""
    return float(np.linalg.norm(points_px[JAW[0]] - points_px[JAW[-1]]))


def lower_face_mask(points_px: list[Float[np.ndarray, "68 2"]], size: tuple[int, int]) -> Float[np.ndarray, "H W"]:
    """Weight of the rendered face, 0 to 1: all of the lower face that any of these landmark sets covers.

    Exactly 0 outside, smoothly rising inward (smoothstep of the distance to the border), below the eyes only.
    """
    filled = np.zeros(size[::-1], np.uint8)
    for points in points_px:
        width = face_width_px(points)
        down = points[8] - points[27]  # chin from the root of the nose: "down" of a tilted head
        down = down / max(np.linalg.norm(down), 1e-6)
        jaw = points[_CHEEKS]
        jaw = jaw + _INWARD[:, None] * (points[LIPS].mean(0) - jaw)
        low = jaw[4:-4] + _BELOW * width * down
        outline = np.concatenate([jaw, low, points[LIPS], points[_NOSE_BASE][None]])
        hull = cv2.convexHull(outline.astype(np.float32)).round().astype(np.int32)
        cv2.fillConvexPoly(filled, hull, (255.0,))
    feather = max(2.0, _FEATHER * face_width_px(points_px[0]))
    # The image's edge is no border of the face: the mask does not fade there.
    distance = cv2.distanceTransform(filled, cv2.DIST_L2, 5)
    return smoothstep(0.0, feather, distance)


def light_difference(
    original: UInt8[np.ndarray, "H W 3"],
    as_shot: UInt8[np.ndarray, "H W 3"],
    alpha: UInt8[np.ndarray, "H W"],
    points_px: Float[np.ndarray, "68 2"],
) -> Float[np.ndarray, "H W 3"]:
    """What the render lacks of the original, in grey levels, smoothed over skin (float32).

    The mouth's interior and what the person does not cover have no say: they differ for other reasons.
    A weighted mean under a Gaussian: blur(weight * difference) / blur(weight).
    """
    sigma = max(1.0, _LIGHT_SIGMA * face_width_px(points_px))
    weight = (alpha.astype(np.float32) / 255.0) ** 4
    mouth = cv2.convexHull(points_px[INNER_LIPS].astype(np.float32)).round().astype(np.int32)
    weight = np.asarray(cv2.fillConvexPoly(weight, mouth, (0.0,)))
    difference = original.astype(np.float32) - as_shot
    # A hand or hair in front of the face is no matter of light: large differences count less.
    weight /= 1.0 + (np.abs(difference).max(axis=2) / 40.0) ** 4
    total = cv2.GaussianBlur(weight, (0, 0), sigma)
    summed = cv2.GaussianBlur(difference * weight[..., None], (0, 0), sigma)
    return summed / np.maximum(total, _LEAST_WEIGHT)[..., None]


def paste(
    original: UInt8[np.ndarray, "H W 3"],
    as_shot: UInt8[np.ndarray, "H W 3"],
    as_spoken: UInt8[np.ndarray, "H W 3"],
    alpha: UInt8[np.ndarray, "H W"],
    mask: Float[np.ndarray, "H W"],
    points_px: Float[np.ndarray, "68 2"],
    grain: Float[np.ndarray, "H W"] | None = None,
) -> UInt8[np.ndarray, "H W 3"]:
    """The original with another lower face.

    Args:
        original: the shot's image.
        as_shot: the avatar with the mouth that the shot shows, over black, premultiplied.
        as_spoken: the avatar with the mouth that it shall have, likewise.
        alpha: coverage of `as_spoken`.
        mask: of `lower_face_mask`.
        points_px: landmarks as the shot shows them.
        grain: fresh noise as strong as the shot's, grey levels; None where it has none.
    """
    light = light_difference(original, as_shot, alpha, points_px)
    cover = alpha.astype(np.float32)[..., None] / 255.0
    before, change = original.astype(np.float32), as_spoken.astype(np.float32) - as_shot
    replaced = as_spoken + cover * light + (1.0 - cover) * before - before
    share = changed_share(change, points_px)[..., None]
    mixed = before + mask[..., None] * (share * replaced + (1.0 - share) * change)
    if grain is not None:
        # What is left of the original brings its own grain: only what is missing of its power is added.
        kept = 1.0 - mask[..., None] * share * cover
        mixed += np.sqrt(1.0 - kept * kept) * grain[..., None]
    return np.where(mask[..., None] > 0, np.clip(np.rint(mixed), 0, 255).astype(np.uint8), original)


def changed_share(change: Float[np.ndarray, "H W 3"], points_px: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "H W"]:
    """How far the original must give way where the renders differ by `change` grey levels: 0 to 1, smooth."""
    sigma = max(1.0, _CHANGE_SIGMA * face_width_px(points_px))
    size = 2 * round(sigma) + 1
    most = cv2.dilate(np.abs(change).max(axis=2), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    low, high = _CHANGED
    return smoothstep(low, high, cv2.GaussianBlur(most, (0, 0), sigma))

"""The demo person in other guises, with exact truth: what grows on, hangs over, lights up and frames a face.

A variant is made of cut-outs: layers are drawn on the person (in head space, so that they turn along, or between the
landmarks), then the whole is scaled and shifted, put before a room, and lit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from demo_person.clip import FOCAL_PX, SIZE
from demo_person.cutout import Cutout
from demo_person.drawing.background import room_picture
from gtalk.topology import FACE_OVAL, LEFT_EYE_RING, OUTER_LIPS_RING, RIGHT_EYE_RING
from gtalk.types import Camera

FINE = 4  # samples a pixel each way, of what is drawn
JAW = FACE_OVAL[8:29]
MOUSTACHE = [61, 186, 92, 165, 167, 164, 393, 391, 322, 410, 291, 270, 267, 0, 37, 40]
UNDER_NOSE = [92, 165, 167, 164, 393, 391, 322]

Change = Callable[[Cutout, int], Cutout]


@dataclass(frozen=True)
class Variant:
    """One guise."""

    name: str
    changes: tuple[Change, ...] = ()
    """Applied in order to every cut-out; the second argument is its number."""
    room: Callable[[int, int], np.ndarray] = lambda number, size: room_picture(size, size)
    """(number of the frame, size) -> what stands behind."""
    lit: Callable[[np.ndarray, Cutout, int], np.ndarray] = lambda image, cutout, number: image
    """What is done to the finished picture."""
    shakes: bool = False
    """Whether the camera is held by hand."""

    def show(self, cutout: Cutout, number: int) -> tuple[np.ndarray, Cutout]:
        """(picture [H,W,3] uint8, the person in it) of a frame."""
        for change in self.changes:
            cutout = change(cutout, number)
        size = len(cutout.alpha)
        picture = self.lit(cutout.over(self.room(number, size)), cutout, number)
        return by_hand(picture, cutout, number) if self.shakes else (picture, cutout)


def plain_room(shade: int) -> Callable[[int, int], np.ndarray]:
    """A wall of one grey."""

    def room(number: int, size: int) -> np.ndarray:
        return np.full((size, size, 3), shade, np.uint8)

    return room


def layer(cutout: Cutout, colour: np.ndarray, cover: np.ndarray, on_person: bool = False) -> Cutout:
    """`colour` [3] or [H,W,3] over a cut-out where `cover` [H,W] says; `on_person`: nowhere else."""
    cover = cover * cutout.alpha if on_person else cover
    # What lies on a pixel that the person covers in part covers the same part.
    over = cover / np.maximum(cutout.alpha, 1e-3) if on_person else cover
    over = np.clip(over, 0, 1)
    rgb = cutout.rgb * (1 - over[..., None]) + np.asarray(colour, np.float32) * cover[..., None]
    return replace(cutout, rgb=rgb, alpha=cutout.alpha if on_person else cutout.alpha + cover * (1 - cutout.alpha))


def filled(cutout: Cutout, outline: np.ndarray, soft: float = 0.0) -> np.ndarray:
    """[H,W] share of each pixel inside a polygon [N,2]; `soft`: blurred by so many pixels."""
    size = cutout.alpha.shape[0]
    fine = np.zeros((size * FINE, size * FINE), np.uint8)
    cv2.fillPoly(fine, [np.rint(outline * FINE).astype(np.int32)], (255,))
    share = cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return cv2.GaussianBlur(share, (0, 0), soft) if soft else share


def hull(cutout: Cutout, points: np.ndarray | list[int]) -> np.ndarray:
    """[N,2] around some landmarks."""
    return cv2.convexHull(cutout.points_px[np.asarray(points)].astype(np.float32))[:, 0]


def in_picture(cutout: Cutout, points: np.ndarray) -> np.ndarray:
    """[N,2] where points [N,3] of head space, metres, are seen."""
    size = cutout.alpha.shape[0]
    camera = Camera(FOCAL_PX * size / SIZE, size / 2, size / 2, size, size)
    return camera.project(points @ cutout.T_world_head[:3, :3].T + cutout.T_world_head[:3, 3])


def hairs(size: int, seed: int) -> np.ndarray:
    """[H,W] streaks that go down, about 1."""
    noise = np.random.default_rng(seed).standard_normal((size, size)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.7, sigmaY=4.0)
    return 1 + 0.22 * noise / noise.std()


def beard(cutout: Cutout, number: int) -> Cutout:
    """Full, dark brown, from ear to ear."""
    low = filled(cutout, np.concatenate([cutout.points_px[JAW], cutout.points_px[UNDER_NOSE[::-1]]]), 1.0)
    lips = filled(cutout, hull(cutout, OUTER_LIPS_RING), 0.5)
    texture = hairs(len(low), 4)[..., None] * np.array([52, 36, 28], np.float32)
    return layer(cutout, texture, np.clip(low - lips, 0, 1) * 0.92, on_person=True)


def moustache(cutout: Cutout, number: int) -> Cutout:
    """Between nose and upper lip."""
    cover = filled(cutout, cutout.points_px[MOUSTACHE], 0.7)
    return layer(cutout, hairs(len(cover), 5)[..., None] * np.array([60, 42, 30], np.float32), 0.95 * cover, True)


def glasses(cutout: Cutout, number: int) -> Cutout:
    """Thick rims, and a window that its lenses reflect: it stays where it is while the head turns."""
    out = cutout
    for ring, side in ((LEFT_EYE_RING, -1), (RIGHT_EYE_RING, 1)):
        centre = cutout.points_px[ring].mean(0)
        width = np.ptp(cutout.points_px[ring][:, 0])
        angle = np.linspace(0, 2 * np.pi, 40)
        circle = np.stack([np.cos(angle), 0.8 * np.sin(angle)], 1)
        lens = filled(cutout, centre + 0.92 * width * circle)
        window = filled(cutout, centre + width * np.array([[-0.3, -0.6], [0.1, -0.6], [-0.1, 0.2], [-0.5, 0.2]])
                        - 2.0 * cutout.T_world_head[0, 2] * np.array([width, 0.0]), 0.6)  # fmt: skip
        out = layer(out, np.array([235, 240, 250]), 0.55 * lens * window)
        rim = np.clip(lens - filled(cutout, centre + 0.78 * width * circle), 0, 1)
        temple = centre + np.array([[side * 0.9 * width, -2.0], [side * 1.9 * width, -1.0]])
        arm = filled(cutout, np.concatenate([temple, temple[::-1] + np.array([0, 0.16 * width])]))
        out = layer(layer(out, np.array([22, 20, 24]), rim), np.array([22, 20, 24]), arm, on_person=True)
    left, right = (cutout.points_px[ring].mean(0) for ring in (LEFT_EYE_RING, RIGHT_EYE_RING))
    gap = 0.3 * (right - left)
    bridge = np.stack([left + gap, right - gap])
    return layer(
        out,
        np.array([22, 20, 24]),
        filled(out, np.concatenate([bridge, bridge[::-1] + np.array([0, 0.02 * len(out.alpha)])])),
    )


def headscarf(cutout: Cutout, number: int) -> Cutout:
    """Around the face, over hair, ears and neck."""
    oval = cutout.points_px[FACE_OVAL]
    middle, height = oval.mean(0), np.ptp(oval[:, 1])
    outer = middle + (oval - middle) * [1.45, 1.55] - [0, 0.14 * height]
    inner = middle + (oval - middle) * [0.98, 0.94]
    bottom = float(oval[:, 1].max())
    across = np.ptp(oval[:, 0])
    corners = np.array([[-0.62, -0.25], [0.62, -0.25], [0.95, 0.75], [-0.95, 0.75]])
    drape = np.array([middle[0], bottom]) + corners * [across, height]
    cover = np.maximum(filled(cutout, outer), filled(cutout, drape)) * (1 - filled(cutout, inner, 0.6))
    y, x = np.mgrid[: len(cover), : len(cover)]
    folds = 1 + 0.18 * np.sin((x - middle[0]) / across * 14 + 2.5 * np.sin((y - middle[1]) / height * 4))
    return layer(cutout, folds[..., None] * np.array([38, 110, 118], np.float32), cover)


def hat(cutout: Cutout, number: int) -> Cutout:
    """A brim and a crown above the forehead, which turn with the head."""
    angle = np.linspace(0, 2 * np.pi, 60)
    ring = np.stack([np.cos(angle), 0 * angle, np.sin(angle)], 1)
    rim = ring * [0.150, 0, 0.135] + [0, 0.082, -0.055]
    top = ring * [0.085, 0, 0.085] + [0, 0.175, -0.070]
    low = ring * [0.098, 0, 0.100] + [0, 0.085, -0.060]
    crown = cv2.convexHull(in_picture(cutout, np.concatenate([top, low])).astype(np.float32))[:, 0]
    out = layer(cutout, np.array([74, 58, 44]), filled(cutout, crown))
    return layer(out, np.array([92, 74, 56]), filled(out, in_picture(cutout, rim)))


def long_hair(colour: tuple[int, int, int], cutout: Cutout, number: int) -> Cutout:
    """Two locks that hang from the temples over the shoulders and lag behind the head."""
    size = cutout.alpha.shape[0]
    rng = np.random.default_rng(11)
    fine = np.zeros((size * FINE, size * FINE, 3), np.float32)
    cover = np.zeros((size * FINE, size * FINE), np.uint8)
    sway = 0.012 * np.sin(number * 0.35) + 0.10 * float(cutout.T_world_head[0, 2])
    down = np.linspace(0, 1, 12)[:, None]
    for side in (-1, 1):
        for _ in range(260):
            root = np.array([side * (0.070 + 0.016 * rng.random()), 0.055 - 0.09 * rng.random(), -0.05 * rng.random()])
            tip = np.array([side * (0.085 + 0.05 * rng.random()), -0.21 - 0.05 * rng.random(), 0.01])
            strand = root + (tip - root) * down + [side * 0.022, 0, 0.02] * np.sin(np.pi * down)
            strand = strand - np.array([sway, 0.0, 0.0]) * down**2
            line = [np.rint(in_picture(cutout, strand) * FINE).astype(np.int32)]
            thick = int(rng.integers(2, 5)) * max(1, round(size / 256))
            cv2.polylines(fine, line, False, (np.array(colour) * rng.uniform(0.7, 1.25)).tolist(), thick, cv2.LINE_AA)
            cv2.polylines(cover, line, False, (255,), thick, cv2.LINE_AA)
    share = cv2.resize(cover, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    shade = cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA) / np.maximum(share, 1e-3)[..., None]
    face = filled(cutout, hull(cutout, FACE_OVAL), 1.0)
    return layer(cutout, np.clip(shade, 0, 255), share * (1 - face))


def bald(cutout: Cutout, number: int) -> Cutout:
    """Skin all over the skull."""
    oval = cutout.points_px[FACE_OVAL]
    middle, (across, height) = oval.mean(0), np.ptp(oval, axis=0)
    y, x = np.mgrid[: len(cutout.alpha), : len(cutout.alpha)]
    above = np.clip((middle[1] - 0.05 * height - y) / (0.10 * height) + 0.5, 0, 1)
    face = filled(cutout, middle + (oval - middle) * 0.93, 2.0)
    brow = cutout.points_px[[151, 9, 108, 337]].astype(int)
    skin = np.median([cutout.rgb[b, a] for a, b in brow], axis=0)
    far = np.hypot((x - middle[0]) / (0.62 * across), (y - middle[1] + 0.2 * height) / (0.75 * height))
    shading = 1.04 - 0.28 * np.clip(far, 0, 1.3) ** 3 - 0.10 * (x - middle[0]) / across
    return layer(cutout, shading[..., None] * skin, (above * (1 - face)).astype(np.float32), on_person=True)


def scaled(scale: float, cutout: Cutout, number: int, shift: tuple[float, float] = (0.0, 0.0)) -> Cutout:
    """The person so many times as large about the face, standing on the lower edge where they get smaller."""
    size = cutout.alpha.shape[0]
    middle = np.array([size / 2, size * (1.0 if scale < 1 else 0.44)])
    matrix = np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]])
    matrix[:, 2] = middle - scale * middle + np.array(shift) * size
    for_cv = matrix.copy()
    for_cv[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    blur = (lambda a: cv2.GaussianBlur(a, (0, 0), 0.4 / scale)) if scale < 0.75 else (lambda a: a)
    rgb, alpha = (cv2.warpAffine(blur(a), for_cv, (size, size)) for a in (cutout.rgb, cutout.alpha))
    return replace(cutout, rgb=rgb, alpha=alpha, points_px=cutout.points_px @ matrix[:, :2].T + matrix[:, 2])


def times(gain: float, image: np.ndarray, cutout: Cutout, number: int) -> np.ndarray:
    """A wrong exposure."""
    return np.clip(np.rint(image.astype(np.float32) * gain), 0, 255).astype(np.uint8)


def from_the_side(image: np.ndarray, cutout: Cutout, number: int) -> np.ndarray:
    """Light from the left alone: the face's other side lies in the dark."""
    middle, across = cutout.points_px[:, 0].mean(), np.ptp(cutout.points_px[:, 0])
    x = (np.arange(image.shape[1]) - middle) / across
    gain = np.interp(x, [-0.6, -0.1, 0.25, 0.6], [1.25, 1.05, 0.35, 0.18])
    lit = image * (cutout.alpha[..., None] * (gain[None, :, None] - 1) + 1)
    return np.clip(np.rint(lit), 0, 255).astype(np.uint8)


def drifting(image: np.ndarray, cutout: Cutout, number: int) -> np.ndarray:
    """An exposure that breathes by a quarter, and a white balance that goes from cold to warm."""
    exposure = 0.88 * (1 + 0.13 * np.sin(number / 7))
    gain = exposure * np.array([1 + 0.002 * number, 1.0, 1 - 0.002 * number])
    return np.clip(np.rint(image * gain), 0, 255).astype(np.uint8)


def passers_by(number: int, size: int) -> np.ndarray:
    """A street: people in plain coats walk by behind."""
    street = room_picture(size, size)
    for k, (speed, colour) in enumerate(((5.0, (60, 30, 36)), (-3.5, (34, 60, 110)), (7.0, (160, 150, 140)))):
        x = int((k * 0.37 * size + speed * size / 256 * number) % (1.6 * size) - 0.3 * size)
        cv2.ellipse(street, (x, int(0.75 * size)), (int(0.10 * size), int(0.42 * size)), 0, 0, 360, colour, -1)
        cv2.circle(street, (x, int(0.27 * size)), int(0.055 * size), (150, 110, 90), -1)
    return street


def by_hand(picture: np.ndarray, cutout: Cutout, number: int) -> tuple[np.ndarray, Cutout]:
    """Seen by a camera that turns about three axes, a little nearer, so that nothing beyond the picture is missed."""
    size, t = len(cutout.alpha), number / 25
    focal = FOCAL_PX * size / SIZE
    yaw, pitch = 0.012 * np.sin(2.9 * t) + 0.004 * np.sin(9.1 * t), 0.009 * np.sin(3.7 * t + 1.0)
    turn = cv2.Rodrigues(np.array([pitch, yaw, 0.018 * np.sin(2.1 * t + 2.0)]))[0]
    camera = np.array([[focal, 0.0, size / 2], [0.0, focal, size / 2], [0.0, 0.0, 1.0]])
    nearer = np.array([[1.14, 0.0, -0.07 * size], [0.0, 1.14, -0.07 * size], [0.0, 0.0, 1.0]])
    homography = nearer @ camera @ turn @ np.linalg.inv(camera)
    shift = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    matrix = np.linalg.inv(shift) @ homography @ shift
    rgb, alpha, picture = (cv2.warpPerspective(a, matrix, (size, size)) for a in (cutout.rgb, cutout.alpha, picture))
    there = cutout.points_px @ homography[:, :2].T + homography[:, 2]
    return picture, replace(cutout, rgb=rgb, alpha=alpha, points_px=there[:, :2] / there[:, 2:])


def in_focus(number: int, size: int) -> np.ndarray:
    """The room with a patterned wallpaper, in focus."""
    rng = np.random.default_rng(3)
    room = room_picture(size, size).astype(np.float32)
    for cells, strength in ((10, 30.0), (30, 22.0), (75, 12.0)):
        room += strength * cv2.resize(rng.standard_normal((cells, cells, 3)).astype(np.float32), (size, size))
    return np.clip(np.rint(room), 0, 255).astype(np.uint8)


DARK_HAIR, BLOND = (34, 26, 24), (196, 160, 104)
VARIANTS = (
    Variant("as they are"),
    Variant("beard", (beard,)),
    Variant("moustache", (moustache,)),
    Variant("glasses that reflect", (glasses,)),
    Variant("headscarf", (headscarf,)),
    Variant("hat", (hat,)),
    Variant("long dark hair, light wall", (partial(long_hair, DARK_HAIR),), plain_room(205)),
    Variant("long dark hair, dark wall", (partial(long_hair, DARK_HAIR),), plain_room(44)),
    Variant("long blond hair, light wall", (partial(long_hair, BLOND),), plain_room(205)),
    Variant("long blond hair, dark wall", (partial(long_hair, BLOND),), plain_room(44)),
    Variant("bald", (bald,)),
    Variant("a child's size", (partial(scaled, 0.62),)),
    Variant("very dark", lit=partial(times, 0.22)),
    Variant("very bright", lit=partial(times, 1.75)),
    Variant("light from the side", lit=from_the_side),
    Variant("face at the border", (partial(scaled, 1.0, shift=(-0.40, 0.0)),)),
    Variant("face of 40 px", (partial(scaled, 0.38),)),
    Variant("face of 95 %", (partial(scaled, 2.05),)),
    Variant("exposure that drifts", lit=drifting),
    Variant("people behind", room=passers_by),
    Variant("a camera held by hand", room=in_focus, shakes=True),
)
"""All guises."""

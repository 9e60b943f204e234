"""Which part of the person a pixel shows: head with hair and ears, neck, torso, lips, mouth, eyes.

Lips and eyes are the tracked contours; where lips end and the mouth begins is told by `clip.lips`. Head, neck and
torso are told apart by where a pixel lies relative to the head (a prior in units of the head) and by its colour
(skin, hair and clothes of this clip, learnt once from pixels whose part is beyond doubt, so that labels do not
flicker).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from gtalk.dataset.format import MaskClass
from gtalk.prepare.segmentation.colour_histogram import cells_of, smoothed
from gtalk.prepare.segmentation.lip_boundary import BINS as LIP_BINS
from gtalk.prepare.segmentation.lip_boundary import LipColours, lip_counts
from gtalk.prepare.segmentation.matte import of_height
from gtalk.prepare.segmentation.parsing_model import NO_ANSWER, ParsingModel
from gtalk.shapes import Float, UInt8
from gtalk.topology import FACE_OVAL, INNER_LIPS_RING, LEFT_EYE_RING, OUTER_LIPS_RING, RIGHT_EYE_RING

WORK_HEIGHT = 224  # colours and priors are weighed at this height
BINS = 24  # per colour channel
ANY_COLOUR = -8.8  # log-likelihood of a colour that clothes were not seen to have: a tie may show now and then
NARROW = 0.45  # head units: where less than this is seen of a neck, between collars, a tie may begin
KNOT = 1.25  # times the narrowest row
BESIDE_CHIN = 0.2  # head units below the chin
JAW_SOFT = 0.1  # head units above the jaw above which all is head for sure
BEARD = 0.3  # head units between the chin and the neck that a beard may cover
CHIN = 152
JAW = FACE_OVAL[9:28]  # from ear to ear along the chin, from the image's right to its left
SKIN, HAIR, CLOTHES = range(3)


@dataclass(frozen=True)
class HeadFrame:
    """Coordinates fixed to the head in the image: origin between the eyes, unit = half the width of the face.

    u to the image's right along the eyes, v down along the face; the chin is at about v = 1.5.
    """

    origin_px: Float[np.ndarray, "2"]
    axes: Float[np.ndarray, "2 2"]
    """Rows: unit vectors of u and v."""
    unit_px: float

    @staticmethod
    def of(points_px: Float[np.ndarray, "478 2"]) -> HeadFrame:
        """From the landmarks of a frame."""
        eyes = points_px[[33, 133, 362, 263]].mean(0)
        across = points_px[[263, 362]].mean(0) - points_px[[33, 133]].mean(0)
        across = across / max(float(np.linalg.norm(across)), 1e-6)
        down = np.array([-across[1], across[0]])
        # The oval's height hardly changes when the head turns; its width does.
        height = float(np.ptp(points_px[FACE_OVAL] @ down))
        return HeadFrame(eyes, np.stack([across, down]), max(0.38 * height, 1.0))

    def grid_point(self, point_px: Float[np.ndarray, "2"]) -> Float[np.ndarray, "2"]:
        """(u, v) of one point."""
        return self.axes @ (point_px - self.origin_px) / self.unit_px

    def grid(self, size: tuple[int, int], scale: float) -> tuple[np.ndarray, np.ndarray]:
        """U and v of every pixel of an image of `size` (width, height) that is `scale` times the original."""
        x = (np.arange(size[0], dtype=np.float32) + 0.5) / scale - np.float32(self.origin_px[0])
        y = (np.arange(size[1], dtype=np.float32) + 0.5) / scale - np.float32(self.origin_px[1])
        axes = (self.axes / self.unit_px).astype(np.float32)
        return x * axes[0, 0] + y[:, None] * axes[0, 1], x * axes[1, 0] + y[:, None] * axes[1, 1]


@dataclass(frozen=True)
class ColourModel:
    """Log-likelihood of each colour cell for skin, hair and clothes of this clip."""

    log_likelihood: Float[np.ndarray, "3 cells"]
    lips: LipColours
    hangs: float
    """Share of the area beside the jaw that hair covers: 0 with short hair, near 1 with long hair."""
    beard: float = 0.0
    """Share of the chin that has the colour of hair."""

    @staticmethod
    def learn(samples: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> ColourModel:
        """From (frame, matte, landmarks [478,2]) of some tens of frames."""
        counts, lips = np.zeros((3, BINS**3), np.float64), np.zeros((2, LIP_BINS**3), np.float64)
        beside_jaw: list[np.ndarray] = []
        on_chin: list[np.ndarray] = []
        for frame, matte, points in samples:
            small, person, scale = _shrink(frame, matte)
            cells = cells_of(small, BINS)
            beside_jaw.append(np.where(person > 0.5, cells, -1)[_beside_jaw(points, person.shape, scale)])
            on_chin.append(cells[_on_chin(points, person.shape, scale)])
            for part, seed in enumerate(_seeds(points, scale, person > 0.9)):
                counts[part] += np.bincount(cells[seed], minlength=BINS**3)
            lips += lip_counts(frame, points)
        flat = smoothed(counts, BINS)
        known = flat.sum(1, keepdims=True)
        # A part that was never seen surely (no hair, no clothes) explains every colour equally badly.
        likelihood = (flat + 1e-5 * np.maximum(known, 1.0)) / np.maximum(known, 1.0)
        table = np.log(likelihood).astype(np.float32)
        seen = np.concatenate(beside_jaw) if beside_jaw else np.zeros(0, int)
        person = seen[seen >= 0]
        hair = table[HAIR, person] > np.maximum(table[SKIN, person], table[CLOTHES, person])
        chin = np.concatenate(on_chin) if on_chin else np.zeros(0, int)
        bearded = table[HAIR, chin] > table[SKIN, chin]
        hangs, beard = float(hair.sum() / max(1, len(seen))), float(bearded.sum() / max(1, len(chin)))
        return ColourModel(table, LipColours.learn(lips), hangs, beard)


class Labeller:
    """Labels the pixels of frames, given their mattes and landmarks."""

    def __init__(self, colours: ColourModel, model: ParsingModel | None = None) -> None:
        self.colours, self.model = colours, model

    def label(
        self,
        frame: UInt8[np.ndarray, "H W 3"],
        matte: UInt8[np.ndarray, "H W"],
        points_px: Float[np.ndarray, "478 2"],
    ) -> UInt8[np.ndarray, "H W"]:
        """MaskClass of every pixel."""
        small, person, scale = _shrink(frame, matte)
        likelihood = self.colours.log_likelihood[:, cells_of(small, BINS)]
        below, *scores = self._scores(likelihood, points_px, scale)
        collar = _collar(likelihood, below, person)
        scores = [cv2.blur(score, (5, 5)) for score in scores]
        self._only_connected(scores, below, person, points_px * scale)
        scores[1][collar] -= 30.0
        full = (matte.shape[1], matte.shape[0])
        head, neck, torso = (cv2.resize(score, full, interpolation=cv2.INTER_LINEAR) for score in scores)
        labels = np.where(neck > torso, np.uint8(MaskClass.NECK), np.uint8(MaskClass.TORSO))
        np.copyto(labels, np.uint8(MaskClass.HEAD), where=head >= cv2.max(neck, torso))
        _fill(labels, points_px[FACE_OVAL], MaskClass.HEAD)
        draw_features(labels, points_px)
        part, mouth = self.colours.lips.mouth(frame, points_px)
        lips = (labels[part] == MaskClass.LIPS) | (labels[part] == MaskClass.MOUTH)
        labels[part][lips] = np.where(mouth, np.uint8(MaskClass.MOUTH), np.uint8(MaskClass.LIPS))[lips]
        if self.model is not None:
            labels = _preferring(self.model.label(frame, points_px), labels, self.model.parts)
        np.copyto(labels, np.uint8(MaskClass.BACKGROUND), where=matte < 128)
        return labels

    @staticmethod
    def _only_connected(scores: list[np.ndarray], below: np.ndarray, person: np.ndarray, points: np.ndarray) -> None:
        """Head and neck are one piece each: what only looks like hair or skin elsewhere is clothes (in place)."""
        head, neck, torso = scores
        is_head = head >= np.maximum(neck, torso)
        face = np.zeros(person.shape, np.uint8)
        _fill(face, points[FACE_OVAL], 1)
        whole_head = _piece((is_head | (face > 0)) & (person > 0.5), face > 0)
        head[is_head & ~whole_head & (face == 0) & (below > 0)] -= 30.0
        unit, chin_row = HeadFrame.of(points).unit_px, float(points[CHIN, 1])
        reach = 2 * round(BEARD * unit) + 5
        below_chin = cv2.dilate(face, np.ones((reach, reach), np.uint8)) > 0
        is_neck = ~is_head & (neck > torso) & (person > 0.5)
        # A thin line along the shoulder is no neck.
        solid = cv2.morphologyEx(is_neck.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
        solid[_knot(solid, round(chin_row + BESIDE_CHIN * unit), NARROW * unit) :] = False
        neck[(neck > torso) & ~_piece(solid, below_chin | whole_head)] -= 30.0

    def _scores(self, likelihood: np.ndarray, points_px: np.ndarray, scale: float) -> list[np.ndarray]:
        """How far below the jaw, and log-scores of head, neck and torso, for every pixel of the small image."""
        skin, hair, clothes = likelihood
        clothes = np.maximum(clothes, ANY_COLOUR)
        below, u, v = _below_jaw(points_px, skin.shape, scale)
        beside = np.abs(u)
        chin = float(HeadFrame.of(points_px).grid_point(points_px[CHIN])[1])
        depth = v - chin
        # Above the jaw all is head. Below it: hair hangs beside the face, the neck is a column of skin
        # that ends where the shoulders begin, clothes are what is lower and farther out.
        # As steep on both sides of the jaw, so that the blur does not move the border.
        is_head = -6.0 * np.clip(below / 0.25, -1, 1)
        hanging = (
            np.interp(self.colours.hangs, [0.2, 0.38], [-9.0, -2.0])
            - 2.5 * np.clip(depth - 0.9, 0, 3)
            - 3.0 * np.clip(0.55 - beside, 0, 1) / 0.3
        )
        hanging = hanging - 3.0 * np.clip(beside - 1.6, 0, 2)
        head = np.maximum(is_head + np.maximum(skin, hair), hanging + hair)
        # The shadow under a chin is dark as hair is: without a beard above it, it is neck.
        doubt = np.interp(self.colours.beard, [0.3, 0.6], [0.5, 12.0])
        shade = hair - doubt - 10.0 * np.clip(beside - 0.5, 0, 3)
        neck = np.maximum(skin, shade) - 3.0 * np.clip(beside - 0.9, 0, 3) - 3.0 * np.clip(depth - 0.75, 0, 3)
        torso = np.maximum(clothes, np.maximum(skin, hair) - 2.5) - 4.0 * np.clip(0.35 - depth, 0, 2)
        torso = torso + 2.0 * np.clip(np.maximum(depth - 0.8, (beside - 1.0) * np.clip(2 * depth + 1, 0, 1)), 0, 2)
        neck = np.maximum(neck, -14.0 - 3.0 * np.clip(depth - 0.3, 0, 3))
        above = 99.0 * np.clip((-below - JAW_SOFT) / JAW_SOFT, 0, 1)
        # Clipped, or a rare colour would outvote all its neighbours.
        best = np.maximum(head, np.maximum(neck, torso)) - 12.0
        scores = (head, neck - above, torso - above)
        return [below, *(np.maximum(score, best).astype(np.float32) for score in scores)]


def _collar(likelihood: np.ndarray, below: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Where clothes lie above: a neck ends at the collar, and what looks like skin below it is a tie or a hand."""
    surely = likelihood[CLOTHES] > np.maximum(ANY_COLOUR, likelihood[[SKIN, HAIR]].max(0) + 1.0)
    clothes = surely & (person > 0.5) & (below > 0)
    thick = cv2.erode(clothes.astype(np.uint8), np.ones((2, 3), np.uint8))
    return np.maximum.accumulate(thick, axis=0) > 0


def _knot(neck: np.ndarray, first: int, narrow: float) -> int:
    """The row where a tie begins: what is seen of a neck between collars gets narrower downwards, a tie wider again."""
    width = neck[max(0, first) :].sum(1)
    least = np.minimum.accumulate(width)
    wider = (least < narrow) & (width > KNOT * least + 1)
    return max(0, first) + (int(least[: wider.argmax()].argmin()) if wider.any() else len(width))


def _preferring(answer: np.ndarray, labels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """A network's answer where it has one, else `labels`; `known` are the parts that it tells apart."""
    # The matte knows the outline better than a network that looks at the whole image.
    silent = (answer == NO_ANSWER) | (answer == MaskClass.BACKGROUND)
    unknown = np.setdiff1d([MaskClass.LIPS, MaskClass.MOUTH, MaskClass.EYES], known)
    return np.where(silent | (np.isin(labels, unknown) & (answer == MaskClass.HEAD)), labels, answer)


def draw_features(labels: UInt8[np.ndarray, "H W"], points_px: Float[np.ndarray, "478 2"]) -> np.ndarray:
    """Draw lips, mouth and eyes over `labels` (changed in place)."""
    _fill(labels, points_px[OUTER_LIPS_RING], MaskClass.LIPS)
    _fill(labels, points_px[INNER_LIPS_RING], MaskClass.MOUTH)
    _fill(labels, points_px[LEFT_EYE_RING], MaskClass.EYES)
    _fill(labels, points_px[RIGHT_EYE_RING], MaskClass.EYES)
    return labels


def _fill(labels: np.ndarray, ring_px: np.ndarray, value: int) -> None:
    # Pixel centres are at .5 here and at whole numbers in OpenCV.
    cv2.fillPoly(labels, [np.rint((ring_px - 0.5) * 16).astype(np.int32)], (int(value),), shift=4)


def _shrink(frame: np.ndarray, matte: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    # In one step, though two are quicker: what is blurred twice loses the thin line between a tie and a neck.
    small, person = of_height(frame, WORK_HEIGHT), of_height(matte, WORK_HEIGHT)
    return small, person.astype(np.float32) * np.float32(1 / 255), min(1.0, WORK_HEIGHT / matte.shape[0])


def _seeds(points_px: np.ndarray, scale: float, person: np.ndarray) -> list[np.ndarray]:
    """Where skin, hair and clothes are beyond doubt, as masks of the small image."""
    u, v = HeadFrame.of(points_px).grid((person.shape[1], person.shape[0]), scale)
    oval = np.zeros(person.shape, np.uint8)
    ring = points_px[FACE_OVAL] * scale
    _fill(oval, ring.mean(0) + 0.85 * (ring - ring.mean(0)), 1)
    outside = np.zeros(person.shape, np.uint8)
    _fill(outside, ring.mean(0) + 1.12 * (ring - ring.mean(0)), 1)
    chin = float(HeadFrame.of(points_px).grid_point(points_px[CHIN])[1])
    lips = points_px[OUTER_LIPS_RING] * scale
    _fill(oval, lips.mean(0) + 1.3 * (lips - lips.mean(0)), 0)
    skin = (oval > 0) & (v > 0.25)
    beside = (outside == 0) & (np.abs(u) < 2)
    hair = person & beside & (v < chin - 0.7)
    clothes = person & (v > chin + 0.9) | person & (v > chin + 0.5) & (np.abs(u) > 1.3)
    return [skin, hair, clothes]


def _beside_jaw(points_px: np.ndarray, shape: tuple[int, ...], scale: float) -> np.ndarray:
    """Right beside the jaw, between the mouth's corners and the chin: where long hair hangs."""
    head = HeadFrame.of(points_px)
    u, v = head.grid((shape[1], shape[0]), scale)
    jaw = np.array([head.grid_point(point) for point in points_px[JAW]])
    mouth = float(np.mean([head.grid_point(points_px[i])[1] for i in (61, 291)]))
    level = (v > mouth) & (v < jaw[:, 1].max() - 0.15)
    right, left = jaw[: len(jaw) // 2], jaw[len(jaw) // 2 + 1 :]
    edge_right = np.interp(v, right[:, 1], right[:, 0])
    edge_left = np.interp(v, left[::-1, 1], left[::-1, 0])
    return level & (
        ((u > edge_right + 0.1) & (u < edge_right + 0.45)) | ((u < edge_left - 0.1) & (u > edge_left - 0.45))
    )


def _on_chin(points_px: np.ndarray, shape: tuple[int, ...], scale: float) -> np.ndarray:
    """The front of the chin, where a beard is if there is one."""
    below, u, _ = _below_jaw(points_px, (shape[0], shape[1]), scale)
    return (below > -0.35) & (below < -0.1) & (np.abs(u) < 0.35)


def _below_jaw(
    points_px: np.ndarray, shape: tuple[int, int], scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(how far each pixel lies below the jaw line in head units, u, v); the line goes on outwards from the ears."""
    head = HeadFrame.of(points_px)
    u, v = head.grid((shape[1], shape[0]), scale)
    jaw = np.array([head.grid_point(point) for point in points_px[JAW]])
    jaw = jaw[np.argsort(jaw[:, 0])]
    # Beyond the jaw's corners lie ear lobes, as low as the mouth's corners at most, then hair.
    mouth = float(np.mean([head.grid_point(points_px[i])[1] for i in (61, 291)]))
    low = np.minimum(jaw[[0, -1], 1] + 0.25, mouth)
    # Farther out the line rises: what is beside a tilted head may be a shoulder.
    left, right = jaw[0, 0], jaw[-1, 0]
    line_u = np.concatenate([[left - 1.4, left - 0.35], jaw[:, 0], [right + 0.35, right + 1.4]])
    line_v = np.concatenate([[low[0] - 1.4, low[0]], np.maximum(jaw[:, 1], min(low)), [low[1], low[1] - 1.4]])
    return v - np.interp(u, line_u, line_v).astype(np.float32), u, v


def _piece(area: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """The part of `area` that hangs together with `anchor`, thin bridges not counted."""
    kernel = np.ones((3, 3), np.uint8)
    solid = cv2.erode(area.astype(np.uint8), kernel)
    _, pieces = cv2.connectedComponents(solid | (anchor & area).astype(np.uint8), connectivity=4)
    kept = np.unique(pieces[anchor & area])
    joined = np.isin(pieces, kept[kept > 0]).astype(np.uint8)
    return (cv2.dilate(joined, np.ones((5, 5), np.uint8)) > 0) & area

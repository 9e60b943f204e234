"""What stands behind the person: a plate without the person, and how the camera's framing shifts against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from gtalk.dataset.format import Segment
from gtalk.geometry.similarity import matrices, opencv_matrix
from gtalk.prepare.frame_io import in_order, in_turns
from gtalk.progress import OnProgress, Progress, silent
from gtalk.shapes import Bool, Float, Int, UInt8

MEMORY_BYTES = 260_000_000  # of images held for the median
MOST_PICTURES = 96
MARGIN = 0.012  # of the height: pixels so near to the person may be hair or a shadow
LEVELS = 5
FEWEST_PIXELS = 40
GAIN = 0.9  # a shift is believed when it leaves at most this share of the difference
LEAST_SEEN = 0.04  # of the images: what is seen less often may be a strand that the matte lost
MOVING_DIFFERENCE = 14.0  # of 255
ODD_SHARE = 0.5  # a frame of which more differs from the plate shows something else: a black image, a title
PIECE = 50  # frames that get a plate of their own, to see the camera drift
MOST_PIECES = 60  # of a clip, cuts aside
MOST_SAMPLES = 160  # frames that the plates of all pieces are made from, unless there are many cuts
LEAST_DRIFT = 0.003  # of the height
UNEVEN = 0.25  # of the drift: how far a piece may lie off its neighbours' middle


Read = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""Frame index -> (RGB image, matte 0 to 255)."""


@dataclass(frozen=True)
class Background:
    """The plate and what was found out about it."""

    plate: UInt8[np.ndarray, "H W 3"]
    known: Bool[np.ndarray, "H W"]
    """Where the plate was really seen; the rest is painted in."""
    framing: Float[np.ndarray, "T 3"]
    """Camera framing relative to the plate: dx, dy in image heights, log scale (see `clip.similarity`)."""
    drift: float
    """How far the framing drifts within a shot at most, image heights; 0 for a camera on a stand."""
    moving_share: float
    """Share of background pixels that differ from the plate."""


def make_background(
    read: Read, size: tuple[int, int], segments: Sequence[Segment], on_progress: OnProgress = silent
) -> Background:
    """Median of the pixels that are background, over frames spread through the clip.

    Frames are first brought into the framing of the longest segment's middle: shots may be framed apart, and
    a camera may drift. Only the frames `frames_needed(size, segments)` are read.
    """
    pieces = _pieces(segments)
    plates = _plates(read, size, pieces, on_progress)
    longest = max(segments, key=lambda segment: segment.stop - segment.start)
    inside = [i for i, piece in enumerate(pieces) if longest.start <= piece.start < longest.stop]
    reference = plates[inside[len(inside) // 2]]
    shifts = np.array([np.zeros(3) if plate is reference else align_plates(reference, plate) for plate in plates])
    framing, drift = framing_of(shifts, pieces, segments)
    stack, seen = _stack(read, size, _spread(segments, _capacity(size)), framing)
    plate, known = masked_median(stack, seen)
    odd = np.array([_moved(*item, plate).mean() > ODD_SHARE * item[1].mean() for item in zip(stack, seen, strict=True)])
    if 0 < odd.mean() < 0.5:
        stack, seen = stack[~odd], seen[~odd]
        plate, known = masked_median(stack, seen)
    moving = sum(int(_moved(*item, plate).sum()) for item in zip(stack, seen, strict=True)) / max(1, int(seen.sum()))
    return Background(paint_in(plate, known), known, framing, drift, moving)


def framing_of(
    shifts: Float[np.ndarray, "P 3"], pieces: Sequence[Segment], segments: Sequence[Segment]
) -> tuple[Float[np.ndarray, "T 3"], float]:
    """(framing of every frame, largest drift within a segment), from that of every piece.

    A segment's framing is one and the same, unless its pieces go somewhere: farther than LEAST_DRIFT, and
    evenly, as a camera that drifts does and errors of measurement do not.
    """
    framing, drift = np.zeros((segments[-1].stop, 3)), 0.0
    for segment in segments:
        own = [i for i, piece in enumerate(pieces) if segment.start <= piece.start < segment.stop]
        values = shifts[own]
        framing[segment.start : segment.stop] = np.median(values, axis=0)
        reach = _reach(np.ptp(values, axis=0))
        off = values[1:-1] - (values[:-2] + values[2:]) / 2
        if len(own) < 3 or reach < LEAST_DRIFT or _reach(np.sqrt((off**2).mean(0))) > UNEVEN * reach:
            continue
        drift = max(drift, reach)
        ends = [2 * values[0] - values[1], *values, 2 * values[-1] - values[-2]]
        middles = np.array([(pieces[i].start + pieces[i].stop - 1) / 2 for i in own])
        times = [2 * middles[0] - middles[1], *middles, 2 * middles[-1] - middles[-2]]
        frames = np.arange(segment.start, segment.stop)
        framing[frames] = np.stack([np.interp(frames, times, column) for column in np.array(ends).T], axis=1)
    return framing, drift


def frames_needed(size: tuple[int, int], segments: Sequence[Segment]) -> Int[np.ndarray, " N"]:
    """Indices of the frames that `make_background` looks at, ascending."""
    pieces = _pieces(segments)
    samples = [_samples(piece, len(pieces)) for piece in pieces]
    return np.unique(np.concatenate([_spread(segments, _capacity(size)), *samples]))


def framed_like(image: np.ndarray, framing: Float[np.ndarray, "3"], back: bool = False) -> np.ndarray:
    """An image of the plate as the camera framed it in a frame; with `back`, a frame brought to the plate."""
    if not framing.any():
        return image
    size = (image.shape[1], image.shape[0])
    matrix = opencv_matrix(matrices(np.array([framing[0], framing[1], 0.0, framing[2]]), size))
    flags = cv2.INTER_LINEAR | (cv2.WARP_INVERSE_MAP if back else 0)
    return cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_CONSTANT)


def room_seen(matte: UInt8[np.ndarray, "H W"], height: int) -> UInt8[np.ndarray, "H W"]:
    """255 where an image of `height` surely shows the room: a little away from the person."""
    kernel = np.ones((2 * max(1, round(MARGIN * height)) + 1,) * 2, np.uint8)
    return (cv2.dilate(matte, kernel) < 8).astype(np.uint8) * 255


def masked_median(
    stack: UInt8[np.ndarray, "N H W 3"], seen: np.ndarray
) -> tuple[UInt8[np.ndarray, "H W 3"], np.ndarray]:
    """(median over the images in which a pixel was seen, where it was seen often enough)."""
    count = seen.sum(0)
    plate = np.zeros(stack.shape[1:], np.uint8)

    def fill(row: int) -> None:  # by rows: sorting copies what it sorts
        values = np.where(seen[:, row, :, None], stack[:, row], 255)
        ordered = np.sort(values, axis=0)
        middle = np.maximum(count[row] - 1, 0) // 2
        plate[row] = np.take_along_axis(ordered, middle[None, :, None], axis=0)[0]

    for _ in in_turns(fill, range(stack.shape[1])):
        pass
    return plate, count >= max(1, round(LEAST_SEEN * len(stack)))


def paint_in(plate: UInt8[np.ndarray, "H W 3"], known: np.ndarray) -> UInt8[np.ndarray, "H W 3"]:
    """Fill what was never seen, smoothly from its surroundings (pull-push through a pyramid)."""
    if known.all() or not known.any():
        return plate if known.any() else np.full_like(plate, 128)
    filled = _pull_push(plate.astype(np.float32), known.astype(np.float32))
    soft = cv2.GaussianBlur(known.astype(np.float32), (0, 0), 1.5)[..., None] * known[..., None]
    return np.clip(np.rint(plate * soft + filled * (1 - soft)), 0, 255).astype(np.uint8)


def align_plates(
    reference: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> Float[np.ndarray, "3"]:
    """[dx, dy, log scale] that takes `reference` to `other`, both (image, where it is known).

    Direct alignment (Gauss-Newton on grey values, coarse to fine): backgrounds are often smooth, which
    starves feature matching. Identity unless the shift explains the difference clearly better.
    """
    height, width = reference[0].shape[:2]
    a, b = (_grey_pyramid(*plate) for plate in (reference, other))
    shift = np.zeros(3)
    for (grey_a, known_a), (grey_b, known_b) in zip(reversed(a), reversed(b), strict=True):
        for _ in range(12):
            step = _gauss_newton(grey_a, known_a, grey_b, known_b, shift)
            if step is None:
                break
            shift = shift + step
            if np.abs(step).max() < 1e-5:
                break
    before = _difference(a[1], b[1], np.zeros(3))
    after = _difference(a[1], b[1], shift)
    plausible = np.abs(shift[:2]).max() < 0.25 and abs(shift[2]) < 0.3
    moved_px = np.abs(shift).max() * max(height, width)
    return shift if plausible and moved_px > 0.3 and after < GAIN * before else np.zeros(3)


def _plates(
    read: Read, size: tuple[int, int], pieces: Sequence[Segment], on_progress: OnProgress
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(image, known) of each piece at reduced size, from a few of its frames."""
    scale = min(1.0, 256 / size[1])
    small = (round(size[0] * scale), round(size[1] * scale))
    plates = []
    for number, piece in enumerate(pieces):
        stack, seen = _stack(read, size, _samples(piece, len(pieces)), np.zeros((pieces[-1].stop, 3)), small)
        plates.append(masked_median(stack, seen))
        on_progress(Progress("background", number + 1, len(pieces)))
    return plates


def _stack(
    read: Read,
    size: tuple[int, int],
    indices: np.ndarray,
    framing: np.ndarray,
    small: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Images in the plate's framing and where they show background."""

    def load(index: int) -> tuple[np.ndarray, np.ndarray]:
        frame, matte = read(index)
        seen = room_seen(matte, size[1])
        frame, seen = framed_like(frame, framing[index], back=True), framed_like(seen, framing[index], back=True)
        if small is not None:
            frame = cv2.resize(frame, small, interpolation=cv2.INTER_AREA)
            seen = cv2.resize(seen, small, interpolation=cv2.INTER_AREA)
        return frame, seen > 250

    loaded = list(in_order(load, [int(i) for i in indices]))
    return np.stack([frame for frame, _ in loaded]), np.stack([seen for _, seen in loaded])


def _moved(image: np.ndarray, seen: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """Where an image shows background other than the plate's."""
    alike = cv2.inRange(cv2.absdiff(image, plate), np.zeros(3), np.full(3, MOVING_DIFFERENCE))
    return (alike == 0) & seen


def _reach(shift: np.ndarray) -> float:
    """How far a change of framing moves the image's edge, image heights."""
    return float(np.hypot(shift[0], shift[1]) + abs(shift[2]) / 2)


def _pieces(segments: Sequence[Segment]) -> list[Segment]:
    """The segments in parts of about PIECE frames."""
    length = max(PIECE, -(-segments[-1].stop // MOST_PIECES))
    pieces = []
    for segment in segments:
        count = max(1, (segment.stop - segment.start) // length)
        edges = np.linspace(segment.start, segment.stop, count + 1).round().astype(int).tolist()
        pieces += [Segment(a, b, segment.source) for a, b in pairwise(edges)]
    return pieces


def _samples(piece: Segment, n_pieces: int) -> np.ndarray:
    """Frames of a piece for its own plate."""
    count = int(np.clip(MOST_SAMPLES // n_pieces, 3, 9))
    return np.unique(np.linspace(piece.start, piece.stop - 1, count).astype(int))


def _capacity(size: tuple[int, int]) -> int:
    return int(min(MOST_PICTURES, max(9, MEMORY_BYTES // (size[0] * size[1] * 5))))


def _spread(segments: Sequence[Segment], count: int) -> np.ndarray:
    total = segments[-1].stop
    return np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))


def _pull_push(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    height, width = weight.shape
    if min(height, width) <= 2 or weight.min() > 0:
        mean = (values * weight[..., None]).sum((0, 1)) / max(float(weight.sum()), 1e-6)
        return np.where(weight[..., None] > 0, values, mean)
    half = ((width + 1) // 2, (height + 1) // 2)
    small_weight = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)
    small = cv2.resize(values * weight[..., None], half, interpolation=cv2.INTER_AREA)
    small = small / np.maximum(small_weight, 1e-6)[..., None]
    coarse = _pull_push(small, (small_weight > 0).astype(np.float32))
    up = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.where(weight[..., None] > 0, values, up)


def _grey_pyramid(image: np.ndarray, known: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    weight = known.astype(np.float32)
    levels = []
    for _ in range(LEVELS):
        levels.append((grey, weight))
        small = ((grey.shape[1] + 1) // 2, (grey.shape[0] + 1) // 2)
        if min(small) < 12:
            break
        total = cv2.resize(weight, small, interpolation=cv2.INTER_AREA)
        grey = cv2.resize(grey * weight, small, interpolation=cv2.INTER_AREA) / np.maximum(total, 1e-6)
        weight = (total > 0.99).astype(np.float32)
    return levels


def _warped(grey: np.ndarray, known: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`other` brought into the reference's framing."""
    height, width = grey.shape
    similarity = np.array([shift[0], shift[1], 0.0, shift[2]])
    matrix = opencv_matrix(matrices(similarity, (width, height)))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(grey, matrix, (width, height), flags=flags), cv2.warpAffine(
        known, matrix, (width, height), flags=flags
    )


def _gauss_newton(
    grey_a: np.ndarray, known_a: np.ndarray, grey_b: np.ndarray, known_b: np.ndarray, shift: np.ndarray
) -> np.ndarray | None:
    height, width = grey_a.shape
    moved, known = _warped(grey_b, known_b, shift)
    both = cv2.erode(((known > 0.99) & (known_a > 0.99)).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if both.sum() < FEWEST_PIXELS:
        return None
    dx = cv2.Sobel(moved, cv2.CV_32F, 1, 0, ksize=3) / 8
    dy = cv2.Sobel(moved, cv2.CV_32F, 0, 1, ksize=3) / 8
    y, x = np.nonzero(both)
    gx, gy = dx[both] * height, dy[both] * height
    radial = gx * ((x + 0.5 - width / 2) / height) + gy * ((y + 0.5 - height / 2) / height)
    jacobian = np.stack([gx, gy, radial], axis=1).astype(np.float64)
    residual = (grey_a - moved)[both].astype(np.float64)
    # A lamp that was switched must not look like a shift.
    residual = residual - np.median(residual)
    weight = 1.0 / np.maximum(np.abs(residual) / 4.0, 1.0)
    normal = jacobian.T @ (jacobian * weight[:, None])
    damping = np.diag([1e-3, 1e-3, 3e-2]) * max(float(np.trace(normal)) / 3, 1e-9)
    return np.linalg.solve(normal + damping, jacobian.T @ (weight * residual))


def _difference(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], shift: np.ndarray) -> float:
    moved, known = _warped(*b, shift)
    both = (known > 0.99) & (a[1] > 0.99)
    residual = (a[0] - moved)[both]
    return float(np.abs(residual - np.median(residual)).mean()) if both.sum() >= FEWEST_PIXELS else float("inf")

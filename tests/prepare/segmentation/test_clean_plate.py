import cv2
import numpy as np

from gtalk.dataset.format import Segment
from gtalk.geometry.similarity import matrices, opencv_matrix
from gtalk.prepare.segmentation.clean_plate import (
    align_plates,
    frames_needed,
    framing_of,
    make_background,
    masked_median,
    paint_in,
)

SIZE = (160, 128)


def room() -> np.ndarray:
    rng = np.random.default_rng(2)
    coarse = cv2.resize(rng.integers(60, 200, (6, 8, 3), dtype=np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
    fine = cv2.resize(rng.integers(0, 40, (24, 30, 3), dtype=np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)
    return cv2.add(coarse, fine)


def reader(shifts: np.ndarray, moving: bool = False):
    """A dark person walks before a room that the camera frames with [dx, dy, log scale]."""

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        dx, dy, log_scale = shifts[index]
        matrix = opencv_matrix(matrices(np.array([dx, dy, 0.0, log_scale]), SIZE))
        frame = cv2.warpAffine(room(), matrix, SIZE, borderMode=cv2.BORDER_REPLICATE)
        matte = np.zeros(SIZE[::-1], np.uint8)
        x = int(50 + 50 * np.sin(index / 4) + 20)
        cv2.ellipse(matte, (x, 100), (22, 70), 0, 0, 360, 255, -1)
        frame = np.where(matte[..., None] > 0, np.uint8(15), frame)
        if moving:
            frame[:40] = np.random.default_rng(index).integers(0, 255, (40, 160, 3))
        noise = np.random.default_rng(index + 99).normal(0, 2, frame.shape)
        return np.clip(frame + noise, 0, 255).astype(np.uint8), matte

    return read


def test_the_plate_is_the_room_where_it_was_seen() -> None:
    found = make_background(reader(np.zeros((60, 3))), SIZE, [Segment(0, 60, "a")])
    assert found.known.mean() > 0.9
    assert np.abs(found.plate.astype(int) - room())[found.known].mean() < 1.5
    assert found.moving_share < 0.01
    assert not found.framing.any()


def test_framing_is_found_for_every_shot() -> None:
    shift = np.array([0.04, -0.03, 0.02])
    shifts = np.concatenate([np.zeros((40, 3)), np.tile(shift, (30, 1))])
    found = make_background(reader(shifts), SIZE, [Segment(0, 40, "a"), Segment(40, 70, "a")])
    assert not found.framing[:40].any()
    error_px = np.abs(found.framing[40:] - shift) * 128
    assert error_px.max() < 0.4
    assert np.abs(found.plate.astype(int) - room())[found.known].mean() < 2.0


def test_a_moving_background_is_reported() -> None:
    assert make_background(reader(np.zeros((60, 3)), moving=True), SIZE, [Segment(0, 60, "a")]).moving_share > 0.15


def test_only_the_named_frames_are_read() -> None:
    read, asked = reader(np.zeros((500, 3))), set()

    def watched(index: int):
        asked.add(index)
        return read(index)

    segments = [Segment(0, 300, "a"), Segment(300, 500, "a")]
    make_background(watched, SIZE, segments)
    assert asked == set(frames_needed(SIZE, segments).tolist())
    assert len(asked) < 200


def test_a_drifting_camera_is_brought_to_rest() -> None:
    """By 6 pixels in 10 seconds, and nearer."""
    share = np.linspace(-0.5, 0.5, 250)[:, None]
    shifts = share * [6 / 128, -3 / 128, 0.03]
    found = make_background(reader(shifts), SIZE, [Segment(0, 250, "a")])
    error = found.framing - found.framing.mean(0) - (shifts - shifts.mean(0))
    assert np.abs(error).max() * 128 < 0.8
    assert 0.04 < found.drift < 0.08
    assert np.abs(found.plate.astype(int) - room())[found.known].mean() < 3.5
    assert found.moving_share < 0.03


def test_errors_of_measurement_are_no_drift() -> None:
    segments = [Segment(0, 300, "a"), Segment(300, 400, "a")]
    pieces = [Segment(50 * i, 50 * i + 50, "a") for i in range(8)]
    shifts = np.random.default_rng(4).normal(0, 0.01, (8, 3))
    framing, drift = framing_of(shifts, pieces, segments)
    assert drift == 0.0
    assert np.array_equal(framing, np.repeat([np.median(s, axis=0) for s in (shifts[:6], shifts[6:])], [300, 100], 0))
    swaying = np.column_stack([0.02 * np.sin(np.arange(8) * 0.7), np.zeros((8, 2))])
    framing, drift = framing_of(swaying, pieces, [Segment(0, 400, "a")])
    assert 0.03 < drift < 0.04
    assert np.abs(framing[24::50, 0] - swaying[:, 0]).max() < 1e-3


def test_black_images_between_are_no_background() -> None:
    plain = reader(np.zeros((60, 3)))

    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        frame, matte = plain(index)
        return (np.zeros_like(frame), np.zeros_like(matte)) if 20 <= index < 34 else (frame, matte)

    found = make_background(read, SIZE, [Segment(0, 60, "a")])
    assert found.moving_share < 0.01
    assert np.abs(found.plate.astype(int) - room())[found.known].mean() < 1.5


def test_a_plain_wall_gives_no_shift() -> None:
    flat = (np.full((64, 64, 3), 90, np.uint8), np.ones((64, 64), bool))
    brighter = (np.full((64, 64, 3), 97, np.uint8), np.ones((64, 64), bool))
    assert not align_plates(flat, brighter).any()


def test_masked_median_takes_only_what_was_seen() -> None:
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 255, (7, 5, 6, 3), dtype=np.uint8)
    seen = rng.random((7, 5, 6)) < 0.7
    seen[:, 0, 0] = False
    plate, known = masked_median(stack, seen)
    assert not known[0, 0] and known.sum() >= 28
    for y, x in ((1, 1), (3, 4), (4, 5)):
        values = np.sort(stack[seen[:, y, x], y, x], axis=0)
        assert np.array_equal(plate[y, x], values[(len(values) - 1) // 2])


def test_painting_in_is_smooth_and_keeps_what_is_known() -> None:
    plate = np.tile(np.linspace(40, 200, 64)[None, :, None], (64, 1, 3)).astype(np.uint8)
    known = np.ones((64, 64), bool)
    known[20:44, 20:44] = False
    painted = paint_in(np.where(known[..., None], plate, 0).astype(np.uint8), known)
    assert np.array_equal(painted[:12], plate[:12])
    assert np.abs(painted.astype(int) - plate).max() < 30
    nothing = paint_in(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool))
    assert (nothing == 128).all()

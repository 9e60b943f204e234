"""Guises of the demo person: coverage and landmarks stay exact whatever is put on, over or around a face."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo_person.cutout import Cutout
from demo_person.truth import load_truth
from demo_person.variants import VARIANTS, Variant, by_hand, filled, scaled
from gtalk.topology import FACE_OVAL

SIZE = 128
BY_NAME = {variant.name: variant for variant in VARIANTS}
GROWS = {"headscarf", "hat", "long dark hair, light wall", "long blond hair, dark wall"}


@cache
def somebody() -> Cutout:
    """A body of one colour around the true landmarks of a frame."""
    truth = load_truth(Path(__file__).resolve().parents[2] / "data" / "demo")
    points = truth.points_px[40] * (SIZE / truth.camera.width)
    alpha = np.zeros((SIZE, SIZE), np.float32)
    blank = Cutout(np.zeros((SIZE, SIZE, 3), np.float32), alpha, points, truth.T_world_head[40])
    oval = points[FACE_OVAL]
    head = filled(blank, oval.mean(0) + 1.15 * (oval - oval.mean(0)))
    x, y = oval[:, 0].mean(), oval[:, 1].max()
    body = filled(blank, np.array([[x - 20, y - 8], [x + 20, y - 8], [x + 55, SIZE], [x - 55, SIZE]]))
    alpha = np.maximum(head, body)
    return Cutout(alpha[..., None] * np.array([190, 140, 120], np.float32), alpha, points, truth.T_world_head[40])


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_coverage_is_what_the_picture_shows(variant: Variant) -> None:
    picture, cutout = variant.show(somebody(), 3)
    assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.uint8
    assert cutout.alpha.min() >= 0 and cutout.alpha.max() <= 1 + 1e-6 and np.isfinite(cutout.points_px).all()
    assert (cutout.rgb <= 256 * cutout.alpha[..., None] + 1).all()  # premultiplied
    bare = Variant("bare", variant.changes, variant.room)
    shown, same = bare.show(somebody(), 3)
    room = variant.room(3, SIZE)
    assert np.array_equal(shown[same.alpha == 0], room[same.alpha == 0])
    before = somebody().alpha
    if variant.name in GROWS:
        assert (same.alpha >= before - 1e-5).all() and same.alpha.sum() > 1.02 * before.sum()
    elif variant.name in ("beard", "moustache", "bald"):
        assert np.array_equal(same.alpha, before)
        changed = np.abs(same.rgb - somebody().rgb).max(-1) > 20
        assert 5 < changed.sum() < 0.5 * before.sum() and not changed[before == 0].any()


def test_a_beard_leaves_the_lips_free() -> None:
    rgb = BY_NAME["beard"].show(somebody(), 0)[1].rgb
    chin, lip = (somebody().points_px[i].astype(int) for i in (199, 14))
    assert rgb[chin[1], chin[0]].mean() < 80 < rgb[lip[1], lip[0]].mean()


@pytest.mark.parametrize("scale", [0.34, 0.62, 2.05])
def test_landmarks_follow_scale_and_shift(scale: float) -> None:
    moved = scaled(scale, somebody(), 0, shift=(-0.1, 0.05))
    assert np.ptp(moved.points_px[FACE_OVAL][:, 1]) == pytest.approx(
        scale * np.ptp(somebody().points_px[FACE_OVAL][:, 1])
    )
    marked = somebody().alpha * 0
    x, y = somebody().points_px[1]
    cv2.circle(marked, (int(x), int(y)), 6, 1.0, -1)
    dot = scaled(
        scale, Cutout(somebody().rgb * 0, marked, somebody().points_px, somebody().T_world_head), 0, (-0.1, 0.05)
    )
    row, column = np.nonzero(dot.alpha > 0.5 * dot.alpha.max())
    assert np.abs([column.mean() + 0.5, row.mean() + 0.5] - dot.points_px[1]).max() < 0.7 * max(scale, 1) + 0.3


def test_landmarks_follow_a_camera_held_by_hand() -> None:
    marked = somebody().alpha * 0
    x, y = somebody().points_px[1]
    cv2.circle(marked, (int(x), int(y)), 5, 1.0, -1)
    dot = Cutout(somebody().rgb * 0, marked, somebody().points_px, somebody().T_world_head)
    places = []
    for number in (0, 9, 20):
        seen = by_hand(np.zeros((SIZE, SIZE, 3), np.uint8), dot, number)[1]
        row, column = np.nonzero(seen.alpha > 0.5)
        assert np.abs([column.mean() + 0.5, row.mean() + 0.5] - seen.points_px[1]).max() < 1.0
        places.append(seen.points_px[1])
    assert np.linalg.norm(np.ptp(places, axis=0)) > 1.0

"""What moves with the head is told from what moves on its own."""

from __future__ import annotations

import numpy as np

from gtalk.dataset.format import MaskClass
from gtalk.geometry.rotation import exp_so3
from gtalk.prepare.torso.looseness import FRAMES, Looseness, measure_looseness
from gtalk.prepare.torso.sway import Alignment
from gtalk.topology import FACE_OVAL
from tests.prepare.torso.test_sway import SIDE, frame

TURNS = 0.2 * np.sin(np.linspace(0.0, 9.0, FRAMES))  # radians
SWINGS = np.random.default_rng(3).uniform(-30.0, 30.0, FRAMES)  # pixels


def looseness(strand_px: np.ndarray, down_to: float = 0.9) -> Looseness:
    """Of a face that turns and moves aside with it, and a strand beside it; what belongs to the head goes that low."""
    face_px = 15.0 * TURNS
    images = [frame(float(a), float(b)) for a, b in zip(face_px, strand_px, strict=True)]
    matte = np.full((SIDE, SIDE), 255, np.uint8)
    points = np.full((478, 2), 85.0)
    around = np.linspace(0.0, 2 * np.pi, len(FACE_OVAL), endpoint=False)
    points[FACE_OVAL] = np.stack([85.0 + 25.0 * np.sin(around), 100.0 - 35.0 * np.cos(around)], 1)
    tracks = points + np.stack([face_px, 0 * face_px], 1)[:, None]
    poses = np.tile(np.eye(4), (FRAMES, 1, 1))
    poses[:, :3, :3] = exp_so3(np.stack([0 * TURNS, TURNS, 0 * TURNS], 1))
    labels = np.full((SIDE, SIDE), MaskClass.HEAD, np.uint8)
    labels[round(down_to * SIDE) :] = MaskClass.TORSO
    aligned = Alignment(lambda i: (images[i], matte), tracks, (SIDE, SIDE), np.ones(FRAMES, bool))
    return measure_looseness(aligned, labels, poses, range(FRAMES))


def test_hair_that_turns_with_the_head_is_firm() -> None:
    found = looseness(40.0 * TURNS)
    assert found.head < 0.015 and not found.sways(torso_followed=True)
    assert found.neck == 0.0  # none is seen


def test_hair_that_swings_is_loose() -> None:
    found = looseness(SWINGS)
    assert found.head > 0.03 and found.sways(torso_followed=True)


def test_a_torso_that_is_followed_does_not_count() -> None:
    found = Looseness(head=0.0, neck=0.0, torso=0.2)
    assert found.sways(torso_followed=False) and not found.sways(torso_followed=True)


def test_long_hair_lags_by_little() -> None:
    short, long = (looseness(40.0 * TURNS, down_to) for down_to in (0.2, 0.9))
    assert short.long_hair < 0.1 and long.long_hair > 0.3
    assert Looseness(head=0.01, neck=0.0, torso=0.0, long_hair=0.17).sways(torso_followed=True)
    assert not Looseness(head=0.01, neck=0.0, torso=0.0, long_hair=0.06).sways(torso_followed=True)
    assert not Looseness(head=0.005, neck=0.0, torso=0.0, long_hair=0.17).sways(torso_followed=True)

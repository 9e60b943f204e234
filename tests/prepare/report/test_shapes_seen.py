"""The report's section on expressions."""

import numpy as np

from gtalk.prepare.report.shapes_seen import seen_bars, shapes_seen
from gtalk.rig.shapes import SHAPES, displacements, index, neutral
from gtalk.topology import LANDMARKS68
from gtalk.types import Motion


def test_what_was_shown_is_seen() -> None:
    weights = np.zeros((80, len(SHAPES)))
    weights[:, index("jawOpen")] = np.maximum(0, np.sin(np.arange(80) / 6))
    weights[74:, [index("mouthPucker")]] = 0.5
    points = neutral() + np.tensordot(weights, displacements(neutral()), 1)
    zeros, poses = np.zeros((80, 2)), np.tile(np.eye(4), (80, 1, 1))
    channels = {"landmarks478": points.astype(np.float32)}
    motion = Motion(25.0, points[:, LANDMARKS68], zeros + 1, zeros, zeros, poses, np.ones(80, bool), channels)
    seen = shapes_seen(motion)
    assert seen is not None and seen["jawOpen"] > 0.8 and seen["cheekPuffLeft"] == 0 and seen["browDownLeft"] < 0.1
    assert 0.3 < seen["mouthPucker"] < 0.8
    page = seen_bars(seen)
    assert "jawOpen" in page and "cheekPuff" in page and "cheekPuffLeft" not in page and "geometry" in page
    assert shapes_seen(motion.replace(channels={})) is None and "No face mesh" in seen_bars(None)

"""A hand before the mouth is found, speech is not taken for one: on the demo person's images."""

import numpy as np
import pytest

from gtalk.prepare.report.metrics import spans
from gtalk.prepare.segmentation.mouth_occlusion import covered_frames, lower_face
from tests.support.bad_clips import HIDDEN, Recipe, demo, glasses, hand, landmarks_px, paint


def patches_of(recipe: Recipe) -> np.ndarray:
    return np.stack([lower_face(paint(recipe, shown), landmarks_px(shown)) for shown in recipe.images])


def test_a_hand_is_found() -> None:
    found = covered_frames(patches_of(Recipe("hand.mp4", HIDDEN, edit=hand)), np.ones(len(HIDDEN), bool))
    truth = np.array([not shown.whole for shown in HIDDEN])
    assert (found == truth).mean() > 0.95


@pytest.mark.parametrize("edit", [None, glasses])
def test_speech_and_glasses_hide_nothing(edit) -> None:
    found = covered_frames(patches_of(Recipe("plain.mp4", HIDDEN, edit=edit)), np.ones(len(HIDDEN), bool))
    assert not found.any()


def test_light_that_changes_hides_nothing() -> None:
    patches = patches_of(Recipe("plain.mp4", HIDDEN)).astype(np.int16)
    patches[20:40, ..., 0] += 25
    assert not covered_frames(np.clip(patches, 0, 255).astype(np.uint8), np.ones(len(HIDDEN), bool)).any()


def test_faceless_frames_do_not_count_and_few_frames_say_nothing() -> None:
    patches = patches_of(Recipe("plain.mp4", HIDDEN))
    patches[30:40] = 0
    valid = np.ones(len(HIDDEN), bool)
    assert spans(covered_frames(patches, valid)) == [(30, 40)]
    valid[30:40] = False
    assert not covered_frames(patches, valid).any()
    assert not covered_frames(patches[:4], np.ones(4, bool)).any()


def test_a_face_at_the_border_makes_a_patch() -> None:
    frame = demo()[1][0]
    points = landmarks_px(HIDDEN[0])
    assert lower_face(frame, points - [0.0, 400.0]).shape == lower_face(frame, points).shape

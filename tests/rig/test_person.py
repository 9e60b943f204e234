"""A person's rig: its mesh from landmarks or a motion, its limits, its file."""

import numpy as np
import pytest

from gtalk.errors import UserError
from gtalk.rig.person import PersonRig, mesh_of_landmarks, neutral_mesh
from gtalk.rig.shapes import SHAPES, displacements, index, neutral
from gtalk.topology import LANDMARKS68
from gtalk.types import Motion


def motion_of_weights(weights: np.ndarray, mesh: np.ndarray | None = None, noise_m: float = 0.0) -> Motion:
    """A tracked clip of somebody who does this."""
    mesh = neutral() if mesh is None else mesh
    points = mesh + np.tensordot(weights, displacements(mesh), 1)
    points += noise_m * np.random.default_rng(0).normal(size=points.shape)
    count = len(weights)
    zeros, poses = np.zeros((count, 2)), np.tile(np.eye(4), (count, 1, 1))
    channels = {"landmarks478": points.astype(np.float32)}
    return Motion(25.0, points[:, LANDMARKS68], 1 + zeros, zeros, zeros, poses, np.ones(count, bool), channels)


def test_a_mesh_is_bent_to_landmarks() -> None:
    mesh = neutral() * [1.05, 1.2, 0.9]
    found = mesh_of_landmarks(mesh[LANDMARKS68])
    np.testing.assert_allclose(found[LANDMARKS68], mesh[LANDMARKS68], atol=3e-4)
    assert np.sqrt(((found - mesh) ** 2).sum(1).mean()) < 0.004
    np.testing.assert_allclose(mesh_of_landmarks(neutral()[LANDMARKS68]), neutral(), atol=1e-5)


def test_the_neutral_face_has_shut_lips_and_open_eyes() -> None:
    rng = np.random.default_rng(0)
    weights = np.zeros((200, len(SHAPES)))
    weights[:, index("jawOpen")] = np.maximum(rng.normal(0.3, 0.2, 200), 0) * (rng.uniform(size=200) > 0.3)
    blink = rng.uniform(size=200) < 0.1
    weights[np.ix_(blink, [index("eyeBlinkLeft"), index("eyeBlinkRight")])] = 1.0
    found = neutral_mesh(motion_of_weights(weights, noise_m=1e-4))
    assert np.abs(found - neutral()).max() < 1e-3


def test_a_motion_without_a_mesh_is_an_error() -> None:
    motion = motion_of_weights(np.zeros((5, len(SHAPES))))
    with pytest.raises(UserError, match="landmarks478"):
        neutral_mesh(motion.replace(channels={}))
    with pytest.raises(UserError, match="no frame with a face"):
        neutral_mesh(motion.replace(valid=np.zeros(5, bool)))


def test_arrays_round_trip_and_damage_is_noticed() -> None:
    rig = PersonRig.of_mesh(neutral())
    again = PersonRig.from_arrays(rig.to_arrays())
    np.testing.assert_allclose(again.shapes, rig.shapes, atol=1e-7)
    arrays = rig.to_arrays()
    arrays["seen"] = arrays["seen"][:-1]
    with pytest.raises(ValueError, match="seen"):
        PersonRig.from_arrays(arrays)

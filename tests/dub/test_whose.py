"""Whose motion it is."""

import numpy as np
import pytest

from gtalk.dub.config import DubConfig
from gtalk.dub.render import dub
from gtalk.dub.whose import OTHER_FACE, RIGID, face_difference, of_this_face, shape_to_find
from gtalk.errors import UserError
from gtalk.types import Motion
from tests.avatar.small_gaussian import small_gaussian
from tests.support.toys import toy_character


def own_motion() -> tuple:
    character = toy_character(32)
    stream = character.motion_model.stream(0)
    return character, Motion.concatenate([stream.push(np.full(16_000, 0.1, np.float32)), stream.finish()])


def of_another(motion: Motion, share: float) -> Motion:
    """The same movement of a face that is another by about `share` of its size."""
    size = float(np.std(motion.landmarks[0, RIGID], axis=0).mean())
    change = np.random.default_rng(0).normal(0, share * size, (68, 3))
    return motion.replace(landmarks=motion.landmarks + change)


def test_a_motion_of_the_own_face_is_left_as_it_is() -> None:
    character, motion = own_motion()
    assert face_difference(motion, character.avatar.basis.mean) < 0.02
    same, words = of_this_face(character, motion)
    assert same is motion and not words


def test_the_difference_does_not_depend_on_speech_place_or_frames_without_a_face() -> None:
    character, motion = own_motion()
    face = character.avatar.basis.mean
    moved = motion.replace(landmarks=motion.landmarks + np.array([0.1, 0.0, 0.2]))
    assert face_difference(moved, face) == pytest.approx(face_difference(motion, face), abs=1e-6)
    hidden = motion.replace(valid=np.zeros(len(motion), bool))
    assert face_difference(hidden, face) == 0.0
    assert face_difference(of_another(motion, 0.1), face) > OTHER_FACE


def test_another_persons_is_refused_where_nobody_knows_how_to_bring_it_over(tmp_path) -> None:
    character, motion = own_motion()
    of_another(motion, 0.1).save(tmp_path / "a.motion.npz")
    with pytest.raises(UserError, match="another person's"):
        dub(tmp_path, tmp_path / "a.motion.npz", tmp_path / "a.mp4", DubConfig(), load=lambda _: character)
    assert not (tmp_path / "a.mp4").exists()


def test_an_avatar_without_a_face_that_can_be_seen_is_not_looked_for() -> None:
    assert shape_to_find(toy_character(32).avatar) is None
    assert shape_to_find(small_gaussian()[0]) is None

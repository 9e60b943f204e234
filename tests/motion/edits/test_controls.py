"""Controls: the registry, its checks, what each does, chunks, events."""

import dataclasses
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalk.basis import mouth_aperture
from gtalk.config import load_yaml, to_mapping
from gtalk.errors import UserError
from gtalk.geometry.pose import pose_vectors
from gtalk.motion.base import EditChain, EventEdit
from gtalk.motion.edits.control_edit import ControlEdit
from gtalk.motion.edits.controls import Controls, control_specs, word_specs
from gtalk.types import Motion
from tests.motion.talking import motion_of_openness

FIELDS = ("landmarks", "eyes", "gaze", "brows", "head_pose")


@pytest.fixture(scope="module")
def motion() -> Motion:
    return motion_of_openness(np.clip(np.sin(np.arange(400) / 5.0), 0, 1), seed=3)


def test_the_defaults_change_nothing(model, motion: Motion) -> None:
    edit = ControlEdit(model, Controls())
    assert isinstance(edit, EventEdit)
    edited = edit(motion)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(edited, name), getattr(motion, name))


def test_mouth_expression_and_pose_scale(model, motion: Motion) -> None:
    edited = ControlEdit(model, Controls(mouth=0.5, expression=2.0, pose=0.5, lle=0.0))(motion)
    assert np.ptp(mouth_aperture(edited.landmarks)) == pytest.approx(
        0.5 * np.ptp(mouth_aperture(motion.landmarks)), rel=0.02
    )
    np.testing.assert_allclose(edited.brows, 2 * motion.brows)
    mean = model.mean_pose
    np.testing.assert_allclose(
        pose_vectors(edited.head_pose, mean), 0.5 * pose_vectors(motion.head_pose, mean), atol=1e-6
    )
    brow = slice(17, 27)
    moved = edited.landmarks[:, brow, 1].mean(1) - motion.landmarks[:, brow, 1].mean(1)
    assert np.corrcoef(moved, motion.brows[:, 0])[0, 1] > 0.95


def test_offsets(model, motion: Motion) -> None:
    edited = ControlEdit(model, Controls(gaze_offset_rad=(0.1, -0.05), pose_offset_rad=(0.0, 0.2, 0.0)))(motion)
    np.testing.assert_allclose(edited.gaze - motion.gaze, np.broadcast_to([0.1, -0.05], (400, 2)))
    relative = motion.head_pose[:, :3, :3].transpose(0, 2, 1) @ edited.head_pose[:, :3, :3]
    np.testing.assert_allclose(np.arccos((np.trace(relative, axis1=1, axis2=2) - 1) / 2), 0.2, atol=1e-6)
    assert "torso" in motion.channels and "torso" not in edited.channels, "the avatar knows what follows from the head"


def test_blinks_become_fewer_and_lids_follow(model, motion: Motion) -> None:
    closed = int((np.diff((motion.eyes[:, 0] < 0.5).astype(int)) == 1).sum())
    assert closed >= 6
    none = ControlEdit(model, Controls(blink_rate=0.0))(motion)
    assert none.eyes.min() >= 0.8
    lid = motion.landmarks[:, [37, 38, 43, 44], 1].mean(1)
    assert np.ptp(none.landmarks[:, [37, 38, 43, 44], 1].mean(1)) < 0.5 * np.ptp(lid)
    many = motion_of_openness(np.zeros(12_000))
    half = ControlEdit(model, Controls(blink_rate=0.5), seed=1)(many)
    left = (np.diff((half.eyes[:, 0] < 0.5).astype(int)) == 1).sum()
    assert left / (np.diff((many.eyes[:, 0] < 0.5).astype(int)) == 1).sum() == pytest.approx(0.5, abs=0.12)


def test_chunks_do_not_matter(model, motion: Motion) -> None:
    controls = Controls(mouth=1.2, smoothing_s=0.12, blink_rate=0.5, pose=0.7, lle=0.5)
    whole, edit = ControlEdit(model, controls)(motion), ControlEdit(model, controls)
    parts = Motion.concatenate([edit(motion[a:b], a) for a, b in ((0, 1), (1, 1), (1, 77), (77, 400))])
    for name in FIELDS:
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-9)


def test_smoothing_calms(model, motion: Motion) -> None:
    smooth = ControlEdit(model, Controls(smoothing_s=0.2))(motion)
    for field in ("landmarks", "gaze"):
        quick, slow = (np.abs(np.diff(getattr(m, field), 2, axis=0)).mean() for m in (motion, smooth))
        assert slow < 0.6 * quick


def test_every_control_is_in_its_registry_with_range_and_sentence() -> None:
    specs = {spec.name: spec for spec in control_specs()}
    words = {spec.name for spec in word_specs()}
    assert {*specs, *words} == {field.name for field in dataclasses.fields(Controls)}
    for spec in specs.values():
        assert spec.control.low < spec.control.high and spec.control.sentence[0].isupper()
        spec.check(spec.default)
    assert specs["smoothing_s"].label == "Smoothing (s)" and specs["gaze_offset_rad"].label == "Gaze offset (rad)"
    assert specs["mouth"].control.documentation.endswith("0 to 2.") and specs["lle"].default == 0.0


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"mouth": 2.5}, "mouth: expected a number from 0 to 2; got 2.5. 1.0 changes nothing."),
        ({"mouth": float("nan")}, "mouth: expected a number from 0 to 2; got nan."),
        ({"blink_rate": -0.1}, "blink_rate: expected a number from 0 to 1; got -0.1."),
        (
            {"gaze_offset_rad": (0.0, float("inf"))},
            "gaze_offset_rad: expected 2 numbers from -0.5 to 0.5 rad; got",
        ),
        ({"lle_neighbours": 1}, "lle_neighbours: expected a whole number from 2 to 30; got 1."),
    ],
)
def test_what_is_out_of_range_is_told_with_the_range(values, told) -> None:
    with pytest.raises(UserError, match=re.escape(told)):
        Controls(**values)


def test_an_unknown_control_is_told_with_the_nearest_right_name(tmp_path) -> None:
    with pytest.raises(UserError, match=r"controls.blink_rat: .*unknown key. Did you mean `blink_rate`"):
        Controls.of({"blink_rat": 0.5})
    (tmp_path / "c.yaml").write_text("mouth: 1.2\nsmothing_s: 0.1\n")
    with pytest.raises(UserError, match=r"smothing_s: .*Did you mean `smoothing_s`"):
        load_yaml(Controls, tmp_path / "c.yaml")
    (tmp_path / "c.yaml").write_text("mouth: 1.2\ngaze_offset_rad: [0.1, 0]\n")
    assert load_yaml(Controls, tmp_path / "c.yaml") == Controls(mouth=1.2, gaze_offset_rad=(0.1, 0.0))


@given(st.floats(0, 2), st.floats(0, 1), st.floats(-0.5, 0.5))
def test_controls_survive_plain_values(mouth: float, blink_rate: float, yaw: float) -> None:
    controls = Controls(mouth=mouth, blink_rate=blink_rate, gaze_offset_rad=(yaw, 0.0))
    assert Controls.of(json.loads(json.dumps(to_mapping(controls)))) == controls


def test_an_edit_obeys_what_it_receives_from_the_next_frame_on(model, motion: Motion) -> None:
    chain = EditChain([lambda: ControlEdit(model, Controls()), LateNod])
    before = chain(motion[:100])
    assert chain.post(Controls(mouth=0.0)) == 100
    chain.post("nod")
    after = chain(motion[100:])
    np.testing.assert_array_equal(before.landmarks, motion.landmarks[:100])
    assert np.ptp(mouth_aperture(after.landmarks)) < 0.05 * np.ptp(mouth_aperture(motion.landmarks[100:]))
    assert before.gaze[:, 0].max() != 9.0 and (after.gaze[50:60] == 9.0).all() and after.gaze[60, 0] != 9.0


class LateNod:
    """Ten frames from the 150th of the session on look away, if it was told so before."""

    def __init__(self) -> None:
        self.asked = False

    def receive(self, event: object) -> None:
        self.asked = self.asked or event == "nod"

    def __call__(self, motion: Motion, start_frame: int = 0) -> Motion:
        number = start_frame + np.arange(len(motion))
        away = (self.asked & (number >= 150) & (number < 160))[:, None]
        return motion.replace(gaze=np.where(away, 9.0, motion.gaze))

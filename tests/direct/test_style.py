import dataclasses
import itertools
import json

import numpy as np
import pytest

from gtalk import cli
from gtalk.direct.score_edit import head_range
from gtalk.direct.style import LEAST_S, Style, learn_style, own_style, read_style
from gtalk.direct.style_edit import MOST, StyleEdit, reachable
from gtalk.dub.config import DubConfig
from gtalk.dub.render import check_dub
from gtalk.errors import UserError
from gtalk.geometry.pose import pose_matrices, pose_vectors
from gtalk.types import Motion
from tests.motion.talking import motion_of_openness


@pytest.fixture(scope="module")
def motion() -> Motion:
    return motion_of_openness(np.clip(np.sin(np.arange(750) / 5.0), 0, 1), seed=3).replace(channels={})


def livelier(style: Style, by: float) -> Style:
    wider = {
        name: tuple(by * value for value in getattr(style, name)) for name in ("head_deg", "head_speed", "gaze_deg")
    }
    return dataclasses.replace(style, **wider, brow_mm=by * style.brow_mm, blink_hz=by * style.blink_hz)


def test_a_style_is_what_was_put_into_a_motion(motion) -> None:
    style = learn_style([motion])
    vectors = pose_vectors(motion.head_pose, motion.head_pose[0])
    half = motion.replace(head_pose=pose_matrices(vectors * 0.5, motion.head_pose[0]), brows=motion.brows * 3.0)
    other = learn_style([half])
    np.testing.assert_allclose(np.array(other.head_deg) / style.head_deg, 0.5, rtol=0.05)
    np.testing.assert_allclose(np.array(other.head_speed) / style.head_speed, 0.5, rtol=0.05)
    assert other.brow_mm == pytest.approx(3 * style.brow_mm, rel=0.01)
    assert style.blink_hz == pytest.approx(1 / 2.4, rel=0.15)


def test_its_share_scales_it_and_none_changes_nothing(model, motion) -> None:
    own = own_style(model)
    wild = livelier(own, 1.6)
    assert StyleEdit(model, wild, 0.0)(motion) is motion
    spread = []
    for share in (0.5, 1.0):
        vectors = pose_vectors(StyleEdit(model, wild, share)(motion).head_pose, model.mean_pose)
        spread.append(vectors[:, :3].std(0) / pose_vectors(motion.head_pose, model.mean_pose)[:, :3].std(0))
    assert (spread[0] > 1.05).all() and (spread[1] > spread[0]).all()
    calm = StyleEdit(model, livelier(own, 0.5), 1.0)(motion)
    assert (calm.eyes.min(1) < 0.3).sum() < (motion.eyes.min(1) < 0.3).sum()
    assert np.ptp(calm.gaze, axis=0).max() < np.ptp(motion.gaze, axis=0).max()


def test_pauses_and_stress_are_learned_and_followed(model, motion) -> None:
    """A head that nods with the lips and rests in pauses is such a style; in that style another does it too."""
    turns = pose_vectors(motion.head_pose, model.mean_pose)
    opening = np.clip(np.sin(np.arange(750) / 5.0), 0, 1) * (np.arange(750) % 250 < 170)
    said = motion_of_openness(opening, seed=3).replace(channels={})
    turns[:, 0] = 0.04 * np.convolve(opening, np.ones(5) / 5, "same")
    turns[:, 1:3] *= np.where(opening[:, None] > 0, 1.0, 0.2)
    style = learn_style([said.replace(head_pose=pose_matrices(turns, model.mean_pose))])
    assert style.nod_by_stress > 0.5 and style.calm < 0.6
    in_it, without = (
        learn_style([StyleEdit(model, one)(said)])
        for one in (style, dataclasses.replace(style, calm=own_style(model).calm, nod_by_stress=0.0))
    )
    assert in_it.nod_by_stress > without.nod_by_stress + 0.2 and in_it.calm < 0.9 * without.calm


def test_what_a_person_can_follow_is_within_factors_of_their_own(model) -> None:
    own = own_style(model)
    np.testing.assert_allclose(reachable(own, own.vector()), own.vector())
    far = reachable(livelier(own, 1e3), own.vector()) - own.vector()
    np.testing.assert_allclose(np.exp(far[:8]), MOST[:8])


def test_the_head_stays_within_the_clip_and_cuts_change_nothing(model, motion) -> None:
    wild = livelier(own_style(model), 5.0)
    whole = StyleEdit(model, wild)(motion)
    room, own = head_range(model), pose_vectors(motion.head_pose, model.mean_pose)
    vectors = pose_vectors(whole.head_pose, model.mean_pose)
    assert (vectors <= np.maximum(room.high, own) + 1e-9).all() and (vectors >= np.minimum(room.low, own) - 1e-9).all()
    edit = StyleEdit(model, wild)
    parts = Motion.concatenate([edit(motion[a:b], a) for a, b in itertools.pairwise((0, 1, 9, 200, 750))])
    for name in ("landmarks", "eyes", "gaze", "head_pose"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-12)


def test_more_blinks_are_the_person_s_own(model, motion) -> None:
    lively = livelier(own_style(model), 3.0)

    def blinks(eyes: np.ndarray) -> int:
        return int((np.diff((eyes.mean(1) < 0.5).astype(int)) == 1).sum())

    assert blinks(StyleEdit(model, lively)(motion).eyes) > 1.4 * blinks(motion.eyes)


def test_files_and_what_is_wrong_with_them(motion, tmp_path) -> None:
    style = learn_style([motion])
    style.save(tmp_path / "a.style")
    assert read_style(f"{tmp_path}/a.style:0.8") == (Style.load(tmp_path / "a.style"), 0.8)
    assert read_style(f"{tmp_path}/a.style")[1] == 1.0
    with pytest.raises(UserError, match="0 to 1"):
        read_style(f"{tmp_path}/a.style:7")
    content = json.loads((tmp_path / "a.style").read_text())
    for change, says in (
        ({"version": 9}, "version 2"),
        ({"blink_hz": -1e9}, "usual size"),
        ({"hat": 1}, "unknown key"),
    ):
        (tmp_path / "b.style").write_text(json.dumps({**content, **change}))
        with pytest.raises(UserError, match=says):
            Style.load(tmp_path / "b.style")
    with pytest.raises(UserError, match=f"at least {LEAST_S:g} s"):
        learn_style([motion[:100]])
    with pytest.raises(UserError, match=r"none\.style"):
        motion.save(tmp_path / "x.motion.npz")
        check_dub(tmp_path / "x.motion.npz", tmp_path / "a.mp4", DubConfig(style=f"{tmp_path}/none.style"))


def test_the_command_learns_from_motions_too(motion, tmp_path) -> None:
    motion.save(tmp_path / "m.motion.npz")
    out = tmp_path / "m.style"
    assert cli.main(["style", "learn", str(tmp_path / "m.motion.npz"), "-o", str(out)]) == 0
    assert Style.load(out).open_mm > 1.0

"""Lip-sync of existing footage: what is outside the mask stays, what is inside speaks the new words."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gtalk.dub import render
from gtalk.dub.config import DubConfig
from gtalk.dub.footage.compositor import Alignment, FootageCompositor, Shot, images_in_order, near_share, shot_order
from gtalk.dub.footage.occlusion import CELLS, Occlusion, cells_from_pixels, hides_mouth, keep_mask, to_cells
from gtalk.dub.footage.paste import light_difference, lower_face_mask, paste
from gtalk.errors import UserError
from gtalk.media.audio import stream_audio, write_wav
from gtalk.media.output.writer import VideoWriter, WriteConfig
from gtalk.media.video import read_video
from gtalk.talk import View
from gtalk.types import AudioTrack, Motion
from tests.support.toys import ToyAvatar, landmarks_68, motion_of, speech_like, toy_character

SIZE = 160
TINT = np.array([0.9, 0.85, 0.8])


@pytest.fixture(scope="module")
def shot(tmp_path_factory) -> Shot:
    """The toy says something else under another light, before a noisy wall. 30 images."""
    path = tmp_path_factory.mktemp("shot") / "shot.mp4"
    motion = motion_of(np.abs(np.sin(np.arange(30) / 3)) * 0.02, first=100)
    rng = np.random.default_rng(0)
    wall = rng.integers(60, 200, (SIZE, SIZE, 3)).astype(np.uint8)
    talker = toy_character(SIZE).talker(view=View(background=wall))
    with VideoWriter(path, (SIZE, SIZE), 25.0, config=WriteConfig(crf=1)) as writer:
        for frame in talker.render_motion(motion):
            writer.write((frame.rgb * TINT).astype(np.uint8))
    return Shot(read_video(path, 25.0, retime=False), ToyAvatar(SIZE).camera, motion)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "speech.wav"
    write_wav(path, AudioTrack(speech_like(2.0, seed=4)))
    return path


def dubbed(shot: Shot, sound: Path, order: np.ndarray) -> list[np.ndarray]:
    talker = toy_character(SIZE).talker(view=View(background=None))
    return [frame.rgb for frame in FootageCompositor(talker, shot, order).frames(talker.moments(stream_audio(sound)))]


def test_outside_the_mask_every_pixel_stays_and_inside_the_mouth_is_the_new_one(shot, sound):
    order = shot_order(30, 50, "loop")
    images = list(shot.images)
    out = dubbed(shot, sound, order)
    assert len(out) == 50
    talker = toy_character(SIZE).talker(view=View(background=np.zeros((SIZE, SIZE, 3), np.uint8)))
    moments = list(talker.moments(stream_audio(sound)))
    mouths = 0
    for now, moment, index in zip(out, moments, order, strict=True):
        was = shot.motion[int(index)]
        spoken = was.landmarks.copy()
        spoken[:, 48:] = moment.motion.landmarks[:, 48:]
        pose = was.head_pose[0]
        sets = [shot.camera.project(p[0] @ pose[:3, :3].T + pose[:3, 3]) for p in (was.landmarks, spoken)]
        mask = lower_face_mask(sets, (SIZE, SIZE))
        assert (mask == 0).mean() > 0.6
        np.testing.assert_array_equal(now[mask == 0], images[index][mask == 0])
        # The render of the new mouth under the shot's light is the truth inside.
        truth = talker.draw([type(moment)(0.0, was.replace(landmarks=spoken), moment.samples)])[0].rgb * TINT
        inside = mask > 0.99
        error = np.abs(now[inside].astype(float) - truth[inside]).mean()
        before = np.abs(images[index][inside].astype(float) - truth[inside]).mean()
        mouths += before > 12
        assert error < 6 and (before < 12 or error < 0.6 * before)
    assert mouths > 5, "the words differ, or nothing was tested"


def test_no_seam_at_the_border_of_the_mask(shot, sound):
    out = dubbed(shot, sound, np.arange(30))
    for now, before, motion in zip(out, shot.images, [shot.motion[i] for i in range(30)], strict=True):
        pose = motion.head_pose[0]
        points = shot.camera.project(motion.landmarks[0] @ pose[:3, :3].T + pose[:3, 3])
        mask = lower_face_mask([points], (SIZE, SIZE))
        border = (mask > 0) & (mask < 0.3)
        steps = [np.abs(np.diff(p.astype(float).mean(2), axis=1))[border[:, 1:]].mean() for p in (now, before)]
        assert steps[0] < 1.2 * steps[1] + 0.5


def test_a_frame_without_a_face_is_left_alone(shot, sound):
    blind = Shot(shot.images, shot.camera, shot.motion.replace(valid=np.arange(30) != 7))
    out = dubbed(blind, sound, np.arange(30))
    images = list(shot.images)
    np.testing.assert_array_equal(out[7], images[7])
    assert (out[8] != images[8]).any()


def test_alignment_between_head_frames_keeps_the_projection():
    rng = np.random.default_rng(0)
    camera = ToyAvatar(SIZE).camera
    face = landmarks_68(np.zeros(1))[0] + rng.normal(0, 0.002, (68, 3))
    turn = Rotation.from_rotvec([0.1, -0.05, 0.02]).as_matrix()
    other = 1.03 * face @ turn.T + np.array([0.004, -0.01, 0.02])
    alignment = Alignment.between(face, other)
    assert alignment.scale == pytest.approx(1.03)
    np.testing.assert_allclose(alignment.to_avatar(other[None])[0], face, atol=1e-12)
    pose = motion_of(np.zeros(3), first=5).head_pose
    moved = alignment.pose(pose)
    np.testing.assert_allclose(
        moved[:, :3, :3] @ moved[:, :3, :3].transpose(0, 2, 1), np.tile(np.eye(3), (3, 1, 1)), atol=1e-12
    )
    for a, b in zip(pose, moved, strict=True):
        np.testing.assert_allclose(
            camera.project(face @ b[:3, :3].T + b[:3, 3]), camera.project(other @ a[:3, :3].T + a[:3, 3]), atol=1e-9
        )


def test_orders():
    assert shot_order(4, 9, "loop").tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert shot_order(1, 3, "loop").tolist() == [0, 0, 0]
    assert shot_order(9, 4, "loop").tolist() == [0, 1, 2, 3]
    assert shot_order(3, 6, "retime").tolist() == [0, 0, 1, 1, 2, 2]
    assert shot_order(10, 4, "retime").tolist() == [0, 3, 6, 9]


@pytest.mark.parametrize(
    "order", [[0, 1, 2, 3, 2, 1, 0, 1, 2], [5, 4, 3], [0, 0, 2, 5, 29], [3], list(range(29, -1, -1)), []]
)
def test_images_come_in_any_order(shot, order):
    every = list(shot.images)
    for got, index in zip(images_in_order(shot.images, np.array(order, int)), order, strict=True):
        np.testing.assert_array_equal(got, every[index])


def test_light_is_smooth_and_exact_where_it_is_constant():
    rng = np.random.default_rng(0)
    render = rng.integers(50, 150, (SIZE, SIZE, 3)).astype(np.uint8)
    camera = ToyAvatar(SIZE).camera
    motion = motion_of(np.full(1, 0.02))
    pose = motion.head_pose[0]
    points = camera.project(motion.landmarks[0] @ pose[:3, :3].T + pose[:3, 3])
    full = np.full((SIZE, SIZE), 255, np.uint8)
    np.testing.assert_allclose(light_difference(render + 20, render, full, points), 20, atol=0.01)
    mask = lower_face_mask([points], (SIZE, SIZE))
    same = paste(render + 20, render, render, full, mask, points)
    np.testing.assert_array_equal(same, render + 20)
    assert mask.max() == 1 and mask[int(points[36:48, 1].max()) - 2 :: -1].max() == 0, "eyes are kept"


def test_a_whole_dub_onto_a_shot(shot, sound, tmp_path, monkeypatch):
    # Tracking has tests of its own and needs a real face.
    monkeypatch.setattr(render, "track_shot", lambda path, fps, on_progress, like: shot)
    config = DubConfig(onto=shot.images.info.path)
    render.check_dub(sound, tmp_path / "a.mp4", config)
    result = render.render_dub(toy_character(SIZE), sound, tmp_path / "a.mp4", config)
    assert result.n_frames == 50 and result.n_samples == 32_000
    out = read_video(tmp_path / "a.mp4", 25.0, retime=False)
    assert out.size == (SIZE, SIZE) and len(out) == 50
    with pytest.raises(UserError, match="onto"):
        render.check_dub(sound, tmp_path / "b.mp4", DubConfig(onto=shot.images.info.path, height=64))
    with pytest.raises(UserError, match="media file"):
        render.check_dub(sound, tmp_path / "b.mp4", DubConfig(onto=tmp_path / "none.mp4"))
    with pytest.raises(UserError, match="a video"):
        render.check_dub(sound, tmp_path / "b.mp4", DubConfig(onto=sound))
    assert isinstance(shot.motion, Motion)


def hand_shot(shot: Shot, frames: range, path: Path) -> Shot:
    """The shot with a disc, of nearly the face's colour, over a corner of the mouth in some frames."""
    pose = shot.motion.head_pose[15]
    points = shot.camera.project(shot.motion.landmarks[15] @ pose[:3, :3].T + pose[:3, 3])
    centre = (int(points[54, 0]) + 2, int(points[54, 1]) + 6)
    with VideoWriter(path, (SIZE, SIZE), 25.0, config=WriteConfig(crf=1)) as writer:
        for i, image in enumerate(shot.images):
            shown = image.copy()
            if i in frames:
                cv2.circle(shown, centre, 13, (160, 110, 82), -1, cv2.LINE_AA)
            writer.write(shown)
    return Shot(read_video(path, 25.0, retime=False), shot.camera, shot.motion)


def test_what_stands_before_the_mouth_stays_in_front_and_is_told(shot, sound, tmp_path):
    covered = range(12, 20)
    behind = hand_shot(shot, covered, tmp_path / "hand.mp4")
    images = list(behind.images)
    talker = toy_character(SIZE).talker(view=View(background=None))
    onto = FootageCompositor(talker, behind, np.arange(30))
    out = [frame.rgb for frame in onto.frames(talker.moments(stream_audio(sound)))]
    for i in covered:
        np.testing.assert_array_equal(out[i], images[i])
    # The new mouth goes and comes back gradually: the nearer to the hand, the less of it.
    free = dubbed(shot, sound, np.arange(30))

    def share(i: int) -> float:
        change = free[i].astype(float) - images[i]
        return float(((out[i].astype(float) - images[i]) * change).sum() / (change**2).sum())

    before, after = [share(i) for i in (6, 8, 10, 11)], [share(i) for i in (25, 23, 21, 20)]
    for shares in (before, after):
        np.testing.assert_allclose(shares, [1.0, 0.8, 0.4, 0.2], atol=0.2)
    assert np.abs(out[2].astype(int) - free[2]).mean() < 3, "the wall's noise was encoded again"
    assert onto.warnings == ["in 8 of 30 frames the mouth was hidden: left as they are"]
    clear = FootageCompositor(talker, shot, np.arange(30))
    assert len(list(clear.frames(talker.moments(stream_audio(sound))))) == 30
    assert clear.warnings == []


def test_what_lies_off_the_face_is_no_hand():
    """A collar moves against the head; the avatar's own is never quite there."""
    rng = np.random.default_rng(0)
    points = ToyAvatar(SIZE).camera.project(landmarks_68(np.full(1, 0.02))[0] + np.array([0, 0, -0.8]))
    render, full = np.full((SIZE, SIZE, 3), 120, np.uint8), np.full((SIZE, SIZE), 255, np.uint8)
    shot = np.clip(render + rng.normal(0, 2, render.shape), 0, 255).astype(np.uint8)
    collar, hand = shot.copy(), shot.copy()
    collar[int(points[:17, 1].max()) + 4 :] = 250
    cv2.circle(hand, tuple(int(v) for v in points[48:].mean(0)), 10, (200, 90, 60), -1)
    occlusion = Occlusion.learn([to_cells(shot, render, full, points)] * 3)
    assert not occlusion.covered(to_cells(collar, render, full, points)).any()
    assert occlusion.covered(to_cells(hand, render, full, points)).any()


def test_light_that_changes_as_a_whole_is_no_hand():
    rng = np.random.default_rng(0)
    usual = rng.normal(0, 10, (CELLS, CELLS, 4)).astype(np.float32)
    frames = [usual + rng.normal(0, 2, usual.shape).astype(np.float32) for _ in range(20)]
    occlusion = Occlusion.learn(frames)
    assert not occlusion.covered(frames[0]).any() and not occlusion.covered(frames[0] + 60).any()
    hand = frames[0].copy()
    hand[30:40, 20:32, 1] += 40
    covered = occlusion.covered(hand)
    assert covered[31:39, 21:31].all() and covered.sum() < 2.5 * 120
    speck = frames[0].copy()
    speck[30:32, 20:22] += 80
    assert not occlusion.covered(speck).any()


def test_cells_move_with_the_head():
    points = np.random.default_rng(0).uniform(0, 100, (68, 2))
    points[36], points[45] = [40.0, 50.0], [70.0, 60.0]
    transform = cells_from_pixels(points)
    for eye, place in ((36, (20, 16)), (45, (44, 16))):
        np.testing.assert_allclose(transform @ [*points[eye], 1], place)
    covered = np.zeros((CELLS, CELLS), bool)
    assert (keep_mask(covered, points, (90, 80)) == 1).all()
    covered[10:20, 14:26] = True
    free = keep_mask(covered, points, (90, 80))
    assert free.shape == (80, 90) and free[50, 40] < 0.05 and free[60, 70] > 0.95
    assert hides_mouth(free, (free < 0.9).astype(np.float32)) and not hides_mouth(
        free, (free > 0.99).astype(np.float32)
    )


def test_a_lost_face_fades_on_both_sides():
    valid = np.array([1, 1, 1, 1, 0, 1, 1, 1, 1], bool)
    np.testing.assert_allclose(near_share(valid, 0.25), [1, 0.75, 0.5, 0.25, 0, 0.25, 0.5, 0.75, 1])
    assert (near_share(np.ones(5, bool), 0.25) == 1).all()


def test_what_does_not_change_keeps_the_shots_own_detail():
    rng = np.random.default_rng(0)
    original = rng.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)  # grain that no avatar knows
    render = np.full((SIZE, SIZE, 3), 120, np.uint8)
    spoken = render.copy()
    spoken[110:130, 60:100] = 40
    motion = motion_of(np.full(1, 0.02))
    pose = motion.head_pose[0]
    points = ToyAvatar(SIZE).camera.project(motion.landmarks[0] @ pose[:3, :3].T + pose[:3, 3])
    full = np.full((SIZE, SIZE), 255, np.uint8)
    out = paste(original, render, spoken, full, np.ones((SIZE, SIZE), np.float32), points)
    np.testing.assert_array_equal(out[:95], original[:95])
    assert np.abs(out[113:127, 64:96].astype(int) - original[113:127, 64:96]).mean() > 30

"""The ten lines: import gtalk, load, predict, edit, render, stream, write_video, train."""

import subprocess
import sys
import threading
import typing
from pathlib import Path

import numpy as np
import pytest
import torch

import gtalk
from gtalk.making.events import events_of
from gtalk.media.audio import read_audio, write_wav
from gtalk.media.source import probe
from gtalk.types import AudioTrack
from tests.support.toys import speech_like


@pytest.fixture(scope="module")
def me(small_person) -> gtalk.Avatar:
    return gtalk.load(small_person, device="cpu")


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    write_wav(path, AudioTrack(speech_like(1.0, rate=22_050), 22_050))
    return path


def test_the_ten_lines_run_as_written(me, speech, tmp_path):
    motion = me.predict(speech, seed=1)
    assert isinstance(motion, gtalk.Motion) and len(motion) == 25
    looked = gtalk.edits.Gaze(yaw_rad=0.2)(motion)
    np.testing.assert_allclose(looked.gaze - motion.gaze, np.broadcast_to([0.2, 0.0], (25, 2)))
    frames = me.render(looked, size=64)
    out = tmp_path / "out.mp4"
    gtalk.write_video(out, frames, fps=me.fps, audio=speech, avatar=me)
    info = probe(out)
    assert (info.width, info.height) == (64, 64) and info.duration_s == pytest.approx(1.0, abs=0.05)
    assert len(read_audio(out, 22_050).samples) == pytest.approx(22_050, abs=1500)
    rgb, alpha, depth = me.render(looked[:4], camera=me.orbit(yaw_rad=0.2), background=None)
    assert rgb.shape == (4, 32, 32, 3) and alpha.shape == depth.shape == (4, 32, 32) and rgb.device == me.device
    pieces = [speech_like(1.0)[i : i + 700] for i in range(0, 16_000, 700)]
    streamed = list(me.stream(pieces, seed=1, lookahead="file"))
    assert len(streamed) == 25 and np.concatenate([f.samples for f in streamed]).shape == (16_000,)


def test_stream_and_predict_are_one_path(me, speech):
    whole = list(me.render(me.predict(speech, seed=2), size=(48, 48)))
    samples = read_audio(speech).samples
    parts = [samples[i : i + 1111] for i in range(0, len(samples), 1111)]
    for ours, theirs in zip(me.stream(parts, seed=2, size=48, lookahead="file"), whole, strict=True):
        assert np.abs(ours.rgb.astype(int) - theirs).max() <= 1
    with pytest.raises(gtalk.UserError, match="aspect ratio"):
        next(me.render(me.predict(speech), size=(64, 32)))


def test_backgrounds(me, speech):
    motion = me.predict(speech)[:2]
    behind = np.full((32, 32, 3), (10, 200, 30), np.uint8)
    for background in ("#0ac81e", behind):
        image = next(me.render(motion, background=background))
        assert (np.abs(image[0, 0].astype(int) - [10, 200, 30]) <= 1).all()
    with pytest.raises(gtalk.UserError, match="background"):
        me.render(motion, background="nothing-like-it")
    with pytest.raises(gtalk.UserError, match="background=None gives colour, alpha and depth"):
        me.render(motion, background="transparent")


def test_edit_and_reenact(me, speech):
    motion = me.predict(speech, seed=1)
    asked = me.predict(speech, seed=1, controls=gtalk.Controls(mouth=0.5))
    np.testing.assert_allclose(me.edit(motion, gtalk.Controls(mouth=0.5)).landmarks, asked.landmarks, atol=1e-9)
    by_maker = me.predict(speech, seed=1, edits=[lambda: gtalk.edits.Turn(yaw_rad=0.1)])
    np.testing.assert_allclose(gtalk.edits.Turn(yaw_rad=0.1)(motion).head_pose, by_maker.head_pose, atol=1e-9)
    assert len(me.reenact(motion)) == len(motion)


def test_a_session_obeys_what_is_posted_and_knows_nothing_of_another(me):
    one, two = (me.session(seed=1, size=32, background="#000000") for _ in range(2))
    sound = speech_like(1.2)
    first = one.push(sound[:9600])
    from_s = one.post(gtalk.Controls(gaze_offset_rad=(0.3, 0.0)))
    changed, plain = first + one.push(sound[9600:]) + one.finish(), two.push(sound) + two.finish()
    assert len(changed) == len(plain) == 30 and changed[0].rgb.shape == (32, 32, 3)
    looked = [a.motion.gaze[0, 0] - b.motion.gaze[0, 0] for a, b in zip(changed, plain, strict=True)]
    np.testing.assert_allclose(looked, [0.3 if frame.time_s >= from_s else 0.0 for frame in changed], atol=1e-9)
    one.interrupt()


def test_frames_bring_their_own_sound(me, tmp_path):
    gtalk.write_video(tmp_path / "a.mp4", me.stream([speech_like(0.6)], size=64), fps=me.fps)
    assert probe(tmp_path / "a.mp4").duration_s == pytest.approx(0.6, abs=0.05)
    assert len(read_audio(tmp_path / "a.mp4").samples) == pytest.approx(9600, abs=1200)
    with pytest.raises(gtalk.UserError, match="at least one image"):
        gtalk.write_video(tmp_path / "b.mp4", [], fps=25.0)


def test_what_is_wrong_is_one_message(me, tmp_path):
    if not torch.cuda.is_available():
        with pytest.raises(gtalk.UserError, match="device cuda: expected a CUDA device that is there"):
            me.to("cuda")
    with pytest.raises(gtalk.UserError, match="Did you mean `cuda`"):
        me.to("cudda")
    with pytest.raises(gtalk.UserError, match="a folder with avatar"):
        gtalk.load(tmp_path)
    with pytest.raises(gtalk.UserError, match="--person and --consent"):
        next(gtalk.train(__file__, tmp_path / "x", consent=gtalk.Consent("", "")))
    with pytest.raises(gtalk.UserError, match="readable video file"):
        next(gtalk.train(tmp_path / "none.mp4", tmp_path / "x", consent=gtalk.Consent("Ada", "I agree.")))


def test_events_come_in_order_and_work_stops_when_nobody_takes_them():
    stopped, began = threading.Event(), threading.active_count()

    def work(tell):
        try:
            for number in range(1000):
                tell(gtalk.Progress("count", number, 1000))
        finally:
            stopped.set()

    events = events_of(work)
    assert [next(events).done for _ in range(5)] == [0, 1, 2, 3, 4]
    events.close()
    assert stopped.wait(2) and threading.active_count() == began

    def fails(tell):
        tell(gtalk.Note("so far"))
        raise OSError("gone")

    told = events_of(fails)
    assert next(told).text == "so far"
    with pytest.raises(OSError, match="gone"):
        next(told)


def test_import_is_light_and_offers_every_name():
    code = "import sys, gtalk; assert not {'torch', 'numpy', 'cv2'} & set(sys.modules), 'heavy'; print(dir(gtalk))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(gtalk.__all__) <= set(eval(told))
    for name in gtalk.__all__:
        assert getattr(gtalk, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'lood'"):
        gtalk.lood  # noqa: B018


def test_public_signatures_are_typed_without_any():
    public = [gtalk.load, gtalk.train, gtalk.track, gtalk.write_video]
    public += [v for n, v in vars(gtalk.Avatar).items() if callable(v) and (n == "__init__" or not n.startswith("_"))]
    for function in public:
        hints = typing.get_type_hints(function)
        assert "return" in hints or function.__name__ == "__init__", function
        assert not any(hint is typing.Any for hint in hints.values()), function
        assert function.__doc__ or function.__name__ == "__init__", function
    assert (Path(gtalk.__file__).parent / "py.typed").is_file()

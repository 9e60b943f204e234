"""Dubs read back: codecs, alpha, sound to the sample, rates, backgrounds, faults."""

import dataclasses
import resource
import wave
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from gtalk.compute.device import Delivery
from gtalk.dub.config import DubConfig
from gtalk.dub.outputs import image_size
from gtalk.dub.render import DubResult, check_dub, dub, render_dub
from gtalk.errors import UserError
from gtalk.marks.scan import read_file
from gtalk.media.audio import read_audio, write_wav
from gtalk.motion.edits.controls import Controls
from gtalk.progress import Progress
from gtalk.talk import Character, View
from gtalk.types import AudioTrack, Camera, Motion
from tests.support.host_waits import HostWaits
from tests.support.toys import ToyAvatar, load_toy_character, motion_of, speech_like, toy_character, write_toy_folder
from tests.talk.test_pixels import DistantAvatar


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """1.23 s of syllables at 22.05 kHz."""
    path = tmp_path_factory.mktemp("sound") / "speech.wav"
    write_wav(path, AudioTrack(speech_like(1.23, rate=22_050), 22_050))
    return path


def render(source: Path, output: Path, size: int | tuple[int, int] = 64, **options) -> DubResult:
    config = DubConfig(**options)
    check_dub(source, output, config)
    return render_dub(toy_character(size), source, output, config)


def decoded(path: Path, codec: str | None = None) -> tuple[list[np.ndarray], np.ndarray, dict]:
    """Images (RGBA where there is alpha), samples, facts."""
    with av.open(str(path)) as file:
        video, audio = file.streams.video[0], file.streams.audio[0]
        facts = {"codec": video.codec_context.name, "rate": video.average_rate, "audio": audio.codec_context.name}
        facts["channels"] = audio.codec_context.channels
        facts |= {"audio_rate": audio.codec_context.sample_rate, "tags": dict(file.metadata)}
        facts["pixels"] = video.codec_context.pix_fmt
        facts["n_samples"] = round((audio.duration or 0) * audio.time_base * facts["audio_rate"])
    images, samples = [], []
    with av.open(str(path)) as file:
        video = file.streams.video[0]
        decoder = av.CodecContext.create(codec, "r") if codec else None
        packets = file.demux(video)
        frames = (f for p in packets for f in (decoder.decode(p) if decoder else p.decode()))
        for frame in frames:
            kind = "rgba" if "a" in frame.format.name.replace("planar", "") and "yuva" in frame.format.name else "rgb24"
            facts["pixels"] = frame.format.name
            images.append(frame.to_ndarray(format=kind))
    with av.open(str(path)) as file:
        for frame in file.decode(file.streams.audio[0]):
            values = frame.to_ndarray().astype(np.float64)
            samples.append(values[0] / (32768 if frame.format.name.startswith("s16") else 1))
    return images, np.concatenate(samples), facts


@pytest.mark.parametrize(
    ("name", "options", "codec", "audio"),
    [
        ("a.mp4", {}, "h264", "aac"),
        ("b.mp4", {"codec": "h265", "crf": 24}, "hevc", "aac"),
        ("c.mov", {}, "prores", "pcm_s16le"),
        ("d.webm", {}, "vp9", "opus"),
        ("e.mkv", {"codec": "lossless"}, "h264", "pcm_s16le"),
    ],
)
def test_formats_hold_the_frames_that_were_drawn_and_the_sound_to_the_sample(
    tmp_path, sound, name, options, codec, audio
):
    result = render(sound, tmp_path / name, **options)
    images, samples, facts = decoded(tmp_path / name)
    frames = list(toy_character(64).talker().stream([speech_like(1.23)]))  # the same length at 16 kHz
    assert facts["codec"].removeprefix("lib") in (codec, codec + "-vp9") and facts["audio"] in (audio, "lib" + audio)
    assert len(images) == len(frames) == result.n_frames == 31 and facts["rate"] == 25
    assert result.n_samples == round(1.23 * 22_050)
    if audio != "opus":  # Opus knows only 48 kHz
        track = read_audio(tmp_path / name, 22_050)
        assert facts["audio_rate"] == 22_050 and len(track.samples) == result.n_samples
        if not name.endswith(".mkv"):  # Matroska keeps no length for each stream
            assert facts["n_samples"] == result.n_samples
    sent = speech_like(1.23, rate=22_050)
    if audio == "pcm_s16le":
        np.testing.assert_allclose(samples, sent, atol=1 / 32768)
    elif audio == "aac":
        lags = np.arange(-40, 41)
        heard = track.samples
        score = [np.dot(sent[100:-100], heard[100 + k : len(heard) - 100 + k]) for k in lags]
        assert lags[int(np.argmax(score))] == 0, "the sound starts at its first sample"
    for shown, frame in zip(images, _drawn(sound), strict=True):
        assert np.abs(shown[..., :3].astype(float) - frame.rgb).mean() < 4


def _drawn(sound: Path) -> list:
    from gtalk.media.audio import stream_audio

    return list(toy_character(64).talker().stream(stream_audio(sound)))


@pytest.mark.parametrize(("name", "decoder"), [("a.mov", None), ("b.webm", "libvpx-vp9")])
def test_transparent_video_has_straight_alpha(tmp_path, sound, name, decoder):
    render(sound, tmp_path / name, background="transparent")
    images, _, facts = decoded(tmp_path / name, decoder)
    assert facts["pixels"].startswith("yuva")
    frames = list(_drawn_transparent(sound))
    for shown, frame in zip(images, frames, strict=True):
        assert shown.shape[2] == 4
        assert np.abs(shown[..., 3].astype(float) - frame.alpha).mean() < 3
        solid = cv2.erode(frame.alpha, np.ones((5, 5))) == 255
        assert np.abs(shown[solid][:, :3].astype(float) - frame.rgb[solid]).mean() < 5


def _drawn_transparent(sound: Path):
    from gtalk.media.audio import stream_audio

    return toy_character(64).talker(view=View(background=None)).stream(stream_audio(sound))


def test_png_sequence_is_lossless_with_alpha_and_wav(tmp_path, sound):
    result = render(sound, tmp_path / "shots", background="transparent", fps=10.0)
    names = sorted(p.name for p in (tmp_path / "shots").glob("*.png"))
    assert names == [f"{i:06d}.png" for i in range(13)] and result.n_frames == 13
    image = cv2.imread(str(tmp_path / "shots/000004.png"), cv2.IMREAD_UNCHANGED)
    assert image.shape == (64, 64, 4)
    with wave.open(str(tmp_path / "shots/audio.wav")) as file:
        assert (file.getframerate(), file.getnframes()) == (22_050, result.n_samples)


def test_size_and_rate_are_those_asked_for(tmp_path, sound):
    render(sound, tmp_path / "a.mp4", size=(80, 64), fps=29.97, height=48)
    images, _, facts = decoded(tmp_path / "a.mp4")
    assert images[0].shape == (48, 60, 3) and facts["rate"] == Fraction(30_000, 1001)
    assert len(images) == int(np.ceil(1.23 * 30_000 / 1001))


@pytest.mark.parametrize(("size", "height", "expected"), [
    ((512, 512), None, (512, 512)), ((360, 288), 250, (312, 250)), ((361, 289), None, (360, 288)),
    ((1920, 1080), 540, (960, 540)), ((360, 288), 101, (128, 102)),
])  # fmt: skip
def test_image_size_is_even_and_keeps_the_aspect(size, height, expected):
    camera = Camera(900.0, size[0] / 2, size[1] / 2, *size)
    got = image_size(camera, height)
    assert got == expected
    camera.resized(*got)


def test_image_size_refuses_nonsense():
    with pytest.raises(UserError, match="height"):
        image_size(Camera(900.0, 8.0, 8.0, 16, 16), 4)


def test_backgrounds(tmp_path, sound):
    render(sound, tmp_path / "red.mp4", background="#ff0000", crf=5)
    corner = decoded(tmp_path / "red.mp4")[0][3][1:5, 1:5].reshape(-1, 3).mean(0)
    np.testing.assert_allclose(corner, [255, 0, 0], atol=12)
    cv2.imwrite(str(tmp_path / "room.png"), np.full((40, 200, 3), (200, 100, 20), np.uint8))
    render(sound, tmp_path / "room.mp4", background=str(tmp_path / "room.png"), crf=5)
    corner = decoded(tmp_path / "room.mp4")[0][3][1:5, 1:5].reshape(-1, 3).mean(0)
    np.testing.assert_allclose(corner, [20, 100, 200], atol=12)


def test_a_moving_background_moves_and_begins_again(tmp_path, sound):
    from gtalk.media.output.writer import VideoWriter, WriteConfig

    with VideoWriter(tmp_path / "behind.mp4", (64, 64), 25.0, config=WriteConfig(crf=5)) as writer:
        for level in range(0, 200, 20):  # ten images for thirty-one frames
            writer.write(np.full((64, 64, 3), level + 20, np.uint8))
    render(sound, tmp_path / "a.mp4", background=str(tmp_path / "behind.mp4"), crf=5)
    images = decoded(tmp_path / "a.mp4")[0]
    corners = np.array([p[1:5, 1:5].mean() for p in images])
    np.testing.assert_allclose(corners, (np.arange(31) % 10) * 20 + 20, atol=6)
    truth = list(_drawn_transparent(sound))[5]
    inside = cv2.erode(truth.alpha, np.ones((5, 5))) == 255
    assert np.abs(images[5][inside].astype(float) - truth.rgb[inside]).mean() < 5


def test_motion_file_in_and_out_render_the_same(tmp_path, sound):
    render(sound, tmp_path / "a", save_motion=tmp_path / "a.motion.npz")
    motion = Motion.load(tmp_path / "a.motion.npz")
    assert len(motion) == 31
    result = render(tmp_path / "a.motion.npz", tmp_path / "b", audio=sound)
    for i in range(31):
        first, second = (cv2.imread(str(tmp_path / f"{n}/{i:06d}.png")) for n in "ab")
        np.testing.assert_array_equal(first, second)
    assert result.n_samples == round(1.23 * 22_050) and result.warnings == ()
    motion[:10].save(tmp_path / "short.motion.npz")
    result = render(tmp_path / "short.motion.npz", tmp_path / "c", audio=sound)
    assert result.n_frames == 10 and result.n_samples == round(0.4 * 22_050)
    assert "cut" in result.warnings[0]
    assert render(tmp_path / "short.motion.npz", tmp_path / "d.mp4").n_samples == 0
    assert len(render(tmp_path / "short.motion.npz", tmp_path / "e.mp4", label="on").output.read_bytes()) > 1000


def test_subtitles_lie_beside_the_video(tmp_path, sound):
    cues = tmp_path / "words.SRT"
    cues.write_text("1\n00:00:00,100 --> 00:00:00,900\nhello\n", encoding="utf-8")
    render(sound, tmp_path / "a.mp4", subtitles=cues)
    assert (tmp_path / "a.srt").read_text() == cues.read_text()
    with pytest.raises(UserError, match=r"a.srt.*overwrite"):
        render(sound, tmp_path / "shots" / ".." / "a.webm", subtitles=cues)
    for wrong in (tmp_path / "none.srt", sound):
        with pytest.raises(UserError, match="subtitles"):
            render(sound, tmp_path / "b.mp4", subtitles=wrong)


def test_a_gpu_that_is_not_there_is_told(tmp_path, sound):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(UserError, match="CUDA device"):
        dub(write_toy_folder(tmp_path / "me", 32), sound, tmp_path / "a.mp4", DubConfig(device="cuda"),
            load=load_toy_character)  # fmt: skip
    assert not (tmp_path / "a.mp4").exists()


def test_controls_need_a_motion_model_and_are_checked(tmp_path, sound):
    with pytest.raises(UserError, match="motion model"):
        render(sound, tmp_path / "a.mp4", controls=Controls(mouth=0.5))
    with pytest.raises(UserError, match="blink_rate"):
        render(sound, tmp_path / "a.mp4", controls=Controls(blink_rate=1.5))


def test_metadata_names_the_tool_the_avatar_and_the_consent(tmp_path, sound):
    for name in ("a.mp4", "a.mov", "a.webm"):
        render(sound, tmp_path / name)
        tags = {k.lower(): v for k, v in decoded(tmp_path / name)[2]["tags"].items()}
        assert tags["comment"].startswith("made with gtalk")
        assert "avatar=0123456789abcdef" in tags["comment"]
        assert toy_character(8).identity.consent_sha256 in tags["comment"]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.webm", "shots", "clear.mov"])
def test_every_picture_carries_the_mark_of_its_avatar(tmp_path, sound, name):
    background = "transparent" if name == "clear.mov" else "#a08070"
    render(sound, tmp_path / name, 256, background=background)
    made = tmp_path / name / "000003.png" if name == "shots" else tmp_path / name
    assert read_file(made).avatar_id == "0123456789abcdef"
    assert "watermark=on; label=off" in read_file(made).comment or name == "shots"


def test_the_mark_is_left_out_where_the_person_chose_so(tmp_path, sound):
    character = toy_character(64)
    character = dataclasses.replace(character, identity=dataclasses.replace(character.identity, watermark=False))
    render_dub(character, sound, tmp_path / "a.mp4", DubConfig(height=256, label="on"))
    found = read_file(tmp_path / "a.mp4")
    assert found.mark is None and "watermark=off; label=on" in found.comment


def test_progress_counts_up_to_the_end(tmp_path, sound):
    seen: list[Progress] = []
    avatar = write_toy_folder(tmp_path / "av", 32)
    result = dub(avatar, sound, tmp_path / "a.mp4", None, seen.append, load=load_toy_character)
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    assert seen[0].total == seen[-1].total == seen[-1].done == 31 and "real time" in seen[-1].note
    assert result.speed > 0 and 0 < result.encode_s < result.wall_s


def test_existing_output_is_kept_unless_overwrite_is_asked_for(tmp_path, sound):
    (tmp_path / "a.mp4").write_bytes(b"precious")
    with pytest.raises(UserError, match="overwrite"):
        render(sound, tmp_path / "a.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == b"precious"
    render(sound, tmp_path / "a.mp4", overwrite=True)
    assert (tmp_path / "a.mp4").stat().st_size > 1000
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots/old.txt").write_text("old")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="never replaced"):
            render(sound, tmp_path / "shots", overwrite=overwrite)
    (tmp_path / "shots/old.txt").unlink()
    render(sound, tmp_path / "shots")
    (tmp_path / "shots/000999.png").write_bytes(b"of a longer one")
    with pytest.raises(UserError, match="overwrite"):
        render(sound, tmp_path / "shots")
    render(sound, tmp_path / "shots", overwrite=True)
    assert not (tmp_path / "shots/000999.png").exists() and (tmp_path / "shots/000000.png").exists()


class Failing(ToyAvatar):
    def render(self, motion, *args):
        if motion.head_pose[0, 0, 3] > 0.005:
            raise RuntimeError("in the middle")
        return super().render(motion, *args)


@pytest.mark.parametrize("name", ["a.mp4", "shots"])
def test_a_failure_in_the_middle_leaves_nothing_and_keeps_what_was_there(tmp_path, sound, name):
    character = toy_character(32)
    character = Character(Failing(32), character.motion_model, character.identity)
    with pytest.raises(RuntimeError, match="in the middle"):
        render_dub(character, sound, tmp_path / "out" / name, DubConfig())
    assert list((tmp_path / "out").iterdir()) == []


def _too_big(tmp_path: Path, sound: Path, name: str) -> None:
    """Runs with a limit on file sizes, which fails writes as a full disk does."""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limit[1]))
    try:
        with pytest.raises(UserError, match="enough room on the disk"):
            render(sound, tmp_path / "out" / name, 256, crf=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "shots"])
def test_full_disk_is_a_clear_error_with_nothing_half_written(tmp_path, sound, name):
    _too_big(tmp_path, sound, name)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("a.avi", {}, ".mp4"),
        ("a.mp4", {"background": "transparent"}, "transparency"),
        ("a.mov", {"codec": "vp9"}, "webm"),
        ("a.mp4", {"background": "#12"}, "#rrggbb"),
        ("a.mp4", {"background": "/no/such.png"}, "no such file"),
        ("a.mp4", {"crf": 99}, "0 to 51"),
        ("a.mp4", {"fps": -1.0}, "fps"),
        ("a.mp4", {"height": 1}, "height"),
        ("a.mp4", {"sign_key": Path("k.pem")}, "both or none"),
        ("a.mp4", {"audio": Path("x.wav")}, "motion file"),
    ],
)
def test_wrong_options_say_what_is_right(tmp_path, sound, name, options, words):
    with pytest.raises(UserError, match=words):
        render(sound, tmp_path / "out" / name, 32, **options)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_missing_motion_file_and_empty_motion(tmp_path):
    with pytest.raises(UserError, match="motion file"):
        render(tmp_path / "none.motion.npz", tmp_path / "a.mp4")
    motion_of(np.zeros(0)).save(tmp_path / "e.motion.npz")
    with pytest.raises(UserError, match="at least one frame"):
        render(tmp_path / "e.motion.npz", tmp_path / "a.mp4")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["e.motion.npz"]


def test_unwritable_folder(tmp_path, sound):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="folder"):
        render(sound, tmp_path / "file" / "a.mp4")


def test_a_dub_waits_for_its_device_only_where_images_come(tmp_path, monkeypatch):
    """One event a batch; nothing else is read or sent in a way that blocks."""
    motion_of(np.linspace(0.0, 0.02, 9)).save(tmp_path / "m.motion.npz")
    deliveries: list[int] = []
    wait = Delivery.wait
    monkeypatch.setattr(Delivery, "wait", lambda self: deliveries.append(1) or wait(self))
    character = dataclasses.replace(toy_character(64), avatar=DistantAvatar(64))
    with HostWaits() as waits:
        result = render_dub(character, tmp_path / "m.motion.npz", tmp_path / "a.mp4", DubConfig(batch=4))
    assert result.n_frames == 9 and len(deliveries) == 3
    assert not waits.found

"""Long jobs in parts: the same images and samples as in one go, cut where nothing is said, resumed part by part."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from gtalk.dub.batch.chunks import is_long, parts_at_silences, parts_folder, quietest
from gtalk.dub.batch.jobs import read_jobs
from gtalk.dub.batch.run import run_batch
from gtalk.dub.batch.scheduler import Event, Scheduler, Task
from gtalk.dub.batch.worker import Worker
from gtalk.dub.config import DubConfig
from gtalk.dub.outputs import sweep
from gtalk.media.audio import read_audio, write_wav
from gtalk.talk import MotionFrame
from gtalk.types import AudioTrack, Motion
from tests.dub.batch.test_run import images
from tests.support.toys import load_toy_character, motion_of, speech_like, write_toy_folder

SECONDS, PART_S = 7.3, 2.0


def batch_of(folder: Path, output: str, **options) -> Path:
    write_toy_folder(folder / "me", 48)
    write_wav(folder / "a.wav", AudioTrack(speech_like(SECONDS, rate=22_050), 22_050))
    path = folder / "jobs.jsonl"
    path.write_text(json.dumps({"avatar": "me", "audio": "a.wav", "output": output, **options}))
    return path


def both(tmp_path: Path, output: str, **options) -> tuple[Path, Path, list]:
    """The output of one go, that of parts, and the results of both."""
    results, outputs = [], []
    for name, split_s in (("whole", 0.0), ("parts", PART_S)):
        (tmp_path / name).mkdir()
        results.append(
            run_batch(batch_of(tmp_path / name, output, **options), workers=2, split_s=split_s, load=load_toy_character)
        )
        assert results[-1].n_failed == 0, results[-1].table()
        outputs.append(tmp_path / name / output)
    left = {p.name for p in (tmp_path / "parts").iterdir()}
    assert not [name for name in left if "-parts-" in name], "nothing of the parts is left"
    return *outputs, results


def times_and_images(path: Path, decoder: str | None = None) -> tuple[list[float], list[np.ndarray]]:
    times, shown = [], []
    with av.open(str(path)) as file:
        context = av.CodecContext.create(decoder, "r") if decoder else None
        stream = file.streams.video[0]
        for packet in file.demux(stream):
            for frame in context.decode(packet) if context else packet.decode():
                times.append(float(frame.pts * stream.time_base))
                shown.append(frame.to_ndarray(format="rgba" if decoder else "rgb24"))
    return times, shown


def test_parts_hold_the_images_and_samples_of_one_go_bit_for_bit(tmp_path):
    whole, parts, results = both(tmp_path, "out", background="transparent")
    assert images(whole) == images(parts)
    first, second = (result.jobs[0] for result in results)
    assert (first.n_frames, first.n_samples) == (second.n_frames, second.n_samples) == (183, round(SECONDS * 22_050))
    assert second.duration_s == pytest.approx(first.duration_s) and second.wall_s > 0 and second.encode_s > 0


@pytest.mark.parametrize(
    ("name", "options", "decoder", "limit"),
    [
        ("a.mp4", {}, None, 0.0),
        ("a.mp4", {"codec": "h265", "crf": 12}, None, 2.0),
        ("a.mp4", {"fps": 29.97, "crf": 28}, None, 0.0),
        ("a.mov", {}, None, 0.5),
        ("a.webm", {"background": "transparent", "crf": 10}, "libvpx-vp9", 2.0),
    ],
)
def test_joined_files_keep_time_images_and_sound(tmp_path, name, options, decoder, limit):
    whole, parts, _ = both(tmp_path, name, **options)
    (times, shown), (joined_times, joined) = (times_and_images(p, decoder) for p in (whole, parts))
    assert len(times) == len(joined_times)
    np.testing.assert_allclose(joined_times, times, atol=1.1e-3)
    for one, two in zip(shown, joined, strict=True):  # encoders forget the past where a part begins
        assert np.abs(one.astype(int) - two).mean() <= limit
    rate = 48_000 if name == "a.webm" else 22_050
    one, two = (read_audio(p, rate).samples for p in (whole, parts))
    np.testing.assert_array_equal(one, two)
    with av.open(str(whole)) as first, av.open(str(parts)) as second:
        a, b = first.streams.video[0], second.streams.video[0]
        assert a.codec_context.codec_tag == b.codec_context.codec_tag and a.average_rate == b.average_rate
        assert first.duration is not None and second.duration is not None
        assert abs(first.duration - second.duration) < 2000
        assert dict(first.metadata) == dict(second.metadata)


def test_h264_of_parts_is_that_of_one_go_byte_for_byte(tmp_path):
    whole, parts, results = both(tmp_path, "a.mp4", background="#204060", label="on")
    coded = []
    for path in (whole, parts):
        with av.open(str(path)) as file:
            coded.append([bytes(packet) for packet in file.demux(file.streams.video[0])])
    assert coded[0] == coded[1] and len(coded[0]) > 180
    assert results[1].jobs[0].encode_s > 0


def test_motion_is_saved_whole_and_controls_are_not_applied_twice(tmp_path):
    both(tmp_path, "out", save_motion="a.motion.npz")
    one, two = (Motion.load(tmp_path / name / "a.motion.npz") for name in ("whole", "parts"))
    np.testing.assert_array_equal(one.landmarks, two.landmarks)
    np.testing.assert_array_equal(one.head_pose, two.head_pose)


def test_cuts_fall_into_silence():
    loud = np.ones(1000)
    pauses = [180, 390, 610, 790]
    for pause in pauses:
        loud[pause : pause + 20] = 0.0
    motion = motion_of(np.zeros(1000))
    moments = (MotionFrame(i / 25, motion[i], np.full(640, loud[i], np.float32)) for i in range(1000))
    ends = np.cumsum([len(part) for part in parts_at_silences(moments, 25.0, 8.0)])
    assert ends[-1] == 1000
    for end, pause in zip(ends[:-1], pauses, strict=True):
        assert pause + 3 < end < pause + 17


def test_without_silence_parts_have_the_length_asked_for():
    assert quietest(np.ones(100), 20, 60, 5) == 40
    motion = motion_of(np.zeros(333))
    moments = (MotionFrame(i / 25, motion[i], np.zeros(640, np.float32)) for i in range(333))
    assert [len(part) for part in parts_at_silences(moments, 25.0, 4.0)] == [100, 100, 100, 33]


def test_what_is_split(tmp_path):
    sound = tmp_path / "a.wav"
    write_wav(sound, AudioTrack(speech_like(4.0)))
    config = DubConfig()
    assert is_long(sound, config, 2.0) and not is_long(sound, config, 3.0) and not is_long(sound, config, 0.0)
    assert not is_long(sound, DubConfig(onto=sound), 1.0)
    (tmp_path / "b.mp4").write_bytes(b"x")
    assert not is_long(sound, DubConfig(background=str(tmp_path / "b.mp4")), 1.0)
    assert not is_long(tmp_path / "m.npz", config, 1.0)


def test_jobs_of_the_same_name_leave_each_others_parts_alone(tmp_path):
    path = batch_of(tmp_path, "a[1].mp4")
    path.write_text(path.read_text() + "\n" + path.read_text().replace("a[1].mp4", "a[1].mov"))
    first, second = read_jobs(path)
    bench = Worker(load_toy_character)
    for job in (first, second):
        assert bench.do(Task(job, "listen", 0, PART_S), lambda progress: None)[0] == "done"
    folders = [parts_folder(job.output, job.key) for job in (first, second)]
    assert all((folder / "parts.json").is_file() for folder in folders)
    stale = parts_folder(first.output, "0" * 64)
    stale.mkdir()
    for folder in folders:
        (folder / "parts.json").unlink()
    assert bench.do(Task(first, "listen", 0, PART_S), lambda progress: None)[0] == "done"
    assert not stale.exists() and folders[1].exists()


def test_sweeping_takes_what_killed_runs_left_and_nothing_else(tmp_path):
    ours = [".a-0123abcd.mp4", "..a-0123abcd.89abcdef.part.mp4", ".a-0123abcd.signed.mp4"]
    others = [".a-0123abcd.mov", "a.mp4", ".ab-0123abcd.mp4", ".a-parts-x.mp4", "..a-0123abcd.89abcdef.part"]
    for name in ours + others:
        (tmp_path / name).write_text("x")
    sweep(tmp_path / "a.mp4")
    assert {p.name for p in tmp_path.iterdir()} == set(others)
    sweep(tmp_path / "a")
    assert {p.name for p in tmp_path.iterdir()} == set(others[:-1])


def drained(agenda: Scheduler) -> list[Task]:
    return [agenda.next() for _ in range(len(agenda))]


def test_the_agenda_leads_from_listening_to_joining_and_drops_a_failed_job(tmp_path):
    (job,) = read_jobs(batch_of(tmp_path, "a.mp4"))
    agenda = Scheduler([job], PART_S)
    (listening,) = drained(agenda)
    assert listening.step == "listen"
    assert agenda.see(Event(listening, "done", {"part_frames": [50, 50, 40]})) is None
    assert agenda.n_frames(listening) == 140
    parts = drained(agenda)
    assert [(task.step, task.part) for task in parts] == [("draw", 0), ("draw", 1), ("draw", 2)]
    agenda.again(parts[1])
    assert drained(agenda) == [parts[1]]
    for task in parts:
        assert agenda.see(Event(task, "done", {"encode_s": 0.5})) is None
    (join,) = drained(agenda)
    end = agenda.see(Event(join, "done", {"n_frames": 140}))
    assert (join.step, join.part) == ("join", 3) and end is not None and end.facts["encode_s"] == 1.5

    agenda = Scheduler([job], PART_S)
    (listening,) = drained(agenda)
    agenda.see(Event(listening, "done", {"part_frames": [50, 50, 40]}))
    first = agenda.next()
    end = agenda.see(Event(first, "failed", {"error": "no"}))
    assert end is not None and end.kind == "failed" and len(agenda) == 0
    agenda.again(first)
    assert len(agenda) == 0 and agenda.see(Event(first, "failed", {"error": "again"})) is None


def test_parts_that_are_there_are_not_drawn_again(tmp_path):
    (tmp_path / "whole").mkdir()
    run_batch(batch_of(tmp_path / "whole", "out"), workers=1, split_s=0.0, load=load_toy_character)
    path = batch_of(tmp_path, "out")
    (job,) = read_jobs(path)
    folder = parts_folder(job.output, job.key)
    write_toy_folder(tmp_path / "me", 48, fail=False)
    bench = Worker(load_toy_character)
    kind, facts = bench.do(Task(job, "listen", 0, PART_S), lambda progress: None)
    assert kind == "done" and sum(facts["part_frames"]) == 183
    assert bench.do(Task(job, "draw", 1, PART_S), lambda progress: None)[0] == "done"
    drawn = (folder / "0001" / "000000.png").stat().st_mtime_ns
    (folder / "0001" / "000003.png").unlink()  # a trace: the part would be whole again, had it been drawn again
    assert bench.do(Task(job, "draw", 1, PART_S), lambda progress: None) == ("done", {})
    assert (folder / "0001" / "000000.png").stat().st_mtime_ns == drawn
    assert bench.do(Task(job, "listen", 0, PART_S), lambda progress: None) == ("done", facts)
    assert not (folder / "0001" / "000003.png").exists()
    assert bench.do(Task(job, "listen", 0, 3.0), lambda progress: None)[0] == "done"
    assert not (folder / "0001").exists(), "parts of another length are none of ours"
    result = run_batch(path, workers=1, split_s=PART_S, load=load_toy_character)
    assert result.n_failed == 0
    assert images(tmp_path / "out") == images(tmp_path / "whole/out")
    assert cv2.imread(str(tmp_path / "out/000000.png")) is not None

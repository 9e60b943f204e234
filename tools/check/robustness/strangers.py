"""Runs gtalk on what strangers send and how they use it, and prints a table: input, what should happen, what happens.

    python tools/check/robustness/strangers.py [--only NAME,NAME] [--avatar ME --stranger CLIP] [--json OUT.json]

Inputs are made on the spot by `tests/support/strange_media.py`; a drawn avatar stands in where none is given.
`--avatar` and `--stranger`, a film of somebody else, add the rows that need real faces. Rows about the live page
run in Chromium where there is one.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402
import filelock  # noqa: E402
import numpy as np  # noqa: E402

from gtalk.config import load_yaml  # noqa: E402
from gtalk.dub.background import make_background  # noqa: E402
from gtalk.dub.batch.jobs import read_jobs  # noqa: E402
from gtalk.dub.config import DubConfig  # noqa: E402
from gtalk.dub.render import dub  # noqa: E402
from gtalk.errors import UserError  # noqa: E402
from gtalk.files import exclusive, require_replaceable, write_json  # noqa: E402
from gtalk.fit.run import load_config  # noqa: E402
from gtalk.fit.trainer import TrainerConfig  # noqa: E402
from gtalk.media.audio import read_audio, write_wav  # noqa: E402
from gtalk.media.output.writer import write_video  # noqa: E402
from gtalk.media.source import probe  # noqa: E402
from gtalk.media.timeline import scan  # noqa: E402
from gtalk.media.video import read_video  # noqa: E402
from gtalk.prepare.ingest.av_offset import find_offset, find_parts  # noqa: E402
from gtalk.prepare.ingest.foreign_sound import foreign_stretches  # noqa: E402
from gtalk.prepare.ingest.sync import advanced  # noqa: E402
from gtalk.types import AUDIO_RATE, AudioTrack, Motion  # noqa: E402
from gtalk.viewer.audio.pcm_stream import Compressed, PcmStream  # noqa: E402
from gtalk.viewer.config import ViewConfig  # noqa: E402
from tests.media.clips import texture  # noqa: E402
from tests.support import strange_media as strange  # noqa: E402
from tests.support.toys import load_toy_character, speech_like, toy_character, write_toy_folder  # noqa: E402
from tools.check.robustness.rows import Outcome, print_rows, run_rows  # noqa: E402

FPS = 25.0
CJK = "講演" * 40


Check = Callable[[Path], Outcome]


def refused(action: Callable[[], object], words: str = "") -> Outcome:
    """Whether an action is refused in a sentence that has certain words."""
    try:
        action()
    except UserError as error:
        return words in str(error), f"refused: {str(error)[:150]}"
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"
    return False, "went on"


def demo(start_s: float, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """(true landmarks in pixels with a detector's noise, sound) of a part of the demo clip."""
    from demo_person.truth import load_truth

    folder = ROOT / "data" / "demo"
    points = load_truth(folder).points_px[round(start_s * FPS) : round((start_s + seconds) * FPS)]
    noise = np.random.default_rng(0).normal(0, 0.3, points.shape)
    samples = read_audio(folder / "clip.mp4").samples
    return (points + noise).astype(np.float32), samples[round(start_s * AUDIO_RATE) :][: round(seconds * AUDIO_RATE)]


def hdr(transfer: str) -> Check:
    def check(folder: Path) -> Outcome:
        truth = np.stack([cv2.resize(np.full((1, 1, 3), s * np.array([225, 172, 150]), np.uint8), (64, 64))
                          for s in (0.35, 0.6, 0.9)])  # fmt: skip
        truth = np.concatenate(list(truth), axis=1)
        path = strange.write_hdr(folder / f"{transfer}.mov", [truth] * 3, transfer)
        error = next(iter(read_video(path))).astype(int)[32, 32::64] - truth[32, 32::64].astype(int)
        return int(np.abs(error).max()) <= 6, f"skin within {np.abs(error).max()} levels of the standard one"

    return check


def mirror(name: str) -> Check:
    def check(folder: Path) -> Outcome:
        stored = texture((96, 64))
        clip = strange.write_plain(folder / f"{name.replace(' ', '')}.mp4", [stored] * 3)
        matrix = strange.MATRICES[name]
        shown = next(iter(read_video(strange.set_display_matrix(clip, matrix)))).astype(int)
        wanted = {"hflip": stored[:, ::-1], "vflip": stored[::-1], "transpose": stored.swapaxes(0, 1)}[name]
        right = shown.shape == wanted.shape and float(np.abs(shown - wanted).mean()) < 8
        return right, "as players show it" if right else "turned or mirrored wrongly"

    return check


def aspect(container: str) -> Check:
    def check(folder: Path) -> Outcome:
        path = strange.write_container_aspect(folder / f"a.{container}", [texture((96, 64))] * 3, Fraction(4, 3))
        size = read_video(path).size
        return size == (128, 64), f"96x64 with pixels of 4:3 is shown as {size[0]}x{size[1]}"

    return check


def two_offsets(folder: Path) -> Outcome:
    points, samples = demo(0, 40)
    half = len(samples) // 2
    late = np.concatenate([samples[:half], advanced(samples[half:], -0.16)])
    parts = find_parts(points, np.ones(len(points), bool), late, FPS, (500,))
    told = ", ".join(f"{a / FPS:.0f}-{b / FPS:.0f} s {1000 * o.late_s:+.0f} ms" for a, b, o in parts if o is not None)
    errors = [abs(o.late_s - t) for (_, _, o), t in zip(parts, (0.0, 0.16), strict=False) if o is not None]
    return len(parts) == 2 and max(errors) < 0.05, told


def in_time(folder: Path) -> Outcome:
    points, samples = demo(40, 12)
    offset = find_offset(points, np.ones(len(points), bool), samples, FPS)
    moved = 0.0 if offset is None else offset.correction_s
    return moved == 0.0, f"moved by {1000 * moved:.0f} ms (found {1000 * (offset.late_s if offset else 0):+.0f} ms)"


def another_voice(folder: Path) -> Outcome:
    points, samples = demo(0, 20)
    points[200:325] = points[200]
    found = foreign_stretches(points, np.ones(len(points), bool), samples, FPS)
    told = ", ".join(f"{one.what} {one.start / FPS:.1f}-{one.stop / FPS:.1f} s" for one in found)
    return len(found) == 1 and abs(found[0].start - 200) < 25, f"told and kept out of training: {told}"


def piped(codec: str, form: str) -> Check:
    def check(folder: Path) -> Outcome:
        tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)
        data = strange.write_sound(folder / "a", np.stack([tone, tone], 1), 22_050, codec, form).read_bytes()
        try:
            pieces = PcmStream(16_000).push(data, last=True)
        except Compressed as error:
            return codec != "pcm_s16le", f"stdin: decoded; /push: refused ({error.form})"
        count = sum(len(samples) for samples, _ in pieces)
        return codec == "pcm_s16le" and {rate for _, rate in pieces} == {22_050}, f"{count} samples at 22050 Hz"

    return check


def named(name: str) -> Check:
    def check(folder: Path) -> Outcome:
        write_wav(folder / "s.wav", AudioTrack(speech_like(0.6)))
        character, before = toy_character(32), Path.cwd()
        os.chdir(folder)
        try:
            config = DubConfig(save_motion=Path(name).with_suffix(".motion.npz"))
            dub(Path("toy"), folder / "s.wav", Path(name), config, load=lambda _: character)
        finally:
            os.chdir(before)
        made = probe(folder / name).has_audio and len(Motion.load((folder / name).with_suffix(".motion.npz"))) == 15
        return made, "made, with its motion"

    return check


def no_locks(folder: Path) -> Outcome:
    def fail(*_, **__):
        raise OSError(errno.ENOLCK, "no locks available")

    acquire, filelock.FileLock.acquire = filelock.FileLock.acquire, fail  # type: ignore[method-assign]
    try:
        with exclusive(folder / "me"):
            return True, "goes on, with a warning"
    finally:
        filelock.FileLock.acquire = acquire  # type: ignore[method-assign]


def no_modes(folder: Path) -> Outcome:
    def fail(*_, **__):
        raise PermissionError(errno.EPERM, "no modes")

    chmod, os.chmod = os.chmod, fail
    try:
        write_json(folder / "a.json", 1)
    finally:
        os.chmod = chmod
    return (folder / "a.json").is_file(), "finished work is kept"


def byte_order_mark(folder: Path) -> Outcome:
    write_wav(folder / "s.wav", AudioTrack(speech_like(0.6)))
    write_toy_folder(folder / "me")
    line = json.dumps({"avatar": "me", "audio": "s.wav", "output": "a.mp4"})
    for encoding in ("utf-8-sig", "utf-16"):
        (folder / "jobs.jsonl").write_bytes(line.encode(encoding))
        read_jobs(folder / "jobs.jsonl")
    return True, "read (UTF-8 and UTF-16)"


def chained(folder: Path) -> Outcome:
    tones = [0.5 * np.sin(2 * np.pi * hz * np.arange(96_000) / 48_000) for hz in (440, 880)]
    seconds = len(read_audio(strange.write_chained_ogg(folder / "a.ogg", tones)).samples) / AUDIO_RATE
    return abs(seconds - 4) < 0.05, f"{seconds:.2f} s of 4 s are heard"


def forgotten_suffix(folder: Path) -> Outcome:
    write_wav(folder / "s.wav", AudioTrack(speech_like(0.6)))
    write_toy_folder(folder / "me")
    config = DubConfig(overwrite=True)
    held, words = refused(lambda: dub(folder / "me", folder / "s.wav", folder / "me", config, load=load_toy_character))
    return held and (folder / "me" / "avatar.json").is_file(), words


def replaced(folder: Path) -> Outcome:
    (folder / "thesis.npz").write_text("years")
    return refused(lambda: require_replaceable(folder / "thesis.npz", overwrite=False), "one that exists")


def linked(folder: Path) -> Outcome:
    from gtalk.avatar.bundle import load_avatar

    write_toy_folder(folder / "me")
    (folder / "me" / "avatar.json").rename(folder / "private")
    (folder / "me" / "avatar.json").symlink_to("/dev/zero")
    return refused(lambda: load_avatar(folder / "me"), "a link")


def sparse(folder: Path) -> Outcome:
    cv2.imwrite(str(folder / "room.png"), np.zeros((8, 8, 3), np.uint8))
    os.truncate(folder / "room.png", 9 << 30)
    return refused(lambda: make_background(str(folder / "room.png"), (32, 32), FPS), "more than")


def aliases(folder: Path) -> Outcome:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    (folder / "a.yaml").write_text("\n".join(lines) + "\nsteps: *a11\n")
    start_s = time.monotonic()
    held, words = refused(lambda: load_yaml(TrainerConfig, folder / "a.yaml"), "alias")
    return held and time.monotonic() - start_s < 5, words


def negative_steps(folder: Path) -> Outcome:
    (folder / "fit.yaml").write_text("trainer: {steps: -5}")
    return refused(lambda: load_config("gaussian", str(folder / "fit.yaml")), "trainer.steps")


def tests(path: str, which: str) -> Check:
    """Rows that the tests run whole: the live page, servers, workers."""

    def check(folder: Path) -> Outcome:
        command = [sys.executable, "-m", "pytest", "-q", str(ROOT / path), "-k", which, "--timeout=600"]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT, capture_output=True,
                              text=True, check=False)  # fmt: skip
        summary = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-200:]
        return (None if "skipped" in summary and "passed" not in summary else not done.returncode), summary

    return check


def stranger_in_film(avatar: Path, clip: Path) -> Check:
    """A second of the avatar's dataset, then one of somebody else's film, dubbed onto."""

    def check(folder: Path) -> Outcome:
        from gtalk.dataset.format import Dataset

        dataset = Dataset(avatar / "dataset")
        own = [dataset.frame(i) for i in range(40)]
        height, width = own[0].shape[:2]
        others = [
            cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in read_video(clip).read(0, 40)
        ]
        write_video(folder / "film.mp4", [*own, *others], FPS)
        write_wav(folder / "s.wav", AudioTrack(speech_like(3.2)))
        config = DubConfig(onto=folder / "film.mp4", codec="lossless")
        result = dub(avatar, folder / "s.wav", folder / "out.mkv", config)
        before, after = list(read_video(folder / "film.mp4")), list(read_video(folder / "out.mkv"))
        change = np.array([np.abs(a.astype(int) - b).max() for a, b in zip(before, after, strict=True)])
        changed = f"changed images: own {(change[:40] > 24).sum()} of 40, stranger's {(change[44:] > 24).sum()} of 36"
        return bool(
            not (change[44:] > 24).any() and (change[:36] > 24).any()
        ), f"{changed}; {'; '.join(result.warnings)}"

    return check


def strangers_motion(avatar: Path, clip: Path) -> Check:
    """Somebody else's film tracked into a motion, and rendered."""

    def check(folder: Path) -> Outcome:
        from gtalk.prepare.footage import track_reader

        write_video(folder / "film.mp4", read_video(clip).read(0, 50), FPS)
        track_reader(read_video(folder / "film.mp4"), "film")[1].save(folder / "a.motion.npz")
        result = dub(avatar, folder / "a.motion.npz", folder / "out.mp4", DubConfig(height=256))
        return any("brought to this face" in words for words in result.warnings), "; ".join(result.warnings)

    return check


PAGE = "tests/viewer/test_browser.py"
ROWS: list[tuple[str, str, str, Check]] = [
    ("hlg", "HLG video of a phone", "skin as in SDR within 6 levels", hdr("hlg")),
    ("pq", "PQ video of a phone", "skin as in SDR within 6 levels", hdr("pq")),
    ("hflip", "display matrix that mirrors left to right", "as players show it", mirror("hflip")),
    ("vflip", "display matrix that mirrors top to bottom", "as players show it", mirror("vflip")),
    ("turned", "display matrix that turns and mirrors", "as players show it", mirror("transpose")),
    ("aspect-mp4", "pixel aspect in the container only, VP9 in mp4", "square", aspect("mp4")),
    ("aspect-webm", "the same in webm", "square", aspect("webm")),
    ("aspect-mkv", "the same in mkv (DisplayWidth)", "square", aspect("mkv")),
    ("parts", "one file of parts, sound 0 and 160 ms late", "each part in time", two_offsets),
    ("in-time", "12 s of the demo clip, in time", "left alone", in_time),
    ("voice", "another voice while the lips rest", "told, with the stretch", another_voice),
    ("untouched", "a page that nobody touches; asleep, then touched", "sound runs; resumes", tests(PAGE, "touches")),
    ("proxy", "a proxy with its own Host, below a path", "works with the token", tests(PAGE, "proxy")),
    ("wav", "a WAV of 22 050 Hz stereo on stdin and /push", "header read", piped("pcm_s16le", "wav")),
    ("mp3", "an MP3 on stdin and /push", "decoded, or refused in words", piped("libmp3lame", "mp3")),
    ("colon", "-o take1:final.mp4 --save-motion", "made", named("take1:final.mp4")),
    ("long", "a name of 244 bytes, --save-motion", "made", named(CJK + ".mp4")),
    ("locks", "a file system without locks", "goes on with a warning", no_locks),
    ("modes", "a file system without chmod", "finished work is kept", no_modes),
    ("sigterm", "SIGTERM while recording; --size 333", "a whole file; the page stays",
     tests("tests/viewer/live/test_recorder.py", "sigterm or odd")),
    ("bom", "a jobs file with a byte order mark", "read", byte_order_mark),
    ("ogg", "two recordings in one Ogg file", "whole", chained),
    ("suffix", "gtalk dub me s.wav -o me --overwrite", "nothing is deleted", forgotten_suffix),
    ("replace", "motion drive, motion edit, export onto a file", "asked first", replaced),
    ("batch", "a batch after another motion model or background", "made again",
     tests("tests/robustness/test_places.py", "batch_does_again")),
    ("links", "links and devices in an avatar folder", "refused in words", linked),
    ("sparse", "a background picture of 9 GB, sparse", "refused in words", sparse),
    ("gaps", "sound whose pieces lie hours apart", "refused in words",
     lambda f: refused(lambda: read_audio(strange.write_far_apart(f / "a.mka", 20, 3000.0)), "follow each other")),
    ("slides", "video whose images lie hours apart", "refused in words",
     lambda f: refused(lambda: scan(strange.write_images_far_apart(f / "a.mkv", 40, 3000.0)), "follow each other")),
    ("yaml", "YAML aliases of aliases", "refused at once", aliases),
    ("steps", "trainer: {steps: -5}", "refused in words", negative_steps),
    ("port", "--port 70000", "refused in words", lambda f: refused(lambda: ViewConfig(port=70_000), "--port")),
    ("key", "--tls-key without --tls-cert", "refused in words",
     lambda f: refused(lambda: ViewConfig(tls_key=Path("k.pem")), "certificate")),
    ("hang", "a worker of a batch that hangs", "replaced", tests("tests/robustness/test_places.py", "hangs")),
    ("download", "a download that does not stop", "ends at the known size",
     tests("tests/robustness/test_places.py", "download")),
]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"rows, with commas between: {', '.join(name for name, *_ in ROWS)}")
    parser.add_argument("--avatar", type=Path, help="an avatar with its dataset, for the rows with films")
    parser.add_argument("--stranger", type=Path, help="a film of somebody else")
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    todo = list(ROWS)
    if options.avatar and options.stranger:
        film, motion = (make(options.avatar, options.stranger) for make in (stranger_in_film, strangers_motion))
        todo += [("film", "--onto a film with a stranger in it", "the stranger stays as he is", film),
                 ("motion", "a motion of another person", "brought to this face", motion)]  # fmt: skip
    rows = run_rows(todo, options.only)
    return print_rows(rows, ("input", "what should happen", "what happens now"), options.json)


if __name__ == "__main__":
    sys.exit(main())

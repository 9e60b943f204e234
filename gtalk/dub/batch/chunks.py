"""Long jobs in parts: motion once, cut where nothing is said; each part drawn anywhere; joined without a seam.

Motion is found for the whole file, because head and eyes go on from what they did before; it is a small share
of the work. A frame's image depends on its motion alone, so parts hold the images of the unsplit render.
H.264 remembers more than an image: its parts are kept without loss (some 50 kB an image of 512x512, beside the
output), and one encoder writes them in the end, so that the file is the unsplit one's, bit for bit. H.265 and VP9
take longer than the drawing, so that one encoder would leave nothing to share: their parts are encoded where they
are drawn, and begin anew at each silence.
"""

from __future__ import annotations

import dataclasses
import glob
import shutil
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from gtalk.direct.look import Look
from gtalk.direct.score import Score
from gtalk.dub.background import TRANSPARENT, moves
from gtalk.dub.config import DubConfig
from gtalk.dub.outputs import putting_in_place
from gtalk.dub.render import DubPlan, DubResult, is_motion, plan_dub, render_dub
from gtalk.errors import UserError
from gtalk.files import short_stem, write_json
from gtalk.marks.provenance import provenance_tags
from gtalk.media.output.join import Joined, encode_video, join_video
from gtalk.media.output.sinks import StreamPlan
from gtalk.media.output.writer import COMMENT, WriteConfig, check_output_format
from gtalk.media.soundtrack import Soundtrack
from gtalk.media.source import probe
from gtalk.progress import OnProgress, Progress, silent
from gtalk.reading.untrusted import read_json
from gtalk.shapes import Float
from gtalk.talk import Character, Identity, MotionFrame
from gtalk.talk.interpolate import exact_rate
from gtalk.types import Motion

PARTS_JSON = "parts.json"
_LOSSLESS = ".mkv"
_LONG = 1.5  # times the length of a part: shorter jobs stay whole
_REACH = 0.25  # of a part's length: how far from its end a silence is looked for
_OF_THE_WHOLE = (
    "controls",
    "score",
    "style",
    "emotion_from",
    "hears",
    "listens",
    "sing",
    "vocals",
    "accompanied",
    "lyrics",
    "audio",
    "save_motion",
    "subtitles",
    "sign_cert",
    "sign_key",
)  # what parts do without
_REPORT_EVERY = 250  # frames
_HUSH_S = 0.3  # of quiet around a cut


def is_long(source: Path, config: DubConfig, split_s: float) -> bool:
    """Whether a job is done in parts: long speech. Footage and moving backgrounds run through from their start."""
    if split_s <= 0 or is_motion(source) or moves(config.background):
        return False
    if config.onto is not None or config.camera_from is not None:
        return False
    if config.score is not None and Look.of(Score.load(config.score)) is not None:
        return False  # the look of a part would have to know where the part lies
    return Soundtrack.of(source).expected_s > _LONG * split_s


def parts_folder(output: Path, key: str) -> Path:
    """Where the parts of a job wait, beside its output. `key` says which job it is."""
    return output.with_name(f".{short_stem(output)}{output.suffix}-parts-{key[:16]}")


def listen(
    character: Character, source: Path, config: DubConfig, folder: Path, split_s: float, on_progress: OnProgress
) -> list[int]:
    """Write the motion of every part into `folder`; the frames of each. Raises UserError as `dub` does."""
    known = _read_parts(folder, split_s)
    if known is not None:
        return known
    for stale in folder.parent.glob(glob.escape(folder.name.rpartition("-")[0]) + "-*"):
        shutil.rmtree(stale, ignore_errors=True)
    folder.mkdir(parents=True)
    plan = plan_dub(character, source, dataclasses.replace(config, save_motion=None), on_progress)
    counts: list[int] = []
    for motion in parts_at_silences(_counted(plan, on_progress), plan.fps, split_s):
        motion.save(motion_path(folder, len(counts)))
        counts.append(len(motion))
    if not counts:
        raise UserError("audio", expected="at least one sample of sound", got="0 s", remedy="Check the recording.")
    write_json(folder / PARTS_JSON, {"split_s": split_s, "part_frames": counts})
    return counts


def _counted(plan: DubPlan, on_progress: OnProgress) -> Iterator[MotionFrame]:
    for done, moment in enumerate(plan.moments, start=1):
        if done % _REPORT_EVERY == 0:
            on_progress(Progress("listen", done, plan.n_frames and max(done, plan.n_frames)))
        yield moment


def _read_parts(folder: Path, split_s: float) -> list[int] | None:
    try:
        content = read_json(folder / PARTS_JSON)
        counts = content["part_frames"]
        whole = content["split_s"] == split_s and all(type(count) is int and count > 0 for count in counts)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return list(counts) if whole and counts else None


def parts_at_silences(moments: Iterator[MotionFrame], fps: float, split_s: float) -> Iterator[Motion]:
    """Motion in parts of about `split_s`, each ended where the sound is quietest nearby. Holds one part."""
    held: list[Motion] = []
    loud: list[float] = []
    nominal = max(2, round(split_s * fps))
    reach = max(1, round(_REACH * nominal))
    hush = max(1, round(_HUSH_S * fps))
    for moment in moments:
        held.append(moment.motion)
        loud.append(float(np.mean(np.square(moment.samples), dtype=np.float64)) if len(moment.samples) else 0.0)
        if len(held) == nominal + reach + hush:
            cut = quietest(np.array(loud), nominal - reach, nominal + reach, hush)
            yield Motion.concatenate(held[:cut])
            del held[:cut], loud[:cut]
    if held:
        yield Motion.concatenate(held)


def quietest(loudness: Float[np.ndarray, " N"], first: int, last: int, hush: int) -> int:
    """The frame from `first` to `last` around which `hush` frames are quietest; the middle one of several."""
    sums = np.convolve(loudness, np.ones(hush), mode="same")[first : last + 1]
    quiet = np.flatnonzero(sums <= sums.min() * 1.0001)
    middle = (last - first) / 2
    return first + int(quiet[np.argmin(np.abs(quiet - middle))])


def draw_part(
    character: Character, folder: Path, part: int, output: Path, config: DubConfig, on_progress: OnProgress
) -> DubResult | None:
    """Draw one part, without sound; None when that was done before."""
    path = part_path(folder, part, output, config)
    if path.exists():
        return None
    if path.suffix == _LOSSLESS:
        config = dataclasses.replace(config, codec="lossless")
    # The controls are in the motion already.
    config = dataclasses.replace(config, **{name: getattr(DubConfig(), name) for name in _OF_THE_WHOLE})
    return render_dub(character, motion_path(folder, part), path, config, on_progress)


def motion_path(folder: Path, part: int) -> Path:
    """Where a part's motion is."""
    return folder / f"{part:04d}.motion.npz"


def part_path(folder: Path, part: int, output: Path, config: DubConfig) -> Path:
    """Where a part's images are."""
    codec = check_output_format(output, WriteConfig(codec=config.codec, alpha=config.background == TRANSPARENT))
    return folder / f"{part:04d}{_LOSSLESS if codec == 'h264' else output.suffix}"


def join_parts(
    identity: Identity,
    source: Path,
    output: Path,
    config: DubConfig,
    folder: Path,
    n_parts: int,
    on_progress: OnProgress = silent,
) -> dict[str, Any]:
    """Put the parts and the sound together under the output's name; what was made, as facts."""
    start_s = time.perf_counter()
    parts = [part_path(folder, part, output, config) for part in range(n_parts)]
    fps = exact_rate(Motion.load(motion_path(folder, 0)).fps).limit_denominator(1001)
    sound, tags = Soundtrack.of(source), provenance_tags(identity, config.label)
    with putting_in_place(output, config, identity) as temporary:
        codec = check_output_format(output, WriteConfig(codec=config.codec))
        if codec == "h264":
            made = _encoded(parts, temporary, config, fps, sound, tags, on_progress)
        else:
            made = join_video(parts, temporary, codec, fps, sound, tags)
    if config.save_motion is not None:  # the video is in its place, whatever becomes of this
        Motion.concatenate([Motion.load(motion_path(folder, part)) for part in range(n_parts)]).save(config.save_motion)
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "n_frames": made.n_frames, "n_samples": made.n_samples, "duration_s": round(made.n_frames / made.fps, 3),
        "encode_s": round(time.perf_counter() - start_s, 3),
    }  # fmt: skip


def _encoded(
    parts: list[Path],
    output: Path,
    config: DubConfig,
    fps: Fraction,
    sound: Soundtrack,
    tags: dict[str, str],
    on_progress: OnProgress,
) -> Joined:
    """The parts as the writer of the unsplit render would have written them."""
    write, info = WriteConfig(crf=config.crf), probe(parts[0])
    plan = StreamPlan("h264", (info.width, info.height), fps, write.crf, False, sound.rate, sound.channels,
                      write.audio_bit_rate, {"comment": COMMENT, **tags})  # fmt: skip

    def tell(done: int) -> None:
        if done % _REPORT_EVERY == 0:
            on_progress(Progress("join", done, None))

    return encode_video(parts, output, plan, sound, tell)

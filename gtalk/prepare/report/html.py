"""report.html: what a person should know before an hour of training, in images and plain words."""

from __future__ import annotations

import base64
import html
import json
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np

from gtalk.dataset.format import Segment
from gtalk.dataset.steady import LIGHT_FILE, read_gains
from gtalk.files import atomic_path
from gtalk.media.audio import read_wav
from gtalk.prepare.frame_io import Gains, read_frame, read_grey
from gtalk.prepare.landmarks.detect import Landmarks
from gtalk.prepare.records import load_landmarks
from gtalk.prepare.report.changes import Complaint, above_the_face, alternating_cameras, changed_hair
from gtalk.prepare.report.curves import ANGLE_LEGEND, SOUND_LEGEND, angle_curves, lips_over_sound
from gtalk.prepare.report.metrics import (
    Image,
    Movement,
    Sound,
    Verdict,
    head_angles,
    judge,
    judge_images,
    judge_movement,
    judge_sound,
)
from gtalk.prepare.report.pose_coverage import coverage_maps
from gtalk.prepare.report.shapes_seen import seen_bars, shapes_seen
from gtalk.prepare.stages import Job
from gtalk.progress import Progress
from gtalk.speech.features import extract
from gtalk.topology import RIGID
from gtalk.types import VIDEO_FPS, Motion

SAMPLED = 60
STRIP, STRIP_ROW = 10, 5
STRIP_HEIGHT = 240
COLOURS = np.array(
    [[0, 0, 0], [225, 80, 70], [80, 190, 90], [70, 110, 225], [235, 60, 220], [245, 220, 60], [60, 220, 230]], np.uint8
)
BEYOND_DEG = 30.0  # how far a head may turn beyond its clip before hair and outline fray
LOST = 1.3  # times larger than the dataset's that a face in the clip must be, to be told
NAMES = ("background", "head", "neck", "torso", "lips", "mouth", "eyes")
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>gtalk report: {title}</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:1240px;margin:2em auto;padding:0 1em;color:#222}}
h1{{font-size:1.5em}}h2{{font-size:1.1em;margin:1.6em 0 .4em}}img,svg{{width:100%;border-radius:4px;background:#f6f6f6}}
table{{border-collapse:collapse}}td,th{{padding:.15em 1.2em .15em 0;text-align:left;vertical-align:top}}
.good{{background:#2a8a4a}}.usable{{background:#b87a00}}.poor{{background:#b3362b}}
.chip{{display:inline-block;width:.8em;height:.8em;border-radius:2px}}
.badge{{color:#fff;border-radius:4px;padding:.1em .6em}}small{{color:#666}}</style>
<h1>{title} <span class="badge {word}">{word}</span></h1>{body}</html>
"""


def write_report(job: Job) -> dict[str, Any]:
    """Write report.html and return what it says as JSON values."""
    landmarks = load_landmarks(job.root / "landmarks.npz")
    motion = Motion.load(job.root / "motion.npz")
    samples = read_wav(job.root / "audio.wav").samples
    sound, speech = judge_sound(samples)
    pitch = extract(samples, phones=False)["pitch"]
    seen = np.flatnonzero(landmarks.valid)
    chosen = seen[np.linspace(0, len(seen) - 1, min(SAMPLED, len(seen))).astype(int)]
    gains = read_gains(job.root / LIGHT_FILE, len(landmarks.valid))
    image = judge_images((read_frame(job.root / "frames", i, gains), landmarks.points_px[i]) for i in chosen)
    job.on_progress(Progress("report", 1, 2))
    cuts = [segment["start"] for segment in job.facts["media"]["segments"][1:]]
    movement = judge_movement(motion, _jitter(landmarks.points_px, landmarks.valid, cuts))
    verdict = judge(sound, image, movement, job.facts | {"changes": _changes(job, landmarks, motion, chosen, gains)})
    shown = shapes_seen(motion)
    body = "".join(
        [
            _words(verdict),
            _numbers(job, sound, image, movement),
            _section("Film strip with landmarks", _strip(job, landmarks.points_px, landmarks.valid, _with_points)),
            _section(f"Masks: {_legend()}", _strip(job, landmarks.points_px, landmarks.valid, _with_labels)),
            _section("Cut out on green", _strip(job, landmarks.points_px, landmarks.valid, _on_green)),
            _section(f"Lips over the sound: {SOUND_LEGEND}", lips_over_sound(motion, samples, speech, pitch)),
            _section(f"Head angles: {ANGLE_LEGEND}", angle_curves(motion, cuts)),
            _section("What the clip covers (darker: seen more often)", coverage_maps(motion)),
            _section("Expressions: what of each shape the clip has shown", seen_bars(shown)),
            _section("Background plate", _plate(job)),
            _timings(job),
        ]
    )
    names = ", ".join(source["name"] for source in job.facts["media"]["sources"])
    page = PAGE.format(title=html.escape(names), word=verdict.word, body=body)
    with atomic_path(job.root / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    job.on_progress(Progress("report", 2, 2))
    facts = {"sound": asdict(sound), "image": asdict(image), "movement": asdict(movement), "shapes_seen": shown}
    return json.loads(json.dumps({"verdict": verdict.to_json(), **facts}))


def _changes(job: Job, landmarks: Landmarks, motion: Motion, chosen: np.ndarray, gains: Gains) -> list[Complaint]:
    """What becomes another within the clip."""
    frames, masks, points = job.root / "frames", job.root / "masks", landmarks.points_px
    looks = (above_the_face(read_frame(frames, i, gains), read_grey(masks, i), points[i]) for i in chosen)
    segments = [Segment(**segment) for segment in job.facts["media"]["segments"]]
    yaw_deg = np.degrees(head_angles(motion.head_pose)[:, 0])
    cameras = alternating_cameras(points, yaw_deg, landmarks.valid, segments)
    return [*changed_hair(looks, (chosen / VIDEO_FPS).tolist()), *cameras]


def _jitter(points_px: np.ndarray, valid: np.ndarray, cuts: list[int]) -> float:
    """Median second difference of the detected rigid points, pixels, not across cuts."""
    if len(points_px) < 3:
        return 0.0
    rigid = points_px[:, RIGID].astype(np.float64)
    second = np.linalg.norm(rigid[2:] - 2 * rigid[1:-1] + rigid[:-2], axis=-1).mean(1)
    usable = valid[2:] & valid[1:-1] & valid[:-2]
    for cut in cuts:
        usable[max(0, cut - 2) : cut] = False
    return float(np.median(second[usable])) if usable.any() else 0.0


def _words(verdict: Verdict) -> str:
    problems = (
        "".join(f"<li>{html.escape(_sentence(text))}</li>" for text in verdict.problems)
        or "<li>Nothing to complain of.</li>"
    )
    advice = "".join(f"<li>{html.escape(text)}</li>" for text in dict.fromkeys(verdict.advice))
    return f"<ul>{problems}</ul>" + (f"<h2>Advice</h2><ul>{advice}</ul>" if advice else "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _range(values: tuple[float, float]) -> str:
    return f"{values[0]:.1f} to {values[1]:.1f}"


def _numbers(job: Job, sound: Sound, image: Image, movement: Movement) -> str:
    media, background, light = job.facts["media"], job.facts["background"], job.facts["light"]
    rows = [
        ("frames", f"{media['n_frames']} of {media['width']}x{media['height']} ({movement.duration_s} s)"),
        ("shots", f"{len(media['segments'])}"),
        ("frames without a face", f"{job.facts['landmarks']['faceless_frames']}"),
        (
            "face",
            f"{image.face_height_px:.0f} px high{_in_clip(image.face_height_px, media)}, "
            f"sharpness {image.sharpness:.0f}, burnt out {image.over_share:.2%}",
        ),
        (
            "voice",
            "none"
            if sound.level_dbfs is None
            else f"{sound.level_dbfs:.0f} dBFS over {sound.noise_dbfs:.0f} dBFS of noise; "
            f"{sound.silence_share:.0%} silence; clipped {sound.clipped_share:.3%}",
        ),
        (
            "head, 90% of the time",
            f"yaw {_range(movement.yaw_deg)}, pitch {_range(movement.pitch_deg)}, "
            f"roll {_range(movement.roll_deg)} degrees",
        ),
        (
            "turns that an avatar can make",
            f"as shown: yaw {_range(movement.yaw_deg)}; whole, with sides that are a guess: to about "
            f"{movement.yaw_deg[0] - BEYOND_DEG:.0f} and {movement.yaw_deg[1] + BEYOND_DEG:.0f} degrees",
        ),
        (
            "lips, 90% of the time",
            f"gap {_range(movement.aperture_mm)} mm; closed in {movement.closed_share:.0%} of frames",
        ),
        ("blinks", f"{movement.blinks_per_min} a minute"),
        ("tracking", f"residual {job.facts['track']['residual_px']:.2f} px, landmark jitter {movement.jitter_px} px"),
        ("background", f"{background['plate_seen_share']:.0%} seen, {background['moving_share']:.1%} moving"),
        (
            "light",
            f"exposure ranges over {light['exposure_range']:.1%}, white balance over {light['tint_range']:.1%}"
            if light["seen_on"] != "nothing"
            else "does not drift",
        ),
        ("torso", f"texture followed in {background['torso_tracked_share']:.0%} of frames"),
        ("hair, neck, clothes", _looseness(background["looseness"], background["sway_tracked"])),
    ]
    rows += [(f"sound and lips of {clip['name']}", clip["words"]) for clip in job.facts["sync"]["clips"]]
    for source in media["sources"]:
        sound_facts = source["audio"]
        heard = (
            "no sound track"
            if sound_facts is None
            else (
                f"{sound_facts['codec']}, {sound_facts['rate']} Hz, {sound_facts['channels']} channels, "
                f"{sound_facts['longer_than_video_s']:+.2f} s longer than the images"
            )
        )
        rows.append(
            (
                f"source {source['name']}",
                f"{source['codec']} {source['width']}x{source['height']}, {source['true_fps']:.3f} fps; {heard}",
            )
        )
    cells = "".join(f"<tr><th>{html.escape(a)}</th><td>{html.escape(b)}</td></tr>" for a, b in rows)
    return f"<h2>Numbers</h2><table>{cells}</table>"


def _in_clip(face_px: float, media: dict[str, Any]) -> str:
    """What was lost of a face's size, and how to keep it."""
    times = max((s["crop"]["width"] for s in media["sources"] if s.get("crop")), default=0) / media["width"]
    if times < LOST or face_px <= 0.0:
        return ""
    size = min(1024, 256 * round(media["height"] * times / 256))
    return f" ({face_px * times:.0f} in the clip: --size {size} shows more)"


def _looseness(loose: dict[str, float], tracked: bool) -> str:
    off = ", ".join(f"{part} {100 * share:.1f}" for part, share in loose.items() if part != "long_hair")
    what = "move on their own: tracked" if tracked else "go with head and torso: nothing more is tracked"
    return f"{what} (off by {off} % of the face's height where only the head's pose is known)"


def _section(title: str, content: str) -> str:
    return f"<h2>{title}</h2>{content}"


def _legend() -> str:
    return ", ".join(
        f'<span class="chip" style="background:rgb{tuple(int(c) for c in colour)}"></span> {name}'
        for name, colour in zip(NAMES[1:], COLOURS[1:], strict=True)
    )


def _strip(job: Job, points_px: np.ndarray, valid: np.ndarray, draw: Any) -> str:
    indices = np.linspace(0, len(valid) - 1, min(STRIP, len(valid))).round().astype(int)
    tiles = []
    for index in indices:
        frame = read_frame(job.root / "frames", int(index))
        tile = draw(job, int(index), frame, points_px[index] if valid[index] else None)
        scale = STRIP_HEIGHT / tile.shape[0]
        tiles.append(cv2.resize(tile, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    rows = [np.hstack(tiles[start : start + STRIP_ROW]) for start in range(0, len(tiles), STRIP_ROW)]
    rows[-1] = cv2.copyMakeBorder(
        rows[-1], 0, 0, 0, rows[0].shape[1] - rows[-1].shape[1], cv2.BORDER_CONSTANT, value=(246, 246, 246)
    )
    return _image(np.vstack(rows))


def _with_points(job: Job, index: int, frame: np.ndarray, points: np.ndarray | None) -> np.ndarray:
    shown = frame.copy()
    if points is None:
        cv2.line(shown, (0, 0), shown.shape[1::-1], (255, 0, 0), 4)
        return shown
    for x, y in points:
        cv2.circle(shown, (round(float(x)), round(float(y))), max(1, frame.shape[0] // 256), (0, 255, 120), -1)
    return shown


def _with_labels(job: Job, index: int, frame: np.ndarray, points: np.ndarray | None) -> np.ndarray:
    labels = read_grey(job.root / "masks", index)
    return cv2.addWeighted(frame, 0.5, COLOURS[np.minimum(labels, 6)], 0.5, 0)


def _on_green(job: Job, index: int, frame: np.ndarray, points: np.ndarray | None) -> np.ndarray:
    matte = read_grey(job.root / "mattes", index)[..., None].astype(np.float32) / 255
    return (frame * matte + np.array([0, 255, 0]) * (1 - matte)).astype(np.uint8)


def _plate(job: Job) -> str:
    image = cv2.imread(str(job.root / "background.png"), cv2.IMREAD_COLOR)
    return _image(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), style="width:auto;max-height:320px")


def _image(rgb: np.ndarray, style: str = "") -> str:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 82])
    return f'<img style="{style}" src="data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}">'


def _timings(job: Job) -> str:
    state = json.loads((job.root / "prepare.json").read_text(encoding="utf-8"))
    rows = "".join(f"<tr><td>{name}</td><td>{record['seconds']} s</td></tr>" for name, record in state.items())
    return f"<h2>Time taken</h2><table>{rows}</table>"

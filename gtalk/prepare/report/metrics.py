"""What is good and bad about a prepared clip, as numbers, and a verdict in plain words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import cv2
import numpy as np

from gtalk.basis import lip_gap
from gtalk.shapes import Bool, Float, UInt8
from gtalk.topology import FACE_OVAL, LIP_GAP_PAIRS
from gtalk.types import AUDIO_RATE, VIDEO_FPS, Motion

HOP_S = 0.01
SILENT_DBFS = -55.0
SPEECH_OVER_NOISE_DB = 10.0
SPEECH_UNDER_PEAK_DB = 32.0
LIGHT_SAMPLES = 3  # of a level before and after a step


@dataclass(frozen=True)
class Sound:
    """Of the whole sound track."""

    level_dbfs: float | None
    """Mean level of the speech; None where all is silent."""
    noise_dbfs: float | None
    """Level of the quietest tenth."""
    silence_share: float
    clipped_share: float


@dataclass(frozen=True)
class Image:
    """Of sampled frames."""

    face_height_px: float
    sharpness: float
    """Median variance of the Laplacian inside the face, brought to a face 200 px high."""
    blurred_share: float
    """Share of frames with less than a third of the usual sharpness."""
    over_share: float
    """Share of face pixels burnt out."""
    under_share: float
    """Share of face pixels drowned in black."""
    light_step: float = 0.0
    """Largest sudden change of the face's brightness that stays, as a share of the usual."""
    light_drift: float = 0.0
    """How far its brightness ranges, 5th to 95th percentile, as a share of the usual."""


@dataclass(frozen=True)
class Movement:
    """Of the tracked motion."""

    duration_s: float
    faceless_share: float
    faceless_spans: list[tuple[int, int]]
    yaw_deg: tuple[float, float]
    """5th and 95th percentile."""
    pitch_deg: tuple[float, float]
    roll_deg: tuple[float, float]
    aperture_mm: tuple[float, float]
    """Gap between the lips, 5th and 95th percentile."""
    closed_share: float
    """Share of frames with lips together."""
    blinks_per_min: float
    jitter_px: float
    """Median second difference of the detected rigid points, pixels."""


@dataclass(frozen=True)
class Verdict:
    """What to tell the person who recorded the clip."""

    word: str
    """good, usable or poor."""
    problems: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def judge_sound(samples: Float[np.ndarray, " N"]) -> tuple[Sound, Bool[np.ndarray, " M"]]:
    """(facts, which hops of HOP_S carry speech) of 16 kHz mono sound."""
    hop = round(HOP_S * AUDIO_RATE)
    count = len(samples) // hop
    if not count:
        return Sound(None, None, 1.0, 0.0), np.zeros(0, bool)
    power = (samples[: count * hop].reshape(count, hop).astype(np.float64) ** 2).mean(1)
    level = 10 * np.log10(cv2.blur(power[:, None], (1, 5))[:, 0] + 1e-12)
    noise, peak = float(np.percentile(level, 10)), float(np.percentile(level, 99))
    clipped = float((np.abs(samples) > 0.985).mean())
    if peak < SILENT_DBFS:
        return Sound(None, round(noise, 1), 1.0, clipped), np.zeros(count, bool)
    threshold = max(min(noise + SPEECH_OVER_NOISE_DB, peak - 6.0), peak - SPEECH_UNDER_PEAK_DB)
    speech = level > threshold
    loud = 10 * np.log10(power[speech].mean() + 1e-12) if speech.any() else peak
    return Sound(round(float(loud), 1), round(noise, 1), round(float((~speech).mean()), 4), clipped), speech


def judge_images(samples: Iterable[tuple[UInt8[np.ndarray, "H W 3"], Float[np.ndarray, "478 2"]]]) -> Image:
    """Facts of (frame, landmarks) pairs."""
    heights, sharp, over, under, levels = [], [], [], [], []
    for frame, points in samples:
        low = np.floor(np.clip(points[FACE_OVAL].min(0), 0, None)).astype(int)
        high = np.ceil(points[FACE_OVAL].max(0)).astype(int)
        face = frame[low[1] : high[1], low[0] : high[0]]
        if min(face.shape[:2]) < 8:
            continue
        heights.append(float(high[1] - low[1]))
        scale = min(1.0, 200 / face.shape[0])
        grey = cv2.cvtColor(
            cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
        )
        sharp.append(float(cv2.Laplacian(grey, cv2.CV_64F).var()))
        levels.append(float(np.median(grey)))
        over.append(float((face.min(-1) >= 252).mean()))
        under.append(float((face.max(-1) <= 6).mean()))
    if not heights:
        return Image(0.0, 0.0, 1.0, 0.0, 0.0)
    usual = float(np.median(sharp))
    return Image(
        round(float(np.median(heights)), 1),
        round(usual, 1),
        round(float(np.mean(np.array(sharp) < usual / 3)), 4),
        round(float(np.mean(over)), 5),
        round(float(np.mean(under)), 5),
        *_light(np.array(levels)),
    )


def _light(levels: Float[np.ndarray, " N"]) -> tuple[float, float]:
    """(largest step, range) of the face's brightness in samples in time order, as shares of the usual."""
    usual = max(float(np.median(levels)), 1.0)
    low, high = np.percentile(levels, [5, 95])
    sides = range(LIGHT_SAMPLES, len(levels) - LIGHT_SAMPLES + 1)
    steps = [
        abs(float(np.median(levels[i : i + LIGHT_SAMPLES]) - np.median(levels[i - LIGHT_SAMPLES : i]))) for i in sides
    ]
    return round(max(steps, default=0.0) / usual, 3), round(float(high - low) / usual, 3)


def judge_movement(motion: Motion, jitter_px: float) -> Movement:
    """Facts of the tracked motion."""
    valid = motion.valid
    angles = np.degrees(head_angles(motion.head_pose[valid]))
    gap = 1000 * lip_aperture(motion)[valid]
    ranges = [_range(a) for a in (*angles.T, gap)]
    shut = (motion.eyes.mean(1) < 0.4) & valid
    blinks = int((np.diff(shut.astype(int)) == 1).sum())
    return Movement(
        duration_s=round(motion.duration_s, 2),
        faceless_share=round(float((~valid).mean()), 5),
        faceless_spans=spans(~valid),
        yaw_deg=ranges[0],
        pitch_deg=ranges[1],
        roll_deg=ranges[2],
        aperture_mm=ranges[3],
        closed_share=round(float((gap < gap.min() + 1.2).mean()), 4),
        blinks_per_min=round(60 * blinks / max(motion.duration_s, 1e-6), 1),
        jitter_px=round(jitter_px, 3),
    )


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [5, 95])
    return round(float(low), 2), round(float(high), 2)


def head_angles(poses: Float[np.ndarray, "T 4 4"]) -> Float[np.ndarray, "T 3"]:
    """Yaw (towards the image's right), pitch (up), roll (towards the image's left shoulder), radians."""
    forward = poses[:, :3, 2]
    yaw = np.arctan2(forward[:, 0], forward[:, 2])
    pitch = np.arcsin(np.clip(forward[:, 1], -1, 1))
    return np.stack([yaw, pitch, np.arctan2(poses[:, 1, 0], poses[:, 0, 0])], axis=1)


def lip_aperture(motion: Motion) -> Float[np.ndarray, " T"]:
    """Gap between the inner lips, metres."""
    if "landmarks478" in motion.channels:
        return lip_gap(motion.channels["landmarks478"], LIP_GAP_PAIRS[1:4])
    return lip_gap(motion.landmarks)


def spans(flags: Bool[np.ndarray, " T"]) -> list[tuple[int, int]]:
    """[start, stop) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def judge(sound: Sound, image: Image, movement: Movement, facts: dict[str, Any]) -> Verdict:
    """A verdict with advice, from everything that was measured."""
    severe: list[str] = []
    mild: list[str] = []
    advice: list[str] = []

    def check(wrong: bool, severity: list[str], problem: str, remedy: str) -> None:
        if wrong:
            severity.append(problem)
            advice.append(remedy)

    silent_s = sound.silence_share * movement.duration_s
    _check_sound(check, sound, severe, mild, silent_s)
    _check_image(check, image, severe, mild)
    check(
        movement.faceless_share > 0.3,
        severe,
        f"no face in {movement.faceless_share:.0%} of the frames",
        "Face the camera all the time, with nothing before the face.",
    )
    check(
        0 < movement.faceless_share <= 0.3,
        mild,
        f"no face in {movement.faceless_share:.1%} of the frames: they are marked and not trained on",
        "Nothing to do if these moments are short.",
    )
    check(
        movement.duration_s < 10,
        severe,
        f"only {movement.duration_s:.1f} s long",
        "Record at least 30 s, better 2 to 5 minutes, of natural speech.",
    )
    check(
        10 <= movement.duration_s < 45,
        mild,
        f"{movement.duration_s:.0f} s is short for learning how you speak",
        "Record 2 to 5 minutes for lips that follow any speech.",
    )
    yaw_deg = movement.yaw_deg[1] - movement.yaw_deg[0]
    check(
        yaw_deg < 12 and movement.duration_s > 15,
        mild,
        f"the head turns over {yaw_deg:.0f} degrees only: from the side the avatar is a guess",
        "Turn the head slowly to both sides, and up and down, for some seconds of the recording.",
    )
    check(
        movement.blinks_per_min < 2 and movement.duration_s > 15,
        mild,
        "hardly a blink",
        "Blink as you usually do: what is never seen cannot be learnt.",
    )
    aside = max(movement.yaw_deg[0], -movement.yaw_deg[1])
    check(
        aside > 15.0,
        severe if aside > 40.0 else mild,
        f"the face is turned aside by {aside:.0f} degrees or more nearly throughout: its other side is a guess",
        "Look into the camera most of the time, and turn to both sides now and then.",
    )
    _check_faces(check, severe, mild, facts.get("landmarks", {}))
    _check_facts(check, mild, facts)
    word = "poor" if severe else "usable" if mild else "good"
    return Verdict(word, severe + mild, advice)


def _check_faces(check, severe: list[str], mild: list[str], faces: dict[str, Any]) -> None:
    """Who was seen."""
    for words in faces.get("strangers", []):
        check(True, severe, words, "Leave that clip out, and make an avatar of its own of it.")
    others = faces.get("frames_with_other_faces", 0)
    check(
        others > 0,
        mild,
        f"another face in {others} frames",
        "Whoever speaks, else the largest and most central, is followed: check that in the film strip.",
    )
    mild.extend(faces.get("notes", []))


def _check_facts(check, mild: list[str], facts: dict[str, Any]) -> None:
    """What the stages found out by themselves."""
    _check_room(check, mild, facts.get("background", {}), facts.get("camera", {}))
    for problem, remedy in facts.get("changes", []):
        check(True, mild, problem, remedy)
    note = facts.get("light", {}).get("note", "")
    check(bool(note), mild, note, "Lock the camera's exposure and white balance.")
    hidden = facts.get("masks", {}).get("mouth_hidden_spans", [])
    check(
        bool(hidden),
        mild,
        f"something before the mouth in {sum(b - a for a, b in hidden)} frames ({_moments(hidden)})",
        "Keep hands, cups and microphones away from the mouth: lips behind them are guessed.",
    )
    for clip in facts.get("sync", {}).get("clips", []):
        if clip["corrected_s"] or clip.get("confidence") == 0.0:
            mild.append(f"{clip['name']}: {clip['words']}")
    foreign = facts.get("sync", {}).get("foreign", [])
    for what in dict.fromkeys(one["what"] for one in foreign):
        stretches = [(one["start"], one["stop"]) for one in foreign if one["what"] == what]
        check(
            True,
            mild,
            f"{what} for {sum(b - a for a, b in stretches) / VIDEO_FPS:.0f} s ({_moments(stretches)}): "
            "kept out of motion training",
            "Record the person alone, in a quiet room.",
        )
    for source in facts.get("media", {}).get("sources", []):
        for note in source["notes"]:
            mild.append(f"{source['name']}: {note}")
    mild.extend(facts.get("track", {}).get("notes", []))


def _check_room(check, mild: list[str], background: dict[str, Any], camera: dict[str, Any]) -> None:
    """What stands behind, and the camera before it."""
    alone = "only the person is learnt from, by the matte, before a plate of what stands still"
    check(
        background.get("moving_share", 0) > 0.08,
        mild,
        f"the background moves ({background.get('moving_share', 0):.0%} of it): {alone}",
        "Record before a still background, with the camera on a stand.",
    )
    check(
        camera.get("moves", False),
        mild,
        f"the camera moves, by up to {camera.get('reach', 0):.0%} of the image's height: {alone}",
        "Put the camera on a stand, and leave its zoom alone.",
    )
    check(
        camera.get("lost_frames", 0) > 0,
        mild,
        f"in {camera.get('lost_frames', 0)} frames the room is not found again: their outline is a coarser guess",
        "Record before a wall with something to see on it.",
    )
    drift_px = background.get("drift_px", 0)
    check(
        drift_px > 0,
        mild,
        f"the camera drifts by {drift_px:.0f} px: brought to rest",
        "Put the camera on a stand, and leave its zoom alone.",
    )


def _moments(frame_spans: list[tuple[int, int]], most: int = 3) -> str:
    """Spans of frames as times."""
    times = [f"{a / VIDEO_FPS:.1f} to {b / VIDEO_FPS:.1f} s" for a, b in frame_spans[:most]]
    return ", ".join(times) + (", ..." if len(frame_spans) > most else "")


def _check_sound(check, sound: Sound, severe: list[str], mild: list[str], silent_s: float) -> None:
    check(
        sound.level_dbfs is None,
        severe,
        "no sound, or only silence: looks can be fitted, but no lips learnt",
        "Record with a microphone, or check that the sound track survived the export.",
    )
    level = sound.level_dbfs if sound.level_dbfs is not None else -20.0
    noise = sound.noise_dbfs if sound.noise_dbfs is not None else -90.0
    check(level < -38, mild, f"the voice is quiet ({level:.0f} dBFS)", "Move the microphone nearer.")
    check(
        sound.clipped_share > 1e-3,
        mild,
        f"{sound.clipped_share:.2%} of the sound is clipped",
        "Lower the recording level.",
    )
    check(
        level - noise < 15 and sound.level_dbfs is not None,
        mild,
        f"noise only {level - noise:.0f} dB below the voice",
        "Record in a quieter room.",
    )
    check(
        sound.level_dbfs is not None and silent_s < 10,
        mild,
        f"only {silent_s:.0f} s of silence",
        "Record 20 s of listening with the mouth closed: the avatar learns how you look when you do not speak.",
    )


def _check_image(check, image: Image, severe: list[str], mild: list[str]) -> None:
    height = image.face_height_px
    check(height < 70, severe, f"the face is only {height:.0f} px high", "Move the camera nearer.")
    check(
        70 <= height < 140, mild, f"the face is {height:.0f} px high: details will be soft", "Move the camera nearer."
    )
    check(
        image.sharpness < 12,
        mild,
        "the image is soft (blur or strong compression)",
        "Focus on the face; use the original file, not one sent through a messenger.",
    )
    check(
        image.blurred_share > 0.1, mild, "motion blur in many frames", "Use more light, so that the shutter is short."
    )
    light = "Keep lamps and sun as they are, and lock the camera's exposure and white balance."
    switched = image.light_step > 0.2
    check(switched, mild, f"the light changes by {image.light_step:.0%} at once: looks will be a mixture", light)
    check(
        not switched and image.light_drift > 0.2,
        mild,
        f"the face's brightness drifts by {image.light_drift:.0%}",
        light,
    )
    check(image.over_share > 0.03, mild, "parts of the face are burnt out", "Lower the exposure or soften the light.")
    check(image.under_share > 0.10, mild, "parts of the face drown in black", "Add light from the front.")

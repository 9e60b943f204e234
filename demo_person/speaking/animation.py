"""Everything that moves, at every frame: mouth, head, eyes, brows, torso. Seeded, so always the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from demo_person.body.rig import Expression
from demo_person.speaking.speech import Speech, loudness
from demo_person.speaking.visemes import PARAMETERS, mouth_motion

HEAD_PLACE_M = np.array([0.0, 0.079, -0.95])
"""Of the head's origin at rest, in the world."""
NECK_PIVOT_M = np.array([0.0, -0.135, -0.035])
"""What the head turns about, in head space."""
TORSO_PIVOT_M = np.array([0.0, -0.45, -0.03])


@dataclass(frozen=True)
class Performance:
    """T frames of the demo person."""

    fps: float
    mouth: np.ndarray
    """[T,8] visemes.PARAMETERS."""
    smile: np.ndarray
    blink: np.ndarray
    """[T,2] 0 open, 1 closed; picture's left and right."""
    brows: np.ndarray
    """[T,2] raise, metres."""
    gaze: np.ndarray
    """[T,2] yaw to the picture's right and pitch up in the head's frame, radians."""
    T_world_head: np.ndarray
    T_world_torso: np.ndarray

    def __len__(self) -> int:
        return len(self.mouth)

    def expression(self, index: int) -> Expression:
        """The face at a frame."""
        mouth = dict(zip(PARAMETERS, self.mouth[index].tolist(), strict=True))
        return Expression(
            **mouth,
            smile=float(self.smile[index]),
            blink=self.blink[index],
            brows=self.brows[index],
            gaze=self.gaze[index],
        )


def perform(speech: Speech, duration_s: float, fps: float, seed: int = 7) -> Performance:
    """Animates a whole clip. The first seconds do not depend on `duration_s`."""
    random = np.random.default_rng(seed)
    # Everything is planned for a generous length and cut, so that a shorter clip begins the same.
    total = round(max(duration_s, len(speech.samples) / 16000, 90.0) * fps)
    times = np.arange(total) / fps
    level = loudness(speech.samples, np.minimum(times, (len(speech.samples) - 1) / 16000))
    level[times >= len(speech.samples) / 16000] = 0
    mouth = mouth_motion(speech, times)
    stress = _stress(level, fps)
    angles = _head_angles(times, speech, stress, level, random)
    blink = _blinks(times, speech, random)
    gaze = _gaze(times, angles, random)
    brows = _brows(times, stress, random)
    smile = np.clip(0.12 + 0.22 * _wander(times, 5.0, random), 0, 0.5)
    head, torso = _poses(times, angles, level, random)
    count = round(duration_s * fps)
    return Performance(
        fps, mouth[:count], smile[:count], blink[:count], brows[:count], gaze[:count], head[:count], torso[:count]
    )


def _wander(times: np.ndarray, period_s: float, random: np.random.Generator) -> np.ndarray:
    """Smooth noise of unit deviation that changes in about `period_s`."""
    step = times[1] - times[0]
    raw = random.standard_normal(len(times) + 2)
    smooth = gaussian_filter1d(raw, period_s / 4 / step, mode="reflect", truncate=3)[: len(times)]
    return smooth / smooth.std()


def _stress(level: np.ndarray, fps: float) -> np.ndarray:
    """[T] 0 to 1: peaks of loudness that stand out of their phrase."""
    slow = gaussian_filter1d(level, 0.45 * fps)
    fast = gaussian_filter1d(level, 0.05 * fps)
    return np.clip((fast - 1.25 * slow) / 0.35, 0, 1)


def _head_angles(
    times: np.ndarray, speech: Speech, stress: np.ndarray, level: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """[T,3] yaw, pitch (up) and roll in degrees."""
    fps = 1 / (times[1] - times[0])
    aim = np.zeros((len(times), 3))
    # Every sentence has its own attitude, taken up around its start and varied in its middle.
    for begin in speech.sentence_starts_s:
        for after in (-0.15, random.uniform(1.4, 2.4)):
            target = random.normal(0, [7.5, 3.0, 2.2]).clip([-13, -5.5, -4], [13, 5.5, 4])
            aim[times >= begin + after] = target
    aim = gaussian_filter1d(aim, 0.22 * fps, axis=0)
    drift = np.stack([_wander(times, p, random) for p in (2.6, 2.2, 3.1)], axis=1) * [1.6, 1.0, 0.9]
    nod = gaussian_filter1d(stress, 0.07 * fps)
    nod = np.concatenate([np.zeros(2), nod[:-2]])  # the head follows the syllable
    busy = gaussian_filter1d(level, 0.3 * fps)
    tremble = np.stack([_wander(times, 0.55, random) for _ in range(3)], axis=1) * [0.8, 0.7, 0.5] * busy[:, None]
    angles = aim + drift + tremble
    angles[:, 1] += -4.5 * nod + 0.8 * busy
    return angles.clip([-15, -8, -5], [15, 8, 5])


def _blinks(times: np.ndarray, speech: Speech, random: np.random.Generator) -> np.ndarray:
    fps = 1 / (times[1] - times[0])
    result = np.zeros(len(times))
    at = 1.1
    pauses = np.append(speech.sentence_starts_s - 0.25, 1e9)
    shapes = ([0.55, 1.0, 0.6], [0.5, 1.0, 0.75, 0.3], [0.45, 0.95, 1.0, 0.7, 0.3], [0.35, 0.8, 1.0, 0.85, 0.5, 0.2])
    while at < times[-1]:
        # People like to blink between sentences.
        nearest = pauses[np.argmin(np.abs(pauses - at))]
        start = int((nearest if abs(nearest - at) < 0.7 else at) * fps)
        shape = np.array(shapes[random.choice(4, p=[0.1, 0.35, 0.35, 0.2])])
        stop = min(start + len(shape), len(times))
        result[start:stop] = np.maximum(result[start:stop], shape[: stop - start])
        at += 0.9 + random.gamma(2.4, 0.95)
    lids = np.clip(0.05 + 0.03 * _wander(times, 2.5, random), 0, 0.15)
    both = np.maximum(result, lids)
    return np.stack([both, np.clip(both * random.normal(1.0, 0.01, len(times)), 0, 1)], axis=1)


def _gaze(times: np.ndarray, angles: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """[T,2] the eyes hold the camera while the head turns, and look away now and then."""
    fps = 1 / (times[1] - times[0])
    target = np.zeros((len(times), 2))
    at = 0.0
    while at < times[-1]:
        away = random.uniform() < 0.28
        spread = [0.17, 0.09] if away else [0.022, 0.016]
        target[times >= at] = random.normal(0, spread)
        at += random.uniform(0.5, 1.1) if away else random.uniform(0.7, 2.4)
    target = gaussian_filter1d(target, 0.35 / 25 * fps, axis=0)
    head = np.radians(angles[:, :2])
    return (target - 0.92 * head).clip([-0.42, -0.22], [0.42, 0.22])


def _brows(times: np.ndarray, stress: np.ndarray, random: np.random.Generator) -> np.ndarray:
    fps = 1 / (times[1] - times[0])
    slow = gaussian_filter1d(stress, 0.10 * fps)
    picked = np.clip(_wander(times, 3.0, random) * 0.6 + 0.45, 0, 1.2)
    base = 0.0048 * slow * picked * 1.6 + 0.0007 * _wander(times, 3.5, random)
    return np.stack([base + 0.0004 * _wander(times, 2.5, random) for _ in range(2)], axis=1).clip(-0.002, 0.0065)


def _poses(
    times: np.ndarray, angles: np.ndarray, level: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    fps = 1 / (times[1] - times[0])
    breath = np.sin(2 * np.pi * 0.27 * times + 0.6 * _wander(times, 6.0, random))
    sway = np.stack([_wander(times, 4.5, random), 0.35 * _wander(times, 5.0, random), _wander(times, 5.0, random)], 1)
    sway = sway * 0.0022
    lag = gaussian_filter1d(angles, 0.30 * fps, axis=0)
    torso_angles = np.stack([0.16 * lag[:, 0], 0.04 * lag[:, 1], 0.14 * lag[:, 2]], axis=1)
    torso = _rigid(_rotation(torso_angles), TORSO_PIVOT_M, HEAD_PLACE_M + sway + np.outer(breath, [0, 0.0011, 0.0006]))
    push = gaussian_filter1d(level, 0.25 * fps)
    lean = np.stack([0.0002 * lag[:, 0], 0 * times, 0.004 * push + 0.002 * _wander(times, 4.0, random)], axis=1)
    shift = HEAD_PLACE_M + 1.15 * sway + np.outer(breath, [0, 0.0009, 0.0003]) + lean
    return _rigid(_rotation(angles), NECK_PIVOT_M, shift), torso


def _rotation(degrees: np.ndarray) -> np.ndarray:
    """[T,3,3] from yaw (to the picture's right), pitch (up) and roll (counter-clockwise in the picture)."""
    yaw, pitch, roll = np.radians(degrees).T
    zero, one = np.zeros_like(yaw), np.ones_like(yaw)
    about_y = np.array([[np.cos(yaw), zero, np.sin(yaw)], [zero, one, zero], [-np.sin(yaw), zero, np.cos(yaw)]])
    about_x = np.array([[one, zero, zero], [zero, np.cos(pitch), np.sin(pitch)], [zero, -np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), zero], [np.sin(roll), np.cos(roll), zero], [zero, zero, one]])
    y, x, z = (np.moveaxis(m, -1, 0) for m in (about_y, about_x, about_z))
    return y @ x @ z


def _rigid(rotation: np.ndarray, pivot: np.ndarray, place: np.ndarray) -> np.ndarray:
    """[T,4,4]: turn about `pivot`, then move by `place`."""
    result = np.zeros((len(rotation), 4, 4))
    result[:, :3, :3] = rotation
    result[:, :3, 3] = place + pivot - rotation @ pivot
    result[:, 3, 3] = 1
    return result

"""The report's curves over time, as SVG: lips over the sound, and the angles of the head."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from gtalk.prepare.report.metrics import HOP_S, head_angles, lip_aperture
from gtalk.prepare.report.onsets import onset_times_s
from gtalk.shapes import Bool, Float
from gtalk.types import AUDIO_RATE, Motion

WIDTH, HEIGHT, AXIS = 1200, 150, 18
EXCERPTS, EXCERPT_S = 3, 12.0  # parts of the sound that are drawn large
TICKS_S = (1, 2, 5, 10, 30, 60, 120, 300, 600)
INK = {"gap": "#e07b00", "pitch": "#2a9d4a", "wave": "#b9c7da", "speech": "#ececec", "cut": "#999",
       "onset": "#c0392b"}  # fmt: skip
ANGLES = {"yaw": "#2a6fd6", "pitch": "#e07b00", "roll": "#2a9d4a"}


def _chips(colours: dict[str, str]) -> str:
    return ", ".join(f'<span class="chip" style="background:{c}"></span> {name}' for name, c in colours.items())


SOUND_LEGEND = _chips(
    {
        "gap between the lips": INK["gap"],
        "pitch of the voice": INK["pitch"],
        "syllables begin": INK["onset"],
        "wave": INK["wave"],
        "speech": INK["speech"],
    }
)
ANGLE_LEGEND = _chips({**ANGLES, "cuts": INK["cut"]})


def lips_over_sound(
    motion: Motion,
    samples: Float[np.ndarray, " N"],
    speech: Bool[np.ndarray, " H"],
    pitch: Float[np.ndarray, "M 2"],
) -> str:
    """Some seconds from the clip's beginning, middle and end, large enough to see single words.

    Args:
        motion: of the clip.
        samples: its sound at AUDIO_RATE.
        speech: whether someone speaks, every HOP_S.
        pitch: octaves over the voice's usual pitch, and how much voice there is, every HOP_S.
    """
    duration = max(motion.duration_s, 1e-6)
    length = min(EXCERPT_S, duration)
    count = max(1, min(EXCERPTS, int(duration // length)))
    gap = lip_aperture(motion)
    reach = float(gap.min()), float(max(gap.max(), gap.min() + 1e-3))
    loudest = max(float(np.abs(samples).max(initial=0.0)), 1e-4)
    parts = []
    for start in np.linspace(0.0, duration - length, count):
        window = float(start), float(start) + length
        drawn = [
            _bands(speech, window),
            _wave(samples / loudest, window),
            _dots(pitch, window),
            _onsets(samples, window),
            _curve(gap, motion.fps, window, *reach, INK["gap"]),
        ]
        parts.append(_chart("".join(drawn), window))
    return "".join(parts)


def angle_curves(motion: Motion, cuts: list[int]) -> str:
    """Yaw, pitch and roll of the whole clip; `cuts` are the first frames of shots."""
    angles = np.degrees(head_angles(motion.head_pose))
    window = 0.0, max(motion.duration_s, 1e-6)
    reach = 1.1 * max(10.0, float(np.abs(angles).max(initial=0.0)))
    drawn = [f'<line x2="{WIDTH}" y1="{HEIGHT / 2}" y2="{HEIGHT / 2}" stroke="#ccc"/>']
    high = next((level for level in (5, 10, 20) if reach < 3 * level), 30)
    for level in (-high, high):
        y = HEIGHT / 2 * (1 - level / reach)
        drawn.append(f'<line x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd" stroke-dasharray="3 4"/>')
        drawn.append(f'<text x="4" y="{y - 3:.1f}" font-size="11" fill="#666">{level:+d}°</text>')
    for cut in cuts:
        x = _x(cut / motion.fps, window)
        drawn.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y2="{HEIGHT}" stroke="{INK["cut"]}"/>')
    for i, colour in enumerate(ANGLES.values()):
        drawn.append(_curve(angles[:, i], motion.fps, window, -reach, reach, colour))
    return _chart("".join(drawn), window)


def _chart(drawn: str, window: tuple[float, float]) -> str:
    """A frame with seconds below it."""
    step = next((t for t in TICKS_S if (window[1] - window[0]) / t <= 14), TICKS_S[-1])
    ticks = []
    for t in np.arange(np.ceil(window[0] / step) * step, window[1] + 1e-6, step):
        x = _x(float(t), window)
        anchor = "start" if x < 20 else "end" if x > WIDTH - 20 else "middle"
        ticks.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT}" y2="{HEIGHT + 4}" stroke="#999"/>')
        ticks.append(
            f'<text x="{x:.1f}" y="{HEIGHT + 15}" font-size="11" fill="#666" text-anchor="{anchor}">{t:.0f} s</text>'
        )
    height = HEIGHT + AXIS
    return f'<svg viewBox="0 0 {WIDTH} {height}" style="margin-bottom:6px">{drawn}{"".join(ticks)}</svg>'


def _x(time_s: float, window: tuple[float, float]) -> float:
    return (time_s - window[0]) / (window[1] - window[0]) * WIDTH


def _bands(speech: np.ndarray, window: tuple[float, float]) -> str:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], speech.astype(np.int8), [0]]))) * HOP_S
    bands = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        left, right = (_x(float(np.clip(t, *window)), window) for t in (start, stop))
        if right > left:
            colour = INK["speech"]
            bands.append(f'<rect x="{left:.1f}" width="{right - left:.1f}" height="{HEIGHT}" fill="{colour}"/>')
    return "".join(bands)


def _wave(samples: np.ndarray, window: tuple[float, float]) -> str:
    first, last = (round(t * AUDIO_RATE) for t in window)
    edges = np.linspace(first, last, WIDTH + 1).astype(int)
    heights = [float(np.abs(samples[a:b]).max(initial=0.0)) for a, b in pairwise(edges)]
    middle, most = HEIGHT / 2, HEIGHT / 2 - 6
    path = "".join(f"M{x} {middle - most * h:.1f}V{middle + most * h:.1f}" for x, h in enumerate(heights))
    return f'<path d="{path}" stroke="{INK["wave"]}"/>'


def _dots(pitch: np.ndarray, window: tuple[float, float]) -> str:
    times_s = np.arange(len(pitch)) * HOP_S
    shown = np.flatnonzero((pitch[:, 1] > 0.5) & (times_s >= window[0]) & (times_s < window[1]))
    path = "".join(
        f"M{_x(i * HOP_S, window):.1f} {HEIGHT / 2 - 55 * float(np.clip(pitch[i, 0], -1.2, 1.2)):.1f}h1.5"
        for i in shown.tolist()
    )
    return f'<path d="{path}" stroke="{INK["pitch"]}" stroke-width="2.5"/>'


def _onsets(samples: np.ndarray, window: tuple[float, float]) -> str:
    times_s = onset_times_s(samples[round(window[0] * AUDIO_RATE) : round(window[1] * AUDIO_RATE)])
    path = "".join(f"M{_x(window[0] + t, window):.1f} {HEIGHT - 9}v9" for t in times_s.tolist())
    return f'<path d="{path}" stroke="{INK["onset"]}" stroke-width="1.5"/>'


def _curve(values: np.ndarray, fps: float, window: tuple[float, float], low: float, high: float, colour: str) -> str:
    first, last = max(0, int(window[0] * fps)), min(len(values), int(np.ceil(window[1] * fps)) + 1)
    step = max(1, (last - first) // (2 * WIDTH))
    points = " ".join(
        f"{_x(i / fps, window):.1f},{HEIGHT * (high - values[i]) / (high - low):.1f}" for i in range(first, last, step)
    )
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'

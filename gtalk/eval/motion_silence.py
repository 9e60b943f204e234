"""Do lips shut when speech ends, and stay shut? The person's own speech, then what a room sounds like.

A clip whose held-out part has no pause says nothing about silence; so the pauses are made: digital silence, white
noise, the low rumble of a room, the hum of the mains, breathing in and out, each at levels under the speech.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

from gtalk.eval import motion as measures
from gtalk.motion.base import MotionModel
from gtalk.motion.produce import drive_whole
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE

SPEECH_S, PAUSE_S = 8.0, 20.0
SETTLE_S = 0.2
"""Lips may take so long to close."""
MOVING_M = 0.0004  # per frame: more than tracking noise
CLOSED_SHARE = 0.15  # of the person's usual opening: less is closed


@dataclass(frozen=True)
class Pause:
    """What the lips did in one kind of silence."""

    closed_after_s: float
    """From the end of the speech until the lips are closed for good."""
    leakage: float
    """Share of the frames after the lips should have closed in which they move or are open."""


def silence_test(
    model: MotionModel, speech: Float[np.ndarray, " N"], usual_m: float, settle_s: float = SETTLE_S
) -> dict[str, Pause]:
    """Let `speech` go over into each kind of silence.

    Args:
        model: of the person.
        speech: at AUDIO_RATE; SPEECH_S of it are used, whatever is being said there: an end amid a word is the hardest.
        usual_m: standard deviation of the person's mouth opening, metres.
        settle_s: how long the lips may take to close. Live, nobody knows at first that this is no pause for breath.
    """
    speech = speech[: round(SPEECH_S * AUDIO_RATE)].astype(np.float64)
    still = drive_whole(model, np.zeros(AUDIO_RATE, np.float32))
    rest_m = float(measures.aperture(still)[-1])
    end, settle = round(len(speech) / AUDIO_RATE * still.fps), round(settle_s * still.fps)
    pauses = {}
    for name, noise in noises(len(speech) + round(PAUSE_S * AUDIO_RATE), float(speech.std())).items():
        sound = noise.copy()
        sound[: len(speech)] += speech
        motion = drive_whole(model, sound.astype(np.float32))
        opened = np.abs(measures.aperture(motion)[end:] - rest_m) > CLOSED_SHARE * usual_m
        moving = measures.lip_speed(motion)[end:] > MOVING_M
        closed_after_s = (np.flatnonzero(opened)[-1] + 1) / still.fps if opened.any() else 0.0
        pauses[name] = Pause(float(closed_after_s), float((opened | moving)[settle:].mean()))
    return pauses


def noises(count: int, speech_rms: float) -> dict[str, Float[np.ndarray, " N"]]:
    """Sounds of a room in which nobody speaks, with their level under the speech in their names."""
    rng = np.random.default_rng(0)
    white = rng.normal(size=count)
    low, breathy = (
        butter(2, 300, "low", fs=AUDIO_RATE, output="sos"),
        butter(2, (400, 3000), "band", fs=AUDIO_RATE, output="sos"),
    )
    times_s = np.arange(count) / AUDIO_RATE
    breath = sosfilt(breathy, white) * np.maximum(np.sin(2 * np.pi * 0.3 * times_s), 0.0)
    hum = sum(np.sin(2 * np.pi * k * 50.0 * times_s + k) / k for k in range(1, 7)) + 0.05 * white
    kinds = {
        "white noise": (white, (-50, -35, -25)),
        "room tone": (sosfilt(low, white), (-40, -25)),
        "mains hum": (hum, (-40, -30)),
        "breathing": (breath, (-35, -25)),
    }
    out = {"digital silence": np.zeros(count)}
    for name, (wave, levels) in kinds.items():
        out |= {f"{name} {db} dB": wave / wave.std() * speech_rms * 10 ** (db / 20) for db in levels}
    return out

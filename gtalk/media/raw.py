"""Single images and pieces of sound as PyAV's frames, for programs that carry them on without a file."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np

from gtalk.shapes import Float, UInt8

PICTURE_CLOCK_HZ = 90_000
"""Of images on the wire: RFC 3551."""


def picture_frame(rgb: UInt8[np.ndarray, "H W 3"], ticks: int) -> av.VideoFrame:
    """An image at `ticks` of PICTURE_CLOCK_HZ; an odd last row or column, which encoders refuse, goes."""
    height, width = rgb.shape[0] // 2 * 2, rgb.shape[1] // 2 * 2
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb[:height, :width]), format="rgb24")
    frame.pts, frame.time_base = ticks, Fraction(1, PICTURE_CLOCK_HZ)
    return frame


def sound_frame(samples: Float[np.ndarray, " N"], first_sample: int, rate: int) -> av.AudioFrame:
    """Mono sound, values in [-1, 1], as 16-bit samples that begin at `first_sample` of `rate`."""
    pcm = (np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, first_sample, Fraction(1, rate)
    return frame


def sound_of(frame: Any) -> tuple[Float[np.ndarray, " N"], int]:
    """(samples, rate) of a frame of 16-bit sound: the mean of its channels, in [-1, 1]."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, len(frame.layout.channels)).T
    return values.astype(np.float32).mean(0) / 32768, frame.sample_rate

"""Video encoders of the hardware: NVIDIA's, which PyAV's FFmpeg has and a machine without a driver cannot open."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

NVENC = {"h264": "h264_nvenc", "h265": "hevc_nvenc"}
OPTIONS = {"preset": "p5", "tune": "hq", "rc": "vbr", "b": "0"}
"""p5 of p1..p7; the quality is `cq`, which is x264's crf to within a few points."""
_TRIED_PX = 256  # it refuses much smaller images


@cache
def nvenc_of(codec: str) -> str | None:
    """The name of NVIDIA's encoder of h264 or h265 where one can be opened on this machine, else None."""
    import av

    if codec not in NVENC:
        return None
    try:
        context: Any = av.CodecContext.create(NVENC[codec], "w")
        context.width = context.height = _TRIED_PX
        context.pix_fmt, context.time_base, context.framerate = "yuv420p", Fraction(1, 25), Fraction(25)
        context.options = dict(OPTIONS)
        context.open(strict=False)
    except (av.FFmpegError, ValueError):  # no driver, no GPU, all its sessions taken; or a build without it
        return None
    return NVENC[codec]

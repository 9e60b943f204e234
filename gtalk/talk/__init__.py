"""Speech in, pictures out: the one inference path that live and dub share."""

from gtalk.talk.interpolate import MotionResampler, frame_count, interpolate, resample_motion
from gtalk.talk.pixels import to_uint8
from gtalk.talk.talker import Moment, Talker, TalkSession

__all__ = [
    "Moment", "MotionResampler", "TalkSession", "Talker", "frame_count", "interpolate", "resample_motion", "to_uint8",
]  # fmt: skip

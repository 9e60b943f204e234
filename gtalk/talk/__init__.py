"""Speech in, pictures out: the one inference path that live and dub share."""

from gtalk.avatar.base import PLATE
from gtalk.talk.interpolate import MotionResampler, frame_count, interpolate, resample_motion
from gtalk.talk.load import Identity, Performer, load_performer, load_talker
from gtalk.talk.pixels import to_uint8
from gtalk.talk.talker import Moment, Talker, TalkSession

__all__ = [
    "PLATE",
    "Identity",
    "Moment",
    "MotionResampler",
    "Performer",
    "TalkSession",
    "Talker",
    "frame_count",
    "interpolate",
    "load_performer",
    "load_talker",
    "resample_motion",
    "to_uint8",
]

"""Speech in, images out: the one inference path that live and dub share."""

from gtalk.avatar.base import PLATE
from gtalk.talk.interpolate import MotionResampler, frame_count, interpolate, resample_motion
from gtalk.talk.load import Character, Identity, load_character, load_talker
from gtalk.talk.pixels import to_uint8
from gtalk.talk.talker import MotionFrame, Talker, TalkSession

__all__ = [
    "PLATE",
    "Character",
    "Identity",
    "MotionFrame",
    "MotionResampler",
    "TalkSession",
    "Talker",
    "frame_count",
    "interpolate",
    "load_character",
    "load_talker",
    "resample_motion",
    "to_uint8",
]

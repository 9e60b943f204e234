"""Speech in, images out: the one inference path that live and dub share."""

from gtalk.avatar.base import PLATE
from gtalk.marks.identity import Identity
from gtalk.talk.base import Conversation, MotionFrame, TakesTurns, Talks
from gtalk.talk.interpolate import MotionResampler, frame_count, interpolate, resample_motion
from gtalk.talk.load import Character, LookAhead, load_character
from gtalk.talk.pixels import to_uint8
from gtalk.talk.talker import Talker, TalkSession
from gtalk.talk.view import View

__all__ = [
    "PLATE",
    "Character",
    "Conversation",
    "Identity",
    "LookAhead",
    "MotionFrame",
    "MotionResampler",
    "TakesTurns",
    "TalkSession",
    "Talker",
    "Talks",
    "View",
    "frame_count",
    "interpolate",
    "load_character",
    "resample_motion",
    "to_uint8",
]

"""What can change a motion between the model and the renderer, in one place: `gtalk.edits.Gaze(yaw_rad=0.2)(motion)`.

An edit is called with a motion and gives a motion; any number of them, in any order. `Avatar.predict` and `stream`
take makers of edits, since an edit may remember what it saw: each session makes its own.
"""

from gtalk.direct.score import Event, Score
from gtalk.direct.score_edit import ScoreEdit
from gtalk.motion.base import EditFactory, MotionEdit
from gtalk.motion.edits.controls import Controls, control_specs
from gtalk.motion.edits.direct import Gaze, Turn
from gtalk.motion.edits.emotion import ExpressionEdit as Emotion
from gtalk.motion.edits.emotion import read_emotion

__all__ = [
    "Controls", "EditFactory", "Emotion", "Event", "Gaze", "MotionEdit", "Score", "ScoreEdit", "Turn", "control_specs",
    "read_emotion",
]  # fmt: skip

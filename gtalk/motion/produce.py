"""Motion from speech, from another person's face, or from a file: what `gtalk motion drive | edit` call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from gtalk.basis import BROWS, LIPS, MOUTH_GROUP, UPPER_GROUP
from gtalk.errors import UserError
from gtalk.geometry.pose import mean_pose, pose_matrices, pose_vectors
from gtalk.motion.base import EditChain, EditFactory, KnowingStream, MotionModel
from gtalk.motion.edits.control_edit import ControlEdit
from gtalk.motion.edits.controls import Controls
from gtalk.motion.model.model import PersonMotionModel
from gtalk.shapes import Float
from gtalk.speech.known_phones import KnownPhones
from gtalk.types import Motion

_PIECE = 250  # frames that an edit sees at once


def drive(
    model: MotionModel,
    chunks: Iterable[Float[np.ndarray, " N"]],
    seed: int = 0,
    edits: Sequence[EditFactory] = (),
    known: KnownPhones | None = None,
) -> Iterator[Motion]:
    """Motion of speech (mono, AUDIO_RATE, in chunks of any size), piece by piece, in constant memory.

    What is `known` to be said guides the lips of a model that has ears; others go by the sound alone.
    """
    chain = EditChain(edits)
    stream = model.stream(seed)
    if known is not None and isinstance(stream, KnowingStream):
        stream.know(known)
    for chunk in chunks:
        if len(ready := chain(stream.push(chunk))):
            yield ready
    if len(ready := chain(stream.finish())):
        yield ready


def drive_whole(
    model: MotionModel,
    samples: Float[np.ndarray, " N"],
    seed: int = 0,
    edits: Sequence[EditFactory] = (),
    known: KnownPhones | None = None,
) -> Motion:
    """Motion of a whole speech, ceil(N * fps / AUDIO_RATE) frames. Raises UserError for no samples."""
    parts = list(drive(model, [samples], seed, edits, known))
    if not parts:
        raise UserError("audio", expected="at least one sample", got="none", remedy="Use a sound file with speech.")
    return Motion.concatenate(parts)


def edit_motion(
    motion: Motion,
    model: PersonMotionModel,
    controls: Controls = Controls(),
    seed: int = 0,
    edits: Sequence[EditFactory] = (),
) -> Motion:
    """A motion with edits and then controls applied, as `Talker` would apply them live."""
    chain = EditChain([*edits, lambda: ControlEdit(model, controls, seed)])
    pieces = [motion[start : start + _PIECE] for start in range(0, len(motion), _PIECE)]
    return Motion.concatenate([chain(piece) for piece in pieces]) if pieces else motion


def reenact(motion: Motion, model: PersonMotionModel) -> Motion:
    """Another person's tracked motion, brought to the face of the model's person.

    What moves is taken, what is shape is not: landmarks move from this person's mean face as the other
    person's moved from theirs, scaled by the two people's mouths and eyes; the head turns about this
    person's usual pose. Channels that belong to the other person are dropped.
    Raises UserError when no frame shows a face.
    """
    if not motion.valid.any():
        raise UserError(
            "motion", expected="a face in some frames", got="none", remedy="Track a video that shows a face."
        )
    seen = motion[np.flatnonzero(motion.valid)]
    other, own = np.median(seen.landmarks, axis=0), model.basis.mean
    landmarks = np.repeat(own[None], len(motion), axis=0)
    landmarks[:, MOUTH_GROUP] += (motion.landmarks - other)[:, MOUTH_GROUP] * (_width(own, LIPS) / _width(other, LIPS))
    scale = _width(own, BROWS) / _width(other, BROWS)
    brows = (motion.brows - np.median(seen.brows, axis=0)) * scale
    landmarks[:, UPPER_GROUP] = model.face.upper_landmarks(motion.eyes, brows)
    turned = pose_vectors(motion.head_pose, mean_pose(seen.head_pose))
    gaze = motion.gaze - np.median(seen.gaze, axis=0) + model.eyes.gaze_mean
    return Motion(
        motion.fps,
        landmarks,
        motion.eyes,
        gaze,
        brows,
        pose_matrices(turned, model.mean_pose),
        motion.valid,
    )


def _width(face: np.ndarray, group: np.ndarray) -> float:
    return float(np.ptp(face[group, 0]))

"""Which frames train and which are held out. Everyone who scores uses this, so scores compare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gtalk.basis import MotionBasis
from gtalk.dataset.format import Dataset
from gtalk.shapes import Int
from gtalk.types import Motion

TAKE_UPPER = 8  # components of brows and lids of whoever has shown more than speech
TEST_SHARE = 1 / 11  # the peers' 10:1 split, in time: the last part of the clip is never seen in training


def train_test_split(
    dataset: Dataset, test_share: float = TEST_SHARE
) -> tuple[Int[np.ndarray, " A"], Int[np.ndarray, " B"]]:
    """Indices of (training, held-out) frames with a face. The held-out frames are the last in time.

    Frame `first_test_frame` and everything after it, its audio included, is kept from every trainer.
    """
    first = first_test_frame(dataset.n_frames, test_share)
    valid = np.flatnonzero(dataset.motion.valid)
    return valid[valid < first], valid[valid >= first]


def person_basis(clips: Sequence[Motion], take: Motion | None = None) -> MotionBasis:
    """The basis of a person's motion: the one that the renderer and the motion model of an avatar share.

    Both trainers ask here with the same frames, the training part of the person's clips, and get the same numbers.
    An expression take (in the clips' head space) adds what brows and lids do in it.
    """
    if take is None:
        return MotionBasis.fit(Motion.concatenate(list(clips)))
    return MotionBasis.fit(Motion.concatenate([*clips, take]), n_upper=TAKE_UPPER)


def first_test_frame(n_frames: int, test_share: float = TEST_SHARE) -> int:
    """The first held-out frame of a clip."""
    return int(np.ceil(n_frames * (1.0 - test_share)))

"""An expression take beside a person's clip: tracked, checked to be the same person, kept as the avatar's own bank."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2

from gtalk.errors import UserError
from gtalk.files import atomic_path
from gtalk.progress import Progress
from gtalk.rig.bank import BANK_NAME, Row, learn, read_labels, save_bank, unlikeness
from gtalk.rig.person import PersonRig, neutral_mesh
from gtalk.types import VIDEO_FPS, Motion

SAME_PERSON_M = 0.00155
"""Two tracked faces whose bones differ more are two people. Measured: halves of a clip 0.1 to 0.8 mm, an actor neutral
and happy 1.4, other people from 1.7 on (five people: a rough guard, not an identity test)."""
THUMBNAILS = "expressions"
_THUMBNAIL_PX = 256


def learn_take(
    take: Path, avatar: Path, dataset: Path, labels: Path | None, on_event: Callable[[Progress], None]
) -> list[Row]:
    """Learn the expressions of a take and write them, with a thumbnail of each, into the avatar's folder.

    Raises UserError when the take shows another person, hardly a face or one expression only, or when the labels
    do not fit; then nothing is written.

    Args:
        take: a video of the person who makes faces.
        avatar: the folder to write into.
        dataset: of the person's clip.
        labels: a CSV of start_s,end_s,name; expressions are found and numbered without it.
        on_event: told how far the tracking is.
    """
    from gtalk.media.video import read_video
    from gtalk.prepare.pipeline import track_motion

    spans = None if labels is None else read_labels(labels)
    motion = track_motion(take, on_event)
    rig = PersonRig.of_motion(motion)
    away = unlikeness(rig.neutral, neutral_mesh(Motion.load(dataset / "motion.npz")))
    if away > SAME_PERSON_M:
        raise UserError(
            f"expression take {take.name}",
            expected=f"the person of the clip (bones of the face within {1000 * SAME_PERSON_M:.1f} mm)",
            got=f"a face that differs by {1000 * away:.1f} mm",
            remedy="Give a take of the same person, filmed from the front with a quiet face at the start.",
        )
    rows = learn(motion, rig, spans, take.name)
    reader = read_video(take, VIDEO_FPS, max_size=1024)
    for row in rows:
        frame = next(iter(reader.read(row.best_frame, row.best_frame + 1)))
        scale = _THUMBNAIL_PX / max(frame.shape[:2])
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        with atomic_path(avatar / THUMBNAILS / f"{row.name}.jpg") as temporary:
            cv2.imwrite(str(temporary), cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    save_bank(avatar / BANK_NAME, rows, take.name)
    return rows

"""An expression take beside a person's clip: checked to be the same person, looked at by the fit, kept as a bank."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from gtalk.dataset.format import Dataset
from gtalk.errors import UserError
from gtalk.files import atomic_path, sha256_of_file
from gtalk.prepare.landmarks.identities import quiet_difference
from gtalk.progress import Progress
from gtalk.rig.bank import BANK_NAME, Row, Span, learn, read_labels, save_bank
from gtalk.rig.person import PersonRig
from gtalk.shapes import Float

SAME_PERSON, SAMPLE = 0.018, 250
"""Two quiet faces whose bones differ by a larger share of a face's size are two people. Measured on 18 people: halves
of a clip, an actor's neutral clip and seven strong expressions, grimaces: 0.005 to 0.013; 307 pairs of two people: from
0.013 on, one in twenty below 0.018. So it notices nineteen of twenty others; consent is asked for by words."""
TAKE, THUMBNAILS = "take", "expressions"
_THUMBNAIL_PX = 256


def prepare_take(
    take: Path, dataset: Path, labels: Path | None, on_event: Callable[[Progress], None]
) -> tuple[Dataset, list[Row]]:
    """(the take as a dataset of its own inside that of the clip, the expressions in it).

    Raises UserError when the take shows another person, hardly a face or one expression only, or when the labels
    do not fit.

    Args:
        take: a video of the person who makes faces.
        dataset: of the person's clip.
        labels: a CSV of start_s,end_s,name; expressions are found and numbered without it.
        on_event: told how far preparing is.
    """
    from gtalk.prepare.pipeline import PrepareConfig, prepare

    spans: list[Span] | None = None if labels is None else read_labels(labels)
    clip = Dataset(dataset)
    size = max(clip.size)
    folder = dataset / f"{TAKE}-{sha256_of_file(take)[:12]}"  # another take is another dataset
    seen = prepare([take], folder, replace(PrepareConfig(), size=size, one_person=True), on_event)
    try:
        _check_same_person(seen, clip, take.name)
        return seen, learn(seen.motion, PersonRig.of_motion(seen.motion), spans, take.name)
    except UserError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _check_same_person(seen: Dataset, clip: Dataset, name: str) -> None:
    away = quiet_difference(_faces(seen), _faces(clip))
    if away > SAME_PERSON:
        raise UserError(
            f"expression take {name}",
            expected=f"the person of the clip (bones of a quiet face within {SAME_PERSON:.1%} of its size)",
            got=f"a face that differs by {away:.1%}",
            remedy="Give a take of the same person, filmed from the front with a quiet face at the start.",
        )


def _faces(dataset: Dataset) -> Float[np.ndarray, "N 478 3"]:
    """As detected, of frames spread over the recording."""
    from gtalk.prepare.records import load_landmarks

    found = load_landmarks(dataset.root / "landmarks.npz")
    valid = np.flatnonzero(found.valid)
    chosen = valid[np.linspace(0, len(valid) - 1, min(len(valid), SAMPLE)).astype(int)]
    return np.concatenate([found.points_px[chosen], found.depth[chosen][..., None]], axis=-1)


def save_expressions(seen: Dataset, rows: list[Row], avatar: Path, source: str) -> None:
    """Write the expressions of a take, with a thumbnail of each, into the avatar's folder."""
    for row in rows:
        frame = seen.frame(row.best_frame)
        scale = _THUMBNAIL_PX / max(frame.shape[:2])
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        with atomic_path(avatar / THUMBNAILS / f"{row.name}.jpg") as temporary:
            cv2.imwrite(str(temporary), cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
    save_bank(avatar / BANK_NAME, rows, source)

"""One pass over the held-out frames: everything that looks at images looks here, each frame once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gtalk.dataset.format import Dataset
from gtalk.eval.emotion.scores import ScoreReader, dataset_scores, error_of
from gtalk.eval.frames import Scores, Truth
from gtalk.eval.image import Flicker
from gtalk.eval.lips import HeldOut
from gtalk.eval.perceptual import Distance
from gtalk.eval.preview_video import PreviewVideo, difference
from gtalk.eval.sync import REACH, SYNC_FPS, SyncMeter, SyncNet
from gtalk.shapes import UInt8
from gtalk.types import AUDIO_RATE

PEER_NOTE = "true pose, eyes, torso and background pasted in; mouth from sound"


@dataclass(frozen=True)
class Metrics:
    """Networks that score images where the user brought their weights."""

    lpips: Distance | None = None
    syncnet: SyncNet | None = None
    reader: ScoreReader | None = None


@dataclass
class _Row:
    """What is kept about one way to make the images."""

    scores: Scores
    flicker: Flicker = field(default_factory=Flicker)
    sync: SyncMeter | None = None
    expressions: dict[int, np.ndarray] = field(default_factory=dict)
    """Blendshape scores by frame number."""


class Evaluator:
    """Scores self-driven and audio-driven images of the same instants against the truth."""

    def __init__(self, truth: Truth, part: HeldOut, judges: Metrics) -> None:
        self._truth, self._part, self._judges = truth, part, judges
        self._starts = {segment.start for segment in truth.dataset.segments}
        self._last: int | None = None
        self.driven, self.said = self._row(synced=False), self._row()
        self._real = self._row()
        self._pasted = Scores(judges.lpips)
        self.film = PreviewVideo(part.truth.fps)

    def _row(self, synced: bool = True) -> _Row:
        network = self._judges.syncnet if synced and self._part.truth.fps == SYNC_FPS else None
        return _Row(Scores(self._judges.lpips), sync=SyncMeter(network) if network is not None else None)

    def add(
        self,
        index: int,
        true: UInt8[np.ndarray, "H W 3"],
        driven: UInt8[np.ndarray, "H W 3"],
        said: UInt8[np.ndarray, "H W 3"] | None,
    ) -> None:
        """Frame `index` of the clip: real, from tracked motion, and with its mouth from sound if there is a model."""
        follows = self._last == index - 1 and index not in self._starts
        self._last = index
        points_px = self._truth.landmarks_px(self._truth.dataset.motion[index], np.array([index]))[0]
        rows = [(self.driven, driven), (self._real, true), *([(self.said, said)] if said is not None else [])]
        for row, shown in rows:
            if row is not self._real:
                row.scores.add(index, shown, true, self._truth)
                if not follows:
                    row.flicker.cut()
                row.flicker.add(shown, true)
            if row.sync is not None:
                row.sync.add(index - self._part.first, shown, points_px)
            if self._judges.reader is not None and (seen := self._judges.reader.read(shown)) is not None:
                row.expressions[index] = seen
        panels = [true, driven, difference(true, driven)]
        if said is not None:
            pasted = np.where(self._truth.head(index)[..., None], said, true)
            self._pasted.add(index, pasted, true, self._truth)
            panels.append(said)
        self.film.add(panels, self._sound_of(index))

    def self_driven(self) -> dict[str, Any]:
        """Image scores of tracked motion."""
        return {
            **self.driven.scores.mean(),
            "flicker": self.driven.flicker.values()[0],
            **self._expression(self.driven),
        }

    def audio_driven_images(self) -> dict[str, Any]:
        """Image scores with the mouth from sound, pose and eyes as tracked, nothing pasted in."""
        return {**self.said.scores.mean(), "flicker": self.said.flicker.values()[0]}

    def peer_protocol(self) -> dict[str, Any]:
        """What published tables hold: the mouth from sound, all around the head the truth itself."""
        full = self._pasted.mean()["full"]
        return {"psnr": full["psnr"], "ssim": full["ssim"], "lpips": full["lpips"], "note": PEER_NOTE}

    def audio_driven(self) -> dict[str, float | None]:
        """Sync and expression of the images made from sound."""
        return {**self._sync(self.said), **self._expression(self.said)}

    def real(self) -> dict[str, float | None]:
        """The same measures of the real images, and their flicker."""
        return {"flicker": self.driven.flicker.values()[1], **self._sync(self._real), **self._expression(self._real)}

    def _sync(self, row: _Row) -> dict[str, float | None]:
        enough = row.sync is not None and len(self._part.truth) > 2 * REACH
        score = row.sync.score(self._part.samples) if row.sync is not None and enough else None
        return {
            "sync_confidence": score.confidence if score else None,
            "sync_distance": score.distance if score else None,
            "sync_offset_frames": score.offset_frames if score else None,
        }

    def _expression(self, row: _Row) -> dict[str, float | None]:
        """Against the scores that `prepare` kept; where it kept none, against those of the real images."""
        upper, lower = error_of(row.expressions, _true_expressions(self._truth.dataset) or self._real.expressions)
        return {"aue_upper": upper, "aue_lower": lower}

    def _sound_of(self, index: int) -> np.ndarray:
        per_frame = AUDIO_RATE / self._part.truth.fps
        begin, end = (round((index - self._part.first + step) * per_frame) for step in (0, 1))
        piece = np.zeros(end - begin, np.float32)
        heard = self._part.samples[begin:end]
        piece[: len(heard)] = heard
        return piece


def _true_expressions(dataset: Dataset) -> dict[int, np.ndarray] | None:
    stored = dataset_scores(dataset)
    return None if stored is None else {i: row for i, row in enumerate(stored) if row.any()}

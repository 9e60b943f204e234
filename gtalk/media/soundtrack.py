"""The sound of a file as it is to be delivered: its own rate, its own channels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtalk.media.audio import no_sound, stream_audio, stream_channels
from gtalk.media.output.sinks import LAYOUTS
from gtalk.media.source import probe
from gtalk.shapes import Float


@dataclass(frozen=True)
class Soundtrack:
    """Where the sound of a video comes from."""

    path: Path
    rate: int
    channels: int
    """1, 2, 6 or 8. A file with another number is mixed to mono."""
    expected_s: float
    """Length that the file declares, which need not be true."""

    @staticmethod
    def of(path: Path) -> Soundtrack:
        """Raises UserError when the file is missing, damaged or without sound."""
        info = probe(path)
        if not info.has_audio:
            raise no_sound(path)
        channels = info.audio_channels if info.audio_channels in LAYOUTS else 1
        return Soundtrack(Path(path), info.audio_rate, channels, info.duration_s)

    def pieces(self) -> Iterator[Float[np.ndarray, "N C"]]:
        """All of it in constant memory; sample j is the instant j / rate."""
        if self.channels == 1:
            return (piece[:, None] for piece in stream_audio(self.path, self.rate))
        return stream_channels(self.path)

"""Compressed sound from a pipe, decoded as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from gtalk.media.audio import mono
from gtalk.media.source import LOCAL_FILES_ONLY, audio_stream, decode, not_media
from gtalk.shapes import Float


class _Reader:
    """A file object without an end that is known, and without a way back."""

    def __init__(self, begun: bytes, read: Callable[[int], bytes]) -> None:
        self._begun, self._read = begun, read

    def read(self, count: int = -1) -> bytes:
        if self._begun:
            data, self._begun = self._begun[:count], self._begun[count:]
            return data
        return self._read(count)


def decode_pipe(begun: bytes, read: Callable[[int], bytes]) -> Iterator[tuple[Float[np.ndarray, " N"], int]]:
    """(mono samples, their rate), piece by piece, of a stream whose first bytes are `begun`.

    `read(count)` gives up to so many bytes more, and none at the end. Raises UserError when it is no sound.
    """
    import av
    import av.error

    try:
        with av.open(_Reader(begun, read), "r", container_options=LOCAL_FILES_ONLY) as container:
            stream = audio_stream(container)
            if stream is None:
                raise not_media(Path("-"), "no sound inside")
            for frame in decode(container, stream):
                yield mono(frame), frame.sample_rate
    except (av.error.FFmpegError, ValueError) as error:
        raise not_media(Path("-"), str(error)) from error

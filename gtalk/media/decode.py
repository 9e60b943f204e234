"""Decodes one sound file, in a process of its own: what a stranger's file does to decoders ends this program alone.

python -P decode.py FILE        float32 samples, mono, at AUDIO_RATE, on stdout; what is wrong with the file on stderr
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_MOST_MEMORY = 4 << 30  # of addresses: libraries reserve much and use little


def main(path: str) -> int:
    """Returns 2 where the file cannot be read."""
    _limit()
    words = os.fdopen(os.dup(2), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries may say more than anybody reads
    from gtalk.errors import UserError
    from gtalk.media.audio import stream_audio

    try:
        for piece in stream_audio(Path(path)):
            sys.stdout.buffer.write(piece.astype("<f4").tobytes())
            sys.stdout.buffer.flush()
    except UserError as error:
        words.write(str(error))
        words.flush()
        return 2
    except BrokenPipeError:  # nobody listens any more
        os._exit(0)
    return 0


def _limit() -> None:
    """Bounded memory, no core file, nothing written."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

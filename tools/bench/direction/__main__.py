"""What direction keeps to. docs/guides/direction.md has the figures.

python -m tools.bench.direction composer
python -m tools.bench.direction head AVATAR SPEECH.wav "What is said." WORD ...
python -m tools.bench.direction keys AVATAR [DATASET] ["What is said."|grid]
python -m tools.bench.direction style AVATAR A.wav,B.wav X.style ...
python -m tools.bench.direction voice NEUTRAL.wav TAKE.wav ...                 # takes behind a neutral one
python -m tools.bench.direction words FOLDER [TAKE.wav "What is said."] ...    # of RAVDESS, and others
python -m tools.bench.direction pixels AVATAR SPEECH.wav                       # with Face Landmarker in $GTALK_ASSETS
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(argv: list[str]) -> None:
    """One of the measures above."""
    what, *rest = argv or [""]
    first, second = (Path(rest[i]) if len(rest) > i else None for i in (0, 1))
    if what == "composer":
        from tools.bench.direction.composer import composer

        composer()
    elif what == "head" and first and second:
        from tools.bench.direction.heads import head

        head(first, second, rest[2], *rest[3:])
    elif what == "keys" and first:
        from tools.bench.direction.keys import keys

        keys(first, second, *rest[2:3])
    elif what == "style" and first and second:
        from tools.bench.direction.style import style

        style(first, rest[1], *rest[2:])
    elif what == "voice" and first:
        from tools.bench.direction.voice import voice

        voice(first, *rest[1:])
    elif what == "words" and first:
        from tools.bench.direction.words import words

        words(first, *rest[1:])
    elif what == "pixels" and first and second:
        from tools.bench.direction.pixels import pixels

        pixels(first, second)
    else:
        print(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])

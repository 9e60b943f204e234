"""What scenes keep to. docs/guides/scenes.md has the figures.

python -m tools.bench.scene azimuth STEREO.wav TRUTH.json
python -m tools.bench.scene gaze AVATAR DUB.motion.npz TRUTH.json
python -m tools.bench.scene still STEREO ...
python -m tools.bench.scene listen SCENE.yaml
python -m tools.bench.scene cost SCENE.yaml
python -m tools.bench.scene turns SOUND.wav TRUTH.rttm
python -m tools.bench.scene sing AVATAR SONG ...
python -m tools.bench.scene singer AVATAR CLIP [LYRICS.lrc]
python -m tools.bench.scene mixtures ASSETS [FIRST_SEED COUNT]

Strips of pictures to look at, of films that `gtalk scene` and `gtalk dub --save-motion` have made:

python -m tools.bench.scene strip-talk SCENE.yaml FILM OUT.png
python -m tools.bench.scene strip-heard FILM STEREO OUT.png MOTION.npz AVATAR [TRUTH.json]
python -m tools.bench.scene strip-song FILM SONG OUT.png MOTION.npz
"""

from __future__ import annotations

import sys
from pathlib import Path

_STRIPS = {"strip-talk": (3,), "strip-heard": (5, 6), "strip-song": (4,)}
"""And how many files each is given."""


def main(argv: list[str]) -> None:
    """One of the measures above."""
    what, files = (argv or [""])[0], [Path(word) for word in argv[1:]]
    if {"-h", "--help"} & set(argv):
        print(__doc__)
    elif what == "azimuth" and len(files) == 2:
        from tools.bench.scene.spatial import azimuth

        azimuth(*files)
    elif what == "gaze" and len(files) == 3:
        from tools.bench.scene.spatial import gaze

        gaze(*files)
    elif what == "still" and files:
        from tools.bench.scene.spatial import still

        still(files)
    elif what in ("listen", "cost") and len(files) == 1:
        from tools.bench.scene import listen

        (listen.listen if what == "listen" else listen.cost)(files[0])
    elif what == "turns" and len(files) == 2:
        from tools.bench.scene.spatial import turns

        turns(*files)
    elif what == "singer" and len(files) in (2, 3):
        from tools.bench.scene.singer import singer

        singer(*files)
    elif what == "mixtures" and len(files) in (1, 3):
        from tools.bench.scene.mixtures import measured

        measured(files[0], *(int(str(number)) for number in files[1:]))
    elif what == "sing" and len(files) > 1:
        from tools.bench.scene.sing import sing

        for song in files[1:]:
            sing(files[0], song)
    elif what in _STRIPS and len(files) in _STRIPS[what]:
        from tools.bench.scene import strips

        {"strip-talk": strips.talk, "strip-heard": strips.heard, "strip-song": strips.song}[what](*files)
    else:
        print(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])

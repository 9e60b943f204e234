"""Whether generated motion is named by its style, and what a style does to the lips.

Speech is driven with each style. What comes out is named by the nearest of the styles: by their vectors as learned; by
these as far as this person can follow them (`reachable`: head, blinks and brows within factors, the mouth within 6 %),
each number in deviations of this person's own generator between seeds and halves of the speech; and by which of them
the change points at.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gtalk.dataset.format import Dataset
from gtalk.dataset.split import first_test_frame
from gtalk.direct.style import Style, learn_style
from gtalk.direct.style_edit import StyleEdit, reachable
from gtalk.media.audio import read_audio
from gtalk.motion.model.model import load_motion_model
from gtalk.motion.produce import drive_whole
from gtalk.types import AUDIO_RATE
from tools.bench.direction.keys import lips_mm

SEEDS = (0, 1, 2)
LEAST_DEVIATION = 0.1
"""In logarithms: smaller ones say how little was generated, not how much it varies."""


def style(avatar: Path, sounds: str, *styles: str) -> None:
    """The names of what is generated; with a dataset in the avatar, the lips' errors on its held-out end.

    Args:
        sounds: files of speech, joined by commas.
    """
    model = load_motion_model(avatar)
    samples = np.concatenate([read_audio(Path(sound)).samples for sound in sounds.split(",")])
    plain = [drive_whole(model, samples, seed) for seed in SEEDS]
    usual = np.mean([learn_style([motion]).vector() for motion in plain], axis=0)
    half = len(plain[0]) // 2
    varied = [learn_style([motion[a:b]]).vector() for motion in plain for a, b in ((0, half), (half, len(motion)))]
    deviation = np.maximum(np.std(varied, axis=0), LEAST_DEVIATION)
    known = {name: Style.load(Path(name)) for name in styles}
    learned = np.array([one.vector() for one in known.values()])
    followed = np.array([reachable(one, usual) for one in known.values()])
    right = np.zeros(3, int)
    for i, (name, one) in enumerate(known.items()):
        made = learn_style([StyleEdit(model, one)(plain[0])]).vector()
        towards = (learned - usual) @ (made - usual) / np.linalg.norm(learned - usual, axis=1)
        named = (
            int(np.linalg.norm(learned - made, axis=1).argmin()),
            int(np.linalg.norm((followed - made) / deviation, axis=1).argmin()),
            int(towards.argmax()),
        )
        right += np.array(named) == i
        print(f"{Path(name).stem}: as learned {_name(styles, named[0])}, as this person can follow "
              f"{_name(styles, named[1])}, by direction {_name(styles, named[2])}")  # fmt: skip
    print(f"right of {len(styles)}: as learned {right[0]}, as can be followed {right[1]}, by direction {right[2]}")
    if (avatar / "dataset").is_dir():
        _lips(avatar, known)


def _lips(avatar: Path, known: dict[str, Style]) -> None:
    dataset, model = Dataset(avatar / "dataset"), load_motion_model(avatar)
    first = first_test_frame(dataset.n_frames)
    end = round(dataset.n_frames * AUDIO_RATE / dataset.fps)
    plain = drive_whole(model, read_audio(dataset.audio_path).samples[:end])[: dataset.n_frames]
    true = dataset.motion[first : len(plain)]
    before = lips_mm(plain[first:], true)
    more = {Path(n).stem: lips_mm(StyleEdit(model, one)(plain)[first:], true) / before - 1 for n, one in known.items()}
    print("lips' errors: " + ", ".join(f"{name} {share:+.1%}" for name, share in more.items()))


def _name(styles: tuple[str, ...], number: int) -> str:
    return Path(styles[number]).stem

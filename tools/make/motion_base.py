"""A base motion model from synthetic speech: many voices of espeak-ng, the demo person's rules for the lips.

    python -m tools.make.motion_base OUT.safetensors [--voices 24]

`gtalk motion train DATASET -o AVATAR --init OUT.safetensors` starts from it.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch

from demo_person.speaking.other_voices import lips_of
from demo_person.speaking.speech import SENTENCES, speak
from gtalk.dataset.format import Segment
from gtalk.motion.training.pretrain import pretrain, save_base
from gtalk.motion.training.sequences import TrainingClip
from gtalk.motion.training.train import MotionConfig
from gtalk.motion.training.training_data import TrainingData, gather
from gtalk.types import AUDIO_RATE, VIDEO_FPS

VARIANTS = ("f1", "m1", "f2", "m2", "f3", "m3", "f4", "m4", "f5", "m5", "m6", "m7")
FOREIGN = {
    "de": ("Guten Morgen, mein Name ist Bruno und ich wohne am Fluss.", "Viele Vögel fliegen über die grüne Wiese.",
           "Bitte bring mir zwei Becher warme Milch und ein Brot."),
    "fr": ("Bonjour, je viens du petit village au bord de la mer.", "Ma famille mange beaucoup de pommes et de poires.",
           "Pourquoi ne pas partir demain vers midi?"),
    "es": ("Buenos días, me llamo Pablo y vivo cerca del puerto.", "Mi hermana compra pan, fruta y un vaso de vino.",
           "Pero mañana vamos todos juntos a bailar."),
    "it": ("Buongiorno, abito vicino al ponte sul fiume.", "Mio fratello prepara sempre una buona minestra.",
           "Domani partiamo presto per la montagna."),
    "nl": ("Goedemorgen, ik woon in een klein dorp bij de zee.", "Mijn broer bakt brood en mijn vader maakt soep."),
    "pl": ("Dzień dobry, mam na imię Paweł i mieszkam w Poznaniu.", "Moja mama bardzo lubi białe kwiaty."),
}  # fmt: skip
_LIVELY = 0.6  # seconds of pause before a sentence


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--voices", type=int, default=24)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = MotionConfig()
    people = [voice_material(number, config) for number in range(options.voices)]
    save_base(pretrain(people, config.net, config.loss, config.fit), options.output)
    print(options.output)


def voice_material(number: int, config: MotionConfig) -> TrainingData:
    """One voice: English two times out of three."""
    rng = np.random.default_rng(number)
    variant = VARIANTS[number % len(VARIANTS)]
    if number % 3 == 2:
        language = list(FOREIGN)[number // 3 % len(FOREIGN)]
        texts = FOREIGN[language]
    else:
        language = ("en-us", "en")[number % 2]
        texts = tuple(SENTENCES[i][1] for i in rng.choice(len(SENTENCES), 5, replace=False))
    pauses = rng.uniform(0.2, 2 * _LIVELY, len(texts))
    speech = speak(tuple(zip(pauses.tolist(), texts, strict=True)), f"{language}+{variant}", 0.6)
    count = int(len(speech.samples) / AUDIO_RATE * VIDEO_FPS)
    clip = TrainingClip(speech.samples, lips_of(speech, count), (Segment(0, count, "synthetic"),))
    augment = dataclasses.replace(config.augment, copies=1)
    return gather([clip], config.features, augment, number, lambda progress: None)


if __name__ == "__main__":
    main()

"""Makes the ears: synthesise | teach | check | lips. `python -m tools.make.ears COMMAND --help`."""

from __future__ import annotations

import argparse
import math
from itertools import islice
from pathlib import Path


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    speech = commands.add_parser("synthesise", help="lessons with known phones")
    speech.add_argument("parts", type=Path, help="folder of the unpacked packages, see kokoro.py")
    speech.add_argument("corpus", type=Path, help="folder to fill; what is there is kept")
    speech.add_argument("--first", type=int, default=0)
    speech.add_argument("--count", type=int, default=1500, help="lessons; 100 are about 6 minutes of speech")
    speech.add_argument("--test", action="store_true", help="the held-out sentences by held-out voices instead")
    speech.add_argument("--cheap", action="store_true", help="by espeak-ng instead of Kokoro")
    speech.add_argument("--units", action="store_true", help="by flite instead of Kokoro")
    school = commands.add_parser("teach", help="train the student on a corpus; goes on where it was stopped")
    school.add_argument("parts", type=Path)
    school.add_argument("corpus", type=Path)
    school.add_argument("-o", "--output", type=Path, required=True, help="ears.safetensors")
    school.add_argument("--steps", type=int, default=1500)
    school.add_argument("--width", type=int, default=128)
    school.add_argument("--seed", type=int, default=0)
    school.add_argument("--minutes", type=float, default=math.inf, help="stop after so many, to go on later")
    exam = commands.add_parser("check", help="visemes, p b m and rounding of the held-out voices")
    exam.add_argument("corpus", type=Path)
    exam.add_argument("weights", type=Path, nargs="?", help="those in the package unless given")
    lips = commands.add_parser("lips", help="what a regression from the ears makes of real people's lips")
    lips.add_argument("datasets", type=Path, nargs="+", help="of gtalk prepare, each another person")
    lips.add_argument("--weights", type=Path, help="those in the package unless given")
    options = parser.parse_args()
    if options.command == "synthesise":
        _synthesise(options)
    elif options.command == "teach":
        import torch

        from tools.make.ears.teach import TeachConfig, teach

        torch.set_num_threads(1)
        config = TeachConfig(width=options.width, steps=options.steps, seed=options.seed)
        teach(options.corpus, options.parts, options.output, config, options.minutes)
    elif options.command == "lips":
        from tools.make.ears.lips import check_lips

        check_lips(options.datasets, options.weights)
    else:
        from tools.make.ears.check import check

        check(options.corpus, options.weights)


def _synthesise(options: argparse.Namespace) -> None:
    from tools.make.ears.corpus import lessons, synthesise, synthesise_by_units, synthesise_cheaply, test_lessons
    from tools.make.ears.kokoro import Kokoro

    if options.cheap or options.units:
        make = synthesise_cheaply if options.cheap else synthesise_by_units
        make(options.first, options.count, options.corpus)
        return
    voices = sorted(path.stem for path in (options.parts / "package/voices").glob("*.bin"))
    wanted = test_lessons() if options.test else islice(lessons(voices), options.first, options.first + options.count)
    synthesise(Kokoro(options.parts), list(wanted), options.corpus)


if __name__ == "__main__":
    main()

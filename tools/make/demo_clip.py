"""Render the demo clip: a person who does not exist says who made them; with the exact truth beside it.

    .venv/bin/python tools/make/demo_clip.py -o data/demo [--seconds 60] [--jobs 2] [--preview sheet.png]

Writes clip.mp4, speech.wav (another voice, for a dub), truth.npz and camera.json. Needs espeakng-loader.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("data/demo"), help="folder to write")
    parser.add_argument("--seconds", type=float, help="length of the clip; default: all sentences")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--preview", type=Path, help="write only a sheet of frames to this image")
    run(parser.parse_args())


def run(options: argparse.Namespace) -> None:
    """What the command line asked for."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # before numpy loads: one thread in each process, they share the cores
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from demo_person import clip
    from demo_person.speaking import speech
    from demo_person.speaking.animation import perform
    from gtalk.media.audio import write_wav
    from gtalk.types import AUDIO_RATE, VIDEO_FPS, AudioTrack

    said = speech.speak(speech.SENTENCES, speech.VOICE)
    seconds = options.seconds or len(said.samples) / AUDIO_RATE
    performance = perform(said, seconds, VIDEO_FPS)
    print(f"{seconds:.1f} s, {len(performance)} frames; painting the person")
    renderer = clip.make_renderer()
    if options.preview:
        clip.write_preview(options.preview, renderer, performance)
        return
    options.output.mkdir(parents=True, exist_ok=True)
    other = speech.speak(speech.OTHER_SENTENCES, speech.OTHER_VOICE, 0.5)
    write_wav(options.output / "speech.wav", AudioTrack(other.samples))
    clip.write_clip(options.output, renderer, performance, said, options.jobs)


if __name__ == "__main__":
    main()

"""Frames from sound as it comes, as a voice or a microphone gives it: python examples/stream.py me speech.wav"""

import sys
import time
import wave
from collections.abc import Iterator

import numpy as np

import gtalk


def chunks(path: str, seconds: float = 0.04) -> Iterator[np.ndarray]:
    """Pieces of a 16 kHz mono wav file; a microphone would wait between them."""
    with wave.open(path) as file:
        if (file.getframerate(), file.getnchannels()) != (16_000, 1):
            raise SystemExit(f"{path}: expected 16 kHz, mono; convert it: ffmpeg -i {path} -ac 1 -ar 16000 out.wav")
        while piece := file.readframes(round(16_000 * seconds)):
            yield np.frombuffer(piece, "<i2").astype(np.float32) / 32768


def main(avatar: str, speech: str, height: int | None = None) -> None:
    """Takes every frame as soon as it is decided, with the samples that are to be played with it."""
    me, begin = gtalk.load(avatar), time.perf_counter()
    count = samples = 0
    for frame in me.stream(chunks(speech), size=height):  # show frame.rgb, play frame.samples
        count, samples = count + 1, samples + len(frame.samples)
    print(f"{count} frames and {samples / 16_000:.2f} s of sound in {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main(*sys.argv[1:3])

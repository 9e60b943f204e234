#!/usr/bin/env python3
"""One speech, directed in four ways: films, their scores, and a picture of strips below the waveform.

    tools/make/directed.py AVATAR SPEECH --text "[smile .6] Hello. [nod] I am glad." --say "nod at 'glad'"
        --style X.style --keys KEYS.score.yaml -o FOLDER

plain.mp4, tags.mp4, said.mp4, style.mp4, keys.mp4, the scores, and strips.png: the words over the waveform, then for
each film what is asked for as bars, and frames of it at the instants where something is asked for.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from gtalk.direct.directors.write import Wish, write_score
from gtalk.direct.score import Event, Score
from gtalk.dub.config import DubConfig
from gtalk.dub.render import dub
from gtalk.media.audio import read_audio
from gtalk.media.video import read_video
from gtalk.speech.words import Words
from gtalk.types import AUDIO_RATE

CELL_PX, COLUMNS, APART_S = 150, 12, 0.45
WAVE_PX, BAR_PX = 90, 16
PAPER, INK, BAR, WAVE = (250, 250, 250), (40, 40, 40), (120, 170, 90), (205, 140, 108)
SHOWN = (slice(0, 78), slice(14, 86))
"""Percent of the image's rows and columns."""


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--text", required=True, help="what is said, with tags in brackets")
    parser.add_argument("--say", required=True, help="an instruction")
    parser.add_argument("--style", required=True, help="a file of gtalk style learn")
    parser.add_argument("--keys", required=True, type=Path, help="a score of keys")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--height", type=int, default=320)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    samples = read_audio(args.speech).samples
    tags = write_score(samples, Wish(text=args.text)).score
    said = write_score(samples, Wish(say=args.say, words=tags.words)).score
    scores = {"plain": None, "tags": tags, "said": said, "style": None, "keys": Score.load(args.keys)}
    for name, score in scores.items():
        path = None if score is None else args.output / f"{name}.score.yaml"
        if score is not None and path is not None:
            score.save(path)
        style = args.style if name == "style" else ""
        config = DubConfig(height=args.height, score=path, style=style, overwrite=True)
        print(dub(args.avatar, args.speech, args.output / f"{name}.mp4", config))
    asked = [event for score in scores.values() if score is not None for event in score.events]
    at_s = _instants([_middle_s(event, len(samples) / AUDIO_RATE) for event in asked])
    rows = [_wave(samples, tags.words, at_s)]
    for name, score in scores.items():
        rows += [_bars(name, () if score is None else score.events, len(samples) / AUDIO_RATE, rows[0].shape[1])]
        rows += [_strip(args.output / f"{name}.mp4", at_s)]
    cv2.imwrite(str(args.output / "strips.png"), np.vstack(rows))


def _middle_s(event: Event, duration_s: float) -> float:
    return 0.5 * (event.start_s + min(event.end_s, duration_s))


def _instants(wanted_s: Sequence[float]) -> list[float]:
    """COLUMNS of the instants at most, APART_S apart, in order."""
    out: list[float] = []
    for time_s in sorted(wanted_s):
        if not out or time_s - out[-1] >= APART_S:
            out.append(time_s)
    chosen = np.linspace(0, len(out) - 1, min(COLUMNS, len(out))).round().astype(int)
    return [out[i] for i in chosen]


def _wave(samples: np.ndarray, words: Words, at_s: Sequence[float]) -> np.ndarray:
    """The words above the sound, and marks where the frames are."""
    width = CELL_PX * len(at_s)
    image = np.full((WAVE_PX, width, 3), PAPER, np.uint8)
    duration_s = len(samples) / AUDIO_RATE
    loud = [float(np.abs(part).max(initial=0.0)) for part in np.array_split(samples, width)]
    for x, level in enumerate(np.array(loud) / max(loud)):
        half = round(0.32 * WAVE_PX * level)
        cv2.line(image, (x, WAVE_PX * 6 // 10 - half), (x, WAVE_PX * 6 // 10 + half), WAVE, 1)
    for i, word in enumerate(words):
        place = (round(word.start_s / duration_s * width), 12 + 11 * (i % 2))
        cv2.putText(image, word.text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.36, INK, 1, cv2.LINE_AA)
    for time_s in at_s:
        cv2.line(image, (x := round(time_s / duration_s * width), 26), (x, WAVE_PX), INK, 1)
    return image


def _bars(name: str, events: Sequence[Event], duration_s: float, width: int) -> np.ndarray:
    """What is asked for, each on the first line that is free."""
    lines: list[float] = []
    image = np.full((BAR_PX, width, 3), PAPER, np.uint8)
    per_s = image.shape[1] / duration_s
    for event in sorted(events, key=lambda one: one.start_s):
        left, right = event.start_s * per_s, min(event.end_s, duration_s) * per_s
        text = f"{event.track.removeprefix('emotion.')} {event.value}"
        end = max(right, left + 7 * len(text))
        line = next((i for i, until in enumerate(lines) if until <= left), len(lines))
        lines[line : line + 1] = [end]
        missing = BAR_PX * (len(lines) + 1) - len(image)
        image = np.pad(image, ((0, max(0, missing)), (0, 0), (0, 0)), constant_values=PAPER[0])
        top = BAR_PX * (line + 1)
        cv2.rectangle(image, (math.floor(left), top), (max(math.floor(right), math.floor(left) + 2), top + 13), BAR, -1)
        cv2.putText(image, text, (math.floor(left) + 2, top + 10), cv2.FONT_HERSHEY_SIMPLEX, 0.34, INK, 1, cv2.LINE_AA)
    cv2.putText(image, name, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return image


def _strip(film: Path, at_s: Sequence[float]) -> np.ndarray:
    """Frames of a film, BGR."""
    images = list(read_video(film).read())
    cells = []
    for time_s in at_s:
        image = images[min(round(time_s * 25), len(images) - 1)]
        rows, columns = (
            slice(part.start * size // 100, part.stop * size // 100)
            for part, size in zip(SHOWN, image.shape[:2], strict=True)
        )
        cells.append(cv2.resize(image[rows, columns], (CELL_PX, CELL_PX), interpolation=cv2.INTER_AREA)[..., ::-1])
    return np.hstack(cells)


if __name__ == "__main__":
    main()

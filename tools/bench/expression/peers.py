#!/usr/bin/env python3
"""Avatars' expressions beside those of other systems' published clips, through the same judges.

    tools/bench/expression/peers.py EVAL.json ... --peers CLIPS --real CLIPS --classifier C.onnx

EVAL.json: of `gtalk eval --expression`. CLIPS: folders of clips named person_expression or expression_person, one of
them neutral for each; of a clip that is three times as wide as high, the first quarter is looked at (systems side by
side). Strengths are of the recipe and of the real people's mean; recognised is the classifier's first answer, in
brackets whether the largest change against the same person's neutral is the right one.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from gtalk.eval.config import EvalConfig
from gtalk.eval.emotion.measures import strength, strength_of_real
from gtalk.eval.emotion.run import (
    Judges,
    People,
    changes_of,
    clips_of,
    emotion_names,
    judged,
    open_emotion_judges,
    real_people,
)
from gtalk.media.video import read_video
from gtalk.rig.expression import named
from gtalk.rig.reading import readable

KEYS = ("strength", "strength_of_real", "recognised", "recognised_change")


def first_of_wide(path: Path) -> list[np.ndarray]:
    """Images of a clip; of several pictures side by side, the first."""
    images = list(read_video(path).read())
    height, width = images[0].shape[:2]
    return [image[:, : width // 4] for image in images] if width >= 3 * height else images


def rows_of(people: People, real: People) -> dict[str, dict[str, dict[str, float | None]]]:
    """By system and emotion."""
    out: dict[str, dict[str, dict[str, float | None]]] = {}
    for person, looks in people.items():
        for name in emotion_names():
            for change in changes_of({person: looks}, name):
                wanted = readable(named(name))
                powers = strength(change, wanted), strength_of_real(change, changes_of(real, name), wanted)
                row = dict(zip(KEYS, powers, strict=False)) | judged(name, looks[name], looks["neutral"])
                out.setdefault(person, {})[name] = row
    return out


def cell(row: dict[str, float | None] | None) -> str:
    """A row in one cell of a table."""
    if row is None:
        return ""
    power, real, found, change = ("–" if (v := row.get(k)) is None else f"{v:.2f}" for k in KEYS)
    return f"{power} / {real} / {found} ({change.rstrip('0').rstrip('.')})"


def main() -> None:
    """Judge the clips and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--classifier", type=Path, required=True)
    given = parser.parse_args()
    judges: Judges = open_emotion_judges(EvalConfig(expression_model=given.classifier))
    try:
        peers, real = (real_people(judges, clips_of([f]), read=first_of_wide) for f in (given.peers, given.real))
    finally:
        judges.close()
    columns = rows_of(peers, real)
    for path in given.files:
        columns[path.parent.name or path.stem] = json.loads(path.read_text())["expression"]["emotions"]
    print("strength / of real people's / recognised (by the change)\n")
    print("| | " + " | ".join(columns) + " |\n|---" + "|---" * len(columns) + "|")
    for name in emotion_names():
        if any(name in columns[peer] for peer in rows_of(peers, real)):
            print(f"| {name} | " + " | ".join(cell(column.get(name)) for column in columns.values()) + " |")


if __name__ == "__main__":
    main()

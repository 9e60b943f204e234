"""Expressions out of pictures: is what a face shows recognised on the avatar that is given its picture?

python -m tools.bench.expression.pictures AVATAR JUDGE.onnx CLIP ... [SHEET.jpg]

A CLIP is named person_expression. Of each the frame in the middle is the picture. The judge names the expression of the
picture itself and of the avatar amid its speech, as `gtalk eval --expression` does; change: the largest change against
the avatar without an expression is the right one. Signs: of the six scores that are strongest in the picture, those
that rise on the avatar too. SHEET.jpg: picture, avatar without and with its expression beside each other.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from gtalk.eval.emotion.judges import CLASSES, OnnxJudge
from gtalk.eval.emotion.run import Judges, Look, judged
from gtalk.media.video import read_video
from gtalk.motion.edits.emotion import ExpressionEdit
from gtalk.motion.model.model import PersonMotionModel
from gtalk.motion.produce import drive_whole
from gtalk.prepare.expression_of import DETECTOR
from gtalk.prepare.landmarks.detectors import FaceLandmarkerFinder
from gtalk.reading.assets import find_asset
from gtalk.rig.expression import Expression, recipes
from gtalk.rig.reading import change_of, read_expression
from gtalk.talk import load_character
from gtalk.types import AUDIO_RATE

_STRONGEST = 6
_SIDE = 240  # pixels of an image of the sheet


def main(avatar: Path, judge: Path, clips: list[Path], sheet: Path | None = None) -> None:
    """Print a row a clip."""
    model_file = find_asset(DETECTOR)
    assert model_file is not None, "set GTALK_ASSETS"
    judges = Judges(FaceLandmarkerFinder(model_file), OnnxJudge(judge, len(CLASSES)), None)
    character = load_character(avatar)
    model = character.motion_model
    assert isinstance(model, PersonMotionModel)
    rng = np.random.default_rng(0)
    spoken = drive_whole(model, (0.02 * rng.standard_normal(2 * AUDIO_RATE)).astype(np.float32))
    chosen = np.linspace(10, len(spoken) - 8, 4).astype(int)

    def seen(expression: Expression) -> tuple[Look, np.ndarray]:
        """What judges see, and the last image."""
        motion, look, rgb = ExpressionEdit(model, expression)(spoken), Look(), np.zeros((1, 1, 3), np.uint8)
        for i in chosen:
            drawn = character.avatar.render(motion[int(i)])
            rgb = (drawn.rgb[0].clamp(0, 1) * 255 + 0.5).byte().cpu().numpy()
            look.add(judges, rgb)
        return look, rgb

    neutral, quiet = seen(Expression())
    rows: list[np.ndarray] = []
    aliases = {alias: n for n, r in recipes().items() for alias in (n, *r.aliases)}
    right: list[tuple[float, float, float]] = []
    for clip in clips:
        name = next(aliases[w] for w in clip.stem.lower().split("_") if w in aliases)
        images = list(read_video(clip))
        picture = Look()
        picture.add(judges, images[len(images) // 2])
        if name not in CLASSES or name == "neutral" or not picture.scores:
            continue
        reading = read_expression(np.array(picture.scores))
        shown, drawn = seen(reading.expression)
        found = judged(name, shown, neutral)
        strongest = np.argsort(-change_of(np.array(picture.scores)))[:_STRONGEST]
        signs = int((np.mean(shown.scores, 0) > np.mean(neutral.scores, 0))[strongest].sum())
        itself = CLASSES[int(picture.classes[0].argmax())]
        right.append(
            (float(itself == name), float(found["recognised"] or 0.0), float(found["recognised_change"] or 0.0))
        )
        print(f"{clip.stem}: picture judged {itself}; on the avatar {found['recognised']:.2f}, change "
              f"{'right' if found['recognised_change'] else 'wrong'}, signs {signs} of {_STRONGEST}, {reading.parts}",
              flush=True)  # fmt: skip
        rows.append(_row(images[len(images) // 2], quiet, drawn, f"{name}: judged {itself} | {most(shown, neutral)}"))
    if sheet is not None and rows:
        cv2.imwrite(str(sheet), cv2.cvtColor(_in_columns(rows), cv2.COLOR_RGB2BGR))
    print("mean: picture {:.2f}, avatar {:.2f}, change {:.2f}".format(*np.mean(right, 0)))


def most(shown: Look, neutral: Look) -> str:
    """The class that the judge finds more of than without an expression, and the one that it names."""
    after, before = np.mean(shown.classes, 0), np.mean(neutral.classes, 0)
    return f"+{CLASSES[int((after - before).argmax())]} ({CLASSES[int(after.argmax())]})"


def _row(picture: np.ndarray, quiet: np.ndarray, shown: np.ndarray, words: str) -> np.ndarray:
    """Three images beside each other, and words below."""
    row = np.concatenate(
        [cv2.resize(x, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for x in (picture, quiet, shown)], 1
    )
    line = np.full((20, row.shape[1], 3), 255, np.uint8)
    cv2.putText(line, words, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([row, line])


def _in_columns(rows: list[np.ndarray]) -> np.ndarray:
    rows = rows + [np.full_like(rows[0], 255)] * (len(rows) % 2)
    return np.concatenate([np.concatenate(rows[side::2]) for side in (0, 1)], 1)


if __name__ == "__main__":
    words = [Path(word) for word in sys.argv[1:]]
    chart = words.pop() if words[-1].suffix == ".jpg" else None
    main(words[0], words[1], words[2:], chart)

"""What direction keeps to: the composer's time, head orders, keys, styles, arousal of voices. docs/direction.md has it.

python -m tools.bench.direction composer
python -m tools.bench.direction head AVATAR SPEECH.wav "What is said." WORD ...
python -m tools.bench.direction keys AVATAR                                    # with its dataset inside
python -m tools.bench.direction style AVATAR SPEECH.wav X.style ...
python -m tools.bench.direction voice NEUTRAL.wav TAKE.wav ...                 # takes behind a neutral one
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gtalk.basis import LIPS
from gtalk.direct.composer import Composer
from gtalk.direct.directors.grammar import read_instruction
from gtalk.direct.directors.speech import Speech
from gtalk.direct.directors.voice import RunningNeutral, phrases_of
from gtalk.direct.keys import KeyEdit, plan_keys
from gtalk.direct.score import Event, Score
from gtalk.direct.score_edit import ScoreEdit, head_range
from gtalk.direct.style import Style, learn_style
from gtalk.direct.style_edit import StyleEdit
from gtalk.direct.tracks import every_track, track_of
from gtalk.geometry.pose import pose_vectors
from gtalk.media.audio import read_audio
from gtalk.motion.model.model import load_motion_model
from gtalk.motion.produce import drive_whole
from gtalk.speech.features import SpeechFeatures
from gtalk.types import AUDIO_RATE, Motion

ORDERS = (
    *((f"nod {how} at", "nod", n) for how, n in (("once", 1), ("twice", 2), ("three times", 3))),
    *((f"shake the head {how} at", "shake", n) for how, n in (("twice", 2), ("three times", 3))),
    *((f"turn {side} at", "turn", sign) for side, sign in (("left", -1), ("right", 1))),
)


def composer() -> None:
    """10,000 events of all levels and swings over ten minutes."""
    rng = np.random.default_rng(0)
    names = [name for name in every_track() if track_of(name).kind in ("level", "swing")]
    starts = rng.uniform(0, 600, 10_000)
    events = [Event(names[rng.integers(len(names))], None, float(s), float(s) + 2.0) for s in starts]
    made, frames = Composer(events), 250
    before = time.process_time()
    made(5000, frames, 25.0)
    print(f"{1e3 * (time.process_time() - before) / frames:.3f} ms a frame for {len(events)} events")


def head(avatar: Path, sound: Path, text: str, *words: str) -> None:
    """Each order at each word: count, direction, when its first peak is, and whether the clip's range is kept."""
    from gtalk.speech.align import align_words

    model, samples = load_motion_model(avatar), read_audio(sound).samples
    speech = Speech(len(samples) / AUDIO_RATE, align_words(samples, text))
    plain, room = drive_whole(model, samples), head_range(model)
    own = pose_vectors(plain.head_pose, model.mean_pose)
    right, away, beyond = 0, [], -1.0
    for say, kind, count in ORDERS:
        for word in words:
            events = read_instruction(f"{say} '{word}'", speech).events
            vectors = pose_vectors(ScoreEdit(model, Score(events))(plain).head_pose, model.mean_pose)
            beyond = max(beyond, float((vectors - np.maximum(room.high, own)).max()))
            added, middle_s = np.rad2deg(vectors - own), speech.words.find(word).middle_s
            right += _obeyed(kind, count, added, round(middle_s * plain.fps))
            if kind == "nod":
                away.append(abs(float(added[:, 0].argmax()) / plain.fps - middle_s) if count == 1 else 0.0)
    print(
        f"{right} of {len(ORDERS) * len(words)} obeyed; single nods peak within {max(away):.3f} s; {beyond:.1e} beyond"
    )


def _obeyed(kind: str, count: int, added_deg: np.ndarray, at: int) -> bool:
    if kind == "turn":
        return np.sign(added_deg[at, 1]) == count
    moved = added_deg[:, 0] if kind == "nod" else added_deg[:, 1]
    if kind == "nod":
        peaks = (moved[1:-1] > moved[:-2]) & (moved[1:-1] >= moved[2:]) & (moved[1:-1] > 0.4 * moved.max())
        return int(peaks.sum()) == count and moved.max() > 0.5
    signs = np.sign(moved[np.abs(moved) > 0.3 * np.abs(moved).max()])
    return 1 + int((np.diff(signs) != 0).sum()) == 2 * count


def keys(avatar: Path) -> None:
    """The true mouth of the held-out end as a key at each sound: how far the predicted lips come."""
    dataset, model = avatar / "dataset", load_motion_model(avatar)
    truth, samples = Motion.load(dataset / "motion.npz"), read_audio(dataset / "audio.wav").samples
    first, last = len(truth) - len(truth) // 11, len(truth)
    predicted = drive_whole(model, samples[: round(last * AUDIO_RATE / truth.fps)])[first:last]
    true = truth[first:last]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.motion.npz"
        true.save(path)
        instants = _sounds(samples[round(first * AUDIO_RATE / truth.fps) :], true.duration_s, true.fps)
        asked = [Event("key.frame", f"{path}@{t:.2f}", t) for t in instants]
        keyed = KeyEdit(plan_keys(asked, model, iter([predicted])))(predicted)
    before, after = _lips_mm(predicted, true), _lips_mm(keyed, true)
    jerk = [np.sqrt((np.diff(m.landmarks[:, LIPS], 3, axis=0) ** 2).mean()) for m in (predicted, keyed)]
    print(f"{len(asked)} keys in {true.duration_s:.1f} s: lips {before:.3f} -> {after:.3f} mm "
          f"({1 - after / before:.0%}), jerk {jerk[1] / jerk[0]:.2f} times")  # fmt: skip


def _sounds(samples: np.ndarray, duration_s: float, fps: float) -> list[float]:
    """Middles of the stretches in which one phone is likeliest, on frames, 80 ms apart."""
    features = SpeechFeatures(phones=True)
    stream = features.stream()
    rows = np.concatenate([stream.push(samples.astype(np.float32)), stream.finish()])
    best = rows[:, features.groups["phones"]].argmax(1)
    out: list[float] = []
    for part in np.split(np.arange(len(best)), np.flatnonzero(np.diff(best)) + 1):
        at = round((part[0] + part[-1]) / 200 * fps) / fps
        spoken = features.phone_names[best[part[0]]] not in ("SIL", "+NSN+", "+SPN+")
        if len(part) >= 2 and spoken and at < duration_s - 0.05 and (not out or at - out[-1] >= 0.08):
            out.append(at)
    return out


def _lips_mm(motion: Motion, true: Motion) -> float:
    off = (motion.landmarks - true.landmarks)[:, LIPS]
    return float(np.sqrt(((off - off.mean(0))[true.valid] ** 2).sum(-1)).mean()) * 1e3


def style(avatar: Path, sound: Path, *styles: str) -> None:
    """Which style the change that each style makes points at."""
    model = load_motion_model(avatar)
    plain = drive_whole(model, read_audio(sound).samples)
    usual = learn_style([plain]).vector()
    known = {name: Style.load(Path(name)) for name in styles}
    for name, one in known.items():
        change = learn_style([StyleEdit(model, one)(plain)]).vector() - usual
        towards = {n: _cosine(change, s.vector() - usual) for n, s in known.items()}
        nearest = max(towards, key=lambda n: towards[n])
        print(f"{Path(name).name}: {'right' if nearest == name else Path(nearest).name}, {towards[name]:.2f}")


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9))


def voice(neutral: Path, *takes: str) -> None:
    """Arousal of each take, heard behind a neutral one."""
    for take in takes:
        running = RunningNeutral()
        for phrase in phrases_of(read_audio(neutral).samples):
            running.arousal(phrase)
        heard = [running.arousal(phrase) for phrase in phrases_of(read_audio(Path(take)).samples)]
        print(f"{Path(take).name}: {np.mean(heard) if heard else 0.0:+.2f}")


def main(argv: list[str]) -> None:
    """One of the measures above."""
    what, *rest = argv
    if what == "composer":
        composer()
    elif what == "head":
        head(Path(rest[0]), Path(rest[1]), rest[2], *rest[3:])
    elif what == "keys":
        keys(Path(rest[0]))
    elif what == "style":
        style(Path(rest[0]), Path(rest[1]), *rest[2:])
    elif what == "voice":
        voice(Path(rest[0]), *rest[1:])
    else:
        print(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])

"""What rooms, noises and lines cost the lips: the held-out part's sound changed, its true mouth the same.

    python tools/check/rooms.py AVATAR DATASET [--live]

AVATAR holds a motion model that was trained on DATASET. Error ratio and correlation of the opening, as in
`tools/bench/lips/motion.py`; "kept" is the share of the correlation that a change leaves.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfilt

from gtalk.dataset.format import Dataset
from gtalk.dataset.split import first_test_frame
from gtalk.eval import motion as measures
from gtalk.motion.model.model import load_motion_model
from gtalk.motion.produce import drive_whole
from gtalk.motion.training.augment import with_noise, with_room
from gtalk.shapes import Float
from gtalk.speech.sound import read_samples
from gtalk.types import AUDIO_RATE


def changes(samples: Float[np.ndarray, " N"]) -> dict[str, Float[np.ndarray, " N"]]:
    """The sound as a microphone elsewhere would have heard it, by name."""
    rng, count = np.random.default_rng(0), len(samples)
    # The same voice at sixteen other times: nothing sounds more like the speaker.
    shifts = rng.integers(count // 8, count - count // 8, 16).tolist()
    babble = np.sum([np.roll(samples, shift) for shift in shifts], axis=0)
    telephone = np.asarray(sosfilt(butter(4, (300, 3400), "band", fs=AUDIO_RATE, output="sos"), samples))
    return {
        "as it is": samples,
        **{f"babble at {db} dB": samples + babble * (samples.std() / babble.std()) / 10 ** (db / 20) for db in (0, 10)},
        **{f"rumble at {db} dB": with_noise(samples, -float(db), 1.0, rng) for db in (0, 10)},
        **{f"hiss at {db} dB": with_noise(samples, -float(db), 0.0, rng) for db in (0, 10)},
        "telephone": _companded(telephone),
        **{f"room of {s} s": with_room(samples, 0.7, s / 6.9, rng) for s in (0.4, 0.8)},
        "clipped at a fifth": np.clip(samples, -0.2 * np.abs(samples).max(), 0.2 * np.abs(samples).max()),
        "20 dB softer": 0.1 * samples,
    }


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--live", action="store_true", help="as a live voice is answered")
    options = parser.parse_args()
    model, dataset = load_motion_model(options.avatar), Dataset(options.dataset)
    model = model.for_live() if options.live else model
    first = first_test_frame(dataset.n_frames)
    trained = dataset.motion[:first]
    mean = trained.landmarks[trained.valid].mean(0)
    print(f"{'':22}{'error ratio':>12}{'r':>8}{'kept':>8}")
    usual = None
    for name, sound in changes(read_samples(dataset.audio_path)).items():
        guess = drive_whole(model, sound.astype(np.float32))[first : dataset.n_frames]
        truth = dataset.motion[first : first + len(guess)]
        ratio, r = measures.lmd_ratio(guess, truth, mean), measures.aperture_correlation(guess, truth)
        usual = r if usual is None else usual
        print(f"{name:22}{ratio:12.3f}{r:8.3f}{r / usual:8.2f}", flush=True)


def _companded(speech: np.ndarray) -> np.ndarray:
    """Eight bits by the mu-law of ITU-T G.711."""
    peak = max(float(np.abs(speech).max()), 1e-12)
    coded = np.round(127 * np.sign(speech) * np.log1p(255 * np.abs(speech) / peak) / np.log(256)) / 127
    return peak * np.sign(coded) * (256.0 ** np.abs(coded) - 1.0) / 255.0


if __name__ == "__main__":
    main()

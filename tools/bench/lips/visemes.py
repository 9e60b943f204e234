"""Whether the demo person's lips are right for each sound, in voices and languages that they never heard.

    python -m tools.bench.lips.visemes AVATAR DATASET [--known] [--image OUT.png]

AVATAR holds a motion model that was trained on DATASET, made of data/demo/clip.mp4. espeak-ng says sentences in
other voices and tells when each phoneme begins; the rules that moved the demo person's mouth (tools/demo_person)
then give the true lips, through a map fitted to the clip's own truth, in the tracker's scale. Rows are classes of
phonemes; "shut" is the share of p, b, m whose least opening is within a tenth of the person's range. `--known` tells
the lips what is said, as `gtalk say` does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from demo_person.speaking.other_voices import DEMO, lips_of
from demo_person.speaking.speech import OTHER_SENTENCES, OTHER_VOICE, SENTENCES, VOICE, Speech, speak
from demo_person.speaking.visemes import segments
from demo_person.truth import load_truth
from gtalk.dataset.format import Dataset
from gtalk.eval.motion import MouthRange, aperture, correlation
from gtalk.motion.model.model import load_motion_model
from gtalk.motion.produce import drive_whole
from gtalk.speech.known_phones import KnownPhones
from gtalk.types import VIDEO_FPS, Motion

SPOKEN: dict[str, tuple[str, tuple[tuple[float, str], ...]]] = {
    "English, own voice": (VOICE, SENTENCES[-2:]),  # the held-out end of the clip
    "English, her voice": (OTHER_VOICE, OTHER_SENTENCES),
    "German": ("de+f3", ((0.5, "Mein Papa baut im Mai eine blaue Bahn."), (0.5, "Oben am Ufer blühen viele Blumen."))),
    "French": (
        "fr+m2",
        ((0.5, "Bonjour, mon ami, vous venez beaucoup au bord du fleuve."), (0.5, "Papa aime le pain.")),
    ),
    "Spanish": ("es+f4", ((0.5, "Mi mamá me mima y amo a mi papá."), (0.5, "Una bola azul vuela sobre la bahía."))),
    "Italian": ("it+m4", ((0.5, "La mamma prepara la pizza per il bambino."), (0.5, "Buon giorno, un po' di vino."))),
    "Portuguese": ("pt-br+f2", ((0.5, "Minha mãe pôs a bola no mapa."), (0.5, "Um povo bom vive na rua do fubá."))),
    "Hindi": ("hi+m3", ((0.5, "मेरी माँ ने पापा के लिए भोजन बनाया।"), (0.5, "आप फूल और आम बाज़ार से लाए।"))),
    "Japanese": ("ja+f4", ((0.5, "ままはぼくのぱんをたべた。"), (0.5, "ふゆのうみはあおくておおきい。"))),
    "Chinese": ("cmn+m4", ((0.5, "妈妈买了葡萄和苹果。"), (0.5, "我们不怕老虎，也不怕火。"))),
}
CLASSES = {
    "p b m": lambda kind, target: target == "p",
    "f v": lambda kind, target: target == "f",
    "a": lambda kind, target: kind == "vowel" and target in "aA",
    "e i": lambda kind, target: kind == "vowel" and target in "eEIi",
    "o u w": lambda kind, target: target in ("o", "u", "U", "w", "O"),
    "pause": lambda kind, target: kind == "pause",
}


_SHUT = 0.1
_BESIDE_S = 0.02  # half a frame: a sound may lie between two
_IPA = {"A": "ɑ", "V": "ʌ", "@": "ə", "3": "ɜ", "E": "ɛ", "I": "ɪ", "O": "ɔ", "0": "ɒ", "U": "ʊ", "T": "θ", "S": "ʃ"}


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--known", action="store_true")
    parser.add_argument("--image", type=Path)
    options = parser.parse_args()
    dataset = Dataset(options.dataset)
    model, scale, reach = load_motion_model(options.avatar), tracked_scale(dataset), MouthRange.of(dataset.motion)
    kept, summary = [], []
    for language, (voice, sentences) in SPOKEN.items():
        speech = speak(sentences, voice, 0.5)
        motion = drive_whole(model, speech.samples, known=known_phones(speech) if options.known else None)
        times_s = np.arange(len(motion)) / VIDEO_FPS
        truth = lips_of(speech, len(motion))
        true = np.stack([aperture(truth), _width(truth)], axis=1) * 1e3 * scale[0] + scale[1]
        got = np.stack([aperture(motion), _width(motion)], axis=1) * 1e3
        opening, width = (correlation(got[:, i], true[:, i]) for i in (0, 1))
        print(f"{language}: opening r {opening:.2f}, width r {width:.2f}, {len(motion)} frames")
        shut = _share_shut(speech, reach.share(motion), times_s)
        summary.append((language, opening, width, *_print_classes(speech, times_s, true, got), shut))
        kept.append((language, speech, times_s, true, got))
    heads = (f"{'opening r':>10}", f"{'width r':>9}", f"{'p b m: true':>13}{'mm':>6}", f"{'f v: true':>11}{'mm':>6}")
    print(f"{'':22}" + "".join(heads) + f"{'round: error mm':>17}{'shut':>7}")
    for language, opening, width, p_true, p_mm, f_true, f_mm, rounding, shut in summary:
        numbers = f"{p_true:13.2f}{p_mm:6.2f}{f_true:11.2f}{f_mm:6.2f}{rounding:17.2f}{shut:7.2f}"
        print(f"{language:22}{opening:10.2f}{width:9.2f}{numbers}")
    means = np.nanmean([row[1:] for row in summary], axis=0)
    print(f"mean: opening r {means[0]:.2f}, width r {means[1]:.2f}, round {means[6]:.2f} mm, shut {means[7]:.3f}")
    if options.image:
        _draw(kept, options.image)


def known_phones(speech: Speech) -> KnownPhones:
    """What is said when, of espeak-ng's mnemonics."""
    ipa = ["".join(_IPA.get(target, target) for _, target in segments(name)) for name in speech.names]
    return KnownPhones.of_ipa(ipa, speech.starts_s.tolist(), speech.ends_s.tolist())


def _share_shut(speech: Speech, opening: np.ndarray, times_s: np.ndarray) -> float:
    least = [
        opening[(times_s > start - _BESIDE_S) & (times_s < end + _BESIDE_S)].min(initial=np.inf)
        for name, start, end in zip(speech.names, speech.starts_s, speech.ends_s, strict=True)
        if segments(name)[0][1] == "p"
    ]
    return float(np.mean(np.array(least) <= _SHUT))


def tracked_scale(dataset: Dataset) -> np.ndarray:
    """[2,2] factor and offset in mm of opening and width: what the tracker makes of the clip's true lips."""
    truth, seen = load_truth(DEMO), dataset.motion
    count = min(len(truth.aperture), len(seen))
    true_width = (truth.landmarks68[:, 54, 0] - truth.landmarks68[:, 48, 0])[:count]
    pairs = ((truth.aperture[:count], aperture(seen)[:count]), (true_width, _width(seen)[:count]))
    return np.array([np.polyfit(a * 1e3, b * 1e3, 1) for a, b in pairs]).T


def _print_classes(
    speech: Speech, times_s: np.ndarray, true: np.ndarray, got: np.ndarray
) -> tuple[float, float, float, float, float]:
    """Also returns the opening on p b m, true and predicted, the same on f v, and the error of width on o u w."""
    means = {}
    columns = (f"{'frames':>8}", f"{'opening mm: true':>18}", f"{'predicted':>11}", f"{'error':>8}")
    print(f"  {'phonemes':10}" + "".join(columns) + f"{'width: true':>13}{'predicted':>11}{'error':>8}")
    at = np.clip(np.searchsorted(speech.starts_s, times_s, side="right") - 1, 0, len(speech.names) - 1)
    first = [segments(name)[0] for name in speech.names]
    for name, belongs in CLASSES.items():
        chosen = np.array([belongs(*first[i]) for i in at])
        if name != "pause":  # the middle of a sound, where its shape is reached
            share = (times_s - speech.starts_s[at]) / np.maximum(speech.ends_s[at] - speech.starts_s[at], 1e-3)
            chosen &= (share > 0.15) & (share < 0.85)
        if chosen.any():
            a, b = true[chosen].mean(0), got[chosen].mean(0)
            error = np.abs(true[chosen, 0] - got[chosen, 0]).mean()
            wide = np.abs(true[chosen, 1] - got[chosen, 1]).mean()
            means[name] = (a[0], b[0], wide)
            print(
                f"  {name:10}{chosen.sum():8d}{a[0]:18.2f}{b[0]:11.2f}{error:8.2f}{a[1]:13.1f}{b[1]:11.1f}{wide:8.2f}"
            )
    unknown = (float("nan"),) * 3
    shut, slit, rounded = (means.get(name, unknown) for name in ("p b m", "f v", "o u w"))
    return shut[0], shut[1], slit[0], slit[1], rounded[2]


def _draw(kept: list, path: Path) -> None:
    """The true and the predicted opening over the sound, one strip for each language."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(kept), 1, figsize=(18, 3 * len(kept)))
    for axis, (language, speech, times_s, true, got) in zip(np.atleast_1d(axes), kept, strict=True):
        sound = np.arange(len(speech.samples)) / len(speech.samples) * times_s[-1]
        axis.plot(sound[::8], 4 + 6 * speech.samples[::8], color="0.85", linewidth=0.4)
        axis.plot(times_s, true[:, 0], "k", label="true opening, mm")
        axis.plot(times_s, got[:, 0], "r", label="predicted")
        for name, start in zip(speech.names, speech.starts_s, strict=True):
            axis.text(start, -1.5, name, fontsize=7)
        axis.set_title(language, loc="left")
        axis.set_xlim(0, min(9.0, times_s[-1]))
    axes[0].legend(loc="upper right")
    figure.tight_layout()
    figure.savefig(path, dpi=70)


def _width(motion: Motion) -> np.ndarray:
    return motion.landmarks[:, 54, 0] - motion.landmarks[:, 48, 0]


if __name__ == "__main__":
    main()

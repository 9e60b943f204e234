"""The lessons: who says what, in which order; a folder of wav files with their phones."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

from gtalk.types import AUDIO_RATE
from tools.make.ears import espeak
from tools.make.ears.held_out import HELD_OUT
from tools.make.ears.kokoro import Kokoro, Said
from tools.make.ears.phones import ARPABET, exchanged, phones_of, spread
from tools.make.ears.sentences import SENTENCES

LANGUAGES = {
    "en-us": ("af am", 0.30), "en-gb": ("bf bm", 0.12), "es": ("ef em", 0.10), "fr": ("ff", 0.11),
    "it": ("if im", 0.09), "pt-br": ("pf pm", 0.09),
    "hi": ("hf hm", 0.08), "ja": ("jf jm", 0.06), "zh": ("zf zm", 0.06), "de": ("", 0.07),
}  # fmt: skip
"""Prefixes of the language's own voices, and its share. German has none: others say it, with an accent."""
TEST_VOICES = {
    "en-us": ("af_sarah", "am_adam", "af_nova", "am_onyx"), "en-gb": ("bf_isabella", "bm_lewis"), "es": ("em_alex",),
    "fr": ("ff_siwis",), "it": ("im_nicola",), "pt-br": ("pm_alex",), "hi": ("hm_omega", "hf_beta"),
    "ja": ("jf_tebukuro", "jm_kumo"), "zh": ("zf_xiaoni", "zm_yunxi"), "de": ("am_adam", "bf_isabella"),
}  # fmt: skip
"""Never heard in training, nor in a mixture."""


@dataclass(frozen=True)
class Lesson:
    """One utterance."""

    name: str
    language: str
    voice: str
    phones: str
    speed: float


def test_lessons() -> list[Lesson]:
    """Held-out sentences by held-out voices."""
    return [
        Lesson(f"test_{language}_{voice}_{number}", language, voice, phones_of(text, language), 1.0)
        for language, voices in TEST_VOICES.items()
        for voice in voices
        for number, text in enumerate(HELD_OUT[language[:2] if language.startswith("en") else language])
    ]


def lessons(voices: list[str], seed: int = 0) -> Iterator[Lesson]:
    """Without end; lesson i is always the same."""
    held = {voice for names in TEST_VOICES.values() for voice in names}
    heard = [voice for voice in voices if voice not in held]
    names, shares = list(LANGUAGES), np.array([share for _, share in LANGUAGES.values()])
    number = 0
    while True:
        rng = np.random.default_rng([seed, number])
        language = names[rng.choice(len(names), p=shares / shares.sum())]
        own = [v for v in heard if v[:2] in LANGUAGES[language][0].split()]
        first, second = (str(rng.choice(own if own and rng.random() < 0.55 else heard)) for _ in range(2))
        mixed = rng.random() < 0.4 and first != second
        voice = f"{first}+{second}:{rng.uniform(0.25, 0.6):.2f}" if mixed else first
        text = _sentence(rng, SENTENCES[language[:2] if language.startswith("en") else language])
        speed = float(np.clip(np.exp(rng.normal(0.0, 0.13)), 0.75, 1.35))
        phones = phones_of(text, language)
        if rng.random() < 0.3:
            phones = exchanged(phones, rng)
        yield Lesson(f"{number:05d}", language, voice, phones, round(speed, 3))
        number += 1


def synthesise_cheaply(first: int, count: int, folder: Path) -> None:
    """Lessons by espeak-ng, named eNNNNN: a sixth of a second each."""
    folder.mkdir(parents=True, exist_ok=True)
    languages = [language for language in LANGUAGES if language != "ja"]  # it reads Latin letters as English
    for number in range(first, first + count):
        rng = np.random.default_rng([1, number])
        language = str(rng.choice(languages))
        text = _sentence(rng, SENTENCES[language[:2] if language.startswith("en") else language])
        variant, words, pitch = str(rng.choice(espeak.VARIANTS)), int(rng.integers(115, 210)), int(rng.integers(15, 85))
        said, names = espeak.say(text, language, variant, words, pitch)
        letters, starts, ends = spread(names, said.starts_s, said.ends_s, language)
        lesson = Lesson(f"e{number:05d}", language, f"espeak+{variant}", letters, words / 160)
        _keep(lesson, Said(said.samples, starts, ends), folder)


def synthesise_by_units(first: int, count: int, folder: Path) -> None:
    """English lessons by flite (Debian's package), named fNNNNN: voices built from real speech, at once."""
    for number in range(first, first + count):
        rng = np.random.default_rng([2, number])
        text, voice = _sentence(rng, SENTENCES["en"]), str(rng.choice(("rms", "slt", "awb")))
        settings = {"duration_stretch": rng.uniform(0.8, 1.3), "int_f0_target_mean": rng.uniform(85, 220)}
        path = folder / f"f{number:05d}.wav"
        command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(path)]
        for name, value in settings.items():
            command += ["--setf", f"{name}={value:.2f}"]
        said = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
        names = [part.split(":")[0] for part in said]
        ends = [float(part.split(":")[1]) for part in said]
        starts, letters, begun, ended = [0.0, *ends[:-1]], "", [], []
        for name, start, end in zip(names, starts, ends, strict=True):
            phones = ARPABET[name]
            edges = np.linspace(start, end, len(phones) + 1)
            letters += phones
            begun += edges[:-1].tolist()
            ended += edges[1:].tolist()
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == AUDIO_RATE
        stretch = round(settings["duration_stretch"], 2)
        _keep(
            Lesson(f"f{number:05d}", "en-us", f"flite+{voice}", letters, stretch), Said(samples, begun, ended), folder
        )


def _keep(lesson: Lesson, said: Said, folder: Path) -> None:
    soundfile.write(folder / f"{lesson.name}.wav", said.samples, AUDIO_RATE, subtype="PCM_16")
    facts = asdict(lesson) | {"starts_s": _rounded(said.starts_s), "ends_s": _rounded(said.ends_s)}
    (folder / f"{lesson.name}.json").write_text(json.dumps(facts, ensure_ascii=False))


def _sentence(rng: np.random.Generator, sentences: tuple[str, ...]) -> str:
    """A sentence as it is, or words of several in any order: more neighbours for every sound."""
    if rng.random() < 0.55:
        return str(rng.choice(sentences))
    words = " ".join(rng.choice(sentences, 3, replace=False)).replace(".", "").replace("?", "").split()
    words = [str(w) for w in rng.permutation(words)[: rng.integers(7, 14)]]
    return " ".join(w.rstrip(",") + ("," if rng.random() < 0.12 else "") for w in words).rstrip(",") + "."


def synthesise(kokoro: Kokoro, wanted: list[Lesson], folder: Path) -> None:
    """Say lessons that are not in the folder yet: NAME.wav with NAME.json beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [lesson for lesson in wanted if not (folder / f"{lesson.name}.json").exists()]
    started, said_s = time.monotonic(), 0.0
    for done, lesson in enumerate(missing, 1):
        said = kokoro.say(lesson.phones, lesson.voice, lesson.speed)
        _keep(lesson, said, folder)
        said_s += len(said.samples) / AUDIO_RATE
        spent = time.monotonic() - started
        if done % 20 == 0 or done == len(missing):
            left = spent / done * (len(missing) - done)
            print(f"{done}/{len(missing)}: {said_s / 60:.1f} min of speech, {left / 60:.1f} min left", flush=True)


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 3) for value in values]

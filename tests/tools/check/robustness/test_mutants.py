"""Faults that the mutation run puts into modules, and the processes that it tries them in."""

from __future__ import annotations

import time

import pytest

from tools.check.robustness.mutants import drawn, mutants
from tools.check.robustness.mutation import MODULES, ROOT, in_a_child

SOURCE = '''"""A module."""
from dataclasses import dataclass

LIMIT: int = 3

@dataclass(frozen=True)
class Box:
    size: float = 0.5
    """Metres, 7 of them."""

def reach(box: Box, near: bool = True) -> float:
    """At most 9."""
    if box.size < LIMIT and near:
        print(f"{1 + 1}")
        return box.size + 2
    raise ValueError("2 + 2")
'''


def changes() -> set[tuple[int, str, str]]:
    return {(mutant.line, *mutant.words) for mutant in mutants(SOURCE)}


def test_each_fault_is_a_small_one_of_code_that_runs() -> None:
    found = {(line, was, now) for line, was, now in changes() if not was.startswith(("if", "return", "print"))}
    assert found == {
        (4, "3", "4"),
        (8, "0.5", "0.75"),
        (11, "True", "False"),
        (13, "box.size < LIMIT", "box.size <= LIMIT"),
        (13, "box.size < LIMIT and near", "box.size < LIMIT or near"),
        (15, "box.size + 2", "box.size - 2"),
        (15, "2", "3"),
    }
    others = {(line, now) for line, was, now in changes()} - {(line, now) for line, _, now in found}
    assert others == {(13, "if not (box.size < LIMIT and near):"), (14, "pass"), (15, "return None")}


def test_the_faulty_module_differs_in_that_place_alone() -> None:
    (one,) = [mutant for mutant in mutants(SOURCE) if mutant.words == ("2", "3")]
    space: dict = {}
    exec(one.source, space)
    assert space["reach"](space["Box"]()) == 3.5 and space["LIMIT"] == 3
    assert "at most 9" in one.source.lower() and "Metres, 7 of them." in one.source


def test_faults_are_drawn_the_same_for_the_same_seed_and_only_where_lines_are_reached() -> None:
    whole = mutants(SOURCE)
    assert drawn(whole, 4, seed=1) == drawn(whole, 4, seed=1) != drawn(whole, 4, seed=2)
    assert drawn(whole, 99, seed=1) == whole
    assert {mutant.line for mutant in mutants(SOURCE, {13, 14})} == {13, 14}


def test_a_child_answers_or_is_ended() -> None:
    assert in_a_child(lambda: [0, 1], 60.0) == [0, 1]
    assert in_a_child(lambda: 1 / 0, 60.0) is None
    began_s = time.monotonic()
    assert in_a_child(lambda: time.sleep(600), 0.2) is None
    assert time.monotonic() - began_s < 300


@pytest.mark.parametrize("path", list(MODULES))
def test_modules_and_their_tests_exist(path: str) -> None:
    assert (ROOT / path).is_file() and all((ROOT / test).exists() for test in MODULES[path])

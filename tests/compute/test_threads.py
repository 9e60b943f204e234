"""Threads wait asleep, and motion inference has one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import torch
from threadpoolctl import threadpool_info

from gtalk.compute.threads import on_one_thread
from gtalk.compute.waiting import SETTINGS


def in_a_fresh_process(program: str, **environment: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return subprocess.run(
        [sys.executable, "-c", program], env=clean | environment, capture_output=True, text=True, check=True
    )


@pytest.mark.skipif(sys.platform != "linux", reason="OMP_DISPLAY_ENV as GNU's OpenMP prints it")
def test_openmp_is_loaded_with_threads_that_sleep() -> None:
    """What the library itself says, since setting the variable later would change nothing."""
    said = in_a_fresh_process("import gtalk, torch", OMP_DISPLAY_ENV="verbose").stderr
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in said
    assert "GOMP_SPINCOUNT = '3000'" in said


def test_what_the_user_set_stays() -> None:
    program = "import gtalk, os; print(os.environ.get('OMP_WAIT_POLICY'))"
    assert in_a_fresh_process(program).stdout.strip() == "PASSIVE"
    assert in_a_fresh_process(program, OMP_WAIT_POLICY="ACTIVE").stdout.strip() == "ACTIVE"
    assert in_a_fresh_process(program, GOMP_SPINCOUNT="1000").stdout.strip() == "None"
    assert in_a_fresh_process("import torch; " + program).stdout.strip() == "None"  # too late to have an effect


def test_one_thread_here_and_as_before_elsewhere_and_afterwards() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    seen: list[int] = []
    other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    try:
        with on_one_thread():
            assert torch.get_num_threads() == 1
            assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
            other.start()
            other.join()
        assert seen == [2]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)

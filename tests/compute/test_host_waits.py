"""The watch that counts what a GPU's host would wait for sees every kind, or tests that rely on it could not fail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from gtalk.compute.device import sent, worth_picking
from tests.support.host_waits import THERE, HostWaits


def there(*shape: int) -> torch.Tensor:
    return torch.zeros(*shape, device=THERE)


@pytest.mark.parametrize(
    "wait",
    [
        lambda: there(3).cpu(),
        lambda: torch.zeros(3).copy_(there(3)),
        lambda: there(3).sum().item(),
        lambda: float(there(3)[0]),
        lambda: bool(there(3).any()),
        lambda: there(3).long().sum().item(),
        lambda: there(3)[there(3) > 0],
        lambda: torch.nonzero(there(3) > 0),
        lambda: torch.zeros(3).to(THERE),
        lambda: there(3).copy_(torch.zeros(3)),
        lambda: torch.tensor([1.0, 2.0], device=THERE),
        lambda: torch.as_tensor(np.ones(3), device=THERE),
        lambda: there(3).new_tensor([1.0, 2.0]),
        lambda: there(3)[[0, 1]],
        lambda: there(3)[torch.tensor([0, 1])],
        lambda: torch.linalg.eigh(there(3, 3)),
    ],
)
def test_every_kind_of_wait_is_seen(wait: Callable[[], object]) -> None:
    with HostWaits() as waits:
        wait()
    assert waits.count == 1, waits.found
    assert "tests/compute/test_host_waits.py" in waits.found[0]


@pytest.mark.parametrize(
    "free",
    [
        lambda: sent([1.0, 2.0], there(3)),
        lambda: sent(np.ones((2, 2)), THERE, torch.float32),
        lambda: there(3)[worth_picking(there(3) > 0)],
        lambda: torch.full((3,), 1.0, device=THERE) + torch.arange(3, device=THERE),
        lambda: there(3)[torch.zeros(2, dtype=torch.int64, device=THERE)],
        lambda: torch.where(there(3) > 0, there(3), 1e-3),
        lambda: there(3).copy_(torch.zeros(3), non_blocking=True),
        lambda: there(3).to("cpu", non_blocking=True),  # who looks at it waits for an event
        lambda: torch.zeros(3)[torch.tensor([0, 1])].sum().item(),  # of the host alone
    ],
)
def test_what_nobody_waits_for_is_not_counted(free: Callable[[], object]) -> None:
    with HostWaits() as waits:
        free()
    assert not waits.found


def test_values_are_sent_in_the_type_of_their_goal() -> None:
    like = torch.zeros(2, dtype=torch.float32)
    got = sent([1.0, 0.1], like)
    assert got.dtype == torch.float32 and torch.equal(got, like.new_tensor([1.0, 0.1]))
    assert sent(np.arange(3), torch.device("cpu")).dtype == torch.int64
    assert sent(np.arange(3.0), torch.device("cpu"), torch.float32).dtype == torch.float32


def test_a_processor_picks_and_another_device_takes_all() -> None:
    assert worth_picking(torch.tensor([True, False, True])).tolist() == [0, 2]
    assert worth_picking(there(3) > 0) == slice(None)

"""One word for where tensors are computed: resolved, or one message."""

import pytest
import torch

from gtalk.compute.device import resolve_device
from gtalk.dub.batch.capacity import draws_on_gpu, workers_for
from gtalk.errors import UserError


def test_words_become_devices(monkeypatch) -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("auto") == torch.device("cuda") and resolve_device("cuda:1") == torch.device("cuda", 1)
    assert draws_on_gpu("auto") and draws_on_gpu("cuda") and not draws_on_gpu("cpu")
    with pytest.raises(UserError, match=r"device cuda:2: expected a CUDA device that is there; got 2 on this machine"):
        resolve_device("cuda:2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu") and not draws_on_gpu("auto")
    with pytest.raises(UserError, match="none on this machine, or a torch without CUDA"):
        resolve_device("cuda")


@pytest.mark.parametrize(
    ("word", "near"),
    [("gpu", "cuda"), ("CUDA", "cuda"), ("zzz", "auto"), ("cdua", "cuda"), ("cpu:0", "cpu"), ("cuda:x", "cuda")],
)
def test_other_words_are_told_with_the_nearest_right_one(word: str, near: str) -> None:
    with pytest.raises(UserError, match=f"device: expected one of: auto, cpu, cuda; got {word}. .*`{near}`"):
        resolve_device(word)


@pytest.mark.parametrize(
    ("cores", "gpus", "memory_gb", "workers"), [(16, 1, 139.0, 16), (16, 1, 8.0, 2), (8, 4, 80.0, 2), (2, 4, 80.0, 1)]
)
def test_a_gpu_takes_as_many_workers_as_it_has_cores_and_memory_for(cores, gpus, memory_gb, workers) -> None:
    assert workers_for(cores, gpus, memory_gb) == workers

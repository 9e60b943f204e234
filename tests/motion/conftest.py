from pathlib import Path

import pytest
import torch

from gtalk.dataset.format import Dataset
from gtalk.motion.model.model import PersonMotionModel
from gtalk.motion.training.train import train_motion
from tests.motion.talking import SMALL, write_dataset
from tests.support.made_once import made_once


@pytest.fixture(scope="session")
def talking(tmp_path_factory):
    """(dataset, folder of the trained model); not to be changed."""
    torch.set_num_threads(1)
    folder = made_once(tmp_path_factory, "talking", _train)
    return Dataset(folder / "dataset"), folder / "avatar"


def _train(folder: Path) -> None:
    train_motion(write_dataset(folder / "dataset", cut_at=333), folder / "avatar", SMALL)


@pytest.fixture(scope="session")
def model(talking) -> PersonMotionModel:
    from gtalk.motion.model.model import load_motion_model

    return load_motion_model(talking[1])

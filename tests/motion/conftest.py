import pytest
import torch

from gtalk.motion.model.model import PersonMotionModel
from gtalk.motion.training.train import train_motion
from tests.motion.talking import SMALL, write_dataset


@pytest.fixture(scope="session")
def talking(tmp_path_factory):
    """(dataset, folder of the trained model)."""
    torch.set_num_threads(1)
    dataset = write_dataset(tmp_path_factory.mktemp("talking") / "dataset", cut_at=333)
    folder = dataset.root.parent / "avatar"
    train_motion(dataset, folder, SMALL)
    return dataset, folder


@pytest.fixture(scope="session")
def model(talking) -> PersonMotionModel:
    from gtalk.motion.model.model import load_motion_model

    return load_motion_model(talking[1])

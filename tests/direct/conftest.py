from pathlib import Path

import pytest

from gtalk.motion.model.model import PersonMotionModel


@pytest.fixture(scope="session")
def model(small_person: Path) -> PersonMotionModel:
    from gtalk.motion.model.model import load_motion_model

    return load_motion_model(small_person)

"""The panel is made from the registry of controls, and what it sets reaches the edits of its session alone."""

import numpy as np
import pytest

from gtalk.motion.edits.controls import Controls, control_specs
from gtalk.talk import Talker
from gtalk.viewer.gui.panels import Panels
from gtalk.viewer.live.session import LiveSession
from tests.support.toys import ToyAvatar, ToyMotionModel


class Listening:
    """An edit that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        made.append(self)

    def receive(self, event: object) -> None:
        self.told.append(event)

    def __call__(self, motion, start_frame=0):
        return motion


made: list[Listening] = []


@pytest.fixture
def session() -> LiveSession:
    made.clear()
    avatar = ToyAvatar(32)
    talker = Talker(avatar, ToyMotionModel(avatar.basis), edits=[Listening])
    return LiveSession(talker, controls=Controls(mouth=1.5))


def test_every_control_has_a_handle_with_its_range_and_the_value_of_now(session: LiveSession) -> None:
    panels = Panels(session, lambda line: None)
    try:
        shown = {handle.label: handle for handle in panels._server.gui._gui_input_handle_from_uuid.values()}
        for spec in control_specs():
            handle = shown[spec.label]
            assert (
                np.allclose(handle.value, getattr(session.controls, spec.name)) and handle.hint == spec.control.sentence
            )
        assert shown["Mouth"].value == 1.5 and (shown["Mouth"].min, shown["Mouth"].max) == (0, 2)
    finally:
        panels.stop()


def test_a_value_reaches_the_edits_of_its_session_and_a_wrong_one_is_told(session: LiveSession) -> None:
    said: list[str] = []
    other = LiveSession(session.talker)
    panels = Panels(session, said.append)
    try:
        panels.set_control("gaze_offset_rad", (0.1, 0.0))
        panels.set_control("mouth", 3.0)
    finally:
        panels.stop()
    assert session.controls == Controls(mouth=1.5, gaze_offset_rad=(0.1, 0.0)) == made[0].told[-1]
    assert other.controls == Controls() and made[1].told == []
    assert said == ["mouth: expected a number from 0 to 2; got 3.0. 1.0 changes nothing."]

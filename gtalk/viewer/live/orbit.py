"""Turning about the head of a session."""

from __future__ import annotations

from gtalk.talk.orbit import head_pivot, orbit_camera
from gtalk.viewer.live.session import LiveSession


class Orbit:
    """The view of one session; the front is the clip's own view."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        talker = session.talker
        self._pivot_world = head_pivot(talker.avatar.camera, talker.motion_model, talker.seed)

    def look(self, yaw_rad: float, pitch_rad: float, distance: float) -> None:
        """See `orbit_camera`. All zero and distance 1 is the clip's view."""
        camera = self._session.talker.avatar.camera
        own = (yaw_rad, pitch_rad, distance) == (0.0, 0.0, 1.0)
        turned = None if own else orbit_camera(camera, self._pivot_world, yaw_rad, pitch_rad, distance)
        self._session.set_camera(turned)

"""Opens the outlets that a configuration names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.outlets.config import OutConfig, place_of
from gtalk.viewer.outlets.pump import Pump
from gtalk.viewer.webrtc.ice import IceServer


def open_outlets(
    session: LiveSession,
    config: OutConfig,
    report: Callable[[str], None],
    *,
    label: bool,
    tags: dict[str, str] | None = None,
    ice: Sequence[IceServer] = (),
) -> list[Callable[[], None]]:
    """Begin all of them; what is returned ends them. Raises UserError for a device that is not there, or a package.

    A server that is not there is none: it is asked again and again, and `report` says so.
    """
    ends: list[Callable[[], None]] = []
    talker = session.talker
    size = session.view.size or (talker.avatar.camera.width, talker.avatar.camera.height)
    try:
        if (camera := config.camera) is not None:
            from gtalk.viewer.outlets.camera import Camera

            pump = Pump(session, f"camera {camera}", lambda: Camera(camera, size), report, label=label)
            pump.start(now=True)
            ends.append(pump.stop)
        if (device := config.speaker) is not None:
            from gtalk.viewer.outlets.loudspeaker import Loudspeaker

            pump = Pump(
                session, f"speaker {device}", lambda: Loudspeaker(device), report, pictures=False, everything=False
            )
            pump.start(now=True)
            ends.append(pump.stop)
        if (url := config.push_out) is not None:
            from gtalk.viewer.outlets.stream import StreamSink

            pump = Pump(
                session, f"push to {place_of(url)}", lambda: StreamSink(url, talker.fps, tags), report, label=label
            )
            pump.start()
            ends.append(pump.stop)
        if config.whip is not None:
            from gtalk.viewer.webrtc.whip import Whip

            whip = Whip(session, config.whip, config.whip_token, report, label=label, ice=ice)
            whip.start()
            ends.append(whip.stop)
    except BaseException:
        for end in ends:
            end()
        raise
    return ends

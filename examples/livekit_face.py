"""A face for an agent in a LiveKit room.

    export LIVEKIT_URL=wss://live.example.org LIVEKIT_TOKEN=...     # a token of identity "face" that may publish
    python examples/livekit_face.py avatar

The agent sends what it says to this participant by `DataStreamAudioOutput(room, destination_identity="face")`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from livekit import rtc

from gtalk.agents.livekit import AvatarWorker
from gtalk.compute.threads import compute_on
from gtalk.errors import UserError
from gtalk.marks.leaving import Leaving
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.server import cast_of, drawing_threads


def report(line: str) -> None:
    print(line, file=sys.stderr)


async def show(avatar: Path, url: str, token: str, agent: str | None) -> None:
    """Until the room is over."""
    cast, identity = cast_of(avatar, ViewConfig())
    talker = cast()
    compute_on(drawing_threads(talker.avatar.kind, 0))
    session, room, over = LiveSession(talker, leaving=Leaving(identity), report=report), rtc.Room(), asyncio.Event()
    room.on("disconnected", lambda *_: over.set())
    await room.connect(url, token)
    session.start()
    worker = AvatarWorker(session, room, agent=agent, report=report)
    try:
        await worker.start()
        report(f"in the room as {room.local_participant.identity!r}")
        await over.wait()
    finally:
        await worker.aclose()
        await room.disconnect()
        session.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--url", default=os.environ.get("LIVEKIT_URL"))
    parser.add_argument("--token", default=os.environ.get("LIVEKIT_TOKEN"))
    parser.add_argument("--agent", help="identity of the agent that is heard; else the first one that speaks")
    options = parser.parse_args()
    if not (options.url and options.token):
        parser.error("say where the room is and who joins: --url and --token, or $LIVEKIT_URL and $LIVEKIT_TOKEN")
    try:
        asyncio.run(show(options.avatar, options.url, options.token, options.agent))
    except (UserError, rtc.ConnectError) as error:
        report(str(error))
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

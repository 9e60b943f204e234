"""Recordings are whole, whatever ends them."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.client import connect

from gtalk.marks.identity import NOBODY, Identity
from gtalk.marks.leaving import Leaving
from gtalk.marks.provenance import read_manifest
from gtalk.marks.scan import read_file
from gtalk.media.audio import read_audio
from gtalk.media.video import read_video
from gtalk.viewer.live.recorder import Recorder
from tests.support.keys import write_keys
from tests.viewer.live_servers import live_server, run, still_session

SERVER = """
import threading, time
from pathlib import Path
from gtalk.marks.identity import NOBODY
from gtalk.viewer import server
from gtalk.viewer.config import ViewConfig
from tests.viewer.live_servers import toy_cast
server.cast_of = lambda *_: (toy_cast(63), NOBODY)
start = server.LiveServer.start
def recording(self):
    start(self)
    self.main.recorder.start()
    threading.Timer(2.0, lambda: print("recording", flush=True)).start()
server.LiveServer.start = recording
server.serve(Path("me"), ViewConfig(port=0, size=63))
"""


def test_an_odd_size_is_recorded_without_its_last_row_and_column(tmp_path: Path) -> None:
    session, clock = still_session(63)
    recorder = Recorder(session)
    recorder.start(tmp_path / "a.mp4")
    run(session, clock, 12)
    assert recorder.stop() == tmp_path / "a.mp4"
    reader = read_video(tmp_path / "a.mp4")
    assert reader.size == (62, 62) and len(reader) >= 10
    assert np.mean([image.mean() for image in reader]) > 5


def test_one_that_runs_at_the_end_is_kept_and_others_go() -> None:
    session, clock = still_session(64)
    recorder = Recorder(session)
    recorder.start()
    run(session, clock, 12)
    path = recorder.close()
    assert path is not None and len(read_video(path)) >= 10
    path.unlink()
    recorder.start()
    run(session, clock, 3)
    recorder.stop()
    left = recorder.path
    assert recorder.close() is None and left is not None and not left.exists()


def test_a_failure_is_told_and_not_called_saved(tmp_path: Path, monkeypatch) -> None:
    session, clock = still_session(64)
    recorder = Recorder(session)
    recorder.start(tmp_path / "a.mp4")
    monkeypatch.setattr(
        "gtalk.media.output.writer.VideoWriter.write", lambda *_: (_ for _ in ()).throw(OSError("full"))
    )
    run(session, clock, 12)
    assert recorder.stop() is None and recorder.problem == "full"


def test_it_says_whose_it_is_and_carries_the_mark(tmp_path: Path) -> None:
    identity = Identity.of("0123456789abcdef" * 4, "Ada", "I agree.")
    for label in ("on", "off"):
        session, clock = still_session(256, leaving=Leaving(identity))
        recorder = Recorder(session, identity, label)
        recorder.start(tmp_path / f"{label}.mp4")
        run(session, clock, 12)
        assert recorder.stop() is not None
        found = read_file(tmp_path / f"{label}.mp4")
        assert found.avatar_id == identity.avatar_id
        assert f"consent_sha256={identity.consent_sha256}; watermark=on; label={label}" in found.comment
    corners = [next(iter(read_video(tmp_path / f"{label}.mp4")))[-16:, :60].astype(int) for label in ("on", "off")]
    assert np.abs(corners[0] - corners[1]).max() > 60, "words in the corner"


def test_it_is_signed_where_keys_are_given(tmp_path: Path) -> None:
    pytest.importorskip("c2pa")
    keys = write_keys(tmp_path)
    session, clock = still_session(64)
    recorder = Recorder(session, NOBODY, "on", keys)
    recorder.start(tmp_path / "a.mp4")
    run(session, clock, 12)
    assert recorder.stop() == tmp_path / "a.mp4"
    store = read_manifest(tmp_path / "a.mp4")
    assert store["manifests"][store["active_manifest"]]["title"] == "a.mp4"
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n")
    recorder.start(tmp_path / "b.mp4")
    run(session, clock, 3)
    assert recorder.stop() is None and "certificate chain" in recorder.problem


def test_one_whose_page_left_ends_and_can_be_fetched() -> None:
    with live_server(64) as (server, said):

        async def visit() -> None:
            async with connect(server.url.replace("http", "ws") + "media") as page:
                await page.send(json.dumps({"do": "record", "on": True}))
                while not server.main.recorder.running:
                    await asyncio.sleep(0.02)
                await asyncio.sleep(0.5)

        asyncio.run(visit())
        end_s = time.monotonic() + 10
        while not said and time.monotonic() < end_s:
            time.sleep(0.02)
        assert "left: its recording ends" in said[0] and not server.main.recorder.running
        with urllib.request.urlopen(server.url + "recording.mp4") as answer:
            assert answer.read()[4:8] == b"ftyp"


def test_one_ends_by_itself_and_images_that_wait_are_bounded(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("gtalk.viewer.live.recorder.MOST_S", 0.4)
    monkeypatch.setattr("gtalk.viewer.live.recorder._WAITING_BYTES", 1)
    session, clock = still_session(64)
    recorder = Recorder(session)
    recorder.start(tmp_path / "a.mp4")
    assert recorder._most_waiting == 2
    run(session, clock, 30)
    assert session.on_moment is None
    assert recorder.stop() is not None and len(read_video(tmp_path / "a.mp4")) <= 10


def test_sigterm_leaves_a_whole_file() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", SERVER], env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "recording\n"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    found = re.search(r"recording that was running is whole: (.+)", said)
    assert found, said
    assert process.returncode == 0 and "SIGTERM: closing down" in said and "Traceback" not in said
    path = Path(found[1])
    assert len(read_video(path)) > 5 and len(read_audio(path).samples) > 1000
    path.unlink()
    path.parent.rmdir()

"""Recordings are whole, whatever ends them."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from gtalk.media.audio import read_audio
from gtalk.media.video import read_video
from gtalk.viewer.live.recorder import Recorder
from tests.viewer.live_servers import run, still_session

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
    monkeypatch.setattr("gtalk.media.writer.VideoWriter.write", lambda *_: (_ for _ in ()).throw(OSError("full")))
    run(session, clock, 12)
    assert recorder.stop() is None and recorder.problem == "full"


def test_sigterm_leaves_a_whole_file() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", SERVER], env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "recording\n"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    found = re.search(r"recording that was running is whole: (.+)", said)
    assert found, said
    path = Path(found[1])
    assert len(read_video(path)) > 5 and len(read_audio(path).samples) > 1000
    path.unlink()
    path.parent.rmdir()

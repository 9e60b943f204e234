"""A headless Chromium, driven through its DevTools socket: enough to open a page, run script and take pictures."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium browser")
_FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
    "--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0", "--window-size=1200,760",
    "--use-fake-device-for-media-stream",
]  # fmt: skip


class Browser:
    """One page. `microphone` is a wav that is heard as the microphone; None denies it."""

    def __init__(self, microphone: Path | None = None) -> None:
        assert CHROMIUM is not None
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        flags = [*_FLAGS, f"--user-data-dir={self._profile.name}"]
        if microphone is not None:
            flags += ["--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}"]
        self._process = subprocess.Popen([CHROMIUM, *flags, "about:blank"], stderr=subprocess.PIPE, text=True)
        self._next_id = 0
        self._socket = connect(self._page_address(), max_size=1 << 26)
        self._call("Page.enable")

    def open(self, url: str) -> None:
        self._call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of a script's expression; promises are awaited."""
        answer = self._call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, timeout_s: float = 20.0) -> Any:
        """Until the script's value is true."""
        end = time.monotonic() + timeout_s
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.1)
        return value

    def screenshot(self) -> bytes:
        """PNG of the page."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self._profile.cleanup()

    def _page_address(self) -> str:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if match := re.search(r"DevTools listening on ws://([^/]+)/", line):
                break
        else:
            raise AssertionError("Chromium did not start")
        with connect(f"ws://{match[1]}/devtools/browser/" + line.strip().rsplit("/", 1)[1]) as socket:
            socket.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
            while "result" not in (answer := json.loads(socket.recv(timeout=20))):
                pass
        page = next(t for t in answer["result"]["targetInfos"] if t["type"] == "page")
        return f"ws://{match[1]}/devtools/page/{page['targetId']}"

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._next_id += 1
        self._socket.send(json.dumps({"id": self._next_id, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=30))
            if answer.get("id") == self._next_id:
                assert "error" not in answer, answer
                return answer["result"]

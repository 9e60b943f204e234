"""A headless Chromium, driven through its DevTools socket: enough to open pages, run script and take images."""

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

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio",
    "--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0", "--use-fake-device-for-media-stream",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--hide-scrollbars",
]  # fmt: skip


class Page:
    """One tab."""

    def __init__(self, address: str) -> None:
        self._next_id, self.target = 0, address.rsplit("/", 1)[-1]
        self._socket: ClientConnection = connect(address, max_size=1 << 26)
        self.call("Page.enable")

    def open(self, url: str) -> None:
        """Go there."""
        self.call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of a script's expression; promises are awaited."""
        answer = self.call(
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

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """Another window; `phone`: touch, and two pixels for one."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def box(self, element: str) -> tuple[float, float, float, float]:
        """(left, top, width, height) of what a script's expression is, in pixels of the page."""
        left, top, width, height = self.run(
            f"(() => {{ const b = {element}.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; }})()"
        )
        return left, top, width, height

    def drag(self, element: str, to_x: float, grip: float = 0.5) -> None:
        """Take an element with the mouse, at a share of its width, and let it go elsewhere across the page."""
        left, top, width, height = self.box(element)
        x, y = left + grip * width, top + height / 2
        steps = [("mousePressed", x), *(("mouseMoved", x + s * (to_x - x)) for s in (0.3, 0.7, 1.0))]
        for kind, at in (*steps, ("mouseReleased", to_x)):
            held = int(kind != "mouseReleased")
            self.call("Input.dispatchMouseEvent", type=kind, x=at, y=y, button="left", buttons=held, clickCount=1)

    def screenshot(self) -> bytes:
        """PNG of the page."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """Forget the tab."""
        self._socket.close()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One DevTools command."""
        self._next_id += 1
        self._socket.send(json.dumps({"id": self._next_id, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._next_id:
                assert "error" not in answer, answer
                return answer["result"]


class Browser(Page):
    """A browser and its first tab. `microphone` is a wav that is heard as the microphone; None denies it.

    `camera` is a .mjpeg (30 a second) or .y4m that is seen as the camera; `more` are further switches of Chromium.
    """

    def __init__(
        self,
        microphone: Path | None = None,
        size: tuple[int, int] = (1200, 760),
        *,
        camera: Path | None = None,
        more: tuple[str, ...] = (),
    ) -> None:
        assert CHROMIUM is not None
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        flags = [*_FLAGS, f"--user-data-dir={self._profile.name}", f"--window-size={size[0]},{size[1]}"]
        if microphone is not None:
            flags += ["--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}"]
        if camera is not None:
            flags += [f"--use-file-for-fake-video-capture={camera}"]
        flags += more
        self._process = subprocess.Popen([CHROMIUM, *flags, "about:blank"], stderr=subprocess.PIPE, text=True)
        self._host, self._browser = self._address()
        super().__init__(self._page_address(self._ask("Target.getTargets")["targetInfos"]))

    @property
    def pid(self) -> int:
        """Of the browser's first process."""
        return self._process.pid

    def tab(self) -> Page:
        """Another tab."""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        return Page(f"ws://{self._host}/devtools/page/{target}")

    def drop(self, page: Page) -> None:
        """Close a tab as it is, whatever it wants to ask before."""
        self._ask("Target.closeTarget", targetId=page.target)

    def close(self) -> None:
        """End the browser."""
        super().close()
        self._process.kill()
        self._process.wait()
        self._profile.cleanup()

    def _address(self) -> tuple[str, str]:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if match := re.search(r"DevTools listening on ws://([^/]+)(/\S+)", line):
                return match[1], match[2]
        raise AssertionError("Chromium did not start")

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        with connect(f"ws://{self._host}{self._browser}") as socket:
            socket.send(json.dumps({"id": 1, "method": method, "params": params}))
            while "result" not in (answer := json.loads(socket.recv(timeout=20))):
                assert "error" not in answer, answer
            return answer["result"]

    def _page_address(self, targets: list[dict[str, Any]]) -> str:
        page = next(target for target in targets if target["type"] == "page")
        return f"ws://{self._host}/devtools/page/{page['targetId']}"

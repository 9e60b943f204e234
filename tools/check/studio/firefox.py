"""A headless Firefox, driven through its WebDriver BiDi socket, with the methods of `tools.check.browser.Page`."""

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

from websockets.sync.client import connect

FIREFOX = shutil.which("firefox") or shutil.which("firefox-esr")
_PREFERENCES = {
    "media.navigator.streams.fake": True, "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0, "media.autoplay.blocking_policy": 0,
    "app.update.enabled": False, "datareporting.policy.dataSubmissionEnabled": False,
    "browser.shell.checkDefaultBrowser": False, "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False, "remote.active-protocols": 1, "intl.locale.requested": "en-US",
    "intl.accept_languages": "en-US",
}  # fmt: skip


class Firefox:
    """A browser and its first tab. Its camera and microphone are Firefox's own fakes: a changing colour, a tone."""

    def __init__(self, size: tuple[int, int] = (1200, 760)) -> None:
        assert FIREFOX is not None, "no Firefox: apt-get install firefox-esr"
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in _PREFERENCES.items()]
        (Path(self._profile.name) / "user.js").write_text("\n".join(lines) + "\n", encoding="utf-8")
        words = [FIREFOX, "--headless", "--no-remote", "--profile", self._profile.name, "--remote-debugging-port=0"]
        self._process = subprocess.Popen([*words, "about:blank"], stderr=subprocess.PIPE, text=True)
        self._next_id = 0
        self._socket = connect(f"{self._address()}/session", max_size=1 << 26, open_timeout=60)
        prompts = {"unhandledPromptBehavior": {"default": "accept", "beforeUnload": "accept"}}
        told = self.call("session.new", capabilities={"alwaysMatch": prompts})["capabilities"]
        self.version = f"{told['browserName']} {told['browserVersion']}"
        self._context = self.call("browsingContext.getTree")["contexts"][0]["context"]
        self.resize(*size)

    def open(self, url: str) -> None:
        """Go there."""
        self.call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def run(self, script: str, frame: str | None = None) -> Any:
        """The value of a script's expression; promises are awaited. `frame`: a context of `frames`."""
        answer = self.call(
            "script.callFunction",
            functionDeclaration=f"async () => JSON.stringify((await ({script})) ?? null)",
            target={"context": frame or self._context}, awaitPromise=True, userActivation=True,
        )  # fmt: skip
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"].get("value", "null"))

    def frames(self) -> list[str]:
        """Contexts of the frames inside the page."""
        tree = self.call("browsingContext.getTree", root=self._context)["contexts"][0]
        return [child["context"] for child in tree["children"]]

    def wait(self, script: str, timeout_s: float = 20.0, frame: str | None = None) -> Any:
        """Until the script's value is true."""
        end = time.monotonic() + timeout_s
        while not (value := self.run(f"(() => {{ try {{ return {script}; }} catch {{ return false; }} }})()", frame)):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.1)
        return value

    def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """Another window; `phone`: two pixels for one."""
        self.call("browsingContext.setViewport", context=self._context, viewport={"width": width, "height": height},
                  devicePixelRatio=2.0 if phone else 1.0)  # fmt: skip

    def screenshot(self) -> bytes:
        """PNG of what is seen of the page."""
        return base64.b64decode(self.call("browsingContext.captureScreenshot", context=self._context)["data"])

    def choose(self, selector: str, *paths: Path) -> None:
        """Choose files, as by hand."""
        found = self.call("browsingContext.locateNodes", context=self._context,
                          locator={"type": "css", "value": selector})["nodes"]  # fmt: skip
        self.call("input.setFiles", context=self._context, element={"sharedId": found[0]["sharedId"]},
                  files=[str(path) for path in paths])  # fmt: skip

    def close(self) -> None:
        """End the browser."""
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self._profile.cleanup()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command."""
        self._next_id += 1
        self._socket.send(json.dumps({"id": self._next_id, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=90))
            if answer.get("id") == self._next_id:
                assert answer["type"] == "success", answer
                return answer["result"]

    def _address(self) -> str:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if match := re.search(r"WebDriver BiDi listening on (ws://\S+)", line):
                return match[1]
        raise AssertionError("Firefox did not start")

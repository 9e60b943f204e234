"""What the checks of `gtalk studio` stand on: a film as the camera, the server in a process, hands on the page."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import cv2

from tools.check.browser import Browser, Page

SIZE = (1280, 720)
CAMERA_FPS = 30  # what Chromium plays a .mjpeg at


class Seen(Protocol):
    """What the checks ask of a page, whichever browser has it."""

    def run(self, script: str) -> Any: ...
    def wait(self, script: str, timeout_s: float = 20.0) -> Any: ...
    def resize(self, width: int, height: int, *, phone: bool = False) -> None: ...
    def screenshot(self) -> bytes: ...


def last_picture_s(clip: Path) -> float:
    """When a clip's last picture is shown."""
    import av

    with av.open(str(clip)) as container:
        shown = [p.pts * p.time_base for p in container.demux(video=0) if p.pts is not None and p.time_base is not None]
    return float(shown[-1])


def camera_of(film: Path, folder: Path, most_s: float = 100.0, size: tuple[int, int] = SIZE) -> dict[str, Path]:
    """A film as Chromium's camera and microphone, in the middle of a 720p picture."""
    from gtalk.media.audio import read_audio, write_wav
    from gtalk.media.video import read_video

    camera, microphone = folder / "camera.mjpeg", folder / "microphone.wav"
    with open(camera, "wb") as file:
        for index, frame in enumerate(read_video(film, CAMERA_FPS)):
            if index >= most_s * CAMERA_FPS:
                break
            scale = size[1] / frame.shape[0]
            picture = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), None, fx=scale, fy=scale)
            beside = max(0, size[0] - picture.shape[1])
            picture = cv2.copyMakeBorder(picture, 0, 0, beside // 2, beside - beside // 2, cv2.BORDER_REPLICATE)
            file.write(cv2.imencode(".jpg", picture[:, : size[0]], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())
    write_wav(microphone, read_audio(film))
    return {"camera": camera, "microphone": microphone}


class Server:
    """`gtalk studio` in a process, that can be killed and started again on the same port."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder, self.port, self.url = folder, port, ""
        self.start()

    def start(self) -> None:
        words = [sys.executable, "-m", "gtalk", "studio", str(self.folder), "--port", str(self.port)]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if "gtalk studio: open " in line:
                self.url = line.split()[3]
                self.port = int(self.url.split(":")[2].split("/")[0])
                return
        raise AssertionError("the studio did not start")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


def click(page: Seen, element: str) -> None:
    """Press what has this id."""
    page.wait(f"!!document.getElementById('{element}') && !document.getElementById('{element}').disabled")
    page.run(f"document.getElementById('{element}').click()")


def consent(page: Seen, name: str = "Ada Lovelace") -> None:
    """Fill in the form and agree."""
    page.wait("!!document.getElementById('person')")
    page.run(f"(() => {{ const p = document.getElementById('person'); p.value = '{name}';"
             " p.dispatchEvent(new Event('input')); })()")  # fmt: skip
    click(page, "agree")
    page.wait("!!studio.views.record.entry")


class Shots:
    """Pictures of screens, desktop and phone."""

    def __init__(self, page: Seen, folder: Path | None) -> None:
        self._page, self._folder = page, folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, name: str, *, phone: bool = False, of: Seen | None = None) -> None:
        if self._folder is None:
            return
        page = of or self._page
        (self._folder / f"{name}.png").write_bytes(page.screenshot())
        if phone:
            page.resize(390, 844, phone=True)
            time.sleep(0.6)
            (self._folder / f"{name}_phone.png").write_bytes(page.screenshot())
            page.resize(1200, 760)
            time.sleep(0.3)


class Live:
    """The live page inside the studio's."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        browser.wait("!!document.querySelector('#live iframe')", 60)
        end = time.monotonic() + 20
        while not (children := browser.call("Page.getFrameTree")["frameTree"].get("childFrames")):
            assert time.monotonic() < end
            time.sleep(0.2)
        time.sleep(1.0)
        self._context = browser.call("Page.createIsolatedWorld", frameId=children[0]["frame"]["id"])[
            "executionContextId"
        ]

    def run(self, script: str) -> Any:
        """A value of its page."""
        answer = self._browser.call(
            "Runtime.evaluate", expression=script, contextId=self._context, returnByValue=True, userGesture=True
        )
        return answer["result"].get("value")

    def wait(self, script: str, timeout_s: float) -> None:
        """Until it is true."""
        end = time.monotonic() + timeout_s
        while not self.run(script):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.2)


def choose(page: Page, selector: str, *paths: Path) -> None:
    """Choose files, as by hand."""
    document = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
    page.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

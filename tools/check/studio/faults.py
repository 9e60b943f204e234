"""Faults put into `gtalk studio` in a real Chromium; each has to be told in its sentence, and to lose nothing.

    python -m tools.check.studio.faults FILM OTHER --out shots/

FILM and OTHER show two different people. Prints, for each fault, what the page said and whether it went on afterwards.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tools.check.browser import Browser
from tools.check.studio.stage import Server, camera_of, choose, click, consent

SAID = json.loads((resources.files("gtalk.studio") / "page" / "texts" / "en.json").read_text(encoding="utf-8"))[
    "faults"
]


@dataclass
class Stage:
    """What a fault is put into."""

    server: Server
    films: dict[str, Path]
    place: Path
    out: Path | None

    @contextmanager
    def page(
        self, name: str, *, microphone: str | None = "microphone", camera: str | None = "camera", more: tuple = ()
    ) -> Iterator:
        """A browser on the studio, and a picture of how it ends."""
        sound = None if microphone is None else self.films[microphone]
        browser = Browser(sound, camera=None if camera is None else self.films[camera], more=more)
        try:
            browser.open(self.server.url)
            browser.wait("!!window.studio?.state")
            browser.run("studio.open('record')")
            yield browser
            if self.out is not None:
                self.out.mkdir(parents=True, exist_ok=True)
                (self.out / f"fault_{name}.png").write_bytes(browser.screenshot())
        finally:
            browser.close()


def told(browser: Browser, fault: str, timeout_s: float = 30.0) -> str:
    """Wait until the page says the sentence of a fault; what it says."""
    begin = SAID[fault].split("{")[0][:40]
    notice = "document.getElementById('notice')"
    browser.wait(f"!{notice}.hidden && {notice}.textContent.startsWith({json.dumps(begin)})", timeout_s)
    return browser.run(f"{notice}.textContent")


def recording(browser: Browser, name: str = "Ada Lovelace", part: str = "read") -> None:
    """Camera on, consent, a part begun."""
    click(browser, "camera-on")
    browser.wait("!!studio.views.record.checks.last", 30)
    if browser.run("!studio.views.record.entry"):
        consent(browser, name)
    browser.run(f"void studio.views.record.begin('{part}', false)")
    browser.wait("!!studio.views.record.stretch")


def resumed(browser: Browser) -> bool:
    """Whether everything reaches the disk after all."""
    if browser.run("!!studio.views.record.stretch"):
        click(browser, "stop")
    browser.wait("studio.outbox.waiting === 0", 40)
    browser.wait("Object.values(studio.views.record.entry.parts).some((part) => part.stretches > 0)", 10)
    return True


def no_camera(stage: Stage) -> dict[str, Any]:
    with stage.page("no_camera", camera=None, more=("--use-fake-device-for-media-stream=device-count=0",)) as browser:
        click(browser, "camera-on")
        return {"said": told(browser, "no_camera")}


def denied(stage: Stage) -> dict[str, Any]:
    with stage.page("denied", microphone=None) as browser:
        click(browser, "camera-on")
        return {"said": told(browser, "denied")}


def muted(stage: Stage) -> dict[str, Any]:
    with stage.page("muted", microphone="silence") as browser:
        recording(browser, "Muted")
        said = told(browser, "muted")
        return {"said": said, "paused": browser.run("studio.views.record.stretch.state") == "paused"}


def two_faces(stage: Stage) -> dict[str, Any]:
    with stage.page("two_faces", camera="two") as browser:
        recording(browser, "Two People")
        said = told(browser, "two_faces")
        return {"said": said, "paused": browser.run("studio.views.record.stretch.state") == "paused"}


def another_person(stage: Stage) -> dict[str, Any]:
    with stage.page("first_person") as browser:
        recording(browser, "Same Person")
        time.sleep(14)
        click(browser, "stop")
        browser.wait("studio.outbox.waiting === 0", 30)
        name = browser.run("studio.views.record.entry.name")
        known = "shape" in json.loads((stage.server.folder / name / "take.json").read_text())
        browser.run("studio.views.record.begin('vowels', false)")
        time.sleep(12)
        same = browser.run("studio.views.record.checks.last.same")
    stage.server.stop()  # the next day
    stage.server.start()
    with stage.page("other_person", camera="other") as browser:
        browser.run(f"studio.record('{name}')")
        time.sleep(0.5)
        recording(browser)
        said = told(browser, "other_person", 60)
    return {"said": said, "known": known, "the_same_person_is": same}


def asleep(stage: Stage) -> dict[str, Any]:
    with stage.page("asleep") as browser:
        recording(browser, "Sleeper")
        time.sleep(3)
        browser.run("(() => { const now = Date.now; Date.now = () => now.call(Date) + 3600000; })()")
        return {"said": told(browser, "asleep"), "kept": resumed(browser)}


def full_disk(stage: Stage) -> dict[str, Any]:
    """No file of the server may be longer than a kilobyte, for a while."""
    with stage.page("disk_full") as browser:
        recording(browser, "Full Disk")
        time.sleep(2)
        before = resource.prlimit(stage.server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(stage.server.process.pid, resource.RLIMIT_FSIZE, (1000, before[1]))
        said = told(browser, "disk_full")
        resource.prlimit(stage.server.process.pid, resource.RLIMIT_FSIZE, before)
        return {"said": said, "kept": resumed(browser)}


def server_gone(stage: Stage) -> dict[str, Any]:
    with stage.page("offline") as browser:
        recording(browser, "Server Gone")
        time.sleep(2)
        stage.server.kill()
        said = told(browser, "offline")
        stage.server.start()
        return {"said": said, "kept": resumed(browser)}


def no_network(stage: Stage) -> dict[str, Any]:
    with stage.page("no_network") as browser:
        recording(browser, "Lost Network")
        time.sleep(2)
        browser.call("Network.enable")
        speed = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        browser.call("Network.emulateNetworkConditions", offline=True, **speed)
        said = told(browser, "offline")
        browser.call("Network.emulateNetworkConditions", offline=False, **speed)
        return {"said": said, "kept": resumed(browser)}


def two_gigabytes(stage: Stage) -> dict[str, Any]:
    huge = stage.place / "holiday.mp4"
    with open(huge, "wb") as file:
        file.truncate(2 << 30)  # takes no room
    with stage.page("too_large") as browser:
        consent(browser, "Large File")
        choose(browser, "#film", huge)
        notice = "document.getElementById('notice').textContent"
        browser.wait(f"{notice}.includes('a gigabyte is the most')")
        command = browser.run("document.querySelector('#dialog code').textContent")
        return {"said": browser.run(notice), "command": command}


def no_film(stage: Stage) -> dict[str, Any]:
    letter = stage.place / "letter.mp4"
    letter.write_text("Dear reader, this is no film. " * 4000)
    with stage.page("not_video") as browser:
        consent(browser, "Paper Letter")
        choose(browser, "#film", letter)
        said = told(browser, "not_video")
        return {"said": said, "nothing_left": browser.run("!studio.views.record.entry.parts.upload?.stretches")}


FAULTS: dict[str, Callable[[Stage], dict[str, Any]]] = {
    one.__name__: one
    for one in (no_camera, denied, muted, two_faces, another_person, asleep, full_disk, server_gone, no_network,
                two_gigabytes, no_film)
}  # fmt: skip


def _films(film: Path, other: Path, place: Path) -> dict[str, Path]:
    from gtalk.media.audio import write_wav
    from gtalk.types import AUDIO_RATE, AudioTrack

    (place / "other").mkdir()
    first = camera_of(film, place, 24.0, (960, 540))
    second = camera_of(other, place / "other", 7.0, (960, 540))["camera"]
    write_wav(place / "silence.wav", AudioTrack(np.zeros(AUDIO_RATE, np.float32)))
    two = place / "two.mjpeg"
    with open(two, "wb") as file:
        for one, beside in zip(_pictures(first["camera"]), _pictures(second), strict=False):
            middle = [picture[:, picture.shape[1] // 4 : 3 * picture.shape[1] // 4] for picture in (one, beside)]
            file.write(cv2.imencode(".jpg", np.concatenate(middle, axis=1))[1].tobytes())
    return {**first, "other": second, "two": two, "silence": place / "silence.wav"}


def _pictures(path: Path) -> Iterator[np.ndarray]:
    for part in path.read_bytes().split(b"\xff\xd8\xff")[1:]:
        yield cv2.imdecode(np.frombuffer(b"\xff\xd8\xff" + part, np.uint8), cv2.IMREAD_COLOR)


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", choices=list(FAULTS), nargs="*", default=list(FAULTS))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        stage = Stage(Server(place / "studio"), _films(asked.film, asked.other, place), place, asked.out)
        try:
            for name in asked.only:
                try:
                    result = FAULTS[name](stage)
                except (AssertionError, OSError, KeyError) as error:
                    result = {"failed": f"{type(error).__name__}: {str(error)[:300]}"}
                print(json.dumps({"fault": name, **result}, ensure_ascii=False), flush=True)
        finally:
            stage.server.stop()


if __name__ == "__main__":
    main()

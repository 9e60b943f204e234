"""Drives `gtalk studio` in a real Chromium whose camera is a film: the whole path, kills at random moments, faults.

    python -m tools.check.studio path FILM --out shots/       record 90 s, make, meet; a picture of every screen; times
    python -m tools.check.studio kills FILM --kills 10        server and tab killed while recording: what is lost
    python -m tools.check.studio screens FOLDER --out shots/ --axe node_modules/axe-core/axe.min.js
                                                              every screen of a studio that has avatars, in both
                                                              languages and sizes, and what axe-core says of it

Prints its figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2

from tools.check.browser import Browser, Page

SIZE = (1280, 720)
CAMERA_FPS = 30  # what Chromium plays a .mjpeg at


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


def click(page: Page, element: str) -> None:
    """Press what has this id."""
    page.wait(f"!!document.getElementById('{element}') && !document.getElementById('{element}').disabled")
    page.run(f"document.getElementById('{element}').click()")


def consent(page: Page, name: str = "Ada Lovelace") -> None:
    """Fill in the form and agree."""
    page.wait("!!document.getElementById('person')")
    page.run(f"(() => {{ const p = document.getElementById('person'); p.value = '{name}';"
             " p.dispatchEvent(new Event('input')); })()")  # fmt: skip
    click(page, "agree")
    page.wait("!!studio.views.record.entry")


def record(page: Page, part: str, seconds: float | None = None) -> None:
    """Record a part to its end, or stop it after so many seconds."""
    click(page, f"part-{part}")
    page.wait("!!studio.views.record.stretch")
    if seconds is None:
        page.wait("!studio.views.record.stretch", timeout_s=150)
    else:
        time.sleep(seconds)
        click(page, "stop")
        page.wait("!studio.views.record.stretch")


class Shots:
    """Pictures of screens, desktop and phone."""

    def __init__(self, page: Page, folder: Path | None) -> None:
        self._page, self._folder = page, folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, name: str, *, phone: bool = False) -> None:
        if self._folder is None:
            return
        (self._folder / f"{name}.png").write_bytes(self._page.screenshot())
        if phone:
            self._page.resize(390, 844, phone=True)
            time.sleep(0.6)
            (self._folder / f"{name}_phone.png").write_bytes(self._page.screenshot())
            self._page.resize(1200, 760)
            time.sleep(0.3)


def path(film: Path, out: Path | None, seconds: float) -> dict[str, Any]:
    """Record, make, meet."""
    told: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as place:
        files = camera_of(film, Path(place))
        server, browser = Server(Path(place) / "studio"), Browser(files["microphone"], camera=files["camera"])
        shot = Shots(browser, out)
        try:
            browser.open(server.url)
            browser.wait("!!window.studio?.state")
            told["first_load_kB"] = round(first_load(browser) / 1e3, 1)
            shot("01_welcome", phone=True)
            click(browser, "camera-on")
            browser.wait("!!studio.views.record.checks.last")
            time.sleep(4)
            told["checks"] = browser.run("studio.views.record.checks.words")
            shot("02_checks", phone=True)
            consent(browser)
            time.sleep(1)
            shot("03_consent", phone=True)
            click(browser, "part-read")
            browser.wait("!!studio.views.record.stretch")
            time.sleep(5)
            shot("04_read")
            time.sleep(max(0.0, seconds - 5))
            click(browser, "stop")
            ended = time.monotonic()
            browser.wait("!studio.views.record.stretch && studio.outbox.waiting === 0", timeout_s=60)
            told["saved_s"] = round(time.monotonic() - ended, 1)
            click(browser, "make")
            meet(browser, shot, told, ended)
            told["load_after"] = os.getloadavg()[0]
        finally:
            browser.close()
            server.stop()
    return told


def meet(browser: Browser, shot: Shots, told: dict[str, Any], ended: float) -> None:
    """From the button to the avatar that speaks."""
    pictures = 0
    while True:
        job = browser.run("(studio.state.jobs.find((job) => job.kind === 'train') ?? null)")
        if job and job["state"] in {"done", "failed", "stopped"}:
            break
        if job and job["picture"] != pictures and job["picture"] in {100, 1000, 2400}:
            pictures = job["picture"]
            time.sleep(1.5)
            shot(f"05_making_{pictures}", phone=pictures == 1000)
        assert time.monotonic() < ended + 900
        time.sleep(0.5)
    assert job["state"] == "done", job
    told["made_s"] = round(time.monotonic() - ended, 1)
    browser.run("studio.open('meet', studio.state.avatars.find((one) => one.avatar).name)")
    live = Live(browser)
    live.wait("Number(document.getElementById('n-fps').textContent) > 10", 60)
    told["live_s"] = round(time.monotonic() - ended, 1)
    live.run("document.getElementById('say').click()")
    live.wait("document.getElementById('status').dataset.state === 'live'", 20)
    time.sleep(2.5)
    told["speaking_s"] = round(time.monotonic() - ended - 2.5, 1)
    told["live_fps"] = live.run("document.getElementById('n-fps').textContent")
    shot("06_meet", phone=True)
    browser.run("studio.open('make')")
    time.sleep(1.5)
    shot("07_library", phone=True)


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


def first_load(browser: Page) -> float:
    """Bytes of everything that the page has fetched by now, but for what it asks again and again."""
    return browser.run(
        "performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))"
        ".filter((one) => !one.name.includes('/api/')).reduce((sum, one) => sum + one.decodedBodySize, 0)"
    )


def kills(film: Path, count: int, seed: int) -> dict[str, Any]:
    """Record while the server is killed and the tab closed at random moments; then count what is there."""
    rng, told = random.Random(seed), []
    with tempfile.TemporaryDirectory() as place:
        files = camera_of(film, Path(place), 20.0)
        server, browser = Server(Path(place) / "studio"), Browser(files["microphone"], camera=files["camera"])
        page: Page = browser
        try:
            page.open(server.url)
            page.wait("!!window.studio?.state")
            click(page, "camera-on")
            consent(page)
            for number in range(count):
                what = ("server", "tab")[number % 2]
                page.wait("!!studio.views.record.camera.stream && !studio.views.record.stretch")
                page.run("void studio.views.record.begin('vowels', false)")
                page.wait("!!studio.views.record.stretch")
                moment_s = rng.uniform(1.0, 6.0)
                time.sleep(moment_s)
                recorded_s = page.run("studio.views.record.stretch.seconds")
                if what == "server":
                    server.kill()
                    time.sleep(rng.uniform(0.5, 3.0))
                    server.start()
                    time.sleep(1.0)
                    recorded_s = page.run("studio.views.record.stretch.seconds")
                    click(page, "stop")
                else:
                    page.call("Page.navigate", url="about:blank")
                    time.sleep(0.5)
                    page.open(server.url)
                    page.wait("!!window.studio?.state")
                    page.run("studio.open('record')")
                page.wait("studio.outbox.waiting === 0", 60)
                server.kill()  # whatever was acknowledged must be on the disk
                server.start()
                page.wait("!studio.lost", 30)
                kept_s = seconds_of(server.folder, number)
                one = {"after_s": moment_s, "recorded_s": recorded_s, "kept_s": kept_s, "lost_s": recorded_s - kept_s}
                told.append({"killed": what, **{name: round(value, 2) for name, value in one.items()}})
                if what == "tab":
                    click(page, "camera-on")
        finally:
            browser.close()
            server.stop()
    return {"kills": told, "worst_lost_s": max(one["lost_s"] for one in told)}


def seconds_of(folder: Path, number: int) -> float:
    """Length of the stretch of that number, by its last picture."""
    import av

    [clip] = folder.glob(f"*/clips/vowels.{number}.webm")
    with av.open(str(clip)) as container:
        packets = [p for p in container.demux(video=0) if p.pts is not None]
        return float(packets[-1].pts * packets[-1].time_base)


def faults_of(page: Page, axe: Path | None) -> list[str]:
    """What axe-core finds, worst first, with the elements it is about."""
    if axe is None:
        return []
    page.run(axe.read_text(encoding="utf-8") + "; true")
    found = page.run(
        "axe.run(document, { iframes: false }).then((all) => all.violations.map((one) => `${one.impact} ${one.id}: ` "
        "+ one.nodes.map((node) => node.target.join(' ')).slice(0, 4).join(', ')))"
    )
    return sorted(found, key=lambda words: ("critical", "serious", "moderate", "minor").index(words.split()[0]))


def screens(folder: Path, out: Path | None, axe: Path | None) -> dict[str, Any]:
    """Every screen of a studio that has avatars, with what is wrong on it for some visitors."""
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        microphone = Path(place) / "microphone.wav"
        from numpy import zeros

        from gtalk.media.audio import write_wav
        from gtalk.types import AUDIO_RATE, AudioTrack

        write_wav(microphone, AudioTrack(zeros(AUDIO_RATE, "float32")))
        server, browser = Server(folder), Browser(microphone)
        shot = Shots(browser, out)
        try:
            browser.open(server.url)
            browser.wait("!!window.studio?.state")
            for language in ("en", "de"):
                browser.run(f"(() => {{ const s = document.getElementById('language'); s.value = '{language}';"
                            " s.dispatchEvent(new Event('change')); })()")  # fmt: skip
                browser.wait(f"document.documentElement.lang === '{language}'")
                for screen in ("record", "make", "meet"):
                    browser.run(f"studio.open('{screen}')")
                    if screen == "record":
                        browser.run("document.getElementById('camera-on')?.click()")
                    time.sleep(5 if screen == "meet" else 2.5)
                    shot(f"{language}_{screen}", phone=True)
                    told[f"{language}_{screen}"] = faults_of(browser, axe)
            browser.run("studio.open('make')")
            time.sleep(1)
            for what in ("rename", "delete"):
                browser.run(f"document.querySelector('[id^={what}-]').click()")
                time.sleep(0.4)
                shot(f"dialog_{what}", phone=True)
                told[f"dialog_{what}"] = faults_of(browser, axe)
                browser.run("document.getElementById('dialog').close()")
        finally:
            browser.close()
            server.stop()
    return told


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["path", "kills", "screens"])
    parser.add_argument("file", type=Path, help="a film of somebody who speaks; for screens, a studio's folder")
    parser.add_argument("--out", type=Path, help="folder for pictures of the screens")
    parser.add_argument("--axe", type=Path, help="axe.min.js of the npm package axe-core")
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.what == "path":
        told = path(asked.file, asked.out, asked.seconds)
    elif asked.what == "kills":
        told = kills(asked.file, asked.kills, asked.seed)
    else:
        told = screens(asked.file, asked.out, asked.axe)
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()

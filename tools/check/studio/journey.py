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
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from tools.check.browser import Browser, Page
from tools.check.studio.stage import Live, Seen, Server, Shots, camera_of, choose, click, consent, last_picture_s


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


def first_load(browser: Seen) -> float:
    """Bytes of everything that the page has fetched by now, but for what it asks again and again."""
    return browser.run(
        "performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'))"
        ".filter((one) => !one.name.includes('/api/')).reduce((sum, one) => sum + one.decodedBodySize, 0)"
    )


def kills(film: Path, count: int, seed: int, work: bool) -> dict[str, Any]:
    """Record while the server is killed and the tab closed at random moments; then count what is there."""
    rng, told = random.Random(seed), list[dict[str, Any]]()
    order = rng.sample(("server", "tab") * (count // 2 + 1), count)
    with tempfile.TemporaryDirectory() as place:
        files = camera_of(film, Path(place), 8.0, (640, 360))
        server, browser = Server(Path(place) / "studio"), Browser(files["microphone"], camera=files["camera"])
        page: Page = browser
        try:
            page.open(server.url)
            page.wait("!!window.studio?.state")
            click(page, "camera-on")
            consent(page)
            for number in range(count):
                what = order[number]
                page.wait("!!studio.views.record.camera.stream && !studio.views.record.stretch", 60)
                page.run("void studio.views.record.begin('read', false)")
                page.wait("!!(window.watched = studio.views.record.stretch)", 60)
                moment_s = rng.uniform(1.0, 6.0)
                time.sleep(moment_s)
                recorded_s = page.run("watched.seconds")
                if what == "server":
                    server.kill()
                    time.sleep(rng.uniform(0.5, 3.0))
                    server.start()
                    time.sleep(1.0)
                    recorded_s = page.run("watched.seconds")
                    if page.run("!!studio.views.record.stretch"):  # else it was closed as if it had slept
                        click(page, "stop")
                    page.wait("!studio.views.record.stretch", 60)
                    recorded_s = page.run("watched.seconds")
                else:
                    another = browser.tab()
                    browser.drop(page)
                    page = another
                    time.sleep(0.5)
                    page.open(server.url)
                    page.wait("!!window.studio?.state", 60)
                    page.run("studio.open('record')")
                page.wait("studio.outbox.waiting === 0", 120)
                told.append({"killed": what, "after_s": round(moment_s, 2), "recorded_s": round(recorded_s, 2)})
                print(json.dumps(told[-1]), file=sys.stderr, flush=True)
                if what == "tab":
                    click(page, "camera-on")
            server.kill()  # whatever was acknowledged must be on the disk
            server.start()
            for number, one in enumerate(told):
                one["kept_s"] = round(seconds_of(server.folder, number), 2)
                one["lost_s"] = round(one["recorded_s"] - one["kept_s"], 2)
            worked = work_goes_on(film, server) if work else None
        finally:
            browser.close()
            server.stop()
    return {"kills": told, "worst_lost_s": max(one["lost_s"] for one in told), "work": worked}


def work_goes_on(film: Path, server: Server) -> dict[str, Any]:
    """Have an avatar made of a film, kill the server in the middle, start it again: the stages that were done stay."""

    def asked(path: str, method: str = "GET", body: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(server.url + path, body, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"{}")

    def job() -> dict[str, Any]:
        return asked("api/state")["jobs"][0]

    words = {"person": "Work Goes On", "statement": "I agree to this avatar.", "language": "en"}
    name = asked("api/takes", "POST", json.dumps(words).encode())["name"]
    stretch = f"api/takes/{name}/upload/0{film.suffix}"
    asked(f"{stretch}/0", "PUT", film.read_bytes())
    asked(f"{stretch}/close", "POST", json.dumps({"count": 1}).encode())
    asked(f"api/avatars/{name}/make", "POST", b"")
    while (at := job()).get("stage") not in {"track", "masks"}:
        assert at["state"] in {"waiting", "running"}, at
        time.sleep(0.3)
    server.kill()
    [state] = server.folder.glob(f"{name}/made-*/dataset/prepare.json")
    before = json.loads(state.read_text())
    server.start()
    while (then := job())["state"] not in {"done", "failed"} and then.get("stage") not in {"fit", "motion features"}:
        time.sleep(0.5)
    after = json.loads(state.read_text())
    kept = [stage for stage, record in before.items() if after.get(stage) == record]
    return {"killed_at": at["stage"], "then": then["state"], "stage": then.get("stage"), "kept": kept}


def seconds_of(folder: Path, number: int) -> float:
    """Length of the stretch of that number, by its last picture."""
    [clip] = folder.glob(f"*/clips/read.{number}.webm")
    return last_picture_s(clip)


def films(page: Page, speech: Path, shot: Shots) -> dict[str, Any]:
    """A film of a speech, a message with it, a file that has none, and a film that is uploaded."""
    page.run("studio.open('meet')")
    page.wait("!!document.getElementById('sounds')", 60)
    choose(page, "#sounds", speech, Path(__file__))
    page.wait("document.getElementById('notice').textContent.includes('studio.py')")
    refused = page.run("document.getElementById('notice').textContent")
    page.wait("studio.state.jobs.some((job) => job.kind === 'dub')")
    time.sleep(2)
    shot("films_waiting")
    page.wait("studio.state.jobs.every((job) => job.kind !== 'dub' || job.state === 'done')", 240)
    page.run("document.getElementById('share-sound').selectedIndex = 1")
    click(page, "share")
    page.wait("studio.state.jobs.some((job) => job.kind === 'share' && job.state === 'done')", 120)
    time.sleep(1.5)
    page.run("document.getElementById('h-share').scrollIntoView()")
    shot("films_done", phone=True)
    sizes = page.run(
        "(async () => { const found = {};"
        " for (const a of document.querySelectorAll('.films a[href*=save], a[href$=zip]'))"
        " found[a.getAttribute('href')] = (await (await fetch(a.href)).blob()).size; return found; })()"
    )
    return {"refused": refused, "bytes": sizes}


def faults_of(page: Seen, axe: Path | None) -> list[str]:
    """What axe-core finds, worst first, with the elements it is about."""
    if axe is None:
        return []
    page.run(f"void (0, eval)({json.dumps(axe.read_text(encoding='utf-8'))})")
    found = page.run(
        "axe.run(document, { iframes: false }).then((all) => all.violations.map((one) => `${one.impact} ${one.id}: ` "
        "+ one.nodes.map((node) => node.target.join(' ')).slice(0, 4).join(', ')))"
    )
    return sorted(found, key=lambda words: ("critical", "serious", "moderate", "minor").index(words.split()[0]))


def screens(folder: Path, out: Path | None, axe: Path | None, speech: Path | None) -> dict[str, Any]:
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
            if speech is not None:
                told["films"] = films(browser, speech, shot)
                told["films_axe"] = faults_of(browser, axe)
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
    parser.add_argument("--speech", type=Path, help="screens: a sound file to make a film and a message of")
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--work", action="store_true", help="kills: have an avatar made, and kill the server amid it")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if asked.what == "path":
        told = path(asked.file, asked.out, asked.seconds)
    elif asked.what == "kills":
        told = kills(asked.file, asked.kills, asked.seed, asked.work)
    else:
        told = screens(asked.file, asked.out, asked.axe, asked.speech)
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()

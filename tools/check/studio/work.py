"""Drives by mouse, in a real Chromium, what `gtalk studio` offers with an avatar, and looks at what comes out.

    python -m tools.check.studio.work AVATAR SPEECH SPEECH [--out shots/] [--axe axe.min.js]

Films by drag and drop, their queue and download; a message for the web; the measures; a new name; exports; disk use;
deletion. AVATAR is an avatar's folder, with its dataset; a copy of it is worked with. Prints what was seen as JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gtalk.studio import library as kept
from tools.check.browser import Browser, Page
from tools.check.studio.journey import faults_of
from tools.check.studio.stage import Server, Shots

_NOTICE = "document.getElementById('notice')"


def press(page: Page, selector: str, timeout_s: float = 20.0) -> None:
    """Click with the mouse, where one sees it: nothing may lie over it."""
    found = f"document.querySelector({json.dumps(selector)})"
    page.wait(f"!!{found} && !{found}.disabled", timeout_s)
    x, y = page.run(
        f"(() => {{ {found}.scrollIntoView({{ block: 'center' }}); const b = {found}.getBoundingClientRect();"
        " return [b.left + b.width / 2, b.top + b.height / 2]; })()"
    )
    over = page.run(f"!{found}.contains(document.elementFromPoint({x}, {y}))")
    assert not over, f"something lies over {selector}"
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def write(page: Page, selector: str, words: str) -> None:
    """Type into a field, in place of what is there."""
    press(page, selector)
    page.run(f"document.querySelector({json.dumps(selector)}).select()")
    page.call("Input.insertText", text=words)


def drop(page: Page, selector: str, *paths: Path) -> None:
    """Drag files over something and let them go."""
    page.run(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{ block: 'center' }})")
    left, top, width, height = page.box(f"document.querySelector({json.dumps(selector)})")
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.call("Input.dispatchDragEvent", type=kind, x=left + width / 2, y=top + height / 2, data=data)


def downloaded(page: Page, selector: str, folder: Path, timeout_s: float = 60.0) -> Path:
    """What a press on a link brings into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir())
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    press(page, selector)
    end = time.monotonic() + timeout_s
    while True:
        fresh = [path for path in set(folder.iterdir()) - before if path.suffix != ".crdownload"]
        if fresh and fresh[0].stat().st_size and not list(folder.glob("*.crdownload")):
            return fresh[0]
        assert time.monotonic() < end, f"nothing came of {selector}"
        time.sleep(0.1)


def jobs_done(page: Page, kind: str, count: int, timeout_s: float) -> None:
    """Until so many jobs of a kind are done; none may fail."""
    mine = f"studio.state.jobs.filter((job) => job.kind === '{kind}')"
    end = time.monotonic() + timeout_s
    while page.run(f"{mine}.filter((job) => job.state === 'done').length") < count:
        assert not (failed := page.run(f"{mine}.filter((job) => job.state === 'failed')")), failed
        assert time.monotonic() < end, f"{kind} takes longer than {timeout_s} s"
        time.sleep(0.2)


def films(page: Page, speeches: list[Path], folder: Path, shot: Shots, wait_s: float) -> dict[str, Any]:
    """Two sounds and a letter are dropped at once: two films, one refusal; the second waits for the first."""
    from gtalk.media.source import probe

    letter = folder / "letter.txt"
    letter.write_text("No sound in here. " * 100)
    page.run("studio.open('meet')")
    page.wait("!!document.getElementById('drop')", 60)
    drop(page, "#drop", *speeches, letter)
    page.wait(f"{_NOTICE}.textContent.includes('letter.txt')", 30)
    told: dict[str, Any] = {"refused": page.run(f"{_NOTICE}.textContent")}
    queue = (
        "[...document.querySelectorAll('.films li')].map((li) => li.dataset.state + ' ' + li.innerText.split('\\n')[1])"
    )
    told["queue"] = page.run(queue)
    shot("work_films_waiting", phone=True)
    jobs_done(page, "dub", len(speeches), wait_s)
    page.wait(f"document.querySelectorAll('.films a[href$=\"save=1\"]').length === {len(speeches)}")
    told["films"] = {}
    for speech in speeches:
        film = downloaded(page, f".films a[href*='{speech.stem}'][href$='save=1']", folder / "got")
        info = probe(film)
        told["films"][film.name] = {
            "seconds": round(info.duration_s, 2), "speech_s": round(probe(speech).duration_s, 2),
            "picture": [info.width, info.height], "sound": info.has_audio,
        }  # fmt: skip
    shot("work_films_done", phone=True)
    return told


def message(
    page: Page, speech: Path, folder: Path, tab: Callable[[], Page], shot: Shots, wait_s: float
) -> dict[str, Any]:
    """A message for the web: looked at, and downloaded."""
    chosen = f"[...s.options].find((one) => one.value.startsWith('{speech.stem}')).value"
    page.run(f"(() => {{ const s = document.getElementById('share-sound'); s.value = {chosen}; }})()")
    press(page, "#share")
    jobs_done(page, "share", 1, wait_s)
    archive = downloaded(page, "a[href$='share.zip']", folder / "got")
    names = sorted(zipfile.ZipFile(archive).namelist())
    seen = tab()
    seen.open(page.run("document.querySelector('a[href*=\"share/index.html\"]').href"))
    seen.wait("!!document.querySelector('gtalk-avatar, canvas')", 30)
    time.sleep(3)
    shot("work_message", of=seen)
    words = seen.run("document.body.innerText.slice(0, 200)")
    seen.close()
    return {"bytes": archive.stat().st_size, "files": len(names), "first": names[:4], "words": words}


def measures(page: Page, tab: Callable[[], Page], shot: Shots, wait_s: float) -> dict[str, Any]:
    """The measures, made and opened."""
    press(page, "#evaluate")
    jobs_done(page, "eval", 1, wait_s)
    page.wait("!!document.querySelector('a[href$=\"measures.html\"]')")
    seen = tab()
    seen.open(page.run("document.querySelector('a[href$=\"measures.html\"]').href"))
    seen.wait("document.body?.innerText.length > 200", 20)
    shot("work_measures", of=seen)
    words = seen.run("document.body.innerText.slice(0, 120)")
    seen.close()
    return {"words": words}


def library(page: Page, root: Path, name: str, folder: Path, shot: Shots, wait_s: float) -> dict[str, Any]:
    """Another name, an export, disk use; at last deleted, once thought better of."""
    page.run("studio.open('make')")
    press(page, f"#rename-{name}")
    write(page, "#new-name", "Someone Else's Name")
    shot("work_rename", phone=True)
    press(page, "#save-name")
    page.wait(f"document.querySelector('#avatar-{name} h2').textContent === \"Someone Else's Name\"")
    told: dict[str, Any] = {
        "renamed": page.run(f"document.querySelector('#avatar-{name} h2').textContent"),
        "exports": {},
    }
    for kind, begins in (("glb", b"glTF"), ("ply", b"ply")):
        press(page, f"#export-{name}")
        shot("work_export", phone=True)
        press(page, f"#export-as-{kind}")
        page.wait(f"studio.state.jobs.some((job) => job.label === '{kind}' && job.state !== 'waiting')", 30)
        page.wait(f"studio.state.jobs.find((job) => job.label === '{kind}').state === 'done'", wait_s)
        got = downloaded(page, f"#avatar-{name} a[href*='.{kind}?save=1']", folder / "got")
        told["exports"][kind] = {"bytes": got.stat().st_size, "whole": got.read_bytes()[: len(begins)] == begins}
    time.sleep(kept.SIZES_KEPT_S + 1.0)
    page.run("studio.refresh()")
    told["size_shown"] = page.run(f"document.getElementById('size-{name}').textContent")
    told["size_is"] = sum(path.stat().st_size for path in (root / name).rglob("*") if path.is_file())
    press(page, f"#delete-{name}")
    shot("work_delete", phone=True)
    told["asked"] = page.run("document.getElementById('dialog').innerText")
    press(page, "#dialog button:not(.danger)")
    assert (root / name).is_dir()
    press(page, f"#delete-{name}")
    press(page, "#really")
    page.wait(f"!document.getElementById('avatar-{name}')", 20)
    told["deleted"] = not (root / name).exists()
    return told


def work(
    avatar: Path, speeches: list[Path], place: Path, out: Path | None, axe: Path | None, wait_s: float = 400.0
) -> dict[str, Any]:
    """All of it, in a studio of its own under `place`."""
    shutil.copytree(avatar, place / "studio" / "met")
    server = Server(place / "studio")
    browser = Browser()
    shot, told = Shots(browser, out), dict[str, Any]()
    try:
        browser.open(server.url)
        browser.wait("!!window.studio?.state")
        told["films"] = films(browser, speeches, place, shot, wait_s)
        told["message"] = message(browser, speeches[0], place, browser.tab, shot, wait_s)
        if (avatar / "dataset").is_dir():
            told["measures"] = measures(browser, browser.tab, shot, wait_s)
        told["axe_meet"] = faults_of(browser, axe)
        told["library"] = library(browser, server.folder, "met", place, shot, wait_s)
        told["axe_make"] = faults_of(browser, axe)
    finally:
        browser.close()
        server.stop()
    return told


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("speech", type=Path, nargs=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--axe", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        told = work(asked.avatar, asked.speech, Path(place), asked.out, asked.axe)
    print(json.dumps(told, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()

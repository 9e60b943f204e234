"""Drives `gtalk studio` in a real Firefox: recording with its own devices and with a film, faults, meeting.

    python -m tools.check.studio.in_firefox FILM [--avatar FOLDER] [--out shots/] [--axe axe.min.js]

FOLDER is an avatar as `gtalk train` makes it; without it nobody is met. Firefox takes no film for its camera, so the
page's getUserMedia is answered with the stream of a video element that plays FILM; the part before that uses
Firefox's own fakes through its own getUserMedia. Prints what was seen as JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from tools.check.studio.firefox import Firefox
from tools.check.studio.journey import faults_of, first_load, seconds_of
from tools.check.studio.stage import Server, Shots, click, consent, last_picture_s

_FILM_AS_CAMERA = """(async () => {
  const src = URL.createObjectURL(document.getElementById('reel').files[0]);
  const video = Object.assign(document.createElement('video'), { loop: true, src });
  document.body.append(video);
  video.style.cssText = 'position:fixed;width:2px;height:2px;opacity:0';
  await video.play();
  const stream = video.mozCaptureStream();
  while (stream.getTracks().length < 2) await new Promise((done) => setTimeout(done, 50));
  navigator.mediaDevices.getUserMedia = async () => stream.clone();
  return stream.getTracks().length;
})()"""


class Hand(Firefox):
    """Firefox on a studio's page."""

    def enter(self, server: Server, screen: str = "record") -> None:
        """Open the page anew."""
        self.open(server.url)
        self.wait("!!window.studio?.state")
        self.run(f"void studio.open('{screen}')")

    def play_as_camera(self, film: Path) -> None:
        """From now on, until the page is loaded anew, the camera shows a film."""
        self.run(
            "void document.body.append(Object.assign(document.createElement('input'), { type: 'file', id: 'reel' }))"
        )
        self.choose("#reel", film)
        assert self.run(_FILM_AS_CAMERA) == 2

    def begin(self, part: str) -> None:
        """Record a part."""
        self.run(f"void studio.views.record.begin('{part}', false)")
        self.wait("!!studio.views.record.stretch")

    def saved(self, timeout_s: float = 60.0) -> None:
        """Everything has reached the server."""
        self.wait("!studio.views.record.stretch && studio.outbox.waiting === 0", timeout_s)


def own_devices(page: Hand, server: Server, shot: Shots) -> dict[str, Any]:
    """Firefox's getUserMedia, MediaRecorder and IndexedDB: record, pause, go on, stop."""
    page.enter(server)
    told: dict[str, Any] = {"first_load_kB": round(first_load(page) / 1e3, 1)}
    shot("01_welcome", phone=True)
    click(page, "camera-on")
    page.wait("!!studio.views.record.checks.last", 30)
    consent(page, "Fake Devices")
    page.begin("read")
    time.sleep(3)
    click(page, "pause")
    time.sleep(1)
    click(page, "pause")
    time.sleep(2)
    recorded_s = page.run("studio.views.record.stretch.seconds")
    click(page, "stop")
    page.saved()
    told["recorded_s"], told["kept_s"] = round(recorded_s, 2), round(seconds_of(server.folder, 0), 2)
    told["kind"] = [path.name for path in server.folder.glob("*/clips/read.*")]
    told["face"] = page.run("studio.views.record.checks.words.face")
    return told


def film_as_camera(page: Hand, server: Server, film: Path, shot: Shots) -> dict[str, Any]:
    """A face in the picture; the server killed and the page reloaded amid a recording."""
    page.enter(server)
    page.play_as_camera(film)
    click(page, "camera-on")
    click(page, "somebody-else")
    consent(page, "Film Camera")
    page.wait("studio.views.record.checks.words.face && studio.views.record.checks.words.rate", 30)
    time.sleep(3)
    told: dict[str, Any] = {"checks": page.run("studio.views.record.checks.words")}
    shot("02_checks", phone=True)
    page.begin("read")
    time.sleep(3)
    shot("03_read", phone=True)
    server.kill()
    page.wait("studio.lost", 30)
    told["said"] = page.run("document.getElementById('notice').textContent")
    server.start()
    time.sleep(1)
    recorded_s = page.run("studio.views.record.stretch.seconds")
    click(page, "stop")
    page.saved()
    name = page.run("studio.views.record.entry.name")
    kept_s = last_picture_s(server.folder / name / "clips" / "read.0.webm")
    told["server_killed"] = {"recorded_s": round(recorded_s, 2), "kept_s": round(kept_s, 2)}
    page.begin("turn")
    time.sleep(3.2)
    recorded_s = page.run("studio.views.record.stretch.seconds")
    page.enter(server)
    page.saved()
    server.kill()  # what a page that is gone left open is joined at the start
    server.start()
    kept = [last_picture_s(clip) for clip in server.folder.glob(f"{name}/clips/turn.0.*m")]
    told["page_reloaded"] = {"recorded_s": round(recorded_s, 2), "kept_s": round(sum(kept), 2)}
    page.enter(server)
    page.choose("#film", film)
    page.wait("studio.views.record.entry.parts.upload?.stretches > 0", 60)
    told["uploaded_bytes"] = page.run("studio.views.record.entry.parts.upload.bytes") == film.stat().st_size
    return told


def meeting(page: Hand, server: Server, shot: Shots, axe: Path | None) -> dict[str, Any]:
    """The library and the live page."""
    told: dict[str, Any] = {}
    for screen in ("record", "make", "meet"):
        page.enter(server, screen)
        time.sleep(2)
        if screen == "meet":
            page.wait("!!document.querySelector('#live iframe')", 60)
            time.sleep(2)
            [live] = page.frames()
            page.wait("Number(document.getElementById('n-fps').textContent) > 10", 60, live)
            page.run("void document.getElementById('say').click()", live)
            page.wait("document.getElementById('status').dataset.state === 'live'", 20, live)
            time.sleep(2.5)
            told["live_fps"] = page.run("document.getElementById('n-fps').textContent", live)
        shot(f"04_{screen}", phone=True)
        told[f"axe_{screen}"] = faults_of(page, axe)
    return told


def webm_of(film: Path, path: Path, seconds: float = 8.0, height: int = 540) -> Path:
    """The first seconds of a film as VP8 and Opus, which every Firefox plays."""
    import av

    from gtalk.media.audio import read_audio
    from gtalk.media.video import read_video

    with av.open(str(path), "w") as out:
        picture: Any = out.add_stream("libvpx", rate=25)
        sound: Any = out.add_stream("libopus", rate=48_000)
        picture.pix_fmt, picture.bit_rate, picture.options = "yuv420p", 4_000_000, {"deadline": "realtime"}
        sound.layout = "mono"
        for index, frame in enumerate(read_video(film, 25.0)):
            if index >= seconds * 25:
                break
            width = round(frame.shape[1] * height / frame.shape[0]) // 2 * 2
            if index == 0:
                picture.width, picture.height = width, height
            shown = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(width, height, "yuv420p")
            out.mux(picture.encode(shown))
        samples = read_audio(film, 48_000).samples[None, : round(seconds * 48_000)]
        heard = av.AudioFrame.from_ndarray(samples.copy(), format="flt", layout="mono")
        heard.sample_rate = 48_000
        resampler = av.AudioResampler("flt", "mono", 48_000, frame_size=960)
        for piece in [*resampler.resample(heard), *resampler.resample(None)]:
            out.mux(sound.encode(piece))
        for stream in (picture, sound):
            out.mux(stream.encode(None))
    return path


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("film", type=Path)
    parser.add_argument("--avatar", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--axe", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "studio"
        if asked.avatar:
            shutil.copytree(asked.avatar, root / "met", ignore=shutil.ignore_patterns("dataset"))
        server, page = Server(root), Hand()
        shot = Shots(page, asked.out)
        told: dict[str, Any] = {"browser": page.version}
        try:
            told["own_devices"] = own_devices(page, server, shot)
            film = webm_of(asked.film, Path(place) / "film.webm")
            told["film_as_camera"] = film_as_camera(page, server, film, shot)
            if asked.avatar:
                told["meeting"] = meeting(page, server, shot, asked.axe)
        finally:
            page.close()
            server.stop()
            print(json.dumps(told, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()

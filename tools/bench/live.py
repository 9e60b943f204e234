"""How quick, how even and how much in step the live view is: a real avatar, a real headless Chromium, one machine.

python tools/bench/live.py AVATAR [--speech WAV] [--minutes 1] [--size 512] [--cuts 8] [--json OUT] [--plot OUT.png]
python tools/bench/live.py --soak 60      # the clocks alone, an hour in well under a minute, no avatar needed

Chromium hears a file as its microphone: one and a half seconds of speech, one of silence, and so on. Every
piece of sound carries the instant at which it entered the page; the image that shows it brings it back, and
the page notes when it drew it: `mic -> shown` is on one clock, and holds everything but the sound card's own
buffer (Chromium reports 10 ms for it) and the display's refresh. It is checked against the pixels: the time by
which the darkness of the mouth on the canvas follows the microphone's level.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.bench import machine  # noqa: E402
from tools.bench.live_log import APERTURE, AT, plot, summary, table  # noqa: E402

SPEECH_S, SILENCE_S = 1.5, 1.0
WATCH = """(() => {
  const size = 96, probe = new OffscreenCanvas(size, size).getContext('2d', { willReadFrequently: true });
  const { context, gain, microphone } = gtalk.sound, values = new Float32Array(256);
  const meter = (node) => { const a = new AnalyserNode(context, { fftSize: 256 }); node.connect(a); return a; };
  const mic = meter(microphone.source), out = meter(gain);
  const level = (a) => {
    a.getFloatTimeDomainData(values);
    return Math.sqrt(values.reduce((s, v) => s + v * v, 0) / 256);
  };
  const now = () => performance.timeOrigin + performance.now();
  window.pixels = []; window.levels = []; let last = -1;
  setInterval(() => levels.push([now(), level(mic), level(out)]), 5);
  const look = () => {
    if (window.done) return;
    requestAnimationFrame(look);
    if (gtalk.shown === last) return;
    last = gtalk.shown;
    const face = document.getElementById('face');
    const { width, height } = face;
    probe.drawImage(face, width * BOX_X, height * BOX_Y, width * BOX_W, height * BOX_H, 0, 0, size, size);
    const data = probe.getImageData(0, 0, size, size).data;
    let dark = 0;
    for (let i = 0; i < data.length; i += 4) dark += data[i] + data[i + 1] + data[i + 2] < 3 * 70;
    pixels.push([now(), dark / (size * size)]);
  };
  look();
})()"""


def microphone_file(speech: Path, path: Path) -> None:
    """A minute of speech and silence in turns."""
    from gtalk.media.audio import read_audio, write_wav
    from gtalk.types import AUDIO_RATE, AudioTrack

    sound = read_audio(speech).samples
    voiced = sound[np.abs(sound) > 0.02]
    sound = 0.5 * sound / max(float(np.percentile(np.abs(voiced), 99)), 1e-3)
    n_speech, n_silence = round(SPEECH_S * AUDIO_RATE), round(SILENCE_S * AUDIO_RATE)
    pieces = []
    for start in range(0, len(sound) - n_speech, n_speech):
        piece = sound[start : start + n_speech]
        loud = np.flatnonzero(np.abs(piece) > 0.05)
        if len(loud):  # an onset that is clear: the piece begins with its first sound
            pieces += [np.roll(piece, -loud[0]) * (np.arange(n_speech) < n_speech - loud[0]), np.zeros(n_silence)]
    write_wav(path, AudioTrack(np.concatenate(pieces).astype(np.float32)))


class Memory(threading.Thread):
    """Resident memory of a process, once a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self.rows, self.ended = pid, [], threading.Event()

    def run(self) -> None:
        from gtalk.viewer.live.stats import resident_mb

        begin = time.monotonic()
        while not self.ended.wait(1.0):
            self.rows.append((time.monotonic() - begin, resident_mb(self._pid)))


def cpu_s(pid: int) -> float:
    """Processor time of a process and those that it started."""
    total, ticks = 0.0, os.sysconf("SC_CLK_TCK")
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(entry.name)] = (int(fields[1]), (int(fields[11]) + int(fields[12])) / ticks)
    for child, (_, used) in parents.items():
        at = child
        while at in parents and at != pid:
            at = parents[at][0]
        total += used if at == pid else 0.0
    return total


def start_server(avatar: Path, size: int) -> tuple[subprocess.Popen, str]:
    """`gtalk view` on a free port, and its address."""
    command = [sys.executable, "-m", "gtalk", "view", str(avatar), "--port", "0", "--size", str(size)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stderr is not None
    for line in process.stderr:
        if "open http" in line:
            url = line.split("open ")[1].split()[0]
            threading.Thread(target=lambda: [None for _ in process.stderr], daemon=True).start()  # type: ignore[union-attr]
            return process, url
    raise SystemExit("gtalk view did not start")


def push(url: str, speech: Path, seconds: float) -> None:
    """Speak through /push, in step with real time; returns when all is sent."""
    from websockets.sync.client import connect

    from gtalk.media.audio import read_audio

    sound = np.tile(read_audio(speech).samples, 20)[: round(seconds * 16_000)]
    with connect(url.replace("http", "ws") + "push") as socket:
        for piece in np.array_split((sound * 32767).astype("<i2"), max(1, round(seconds * 10))):
            socket.send(piece.tobytes())
        socket.send('{"do": "end"}')
        while json.loads(socket.recv())["state"] == "speaking":
            pass


def listen(page, seconds: float) -> np.ndarray:
    """What the page logs over some time: rows of AT, TIME, ..."""
    page.run("gtalk.log = []")
    end = time.monotonic() + seconds
    rows: list[list] = []
    while time.monotonic() < end:
        time.sleep(min(5.0, max(0.0, end - time.monotonic())))
        rows += page.run("gtalk.log.splice(0)")
    return np.array(rows, np.float64)


def spoken(page, url: str, speech: Path, seconds: float) -> np.ndarray:
    """Log of pushed speech."""
    task = threading.Thread(target=push, args=(url, speech, seconds))
    task.start()
    log = listen(page, seconds + 1.0)
    task.join()
    return log


def cuts(page, url: str, speech: Path, count: int) -> list[tuple[float, float]]:
    """(mouth shut, sound silent) in ms after a press of Stop, `count` times."""
    found = []
    for _ in range(count):
        task = threading.Thread(target=push, args=(url, speech, 6.0))
        page.run("(gtalk.log = [], levels.length = 0)")
        task.start()
        cut = None
        time.sleep(2.0)
        for _ in range(200):  # in the middle of a word: the mouth is open and something is heard
            row = page.run("gtalk.log.at(-1)")
            if row and row[APERTURE] > 0.06 and page.run("levels.at(-1)[2]") > 0.03:
                cut = page.run("(document.getElementById('stop').click(), performance.timeOrigin + performance.now())")
                break
            time.sleep(0.03)
        time.sleep(1.2)
        task.join()
        if cut is None:
            continue
        log, levels = np.array(page.run("gtalk.log"), np.float64), np.array(page.run("levels"), np.float64)
        rest = log[-5:, APERTURE].max()
        opened = log[log[:, AT] <= cut, APERTURE][-1]
        later = log[log[:, AT] > cut]
        moving = later[later[:, APERTURE] > rest + 0.1 * (opened - rest)]
        if not len(later) or (len(moving) and moving[-1, AT] == later[-1, AT]):
            continue
        still = later[later[:, AT] > (moving[-1, AT] if len(moving) else cut)]
        loud = levels[(levels[:, 0] > cut) & (levels[:, 2] > 0.003), 0]
        found.append((still[0, AT] - cut, (loud.max() - cut) if len(loud) else 0.0))
    return found


def voice_cuts(page, url: str, speech: Path, count: int) -> np.ndarray:
    """From the first sound of the visitor's voice to silence of the avatar that was speaking, ms, `count` times."""
    found = []
    for _ in range(count):
        page.run("gtalk.sound.microphone.track.enabled = false")
        time.sleep(1.0)  # what was said before is no answer
        page.run("levels.length = 0")
        task = threading.Thread(target=push, args=(url, speech, 8.0))
        task.start()
        page.wait("levels.at(-1)?.[2] > 0.03")
        time.sleep(1.0)
        page.run("gtalk.sound.microphone.track.enabled = true")
        task.join()  # it was told that somebody cut in
        time.sleep(0.5)
        levels = np.array(page.run("levels"), np.float64)
        loud, voiced = levels[levels[:, 2] > 0.003, 0], levels[levels[:, 1] > 0.02, 0]
        if len(voiced):
            found.append(max(0.0, loud[-1] - voiced[0]))
    return np.array(found)


def measure(args: argparse.Namespace) -> tuple[dict, dict[str, np.ndarray]]:
    """The whole run."""
    from tools.check.browser import Browser

    folder = tempfile.TemporaryDirectory()
    microphone = Path(folder.name) / "microphone.wav"
    microphone_file(args.speech, microphone)
    process, url = start_server(args.avatar, args.size)
    memory = Memory(process.pid)
    browser = Browser(microphone, size=(1280, 800))
    try:
        memory.start()
        browser.open(url)
        browser.wait("window.gtalk && gtalk.shown > 25", 60)
        if not args.settings:
            browser.run("document.getElementById('panel').hidden || document.getElementById('close').click()")
            browser.run("document.querySelector('iframe')?.remove()")
        browser.run("gtalk.sound.start()")
        first_spoken = spoken(browser, url, args.speech, args.skew_seconds)
        browser.run("document.getElementById('mic').click()")
        browser.wait("gtalk.latency.length > 50")
        box = dict(zip(("BOX_X", "BOX_Y", "BOX_W", "BOX_H"), map(str, args.box), strict=True))
        script = WATCH
        for name, value in box.items():
            script = script.replace(name, value)
        browser.run(script)
        time.sleep(4.0)
        used, began = (cpu_s(process.pid), cpu_s(browser.pid)), time.monotonic()
        heard = listen(browser, args.minutes * 60)
        took = time.monotonic() - began
        cores = [
            (after - before) / took
            for before, after in zip(used, (cpu_s(process.pid), cpu_s(browser.pid)), strict=True)
        ]
        stats = browser.run("gtalk.stats")
        pixels, levels = np.array(browser.run("pixels")), np.array(browser.run("levels"))
        browser.run("window.done = true")
        found_voice_cuts = voice_cuts(browser, url, args.speech, args.cuts)
        browser.run("document.getElementById('mic').click()")  # the microphone rests now
        found_cuts = np.array(cuts(browser, url, args.speech, args.cuts)).reshape(-1, 2)
        last_spoken = spoken(browser, url, args.speech, args.skew_seconds)
        lost = browser.run("[gtalk.underruns, gtalk.skips]")
        if args.screenshot:
            args.screenshot.write_bytes(browser.screenshot())
    finally:
        memory.ended.set()
        browser.close()
        process.terminate()
        process.wait(timeout=10)
        folder.cleanup()
    data = {
        "heard": heard, "rss": np.array(memory.rows), "first": first_spoken, "last": last_spoken, "cuts": found_cuts,
        "voice_cuts": found_voice_cuts, "pixels": pixels, "levels": levels,
    }  # fmt: skip
    facts = {
        "minutes": args.minutes,
        "size": args.size,
        "load": os.getloadavg()[0],
        "underruns": lost[0],
        "skips": lost[1],
    }
    return {**facts, **summary(data, stats), "server_cores": cores[0], "browser_cores": cores[1]}, data


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path, nargs="?")
    parser.add_argument("--speech", type=Path, default=ROOT / "data" / "demo" / "speech.wav")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--cuts", type=int, default=8)
    parser.add_argument("--skew-seconds", type=float, default=12.0)
    parser.add_argument("--settings", action="store_true", help="leave the settings panel (viser) open")
    parser.add_argument("--box", type=float, nargs=4, default=(0.42, 0.4, 0.22, 0.14), help="mouth: x y width height")
    parser.add_argument("--soak", type=float, help="minutes of the clocks alone")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--screenshot", type=Path)
    args = parser.parse_args()
    if args.soak is not None:
        from tools.check.soak_live import soak

        soak(args.soak, args.plot)
        return
    if args.avatar is None:
        parser.error("AVATAR, or --soak")
    print(machine.line())
    result, data = measure(args)
    print(table(result))
    if args.json:
        args.json.write_text(json.dumps(machine.facts() | result, indent=2) + "\n")
    if args.plot:
        plot(result, data, args.plot)


if __name__ == "__main__":
    main()

"""WebRTC measured where it arrives: a second peer in a process of its own, over loopback.

    python -m tools.bench.rtc AVATAR SPEECH [--seconds 30] [--soak 0] [--picture OUT.png]

Every picture carries its number as a bar code in its lowest rows, put there for the measurement; what was said while it
was drawn is known here. `skew`: sound against picture as a receiver lays them beside each other, by RTP timestamps and
sender reports (RFC 3550); positive: the picture is late. `microphone -> picture`: the peer speaks; from when the first
sample that a picture shows entered the peer's microphone to when that picture was decoded there. Memory is of the
serving process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import uvicorn
from scipy.signal import correlate, resample_poly
from starlette.routing import Router

from gtalk.compute.threads import compute_on
from gtalk.marks.leaving import Leaving
from gtalk.marks.reading import MarkReader
from gtalk.media.audio import read_audio
from gtalk.types import AUDIO_RATE
from gtalk.viewer.audio.sources import PushSource
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.live.session import LiveSession
from gtalk.viewer.server import cast_of, drawing_threads
from gtalk.viewer.webrtc.peers import Peers
from gtalk.viewer.webrtc.whep import whep_routes
from tools.bench.rtc.code import stamp

TICK = AUDIO_RATE // 25
_WINDOW_TICKS = 20


class Watched:
    """A session over WHEP, whose pictures carry numbers and whose sound is written down."""

    def __init__(self, avatar: Path) -> None:
        cast, self.identity = cast_of(avatar, ViewConfig())
        talker = cast()
        compute_on(drawing_threads(talker.avatar.kind, 0))
        leaving, draw = Leaving(self.identity), talker.draw

        def numbered(moments, view=None):
            self._number = round(moments[0].time_s * talker.fps)
            return draw(moments, view)

        talker.draw = numbered
        self.session = LiveSession(talker, leaving=lambda rgb: stamp(leaving(rgb), self._number), report=print)
        self.heard: dict[int, np.ndarray] = {}
        self.session.on_moment = lambda moment, _frame: self.heard.__setitem__(
            round(moment.time_s * talker.fps), moment.samples.copy()
        )
        self.peers = Peers(self.session, label=False, mic=True)
        config = uvicorn.Config(Router(whep_routes(self.peers)), port=0, log_level="warning")
        self._server = uvicorn.Server(config)

    def __enter__(self) -> Watched:
        self.session.start()
        threading.Thread(target=self._server.run, daemon=True).start()
        while not self._server.started:
            time.sleep(0.05)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/whep"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self.session.stop()

    def say(self, samples: np.ndarray, seconds: float) -> None:
        """Aloud, over and over."""
        source = PushSource("speech", audible=True, bounded=False, limit_s=seconds + 10)
        source.push(np.resize(samples, round(seconds * AUDIO_RATE)))
        source.close()
        self.session.play(source)

    def run(self, out: Path, seconds: float, speech: Path | None = None) -> dict[str, np.ndarray]:
        """What the other peer saw."""
        words = [
            sys.executable,
            "-m",
            "tools.bench.rtc.receiver",
            self.url,
            out,
            seconds,
            *(["--speak", speech] if speech else []),
        ]
        subprocess.run(list(map(str, words)), check=True)
        return dict(np.load(out))

    def track(self) -> tuple[int, np.ndarray]:
        """(first tick, [N] what was heard since)."""
        first, last = min(self.heard), max(self.heard)
        silent = np.zeros(TICK, np.float32)
        return first, np.concatenate([self.heard.get(n, silent) for n in range(first, last + 1)])


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--soak", type=float, default=0.0, help="minutes, afterwards")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    samples = read_audio(options.speech).samples
    with Watched(options.avatar) as watched, tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "seen.npz"
        watched.say(samples, options.seconds + 8)
        seen = watched.run(out, options.seconds)
        _tell_watching(watched, seen)
        if options.picture is not None:
            cv2.imwrite(str(options.picture), seen["last"][-1][:, :, ::-1])
        watched.session.interrupt()
        time.sleep(1.0)
        _tell_talking(watched, watched.run(out, options.seconds, options.speech), samples)
        if options.soak:
            print(f"soak, a peer a minute that speaks: memory before {rss_mb():.0f} MB")
            for minute in range(max(1, round(options.soak))):
                watched.heard.clear()
                seen = watched.run(out, 58.0, options.speech)
                pictures, latency = seen["pictures"], latency_ms(watched, seen, samples)[:, 1]
                told = f"{np.median(latency):.0f} ms" if len(latency) else "nothing said was seen"
                print(f"  {minute + 1}: {rss_mb():.0f} MB, microphone to last packet {told}, "
                      f"{(len(pictures) - 1) / np.ptp(pictures[:, 0]):.1f} pictures a second", flush=True)  # fmt: skip
        print(f"{watched.session.n_dropped} pictures dropped by the session")


def _tell_watching(watched: Watched, seen: dict[str, np.ndarray]) -> None:
    pictures = seen["pictures"]
    at_s, numbers = pictures[:, 0], pictures[:, 2].astype(int)
    print(f"first picture after {1e3 * (at_s[0] - seen['asked_s']):.0f} ms, {(numbers < 0).sum()} numbers unread")
    print(f"fps {(len(at_s) - 1) / (at_s[-1] - at_s[0]):.2f}, between pictures p95 "
          f"{1e3 * np.quantile(np.diff(at_s), 0.95):.0f} ms; {(np.diff(numbers) - 1).clip(0).sum()} of "
          f"{np.ptp(numbers) + 1} ticks without a picture, {watched.session.n_dropped} never drawn")  # fmt: skip
    skews = 1e3 * skew_s(watched, seen)
    print(f"skew ms: median {np.median(skews):+.1f}, p5 {np.quantile(skews, 0.05):+.1f}, p95 "
          f"{np.quantile(skews, 0.95):+.1f}, of {len(skews)} pairs of reports")  # fmt: skip
    reader = MarkReader()
    for rgb in seen["last"]:
        reader.add(rgb)
    found, one = reader.read(), MarkReader()
    one.add(seen["last"][-1])
    single = one.read(search=False)
    print(f"mark {watched.identity.avatar_id}: of {len(seen['last'])} pictures {found and found.payload.hex()}, "
          f"of one alone {single and single.payload.hex()}")  # fmt: skip


def skew_s(watched: Watched, seen: dict[str, np.ndarray]) -> np.ndarray:
    """[pairs] by how much pictures are later than their sound, of every pair of neighbouring sender reports."""
    first, said = watched.track()
    heard = resample_poly(_without_gaps(seen), 1, 3)
    lag = int(np.argmax(correlate(heard, said, "full", "fft"))) - (len(said) - 1)  # heard[i] is said[i - lag]
    good = seen["pictures"][:, 2] >= 0
    pts, numbers = seen["pictures"][good, 1], seen["pictures"][good, 2]
    zero = np.median(pts - numbers * 3600)  # 90 kHz ticks of number 0
    video, audio = seen["video_reports"].astype(np.int64), seen["audio_reports"].astype(np.int64)
    first_pts = seen["sound"][0, 1]
    # The media time of a report, in seconds since tick 0, on either side.
    video_s = ((video[:, 1] - int(seen["first"][0])).astype(np.int32) - zero) / 90_000
    rtp = (audio[:, 1] - int(seen["first"][1])).astype(np.int32) - first_pts
    audio_s = (rtp / 3 - lag) / AUDIO_RATE + first / 25

    def ntp_s(values):
        return values.astype(np.uint64).astype(np.float64) / 2**32

    of_video, of_audio = ntp_s(video[:, 0]) - video_s, ntp_s(audio[:, 0]) - audio_s
    return np.array(
        [
            v - of_audio[np.argmin(np.abs(ntp_s(audio[:, 0]) - t))]
            for v, t in zip(of_video, ntp_s(video[:, 0]), strict=True)
        ]
    )


def _without_gaps(seen: dict[str, np.ndarray]) -> np.ndarray:
    """What was heard, each piece where its timestamp says: lost ones are silence."""
    pieces = seen["samples"].reshape(len(seen["sound"]), -1)
    begins = (seen["sound"][:, 1] - seen["sound"][0, 1]).astype(int)
    whole = np.zeros(begins.max() + pieces.shape[1], np.float32)
    for begin, piece in zip(begins, pieces, strict=True):
        whole[begin : begin + len(piece)] = piece
    return whole


def latency_ms(watched: Watched, seen: dict[str, np.ndarray], speech: np.ndarray) -> np.ndarray:
    """[N,2]: lag of what pictures show behind the microphone, until they are handed on and until their last packet
    came, by correlation of windows around each.
    """
    rows = [np.zeros((0, 2))]
    for at_s, _, number, came_s in seen["pictures"]:
        window = [watched.heard.get(int(number) + i) for i in range(-_WINDOW_TICKS, 1)]
        if number < 0 or any(one is None for one in window):
            continue
        shown = np.concatenate(window)
        if np.sqrt((shown**2).mean()) < 0.02:
            continue
        spoken_s = at_s - seen["microphone_s"]  # the window's end was spoken within the last second of this
        end = round(spoken_s * AUDIO_RATE)
        reach = np.take(speech, range(end - AUDIO_RATE - len(shown), end), mode="wrap")
        best = int(np.argmax(correlate(reach, shown, "valid", "fft")))
        begin = end - AUDIO_RATE - len(shown) + best + len(shown) - TICK  # of the picture's own tick
        lag_s = spoken_s - begin / AUDIO_RATE
        rows.append(1e3 * np.array([[lag_s, lag_s - (at_s - came_s)]]))
    return np.concatenate(rows)


def _tell_talking(watched: Watched, seen: dict[str, np.ndarray], speech: np.ndarray) -> None:
    latency, came = latency_ms(watched, seen, speech).T
    at_s = seen["pictures"][:, 0]
    print(f"microphone -> picture ms: median {np.median(latency):.0f}, p95 {np.quantile(latency, 0.95):.0f}, "
          f"{len(latency)} pictures of speech; fps {(len(at_s) - 1) / (at_s[-1] - at_s[0]):.2f}")  # fmt: skip
    print(f"  until its last packet came: median {np.median(came):.0f}, p95 {np.quantile(came, 0.95):.0f} "
          "(aiortc's receiver hands a picture on when the next one begins)")  # fmt: skip


def rss_mb() -> float:
    """Of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main()

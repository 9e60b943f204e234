"""Attacks what strangers can reach, and prints a table: attack, what it did once, what it does now.

    python tools/check/robustness/attacks.py [--only NAME,NAME] [--seconds 30] [--json OUT.json]

Floods run against a live server in a process of its own and are bounded: at most 5 % of a core and 64 MB beyond what
the server takes for a page that looks, the log stays small, and an honest visitor gets the page within five seconds.
The other rows are tests.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from tools.check.robustness.floods import (  # noqa: E402
    Attack,
    asking,
    flood,
    framing,
    get,
    holding,
    packed,
    raw_frame,
    telling,
)
from tools.check.robustness.rows import Outcome, print_rows, run_rows  # noqa: E402
from tools.check.robustness.strangers import tests  # noqa: E402

MOST_CORE, MOST_MB, MOST_LOG_KB, MOST_WAIT_S = 0.05, 64.0, 20.0, 5.0
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "x" * 22 + "==",
}
CAMERA = packed(
    "ViewerCameraMessage", wxyz=[1, 0, 0, 0], position=[0, 0, 3], fov=1.0, near=0.1, far=9.0, image_height=9,
    image_width=9, look_at=[0, 0, 0], up_direction=[0, 1, 0],
)  # fmt: skip
Check = Callable[[Path, float], Outcome]


def flooded(attack: Attack, *, tls: bool = False, **options: object) -> Check:
    """A flood, and whether it stayed within bounds."""

    def check(folder: Path, seconds: float) -> Outcome:
        given = dict(options)
        if tls:
            files = {name: str(folder / f"{name}.pem") for name in ("tls_key", "tls_cert")}
            command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x"]
            command += ["-keyout", files["tls_key"], "-out", files["tls_cert"]]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return None, "needs openssl"
            given |= files
        cost = flood(folder, attack, seconds, **given)
        bounded = cost.core <= MOST_CORE and cost.memory_mb <= MOST_MB and cost.log_kb <= MOST_LOG_KB
        told = f"{100 * cost.core:.1f} % of a core, {cost.memory_mb:.0f} MB, {cost.log_kb:.1f} kB of log; "
        told += f"the page after {cost.waited_s:.1f} s at worst, {cost.fps:.0f} pictures a second"
        return bounded and cost.alive and cost.waited_s <= MOST_WAIT_S, told if cost.alive else "the server died"

    return check


@dataclass(frozen=True)
class tested:
    """A test that runs the attack."""

    path: str
    which: str

    def __call__(self, folder: Path, _seconds: float) -> Outcome:
        return tests(self.path, self.which)(folder)


def update(slider: str, **updates: object) -> bytes:
    return packed("GuiUpdateMessage", uuid=slider, updates=updates)


def a_file(number: int, slider: str) -> bytes:
    if number == 0:
        return packed("FileTransferStartUpload", source_component_uuid=slider, transfer_uuid="t", filename="a",
                      mime_type="b", part_count=4000, size_bytes=2_000_000_000)  # fmt: skip
    return packed("FileTransferPart", source_component_uuid=slider, transfer_uuid="t", part_index=number,
                  content=bytes(524_288))  # fmt: skip


def say(text: str, voice: str) -> str:
    return json.dumps({"do": "say", "text": text, "voice": voice})


RECORDER, SESSION, GUARD = (
    f"tests/viewer/{x}.py" for x in ("live/test_recorder", "live/test_session_faults", "gui/test_guard")
)
GATE, SERVER, VOICE = "tests/hosting/test_gate.py", "tests/viewer/test_server.py", "tests/voice/test_synthesis.py"
BEGIN = json.dumps({"do": "begin"})
ROWS: list[tuple[str, str, str, Check]] = [
    ("voices", "names of voices that are none: `..`, 59 plus signs", "the server died", flooded(telling(
        "media", lambda n, _: say("hello", ("..", "+" * 59)[n % 2])))),
    ("voice-names", "the same, name by name", "a write past a C buffer", tested(VOICE, "no_voice or dies or hangs")),
    ("texts", "texts of 2000 letters, one after the other", "not tried", flooded(telling(
        "media", lambda *_: say("a" * 2000, "")))),
    ("pictographs", "a text that takes an hour to say", "not tried", tested(VOICE, "dies")),
    ("gaze", "gaze with three numbers, through the panel", "the live thread ended", tested(GUARD, "offers")),
    ("session", "a fault in the motion of one moment", "dead until restart", tested(SESSION, "anew")),
    ("height", "height 16000, through the panel", "5 GB in 12 s", flooded(telling(
        "viser/", lambda _, slider: update(slider, value="16000"), hello=CAMERA))),
    ("panel", "messages to the panel without end", "1.3 GB, kept", flooded(telling(
        "viser/", lambda n, slider: update(slider, value=n % 2), hello=CAMERA))),
    ("attributes", "attributes of controls, for everybody", "overwritten; 1.3 GB in 8 s", flooded(telling(
        "viser/", lambda n, slider: update(slider, **{f"a{n}": "x" * 1000}), hello=CAMERA))),
    ("guard", "the same, message by message", "overwritten", tested(GUARD, "")),
    ("upload", "a file of 2 GB", "taken", flooded(telling("viser/", a_file, hello=CAMERA))),
    ("file", "a file that kills its decoder", "would end the server",
     tested("tests/viewer/audio/test_strangers_file.py", "")),
    ("share", "a tunnel to an outside server", "opened", flooded(telling(
        "viser/", lambda *_: packed("ShareUrlRequest"), hello=CAMERA))),
    ("training", "any page reads `train --view`", "read", tested("tests/viewer/gui/test_training.py", "token")),
    ("page-left", "a recording whose page left", "went on", tested(RECORDER, "left")),
    ("full-disk", "a recording on a full disk", "told as saved", tested(RECORDER, "failure")),
    ("tags", "whose recording it is", "not said", tested(RECORDER, "whose or signed")),
    ("sigterm", "SIGTERM while recording", "lost", tested(RECORDER, "sigterm")),
    ("recordings", "recordings begun and ended without end", "not tried", flooded(telling(
        "media", lambda n, _: json.dumps({"do": "record", "on": n % 2 == 0})))),
    ("silent", "200 silent sockets", "shut out everybody", flooded(holding(b""))),
    ("slow", "200 half heads of requests", "shut out everybody", flooded(holding(b"GET / HT"))),
    ("handshakes", "200 TLS handshakes that never end", "not counted", flooded(holding(CLIENT_HELLO), tls=True)),
    ("unread", "200 pages that nobody reads", "not tried", flooded(holding(get("/viser/").encode()))),
    ("guesses", "tokens guessed", "18 000 in 5 s, 1.6 MB of log",
     flooded(asking(lambda n: get(f"/?token={n}")), token="right")),
    ("foreign", "sockets of a foreign page", "opened sessions", flooded(asking(lambda n: get(
        f"/s/x{n % 99}/media", Origin="https://evil.example", **UPGRADE)))),
    ("nowhere", "pages that are nowhere, below /s/", "opened sessions",
     flooded(asking(lambda n: get(f"/s/x{n % 99}/nothing")))),
    ("opens", "what is refused opens nothing", "opened sessions", tested(GATE, "opens_nothing")),
    ("begins", "/push: begin, begin, begin", "a core", flooded(telling("push", lambda *_: BEGIN))),
    ("empties", "/push: empty pieces", "a core", flooded(telling("push", lambda *_: b""))),
    ("pings", "/push: pings whose answers nobody reads", "grew without end", flooded(framing(
        "push", b"", raw_frame(9, b"x" * 100)))),
    ("fragments", "/push: a message of empty fragments", "grew without end", flooded(framing(
        "push", raw_frame(2, b"", last=False), raw_frame(0, b"", last=False)))),
    ("garbage", "garbage on the page's socket", "a line of log for each",
     flooded(telling("media", lambda *_: b"\0" * 64))),
    ("token", '`--token ""`; tokens with + & # ;', "no token; 401", tested(SERVER, "token")),
    ("suspended", "a server that was suspended", "replayed every tick", tested(SESSION, "suspended")),
    ("consent", 'consents such as ".", "I do not agree", invisible letters', "taken",
     tested("tests/marks/test_consent.py", "")),
    ("consent-of", "an avatar with somebody else's consent", "drawn", tested("tests/talk/test_load.py", "consent")),
    ("mark", "pictures without a mark after an upload", "no mark", tested("tests/marks/test_watermark.py", "")),
]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"rows, with commas between: {', '.join(name for name, *_ in ROWS)}")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each flood")
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()

    def timed(check: Check) -> Callable[[Path], Outcome]:
        return lambda folder: check(folder, options.seconds)

    todo = [(name, attack, before, timed(check)) for name, attack, before, check in ROWS]
    return print_rows(run_rows(todo, options.only), ("attack", "before", "now"), options.json)


if __name__ == "__main__":
    sys.exit(main())

"""The page of `gtalk export --format web`, measured in Chromium: size, first picture, likeness, time, memory.

python -m tools.bench.page AVATAR [--frames 50] [--soak 45000]
"""

from __future__ import annotations

import argparse
import base64
import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.export.web.message import expression_weights, frame_numbers
from gtalk.export.web.site import idle_motion, write_site
from gtalk.rig.expression import parse
from gtalk.talk import load_character
from gtalk.talk.orbit import orbit_camera
from gtalk.types import Motion
from gtalk.viewer.live.stats import resident_mb
from tools.check.browser import Browser

EXPRESSIONS = ("", "happy:0.7", "surprised", "sad:0.8", "angry", "disgusted:0.8", "jawOpen:0.6", "eyeBlinkLeft",
               "mouthPucker", "happy:0.5+surprised:0.5")  # fmt: skip
SOAK_PARTS, SOAK_AT_ONCE = 6, 250
ELEMENT = "document.querySelector('gtalk-avatar')"
SETUP = f"""(async () => {{
  const {{ orbit }} = await import('/pose.js'), avatar = {ELEMENT}, canvas = avatar.shadowRoot.querySelector('canvas');
  avatar.inView = false;
  const {{ pivot_m, up, camera: {{ width, height }} }} = avatar.header;
  window.drawn = (row, yaw, pitch, behind) => {{
    Object.assign(canvas, {{ width, height }});
    const begun = performance.now();
    const view = {{ T_new_own: orbit(yaw, pitch, 1, pivot_m, up), background: behind }};
    const took = avatar.renderer.draw(Float32Array.from(row), view);
    const image = canvas.toDataURL('image/png');
    return {{ image, took, whole: performance.now() - begun }};
  }};
  window.soak = async (rows, times) => {{
    const {{ gl }} = avatar.renderer;
    // All that JavaScript does and uploads, without the pixels: those take a processor a tenth of a second each.
    gl.drawArrays = gl.drawArraysInstanced = () => {{}};
    for (let i = 0; i < times; i++)
      avatar.renderer.draw(rows[i % rows.length], {{ T_new_own: orbit(0.1 * Math.sin(i), 0, 1, pivot_m, up) }});
    gl.finish();
  }};
}})()"""


FIRST = f"""new Promise((resolve) => {{
  const look = () => {{
    const {{ renderer, drawTimes }} = {ELEMENT};
    if (!drawTimes?.length) return void setTimeout(look, 5);
    const {{ gl }} = renderer;
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));  // waits until it is drawn
    const [poster] = performance.getEntriesByType('resource').filter(({{ name }}) => name.endsWith('poster.jpg'));
    resolve([poster?.responseEnd ?? NaN, performance.now()]);
  }};
  look();
}})"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A static host."""

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder on a free port."""
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def moving(folder: Path, frames: int, idle: Motion) -> Motion:
    """Frames of the clip where the avatar holds it, expressions on top."""
    tracked = folder / "dataset" / "motion.npz"
    motion = Motion.load(tracked) if tracked.is_file() else idle
    chosen = [motion[int(i)] for i in np.linspace(0, len(motion) - 1, frames)]
    weights = [parse(EXPRESSIONS[i % len(EXPRESSIONS)] or "neutral").vector()[None] for i in range(frames)]
    return Motion.concatenate(
        [m.replace(channels={"expression": w.astype(np.float32)}) for m, w in zip(chosen, weights, strict=True)]
    )


def likeness(page: Browser, avatar: GaussianAvatar, motion: Motion) -> None:
    """Print how near the page's pictures come to the Talker's."""
    away_m = float((avatar.camera.T_camera_world @ avatar.pose_code.T_world_mean)[2, 3])
    T_world_camera = np.linalg.inv(avatar.camera.T_camera_world)
    pivot = T_world_camera[:3, 3] + T_world_camera[:3, 2] * away_m
    rows = np.concatenate([frame_numbers(avatar, motion), expression_weights(motion)], 1)
    found, off, took = [], [], []
    for index, row in enumerate(rows):
        turn = (0.0, np.deg2rad(10.0), -np.deg2rad(10.0))[index // 10 % 3]
        camera = orbit_camera(avatar.camera, pivot, turn, 0.0, 1.0)
        rgb, alpha = (value[0].numpy() for value in avatar.render_bytes(motion[index], camera))
        given = f"[{','.join(f'{v:.8g}' for v in row)}]"
        seen, coverage = (image_of(page, f"drawn({given}, {turn}, 0, {b})", took) for b in ("'plate'", "null"))
        found.append(10 * np.log10(255**2 / np.square(seen[..., 2::-1].astype(float) - rgb).mean()))
        off.append(np.abs(coverage[..., 3].astype(int) - alpha).mean())
    times = np.array(took[4:])
    print(f"{len(rows)} pictures: at least {min(found):.1f} dB, median {np.median(found):.1f}")
    print(f"alpha off by {max(off):.2f} levels at most, in the mean of a picture")
    print(f"JavaScript {np.median(times[:, 0]):.1f} ms a frame (95 %: {np.percentile(times[:, 0], 95):.1f})")
    for first, name in enumerate(EXPRESSIONS[: len(found)]):
        print(f"  {name or 'speech alone':24} {min(found[first :: len(EXPRESSIONS)]):.1f} dB")


def soak(page: Browser, rows: np.ndarray, frames: int) -> None:
    """Print the memory of JavaScript and of the browser's processes while frames are drawn as fast as they go."""
    listed = ",".join(f"[{','.join(f'{v:.6g}' for v in row)}]" for row in rows)
    page.run(f"window.rows = [{listed}].map((row) => Float32Array.from(row)); 0")
    used = []
    for _ in range(SOAK_PARTS):
        for _ in range(frames // SOAK_PARTS // SOAK_AT_ONCE):
            page.run(f"soak(rows, {SOAK_AT_ONCE})")
        page.call("HeapProfiler.collectGarbage")
        used.append((page.call("Runtime.getHeapUsage")["usedSize"] / 1e6, resident_of_family_mb(page.pid)))
    print("memory of JavaScript, of the browser, MB:", ", ".join(f"{heap:.1f} {whole:.0f}" for heap, whole in used))


def resident_of_family_mb(pid: int) -> float:
    """Resident memory of a process and all that it started."""
    parents = {int(path.parent.name): int(path.read_text().rpartition(")")[2].split()[1])
               for path in Path("/proc").glob("[0-9]*/stat")}  # fmt: skip
    family, grown = {pid}, True
    while grown:
        grown = {child for child, parent in parents.items() if parent in family} - family
        family |= grown
    return sum(resident_mb(member) for member in family)


def image_of(page: Browser, script: str, took: list[tuple[float, float]]) -> np.ndarray:
    """What a script drew, BGR or BGRA."""
    answer = page.run(script)
    took.append((answer["took"], answer["whole"]))
    data = np.frombuffer(base64.b64decode(answer["image"].partition(",")[2]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


def main() -> None:
    """Measure one avatar's page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--soak", type=int, default=0, help="frames as fast as they go; 45000 are half an hour")
    asked = parser.parse_args()
    character = load_character(asked.avatar)
    assert isinstance(character.avatar, GaussianAvatar)
    idle, unmarked = idle_motion(character), replace(character.identity, watermark=False)
    with TemporaryDirectory() as made:
        folder = Path(made) / "site"
        write_site(character.avatar, folder, unmarked, idle)
        sizes = {name: (folder / name).stat().st_size for name in ("avatar.bin", "idle.gtm")}
        print(", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sizes.items()), asdict(unmarked)["person"])
        with served(folder) as address:
            page = Browser(size=(560, 800))
            try:
                page.open(address)
                page.wait(f"!!{ELEMENT}", 60)
                still, moving_ms = page.run(FIRST)
                print(f"still picture after {still / 1000:.2f} s, first one that moves after {moving_ms / 1000:.2f} s")
                page.run(SETUP)
                motion = moving(asked.avatar, asked.frames, idle)
                likeness(page, character.avatar, motion)
                if asked.soak:
                    rows = np.concatenate([frame_numbers(character.avatar, motion), expression_weights(motion)], 1)
                    soak(page, rows[:10], asked.soak)
            finally:
                page.close()


if __name__ == "__main__":
    main()

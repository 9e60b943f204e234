"""What public viewers of Gaussian splats show of an avatar's exports, beside our own picture, in a headless Chromium.

    python tools/check/viewers.py AVATAR [--out FOLDER] [--packages FOLDER] [--only NAME]

The viewers come from the npm registry while it runs, in the versions of PACKAGES; nothing of them is kept here. Each
opens the file as it is, from the clip's camera, before black; the picture is compared with `Avatar.render` of the same
frame. FOLDER gets the pictures. The camera is in the file's axes: x right, y down, z away for ply and splat, else y up.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from gtalk.avatar.gaussian import GaussianAvatar  # noqa: E402
from gtalk.export.ply import write_ply  # noqa: E402
from gtalk.export.splats import write_splat, write_splats_glb, write_spz  # noqa: E402
from gtalk.export.web.site import idle_motion  # noqa: E402
from gtalk.geometry.rotation import FLIP  # noqa: E402
from gtalk.talk import load_character  # noqa: E402
from gtalk.types import Camera, Motion  # noqa: E402
from tools.bench.page import served  # noqa: E402
from tools.check.browser import Browser  # noqa: E402

PACKAGES = {
    "three": "0.180.0",
    "@mkkellogg/gaussian-splats-3d": "0.4.7",
    "@sparkjsdev/spark": "2.2.0",
    "babylonjs": "9.35.0",
    "babylonjs-loaders": "9.35.0",
}
WRITERS = {"ply": write_ply, "splat": write_splat, "spz": write_spz, "splats.glb": write_splats_glb}
Y_DOWN = ("ply", "splat")
"""Files whose axes are x right, y down, z away; the others have y up."""
PAGE = """<!doctype html><meta charset="utf-8"><title>{viewer}</title>
<style>body {{ margin: 0; background: #000; }} canvas {{ display: block; }}</style>
<script type="importmap">{{ "imports": {{ "three": "./node_modules/three/build/three.module.js",
  "three/addons/": "./node_modules/three/examples/jsm/", "fflate": "./node_modules/fflate/esm/browser.js",
  "splats": "./node_modules/@mkkellogg/gaussian-splats-3d/build/gaussian-splats-3d.module.js",
  "spark": "./node_modules/@sparkjsdev/spark/dist/spark.module.js" }} }}</script>
<canvas width="{width}" height="{height}"></canvas>
<script type="module">
const asked = {asked}, canvas = document.querySelector("canvas");
try {{ {script} }} catch (error) {{ window.failed = String(error.stack ?? error); }}
</script>"""
THREE = """
const THREE = await import("three");
const renderer = new THREE.WebGLRenderer({ canvas, antialias: false, preserveDrawingBuffer: true, alpha: false });
renderer.setPixelRatio(1); renderer.setSize(asked.width, asked.height, false); renderer.setClearColor(0x000000, 1);
const scene = new THREE.Scene(), camera = new THREE.PerspectiveCamera();
camera.matrixAutoUpdate = false;
camera.matrix.fromArray(asked.placed).decompose(camera.position, camera.quaternion, camera.scale);
camera.matrixWorld.copy(camera.matrix); camera.matrixWorldInverse.copy(camera.matrix).invert();
camera.fov = asked.fov; camera.aspect = asked.width / asked.height; camera.near = 0.05; camera.far = 50;
camera.updateProjectionMatrix = () => {
  camera.projectionMatrix.fromArray(asked.projection);
  camera.projectionMatrixInverse.copy(camera.projectionMatrix).invert();
};
camera.updateProjectionMatrix();
const again = () => new Promise((resolve) => setTimeout(resolve, 120));
"""
SPLATS_3D = (
    THREE
    + """
renderer.outputColorSpace = THREE.LinearSRGBColorSpace;  // it hands colours on as the file has them
const GS = await import("splats");
const viewer = new GS.DropInViewer({ gpuAcceleratedSort: false, sharedMemoryForWorkers: false, integerBasedSort: false,
  sceneRevealMode: GS.SceneRevealMode.Instant, sphericalHarmonicsDegree: 0, logLevel: GS.LogLevel.None });
scene.add(viewer);
await viewer.addSplatScene(asked.file, { showLoadingUI: false, splatAlphaRemovalThreshold: 0 });
for (let i = 0; i < 20; i++) { renderer.render(scene, camera); await again(); }
window.drawn = () => { renderer.render(scene, camera); return canvas.toDataURL(); };
"""
)
SPARK = (
    THREE
    + """
const { SparkRenderer, SplatMesh } = await import("spark");
const spark = new SparkRenderer({ renderer });
scene.add(spark);
const mesh = new SplatMesh({ url: asked.file });
await mesh.initialized;
scene.add(mesh);
for (let i = 0; i < 20; i++) { renderer.render(scene, camera); await again(); }
window.drawn = () => { renderer.render(scene, camera); return canvas.toDataURL(); };
"""
)
BABYLON = """
for (const name of ["babylonjs/babylon.js", "babylonjs-loaders/babylonjs.loaders.js"])
  await new Promise((resolve, reject) => {
    const script = document.createElement("script");
    document.head.append(Object.assign(script, { src: `node_modules/${name}`, onload: resolve, onerror: reject }));
  });
const engine = new BABYLON.Engine(canvas, false, { preserveDrawingBuffer: true }), scene = new BABYLON.Scene(engine);
scene.useRightHandedSystem = true; scene.clearColor = new BABYLON.Color4(0, 0, 0, 1);
const camera = new BABYLON.FreeCamera("camera", BABYLON.Vector3.Zero(), scene);
camera.minZ = 0.05; camera.maxZ = 50;
const placed = BABYLON.Matrix.FromArray(asked.placed);
camera.position = placed.getTranslation();
camera.rotationQuaternion = BABYLON.Quaternion.FromRotationMatrix(BABYLON.Matrix.FromArray(asked.turned));
camera.freezeProjectionMatrix(BABYLON.Matrix.FromArray(asked.projection));
camera.fov = asked.fov * Math.PI / 180;
await BABYLON.AppendSceneAsync(asked.file, scene);
for (let i = 0; i < 20; i++) { scene.render(); await new Promise((resolve) => setTimeout(resolve, 120)); }
window.drawn = () => { scene.render(); return canvas.toDataURL(); };
"""


@dataclass(frozen=True)
class Viewer:
    """A public viewer and what it opens."""

    name: str
    package: str
    script: str
    opens: tuple[str, ...]


VIEWERS = (
    Viewer("GaussianSplats3D", "@mkkellogg/gaussian-splats-3d", SPLATS_3D, ("ply", "splat")),
    Viewer("Spark", "@sparkjsdev/spark", SPARK, ("ply", "splat", "spz")),
    Viewer("Babylon.js", "babylonjs", BABYLON, ("splats.glb",)),
)


def installed(folder: Path) -> dict[str, str]:
    """Have the viewers there; the version of each."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules" / "babylonjs").is_dir():
        (folder / "package.json").write_text('{"private": true}')
        words = [f"{name}@{version}" for name, version in PACKAGES.items()]
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *words], cwd=folder, check=True
        )
    found = {name: json.loads((folder / "node_modules" / name / "package.json").read_text()) for name in PACKAGES}
    return {name: facts["version"] for name, facts in found.items()}


def asked_of(camera: Camera, file: str) -> dict[str, object]:
    """The clip's camera for a viewer: placed as OpenGL has it (columns in a row), in the axes of the file."""
    axes = np.eye(4)
    if file.split(".", 1)[1] in Y_DOWN:
        axes[:3, :3] = FLIP
    T_file_camera = axes @ np.linalg.inv(camera.T_camera_world) @ np.diag([1.0, -1.0, -1.0, 1.0])
    near, far, width, height = 0.05, 50.0, camera.width, camera.height
    projection = np.zeros((4, 4))
    projection[0, 0], projection[1, 1] = 2 * camera.focal_px / width, 2 * camera.focal_px / height
    projection[0, 2], projection[1, 2] = 1 - 2 * camera.cx_px / width, 2 * camera.cy_px / height - 1
    projection[2] = [0, 0, (far + near) / (near - far), 2 * far * near / (near - far)]
    projection[3, 2] = -1.0
    turned = np.eye(4)
    turned[:3, :3] = T_file_camera[:3, :3]
    fov = float(np.degrees(2 * np.arctan(height / 2 / camera.focal_px)))
    matrices = {"placed": T_file_camera, "turned": turned, "projection": projection}
    return {"file": file, "width": width, "height": height, "fov": fov,
            **{name: matrix.T.ravel().tolist() for name, matrix in matrices.items()}}  # fmt: skip


def seen(browser: Browser, address: str, folder: Path, viewer: Viewer, asked: dict[str, object]) -> np.ndarray:
    """What a viewer shows [H,W,3] RGB."""
    page = PAGE.format(viewer=viewer.name, width=asked["width"], height=asked["height"], asked=json.dumps(asked),
                       script=viewer.script)  # fmt: skip
    (folder / "page.html").write_text(page)
    browser.open(f"{address}page.html")
    browser.wait("!!(window.drawn || window.failed)", 120)
    if why := browser.run("window.failed ?? ''"):
        raise RuntimeError(f"{viewer.name}: {why}")
    data = base64.b64decode(browser.run("window.drawn()").partition(",")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def check(avatar: GaussianAvatar, motion: Motion, folder: Path, out: Path | None, only: str = "") -> None:
    """Print a row for every viewer and file."""
    versions, camera = installed(folder), avatar.camera
    black = np.zeros((camera.height, camera.width, 3), np.uint8)
    ours = avatar.render(motion, background=black).rgb[0].cpu().numpy()
    ours = np.rint(255 * np.clip(ours, 0, 1)) if ours.dtype != np.uint8 else ours.astype(float)
    for kind, write in WRITERS.items():
        write(avatar, folder / f"me.{kind}", motion)
    save(out, "ours", ours)
    with served(folder) as address:
        browser = Browser(size=(camera.width + 80, camera.height + 80))
        try:
            for viewer in (one for one in VIEWERS if only in one.name):
                for kind in viewer.opens:
                    try:
                        shown = seen(browser, address, folder, viewer, asked_of(camera, f"me.{kind}"))
                    except RuntimeError as error:
                        print(f"{viewer.name} {versions[viewer.package]:8} {kind:10} {error}", flush=True)
                        continue
                    error = np.square(shown.astype(float) - ours).mean()
                    size = (folder / f"me.{kind}").stat().st_size / 1e6
                    print(f"{viewer.name} {versions[viewer.package]:8} {kind:10} {size:4.1f} MB  "
                          f"{10 * np.log10(255**2 / max(error, 1e-9)):5.1f} dB", flush=True)  # fmt: skip
                    save(out, f"{viewer.name}-{kind}", shown)
        finally:
            browser.close()


def save(out: Path | None, name: str, rgb: np.ndarray) -> None:
    """Keep a picture where they are wanted."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(out / f"{name}.png"), rgb[..., ::-1].astype(np.uint8))


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--out", type=Path, help="folder for the pictures")
    parser.add_argument("--packages", type=Path, help="folder in which the viewers are kept for the next time")
    parser.add_argument("--only", default="", help="viewers whose name has this in it")
    given = parser.parse_args()
    character = load_character(given.avatar)
    assert isinstance(character.avatar, GaussianAvatar), "a radiance field holds no Gaussians"
    motion = idle_motion(character)[0]
    with TemporaryDirectory() as made:
        check(character.avatar, motion, given.packages or Path(made), given.out, given.only)


if __name__ == "__main__":
    main()

"""The zoo: the demo person in other guises, prepared, fitted for a short while and measured against exact truth.

    python tools/bench/fit/zoo.py [NAME ...] [--frames 50] [--size 256] [--steps 150] [--folder out/zoo] [--sheet FILE]
                                  [--again]

Cut-outs of the person are rendered once and kept in the folder; each guise (demo_person/variants.py) is made of them,
written as H.264 and given to `gtalk prepare` and a fit of Gaussians. Rows are kept in the folder too, and made anew
only with other numbers of frames, pixels or steps, or with --again. Printed for each, as a table in Markdown:

    landmarks   median distance of the detected points from the true ones, in shares of the face's height
    found       share of frames in which the face was found
    person      intersection over union of the matte, at one half, with the true coverage
    outline     mean error of the matte where the true coverage lies between 0.02 and 0.98, levels of 255
    head, full  PSNR of held-out frames of the fit, dB, of the head's box and of the whole
    said        the report's verdict and what it complains of, short lengths aside; or the refusal
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from demo_person.cutout import Cutout, cut_out
from demo_person.truth import load_truth
from demo_person.variants import VARIANTS, Variant
from gtalk.avatar.base import Consent
from gtalk.avatar.bundle import load_avatar
from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.dataset.format import Dataset
from gtalk.dataset.split import train_test_split
from gtalk.errors import UserError
from gtalk.eval.frames import Truth
from gtalk.eval.image import in_box, psnr
from gtalk.files import atomic_path
from gtalk.fit.run import fit, load_config
from gtalk.media.audio import read_audio
from gtalk.media.output.writer import WriteConfig, write_video
from gtalk.prepare.pipeline import prepare
from gtalk.topology import FACE_OVAL, LANDMARKS68
from gtalk.types import AUDIO_RATE, VIDEO_FPS, AudioTrack

DEMO = Path("data/demo")
COUNT = 5000  # Gaussians
SHORT = ("s long", "is short for learning", "s of silence", "hardly a blink", "focal length", "head turns over")
"""What is said of every clip of some seconds."""
CONSENT = Consent("gtalk demo person", "The demo person is synthetic; nobody's likeness is used.")


@dataclass(frozen=True)
class Row:
    """What came of one guise; None where nothing did."""

    name: str
    landmarks: float | None = None
    found: float | None = None
    person: float | None = None
    outline: float | None = None
    head: float | None = None
    full: float | None = None
    said: str = ""
    seconds: float = 0.0

    def words(self) -> str:
        """A line of the table."""
        cells = [
            self.name,
            *("-" if v is None else f"{v:.1%}" for v in (self.landmarks, self.found)),
            *("-" if v is None else form.format(v) for v, form in (
                (self.person, "{:.3f}"), (self.outline, "{:.0f}"), (self.head, "{:.1f}"), (self.full, "{:.1f}"))),
            self.said,
        ]  # fmt: skip
        return "| " + " | ".join(cells) + " |"


def cutouts(folder: Path, count: int, size: int, step: int) -> list[Cutout]:
    """Every `step`-th frame of the demo clip without its room; from the folder where they were made before."""
    kept = folder / f"cutouts_{size}_{count}_{step}.npz"
    if not kept.exists():
        made = []
        for cutout in cut_out(load_truth(DEMO).performance, range(0, count * step, step), size):
            made.append(cutout)
            print(f"\rcut out {len(made)}/{count} ", end="", file=sys.stderr, flush=True)
        arrays = {field.name: np.stack([getattr(c, field.name) for c in made]) for field in dataclasses.fields(Cutout)}
        arrays["rgb"], arrays["alpha"] = arrays["rgb"].astype(np.uint8), np.rint(255 * arrays["alpha"]).astype(np.uint8)
        np.savez_compressed(kept, **arrays)
    with np.load(kept) as file:
        arrays = dict(file)
    return [
        Cutout(rgb.astype(np.float32), alpha.astype(np.float32) / 255, points, pose)
        for rgb, alpha, points, pose in zip(*(arrays[f.name] for f in dataclasses.fields(Cutout)), strict=True)
    ]


def run(variant: Variant, people: Sequence[Cutout], folder: Path, steps: int) -> Row:
    """Make the clip, prepare and fit it, and measure."""
    name = folder_name(variant)
    clip, home = folder / f"{name}.mp4", folder / name
    shown = [variant.show(cutout, number) for number, cutout in enumerate(people)]
    sound = read_audio(DEMO / "clip.mp4").samples[: round(len(people) / VIDEO_FPS * AUDIO_RATE)]
    write_video(clip, [rgb for rgb, _ in shown], VIDEO_FPS, AudioTrack(sound), config=WriteConfig(crf=14))
    began = time.perf_counter()
    shutil.rmtree(home, ignore_errors=True)
    try:
        dataset = prepare([clip], home / "data")
        row = measured(variant.name, dataset, [true for _, true in shown])
        config = load_config("gaussian", "cpu")
        avatar = dataclasses.replace(config.avatar, count=COUNT)
        trainer = dataclasses.replace(
            config.trainer, size=min(256, dataset.size[1]), steps=steps, preview_every=0, checkpoint_every=0
        )
        for _ in fit(
            dataset.root,
            home / "avatar",
            "gaussian",
            dataclasses.replace(config, avatar=avatar, trainer=trainer),
            CONSENT,
        ):
            pass
        head, full = held_out(home / "avatar", dataset)
        return dataclasses.replace(row, head=head, full=full, seconds=time.perf_counter() - began)
    except UserError as error:
        return Row(variant.name, said=f"refused: {error}", seconds=time.perf_counter() - began)


def kept_row(path: Path, key: list[int]) -> Row | None:
    """What was measured before in the same way."""
    if not path.exists():
        return None
    found = json.loads(path.read_text())
    return Row(**found["row"]) if found["key"] == key else None


def keep_row(path: Path, key: list[int], row: Row) -> None:
    """For `kept_row`."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"key": key, "row": dataclasses.asdict(row)}))


def folder_name(variant: Variant) -> str:
    """Of a guise."""
    return "_".join(variant.name.replace("%", "percent").replace(",", "").split())


def measured(name: str, dataset: Dataset, true: Sequence[Cutout]) -> Row:
    """Landmarks and mattes against the truth, and what the report says."""
    valid = np.flatnonzero(dataset.motion.valid)
    height = np.mean([np.ptp(cutout.points_px[FACE_OVAL][:, 1]) for cutout in true])
    off = [np.linalg.norm(dataset.points_px[i] - true[i].points_px, axis=1)[LANDMARKS68] for i in valid]
    both = either = 0
    outline = []
    for index, cutout in enumerate(true):
        matte = dataset.matte(index)
        found, wanted = matte > 127, cutout.alpha > 0.5
        both, either = both + int((found & wanted).sum()), either + int((found | wanted).sum())
        band = (cutout.alpha > 0.02) & (cutout.alpha < 0.98)
        outline.append(np.abs(matte[band] - 255.0 * cutout.alpha[band]).mean())
    verdict = dataset.manifest["verdict"]
    said = [text for text in verdict["problems"] if not any(short in text for short in SHORT)]
    return Row(
        name,
        float(np.median(off) / height),
        len(valid) / dataset.n_frames,
        both / max(either, 1),
        float(np.mean(outline)),
        said="; ".join(said) or "nothing",
    )


def held_out(folder: Path, dataset: Dataset) -> tuple[float, float]:
    """PSNR of head and whole, mean over the held-out frames."""
    avatar = load_avatar(folder)
    assert isinstance(avatar, GaussianAvatar)
    truth = Truth(dataset, dataset.camera.resized(avatar.camera.width, avatar.camera.height))
    scores = []
    for index in train_test_split(dataset)[1].tolist():
        pair = avatar.render_bytes(dataset.motion[index])[0][0].cpu().numpy(), truth.image(index)
        box = truth.boxes(index)["head"]
        scores.append((psnr(*(in_box(image, box) for image in pair)), psnr(*pair)))
    head, full = np.mean(scores, axis=0)
    return float(head), float(full)


def sheet(variants: Sequence[Variant], people: Sequence[Cutout], columns: int = 7) -> np.ndarray:
    """A picture of every guise."""
    cells = [variant.show(people[len(people) // 2], len(people) // 2)[0] for variant in variants]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these guises")
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--every", type=int, default=2, help="which frames of the demo clip")
    parser.add_argument("--size", type=int, default=256, help="pixels a side")
    parser.add_argument("--steps", type=int, default=150, help="of each fit")
    parser.add_argument("--folder", type=Path, default=Path("out/zoo"))
    parser.add_argument("--again", action="store_true", help="measure what was measured before")
    parser.add_argument("--sheet", type=Path, help="a picture of all guises (and nothing else is done)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    chosen = [variant for variant in VARIANTS if not options.names or variant.name in options.names]
    people = cutouts(options.folder, options.frames, options.size, options.every)
    if options.sheet:
        cv2.imwrite(str(options.sheet), cv2.cvtColor(sheet(chosen, people), cv2.COLOR_RGB2BGR))
        return
    print("| guise | landmarks | found | person | outline | head dB | full dB | said |\n" + "|---" * 8 + "|")
    began = time.perf_counter()
    key = [options.frames, options.every, options.size, options.steps]
    for variant in chosen:
        path = options.folder / f"{folder_name(variant)}.json"
        row = None if options.again else kept_row(path, key)
        if row is None:
            row = run(variant, people, options.folder, options.steps)
            keep_row(path, key, row)
        print(row.words(), flush=True)
    print(f"\n{len(chosen)} guises, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()

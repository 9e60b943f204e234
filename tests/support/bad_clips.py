"""Clips as people really send them: the demo person through real codecs, containers, rates and mishaps.

Every `Recipe` says how a clip is made and what is right to say about it; `write` makes the file, `Shown` says
what each of its instants shows. `hard_clips.py` prepares them all and prints a table;
tests/prepare/test_hard_clips.py checks them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np

from demo_person.truth import Truth, load_truth
from gtalk.media.audio import read_audio
from gtalk.types import AUDIO_RATE

DEMO = Path(__file__).resolve().parents[2] / "data" / "demo"
MOST_PICTURES = 250
SIDE = 256
"""The demo's images are shown at this size."""
CLOCK = 90_000
PLAIN = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@dataclass(frozen=True)
class Sound:
    """One sound track."""

    codec: str = "aac"
    rate: int = 48_000
    layout: str = "mono"
    start_s: float = 0.0
    silent: bool = False
    default: bool = True


@dataclass(frozen=True)
class Image:
    """What one image of a clip shows."""

    demo_frame: int
    T_clip_demo: np.ndarray = field(default_factory=lambda: PLAIN)
    """[2,3] from pixels of the demo at SIDE to pixels of the clip."""
    whole: bool = True
    """Whether the demo person's face is there with nothing before it."""
    mirrored: bool = False


Edit = Callable[[np.ndarray, Image, np.ndarray], np.ndarray]
"""(image, what it shows, true landmarks in its pixels) -> the image with something done to it."""


@dataclass(frozen=True)
class Recipe:
    """How a clip is made, and what should come of it."""

    name: str
    images: tuple[Image, ...]
    fps: float = 25.0
    times_s: tuple[float, ...] | None = None
    size: tuple[int, int] = (SIDE, SIDE)
    codec: str = "libx264"
    pixels: str = "yuv420p"
    options: tuple[tuple[str, str], ...] = (("crf", "16"), ("preset", "ultrafast"))
    rotation_deg: int = 0
    sounds: tuple[Sound, ...] = (Sound(),)
    sound_from_s: float = 0.0
    """Instant of the demo's sound that is heard with the first image."""
    edit: Edit | None = None
    says: str = ""
    """What the verdict must contain."""
    refused: str = ""
    """What the refusal must contain, where no dataset can come of it."""
    shots: int = 1

    def when_s(self) -> np.ndarray:
        """Instant of each image."""
        return np.array(self.times_s) if self.times_s is not None else np.arange(len(self.images)) / self.fps

    def shown(self, n_frames: int, fps: float) -> list[Image]:
        """What each frame of a dataset made from the clip should show."""
        times = self.when_s()
        return [self.images[int(np.abs(times - i / fps).argmin())] for i in range(n_frames)]


@cache
def demo() -> tuple[Truth, dict[int, np.ndarray]]:
    """(truth of the demo clip, its images that recipes use, at SIDE)."""
    images = {}
    with av.open(str(DEMO / "clip.mp4")) as file:
        for index, frame in zip(range(MOST_PICTURES), file.decode(video=0), strict=False):
            images[index] = frame.to_ndarray(format="rgb24", width=SIDE, height=SIDE, interpolation="AREA")
    return load_truth(DEMO), images


@cache
def demo_sound() -> np.ndarray:
    """The demo's speech at AUDIO_RATE."""
    return read_audio(DEMO / "clip.mp4").samples


def landmarks_px(shown: Image) -> np.ndarray:
    """[478,2] true landmarks in pixels of the clip."""
    truth = demo()[0]
    points = truth.points_px[shown.demo_frame] * (SIDE / truth.camera.width)
    if shown.mirrored:
        from gtalk.topology import MIRROR

        points = points[MIRROR] * [-1.0, 1.0] + [SIDE, 0.0]
    return points @ shown.T_clip_demo[:, :2].T + shown.T_clip_demo[:, 2]


def paint(recipe: Recipe, shown: Image) -> np.ndarray:
    """One image of a clip, [H,W,3]."""
    base = demo()[1][shown.demo_frame]
    base = base[:, ::-1] if shown.mirrored else base
    if recipe.size != (SIDE, SIDE) or (shown.T_clip_demo != PLAIN).any():
        matrix = shown.T_clip_demo.copy()
        matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5  # OpenCV's pixel centres are whole numbers
        base = cv2.warpAffine(np.ascontiguousarray(base), matrix, recipe.size, borderMode=cv2.BORDER_REPLICATE)
    image = np.array(base)  # a copy: edits must not reach the demo
    return recipe.edit(image, shown, landmarks_px(shown)) if recipe.edit is not None else image


def write(folder: Path, recipe: Recipe) -> Path:
    """Make the clip in `folder`."""
    path = folder / recipe.name
    with av.open(str(path), "w") as file:
        rate = Fraction(recipe.fps).limit_denominator(1001)
        video = file.add_stream(recipe.codec, rate=rate)
        upright = recipe.rotation_deg % 180 == 0
        video.width, video.height = recipe.size if upright else recipe.size[::-1]
        video.pix_fmt = recipe.pixels
        video.options = dict(recipe.options) if recipe.codec.startswith("libx26") else {}
        video.bit_rate = 3_000_000
        if recipe.rotation_deg:
            video.set_display_rotation(recipe.rotation_deg)
        clock = Fraction(1, CLOCK) if recipe.times_s is not None else 1 / rate
        video.codec_context.time_base = clock
        tracks = [(file.add_stream(s.codec, rate=s.rate, layout=s.layout), s) for s in recipe.sounds]
        for stream, sound in tracks:  # before the header, which the first packet writes
            stream.disposition = 1 if sound.default else 0
        for stream, sound in tracks:
            _write_sound(file, stream, sound, recipe)
        for shown, time_s in zip(recipe.images, recipe.when_s(), strict=True):
            # A display rotation of r degrees turns the stored image counter-clockwise.
            stored = np.ascontiguousarray(np.rot90(paint(recipe, shown), -recipe.rotation_deg // 90))
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24").reformat(format=recipe.pixels)
            frame.pts, frame.time_base = round(time_s / clock), clock
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        for stream, _ in tracks:
            file.mux(stream.encode(None))
    return path


def _write_sound(file, stream, sound: Sound, recipe: Recipe) -> None:
    """The demo's speech from `start_s` on, so that it stays with the images however late it begins."""
    times = recipe.when_s()
    count = round((times[-1] + 1 / recipe.fps - sound.start_s) * sound.rate)
    at = (recipe.sound_from_s + sound.start_s + np.arange(count) / sound.rate) * AUDIO_RATE
    samples = np.interp(at, np.arange(len(demo_sound())), demo_sound()).astype(np.float32) * (not sound.silent)
    data = np.repeat(samples[None], 2 if sound.layout == "stereo" else 1, axis=0)
    for start in range(0, count, 1024):
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(data[:, start : start + 1024]), format="fltp", layout=sound.layout
        )
        frame.sample_rate, frame.time_base = sound.rate, Fraction(1, sound.rate)
        frame.pts = start + round(sound.start_s * sound.rate)
        file.mux(stream.encode(frame))


def faces(start: int = 0, count: int = 45, **changes) -> tuple[Image, ...]:
    """Successive images of the demo."""
    return tuple(Image(start + i, **changes) for i in range(count))


def placed(scale: float, x: float, y: float) -> np.ndarray:
    """The demo's image enlarged and shifted."""
    return np.array([[scale, 0.0, x], [0.0, scale, y]])


def black(image: np.ndarray, shown: Image, points: np.ndarray) -> np.ndarray:
    """Nothing at all where the face is not whole."""
    return image if shown.whole else np.zeros_like(image)


def hand(image: np.ndarray, shown: Image, points: np.ndarray) -> np.ndarray:
    """A hand over mouth and chin where the face is not whole."""
    if shown.whole:
        return image
    unit = float(np.linalg.norm(points[263] - points[33])) / 10
    middle = points[[13, 14, 17, 152]].mean(0)
    colour, shade = (196, 142, 116), (150, 100, 80)
    for finger in range(4):
        y = middle[1] + (finger - 1.4) * 2.6 * unit
        ends = [(int(middle[0] - 6 * unit), int(y + unit)), (int(middle[0] + (7.5 - abs(finger - 1.5)) * unit), int(y))]
        cv2.line(image, ends[0], ends[1], shade, int(2.9 * unit), cv2.LINE_AA)
        cv2.line(image, ends[0], ends[1], colour, int(2.3 * unit), cv2.LINE_AA)
    palm = (int(middle[0] - 9 * unit), int(middle[1] + 3 * unit))
    cv2.ellipse(image, palm, (int(6 * unit), int(7 * unit)), 10, 0, 360, colour, -1, cv2.LINE_AA)
    return image


def glasses(image: np.ndarray, shown: Image, points: np.ndarray) -> np.ndarray:
    """Dark rims around both eyes."""
    unit = float(np.linalg.norm(points[263] - points[33])) / 10
    rims = [points[[33, 133]].mean(0), points[[263, 362]].mean(0)]
    for centre in rims:
        at, radii = (int(centre[0]), int(centre[1] + 0.4 * unit)), (int(2.6 * unit), int(2.0 * unit))
        cv2.ellipse(image, at, radii, 0, 0, 360, (30, 25, 25), max(1, round(0.4 * unit)), cv2.LINE_AA)
    bridge = [(int(r[0] + s * 2.6 * unit), int(r[1])) for r, s in zip(rims, (1, -1), strict=True)]
    cv2.line(image, bridge[0], bridge[1], (30, 25, 25), max(1, round(0.4 * unit)), cv2.LINE_AA)
    return image


def second_face(image: np.ndarray, shown: Image, points: np.ndarray) -> np.ndarray:
    """A smaller listener on the right."""
    other = cv2.resize(demo()[1][200][20:236, 20:200], (150, 180), interpolation=cv2.INTER_AREA)
    image[SIDE - 180 :, -150:] = other
    return image


def leaving(n_before: int, n_away: int, n_after: int) -> tuple[Image, ...]:
    """The face slides out of the image, stays away and comes back."""
    slide = 6
    out = [1.0] * n_away
    way = [0.0] * n_before + [(i + 1) / slide for i in range(slide)] + out
    way += [1 - (i + 1) / slide for i in range(slide)] + [0.0] * n_after
    return tuple(Image(i, placed(1.0, -1.2 * SIDE * share, 0.0), whole=share == 0.0) for i, share in enumerate(way))


IRREGULAR_S = tuple(np.cumsum([0.0, *np.tile([0.02, 0.05, 0.033, 0.06], 11)]).tolist())
CUT = (*faces(0, 25), *faces(200, 25, T_clip_demo=placed(1.3, -50.0, -20.0)))
HIDDEN = tuple(Image(i, whole=not 20 <= i < 34) for i in range(60))
DOUBLED = tuple(Image(int(i * 25 / 30 + 1e-6)) for i in range(150))
SOURCES = [
    Recipe("vfr.mkv", faces(0, len(IRREGULAR_S)), times_s=IRREGULAR_S, says="variable frame rate"),
    Recipe("23.976.mp4", faces(), fps=24000 / 1001),
    Recipe("29.97.mov", faces(), fps=30000 / 1001, sounds=(Sound(layout="stereo"),)),
    Recipe("50.mp4", faces(0, 80), fps=50.0),
    Recipe("60.mkv", faces(0, 90), fps=60.0, sounds=(Sound("flac", 44_100),)),
    Recipe("25_as_30.mp4", DOUBLED, fps=30.0, says="doubling"),
    Recipe("25_as_30_lossy.mp4", DOUBLED, fps=30.0, options=(("crf", "24"), ("preset", "veryfast")), says="doubling"),
    Recipe("rotated.mp4", faces(), rotation_deg=90),
    Recipe("portrait.mp4", faces(0, 30, T_clip_demo=placed(1080 / SIDE, 0.0, 500.0)), size=(1080, 1920)),
    Recipe("4k.mp4", faces(40, 30, T_clip_demo=placed(2160 / SIDE, 800.0, 0.0)), size=(3840, 2160), sound_from_s=1.6),
    Recipe("odd.mkv", faces(T_clip_demo=placed(0.98, 0.0, 0.0)), size=(251, 243), pixels="yuv444p"),
    Recipe("ten_bit.mkv", faces(), pixels="yuv420p10le"),
    Recipe("grey.mkv", faces(), codec="ffv1", pixels="gray", sounds=(Sound("flac"),)),
    Recipe("clip.mov", faces(), codec="mpeg4", sounds=(Sound("pcm_s16le"),)),
    Recipe("clip.webm", faces(), codec="libvpx", sounds=(Sound("libopus"),)),
    Recipe("clip.avi", faces(), codec="mpeg4", sounds=(Sound("pcm_s16le", 8_000),)),
    Recipe("two_tracks.mkv", faces(), sounds=(Sound(silent=True, default=False), Sound())),
    Recipe("silent_track.mkv", faces(), sounds=(Sound(silent=True), Sound(default=False)), says="track 2 is used"),
    Recipe("late_sound.mp4", faces(), sounds=(Sound(start_s=0.5),)),
    Recipe("no_sound.mp4", faces(), sounds=(), says="no sound"),
    Recipe("cut.mp4", CUT, shots=2),
    Recipe("black.mp4", HIDDEN, edit=black, says="no face in"),
    Recipe("hand.mp4", HIDDEN, edit=hand, says="before the mouth", shots=3),  # at once, as only edits are
    Recipe("leaving.mp4", leaving(30, 50, 30), says="no face in"),
    Recipe("two_faces.mp4", faces(), size=(SIDE + 150, SIDE), edit=second_face, says="another face"),
    Recipe("mirror.mp4", faces(mirrored=True)),
    Recipe("glasses.mp4", faces(), edit=glasses),
    Recipe("compressed.mp4", faces(), options=(("crf", "47"), ("preset", "ultrafast")), says="compression"),
    Recipe("nobody.mp4", tuple(Image(i, whole=False) for i in range(30)), edit=black, refused="expected a face"),
]

"""How well the invisible mark is read after what uploads do, how little it is seen, that nothing else has it.

    python tools/bench/mark.py --avatar ME [--avatar OTHER] --speech SPEECH [--seconds 60] [--json OUT.json]
    python tools/bench/mark.py --unmarked FILE [FILE ...] [--pictures 1000]
    python tools/bench/mark.py --avatar ME --speech SPEECH --picture OUT.png     a picture, marked, the difference x20

Pictures are drawn by the avatar, marked as they leave, treated, and read one by one (every tenth) and in windows of two
seconds (five of each).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

from gtalk.marks.leaving import Leaving
from gtalk.marks.reading import MarkReader, find, residue_of, strongest, threshold
from gtalk.media.audio import stream_audio
from gtalk.media.video import read_video
from gtalk.talk import Character, load_character

_EVERY, _WINDOW = 10, 50


def half(rgb: np.ndarray) -> np.ndarray:
    return cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def jpeg(rgb: np.ndarray) -> np.ndarray:
    data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


def crop(rgb: np.ndarray) -> np.ndarray:
    """80 % of either side, off the middle."""
    height, width = rgb.shape[:2]
    return np.ascontiguousarray(rgb[height // 9 :, width // 16 :][: height * 4 // 5, : width * 4 // 5])


TREATMENTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it left": lambda rgb: rgb, "half size": half, "JPEG 60": jpeg, "crop of 20 %": crop,
}  # fmt: skip


def drawn(character: Character, speech: Path, seconds: float) -> Iterator[np.ndarray]:
    """Pictures of an avatar that speaks, its speech repeated as long as is needed."""

    def sound() -> Iterator[np.ndarray]:
        while True:
            yield from stream_audio(speech)

    talker = character.talker()
    for frame in islice(talker.stream(sound()), round(seconds * talker.fps)):
        yield frame.rgb


class Tally:
    """How many of what was tried carried the right mark."""

    def __init__(self, avatar_id: str) -> None:
        self._id = avatar_id
        self._tried, self._right = defaultdict(int), defaultdict(int)
        self._strengths: dict[str, list[float]] = defaultdict(list)
        self._windows: dict[str, MarkReader] = defaultdict(MarkReader)

    def picture(self, treatment: str, number: int, rgb: np.ndarray) -> None:
        """Picture `number`, treated."""
        if number % _EVERY == 0:
            alone = MarkReader()
            alone.add(rgb)
            self._note(f"{treatment}, each picture", alone)
        window = self._windows[treatment]
        if number % _EVERY == 0:
            window.add(rgb)
        if number % _WINDOW == _WINDOW - 1:
            self._note(f"{treatment}, two seconds", window)
            del self._windows[treatment]

    def _note(self, what: str, reader: MarkReader) -> None:
        mark = reader.read()
        self._tried[what] += 1
        self._right[what] += mark is not None and mark.payload.hex() == self._id
        self._strengths[what].append(0.0 if mark is None else mark.strength)

    def rows(self) -> dict[str, dict[str, float]]:
        """By treatment."""
        return {what: {"tried": n, "read": self._right[what] / n, "strength": float(np.median(self._strengths[what]))}
                for what, n in self._tried.items()}  # fmt: skip


def measure(folder: Path, speech: Path, seconds: float) -> dict:
    """One avatar."""
    character = load_character(folder)
    leaving, tally = Leaving(character.identity), Tally(character.identity.avatar_id)
    errors, spent_s = [], []
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "a.mp4"
        with av.open(str(path), "w") as file:
            stream = None
            for number, rgb in enumerate(drawn(character, speech, seconds)):
                begin = time.thread_time()
                marked = leaving(rgb)
                spent_s.append(time.thread_time() - begin)
                if number % _EVERY == 0:
                    errors.append(float(((marked.astype(np.float32) - rgb) ** 2).mean()))
                for name, treat in TREATMENTS.items():
                    tally.picture(name, number, treat(marked) if number % _EVERY == 0 else marked)
                if stream is None:
                    stream = file.add_stream("libx264", rate=25, options={"crf": "28"})
                    stream.width, stream.height, stream.pix_fmt = marked.shape[1], marked.shape[0], "yuv420p"
                file.mux(stream.encode(av.VideoFrame.from_ndarray(marked, format="rgb24")))
            file.mux(stream.encode(None) if stream is not None else [])
        with av.open(str(path)) as file:
            for number, frame in enumerate(file.decode(video=0)):
                tally.picture("H.264 crf 28", number, frame.to_ndarray(format="rgb24"))
    psnr_db = [10 * np.log10(255**2 / error) for error in (np.mean(errors), np.max(errors))]
    facts = {"psnr_db": psnr_db[0], "worst_psnr_db": psnr_db[1], "ms": 1e3 * float(np.median(spent_s[1:])),
             "pictures": len(spent_s)}  # fmt: skip
    return {"avatar": folder.name, "size": list(marked.shape[1::-1]), **facts, "read": tally.rows()}


def unmarked(paths: list[Path], n_pictures: int) -> dict:
    """Pictures that have no mark: how strong chance is."""
    strengths, n_found = [], 0
    for path in paths:
        for rgb in read_video(path).glimpses(-(-n_pictures // len(paths))):
            residue = residue_of(rgb)
            strengths.append(strongest(residue)[0])
            n_found += strengths[-1] >= threshold() and find(residue) is not None
    return {"pictures": len(strengths), "found": n_found, "strongest": max(strengths), "threshold": threshold(),
            "median": float(np.median(strengths))}  # fmt: skip


def picture(folder: Path, speech: Path, output: Path) -> None:
    """A picture, the same marked, and what differs, twenty times as strong about grey."""
    character = load_character(folder)
    *_, rgb = drawn(character, speech, 2.0)
    marked = Leaving(character.identity)(rgb)
    difference = np.clip(128 + 20 * (marked.astype(int) - rgb), 0, 255).astype(np.uint8)
    cv2.imwrite(str(output), np.concatenate([rgb, marked, difference], 1)[..., ::-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--avatar", type=Path, action="append", default=[])
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--unmarked", type=Path, nargs="+", default=[])
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.picture:
        picture(options.avatar[0], options.speech, options.picture)
        return 0
    result = {"avatars": [measure(folder, options.speech, options.seconds) for folder in options.avatar]}
    for one in result["avatars"]:
        print(f"{one['avatar']}: {one['size']}, {one['psnr_db']:.1f} dB (worst {one['worst_psnr_db']:.1f}), "
              f"{one['ms']:.2f} ms a picture, {one['pictures']} pictures")  # fmt: skip
        for what, row in one["read"].items():
            print(f"  {what}: {100 * row['read']:.1f} % of {row['tried']}, strength {row['strength']:.1f}")
    if options.unmarked:
        result["unmarked"] = unmarked(options.unmarked, options.pictures)
        print(result["unmarked"])
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

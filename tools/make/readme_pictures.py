"""The README's images, from the avatar and the dub that `make demo` leaves.

    python tools/make/readme_images.py out/demo out/demo/dub.mp4

writes data/demo/result.jpg (held-out frames of the clip above, the avatar below: the widest and the most closed mouth,
a blink, the largest turn, and two others) and data/demo/result.webp (the dub's first seconds, as a loop).
"""

from __future__ import annotations

import argparse
import itertools
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from gtalk.dataset.format import Dataset
from gtalk.dataset.split import train_test_split
from gtalk.eval.motion import aperture
from gtalk.files import atomic_path
from gtalk.talk import MotionFrame, load_character

SIDE_PX = 256
LOOP_PX, LOOP_S, LOOP_EVERY = 320, 6.0, 2
NO_SOUND = np.zeros(0, np.float32)


def telling_frames(dataset: Dataset) -> list[int]:
    """Held-out frames that show what an avatar must be able to do."""
    training, testing = train_test_split(dataset)
    motion = dataset.motion
    turned = motion.head_pose[:, :3, 2]
    away = np.linalg.norm(turned - turned[training].mean(0), axis=1)
    opening = aperture(motion)
    lids = motion.eyes.mean(1)
    chosen = [opening[testing].argmax(), opening[testing].argmin(), lids[testing].argmin(), away[testing].argmax()]
    return [int(testing[i]) for i in (*chosen, len(testing) // 3, 2 * len(testing) // 3)]


def write_strip(avatar: Path, output: Path) -> None:
    """Truth above, avatar below."""
    dataset, character = Dataset(avatar / "dataset"), load_character(avatar)
    talker = character.talker(fps=dataset.fps, seed=0)
    columns = []
    for index in telling_frames(dataset):
        drawn = talker.draw([MotionFrame(0.0, dataset.motion[index], NO_SOUND)])[0].rgb
        pair = [cv2.resize(p, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA) for p in (dataset.frame(index), drawn)]
        columns.append(np.vstack(pair))
    with atomic_path(output) as temporary:
        options = [cv2.IMWRITE_JPEG_QUALITY, 88]
        encoded = cv2.imencode(".jpg", np.ascontiguousarray(np.hstack(columns)[..., ::-1]), options)[1]
        temporary.write_bytes(encoded.tobytes())


def write_loop(video: Path, output: Path) -> None:
    """The first seconds, small, every second frame."""
    with av.open(str(video)) as source:
        rate = float(source.streams.video[0].average_rate or 25)
        count = int(LOOP_S * rate)
        frames = [frame.to_ndarray(format="rgb24") for frame in itertools.islice(source.decode(video=0), count)]
    small = [cv2.resize(f, (LOOP_PX, LOOP_PX), interpolation=cv2.INTER_AREA) for f in frames[::LOOP_EVERY]]
    with atomic_path(output) as temporary, av.open(str(temporary), "w", format="webp", options={"loop": "0"}) as file:
        stream = file.add_stream("libwebp_anim", rate=Fraction(rate / LOOP_EVERY).limit_denominator(1001))
        stream.width = stream.height = LOOP_PX
        stream.pix_fmt, stream.options = "yuv420p", {"quality": "60", "compression_level": "6"}
        for image in small:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(image, np.uint8), format="rgb24")))
        file.mux(stream.encode())


def main() -> None:
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path, help="with its dataset inside")
    parser.add_argument("dub", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("data/demo"))
    args = parser.parse_args()
    write_strip(args.avatar, args.folder / "result.jpg")
    write_loop(args.dub, args.folder / "result.webp")


if __name__ == "__main__":
    main()

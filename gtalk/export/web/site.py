"""A folder that any static host serves: the avatar, its page and component, and a message where there is one.

avatar.bin · speaker.bin · plate.jpg · poster.jpg · idle.gtm · message.gtm · gtalk-avatar.js, its modules · index.html
"""

from __future__ import annotations

import shutil
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.errors import UserError
from gtalk.export.web.message import pack_message
from gtalk.export.web.pack import pack_avatar
from gtalk.export.web.speaker import pack_speaker
from gtalk.files import atomic_path
from gtalk.marks.leaving import Leaving
from gtalk.motion.base import MotionModel
from gtalk.motion.model.model import PersonMotionModel
from gtalk.shapes import UInt8
from gtalk.talk import Character, Identity
from gtalk.types import AUDIO_RATE, Motion

MODULES = (
    "renderer.js", "stage.js", "gl.js", "shaders.js", "order.js", "face.js", "openings.js", "pose.js", "format.js",
)  # fmt: skip
"""What draws: the component's, and the live view's."""
LISTENING = (
    "hearing.js", "listening-worker.js", "microphone-worklet.js", "speaker.js", "features.js",
    "spectra.js", "voice.js", "phones.js", "ears.js", "dense.js", "net.js", "lips.js", "life.js", "row.js",
)  # fmt: skip
"""What moves the person by any sound."""
COMPONENT = (
    "gtalk-avatar.js", "emotion.js", "gaze.js", "loading.js", "looks.js", "timeline.js", "gtalk-avatar.d.ts",
    "index.html", "package.json",
)  # fmt: skip
PAGE = (*COMPONENT, *MODULES, *LISTENING)
MADE = ("avatar.bin", "speaker.bin", "plate.jpg", "poster.jpg", "idle.gtm", "message.gtm")
IDLE_S = 12.0
JPEG_QUALITY = 92


def write_site(
    avatar: GaussianAvatar,
    folder: Path,
    identity: Identity,
    rest: Motion,
    motion: Motion | None = None,
    sound: Path | None = None,
    captions: str = "",
    *,
    speaks: MotionModel | None = None,
) -> None:
    """Write the folder; it appears under its name when it is whole.

    Args:
        rest: what the person does while nothing plays.
        motion: a message, with its `sound` and `captions` (WebVTT).
        speaks: moves the person by any sound that the page hears; None, or one without ears, leaves that out.

    Another site in the folder's place goes when this one is whole.
    """
    facts = asdict(identity)
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        (temporary / "avatar.bin").write_bytes(pack_avatar(avatar, facts))
        (temporary / "idle.gtm").write_bytes(pack_message(avatar, rest, facts))
        if isinstance(speaks, PersonMotionModel) and speaks.features.ears:
            (temporary / "speaker.bin").write_bytes(pack_speaker(avatar, speaks, facts))
        if motion is not None:
            (temporary / "message.gtm").write_bytes(pack_message(avatar, motion, facts, sound, captions))
        (temporary / "plate.jpg").write_bytes(jpeg(avatar.plate))
        poster = avatar.render_bytes(rest[0])[0][0].cpu().numpy()
        (temporary / "poster.jpg").write_bytes(jpeg(Leaving(identity)(poster)))
        for name in PAGE:
            (temporary / name).write_bytes(module(name))
        if is_site(folder):
            shutil.rmtree(folder)


def idle_motion(character: Character) -> Motion:
    """A person while nobody speaks. Raises UserError for one that has not learned to speak."""
    model = character.motion_model
    if model is None:
        raise UserError("avatar", expected="one that has learned to speak, which knows how to rest", got="none",
                        remedy="Run `gtalk motion train DATASET -o AVATAR`.")  # fmt: skip
    return model.stream(0).push(np.zeros(round(IDLE_S * AUDIO_RATE), np.float32))


def is_site(folder: Path) -> bool:
    """Whether a folder holds such a site and nothing else, so that another may take its place."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return "avatar.bin" in names and names <= {*PAGE, *MADE}


def jpeg(rgb: UInt8[np.ndarray, "H W 3"]) -> bytes:
    """A picture as the page loads it."""
    done, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done
    return data.tobytes()


def module(name: str) -> bytes:
    """A file of the page."""
    folder = "drawing" if name in MODULES else "listening" if name in LISTENING else "page"
    return (files("gtalk.export.web") / folder / name).read_bytes()

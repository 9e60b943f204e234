"""The motion that a page makes of sound by itself against Python's live path: likeness, and time.

python -m tools.bench.talk.listening AVATAR SOUND... [--motion AVATAR2]
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.export.web.message import frame_numbers
from gtalk.export.web.site import LISTENING, MODULES, module
from gtalk.export.web.speaker import pack_speaker
from gtalk.media.audio import read_audio
from gtalk.motion.model.model import PersonMotionModel, load_motion_model
from gtalk.shapes import Float
from gtalk.talk import load_character
from gtalk.types import AUDIO_RATE, Motion
from tools.bench.page import served
from tools.check.browser import Browser

PIECE = 640
LONGEST_S = 15.0
SPEAK = """(async () => {
  const { Speaker, readSpeaker } = await import('/speaker.js');
  const bytes = async (name) => (await fetch(name)).arrayBuffer();
  window.file ??= await readSpeaker(await bytes('/speaker.bin'));
  const speaker = new Speaker(file, 0), sound = new Float32Array(await bytes('/NAME')), rows = [], took = [];
  for (let at = 0; at < sound.length; at += PIECE) {
    const begun = performance.now();
    rows.push(...speaker.push(sound.subarray(at, at + PIECE)));
    took.push(performance.now() - begun);
  }
  return { rows: [...rows, ...speaker.finish()].map((row) => [...row]), took };
})()""".replace("PIECE", str(PIECE))


def pythons(avatar: GaussianAvatar, model: PersonMotionModel, samples: Float[np.ndarray, " N"]) -> np.ndarray:
    """Rows of a message, as Python makes them live."""
    stream = model.for_live().stream(0)
    parts = [stream.push(samples[at : at + PIECE]) for at in range(0, len(samples), PIECE)]
    return frame_numbers(avatar, Motion.concatenate([*parts, stream.finish()]))


def main() -> None:
    """Measure one avatar's page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("sounds", type=Path, nargs="+")
    parser.add_argument("--motion", type=Path, help="an avatar whose motion model speaks instead")
    asked = parser.parse_args()
    character = load_character(asked.avatar)
    avatar = character.avatar
    assert isinstance(avatar, GaussianAvatar)
    model = character.motion_model if asked.motion is None else load_motion_model(asked.motion)
    assert isinstance(model, PersonMotionModel)
    mouth = avatar.basis.groups["mouth"]
    with TemporaryDirectory() as made, served(Path(made)) as address:
        folder = Path(made)
        for name in (*MODULES, *LISTENING):
            (folder / name).write_bytes(module(name))
        (folder / "index.html").write_text("<!doctype html>")
        (folder / "speaker.bin").write_bytes(pack_speaker(avatar, model, asdict(character.identity)))
        size, ahead_s = (folder / "speaker.bin").stat().st_size, model.for_live().lookahead_s
        print(f"speaker.bin {size / 1e6:.2f} MB; look-ahead {1e3 * ahead_s:.0f} ms")
        browser = Browser(size=(300, 300))
        try:
            browser.open(address)
            browser.wait("location.protocol === 'http:' && document.readyState === 'complete'")
            for path in asked.sounds:
                samples = read_audio(path).samples[: round(LONGEST_S * AUDIO_RATE)]
                (folder / path.stem).write_bytes(samples.astype("<f4").tobytes())
                told, wanted = browser.run(SPEAK.replace("NAME", path.stem)), pythons(avatar, model, samples)
                got, took = np.array(told["rows"])[:, mouth], np.array(told["took"])
                r = [np.corrcoef(a, b)[0, 1] for a, b in zip(got.T, wanted[:, mouth].T, strict=True)]
                off = np.abs(got - wanted[:, mouth]).max()
                likeness = f"r {min(r):.5f}  off by {off:.4f} deviations at most"
                times = f"{np.median(took):.1f} ms (95 %: {np.percentile(took, 95):.1f})"
                print(f"{path.stem[:32]:32} {len(got)} frames  {likeness}  40 ms of sound in {times}")
        finally:
            browser.close()


if __name__ == "__main__":
    main()

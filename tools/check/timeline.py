"""The page's timeline used as a person does, in a real browser: a smile and a key are dragged onto words and dubbed.

    python -m tools.check.timeline AVATAR SPEECH "What is said." WORD -o FOLDER

Opens the avatar's page, loads the speech, finds its words, drags a smile onto WORD and a key onto the word behind it,
saves the score, renders it on the page and dubs the speech with the saved file. Prints where the dubbed motion smiles
and opens; page.png, page.mp4, page.score.yaml, dub.mp4 are left in the folder. Ends with an error where the smile is
elsewhere.
"""

from __future__ import annotations

import argparse
import base64
import io
import wave
from pathlib import Path

import numpy as np

from gtalk.basis import mouth_aperture
from gtalk.direct.score import Score
from gtalk.dub.config import DubConfig
from gtalk.dub.render import dub
from gtalk.media.audio import read_audio
from gtalk.rig.shapes import index
from gtalk.types import AUDIO_RATE, Motion
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.server import LiveServer, cast_of
from tools.check.browser import Browser

SIZE_PX, SHOT_AFTER_S = 256, 1.5
SMILES, NONE = 0.4, 0.02  # weight of the shape
EASE_S = 0.7


def wav_base64(samples: np.ndarray, rate: int) -> str:
    """A mono WAV file, for a script."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return base64.b64encode(data.getvalue()).decode()


def main() -> None:
    """Do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("text")
    parser.add_argument("word")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    config = ViewConfig(port=0, size=SIZE_PX)
    cast, identity = cast_of(args.avatar, config)
    server = LiveServer(cast, config, lambda line: print(f"server: {line}"), identity)
    server.start()
    try:
        use_page(server, read_audio(args.speech).samples, args.text, args.word, args.output)
        recorded = server.main.recorder.path
        if recorded is not None:
            (args.output / "page.mp4").write_bytes(recorded.read_bytes())
    finally:
        server.stop()
    saved = args.output / "page.score.yaml"
    motion_path = args.output / "dub.motion.npz"
    dubbing = DubConfig(height=SIZE_PX, score=saved, save_motion=motion_path, overwrite=True)
    print(dub(args.avatar, args.speech, args.output / "dub.mp4", dubbing))
    judge(Score.load(saved), Motion.load(motion_path))


def use_page(server: LiveServer, samples: np.ndarray, text: str, word: str, folder: Path) -> None:
    """What a person does on the page, to the recorded film."""
    browser = Browser(size=(1280, 900))
    press = "document.getElementById('{}').click()".format
    try:
        browser.open(server.url)
        browser.wait("window.gtalk && window.gtalk.shown > 5", 60)
        browser.run(press("director"))
        file = f"Uint8Array.from(atob('{wav_base64(samples, AUDIO_RATE)}'), (c) => c.charCodeAt(0))"
        browser.run(f"gtalk.timeline.open(new File([{file}], 'speech.wav'))")
        browser.wait(f"Math.abs(gtalk.timeline.ready - {len(samples) / AUDIO_RATE}) < 0.01", 60)
        browser.run(f"document.getElementById('t-text').value = {text!r}")
        browser.run(press("t-align"))
        browser.wait("gtalk.timeline.words.length", 120)
        words = browser.run("gtalk.timeline.words")
        number = next(i for i, (said, _, _) in enumerate(words) if said.strip(".,:;!?").lower() == word.lower())
        browser.run(press("t-add"))
        put(browser, 0, words[number][1])
        browser.run(
            "document.getElementById('t-track').value = 'key.open', document.getElementById('t-track').onchange()"
        )
        browser.run(press("t-add"))
        after = words[min(number + 1, len(words) - 1)]
        put(browser, 1, 0.5 * (after[1] + after[2]))
        browser.run(press("t-save"))
        browser.wait("gtalk.timeline.saved")
        (folder / "page.score.yaml").write_text(browser.run("gtalk.timeline.saved"))
        browser.run(press("t-render"))
        browser.wait(f"performance.now() - gtalk.timeline.startedAt > {1e3 * (words[number][1] + SHOT_AFTER_S)}", 60)
        (folder / "page.png").write_bytes(browser.screenshot())
        browser.wait("gtalk.recording === false", 120)
        events, notice = browser.run("gtalk.timeline.events"), browser.run("gtalk.notice")
        print(f"page: {events}, the word {words[number]}, notice {notice!r}")
    finally:
        browser.close()


def put(browser: Browser, number: int, start_s: float) -> None:
    """Drag a bar so that it begins there; it snaps to the word."""
    bar = f"document.querySelectorAll('.t-event')[{number}]"
    left, _, width, _ = browser.box("document.getElementById('t-lanes')")
    half_px = 0.5 * browser.box(bar)[2]
    browser.drag(bar, left + width * start_s / browser.run("gtalk.timeline.duration") + half_px)


def judge(score: Score, motion: Motion) -> None:
    """Print where the motion smiles; AssertionError where that is not the saved span."""
    smile = motion.channels["expression"][:, index("mouthSmileLeft")]
    event = next(event for event in score.events if event.track == "emotion.smile")
    times_s = np.arange(len(motion)) / motion.fps
    inside = (times_s >= event.start_s) & (times_s <= event.end_s)
    outside = (times_s < event.start_s - EASE_S) | (times_s > event.end_s + EASE_S)
    shown = times_s[smile > 0.5 * smile.max()]
    print(
        f"smile asked from {event.start_s:.2f} to {event.end_s:.2f} s, in the dub above half from {shown[0]:.2f} to "
        f"{shown[-1]:.2f} s; inside at least {smile[inside].min():.2f}, outside at most {smile[outside].max():.2f}"
    )
    key = next(event for event in score.events if event.track == "key.open")
    opening = 1e3 * mouth_aperture(motion.landmarks)
    at_key, most = opening[round(key.start_s * motion.fps)], np.percentile(opening, 99)
    print(f"key at {key.start_s:.2f} s: lips {at_key:.1f} mm open; 99 of 100 frames are less than {most:.1f} mm open")
    assert smile[inside].min() > SMILES and smile[outside].max() < NONE


if __name__ == "__main__":
    main()

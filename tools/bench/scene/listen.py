"""A whole scene: whether who is silent keeps the lips still and looks at the speaker; its speed and its memory."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gtalk.direct.gaze import gaze_in_room
from gtalk.dub import DubConfig, dub
from gtalk.motion.edits.emotion import shown_opening
from gtalk.scene.config import SceneConfig
from gtalk.scene.render import Staged, render_scene, stage
from gtalk.scene.script import read_scene
from gtalk.types import Motion

_MOVES_M = 0.0012  # of the opening from its rest: what is seen at a usual size
_SETTLE_S, _LONG_S, _MOST_DEG = 0.5, 1.0, 5.0


def listen(scene_file: Path) -> None:
    """Silent lips and gazes of all motion, without drawing."""
    staged = stage(read_scene(scene_file), SceneConfig(device="cpu"))
    print("\n".join(staged.notes))
    for player in staged.players:
        moments = player.talker.moments(staged.voices.pieces[player.member.name]())
        told(staged, player.member.name, Motion.concatenate([moment.motion for moment in moments]))


def told(staged: Staged, name: str, motion: Motion) -> None:
    """The figures of one member."""
    player = next(p for p in staged.players if p.member.name == name)
    model, fps = player.character.motion_model, motion.fps
    time_s = np.arange(len(motion)) / fps
    silent = np.ones(len(motion), bool)
    for turn in staged.voices.turns:
        if turn.speaker == name:  # lips open before a voice is heard and close after it
            silent &= (time_s < turn.start_s - 0.8) | (time_s > turn.end_s + 0.4)
    opening = shown_opening(motion)
    moves = np.abs(opening - np.median(opening[silent])) > _MOVES_M
    print(f"{name}: silent in {silent.sum()} frames, lips move in {moves[silent].mean():.2%} of them")
    looked = np.rad2deg(gaze_in_room(motion, model))  # type: ignore[arg-type]
    right, count = 0, 0
    for turn in staged.voices.turns:
        place = staged.places[name].get(turn.speaker)
        if place is None or turn.length_s <= _LONG_S:
            continue
        during = (time_s >= turn.start_s + _SETTLE_S) & (time_s < turn.end_s - 0.1)
        off = np.hypot(*(looked[during] - place).T)
        right, count = right + bool(np.median(off) <= _MOST_DEG), count + 1
        print(f"   {turn.speaker} {turn.start_s:.1f} to {turn.end_s:.1f} s: {np.median(off):.1f} deg off (median)")
    print(f"   on the speaker within {_MOST_DEG:g} deg in {right} of {count} turns longer than {_LONG_S:g} s")


def cost(scene_file: Path) -> None:
    """How quickly the scene is rendered, against the dub of its first member alone at the height drawn there.

    Of a busy machine the processor time is to be compared, which others cannot lengthen much.
    """
    scene = read_scene(scene_file)
    staged = stage(scene, SceneConfig(device="cpu"))
    first = staged.players[0]
    sound = first.member.voice or scene.sound
    assert sound is not None
    rows = {}
    with TemporaryDirectory() as folder:
        alone, together = Path(folder) / "a.mp4", Path(folder) / "b.mp4"
        jobs = {
            "one": lambda: dub(first.member.avatar, sound, alone, DubConfig(height=first.box.height, device="cpu")),
            "all": lambda: render_scene(scene_file, together, SceneConfig(device="cpu")),
        }
        for name, job in jobs.items():
            before_mb, begun_s, used_s = _peak_mb(), time.perf_counter(), time.process_time()
            made = job()
            wall_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - used_s
            rows[name] = cpu_s / made.duration_s
            print(f"{name}: {made.duration_s / wall_s:.2f}x, {rows[name]:.2f} s of a processor a second of film, "
                  f"{_peak_mb() - before_mb:.0f} MB more, peak {_peak_mb():.0f} MB")  # fmt: skip
    print(f"speed of all over speed of one, by processor time: {rows['one'] / rows['all']:.2f}")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

"""A scene.yaml in, a film out, in constant memory.

scene ─▶ voices, turns ─▶ each member: Talker with the score of the conversation ─▶ frames ─▶ Compositor ─▶ video
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gtalk.direct.at_work import directed
from gtalk.direct.directors.listening import events_of_conversation
from gtalk.direct.score import Event, Score
from gtalk.dub.outputs import check_output, image_size, putting_in_place
from gtalk.errors import UserError
from gtalk.files import is_full, no_room
from gtalk.marks.label import labelled
from gtalk.marks.leaving import Leaving
from gtalk.marks.provenance import provenance_tags
from gtalk.media.audio import stream_audio
from gtalk.media.output.writer import VideoWriter, WriteConfig
from gtalk.media.soundtrack import Soundtrack
from gtalk.motion.base import EditFactory
from gtalk.motion.model.model import PersonMotionModel
from gtalk.motion.produce import drive
from gtalk.progress import OnProgress, Progress, silent
from gtalk.scene.compose import Compositor
from gtalk.scene.config import SceneConfig
from gtalk.scene.layout import Box, boxes_of, eyelines, front_order, stand_of
from gtalk.scene.script import Member, Scene, read_scene
from gtalk.scene.voices import Voices, voices_of
from gtalk.shapes import Float, UInt8
from gtalk.talk import PLATE, Character, Talker, View, load_character
from gtalk.talk.interpolate import exact_rate
from gtalk.types import Frame, Motion

MIX_RATE = 48_000
_AHEAD_S = 0.5
_MOST_PIXELS = 40_000_000
"""Of all images of a frame together; more would not leave the memory for the avatars."""


@dataclass(frozen=True)
class SceneResult:
    """What was made, and how long it took."""

    output: Path
    n_frames: int
    duration_s: float
    wall_s: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Player:
    """One of the cast at work."""

    member: Member
    character: Character
    talker: Talker
    box: Box


@dataclass(frozen=True)
class Staged:
    """A scene before its first picture."""

    scene: Scene
    voices: Voices
    players: tuple[Player, ...]
    places: dict[str, dict[str, tuple[float, float]]]
    """By member, where each sees the others: degrees from the camera."""
    notes: tuple[str, ...]

    def frames(self) -> Iterator[tuple[Frame, ...]]:
        """One frame of each member after another, drawn as they are asked for."""
        streams = [p.talker.stream(self.voices.pieces[p.member.name]()) for p in self.players]
        return zip(*streams, strict=True)


def render_scene(
    scene_file: Path,
    output: Path,
    config: SceneConfig | None = None,
    on_progress: OnProgress = silent,
    *,
    load: Callable[[Path], Character] = load_character,
    on_frames: Callable[[Sequence[Motion]], None] | None = None,
) -> SceneResult:
    """Render a scene. The output appears under its name only when it is whole; `on_frames` is told each one's motion.

    Raises UserError for a scene, sound or avatar that is not what it should be, as `gtalk dub` does.
    """
    config, output = config or SceneConfig(), Path(output)
    scene, writing = read_scene(Path(scene_file)), config.as_dub()
    check_output(output, writing)
    staged = stage(scene, config, load)
    compositor = Compositor(scene, [p.box for p in staged.players], front_order(scene), float(exact_rate(config.fps)))
    tags = {"comment": " | ".join(provenance_tags(p.character.identity, config.label)["comment"]
                                  for p in staged.players)}  # fmt: skip
    sound = _sound_of(scene, staged)
    start_s = time.perf_counter()
    try:
        with putting_in_place(output, writing, staged.players[0].character.identity) as temporary:
            write = WriteConfig(codec=config.codec, crf=config.crf)
            with VideoWriter(temporary, scene.size, config.fps, sound[0], write, tags, sound[1]) as writer:
                count = _write(staged, compositor, writer, sound[2], config, on_progress, on_frames)
    except Exception as error:
        if is_full(output.parent, error) and not isinstance(error, UserError):
            raise no_room(output) from error
        raise
    return SceneResult(output, count, count / config.fps, time.perf_counter() - start_s, staged.notes)


def stage(
    scene: Scene, config: SceneConfig, load: Callable[[Path], Character] = load_character, live: bool = False
) -> Staged:
    """Load the cast, hear the sound, decide who stands and looks where. Nothing is drawn yet.

    `live`: nobody knows yet who will say what, or when.

    Raises UserError for avatars without a motion model, images that are too large, and sounds that do not fit.
    """
    loaded: dict[Path, Character] = {}
    for member in scene.cast:
        if member.avatar not in loaded:
            loaded[member.avatar] = load(member.avatar).to(config.device)
    characters = [loaded[member.avatar] for member in scene.cast]
    cameras = [character.avatar.camera for character in characters]
    models = [_model_of(member, character) for member, character in zip(scene.cast, characters, strict=True)]
    heads = [model.mean_pose[:3, 3] for model in models]
    boxes = boxes_of(scene, cameras, heads)
    sizes = [image_size(camera, box.height) for camera, box in zip(cameras, boxes, strict=True)]
    if sum(w * h for w, h in sizes) + scene.size[0] * scene.size[1] > _MOST_PIXELS:
        raise UserError("scene", expected=f"images of at most {_MOST_PIXELS // 1_000_000} megapixels together",
                        got=f"{sum(w * h for w, h in sizes) / 1e6:.0f}",
                        remedy="Make the picture or the heights smaller.")  # fmt: skip
    boxes = [_sized(box, size) for box, size in zip(boxes, sizes, strict=True)]
    voices = Voices({}, [], {}, 0.0) if live else voices_of(scene)
    known = zip(scene.cast, boxes, cameras, heads, strict=True)
    stands = {member.name: stand_of(box, camera, head) for member, box, camera, head in known}
    places = eyelines(scene.cast, stands)
    own_rooms = scene.layout == "split" and scene.background == PLATE
    players, notes = [], list(voices.notes)
    for i, (member, character, box, size) in enumerate(zip(scene.cast, characters, boxes, sizes, strict=True)):
        view = View(size=size, background=PLATE if own_rooms else None)
        edits, told = _direction(member, character, voices, places[member.name], config.seed + 101 * i)
        notes += [f"{member.name}: {words}" for words in told]
        talker = character.talker(edits=edits, lookahead="live" if live else "file", seed=config.seed + 101 * i,
                                  fps=config.fps, view=view, batch=config.batch)  # fmt: skip
        players.append(Player(member, character, talker, box))
    return Staged(scene, voices, tuple(players), places, tuple(notes))


def _direction(
    member: Member, character: Character, voices: Voices, places: dict[str, tuple[float, float]], seed: int
) -> tuple[tuple[EditFactory, ...], tuple[str, ...]]:
    """What directs a member; told more while it runs in a live scene, which has no turns beforehand."""
    own = Score() if member.score is None else Score.load(member.score)
    events = events_of_conversation(member.name, voices.turns, voices.phrases, places, voices.duration_s, seed)
    if member.facing:
        events.append(Event("head.turn", member.facing, 0.0, by="scene"))
    score = own.plus(events)

    def motion_of(edits: Sequence[EditFactory]) -> Iterator[Motion]:
        return drive(_model_of(member, character), voices.pieces[member.name](), seed, edits)

    found = directed(character.motion_model, score, motion_of, None, seed)
    return found.edits, found.notes


def _model_of(member: Member, character: Character) -> PersonMotionModel:
    if not isinstance(character.motion_model, PersonMotionModel):
        raise UserError(f"avatar of {member.name}", expected="one with a motion model", got="none",
                        remedy="Run `gtalk motion train DATASET -o AVATAR`.")  # fmt: skip
    return character.motion_model


def _sized(box: Box, size: tuple[int, int]) -> Box:
    """The box with exactly the size that is drawn, about the same middle and on the same ground."""
    left = box.left + (box.width - size[0]) // 2
    return Box(left, box.top + (box.height - size[1]), *size, box.panel, box.blur_px, box.cut)


def _write(
    staged: Staged,
    compositor: Compositor,
    writer: VideoWriter,
    sound: Iterator[np.ndarray],
    config: SceneConfig,
    on_progress: OnProgress,
    on_frames: Callable[[Sequence[Motion]], None] | None,
) -> int:
    marks = Marks(staged)
    total = round(staged.voices.duration_s * config.fps)
    start_s, done = time.perf_counter(), 0
    on_progress(Progress("scene", 0, total))
    for done, frames in enumerate(staged.frames(), start=1):
        picture = compositor(frames)
        writer.write(marks(labelled(picture) if config.label == "on" else picture))
        while writer.audio_rate and writer.n_samples < (done / config.fps + _AHEAD_S) * writer.audio_rate:
            if (piece := next(sound, None)) is None:
                break
            writer.write_audio(piece)
        if on_frames is not None:
            on_frames([frame.motion for frame in frames])
        if done % 5 == 0:
            speed = done / config.fps / (time.perf_counter() - start_s)
            on_progress(Progress("scene", done, max(total, done), f"{speed:.2f}x real time"))
    for piece in sound:
        writer.write_audio(piece)
    on_progress(Progress("scene", done, done))
    return done


class Marks:
    """Each member's mark in the part of the picture that is nearest: one picture can carry several side by side."""

    def __init__(self, staged: Staged) -> None:
        width = staged.scene.size[0]
        ordered = sorted(staged.players, key=lambda p: p.box.left + p.box.width / 2)
        middles = [min(max(p.box.left + p.box.width / 2, 0.0), float(width)) for p in ordered]
        edges = [0, *(round((a + b) / 2) for a, b in itertools.pairwise(middles)), width]
        self._parts = [
            (np.s_[:, a:b], Leaving(p.character.identity))
            for a, b, p in zip(edges[:-1], edges[1:], ordered, strict=True)
        ]  # fmt: skip

    def __call__(self, picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """The picture as it leaves; another array."""
        out = np.empty_like(picture)
        for where, leaving in self._parts:
            out[where] = leaving(np.ascontiguousarray(picture[where]))
        return out


def _sound_of(scene: Scene, staged: Staged) -> tuple[int, int, Iterator[Float[np.ndarray, "N C"]]]:
    """(rate, channels, pieces): the scene's sound as it is, or all voices, each from where its owner is."""
    if scene.sound is not None:
        track = Soundtrack.of(scene.sound)
        return track.rate, track.channels, track.pieces()
    voices = [
        (p.member.voice, (p.box.left + p.box.width / 2) / scene.size[0]) for p in staged.players if p.member.voice
    ]
    return MIX_RATE, 2, mixed(voices)


def mixed(voices: Sequence[tuple[Path, float]]) -> Iterator[Float[np.ndarray, "N 2"]]:
    """Mono files, each panned to `x` of the picture (0 left, 1 right) at constant power, one upon the other."""
    streams = [_seconds(stream_audio(path, MIX_RATE)) for path, _ in voices]
    angles = [np.clip(0.25 + 0.5 * x, 0.25, 0.75) * np.pi / 2 for _, x in voices]
    while True:
        pieces = [next(stream, None) for stream in streams]
        length = max((len(piece) for piece in pieces if piece is not None), default=0)
        if not length:
            return
        out = np.zeros((length, 2), np.float32)
        for piece, angle in zip(pieces, angles, strict=True):
            if piece is not None:
                out[: len(piece)] += piece[:, None] * np.array([np.cos(angle), np.sin(angle)], np.float32)
        yield np.clip(out, -1.0, 1.0)


def _seconds(pieces: Iterator[Float[np.ndarray, " N"]]) -> Iterator[Float[np.ndarray, " N"]]:
    """The same sound in pieces of one second, the last shorter."""
    held = np.zeros(0, np.float32)
    for piece in pieces:
        held = np.concatenate([held, piece])
        while len(held) >= MIX_RATE:
            yield held[:MIX_RATE]
            held = held[MIX_RATE:]
    if len(held):
        yield held

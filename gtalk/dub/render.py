"""One dub: sound or motion in, a video file out, in constant memory.

file ─▶ 16 kHz pieces ─▶ Talker ─▶ frames ─▶ background, label, mark ─▶ VideoWriter
  └──▶ the same sound at its own rate ────────────────────────────▲
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from gtalk.compute.device import resolve_device
from gtalk.direct.at_work import Directed, directed
from gtalk.direct.look import Look
from gtalk.direct.score import Score
from gtalk.direct.style import read_style
from gtalk.dub.background import TRANSPARENT, Background, Still, check_background, make_background
from gtalk.dub.config import DubConfig
from gtalk.dub.footage.compositor import FootageCompositor, shot_order, track_shot
from gtalk.dub.footage.moving_shot import follow_shot
from gtalk.dub.in_step import SoundInStep, Timed
from gtalk.dub.outputs import check_output, image_size, putting_in_place
from gtalk.dub.shown import check_picture, events_of_picture
from gtalk.dub.sung import check_song, events_of_song, known_lyrics, singing, voice_of
from gtalk.dub.whose import of_this_face, shape_to_find
from gtalk.errors import UserError
from gtalk.files import is_full, no_room
from gtalk.hearing.notes import Song, heard_song
from gtalk.marks.leaving import Leaving
from gtalk.marks.provenance import provenance_tags
from gtalk.media.audio import stream_audio
from gtalk.media.output.writer import VideoWriter, WriteConfig
from gtalk.media.soundtrack import Soundtrack
from gtalk.media.source import probe, require_video
from gtalk.motion.base import EditChain, EditFactory
from gtalk.motion.edits.emotion import voice_cap
from gtalk.motion.produce import drive
from gtalk.progress import OnProgress, Progress, silent
from gtalk.speech.known_phones import KnownPhones
from gtalk.talk import PLATE, Character, MotionFrame, Talker, View, frame_count, load_character
from gtalk.talk.interpolate import exact_rate, first_sample, resampled_count
from gtalk.types import AUDIO_RATE, Motion

MOTION_SUFFIX = ".npz"
_AHEAD_S = 0.5  # sound is written this much before its images, as players like to read it
_REPORT_EVERY_S = 0.2


@dataclass(frozen=True)
class DubResult:
    """What was made, and how long it took."""

    output: Path
    n_frames: int
    n_samples: int
    """Samples of sound in the file, at the sound's own rate."""
    duration_s: float
    wall_s: float
    motion_s: float
    """Part of wall_s in which motion was found."""
    draw_s: float
    """Part of wall_s in which images were drawn."""
    encode_s: float
    """How long the encoder worked, in a thread beside the drawing."""
    warnings: tuple[str, ...] = ()

    @property
    def speed(self) -> float:
        """Seconds of video a second."""
        return self.duration_s / max(self.wall_s, 1e-9)


def dub(
    avatar_folder: Path,
    source: Path,
    output: Path,
    config: DubConfig | None = None,
    on_progress: OnProgress = silent,
    *,
    load: Callable[[Path], Character] = load_character,
    known: KnownPhones | None = None,
) -> DubResult:
    """Render an avatar that speaks `source` (sound, or a video's sound) or moves as it says (.motion.npz).

    What is `known` to be said, in seconds of the sound, guides the lips.
    The output appears under its name only when it is whole. Raises UserError when a file is not what it
    should be, when the output exists and may not be replaced, and when the disk is full.
    """
    config = config or DubConfig()
    check_dub(source, output, config)
    return render_dub(load(Path(avatar_folder)).to(config.device), source, output, config, on_progress, known)


def check_dub(source: Path | None, output: Path, config: DubConfig) -> None:
    """Everything that can be known to be wrong before anything slow begins. Raises UserError.

    `source` is None where a text is still to be said.
    """
    check_output(Path(output), config)
    resolve_device(config.device)
    moved = source is not None and is_motion(source)
    check_background(config.background)
    sound = config.audio if moved else source
    if source is not None and not (Path(source).is_file() if moved else Path(source).exists()):
        text = "" if Path(source).suffix else " A text is said with `gtalk say AVATAR TEXT -o OUT`."
        raise UserError(f"{'motion' if moved else 'media'} file {source}", expected="an existing file",
                        got="nothing there", remedy=f"Check the path.{text}")  # fmt: skip
    if not moved and config.audio is not None:
        other = "a text" if source is None else f"a sound file {source}"
        raise UserError("audio", expected="it only beside a motion file", got=f"{other} as well",
                        remedy="Give the sound once.")  # fmt: skip
    if config.onto is not None:
        require_video(probe(config.onto))
        if config.background != PLATE or config.height is not None:
            raise UserError("onto", expected="neither background nor height: the shot has its own", got="one of them",
                            remedy="Leave them out.")  # fmt: skip
    if config.camera_from is not None:
        require_video(probe(config.camera_from))
        if config.onto is not None or config.height is not None or config.background not in (PLATE, TRANSPARENT):
            raise UserError("camera-from", expected="neither onto nor height, and transparent as the only background: "
                            "the shot has its own", got="one of them", remedy="Leave them out.")  # fmt: skip
    expected_s = 0.0 if sound is None else Soundtrack.of(Path(sound)).expected_s
    check_song(None if source is None else Path(source), config)
    if config.emotion_from is not None:
        check_picture(config.emotion_from)
    if config.style:
        read_style(config.style)
    if config.score is not None:
        score = Score.load(config.score)
        if not moved and expected_s > 0:
            score.check_length(expected_s, f"score {config.score}")


def render_dub(
    character: Character,
    source: Path,
    output: Path,
    config: DubConfig,
    on_progress: OnProgress = silent,
    known: KnownPhones | None = None,
) -> DubResult:
    """`dub` with an avatar that is already loaded."""
    source, output = Path(source), Path(output)
    plan = plan_dub(character, source, config, on_progress, known)
    alpha = config.background == TRANSPARENT
    writing = WriteConfig(codec=config.codec, crf=config.crf, alpha=alpha, encoder=config.encoder)
    try:
        with putting_in_place(output, config, character.identity) as temporary:
            tags = provenance_tags(character.identity, config.label)
            rate, channels = (plan.sound.rate, plan.sound.channels) if plan.sound is not None else (None, 1)
            with VideoWriter(temporary, plan.size, plan.fps, rate, writing, tags, channels) as writer:
                leaving = Leaving(character.identity, config.label)
                result, moved = _write(plan, writer, leaving, output, config, on_progress)
        if config.save_motion is not None:  # the video is in its place, whatever becomes of this
            Motion.concatenate(moved).save(config.save_motion)
        return result
    except Exception as error:
        if is_full(output.parent, error) and not isinstance(error, UserError):
            raise no_room(output) from error
        raise


@dataclass
class DubPlan:
    """What is written: frames, the sound that goes with them, and what is known beforehand."""

    moments: Timed
    frames: Timed
    """Made of the moments: the time spent here includes theirs."""
    fps: float
    size: tuple[int, int]
    background: Background
    sound: Soundtrack | None
    n_frames: int | None
    """Estimated for sound, since containers do not always tell the truth; exact for motion."""
    sound_stop: int | None = None
    """Samples to write at most."""
    onto: FootageCompositor | None = None
    told: tuple[str, ...] = ()
    """What was found out beforehand."""

    @property
    def warnings(self) -> list[str]:
        """What the frames so far could not be given."""
        return [*self.told, *([] if self.onto is None else self.onto.warnings)]


def plan_dub(
    character: Character, source: Path, config: DubConfig, on_progress: OnProgress, known: KnownPhones | None = None
) -> DubPlan:
    """What a dub will write. Nothing is drawn yet."""
    avatar = character.avatar
    film = config.onto or config.camera_from
    rate = config.fps if config.fps is not None or film is None else probe(film).fps
    fps = float(exact_rate(float(avatar.fps if rate is None else rate)))
    shot = None if config.camera_from is None else follow_shot(config.camera_from, fps, on_progress)
    size = image_size(avatar.camera, config.height if shot is None else shot.size[1])
    background = make_background(config.background, size, fps)
    view = View(background=None) if config.onto else View(size=size, background=background.rendered)
    view = view if shot is None else View(size=size, background=None)
    known = known or known_lyrics(source, config)
    direction = _directed(character, source, config, known)
    talker = character.talker(
        controls=config.controls, edits=direction.edits, lookahead=config.lookahead, fps=fps, seed=config.seed,
        view=view, batch=config.batch,
    )  # fmt: skip
    moments, sound, n_frames, stop, told = _plan_sound(character, talker, source, config, known)
    told = (*told, *direction.notes)
    moments = Timed(moments)
    frames = talker.drawn(moments)
    onto, total = None, n_frames
    if film is not None and not is_motion(source):
        total = frame_count(_count_samples(source), fps)
    if shot is not None:
        alone = config.background == TRANSPARENT
        frames, size = shot.with_person(frames, shot.order(total or 0), alone), shot.size
        background, told = Still(None if alone else PLATE), (*told, *shot.warnings)
    if config.onto is not None:
        footage = track_shot(config.onto, fps, on_progress, shape_to_find(avatar))
        onto = FootageCompositor(talker, footage, shot_order(len(footage.motion), total or 0, config.onto_length))
        frames, size, background = onto.frames(moments), footage.size, Still(PLATE)
    return DubPlan(moments, Timed(frames), fps, size, background, sound, n_frames, stop, onto, told)


def _directed(character: Character, source: Path, config: DubConfig, known: KnownPhones | None) -> Directed:
    """The edits of the dub's score, and of what the voice asks for where it may."""
    cap = voice_cap(config.controls.emotion)
    style = None if not config.style else read_style(config.style)
    asked = (config.score, cap, style, config.hears, config.listens, config.emotion_from)
    if all(one is None for one in asked) and config.sing == "off":
        return Directed()
    score = Score() if config.score is None else Score.load(config.score)
    heard: tuple[str, ...] = ()
    if cap is not None:
        score, heard = _with_voice(score, source, config, cap)
    if config.emotion_from is not None:
        events, told = events_of_picture(config.emotion_from)
        score, heard = score.plus(events), (*heard, *told)
    if config.hears is not None or config.listens is not None:
        score, told = _with_hearing(score, source, config)
        heard = (*heard, *told)
    song = _song_of(source, config)
    if song is not None:
        score = score.plus(events_of_song(song.notes))
        heard = (*heard, f"sings {len(song.notes)} notes")
    moves = of_this_face(character, Motion.load(source))[0] if is_motion(source) else None
    if moves is not None:
        score.check_length(moves.duration_s, f"score {config.score}")

    def motion_of(edits: Sequence[EditFactory]) -> Iterator[Motion]:
        if moves is not None:
            return iter([EditChain(edits)(moves)])
        model = character.talker(lookahead=config.lookahead).motion_model
        assert model is not None  # or there would be no score at work
        return drive(model, voice_of(source, config), config.seed, edits, known)

    direction = directed(character.motion_model, score, motion_of, style, config.seed)
    first = () if song is None else (singing(song, motion_of),)
    return dataclasses.replace(direction, edits=(*first, *direction.edits), notes=(*heard, *direction.notes))


def _song_of(source: Path, config: DubConfig) -> Song | None:
    """What of the sound is sung, where that is asked for."""
    if config.sing == "off" or is_motion(source):
        return None
    song = heard_song(voice_of(source, config))
    return song if song.notes and (config.sing == "on" or song.is_sung) else None


def _with_voice(score: Score, source: Path, config: DubConfig, cap: float) -> tuple[Score, tuple[str, ...]]:
    """The score with what the voice asks for, and that as lines of a score to be edited."""
    from gtalk.direct.directors.speech import Speech
    from gtalk.direct.directors.voice import events_of_voice

    spoken = config.audio if is_motion(source) else source
    if spoken is None:
        raise UserError("emotion auto", expected="a voice to hear", got="a motion file without sound",
                        remedy="Add --audio.")  # fmt: skip
    samples = np.concatenate([np.zeros(0, np.float32), *stream_audio(spoken, AUDIO_RATE)])
    events = events_of_voice(samples, Speech(len(samples) / AUDIO_RATE, score.words), cap=cap)
    lines = " ".join(str(event.plain()) for event in events)
    told = f"asks for {lines}" if lines else "heard a calm voice and adds nothing. Name one, as --emotion happy:0.5"
    return score.plus(events), (f"emotion auto {told}",)


def _with_hearing(score: Score, source: Path, config: DubConfig) -> tuple[Score, tuple[str, ...]]:
    """The score with what the face does about what it hears, and what there is to say."""
    from gtalk.dub.heard import events_of_hearing, events_of_listening
    from gtalk.hearing.turns import speech_spans

    spoken = config.audio if is_motion(source) else source
    duration_s = Motion.load(source).duration_s if is_motion(source) else _count_samples(source) / AUDIO_RATE
    own = [] if spoken is None else speech_spans(stream_audio(spoken, AUDIO_RATE))
    notes: tuple[str, ...] = ()
    if config.hears is not None:
        events, notes = events_of_hearing(config.hears, own, duration_s, config.hears_with == "own_ears")
        score = score.plus(events)
    if config.listens is not None:
        events, told = events_of_listening(config.listens, own, duration_s, config.seed)
        score, notes = score.plus(events), (*notes, *told)
    return score, notes


def _plan_sound(
    character: Character, talker: Talker, source: Path, config: DubConfig, known: KnownPhones | None
) -> tuple[Iterator[MotionFrame], Soundtrack | None, int | None, int | None, tuple[str, ...]]:
    """(moments, their sound, number of frames as far as known, samples to write at most, what there is to say)."""
    if not is_motion(source):
        sound = Soundtrack.of(source)
        expected = frame_count(round(sound.expected_s * AUDIO_RATE), talker.fps) or None
        return talker.moments(voice_of(source, config), known), sound, expected, None, ()
    motion, words = of_this_face(character, Motion.load(source))
    told = (words,) if words else ()
    count = resampled_count(len(motion), motion.fps, talker.fps)
    moments = talker.motion_moments(motion)
    if config.audio is None:
        return moments, None, count, None, told
    sound = Soundtrack.of(config.audio)
    return moments, sound, count, first_sample(count, talker.fps, sound.rate), told


def _count_samples(source: Path) -> int:
    return sum(len(piece) for piece in stream_audio(source, AUDIO_RATE))


def _write(
    plan: DubPlan, writer: VideoWriter, leaving: Leaving, output: Path, config: DubConfig, on_progress: OnProgress
) -> tuple[DubResult, list[Motion]]:
    """What was made, and its motion where that is to be saved."""
    fps, background = plan.fps, plan.background
    start_s = reported_s = time.perf_counter()
    sound = SoundInStep(plan.sound, plan.sound_stop)
    moved: list[Motion] = []
    first = next(plan.frames, None)
    if first is None:
        raise UserError("audio", expected="at least one sample of sound", got="0 s", remedy="Check the recording.")
    on_progress(Progress("dub", 0, plan.n_frames))
    look = Look.of(None if config.score is None else Score.load(config.score))
    for n_done, frame in enumerate(chain([first], plan.frames), start=1):
        rgb, cover = background.finish(frame.rgb, frame.alpha), frame.alpha
        if look is not None:
            rgb, cover = look(rgb, cover, n_done - 1, fps)
        alpha = cover if background.keeps_alpha else None
        writer.write(leaving(rgb, alpha), alpha, premultiplied=background.keeps_alpha)
        sound.write_until(writer, n_done / fps + _AHEAD_S)
        if config.save_motion is not None:
            moved.append(frame.motion)
        now_s = time.perf_counter()
        if now_s - reported_s > _REPORT_EVERY_S:
            reported_s = now_s
            total = None if plan.n_frames is None else max(plan.n_frames, n_done)
            on_progress(Progress("dub", n_done, total, f"{n_done / fps / (now_s - start_s):.2f}x real time"))
    sound.write_until(writer, float("inf"))
    writer.close()
    n_done, wall_s = writer.n_frames, time.perf_counter() - start_s
    on_progress(Progress("dub", n_done, n_done, f"{n_done / fps / wall_s:.2f}x real time"))
    motion_s = plan.moments.spent_s
    result = DubResult(
        output, n_done, writer.n_samples, n_done / fps, wall_s, motion_s, plan.frames.spent_s - motion_s,
        writer.encode_s, (*sound.warnings, *plan.warnings, *writer.told),
    )  # fmt: skip
    return result, moved


def is_motion(source: Path) -> bool:
    """Whether a source is a motion file and not sound."""
    return Path(source).suffix.lower() == MOTION_SUFFIX

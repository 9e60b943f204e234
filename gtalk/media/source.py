"""Opening media files: what is inside, and clear words when it is not what it should be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtalk.errors import UserError
from gtalk.media import colour
from gtalk.media.orientation import Orientation, pixel_aspect

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

LOCAL_FILES_ONLY = {
    # What a file says may not make FFmpeg open other files or addresses: no playlists, no image sequences.
    "protocol_whitelist": "file",
    "format_whitelist": "mov,matroska,webm,avi,wav,w64,aiff,caf,mp3,aac,ac3,eac3,flac,ogg,flv,mpegts,mpeg,asf,gif,"
    "mxf,amr,au,dv,h264,hevc,m4v,mpegvideo,ivf,rm,nut,wv,ape,tta,"
    "nistsphere,voc,ircam,pvf,avr,iff,sds",  # sound of speech corpora and old machines
}
MOST_PIXELS = 1 << 26
"""Of a decoded image: 8192 x 8192."""
LONGEST_GAP_S = 3600.0
"""Between neighbours in a file: timestamps that jump farther are damage."""
GAPS_S, GAP_SHARE = 600.0, 2.0
"""A file may be longer than what is in it by so much, and by this many times its length (seconds; images count 1 s)."""
HD_HEIGHT = 720  # untagged video of this height or more is ITU-R BT.709, below it BT.601


@dataclass(frozen=True)
class MediaInfo:
    """What a file says about itself. Times are seconds on the container's clock."""

    path: Path
    container: str
    has_video: bool
    has_audio: bool
    width: int
    """Of the image as it is shown: after rotation and with square pixels. 0 without video."""
    height: int
    fps: float
    """Average rate that the container declares; 0 without video or when it declares none."""
    rotation_deg: int
    """Counter-clockwise quarter turns that bring the stored image upright, in degrees."""
    mirrored: bool
    """Whether it is shown mirrored, left to right before the turn."""
    transfer: colour.Transfer
    """What its values mean: sdr is brought to BT.709, hlg and pq (high dynamic range) too, with their highlights
    rolled off."""
    interlaced: bool
    """Whether its images hold two instants each, which are taken apart."""
    video_start_s: float
    """Instant of the first image: time zero of everything that gtalk reads from the file."""
    video_codec: str
    declared_frames: int
    """Images the container promises; 0 when it does not say."""
    duration_s: float
    audio_start_s: float
    audio_rate: int
    audio_channels: int
    audio_codec: str
    n_audio_tracks: int


def probe(path: Path) -> MediaInfo:
    """Describe a media file; decodes one image. Raises UserError when it is not a media file."""
    with open_media(path) as container:
        video, audio = video_stream(container), audio_stream(container)
        if video is None and audio is None:
            raise not_media(path, "no video and no sound inside")
        first = _first_image(container, video) if video is not None else None
        if video is not None and first is None and audio is None:
            raise not_media(path, "a video stream of which no image can be decoded")
        width, height = shown_size(first, video) if first is not None else (0, 0)
        return MediaInfo(
            path=Path(path),
            container=container.format.name,
            has_video=first is not None,
            has_audio=audio is not None,
            width=width,
            height=height,
            fps=float(video.average_rate or video.base_rate or 0) if video is not None else 0.0,
            rotation_deg=Orientation.of(first).rotation_deg if first is not None else 0,
            mirrored=first is not None and Orientation.of(first).mirrored,
            transfer=colour.transfer_of(first) if first is not None else "sdr",
            interlaced=first is not None and first.interlaced_frame,
            video_start_s=image_time(first, 0.0) if first is not None else 0.0,
            video_codec=video.codec_context.name if video is not None else "",
            declared_frames=video.frames if video is not None else 0,
            duration_s=_duration_s(container, video, audio),
            audio_start_s=_start_s(audio),
            audio_rate=audio.codec_context.sample_rate if audio is not None else 0,
            audio_channels=audio.codec_context.channels if audio is not None else 0,
            audio_codec=audio.codec_context.name if audio is not None else "",
            n_audio_tracks=len(container.streams.audio),
        )


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Open a file for reading. Raises UserError when it is missing, empty or no media file."""
    import av
    import av.error

    path = Path(path)
    if not path.is_file():
        got = "a folder" if path.is_dir() else "nothing there"
        raise UserError(f"media file {path}", expected="an existing file", got=got, remedy="Check the path.")
    if path.stat().st_size == 0:
        raise not_media(path, "a file of 0 bytes")
    try:
        # An absolute path, so that no name is taken for a protocol ("concat:...").
        container = av.open(str(path.resolve()), container_options=LOCAL_FILES_ONLY, **_any_tags(av.__version__))
    except (av.error.FFmpegError, ValueError) as error:
        raise not_media(path, _words(error)) from error
    try:
        yield container
    finally:
        container.close()


def _any_tags(version: str) -> dict[str, Any]:
    """What keeps `av.open` from refusing tags that are no UTF-8; from PyAV 19 on it never does."""
    return {"metadata_errors": "replace"} if int(version.partition(".")[0]) < 19 else {}


def tags_of(path: Path) -> dict[str, str]:
    """What a file's container says in words: title, comment and so on. Raises UserError for what is no media file."""
    with open_media(path) as container:
        return dict(container.metadata)


def not_media(path: Path, got: str) -> UserError:
    """The error for a file in which nothing can be seen or heard."""
    return UserError(
        f"media file {path}",
        expected="a video or sound file that can be decoded",
        got=got,
        remedy="Check that it plays in a video player; export or download it again if it does not.",
    )


def require_video(info: MediaInfo) -> None:
    """Raise UserError when a file has sound but no image."""
    if not info.has_video:
        raise UserError(
            f"media file {info.path}",
            expected="a video",
            got=f"no images, only sound ({info.audio_codec})",
            remedy="Pass the video file of the person.",
        )


def video_stream(container: InputContainer) -> Any | None:
    """The first video stream that is not a cover image."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if stream.codec_context is not None and not (stream.disposition & Disposition.attached_pic):
            stream.thread_type = "AUTO"
            stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}  # larger ones are not even allocated
            return stream
    return None


def audio_stream(container: InputContainer, track: int | None = None) -> Any | None:
    """The audio stream marked as default, else the first; or the one at index `track`."""
    from av.stream import Disposition

    streams = [s for s in container.streams.audio if s.codec_context is not None and _hearable(s.codec_context)]
    if track is not None and track < len(streams):
        return streams[track]
    marked = [s for s in streams if s.disposition & Disposition.default]
    return (marked or streams or [None])[0]


def _hearable(codec: Any) -> bool:
    """Whether a header's rate and channels are those of sound."""
    return 1000 <= codec.sample_rate <= 1_000_000 and 1 <= codec.channels <= 64


def decode(container: InputContainer, stream: Any) -> Iterator[Any]:
    """All frames of a stream that can be decoded; damaged packets are skipped."""
    from av.error import FFmpegError

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, FFmpegError):
            return
        try:
            frames = packet.decode()
        except FFmpegError:
            continue
        yield from frames


def image_time(frame: VideoFrame, otherwise: float) -> float:
    """When an image is shown, seconds on the container's clock."""
    stamp = frame.pts if frame.pts is not None else frame.dts
    return otherwise if stamp is None or frame.time_base is None else float(stamp * frame.time_base)


def check_gaps(path: Path, length_s: float, held_s: float) -> None:
    """Raise UserError where `length_s` of a file hold only `held_s` of images or sound: pieces that lie hours apart."""
    if length_s > GAPS_S + (1.0 + GAP_SHARE) * held_s:
        raise UserError(
            f"media file {path}",
            expected="pieces that follow each other",
            got=f"{length_s / 3600:.1f} h, of which {held_s:.0f} s hold something",
            remedy="Cut the file at its gaps, or export it again.",
        )


def shown_size(frame: VideoFrame, stream: Any) -> tuple[int, int]:
    """(width, height) upright and with square pixels."""
    width = max(1, round(frame.width * pixel_aspect(stream)))
    return (frame.height, width) if Orientation.of(frame).transpose else (width, frame.height)


def to_rgb(frame: VideoFrame, size: tuple[int, int]) -> Any:
    """Upright RGB image [H,W,3] uint8 of `size` = (width, height), BT.709 whatever the file's range of colours."""
    from av.video.reformatter import Colorspace

    orientation = Orientation.of(frame)
    width, height = size[::-1] if orientation.transpose else size
    scaling = "AREA" if width * height < frame.width * frame.height else "BICUBIC"
    if colour.is_plain(frame):
        untagged = int(frame.colorspace) == 2
        rgb = frame.to_ndarray(
            format="rgb24",
            width=width,
            height=height,
            src_colorspace=Colorspace.ITU709 if untagged and frame.height >= HD_HEIGHT else None,
            interpolation=scaling,
        )
    else:
        primaries = colour.primaries_of(frame)
        # Its luma weights, where the file does not say: those of its primaries.
        space = Colorspace.BT2020 if int(frame.colorspace) == 2 and primaries == "bt2020" else None
        deep = frame.to_ndarray(
            format="rgb48le", width=width, height=height, src_colorspace=space, interpolation=scaling
        )
        rgb = colour.to_standard(deep, colour.transfer_of(frame), primaries)
    return orientation.apply(rgb)


def _first_image(container: InputContainer, stream: Any) -> VideoFrame | None:
    return next(decode(container, stream), None)


def _start_s(stream: Any) -> float:
    return float(stream.start_time * stream.time_base) if stream is not None and stream.start_time is not None else 0.0


def _duration_s(container: InputContainer, *streams: Any) -> float:
    for stream in streams:
        if stream is not None and stream.duration:
            return float(stream.duration * stream.time_base)
    return float(container.duration or 0) / 1e6


def _words(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return f"{text}"

"""Reading video: upright RGB images at a rate of our choice, by time, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gtalk.errors import UserError
from gtalk.media.interlace import progressive
from gtalk.media.source import (
    MediaInfo,
    decode,
    image_time,
    open_media,
    probe,
    require_video,
    to_rgb,
    video_stream,
)
from gtalk.media.timeline import Timeline, scan
from gtalk.shapes import UInt8
from gtalk.types import VIDEO_FPS


class VideoReader:
    """Images of a video at a constant rate. Iterate it; every pass decodes anew and holds one image.

    Image i is the one that was shown nearest to the instant i / fps after the first image.
    """

    def __init__(self, info: MediaInfo, timeline: Timeline, fps: float, size: tuple[int, int]) -> None:
        self.info, self.timeline, self.fps, self.size = info, timeline, fps, size
        self._wanted = timeline.index[timeline.frames_at(fps)]

    def __len__(self) -> int:
        return len(self._wanted)

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        return self.read()

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
        """Images [start, stop). An image that fills several instants is yielded as the same array.

        Raises UserError when the file ends before its last image.
        """
        wanted = self._wanted[start:stop]
        if not len(wanted):
            return
        done = 0
        with open_media(self.info.path) as container:
            stream = video_stream(container)
            for number, frame in enumerate(progressive(decode(container, stream), stream)):
                if number < wanted[done]:
                    continue
                rgb = to_rgb(frame, self.size)
                while done < len(wanted) and wanted[done] == number:
                    yield rgb
                    done += 1
                if done == len(wanted):
                    return
        raise UserError(
            f"media file {self.info.path}",
            expected=f"{len(wanted)} images, as a moment ago",
            got=f"{done}",
            remedy="Something changed the file while it was read; run again.",
        )

    def scaled(self, scale: float) -> VideoReader:
        """The same images at another size: scaled while decoding, which is cheaper than afterwards."""
        size = (max(1, round(self.info.width * scale)), max(1, round(self.info.height * scale)))
        return VideoReader(self.info, self.timeline, self.fps, size)

    def glimpses(self, count: int) -> list[UInt8[np.ndarray, "H W 3"]]:
        """About `count` images spread over the video, found by seeking: quick, not exact in time."""
        from av.error import FFmpegError

        images = []
        with open_media(self.info.path) as container:
            stream = video_stream(container)
            assert stream is not None
            for share in (np.arange(count) + 0.5) / count:
                time_s = self.info.video_start_s + share * self.timeline.duration_s
                try:
                    container.seek(int(time_s / stream.time_base), stream=stream)
                except FFmpegError:
                    break
                for frame in progressive(decode(container, stream), stream):
                    if image_time(frame, time_s) >= time_s - 0.5 / self.fps:
                        images.append(to_rgb(frame, self.size))
                        break
        return images or [next(self.read())]


def read_video(
    path: Path,
    fps: float | int = VIDEO_FPS,
    max_size: int | None = None,
    retime: bool = True,
    timeline: Timeline | None = None,
) -> VideoReader:
    """Open a video for reading at `fps` images a second.

    Args:
        path: any container and codec that FFmpeg reads; rotation flags and pixel aspects are applied.
        max_size: longest side in pixels; larger images are scaled down.
        retime: drop images that were doubled to reach a higher rate and restore their times.
        timeline: from an earlier `scan` of the same file, to save a pass over it.

    Raises UserError when the file is not a video.
    """
    info = probe(path)
    require_video(info)
    size = (info.width, info.height)
    if max_size is not None and max(size) > max_size:
        scale = max_size / max(size)
        size = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    return VideoReader(info, timeline or scan(path, retime), float(fps), size)

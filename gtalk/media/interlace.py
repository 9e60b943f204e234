"""Interlaced video, two instants in the even and odd rows of one image, as one instant an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

NOTE = "interlaced: the rows of each image's other half are found from its neighbours in space and time"


def progressive(frames: Iterator[VideoFrame], stream: Any) -> Iterator[VideoFrame]:
    """As many frames with the same times; interlaced ones through FFmpeg's yadif filter.

    Args:
        frames: of the video stream `stream`, in the order in which they are shown.
    """
    graph = None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if graph is None:
            graph = _graph(stream)
        graph.push(frame)
        yield from _ready(graph)
    if graph is not None:
        graph.push(None)
        yield from _ready(graph)


def _graph(stream: Any) -> Any:
    import av.filter

    graph = av.filter.Graph()
    source = graph.add_buffer(template=stream)
    filtered = graph.add("yadif", "mode=send_frame:parity=auto:deint=interlaced")
    source.link_to(filtered)
    filtered.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _ready(graph: Any) -> Iterator[VideoFrame]:
    from av.error import BlockingIOError, EOFError

    while True:
        try:
            yield graph.pull()
        except (BlockingIOError, EOFError):
            return

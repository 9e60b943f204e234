"""Small films, as a browser's recorder or a phone would make them."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np


def film(path: Path, *, seconds: float = 1, sound: bool = True) -> bytes:
    """The bytes of a film of noise, also written to `path`; its suffix chooses the kind."""
    data = _made(path.suffix, seconds, sound)
    path.write_bytes(data)
    return data


@cache
def _made(suffix: str, seconds: float, sound: bool) -> bytes:
    import av

    codecs = {".webm": ("libvpx", "libopus"), ".mp4": ("libx264", "aac")}[suffix]
    rng = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"film{suffix}"
        with av.open(str(path), "w") as container:
            video = container.add_stream(codecs[0], rate=25, width=64, height=48, pix_fmt="yuv420p")
            audio = container.add_stream(codecs[1], rate=48000, layout="mono") if sound else None
            for _ in range(round(25 * seconds)):
                picture = av.VideoFrame.from_ndarray(rng.integers(0, 255, (48, 64, 3), np.uint8), format="rgb24")
                container.mux(video.encode(picture))
            container.mux(video.encode())
            if audio is not None:
                tone = (0.2 * np.sin(np.arange(round(48000 * seconds)) * 0.03)).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(tone[None], format="flt", layout="mono")
                frame.sample_rate = 48000
                container.mux(audio.encode(frame))
                container.mux(audio.encode())
        return path.read_bytes()

"""Wide and high dynamic range colour to the standard range that everything here works in.

Phones record HLG or PQ (ITU-R BT.2100) with BT.2020 primaries. Read as if it were BT.709, skin comes out dull and
grey. The way back, as players show such a file on an ordinary display:

    signal ──HLG or PQ──▶ light of the display, cd/m² ──BT.2020 to BT.709──▶ white is 203 cd/m² (BT.2408)
           ──shoulder──▶ what is brighter than white rolls off ──BT.1886──▶ signal

The shoulder leaves everything below KNEE of white as it is, skin among it, so that a standard-range image that was
put into HLG or PQ as BT.2408 says comes back as it was.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from gtalk.shapes import Float, Shaped, UInt8

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Transfer = Literal["sdr", "hlg", "pq"]
PEAK, WHITE = 1000.0, 203.0
"""cd/m²: of the display that HLG is made for, and of a white sheet (BT.2408)."""
KNEE = 0.8
"""Of white's light; above, highlights are rolled off to the peak."""
GAMMA = 2.4
"""Of an ordinary display (BT.1886)."""
_SYSTEM_GAMMA = 1.2  # of a display of 1000 cd/m² (BT.2100, table 5)
_LUMINANCE_2020 = np.array([0.2627, 0.6780, 0.0593])
_TO_709 = {
    "bt2020": np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]),
    "p3": np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]]),
}
"""Linear light to that of BT.709 (BT.2087; SMPTE EG 432-1 with the same white)."""
_NAMES = {16: "pq", 18: "hlg"}
_PRIMARIES = {9: "bt2020", 12: "p3"}


def transfer_of(frame: VideoFrame) -> Transfer:
    """What a frame's values mean, by its tag."""
    return _NAMES.get(int(getattr(frame, "color_trc", 2) or 2), "sdr")  # type: ignore[return-value]


def primaries_of(frame: VideoFrame) -> str:
    """Which primaries a frame's colours are made of, where they are not about those of BT.709."""
    tagged = _PRIMARIES.get(int(getattr(frame, "color_primaries", 2) or 2), "")
    return tagged or ("bt2020" if transfer_of(frame) != "sdr" else "")


def is_plain(frame: VideoFrame) -> bool:
    """Whether a frame needs nothing of what is here."""
    return transfer_of(frame) == "sdr" and not primaries_of(frame)


def describe(transfer: str) -> str:
    """What is done to such a file, for people; nothing for an ordinary one."""
    if transfer == "sdr":
        return ""
    return f"high dynamic range ({transfer.upper()}): brought to the standard range, highlights above white rolled off"


def to_standard(
    values: Shaped[np.ndarray, "H W 3"], transfer: Transfer, primaries: str = "bt2020"
) -> UInt8[np.ndarray, "H W 3"]:
    """RGB signal of 16 bits, full range, to BT.709 of 8 bits."""
    import cv2

    light = _to_light(transfer)[values]
    if transfer == "hlg":  # the display's own contrast acts on luminance, so that hues stay (BT.2100, table 5)
        luminance = np.maximum(light @ _LUMINANCE_2020.astype(np.float32), 1e-6)
        light *= (PEAK / WHITE * luminance ** np.float32(_SYSTEM_GAMMA - 1))[..., None]
    if primaries in _TO_709:
        light = cv2.transform(light, _TO_709[primaries].astype(np.float32))
    if transfer != "sdr":
        light = _rolled_off(light)
    # By its root, so that dark tones have enough steps.
    return _to_signal()[np.rint(np.sqrt(np.clip(light, 0.0, 1.0)) * (_STEPS - 1)).astype(np.int32)]


_STEPS = 1 << 16


@lru_cache(maxsize=3)
def _to_light(transfer: Transfer) -> Float[np.ndarray, " 65536"]:
    """Linear light of each signal: of the scene for HLG, 1 its brightest; else of the display, 1 white."""
    signal = np.linspace(0.0, 1.0, _STEPS)
    if transfer == "hlg":
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12).astype(np.float32)
    if transfer == "pq":
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = signal ** (1 / m2)
        light = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
        return (10_000 / WHITE * light).astype(np.float32)
    return (signal**GAMMA).astype(np.float32)


@lru_cache(maxsize=1)
def _to_signal() -> UInt8[np.ndarray, " 65536"]:
    """Signal of the root of light."""
    return np.rint(255 * np.linspace(0.0, 1.0, _STEPS) ** (2 / GAMMA)).astype(np.uint8)


def _rolled_off(light: np.ndarray) -> np.ndarray:
    """Light in which the brightest channel of a pixel is at most 1: all three are scaled alike, so that hues stay.

    Above KNEE a rational curve that leaves it with slope 1 and reaches 1 at the peak.
    """
    brightest = light.max(-1)
    over = np.maximum(brightest - KNEE, 0.0)
    room, reach = 1.0 - KNEE, PEAK / WHITE - KNEE
    # over / (1 + k over) with k chosen so that reach goes to room.
    bent = KNEE + over / (1.0 + over * (1.0 / room - 1.0 / reach))
    scale = np.where(over > 0, np.minimum(bent, 1.0) / np.maximum(brightest, 1e-6), 1.0)
    return light * scale[..., None].astype(light.dtype)

"""Which expressions the clip has shown, shape by shape, and what is geometry alone."""

from __future__ import annotations

import numpy as np

from gtalk.rig.person import PersonRig
from gtalk.rig.shapes import INDEPENDENT, index
from gtalk.types import Motion

_LEAST_FRAMES = 25
_ENOUGH, _LITTLE = 0.7, 0.25  # of a shape's whole weight


def shapes_seen(motion: Motion) -> dict[str, float] | None:
    """How far each shape was seen, 0 to 1; None where no mesh was tracked or hardly a frame shows a face."""
    if "landmarks478" not in motion.channels or motion.valid.sum() < _LEAST_FRAMES:
        return None
    rig = PersonRig.of_motion(motion)
    return {name: round(float(np.clip(rig.seen[index(name)], 0.0, 1.0)), 2) for name in INDEPENDENT}


def seen_bars(seen: dict[str, float] | None) -> str:
    """HTML: a bar for every shape, left and right together; the filled part was seen, the rest is sculpted."""
    if seen is None:
        return "<p>No face mesh was tracked.</p>"
    joined: dict[str, list[float]] = {}
    for name, value in seen.items():
        joined.setdefault(name.removesuffix("Left").removesuffix("Right"), []).append(value)
    rows = []
    for name, values in sorted(joined.items(), key=lambda item: -max(item[1])):
        share = max(values)
        word = "seen" if share >= _ENOUGH else ("partly seen" if share >= _LITTLE else "geometry")
        rows.append(
            f'<div style="display:flex;gap:8px;align-items:center;break-inside:avoid"><span style="width:9em">{name}'
            f'</span><span style="width:120px;background:#eee"><span style="display:block;height:9px;'
            f'background:#2a6fd6;width:{120 * share:.0f}px"></span></span>'
            f"<span>{share:.1f} of 1.0, {word}</span></div>"
        )
    note = (
        "<p>An avatar of this clip shows the blue part of a shape as the person did it; what is left of it comes from "
        "sculpted geometry. An expression take adds more.</p>"
    )
    return f'{note}<div style="columns:2;font-size:13px">{"".join(rows)}</div>'

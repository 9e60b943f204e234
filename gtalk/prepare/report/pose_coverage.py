"""What a clip covers, as small maps: how often each head angle and each shape of the mouth was seen."""

from __future__ import annotations

import numpy as np

from gtalk.prepare.report.metrics import head_angles, lip_aperture
from gtalk.types import Motion

CELL_PX, LEFT_PX, TOP_PX = 26, 46, 16
ANGLE_EDGES = {"yaw": np.arange(-35.0, 36.0, 5.0), "pitch": np.arange(-25.0, 26.0, 5.0)}
GAP_EDGES_MM, WIDTH_EDGES_MM = np.arange(0.0, 25.0, 2.0), np.arange(34.0, 71.0, 4.0)


def coverage_maps(motion: Motion) -> str:
    """Two SVG maps side by side: head angles, and mouth shapes (width of the lips over their gap)."""
    valid = motion.valid
    angles = np.degrees(head_angles(motion.head_pose[valid]))
    gap = 1000 * lip_aperture(motion)[valid]
    width = 1000 * np.linalg.norm(motion.landmarks[valid, 54] - motion.landmarks[valid, 48], axis=-1)
    head = _map(angles[:, 0], angles[:, 1], ANGLE_EDGES["yaw"], ANGLE_EDGES["pitch"], "yaw, degrees", "pitch")
    mouth = _map(gap, width, GAP_EDGES_MM, WIDTH_EDGES_MM, "gap between the lips, mm", "width")
    return f'<div style="display:flex;gap:24px;align-items:flex-start">{head}{mouth}</div>'


def _map(x: np.ndarray, y: np.ndarray, x_edges: np.ndarray, y_edges: np.ndarray, x_name: str, y_name: str) -> str:
    inside = [np.clip(v, e[0], np.nextafter(e[-1], -np.inf)) for v, e in ((x, x_edges), (y, y_edges))]
    counts, _, _ = np.histogram2d(*inside, bins=(x_edges, y_edges))
    # The square root, or rare cells beside frequent ones would look empty.
    strength = np.sqrt(counts / max(1.0, counts.max()))
    columns, rows = counts.shape
    cells = []
    for i in range(columns):
        for j in range(rows):
            left, top = LEFT_PX + i * CELL_PX, TOP_PX + (rows - 1 - j) * CELL_PX
            shade = "#f1f1f1" if not counts[i, j] else f"rgba(42,111,214,{0.15 + 0.85 * strength[i, j]:.2f})"
            cells.append(
                f'<rect x="{left}" y="{top}" width="{CELL_PX - 1}" height="{CELL_PX - 1}" fill="{shade}">'
                f"<title>{counts[i, j]:.0f} frames</title></rect>"
            )
    bottom = TOP_PX + rows * CELL_PX
    ticks = [
        f'<text x="{LEFT_PX + i * CELL_PX}" y="{bottom + 13}" font-size="10" text-anchor="middle">{edge:.0f}</text>'
        for i, edge in enumerate(x_edges)
    ]
    ticks += [
        f'<text x="{LEFT_PX - 4}" y="{bottom - j * CELL_PX + 4}" font-size="10" text-anchor="end">{edge:.0f}</text>'
        for j, edge in enumerate(y_edges)
    ]
    names = (
        f'<text x="{LEFT_PX + columns * CELL_PX / 2:.0f}" y="{bottom + 28}" font-size="12" text-anchor="middle">'
        f'{x_name}</text><text x="2" y="10" font-size="12">{y_name}</text>'
    )
    width, height = LEFT_PX + columns * CELL_PX + 12, bottom + 34
    return f'<svg viewBox="0 0 {width} {height}" style="width:{width}px">{"".join(cells)}{"".join(ticks)}{names}</svg>'

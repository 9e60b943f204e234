"""Facts about the face mesh of 478 points: which vertex is what, its mirror image, its triangles.

The layout is that of MediaPipe's face mesh with irises (Apache-2.0, Google): 468 points of the face
and five of each iris. Left and right mean the *image's* left and right of a person who faces the
camera, never the person's own. `tools/make/topology.py` derives the file of triangles and mirrors.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

N_FACE = 468
"""Vertices of the face itself; the irises follow."""
N_POINTS = 478

_tables = load_file(Path(__file__).with_suffix(".safetensors"))

MIRROR = _tables["mirror"].astype(np.int64)
"""[478] the vertex on the other side of the face; midline vertices are their own mirror."""
SKIN_TRIANGLES = _tables["triangles"].astype(np.int64)
"""[852,3] the face without eyes and mouth opening; seen from outside, wound counter-clockwise."""

# Rings that run around an opening, starting at the corner on the image's left: along the lower
# lid or lip first, then back along the upper one.
LEFT_EYE_RING = np.array([33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246])
RIGHT_EYE_RING = np.array([362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398])
INNER_LIPS_RING = np.array([78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191])
OUTER_LIPS_RING = np.array([61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185])
LIPS = np.concatenate([OUTER_LIPS_RING, INNER_LIPS_RING])
"""[40] the outer ring, then the inner one."""
FACE_OVAL = np.concatenate(
    [
        [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377],
        [152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109],
    ]
)
"""[36] the outline, from the top of the forehead clockwise in the image."""


def _close_ring(ring: np.ndarray) -> np.ndarray:
    """Triangles between the lower and the upper half of a ring, wound as SKIN_TRIANGLES is."""
    half = len(ring) // 2
    lower, upper = ring[: half + 1], np.concatenate([ring[:1], ring[: half - 1 : -1]])
    rows = []
    for i in range(half):
        if i < half - 1:
            rows.append((lower[i], lower[i + 1], upper[i + 1]))
        if i > 0:
            rows.append((lower[i], upper[i + 1], upper[i]))
    return np.array(rows)


EYE_TRIANGLES = np.concatenate([_close_ring(LEFT_EYE_RING), _close_ring(RIGHT_EYE_RING)])
"""[28,3] what closes the eye openings."""
MOUTH_TRIANGLES = _close_ring(INNER_LIPS_RING)
"""[18,3] what closes the mouth opening."""
TRIANGLES = np.concatenate([SKIN_TRIANGLES, EYE_TRIANGLES, MOUTH_TRIANGLES])
"""[898,3] the closed mask; its only border is FACE_OVAL. Irises are not part of it."""

LANDMARKS68 = np.concatenate(
    [
        [127, 93, 132, 58, 172, 136, 150, 176, 152, 400, 379, 365, 397, 288, 361, 323, 356],  # jaw
        [70, 63, 105, 66, 107, 336, 296, 334, 293, 300],  # brows
        [168, 197, 5, 4, 98, 97, 2, 326, 327],  # nose
        [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380],  # eyes
        [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181],  # outer lips
        [78, 82, 13, 312, 308, 317, 14, 87],  # inner lips
    ]
)
"""[68] the usual 68-point layout: jaw from the image's left, brows, nose, eyes, outer and inner lips."""

EYE_CORNERS = np.array([[33, 133], [263, 362]])
"""(outer, inner) corner of the left and of the right eye."""
EYELID_PAIRS = np.array(
    [
        [[160, 144], [159, 145], [158, 153]],
        [[387, 373], [386, 374], [385, 380]],
    ]
)
"""[2,3,2] (upper, lower) vertices that meet when the left or the right eye closes."""
IRIS_CENTRES = np.array([468, 473])
IRIS_RINGS = np.array([[469, 470, 471, 472], [474, 475, 476, 477]])
"""[2,4] right, top, left and bottom point of the left and of the right iris."""
BROW_POINTS = np.array([[70, 63, 105, 66, 107], [300, 293, 334, 296, 336]])
"""[2,5] upper edge of the brows, from the outer end inwards."""
LIP_GAP_PAIRS = np.array([[81, 178], [82, 87], [13, 14], [312, 317], [311, 402]])
"""[5,2] (upper, lower) inner-lip vertices that meet when the mouth closes."""

RIGID = np.concatenate(
    [
        [10, 109, 338, 67, 297, 103, 332, 54, 284, 21, 251, 151, 108, 337, 69, 299, 104, 333, 68, 298],  # forehead
        [71, 301, 9, 8, 168, 6, 197, 195, 5, 4, 1],  # glabella and ridge of the nose
        [193, 417, 122, 351, 196, 419, 3, 248, 51, 281, 45, 275, 245, 465, 188, 412, 174, 399, 236, 456],  # its sides
        [162, 389, 127, 356, 139, 368, 34, 264, 143, 372, 156, 383, 234, 454, 227, 447],  # temples
        [116, 345, 123, 352, 117, 346, 111, 340, 118, 347],  # cheekbones
        [33, 263, 133, 362, 130, 359],  # corners of the eyes
    ]
)
"""Vertices over bone that expressions move least: candidates, whose rigidity a tracker still measures."""

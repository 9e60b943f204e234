"""What expressions need in avatar.bin.

Python writes a column of numbers for each coefficient and each Gaussian (`gtalk.avatar.expressing.columns`), half a
million rows. The page gets what those are made from: what one of each coefficient does at the 478 points of the mesh,
and where on the mesh each Gaussian sits. It sums up at the points first and looks there for each Gaussian.

Gaussians are in the order of `GaussianExpression.groups`; what lies in the mouth comes twice, as speech shows it and
as expressions do; what stands behind openings comes after that.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from gtalk.avatar.expressing import openings as parted
from gtalk.avatar.expressing.binding import JAW
from gtalk.avatar.expressing.codes import MOST_ASKED, MOST_CODE, RANGE_SHARE, Asked
from gtalk.avatar.expressing.columns import (
    FOLD_TINT,
    MOST_LOG_SCALE,
    MOST_SHADE,
    folded,
    light_on,
    line_between_lips,
    mesh_columns,
    smooth_skin,
)
from gtalk.avatar.gaussian import GaussianAvatar
from gtalk.export.web.sections import stepped
from gtalk.geometry.quaternion import rotation_matrices
from gtalk.ops import splat
from gtalk.rig.expression import recipes
from gtalk.rig.limits import Gaps
from gtalk.rig.sculpted.folds import depths
from gtalk.rig.shapes import SHAPES, WHOLE
from gtalk.shapes import Float

LOOKS = [3, 4, 5, 10, 11, 12, 13]
"""Channels that stay within what the clip has shown."""
FOLDS_EACH = 2
"""Folds of the skin, the strongest, that a Gaussian keeps."""


class Face(NamedTuple):
    """The face's half of avatar.bin."""

    base: Float[np.ndarray, "N 16"]
    face: Float[np.ndarray, "Nf K 16"]
    header: dict[str, Any]
    sections: dict[str, np.ndarray]
    behind: int
    """How many Gaussians stand behind openings."""


def face_of(avatar: GaussianAvatar) -> Face:
    """An avatar's Gaussians in the page's order; without a mesh, those that it has and nothing more."""
    own = {name: value.float().cpu().numpy() for name, value in avatar.learned.items()}
    if (avatar.parts.rig or avatar.parts.find_rig()) is None:
        return Face(own["base"], own["face"], {}, {}, 0)
    expression, split = avatar.expression, len(own["face"])
    order, inside = expression.groups.order, expression.groups.inside
    lent = [part[inside].float().cpu().numpy() for part in expression.basis[:2]]
    rows, openings = own["base"][order], expression.openings
    base = np.concatenate([rows, lent[0], openings.backing, own["base"][split:]])
    face = np.concatenate([own["face"][order], lent[1]])
    ends = [group.stop for group in expression.groups[1:]]
    header = {"ends": [*ends, len(face)], **_words(avatar)}
    sections = {**_mesh(avatar, rows), **_ranges(avatar, base[: len(face)]), **_codes(avatar), **_openings(avatar)}
    return Face(base, face, header, sections, len(openings.backing))


def _mesh(avatar: GaussianAvatar, rows: Float[np.ndarray, "F 16"]) -> dict[str, np.ndarray]:
    """What coefficients do at the mesh's points, and where Gaussians sit on it."""
    division, binding, mesh = avatar.division, avatar.expression.binding, avatar.division.rig.mean
    columns = mesh_columns(division)
    weights = np.clip(np.rint(255 * binding.weights[:, :2]), 0, 255)
    skin = np.column_stack([binding.share, smooth_skin(mesh, binding, rows)])
    line = line_between_lips(mesh, binding, rows)
    creases = np.concatenate([folded(mesh, binding), line.profiles])
    kept = np.argsort(-np.abs(creases), axis=0, kind="stable")[:FOLDS_EACH]
    return {
        "fold": kept.T.astype("u1"),
        **stepped("fold_at", np.take_along_axis(creases, kept, 0).T[None], "i1"),
        "fold_depths": np.concatenate([depths(SHAPES), line.depths], 1).astype("<f4"),
        "line_colour": line.colour.astype("<f4"),
        **stepped("mesh_place", columns.place, "<i2"),
        **stepped("mesh_normal", columns.normal, "i1"),
        **stepped("mesh_slope", columns.slope.reshape(*columns.place.shape[:2], 9), "i1"),
        "mesh_chin": columns.chin.astype("<f4"),
        "light": light_on(mesh, binding, rows).astype("<f4"),
        "bound_points": binding.points.astype("<u2"),
        "bound": np.column_stack([weights, np.rint(255 * skin)]).astype("u1"),
        **stepped("bound_height", binding.height_m[None], "i1"),
        "jaw": (binding.region == JAW)[avatar.expression.groups.inside].astype("u1"),
    }


def _ranges(avatar: GaussianAvatar, base: Float[np.ndarray, "F 16"]) -> dict[str, np.ndarray]:
    inside = avatar.expression.groups.inside
    ranges = avatar.expression.ranges.cpu().numpy()
    kept = np.concatenate([ranges, ranges[:, inside]], 1)[..., LOOKS] - base[:, LOOKS]
    kept[:, inside] = 0.0  # as speech shows it, which asks for no range: others would get coarser steps
    return stepped("ranges", kept.transpose(2, 0, 1), "i1")


def _codes(avatar: GaussianAvatar) -> dict[str, np.ndarray]:
    division = avatar.division
    mean, scale = avatar.expression.code_norm
    basis = avatar.basis
    floats = {"to_codes": division.to_codes, "code_low": basis.low, "code_high": basis.high, "code_mean": mean,
              "code_spread": scale}  # fmt: skip
    gaps = Gaps.of(division.rig.neutral, division.wanted)
    floats |= {"gap_rest": gaps.at_rest, "gap_shapes": gaps.per_weight, "gap_opening": gaps.opening}
    return {**{n: v.astype("<f4") for n, v in floats.items()}, "large": division.large.astype("<u2"),
            "lively": division.is_lively[len(division.is_lively) - len(division.large) :].astype("u1")}  # fmt: skip


def _openings(avatar: GaussianAvatar) -> dict[str, np.ndarray]:
    own = avatar.expression.openings
    floats = {"backing": own.backing[:, :15], "open_rest": own.neutral, "below": own.below_m}
    floats |= {"shut_code": own.shut_code, "open_code": own.open_code, "thin": own.thin, "widens": own.widens_m}
    floats |= {"jaw_codes": own.jaw_by_code, "jaw_shapes": own.jaw_by_shape, "along": parted.ALONG}
    moved = {**stepped("open_codes", own.by_code, "<i2"), **stepped("open_shapes", own.by_shape, "<i2")}
    points = {"ring": parted.RING.astype("<u2"), "under": parted.UNDER_POINTS.astype("<u2")}
    under = {"under_clear": parted.UNDER_CLEAR_M.astype("<f4")}
    return {**{n: v.astype("<f4") for n, v in floats.items()}, **moved, **points, **under}


def _words(avatar: GaussianAvatar) -> dict[str, Any]:
    """Names and constants: what the page's expression.js and openings.js calculate with."""
    listed = {
        name: {"shapes": {shape: list(numbers) for shape, numbers in recipe.shapes.items()}, "says": recipe.says}
        for name, recipe in recipes().items()
    }
    aliases = {alias: name for name, recipe in recipes().items() for alias in recipe.aliases}
    constants = {name.lower(): getattr(parted, name) for name in (
        "PARTED_M", "ONSET", "COLUMNS", "ROWS", "MARGIN_M", "OUTSIDE_M", "FADE_M", "HIDDEN", "SHOWN", "STRETCHED",
        "TORN", "LEAST_PARTED_M", "WIDE_M", "WIDER", "BARED_M")}  # fmt: skip
    return {
        "shapes": list(SHAPES),
        "whole": {whole: list(parts) for whole, parts in WHOLE.items()},
        "recipes": listed,
        "aliases": aliases,
        "depth_m": avatar.expression.openings.depth_m,
        "parts": list(avatar.expression.openings.parts),
        "range_share": RANGE_SHARE,
        "most_asked": MOST_ASKED,
        "most_code": MOST_CODE,
        "most_log_scale": MOST_LOG_SCALE,
        "most_shade": MOST_SHADE,
        "fold_tint": list(FOLD_TINT),
        **constants,
    }


def expressed(
    unpacked: dict[str, np.ndarray],
    header: dict[str, Any],
    codes: Float[np.ndarray, "4 K"],
    asked: Asked,
    change: Float[np.ndarray, " Km"],
    share: float,
) -> Float[np.ndarray, "F 15"]:
    """The face's Gaussians with an expression, before what covers the mouth: the twin of the page's shader.

    Args:
        codes: of the groups right, left, far and inside, as the basis takes them.
        change: of the face's code by the expression, divided by its spread.
        share: see `gtalk.avatar.expressing.openings.onset`.
    """
    words = header["expression"]
    ends, limit = words["ends"], np.array(header["limits"], np.float32)
    n_own, first = ends[3], ends[2]
    rows = np.r_[0:first, n_own : ends[4]]
    base, face = unpacked["base"][rows], unpacked["face"][rows]
    group = np.searchsorted(ends[:3], np.arange(len(rows)), side="right")
    smooth = np.r_[unpacked["bound"][:first, 3] / 255.0, np.zeros(len(rows) - first)] * (group < 2)
    moved = np.einsum("nk,nkc->nc", codes[group], face)
    moved[:, :3] -= smooth[:, None] * np.einsum("k,nkc->nc", change, face[:, : len(change), :3])
    out = base.copy()
    out[:, :14] += np.clip(moved, -limit, limit)
    low, high = unpacked["ranges"][:, :, rows].transpose(1, 2, 0) + base[:, LOOKS]
    out[:, LOOKS] += share * (np.clip(out[:, LOOKS], low, high) - out[:, LOOKS])
    kept_change = np.zeros(len(asked.coefs))
    kept_change[len(SHAPES) : len(SHAPES) + len(change)] = change * unpacked["code_spread"]
    sums = {n: np.tensordot(asked.coefs, unpacked[f"mesh_{n}"], 1) for n in ("place", "normal", "slope", "chin")}
    away = {n: np.tensordot(kept_change, unpacked[f"mesh_{n}"], 1) for n in ("place", "normal")}
    bound = unpacked["bound"][:first] / 255.0
    corners = np.column_stack([bound[:, :2], 1.0 - bound[:, 0] - bound[:, 1]])
    at = lambda field: (corners[..., None] * field[unpacked["bound_points"][:first]]).sum(1)  # noqa: E731
    skin, height = bound[:, 2:3], unpacked["bound_height"][0, :first, None]
    out[:first, :3] += skin * (at(sums["place"]) + height * at(sums["normal"]))
    smooth_skin = bound[:, 3:4]
    out[:first, :3] += smooth_skin * skin * (at(away["place"]) + height * at(away["normal"]))
    slope = at(sums["slope"]).reshape(-1, 3, 3) * skin[..., None]
    axes = rotation_matrices(torch.from_numpy(base[:first, 6:10])).numpy().transpose(0, 2, 1)
    stretch = np.log(np.linalg.norm(axes + axes @ slope.transpose(0, 2, 1), axis=-1))
    most = words["most_log_scale"]
    out[:first, 3:6] += np.clip(stretch, -most, most)
    skew = 0.25 * np.stack([slope[:, i, j] - slope[:, j, i] for i, j in ((2, 1), (0, 2), (1, 0))], 1)
    w, v = base[:first, 6:7], base[:first, 7:10]
    turn = np.column_stack([-(skew * v).sum(1), skew * w + np.cross(skew, v)])
    out[:first, splat.QUATERNION] += turn
    most = words["most_shade"]
    shade = np.clip((at(sums["normal"]) @ unpacked["light"]) * skin[:, 0], -most, most)
    deep = asked.coefs[: len(SHAPES)] @ unpacked["fold_depths"]
    creased, is_line = (
        (unpacked["fold_at"][0] * deep[unpacked["fold"]])[:first],
        unpacked["fold"][:first] >= len(deep) - 2,
    )
    shades = shade[:, None] + (creased * ~is_line).sum(1)[:, None] * np.array(words["fold_tint"])
    paler = (creased * is_line).sum(1)[:, None]
    own = base[:first, splat.COLOUR]
    out[:first, splat.COLOUR] += own * shades + paler * (unpacked["line_colour"] - own)
    out[first:, :3] += unpacked["jaw"][:, None] * sums["chin"]
    return out

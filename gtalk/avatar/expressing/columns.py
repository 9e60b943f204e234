"""Expressions on Gaussians: columns that are written from geometry, where the clip never showed what is wanted.

    wanted weights w ─▶ what the person's own codes can show, within the clip's range ─▶ learned basis
                     └▶ the remainder ─▶ written columns: place, turn, stretch and shade of each Gaussian

A column holds what one whole shape adds to each Gaussian once the person's codes have done their part; further
columns, one for each code, are the written twins of the learned ones and take over where a code has reached the end
of the clip's range. So the mesh under the image moves by exactly what was asked for, whoever moves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from gtalk.avatar.expressing.binding import CHIN, EYEBALL, JAW, LOWER, SKIN, UPPER, Binding
from gtalk.avatar.expressing.codes import Division
from gtalk.avatar.expressing.surface import vertex_gradients, vertex_normals
from gtalk.basis import GAZE_UNIT_RAD
from gtalk.geometry.quaternion import rotation_matrices
from gtalk.geometry.rotation import axial
from gtalk.ops import splat
from gtalk.rig.sculpted.folds import depths, profiles
from gtalk.rig.shapes import SHAPES, eye_centre
from gtalk.shapes import Bool, Float
from gtalk.topology import INNER_LIPS_RING, IRIS_CENTRES, LEFT_EYE_RING, N_POINTS, RIGHT_EYE_RING, SKIN_TRIANGLES

TEETH_SHARE = 0.85  # of the chin's way: the teeth are nearer to the joint
LIPS_M, LIDS_M = 0.007, 0.003  # how far learned motion is better than the mesh's
LEAST_M = 3e-4  # a column that moves a Gaussian less leaves it out
LEAST_TWIN_M = 2e-4  # a twin, whose code may be asked three times over
MOST_LOG_SCALE, MOST_SHADE = 0.8, 0.22
LEAST_CREASE = 0.01  # a column that shades a Gaussian less leaves it out
OFF_SKIN_M = 0.004
LINE_M, LIPS_RED_M = 0.0035, 0.012  # from the lips' inner edge: the line between them; their red
SHADOW, SOFT = 0.55, 0.4  # of the red's brightness; over what share of that a Gaussian comes to belong to the line
PALES = {"mouthUpperUp": 0.5, "mouthLowerDown": 0.5, "mouthStretch": 0.5, "mouthFrown": 0.4, "mouthFunnel": 0.8,
         "jawOpen": 0.8, "mouthSmile": 0.1}  # fmt: skip
"""How far a shape at weight 1 takes the line between the lips to the colour of their shadow."""
FOLD_TINT = np.array([0.85, 1.05, 1.1])  # light that got into the skin reddens the valley
LUMINANCE = np.array([0.299, 0.587, 0.114])


class MeshColumns(NamedTuple):
    """What one of each coefficient does at the points of the mesh."""

    place: Float[np.ndarray, "C 478 3"]
    """Displacement, metres."""
    normal: Float[np.ndarray, "C 478 3"]
    """Change of the unit normals."""
    slope: Float[np.ndarray, "C 478 3 3"]
    """Gradient of the displacement along the surface."""
    chin: Float[np.ndarray, "C 3"]
    """Displacement of the lower teeth, metres."""


@dataclass(frozen=True)
class Columns:
    """Written columns of some Gaussians, in two tables: an expression keeps the weights of most shapes for seconds."""

    still: splat.SparseColumns
    lively: splat.SparseColumns
    is_still: Bool[np.ndarray, " C"]
    """Which coefficients are those of `still`, in order; the others are those of `lively`."""


def write_columns(
    division: Division,
    binding: Binding,
    base: Float[np.ndarray, "N 16"],
    moves: Float[np.ndarray, "N K 3"],
) -> Columns:
    """Columns of the Gaussians `base` that follow the face, for one of each coefficient.

    Away from lips and lids, whose learned motion knows more than the mesh does, a column also takes back how the
    codes' own columns `moves` stray from the mesh: there, places are geometry and only looks are learned.
    """
    rig, wanted, large = division.rig, division.wanted, division.large
    rows = _written(mesh_columns(division), len(rig.motion), light_on(rig.mean, binding, base), binding, base)
    creased, line = depths(SHAPES) @ folded(rig.mean, binding), line_between_lips(rig.mean, binding, base)
    paler, colour = line.depths @ line.profiles, base[:, splat.COLOUR]
    rows[: len(wanted), :, splat.COLOUR] += creased[..., None] * FOLD_TINT * colour
    rows[: len(wanted), :, splat.COLOUR] += paler[..., None] * (line.colour - colour)
    twins = slice(len(wanted), len(wanted) + len(rig.motion))
    _look(rows[twins.stop - 2 : twins.stop], rig.mean, binding, base)
    strays = rows[twins, :, splat.POSITION] - moves.transpose(1, 0, 2)
    strays = strays * smooth_skin(rig.mean, binding, base)[None, :, None]
    asked = np.einsum("ke,knd->end", division.to_codes, strays)
    rows[: twins.start, :, splat.POSITION] += asked
    rows[twins, :, splat.POSITION] -= strays
    rows[twins.stop :, :, splat.POSITION] -= asked[large]
    is_still = ~division.is_lively
    least_m = np.full(len(rows), LEAST_M)
    least_m[twins] = LEAST_TWIN_M
    kept = np.abs(rows[..., splat.POSITION]).max(-1) > least_m[:, None]
    kept[: len(wanted)] |= (np.abs(creased) > LEAST_CREASE) | (paler > LEAST_CREASE)
    still, lively = (
        splat.SparseColumns.of(torch.from_numpy(rows[which]), torch.from_numpy(kept[which]))
        for which in (is_still, ~is_still)
    )
    return Columns(still, lively, is_still)


def _look(
    twins: Float[np.ndarray, "2 N 16"],
    mesh: Float[np.ndarray, "478 3"],
    binding: Binding,
    base: Float[np.ndarray, "N 16"],
) -> None:
    """Make the twins of the gaze's codes (to the image's right, up) turn the eyeballs, in place.

    Lids follow eyes that look up and down, not those that look aside: what the clip's mesh did then was chance.
    """
    eyes = binding.region == EYEBALL
    twins[0] = 0.0
    twins[:, eyes] = 0.0
    twins[:, eyes, splat.POSITION] = turned_eyeballs(mesh, base[eyes, splat.POSITION])


def turned_eyeballs(mesh: Float[np.ndarray, "478 3"], position: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "2 N 3"]:
    """Displacement of points of the eyeballs when the gaze goes one unit of its code to the image's right, and up."""
    centres = np.stack([eye_centre(mesh, iris) for iris in IRIS_CENTRES])
    off = position - centres[np.abs(position[:, None, 0] - centres[None, :, 0]).argmin(1)]
    return GAZE_UNIT_RAD * np.stack([np.cross(axis, off) for axis in ([0.0, 1.0, 0.0], [-1.0, 0.0, 0.0])])


def folded(mesh: Float[np.ndarray, "478 3"], binding: Binding) -> Float[np.ndarray, "F N"]:
    """What each fold, of a depth of 1, adds to the brightness of Gaussians, as a share of it: to those on the skin,
    not to what stands off it, such as hair.
    """
    places, normals = (_at(binding, v) for v in (mesh, vertex_normals(mesh, SKIN_TRIANGLES)))
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    skin = np.isin(binding.region, (UPPER, LOWER, SKIN)) * binding.share
    return profiles(mesh, places, normals) * skin * np.exp(-((binding.height_m / OFF_SKIN_M) ** 2))


class Line(NamedTuple):
    """The dark line of closed lips, which belongs to one lip or the other: parted or stretched it would be specks."""

    profiles: Float[np.ndarray, "2 N"]
    """How much each Gaussian is part of it, on the left and the right."""
    depths: Float[np.ndarray, "E 2"]
    """How far each shape at weight 1 takes it to `colour`."""
    colour: Float[np.ndarray, "3"]


def line_between_lips(mesh: Float[np.ndarray, "478 3"], binding: Binding, base: Float[np.ndarray, "N 16"]) -> Line:
    """Find it: near the lips' inner edge, and darker than the shadows of the lips' red."""
    away = np.linalg.norm(base[:, None, splat.POSITION] - mesh[INNER_LIPS_RING][None], axis=-1).min(1)
    on_lips, colours = np.isin(binding.region, (UPPER, LOWER, SKIN)), base[:, splat.COLOUR].astype(np.float64)
    red = on_lips & (away > LINE_M) & (away < LIPS_RED_M)
    shadow = SHADOW * np.median(colours[red], 0) if red.any() else np.zeros(3)
    darker = 1.0 - colours @ LUMINANCE / max(float(shadow @ LUMINANCE), 1e-6)
    part = np.where(on_lips & (away < LINE_M), np.clip(darker / SOFT, 0.0, 1.0), 0.0)
    left = _at(binding, mesh)[:, 0] >= 0.0
    sides = [[next((w for n, w in PALES.items() if name in (n, n + side)), 0.0) for name in SHAPES]
             for side in ("Left", "Right")]  # fmt: skip
    return Line(np.stack([part * left, part * ~left]), np.array(sides).T, shadow)


def mesh_columns(division: Division) -> MeshColumns:
    """What one of each coefficient does to the mesh."""
    rig, fields = division.rig, division.fields
    by_code, by_shape = jaw_motion(division)
    asked_of_codes = TEETH_SHARE * division.of_codes[:, CHIN].mean(1)
    chins = np.concatenate([by_shape - asked_of_codes, by_code, asked_of_codes[division.large]])
    normals = vertex_normals(rig.mean, SKIN_TRIANGLES)
    turned = np.stack([vertex_normals(rig.mean + field, SKIN_TRIANGLES) - normals for field in fields])
    slopes = np.stack([vertex_gradients(rig.mean, rig.mean + field, SKIN_TRIANGLES) for field in fields])
    return MeshColumns(fields, turned, slopes, chins)


def jaw_motion(division: Division) -> tuple[Float[np.ndarray, "K 3"], Float[np.ndarray, "E 3"]]:
    """What one of each code and each whole shape moves the lower teeth, metres."""
    jaws = np.array([name.startswith("jaw") for name in SHAPES], np.float64)[:, None]
    by_code, by_shape = (field[:, CHIN].mean(1) for field in (division.rig.motion, division.wanted))
    return TEETH_SHARE * by_code, TEETH_SHARE * jaws * by_shape


def smooth_skin(
    mesh: Float[np.ndarray, "478 3"], binding: Binding, base: Float[np.ndarray, "N 16"]
) -> Float[np.ndarray, " N"]:
    """1 on skin away from lips and lids, 0 at those and inside of them."""
    away = np.ones(len(base))
    for rim, reach in ((INNER_LIPS_RING, LIPS_M), (np.concatenate([LEFT_EYE_RING, RIGHT_EYE_RING]), LIDS_M)):
        near = np.linalg.norm(base[:, None, splat.POSITION] - mesh[rim][None], axis=-1).min(1)
        away = np.minimum(away, np.clip((near - reach) / reach, 0.0, 1.0))
    skin = np.isin(binding.region, (UPPER, LOWER, SKIN))
    return np.where(skin, away * away * (3.0 - 2.0 * away), 0.0)


def _written(
    mesh: MeshColumns,
    n_twins: int,
    light: Float[np.ndarray, "3"],
    binding: Binding,
    base: Float[np.ndarray, "N 16"],
) -> Float[np.ndarray, "C N 16"]:
    axes = _axes(base[:, splat.QUATERNION].astype(np.float64))
    colour = base[:, splat.COLOUR].astype(np.float64)
    out = np.zeros((len(mesh.place), len(base), splat.CHANNELS), np.float32)
    for row, (field, turned, gradient, chin) in enumerate(zip(*mesh, strict=True)):
        place, normal, slope = (_at(binding, v) for v in (field, turned, gradient.reshape(N_POINTS, 9)))
        slope = slope.reshape(-1, 3, 3) * binding.share[:, None, None]
        moved = (place + binding.height_m[:, None] * normal) * binding.share[:, None]
        moved[binding.region == JAW] = chin
        slope[binding.region == JAW] = 0.0
        out[row, :, splat.POSITION] = moved
        stretch, shade = axes @ slope.transpose(0, 2, 1), (normal @ light) * binding.share
        if not len(SHAPES) <= row < len(SHAPES) + n_twins:
            stretched = np.log(np.linalg.norm(axes + stretch, axis=-1))
            out[row, :, splat.LOG_SCALE] = np.clip(stretched, -MOST_LOG_SCALE, MOST_LOG_SCALE)
            shade = np.clip(shade, -MOST_SHADE, MOST_SHADE)
        else:  # codes are asked by the handful and undo each other: what is not linear would add up
            out[row, :, splat.LOG_SCALE] = (axes * stretch).sum(-1)
        out[row, :, splat.QUATERNION] = _turn(slope, base[:, splat.QUATERNION].astype(np.float64))
        shade[binding.region == JAW] = 0.0
        out[row, :, splat.COLOUR] = colour * shade[:, None]
    return out


def _at(binding: Binding, values: Float[np.ndarray, "478 D"]) -> Float[np.ndarray, "N D"]:
    return (binding.weights[..., None] * values[binding.points]).sum(1)


def light_on(
    mesh: Float[np.ndarray, "478 3"], binding: Binding, base: Float[np.ndarray, "N 16"]
) -> Float[np.ndarray, "3"]:
    """How brightness changes with the normal, as a share of the skin's own: Lambert's law, fitted to the skin.

    Brightness = a + b n by reweighted least squares over Gaussians on the skin, so that brows and lips do not count.
    """
    normals = vertex_normals(mesh, SKIN_TRIANGLES)
    on_skin = (binding.share > 0.99) & (np.abs(binding.height_m) < 0.004) & (base[:, 10] > 0.0)
    n = _at(binding, normals)[on_skin]
    y = base[on_skin][:, splat.COLOUR].astype(np.float64) @ LUMINANCE
    if len(y) < 100:
        return np.zeros(3)
    x, weight = np.concatenate([np.ones((len(n), 1)), n], 1), np.ones(len(y))
    solution = np.zeros(4)
    for _ in range(8):
        xw = x * weight[:, None]
        solution = np.linalg.solve(xw.T @ x + 1e-3 * len(x) * np.diag([0.0, 1.0, 1.0, 1.0]), xw.T @ y)
        off = np.abs(y - x @ solution)
        weight = 1.0 / (1.0 + (off / (2.0 * np.median(off) + 1e-9)) ** 2)
    return solution[1:] / max(float(np.median(x @ solution)), 0.05)


def _axes(quaternions: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 3 3"]:
    """The Gaussians' own axes, as rows."""
    return rotation_matrices(torch.from_numpy(quaternions)).numpy().transpose(0, 2, 1)


def _turn(slope: Float[np.ndarray, "N 3 3"], quaternions: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N 4"]:
    """Change of quaternions wxyz by the gradient's rotation: half of omega times q."""
    skew = 0.25 * axial(slope)
    w, v = quaternions[:, :1], quaternions[:, 1:]
    return np.concatenate([-(skew * v).sum(1, keepdims=True), skew * w + np.cross(skew, v)], 1)

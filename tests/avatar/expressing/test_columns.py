"""Skin creases with the shapes that crease it; the line of closed lips gives way where they part."""

from dataclasses import replace

import numpy as np
import pytest

from gtalk.avatar.expressing.binding import EYEBALL
from gtalk.avatar.expressing.columns import (
    FOLD_TINT,
    LINE_M,
    folded,
    line_between_lips,
    turned_eyeballs,
    write_columns,
)
from gtalk.basis import GAZE_UNIT_RAD
from gtalk.ops import splat
from gtalk.ops.reference.splat import COLUMN_BLOCK
from gtalk.rig.sculpted.folds import depths
from gtalk.rig.shapes import SHAPES, eye_centre
from gtalk.topology import INNER_LIPS_RING, IRIS_CENTRES
from tests.avatar.expressing.speaking_face import speaking_face


def test_a_column_holds_the_shade_of_its_folds() -> None:
    avatar, _ = speaking_face()
    expression = avatar.expression
    creased = depths(SHAPES) @ folded(avatar.division.rig.mean, expression.binding)
    shape = SHAPES.index("noseSneerLeft")
    deepest = int(creased[shape].argmin())
    assert creased[shape, deepest] < -0.1
    column = int(np.searchsorted(np.flatnonzero(expression.columns.is_still), shape))
    table, columns = expression.columns.still, int(expression.columns.is_still.sum())
    entry = deepest // COLUMN_BLOCK * columns + column
    entries = slice(*table.starts[entry : entry + 2].tolist())
    row = table.values[entries][table.rows[entries] == deepest][0].float().numpy()
    red, _, blue = row[splat.COLOUR] / expression.basis[0][deepest, splat.COLOUR].numpy()
    assert blue - red == pytest.approx(
        creased[shape, deepest] * (FOLD_TINT[2] - FOLD_TINT[0]), abs=2e-3
    )  # Lambert apart


def test_what_stands_off_the_skin_is_not_creased() -> None:
    avatar, _ = speaking_face()
    binding, mesh = avatar.expression.binding, avatar.division.rig.mean
    on = np.abs(folded(mesh, binding)).max(0)
    off = np.abs(folded(mesh, replace(binding, height_m=np.full(len(binding.height_m), 0.011)))).max(0)
    assert on.max() > 0.7
    assert off.max() < 0.01


def test_the_line_of_closed_lips_is_what_is_dark_at_their_edge_and_gives_way_where_they_part() -> None:
    avatar, _ = speaking_face()
    binding, mesh = avatar.expression.binding, avatar.division.rig.mean
    base = avatar.expression.basis[0].numpy().copy()
    edge = np.linalg.norm(base[:, None, splat.POSITION] - mesh[INNER_LIPS_RING][None], axis=-1).min(1) < LINE_M
    base[:, splat.COLOUR] = 0.5
    assert not line_between_lips(mesh, binding, base).profiles.any()  # nothing is dark
    base[edge, splat.COLOUR] = 0.05
    line = line_between_lips(mesh, binding, base)
    assert 0 < (line.profiles.sum(0) > 0.9).sum() <= edge.sum()
    assert not line.profiles[:, ~edge].any()
    np.testing.assert_allclose(line.colour, 0.5 * 0.55)
    takes = dict(zip(SHAPES, line.depths, strict=True))
    assert takes["jawOpen"].tolist() == [0.8, 0.8]
    assert takes["mouthStretchLeft"].tolist() == [0.5, 0.0]
    assert not takes["browInnerUp"].any()
    assert FOLD_TINT[0] < 1.0 < FOLD_TINT[2]  # valleys are redder than the skin


def test_beyond_the_clips_range_a_gaze_turns_the_eyeballs_and_leaves_the_lids() -> None:
    avatar, _ = speaking_face()
    division, binding = avatar.division, avatar.expression.binding
    base, mesh, size = avatar.expression.basis[0].numpy().copy(), avatar.division.rig.mean, avatar.basis.size
    base[:2, splat.POSITION] = mesh[IRIS_CENTRES]
    aside, up = turned_eyeballs(mesh, base[:2, splat.POSITION])
    radius_m = mesh[IRIS_CENTRES[0], 2] - eye_centre(mesh, IRIS_CENTRES[0])[2]
    np.testing.assert_allclose(aside, [[GAZE_UNIT_RAD * radius_m, 0, 0]] * 2, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(up, [[0, GAZE_UNIT_RAD * radius_m, 0]] * 2, rtol=1e-4, atol=1e-9)
    eyes = replace(binding, region=np.where(np.arange(len(base)) < 2, EYEBALL, binding.region))
    columns = write_columns(division, eyes, base, np.zeros((len(base), size, 3)))
    column = int(np.flatnonzero(np.flatnonzero(~columns.is_still) == len(SHAPES) + size - 2)[0])
    starts, rows, n = columns.lively.starts.numpy(), columns.lively.rows.numpy(), int((~columns.is_still).sum())
    moved = np.concatenate([rows[starts[i] : starts[i + 1]] for i in range(column, len(starts) - 1, n)])
    assert sorted(moved) == [0, 1], "to the side only eyeballs go"

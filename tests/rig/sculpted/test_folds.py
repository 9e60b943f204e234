"""Folds lie where they are written, dark in the valley and bright on the side on which skin heaps up."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from gtalk.errors import UserError
from gtalk.rig.sculpted.folds import FOLDS_PATH, depths, folds, profiles, read_folds
from gtalk.rig.shapes import SHAPES, neutral
from gtalk.topology import MIRROR, N_FACE, SKIN_TRIANGLES

TOWARDS_US = np.array([0.0, 0.0, 1.0])


def at(places: np.ndarray) -> np.ndarray:
    return profiles(neutral(), places, np.tile(TOWARDS_US, (len(places), 1)))


def named(name: str) -> int:
    return 2 * list(yaml.safe_load(FOLDS_PATH.read_text())).index(name)


def test_the_valley_is_dark_and_the_bulge_beside_it_bright() -> None:
    k = named("forehead_low")
    middle = folds()[k].along @ neutral()
    up = np.linspace(-0.012, 0.012, 121)  # across the line, metres
    across = at(middle[1] + up[:, None] * [0.0, 1.0, 0.0])[k]
    assert up[across.argmin()] == pytest.approx(0.0, abs=5e-4)
    assert across.min() < -0.85
    assert up[across.argmax()] > 0.002  # above: its bulge is [0, 1]
    assert 0.2 < across.max() < 0.5
    assert abs(across.mean()) < 0.35 * np.abs(across).mean() + 0.1  # a creased face is hardly darker as a whole


def test_a_fold_is_where_its_line_is_and_nowhere_else() -> None:
    skin = neutral()[:N_FACE]
    k = named("nasolabial")
    line = folds()[k].along @ neutral()
    shade = at(skin)[k]
    far = np.linalg.norm(skin[:, None] - line[None], axis=-1).min(1) > 0.03
    assert far.sum() > 200
    assert np.abs(shade[far]).max() < 1e-3
    assert at(line)[k].min() < -0.5


def test_left_and_right_mirror_each_other() -> None:
    places = neutral()[SKIN_TRIANGLES].mean(1)
    mirrored = places * [-1.0, 1.0, 1.0]
    here, there = at(places), at(mirrored)
    assert np.abs(here).max() > 0.5
    np.testing.assert_allclose(here[0::2], there[1::2], atol=2e-2)
    assert list(folds()[1].shapes) == [name.replace("Left", "Right") for name in folds()[0].shapes]


def test_folds_that_meet_in_the_middle_are_one_fold_there() -> None:
    k = named("nose_root")
    start = (folds()[k].along @ neutral())[:1]
    assert at(start)[[k, k + 1]].sum() == pytest.approx(-1.0, abs=0.05)


def test_a_shape_creases_its_own_side_and_a_whole_one_both() -> None:
    deep = depths(SHAPES)
    left, right = (np.flatnonzero(deep[SHAPES.index(f"mouthSmile{side}")]) for side in ("Left", "Right"))
    assert set(left % 2) == {0}
    assert set(right % 2) == {1}
    whole, halves = deep[SHAPES.index("browInnerUp")], [SHAPES.index(f"browInnerUp{s}") for s in ("Left", "Right")]
    np.testing.assert_allclose(whole, deep[halves].sum(0))
    assert not deep[SHAPES.index("jawOpen")].any()


def test_every_line_lies_on_the_skin() -> None:
    skin = neutral()[SKIN_TRIANGLES].mean(1)
    for fold in folds():
        gap = np.linalg.norm((fold.along @ neutral())[:, None] - skin[None], axis=-1).min(1)
        assert gap.max() < 0.012
        np.testing.assert_allclose(fold.along.sum(1), 1.0)
    assert np.array_equal(MIRROR[MIRROR], np.arange(len(MIRROR)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"width": 2.0}, "width 2"),
        ({"along": ["nowhere", "corner"]}, "no point 'nowhere'"),
        ({"shapes": {"mouthGrin": 0.2}}, "no shape mouthGrin"),
        ({"shapes": {"mouthSmile": 3.0}}, "depths"),
        ({"ends": [2, 0]}, "ends"),
        ({"colour": 1}, "colour"),
    ],
)
def test_an_impossible_entry_is_told(tmp_path: Path, change: dict, told: str) -> None:
    entry = yaml.safe_load(FOLDS_PATH.read_text())["dimple"] | change
    path = tmp_path / "folds.yaml"
    path.write_text(yaml.safe_dump({"dimple": entry}))
    with pytest.raises(UserError, match=told) as caught:
        read_folds(path)
    assert "folds.yaml" in str(caught.value)

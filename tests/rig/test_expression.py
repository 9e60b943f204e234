"""Named expressions: intensities, regions, mixtures and what people write wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtalk.errors import UserError
from gtalk.rig.expression import (
    MOST_WEIGHT,
    REGIONS,
    Expression,
    mixture,
    named,
    names,
    parse,
    read_recipes,
    recipes,
    region_of,
)
from gtalk.rig.shapes import SHAPES, index

EMOTIONS = ["neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised", "contempt"]


def test_the_named_ones_are_there() -> None:
    assert {*EMOTIONS, "smile", "smirk", "wink", "pout", "frown"} <= set(names())
    assert [r.name for r in recipes().values() if r.emotion] == EMOTIONS


@pytest.mark.parametrize("name", names())
def test_intensity_grows_and_zero_is_nothing(name: str) -> None:
    steps = np.stack([named(name, i).vector() for i in (0.0, 0.25, 0.5, 0.75, 1.0)])
    assert not steps[0].any() and (np.diff(steps, axis=0) >= 0).all() and steps.max() <= MOST_WEIGHT
    assert named(name, 0.0) == Expression()
    assert name == "neutral" or (np.diff(steps.sum(1)) > 0).all()
    assert recipes()[name].says


def test_regions_part_the_shapes() -> None:
    assert {region_of(name) for name in SHAPES} == set(REGIONS)
    whole = named("angry").vector()
    parts = [named("angry").only([region]).vector() for region in REGIONS]
    np.testing.assert_allclose(sum(parts), whole)
    assert all((np.stack(parts) > 0).sum(0) <= 1)


@given(a=st.sampled_from(names()), b=st.sampled_from(names()), x=st.floats(0, 1), y=st.floats(0, 1))
def test_mixtures_add_up_in_any_order(a: str, b: str, x: float, y: float) -> None:
    ab, ba = mixture([(a, x), (b, y)]), mixture([(b, y), (a, x)])
    np.testing.assert_allclose(ab.vector(), named(a, x).vector() + named(b, y).vector())
    np.testing.assert_allclose(ab.vector(), ba.vector())
    np.testing.assert_allclose(ab.head_deg, ba.head_deg, atol=1e-12)
    assert ab.jaw_gain == pytest.approx(ba.jaw_gain)


def test_what_people_write() -> None:
    np.testing.assert_allclose(parse("happy:0.7").vector(), named("happy", 0.7).vector())
    np.testing.assert_allclose(parse("Joy").vector(), named("happy").vector())
    found = parse("smile:0.5@mouth + sad:0.8@brows,eyes")
    assert found.weights["mouthSmileLeft"] == pytest.approx(0.375)
    assert "mouthFrownLeft" not in found.weights and found.weights["browInnerUpLeft"] == pytest.approx(
        0.8 * named("sad").weights["browInnerUpLeft"]
    )
    assert parse("mouthSmile:0.4+jawOpen:0.2").vector()[[index("mouthSmileRight"), index("jawOpen")]].tolist() == [
        0.4,
        0.2,
    ]
    assert parse("brows up").weights["browOuterUpLeft"] == 1.0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hapy", "happy"),
        ("angri:0.5", "angry"),
        ("mouthSmil:0.5", "mouthSmile"),
        ("happy:1.2", "from 0 to 1"),
        ("happy:-0.1", "from 0 to 1"),
        ("happy:nan", "from 0 to 1"),
        ("mouthSmile:3", "from 0 to 1"),
        ("happy:much", "NAME:INTENSITY"),
        ("happy@nose", "a known region"),
        ("", "NAME:INTENSITY"),
        ("happy:0.5:0.6", "NAME:INTENSITY"),
    ],
)
def test_what_people_write_wrong(text: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        parse(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("glee: {says: x, shapes: {mouthSmle: 1}}", "mouthSmle"),
        ("glee: {says: x, shapes: {mouthSmile: 2}}", "mouthSmile"),
        ("glee: {shapes: {mouthSmile: 1}}", "says"),
        ("glee: {says: x, head: [1, 2, 3]}", "head"),
        ("glee: {says: x, jaw_gain: 9}", "gains"),
        ("- 1", "AttributeError"),
    ],
)
def test_a_file_with_an_error_says_where(tmp_path, text: str, complaint: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UserError, match=complaint):
        read_recipes(tmp_path / "x.yaml")

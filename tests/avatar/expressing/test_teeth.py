import numpy as np

from gtalk.avatar.expressing.teeth import arches
from gtalk.ops import splat
from gtalk.rig.shapes import neutral
from gtalk.topology import INNER_LIPS_RING


def test_teeth_stand_behind_the_lips_the_lower_ones_behind_the_upper_ones() -> None:
    upper, lower = arches(np.array(neutral()), np.zeros(3), np.full(3, 0.8))
    lips = neutral()[INNER_LIPS_RING]
    for rows in (upper, lower):
        position = rows[:, splat.POSITION]
        assert position[:, 2].max() < lips[:, 2].max()
        np.testing.assert_allclose(np.sort(position[:, 0] - lips[:, 0].mean()), np.sort(-position[:, 0]), atol=2e-3)
    assert upper[:, 2].max() > lower[:, 2].max()
    assert upper[:, 1].max() > lips[:, 1].mean() > lower[:, 1].mean()


def test_teeth_are_as_light_as_the_lightest_that_is_known() -> None:
    seen, white = np.array([0.7, 0.65, 0.6]), np.full(3, 0.5)
    for upper in (arches(np.array(neutral()), a, b)[0] for a, b in ((seen, white), (np.zeros(3), seen))):
        assert 0.4 < upper[:, splat.COLOUR].max() <= 0.7

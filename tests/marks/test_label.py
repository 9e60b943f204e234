"""The word that is seen."""

import numpy as np

from gtalk.marks.label import labelled


def test_the_words_stand_in_their_corner_and_nothing_else_changes() -> None:
    for shade in (0, 128, 255):
        rgb = np.full((350, 300, 3), shade, np.uint8)
        out = labelled(rgb)
        changed = (out != rgb).any(-1)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        assert rows.min() > 320 and rows.max() < 350 and columns.max() < 130
        assert 300 < changed.sum() < 3500
        assert (rgb == shade).all(), "the picture itself is kept"
        assert out[changed].min() == 0 or shade == 0
        assert out[changed].max() > 230 or shade == 255
    assert (labelled(np.zeros((8, 8, 3), np.uint8)).shape) == (8, 8, 3)

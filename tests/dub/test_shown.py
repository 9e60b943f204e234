import pytest

from gtalk.direct.score import Score
from gtalk.dub.shown import check_picture, events_of_expression
from gtalk.errors import UserError
from gtalk.rig.expression import Expression, named


def test_an_expression_is_a_score_that_can_be_written_and_read(tmp_path) -> None:
    events = events_of_expression(named("happy", 0.8))
    smile = next(e for e in events if e.track == "shape.mouthSmileLeft")
    assert smile.value == pytest.approx(0.68, abs=0.01) and smile.by == "picture"
    Score(tuple(events)).save(tmp_path / "x.score.yaml")
    assert len(Score.load(tmp_path / "x.score.yaml").events) == len(events)
    assert events_of_expression(Expression({"browDownLeft": 1.3}))[0].value == 1.0


def test_a_picture_that_is_not_there_is_told_before_anything_begins(tmp_path) -> None:
    with pytest.raises(UserError, match="existing picture"):
        check_picture(tmp_path / "gone.jpg")

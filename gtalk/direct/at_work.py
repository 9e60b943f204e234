"""Edits that make a motion obey a score, for whoever renders: dubs, batches, `motion edit`."""

from __future__ import annotations

from dataclasses import dataclass

from gtalk.direct.keys import KeyEdit, MotionOf, plan_keys
from gtalk.direct.recipes import check_own
from gtalk.direct.score import Score
from gtalk.direct.score_edit import ScoreEdit, beyond_range
from gtalk.direct.style import Style
from gtalk.direct.style_edit import StyleEdit
from gtalk.errors import UserError
from gtalk.motion.base import EditFactory, MotionModel
from gtalk.motion.model.model import PersonMotionModel


@dataclass(frozen=True)
class Directed:
    """What makes the edits of a session, and what there is to say."""

    edits: tuple[EditFactory, ...] = ()
    notes: tuple[str, ...] = ()


def directed(
    model: MotionModel | None,
    score: Score,
    motion_of: MotionOf,
    style: tuple[Style, float] | None = None,
    seed: int = 0,
) -> Directed:
    """The edits of a score.

    Args:
        model: the person's.
        score: what is asked for.
        style: whose way of talking, and how much of it.
        seed: chooses blinks that a style drops or adds.
        motion_of: the motion without keys; it is asked for when there are keys, which need to know what is to come.

    Raises UserError when there is no motion model, which knows the person's range, for own expressions that
    this person lacks, and as `plan_keys` does.
    """
    if not isinstance(model, PersonMotionModel):
        raise UserError("score", expected="an avatar with a motion model", got="none",
                        remedy="Run `gtalk motion train DATASET -o AVATAR`, or leave the score out.")  # fmt: skip
    check_own(score.events, model.expressions)
    levels: tuple[EditFactory, ...] = (lambda: ScoreEdit(model, score),)
    if style is not None:
        levels = (lambda: StyleEdit(model, *style, seed), *levels)
    notes = tuple(beyond_range(score.events, model))
    if not any(event.track.startswith("key.") for event in score.events):
        return Directed(levels, notes)
    plan = plan_keys(score.events, model, motion_of(levels))
    return Directed((*levels, lambda: KeyEdit(plan)), notes + plan.notes)

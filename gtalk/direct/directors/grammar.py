"""Instructions in English: "starts calm, laughs at 'finally', nods twice, then looks down, worried".

    text ─▶ marks of time ─▶ clauses ─▶ stages (first .. then .. finally) ─▶ acts of each clause ─▶ events

A clause without a time of its own belongs to its stage, or shares the time of the clause it is joined to by "and".
A nod without a time, where one thing follows another, comes after what was asked before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from gtalk.direct.directors.acts import Act, acts_of
from gtalk.direct.directors.speech import Speech
from gtalk.direct.directors.times import AFTER_S, Span, Timed, with_marks
from gtalk.direct.score import SWING_S, Event
from gtalk.errors import UserError

MOST_LETTERS = 2000
BY = "say"
"""Who is named in the events."""
_FIRST = r"(?:at first|first of all|firstly|first|to begin with|(?:begins?|starts?)(?: off)?(?: with| by)?|initially)"
_NEXT = r"(?:and then|then|next|afterwards?|after which|later(?: on)?|subsequently)"
_LAST = r"(?:finally|in the end|lastly|at last|ends? (?:with|by))"
_STAGE = re.compile(rf"^(?:please |she |he |they |you |i )*\b({_FIRST}|{_NEXT}|{_LAST})\b")
_SPLIT = re.compile(
    r"\s*(?:[,;:.!]+(?:\s*(?:and|but)\b)?(?:\s|$)|\band\b(?! then)|\bbut\b|\bwhile\b|\band(?= then))\s*|\s+(?=then\b)"
)
_BLINK_S = 0.4
_SPEED = {"slow": 1.7, "quick": 0.7, "": 1.0}


@dataclass
class _Clause:
    text: str
    joined_by_and: bool
    stage: int
    opens_stage: bool
    spans: list[Span] = field(default_factory=list)
    lasts_s: float | None = None
    acts: list[Act] = field(default_factory=list)


@dataclass(frozen=True)
class Reading:
    """What an instruction was taken to ask for, and what there is to say of it."""

    events: tuple[Event, ...]
    notes: tuple[str, ...] = ()


def read_instruction(text: str, speech: Speech) -> Reading:
    """Events of an instruction. Raises UserError for what is not understood, with the nearest that would be."""
    if not text.strip() or len(text) > MOST_LETTERS:
        raise UserError("--say", expected=f"an instruction of 1 to {MOST_LETTERS} letters", got=f"{len(text)} letters",
                        remedy="Write for example: smile at 'finally', then look down.")  # fmt: skip
    timed = with_marks(text, speech)
    clauses, notes = _clauses(timed), []
    before: Act | None = None
    for clause in clauses:
        clause.acts, said = acts_of(clause.text, before)
        notes += said
        before = clause.acts[-1] if clause.acts else before
    _share_times(clauses)
    return Reading(tuple(_placed(clauses, speech)), tuple(notes))


def _clauses(timed: Timed) -> list[_Clause]:
    out: list[_Clause] = []
    stage, named, at = 0, None, 0
    pieces = [(m.start(), m.end(), m[0]) for m in _SPLIT.finditer(timed.text)]
    bounds = [*pieces, (len(timed.text), len(timed.text), "")]
    joiner = ""
    for start, end, between in bounds:
        text = timed.text[at:start].strip()
        at = end
        if text:
            found = _STAGE.match(text)
            if found and not (re.match(_FIRST, found[1]) and not out):
                stage += 1
            text = text[: found.start(1)] + text[found.end(1) :] if found else text
            clause = _Clause(text, joiner.strip() == "and", stage, bool(found))
            named = _take_times(clause, timed, named)
            out.append(clause)
        joiner = between
    return out


def _take_times(clause: _Clause, timed: Timed, named: Span | None) -> Span | None:
    """Moves the marks of a clause into its spans; the last span that named a word."""
    for mark in re.findall(r"<(\d+)>", clause.text):
        span = timed.spans[int(mark)]
        if int(mark) in timed.after_last and named is not None:
            span = Span(named.end_s, span.end_s)
        clause.spans.append(span)
        named = span if int(mark) not in timed.after_last else named
    for mark in re.findall(r"<for (\d+)>", clause.text):
        clause.lasts_s = timed.lasts[int(mark)]
    clause.text = " ".join(re.sub(r"<[^>]*>", " ", clause.text).split())
    return named


def _share_times(clauses: list[_Clause]) -> None:
    """What is joined by "and" has one time, be it said before or after it."""
    for before, after in pairwise(clauses):
        if not after.joined_by_and or after.opens_stage:
            continue
        if before.spans and not after.spans:
            after.spans = before.spans
        swings = any(act.swings for act in (*before.acts, *after.acts))
        if after.spans and not before.spans and not before.opens_stage and not swings:
            before.spans = after.spans
    for before, after in pairwise(clauses):
        if before.spans and not before.acts and not after.spans:  # "at 'worries', she looks anxious"
            after.spans = before.spans


def _placed(clauses: list[_Clause], speech: Speech) -> list[Event]:
    clauses = [clause for clause in clauses if clause.acts or clause.spans or clause.opens_stage]
    stages = _stages(clauses, speech.duration_s)
    in_order = len(stages) > 1 or any(clause.opens_stage for clause in clauses)
    out: list[Event] = []
    after_s = 0.0
    for clause in clauses:
        spans = clause.spans or [stages[clause.stage]]
        for act in clause.acts:
            for span in spans:
                if act.swings:
                    follows = in_order and not clause.spans and after_s > 0.0
                    event = _swing(act, Span(after_s, after_s) if follows else span, follows, speech.duration_s)
                else:
                    event = _level(act, span, clause.lasts_s, speech.duration_s)
                out += event
                after_s = max((e.end_s for e in event), default=after_s)
    return out


def _stages(clauses: list[_Clause], duration_s: float) -> dict[int, Span]:
    """When each stage is: as long as is said in it, the others share what is left evenly."""
    numbers = sorted({clause.stage for clause in clauses})
    fixed: dict[int, tuple[float, float]] = {}
    for number in numbers:
        mine = [c for c in clauses if c.stage == number and c.acts]
        spans = [_whole(span, duration_s) for c in mine for span in c.spans]
        swings = [s for c in mine if not c.spans for act in c.acts if (s := act.swing_s)]
        held = [c for c in mine if any(not act.swings for act in c.acts)]
        if spans and (not held or any(c.spans for c in held)):
            fixed[number] = min(s.start_s for s in spans), max(s.end_s for s in spans) + sum(swings)
    out: dict[int, Span] = {}
    edge = 0.0
    for i, number in enumerate(numbers):
        if number in fixed:
            start_s, edge = min(edge, fixed[number][0]), fixed[number][1]
            out[number] = Span(start_s, edge)
            continue
        later = [fixed[n][0] for n in numbers[i:] if n in fixed]
        free = next((k for k, n in enumerate(numbers[i:]) if n in fixed), len(numbers) - i)
        until = later[0] if later else duration_s
        if i == 0 and len(numbers) == 1 and any(c.opens_stage for c in clauses):
            until = duration_s / 3.0  # "starts with a smile", and nothing is said of what follows
        end = edge + max(0.0, until - edge) / free
        out[number] = Span(edge, end)
        edge = end
    return out


def _whole(span: Span, duration_s: float) -> Span:
    return Span(span.start_s, min(duration_s, span.end_s + AFTER_S)) if span.moment else span


def _level(act: Act, span: Span, lasts_s: float | None, duration_s: float) -> list[Event]:
    lingers = span.moment and not act.track.startswith("articulation.")
    end_s = span.end_s + (AFTER_S if lingers else 0.0)
    if lasts_s is not None:
        end_s = span.start_s + lasts_s
    end_s = min(end_s, duration_s)
    if end_s <= span.start_s:
        return []
    ease_s = 0.12 if act.track.startswith("articulation.") and span.moment else 0.5
    return [Event(act.track, act.value, span.start_s, end_s, ease_s, ease_s, by=BY)]


def _swing(act: Act, span: Span, follows: bool, duration_s: float) -> list[Event]:
    one_s = (_BLINK_S if act.track == "blink" else SWING_S) * _SPEED[act.speed]
    length_s = one_s * act.times
    if follows:
        start_s = span.start_s + 0.1
    elif span.moment:  # the first of them peaks in the middle of the word
        start_s = span.middle_s - 0.5 * one_s
    else:
        start_s = span.middle_s - 0.5 * length_s
    start_s = min(max(0.0, start_s), max(0.0, duration_s - length_s))
    if start_s + length_s > duration_s:
        return []
    return [Event(act.track, act.value, start_s, start_s + length_s, times=act.times, by=BY)]

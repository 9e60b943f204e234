"""What the timeline asks of the server, and what no page of ours sends."""

import asyncio
import base64

import numpy as np
import pytest

from gtalk.direct.score import Event
from gtalk.hosting.budget import Budget
from gtalk.speech.words import Words
from gtalk.types import AUDIO_RATE
from gtalk.viewer.web.protocol import BadMessage
from gtalk.viewer.web.stage import MOST_S, House, Stage
from tests.viewer.live_servers import run, still_session, voice


class Page:
    def __init__(self, house: House | None = None) -> None:
        self.session, self.clock = still_session()
        self.stage, self.told = Stage(self.session, house), {}

    async def tell(self, **message) -> None:
        self.told |= message

    def send(self, **command):
        self.told = {}
        return asyncio.run(self.stage.take(command, self.tell))

    def upload(self, samples: np.ndarray) -> None:
        pcm = base64.b64encode((samples * 32767).astype("<i2").tobytes()).decode()
        self.send(do="speech", pcm=pcm, first=True, last=True)


@pytest.fixture
def page() -> Page:
    return Page()


SMILE = {"track": "emotion.smile", "value": 0.6, "start": 0.5, "end": 0.9}


def test_a_speech_is_played_with_its_score_from_its_first_sample(page, monkeypatch) -> None:
    page.upload(voice(1.0))
    assert page.told["stage"]["duration"] == 1.0
    posted = []
    monkeypatch.setattr(page.session._talk, "post", lambda what: posted.append(what) or 0.0)
    run(page.session, page.clock, 10)
    source = page.send(do="direct", score={"events": [SMILE, {"track": "key.open", "start": 0.2}]})
    assert source is page.session.source and not page.told
    event, key = posted[0].events
    assert isinstance(event, Event) and 0.8 < event.start_s < 0.91 and event.end_s - event.start_s == pytest.approx(0.4)
    assert key.start_s == pytest.approx(event.start_s - 0.3)


def test_words_instructions_and_files(page) -> None:
    page.upload(voice(2.0))
    page.send(do="instruct", say="nod at 'hello'", words=[["hello", 0.5, 0.8]])
    assert page.told["stage"]["events"][0]["track"] == "head.nod"
    page.send(do="write", score={"words": [["hello", 0.5, 0.8]], "events": [SMILE]})
    page.send(do="read", text=page.told["stage"]["text"])
    assert page.told["stage"]["score"]["events"][0]["start"] == 0.5
    text = "version: 1\nwords: [[hello, 0.5, 0.8]]\nevents: [{track: emotion.happy, at: hello}, {track: emotion.sad}]"
    page.send(do="read", text=text)
    pinned, open_end = page.told["stage"]["score"]["events"]
    assert (pinned["start"], pinned["end"]) == (0.5, 0.8) and "at" not in pinned and open_end["end"] is None


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ({"do": "read", "text": "version: 1\nevents: [{track: emotion.hapy}]"}, "emotion.happy"),
        ({"do": "instruct", "say": "smle"}, "Did you mean smile"),
        ({"do": "instruct", "say": "smile", "words": [["a", 3, 1]]}, "a start and an end"),
        ({"do": "direct", "score": {"events": [SMILE]}}, "a speech"),
        ({"do": "direct", "score": {"events": [{"track": "emotion.own.laugh"}]}}, "own.laugh"),
        ({"do": "direct", "score": {"events": [{"track": "key.frame", "value": "/etc/x@1"}]}}, "names a file"),
        ({"do": "write", "score": {"version": 9, "events": []}}, "version"),
    ],
)
def test_what_is_wrong_is_told_on_the_page(page, command, says) -> None:
    if "direct" in command.values() and says != "a speech":
        page.upload(voice(1.0))
    assert page.send(**command) is None and says in page.told["notice"]


@pytest.mark.parametrize(
    "command",
    [
        {"do": "speech", "pcm": "***"},
        {"do": "speech", "pcm": base64.b64encode(b"odd").decode()},
        {"do": "speech"},
        {"do": "words", "text": 3},
        {"do": "direct", "score": []},
        {"do": "instruct", "say": "x" * 9999},
    ],
)
def test_what_no_page_of_ours_sends(page, command) -> None:
    with pytest.raises(BadMessage):
        page.send(**command)


def test_hours_are_refused(page) -> None:
    pcm = base64.b64encode(bytes(2 * 300_000)).decode()
    for _ in range(round(MOST_S * 16_000 / 300_000) + 1):
        page.send(do="speech", pcm=pcm)
    assert "at most 120 s" in page.told["notice"]


def test_pages_together_hold_and_cost_so_much(monkeypatch) -> None:
    house, waited = House(), []

    async def wait(_budget, cost: float) -> None:
        waited.append(cost)

    monkeypatch.setattr(Budget, "wait", wait)
    pages = [Page(house) for _ in range(6)]
    for page in pages:
        for i in range(5):
            pcm = base64.b64encode(bytes(2 * 23 * AUDIO_RATE)).decode()
            page.send(do="speech", pcm=pcm, first=i == 0, last=i == 4)
    assert "speech: expected room" in pages[-1].told["notice"]
    assert sum(page.stage.held_bytes for page in pages) < 48_000_000
    pages[0].send(do="read", text="x" * 1000)
    assert waited[-1] == 0.0, "of the size that the socket tells"
    monkeypatch.setattr(Stage, "_words", lambda *_: Words.of([]))
    for told in ("words", "notice"):
        pages[0].send(do="words", text="hello")
        assert told in pages[0].told.get("stage", pages[0].told)

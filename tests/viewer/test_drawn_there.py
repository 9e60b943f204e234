"""A page that draws the avatar itself, told by numbers over the same socket."""

import urllib.request

import numpy as np
import pytest

from gtalk.export.web.drawn import Drawn
from gtalk.export.web.message import expression_weights, frame_numbers
from gtalk.export.web.rows import unpacked
from gtalk.marks.identity import NOBODY
from gtalk.rig.shapes import SHAPES
from gtalk.talk import PLATE, Talker, View
from gtalk.viewer.audio.sources import PushSource
from gtalk.viewer.config import ViewConfig
from gtalk.viewer.live.frames import Wanted
from gtalk.viewer.live.pictures import Pictures
from gtalk.viewer.server import LiveServer
from tests.avatar.small_gaussian import small_gaussian
from tests.support.toys import ToyMotionModel
from tests.viewer.chromium import Browser, needs_chromium
from tests.viewer.live_servers import bursts

IMAGES, NUMBERS = Wanted(True, False, False), Wanted(False, False, True)


def talker(view: View = View()) -> Talker:
    avatar, _ = small_gaussian()
    return Talker(avatar, ToyMotionModel(avatar.basis), view=view)


def test_numbers_say_what_a_message_says() -> None:
    avatar, motion = small_gaussian()
    drawn = Drawn.of(avatar, NOBODY)
    assert drawn is not None
    weights = np.zeros((1, len(SHAPES)), np.float32)
    weights[0, [3, 40]] = 0.25, 0.5
    frame = motion[5].replace(channels={"expression": weights})
    data, (wanted,) = drawn.numbers(frame), frame_numbers(avatar, frame)
    row, shapes = unpacked(data)
    np.testing.assert_allclose(row, wanted, atol=2e-3)
    np.testing.assert_allclose(shapes, weights[0], atol=1e-3)
    assert len(drawn.numbers(motion[5])) * 25 < 2500
    np.testing.assert_array_equal(expression_weights(motion[5]), 0.0)


def test_an_image_is_drawn_only_for_who_wants_one() -> None:
    maker = talker()
    moment = next(iter(maker.moments([bursts(0.5)])))
    pictures = Pictures(maker, lambda rgb: rgb, lambda _motion: b"numbers")
    there = pictures.make(moment, View(), 85, NUMBERS)
    assert there.numbers == b"numbers" and there.frame is None and there.jpeg is None
    here = pictures.make(moment, View(), 85, IMAGES)
    assert here.numbers is None and here.jpeg is not None
    both = pictures.make(moment, View(), 85, Wanted(True, False, True, late=True))
    assert both.numbers == b"numbers" and both.jpeg is None, "numbers take no time, and come late or not"


def test_what_a_page_cannot_draw_comes_as_an_image() -> None:
    camera = talker().avatar.camera
    green = np.full((camera.height, camera.width, 3), (0, 177, 64), np.uint8)
    maker = talker(View(background=green))
    moment = next(iter(maker.moments([bursts(0.5)])))
    pictures = Pictures(maker, lambda rgb: rgb, lambda _motion: b"numbers")
    made = pictures.make(moment, maker.view, 85, NUMBERS)
    assert made.numbers is None and made.jpeg is not None
    assert pictures.make(moment, View(background=PLATE), 85, NUMBERS).numbers == b"numbers"


@needs_chromium
@pytest.mark.slow
def test_a_page_draws_by_itself_and_hears_the_same() -> None:
    server = LiveServer(talker, ViewConfig(port=0, size=96, draw="browser"), lambda _line: None)
    server.start()
    browser = Browser(size=(420, 500))
    try:
        browser.open(server.url)
        browser.wait("window.gtalk?.drawn === 'browser'", 40)
        source = PushSource("text", audible=True, bounded=False)
        source.push(bursts(25))
        server.main.session.play(source)
        told = [(page.opus, page.rows) for page in server.main.media._pages]
        assert told == [(True, 2)], "sound comes packed, and is heard; numbers in whole steps"
        browser.wait("gtalk.skew.length > 3 && document.getElementById('face').height >= 256", 60)
        drawn = browser.run("""(() => { const pen = new OffscreenCanvas(64, 64).getContext('2d');
          pen.drawImage(document.getElementById('face'), 0, 0, 64, 64);
          return [...pen.getImageData(0, 0, 64, 64).data].filter((_, i) => i % 4 === 0); })()""")
        assert np.ptp(drawn) > 60, "somebody is seen"
        assert server.main.session.stats().drawn > 3
        with urllib.request.urlopen(server.url + "draw/avatar.bin") as answer:
            assert answer.read(4) == b"GTAV"
        server.main.session.interrupt()
        browser.wait("!gtalk.stats.speaking", 10)
        browser.open(server.url + "face?alpha=1")
        there = "document.documentElement?.className === 'bare clear'"
        browser.wait(f"{there} && window.gtalk?.drawn === 'browser' && gtalk.shown > 3", 40)
        assert browser.run("getComputedStyle(document.querySelector('header')).display") == "none"
        clear = browser.run("""(() => { const pen = new OffscreenCanvas(64, 64).getContext('2d');
          pen.drawImage(document.getElementById('face'), 0, 0, 64, 64);
          return [...pen.getImageData(0, 0, 64, 64).data].filter((_, i) => i % 4 === 3); })()""")
        assert min(clear) == 0 and max(clear) > 200, "the person without the room"
        assert browser.run("getComputedStyle(document.getElementById('label')).display") != "none", "it says what it is"
    finally:
        browser.close()
        server.stop()

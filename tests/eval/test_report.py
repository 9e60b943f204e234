"""The report in a real browser: the film plays, the images are there, nothing is fetched."""

import pytest

from gtalk.eval.report import write_html
from gtalk.eval.run import evaluate_character
from gtalk.talk import Character, Identity
from tests.eval.test_run import Copyist, Latecomer
from tests.support.synthetic_dataset import make_synthetic_dataset
from tests.viewer.chromium import Browser, needs_chromium

PLAY = """(async () => {
  const film = document.querySelector('video'); film.muted = true; await film.play();
  const end = Date.now() + 15000;
  while (film.currentTime < 0.2 && Date.now() < end) await new Promise(done => setTimeout(done, 50));
  return film.currentTime;
})()"""


@needs_chromium
def test_the_film_plays_and_nothing_is_fetched(tmp_path):
    dataset = make_synthetic_dataset(tmp_path / "ds", n_frames=220, size=64)
    character = Character(Copyist(dataset), Latecomer(dataset), Identity("id", "nobody", "0"))
    write_html(tmp_path / "report.html", evaluate_character(character, dataset))
    browser = Browser()
    try:
        browser.open((tmp_path / "report.html").as_uri())
        browser.wait("document.readyState === 'complete' && document.querySelector('video').readyState >= 2")
        assert browser.run("document.querySelector('video').videoWidth") == 256
        assert browser.run("document.querySelector('video').duration") == pytest.approx(0.8, abs=0.05)
        assert browser.run(PLAY) >= 0.2
        assert browser.run("[...document.images].every(image => image.naturalWidth === 64)")
        assert browser.run("performance.getEntriesByType('resource').every(e => e.name.startsWith('data:'))")
    finally:
        browser.close()

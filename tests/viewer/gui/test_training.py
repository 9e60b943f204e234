import numpy as np

from gtalk.viewer.gui.training import TrainingView
from tests.viewer.chromium import Browser, needs_chromium


@needs_chromium
def test_the_fit_is_watched_in_a_browser() -> None:
    view = TrainingView(port=0)
    browser = Browser()
    try:
        for step in range(5000):
            if step % 100 == 0:
                view.step(step, 5000, 1 / (step + 1), 20 + step / 500)
        view.preview(np.full((64, 64, 3), 200, np.uint8), np.full((64, 64, 3), 90, np.uint8))
        browser.open(view.url)
        browser.wait("document.body && document.body.innerText.includes('step 4900 of 5000')")
        browser.wait("[...document.querySelectorAll('img')].some((i) => i.naturalWidth === 128)")
        browser.wait("document.querySelectorAll('canvas').length >= 3")
    finally:
        browser.close()
        view.close()

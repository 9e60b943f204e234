"""The live page of a server in a real browser, through the nginx of compose.yaml, as a guest."""

from pathlib import Path

import pytest

from tests.serve.serving import ask, needs_nginx, nginx_before, serving
from tests.viewer.chromium import Browser, needs_chromium


@needs_chromium
@needs_nginx
@pytest.mark.slow
def test_a_guest_meets_the_face_below_a_path(tmp_path: Path) -> None:
    made, browser = serving(tmp_path), None
    try:
        with nginx_before(made, tmp_path) as port:
            root = f"http://localhost:{port}/faces"
            browser = Browser()
            browser.open(root + "/live/me/")
            browser.wait("document.body?.innerText.includes('Bearer')")
            browser.open(f"http://localhost:{port}" + ask(port, "GET", "/faces/v1/avatars/me/live")[1]["url"])
            browser.wait("window.gtalk && window.gtalk.shown > 10", 40)
            assert browser.run("location.search") == "", "the token goes from the address"
            seen = """(() => { const pen = new OffscreenCanvas(64, 64).getContext('2d');
              pen.drawImage(document.getElementById('face'), 0, 0, 64, 64);
              const red = [...pen.getImageData(0, 0, 64, 64).data].filter((_, i) => i % 4 === 0);
              return Math.max(...red) - Math.min(...red); })()"""
            assert browser.run(seen) > 60, "somebody is seen"
            panel = "document.querySelector('iframe').contentDocument?.body?.innerText.includes('Blink rate')"
            browser.wait(panel, 40)
            browser.open(root + "/live/me/")
            browser.wait("window.gtalk?.shown > 10 && performance.now() < 1e5", 40)
            browser.run("document.getElementById('fresh').click()")
            browser.wait("location.pathname.startsWith('/faces/live/me/s/') && window.gtalk?.shown > 3", 40)
            assert len(made.live.rooms) == 2
            browser.open(root + "/v1/jobs")
            browser.wait("document.body?.innerText.includes('Bearer')", 10)
    finally:
        if browser is not None:
            browser.close()
        made.stop()

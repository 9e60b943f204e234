import asyncio
import urllib.error
import urllib.request
from http.cookiejar import CookieJar

import numpy as np
import pytest
import viser
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

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
        assert "step 4900 of 5000" in browser.run("document.body.innerText")
    finally:
        browser.close()
        view.close()


def test_the_fit_is_shown_to_who_has_the_token_and_to_nobody_else() -> None:
    told: list[str] = []
    view = TrainingView(port=0, report=told.append)
    try:
        address, _, query = view.url.partition("?")
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        assert b"<html" in opener.open(view.url, timeout=10).read()
        for path in ("", "viser/"):
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(address + path, timeout=10)
        protocols = [Subprotocol(f"viser-v{viser.__version__}")]

        async def look(query: str, **options) -> int:
            target = address.replace("http", "ws") + f"viser/?{query}"
            async with connect(target, subprotocols=protocols, max_size=None, **options) as page:
                return len(await asyncio.wait_for(page.recv(), 10))

        assert asyncio.run(look(query)) > 100
        for options, status in (({"origin": "https://evil.example"}, "403"), ({}, "401")):
            with pytest.raises(InvalidStatus, match=status):
                asyncio.run(look(query if options else "token=guess", **options))
        second = TrainingView(port=int(address.rpartition(":")[2].rstrip("/")))
        assert second.url.partition("?")[0] != address, "the port was taken: another one"
        second.close()
    finally:
        view.close()
    assert any("401" in line for line in told)

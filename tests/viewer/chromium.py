"""The browser of the viewer's tests."""

import pytest

from tools.check.browser import CHROMIUM, Browser

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium browser")
__all__ = ["Browser", "needs_chromium"]

"""`gtalk train --view`: watch a fit in the browser. Closing the page does not stop the fit."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import numpy as np
import viser.uplot
from starlette.routing import BaseRoute, Route

from gtalk.hosting.answers import moved
from gtalk.hosting.budget import QuietLog
from gtalk.hosting.gate import page_key
from gtalk.hosting.host import Host
from gtalk.shapes import UInt8
from gtalk.viewer.gui.guard import GuardedViser, inner_viser, stop_viser

_MAX_POINTS = 2000  # of a curve; past that every second one is kept
_HOST = "127.0.0.1"


class TrainingView:
    """A page with truth beside render and the curves of loss and PSNR, behind the same gate as the live view.

    It shows frames of a person that nobody else may have seen, so that it always asks for a token.

    Args:
        port: of the page on this machine; any free one where it is taken.
        report: gets one line for what is refused.
    """

    def __init__(self, port: int = 8080, report: Callable[[str], None] = lambda _line: None) -> None:
        secret = secrets.token_hex(16)
        self._server = inner_viser("gtalk fit", secret)
        gui = self._server.gui
        self._status = gui.add_markdown("waiting for the first step")
        self._image = gui.add_image(np.zeros((64, 128, 3), np.uint8), label="truth | render", format="jpeg")
        self._steps: list[float] = []
        self._curves: dict[str, list[float]] = {"loss": [], "PSNR (dB)": []}
        self._plots = {name: self._plot(name) for name in self._curves}
        routes = [Route("/", moved("viser/")), *GuardedViser(self._server, secret, report).routes()]
        self._hosted = self._host(routes, port, QuietLog(report))

    @property
    def url(self) -> str:
        """Address of the page."""
        return self._hosted.url

    def step(self, step: int, total_steps: int, loss: float, psnr: float) -> None:
        """A step is done."""
        self._status.content = f"step {step} of {total_steps}, loss {loss:.4f}, {psnr:.1f} dB"
        self._steps.append(float(step))
        for name, value in (("loss", loss), ("PSNR (dB)", psnr)):
            self._curves[name].append(value)
        if len(self._steps) > _MAX_POINTS:
            self._steps = self._steps[::2]
            self._curves = {name: values[::2] for name, values in self._curves.items()}
        for name, plot in self._plots.items():
            plot.data = (np.array(self._steps), np.array(self._curves[name]))

    def preview(self, truth: UInt8[np.ndarray, "H W 3"], render: UInt8[np.ndarray, "H W 3"]) -> None:
        """A training frame beside the avatar's image of it."""
        self._image.image = np.concatenate([truth, render], axis=1)

    def close(self) -> None:
        """End the page."""
        self._hosted.stop()
        stop_viser(self._server)

    @staticmethod
    def _host(routes: list[BaseRoute], port: int, report: Callable[[str], None]) -> Host:
        token = secrets.token_urlsafe(18)
        for each in (port, 0):
            hosted = Host(routes, _HOST, token=token, key=page_key(token), report=report)
            try:
                hosted.start(each)
                return hosted
            except OSError:
                if not each:
                    raise
        raise AssertionError("unreachable")

    def _plot(self, name: str):
        series = (viser.uplot.Series(label="step"), viser.uplot.Series(label=name, stroke="#5b8cff", width=2))
        return self._server.gui.add_uplot((np.zeros(1), np.zeros(1)), series, title=name, aspect=2.0)

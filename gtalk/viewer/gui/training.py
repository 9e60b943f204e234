"""`gtalk train --view`: watch a fit in the browser. Closing the page does not stop the fit."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import viser
import viser.uplot

from gtalk.shapes import UInt8

_MAX_POINTS = 2000  # of a curve; past that every second one is kept


class TrainingView:
    """A page with truth beside render and the curves of loss and PSNR."""

    def __init__(self, port: int = 8080) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self._server = viser.ViserServer(host="127.0.0.1", port=port, label="gtalk fit", verbose=False)
        gui = self._server.gui
        gui.configure_theme(dark_mode=True, show_logo=False)
        self.url = f"http://127.0.0.1:{self._server.get_port()}"
        self._status = gui.add_markdown("waiting for the first step")
        self._image = gui.add_image(np.zeros((64, 128, 3), np.uint8), label="truth | render", format="jpeg")
        self._steps: list[float] = []
        self._curves: dict[str, list[float]] = {"loss": [], "PSNR (dB)": []}
        self._plots = {name: self._plot(name) for name in self._curves}

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
        with contextlib.redirect_stdout(io.StringIO()):
            self._server.stop()

    def _plot(self, name: str):
        series = (viser.uplot.Series(label="step"), viser.uplot.Series(label=name, stroke="#5b8cff", width=2))
        return self._server.gui.add_uplot((np.zeros(1), np.zeros(1)), series, title=name, aspect=2.0)

"""The page's player, fed faster than real time by a server whose clock is off, and through stalls."""

import json

import pytest

from tests.viewer.chromium import Browser, needs_chromium
from tools.check.soak_live import PAGE, soak_player

STALLS = """(() => {
  const names = ['AudioWorkletProcessor', 'registerProcessor', 'sampleRate', 'currentTime'];
  const Pacer = new Function(...names, TEXT + '; return Pacer;')(class {}, () => {}, 48000, 0);
  const pacer = new Pacer(), out = new Float32Array(128), gaps = [], leads = [];
  let pushed = 0;
  for (let i = 0; i * 128 / 48000 < 60; i++) {
    const at = i * 128 / 48000;
    // Every tenth second, for the first half minute, ticks come 0.09 s late, all at once.
    const late = at < 30 && at % 10 > 9 ? 0.09 : 0;
    while ((pushed + 1) * 0.04 + late <= at) {
      pacer.push({ time: pushed * 0.04, audible: true, samples: new Float32Array(640).fill(0.5) });
      pushed++;
    }
    pacer.fill(out, 48000);
    if (i % 375 === 0) { gaps.push(pacer.underruns); leads.push(pacer.lead); }
  }
  return { gaps, leads, held: pacer.held, skips: pacer.skips, time: pacer.time, out: out[0] };
})()"""


@needs_chromium
@pytest.mark.parametrize("error", [3e-4, -3e-4])
def test_two_clocks_that_differ_cost_no_gap(error: float) -> None:
    found = soak_player(5.0, error)
    assert found["underruns"] == found["skips"] == 0
    held_s = found["rows"][:, 1]
    assert 0.03 < held_s.min() <= held_s.max() < 0.14


@needs_chromium
def test_a_line_that_stalls_gets_a_longer_lead_and_no_second_gap() -> None:
    browser = Browser()
    try:
        text = json.dumps((PAGE / "worklets.js").read_text(encoding="utf-8"))
        found = browser.run(STALLS.replace("TEXT", text))
    finally:
        browser.close()
    assert found["gaps"][-1] == found["gaps"][12] == 1, "later stalls of the same length are not heard"
    assert max(found["leads"]) > 0.1
    assert found["skips"] == 0
    assert found["out"] == 0.5, "it plays"
    assert 59.6 < found["time"] < 60

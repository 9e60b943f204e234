"""One frame in whole steps: close to its numbers, small, and read by the page as by Python."""

import json
import shutil
import subprocess
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gtalk.export.web.message import AFTER_CODES
from gtalk.export.web.rows import as_first_version, packed, unpacked
from gtalk.types import EXPRESSIONS

NODE = shutil.which("node")


def frame(n_codes: int, used: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng, weights = np.random.default_rng(seed), np.zeros(EXPRESSIONS, np.float32)
    weights[used] = rng.uniform(-0.3, 1.4, len(used))
    placed = [*rng.normal(0, 0.3, 3), *rng.normal(0, 0.8, 3), *rng.normal(0, 0.05, 7)]
    return np.array([*rng.normal(0, 1.5, n_codes), *placed], np.float32), weights


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 40), st.sets(st.integers(0, EXPRESSIONS - 1)), st.integers(0, 99))
def test_any_frame_comes_back_within_half_a_step(n_codes: int, used: set[int], seed: int) -> None:
    row, weights = frame(n_codes, sorted(used), seed)
    data = packed(row, weights)
    back, shown = unpacked(data)
    np.testing.assert_allclose(back[:n_codes], row[:n_codes], atol=0.5 / 256 + 1e-6)
    np.testing.assert_allclose(shown, weights, atol=0.5 / 1024 + 1e-6)
    turned, placed, rest = np.split(back[n_codes:] - row[n_codes:], [3, 6])
    assert abs(turned).max() < 0.6e-4 and abs(placed).max() < 0.7e-6 and abs(rest).max() < 2.1e-5
    assert len(data) == 34 + (8 if weights.any() else 0) + -(-3 * (n_codes + np.count_nonzero(weights)) // 2)


def test_what_is_beyond_its_range_is_cut_not_wrapped() -> None:
    row, weights = frame(3, [4])
    row[:3], row[3], row[9], weights[4] = (20.0, -20.0, 0.0), 9.0, -4.0, 5.0
    back, shown = unpacked(packed(row, weights))
    assert back[0] == pytest.approx(8.0, abs=0.01) and back[1] == -8.0
    assert back[3] == pytest.approx(3.2767) and back[9] == pytest.approx(-1.31068) and shown[4] < 2.0


def test_the_first_version_is_told_to_pages_that_know_no_other() -> None:
    row, weights = frame(5, [3, 40])
    data, (back, shown) = as_first_version(packed(row, weights)), unpacked(packed(row, weights))
    np.testing.assert_array_equal(np.frombuffer(data, "<f4", 13), back[5:])
    halves = np.frombuffer(data, "<f2", 7, 52)
    np.testing.assert_allclose(halves, [*back[:5], shown[3], shown[40]], rtol=1e-3, atol=1e-3)
    assert data[-2:] == bytes([3, 40]) and len(data) == 52 + 2 * 7 + 2


@pytest.mark.skipif(NODE is None, reason="needs node")
@pytest.mark.parametrize(("n_codes", "used"), [(31, []), (31, [0, 7, 8, 57]), (4, [57]), (30, list(range(58)))])
def test_the_page_reads_both_versions(n_codes: int, used: list[int], tmp_path) -> None:
    page, drawing = files("gtalk.viewer.web") / "page", files("gtalk.export.web") / "drawing"
    (tmp_path / "draw").mkdir()
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "drawing.js").write_text((page / "drawing.js").read_text())
    for one in drawing.iterdir():
        (tmp_path / "draw" / one.name).write_text(one.read_text())
    data = packed(*frame(n_codes, used))
    asked = json.dumps([list(as_first_version(data)), list(data)])
    (tmp_path / "ask.js").write_text(f"""import {{ Drawing }} from "./drawing.js";
      const page = {{ avatar: {{ header: {{ codes: {n_codes} }} }} }}, row = Drawing.prototype.row;
      const rows = {asked}.map((bytes, i) => [...row.call(page, Uint8Array.from(bytes).buffer, i + 1)]);
      console.log(JSON.stringify(rows));""")
    told = subprocess.run([str(NODE), "ask.js"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    first, second = np.array(json.loads(told))
    row, weights = unpacked(data)
    wanted = [*row, *weights]
    assert len(second) == n_codes + AFTER_CODES + EXPRESSIONS
    np.testing.assert_allclose(second, wanted, atol=1e-6)
    np.testing.assert_allclose(first, wanted, rtol=1e-3, atol=1e-3)

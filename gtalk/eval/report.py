"""The measurements as a text table, and as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gtalk.eval.run import Evaluation, Example
from gtalk.files import atomic_path
from gtalk.shapes import UInt8

_DIFFERENCE_GAIN = 4.0
_WORDS = {"pictures", "lips from sound", "speed", "meaning"}  # headings of columns that hold words
_COLOURS = ("#2563eb", "#dc2626", "#059669")
_WIDTH, _HEIGHT = 860, 190  # of a curve's box, SVG units

_MEANING = {
    "lmd_px": "lip landmarks, mean distance under the true pose, px",
    "lmd_norm": "the same in % of the outer-eye distance",
    "lmd_ratio": "the same over that of a mouth that never moves; below 1 is better than nothing",
    "aperture_corr": "correlation of the mouth's opening with the real one",
    "av_offset_frames": "by how many frames the mouth is late",
    "silence_leakage": "share of silent frames in which the lips move more than the speaker's do",
    "jitter_ratio": "lip acceleration over the real one; above 1 is shaky",
    "amplitude_ratio": "spread of the mouth's opening over the real one; below 1 is mumbling",
    "sound_offset_frames": "lag of the mouth behind the loudness of vowels (30 s or more)",
}
_SPEED = {
    "prepare_s_per_clip_s": "prepare, s per s of clip",
    "fit_s": "fit, s",
    "motion_s": "motion training, s",
    "motion_ms_per_s": "motion, ms per s of sound",
    "frame_ms_p50": "one frame, ms, median",
    "frame_ms_p95": "one frame, ms, 95th percentile",
    "peak_rss_mb": "peak memory, MB",
    "peak_gpu_mb": "peak GPU memory, MB",
}


def table(result: Mapping[str, Any]) -> str:
    """The numbers as text."""
    lines = []
    for rows in _blocks(result):
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            cells = [_padded(cell, width, rows[0][i]) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
            lines.append("  ".join(cells).rstrip())
        lines.append("")
    return "\n".join(lines).rstrip()


def write_html(path: Path, result: Evaluation) -> None:
    """One page with tables, curves, and truth | render | difference of chosen frames. No other file is needed."""
    clip = result["clip"]
    facts = f"frames {clip['first_held_out_frame']} to {clip['n_frames'] - 1}, {clip['n_scored']} of them scored"
    size = f"{clip['width']}x{clip['height']}"
    parts = [f"<h1>gtalk eval</h1><p>Never seen in training: {facts}, at {size}, before any encoder.</p>"]
    parts += [_html_table(rows) for rows in _blocks(result)]
    parts += ["<h2>Over time</h2>", *(_curve(title, lines) for title, lines in result.curves.items())]
    parts.append("<h2>Frames</h2><p>Truth, render, difference (four times).</p>")
    parts += [_example(example) for example in result.examples]
    parts.append(f"<details><summary>JSON</summary><pre>{html.escape(json.dumps(result, indent=2))}</pre></details>")
    head = f"<meta charset=utf-8><title>gtalk eval</title><style>{_STYLE}</style>"
    page = f"<!doctype html><html lang=en>{head}{''.join(parts)}</html>\n"
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _blocks(result: Mapping[str, Any]) -> list[list[list[str]]]:
    """Tables as rows of cells; the first row is the heading."""
    pictures = [["pictures", "PSNR", "p5..p95", "SSIM", "flicker", "LPIPS"]]
    for key, label in (("self_driven", "self-driven"), ("training_frames", "training frames")):
        for region in ("full", "head", "mouth"):
            values = result[key][region]
            spread = f"{_text(values['psnr_p5'], 1)}..{_text(values['psnr_p95'], 1)}"
            flicker = result[key].get("flicker") if region == "full" else None
            row = [f"{label}, {region}", _text(values["psnr"], 2), spread, _text(values["ssim"], 3)]
            pictures.append([*row, _text(flicker, 2), _text(values.get("lpips"), 3)])
    peer = result["peer_protocol"]
    pictures.append(
        [
            "peer protocol (truth pasted in)",
            _text(peer["psnr"], 2),
            "",
            _text(peer["ssim"], 3),
            "",
            _text(peer.get("lpips"), 3),
        ]
    )
    pictures.append(["real video", "", "", "", _text(result["real"]["flicker"], 2), ""])
    lips = [["lips from sound", "avatar", "real", "meaning"]]
    for name, meaning in _MEANING.items():
        lips.append([name, _text(result["audio_driven"][name], 3), _text(result["real"][name], 3), meaning])
    speed = [["speed", "value", "meaning"]]
    speed += [[name, _text(result["speed"][name], 2), meaning] for name, meaning in _SPEED.items()]
    return [pictures, lips, speed]


def _padded(cell: str, width: int, heading: str) -> str:
    """Words begin at the left, numbers end at the right."""
    return cell.ljust(width) if heading in _WORDS else cell.rjust(width)


def _text(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _html_table(rows: list[list[str]]) -> str:
    def line(row: list[str], tag: str) -> str:
        sides = ["left" if heading in _WORDS else "right" for heading in rows[0]]
        cells = zip(row, sides, strict=True)
        return "<tr>" + "".join(f"<{tag} class={side}>{html.escape(cell)}</{tag}>" for cell, side in cells) + "</tr>"

    return f"<table>{line(rows[0], 'th')}{''.join(line(row, 'td') for row in rows[1:])}</table>"


def _curve(title: str, lines: Mapping[str, list[float]]) -> str:
    """Lines over the frames as inline SVG, with the range of values at the left."""
    values = np.concatenate([np.asarray(line, dtype=np.float64) for line in lines.values()])
    low, high = float(values.min()), float(values.max())
    span = max(high - low, 1e-9)
    drawn, legend = [], []
    for (name, line), colour in zip(lines.items(), _COLOURS, strict=False):
        x = np.linspace(50, _WIDTH - 5, len(line))
        y = _HEIGHT - 10 - (np.asarray(line) - low) / span * (_HEIGHT - 20)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        legend.append(f'<span style="color:{colour}">{html.escape(name)}</span>')
    scale = f'<text x="0" y="14">{high:.1f}</text><text x="0" y="{_HEIGHT - 6}">{low:.1f}</text>'
    box = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}">{scale}{"".join(drawn)}</svg>'
    return f"<h3>{html.escape(title)} {' '.join(legend)}</h3>{box}"


def _example(example: Example) -> str:
    difference = cv2.convertScaleAbs(cv2.absdiff(example.truth, example.render), alpha=_DIFFERENCE_GAIN)
    shown = "".join(
        f'<img src="data:image/jpeg;base64,{_jpeg(p)}">' for p in (example.truth, example.render, difference)
    )
    caption = f"{example.label}: frame {example.index}, head {example.psnr_head:.2f} dB"
    return f"<figure><figcaption>{html.escape(caption)}</figcaption>{shown}</figure>"


def _jpeg(rgb: UInt8[np.ndarray, "H W 3"]) -> str:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return base64.b64encode(data.tobytes()).decode()


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2em auto; padding: 0 1em; color: #111; }
table { border-collapse: collapse; margin: 1em 0; width: 100%; }
td, th { text-align: right; padding: .2em .6em; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
td.left, th.left { text-align: left; }
svg { width: 100%; border: 1px solid #ddd; } svg text { font-size: 11px; fill: #666; }
h3 span { font-weight: normal; font-size: 85%; margin-left: 1em; }
figure { margin: 1em 0; } figure img { width: 33%; } pre { overflow: auto; font-size: 12px; }
"""

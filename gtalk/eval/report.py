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

from gtalk.eval.preview_video import difference
from gtalk.eval.run import Curve, Evaluation, Example
from gtalk.files import atomic_path
from gtalk.shapes import UInt8

_WORDS = {
    "images",
    "lips from sound",
    "clip",
    "other voices",
    "speed",
    "meaning",
}  # headings of columns that hold words
_COLOURS = ("#2563eb", "#dc2626", "#059669")
_WIDTH, _HEIGHT = 1100, 170  # of a curve's box, SVG units
_LEFT, _BOTTOM, _TOP = 50, 22, 8  # of it, for numbers

_MEANING = {
    "lmd_px": "lip landmarks, mean distance under the true pose, px",
    "lmd_norm": "the same in % of the outer-eye distance",
    "lmd_ratio": "the same over that of a mouth that never moves; below 1 is better than nothing",
    "aperture_corr": "correlation of the mouth's opening with the real one",
    "av_offset_frames": "by how many frames the mouth is late",
    "silence_leakage": "share of silent frames whose lips move more than the speaker's do",
    "jitter_ratio": "lip acceleration over the real one; above 1 is shaky",
    "amplitude_ratio": "spread of the mouth's opening over the real one; below 1 is mumbling",
    "sound_offset_frames": "lag of the mouth behind the loudness of vowels (30 s or more)",
    "sync_confidence": "SyncNet: median minus least distance over shifts; higher is better",
    "sync_distance": "SyncNet: least distance over shifts; lower is better",
    "sync_offset_frames": "SyncNet: lag of the lips at that shift",
    "aue_upper": "blendshapes of brows and eyes, summed squared error",
    "aue_lower": "the same of jaw and mouth",
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


_LEGEND = (
    "self-driven: from the tracked motion of these frames. mouth from sound: pose and eyes as tracked, the mouth "
    "predicted. stretches: lowest and highest of consecutive stretches of two seconds or more. A dash: not measured; "
    "SyncNet and LPIPS need --syncnet and --lpips, blendshapes need face_landmarker.task (gtalk assets)."
)


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
    """One page with tables, a film, curves, and truth | render | difference of frames. No other file is needed."""
    clip = result["clip"]
    facts = f"frames {clip['first_held_out_frame']} to {clip['n_frames'] - 1}, {clip['n_scored']} of them scored"
    size = f"{clip['width']}x{clip['height']}"
    parts = [f"<h1>gtalk eval</h1><p>Never seen in training: {facts}, at {size}, before any encoder.</p>"]
    parts += [_html_table(rows) for rows in _blocks(result)]
    parts.append(f"<p>{html.escape(_LEGEND)}</p>")
    parts.append(_film(result))
    parts += ["<h2>Over time</h2>", *(_curve(curve) for curve in result.curves)]
    parts.append("<h2>Frames</h2><p>Truth, render from the tracked motion, difference (four times).</p>")
    parts += [_example(example) for example in result.examples]
    parts.append(f"<details><summary>JSON</summary><pre>{html.escape(json.dumps(result, indent=2))}</pre></details>")
    head = f"<meta charset=utf-8><title>gtalk eval</title><style>{_STYLE}</style>"
    page = f"<!doctype html><html lang=en>{head}{''.join(parts)}</html>\n"
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _blocks(result: Mapping[str, Any]) -> list[list[list[str]]]:
    """Tables as rows of cells; the first row is the heading."""
    voices = [_voice_rows(result)] if result.get("voices") else []
    return [_image_rows(result), _lip_rows(result), _clip_rows(result), *voices, _speed_rows(result)]


def _image_rows(result: Mapping[str, Any]) -> list[list[str]]:
    rows = [["images", "PSNR", "p5..p95", "SSIM", "flicker", "LPIPS"]]
    ways = (
        ("self_driven", "self-driven"),
        ("audio_driven_images", "mouth from sound"),
        ("training_frames", "training frames"),
    )
    for key, label in ways:
        for region in ("full", "head", "mouth"):
            values = result[key][region]
            spread = f"{_text(values['psnr_p5'], 1)}..{_text(values['psnr_p95'], 1)}"
            flicker = result[key].get("flicker") if region == "full" else None
            row = [f"{label}, {region}", _text(values["psnr"], 2), spread, _text(values["ssim"], 3)]
            rows.append([*row, _text(flicker, 2), _text(values.get("lpips"), 3)])
    peer = result["peer_protocol"]
    scores = [_text(peer["psnr"], 2), "", _text(peer["ssim"], 3), "", _text(peer["lpips"], 3)]
    rows.append(["peer protocol (truth pasted in)", *scores])
    rows.append(["real video", "", "", "", _text(result["real"]["flicker"], 2), ""])
    return rows


def _lip_rows(result: Mapping[str, Any]) -> list[list[str]]:
    rows = [["lips from sound", "avatar", "stretches", "real", "meaning"]]
    for name, meaning in _MEANING.items():
        values = [v for v in result["audio_driven_stretches"].get(name, []) if v is not None]
        spread = f"{min(values):.2f}..{max(values):.2f}" if values else ""
        rows.append([name, _text(result["audio_driven"][name], 3), spread, _text(result["real"][name], 3), meaning])
    return rows


def _clip_rows(result: Mapping[str, Any]) -> list[list[str]]:
    names = ("frames", "psnr_full", "psnr_head", "psnr_mouth", "lmd_ratio", "aperture_corr")
    rows = [["clip", *names]]
    for source, values in result["clips"].items():
        rows.append([source, *(_text(values.get(name), 0 if name == "frames" else 2) for name in names)])
    if len(result["clips"]) > 1:
        known = [[c[name] for c in result["clips"].values() if c.get(name) is not None] for name in names[1:]]
        rows.append(["lowest..highest", "", *(f"{min(v):.2f}..{max(v):.2f}" if v else "-" for v in known)])
    return rows


def _voice_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Shares of the person's own range: 0 shut or narrow, 1 open or wide."""
    headings = ("left open on p b m", "open on f v", "open on a", "width on u o", "width on e i")
    rows = [["other voices", *headings]]
    return rows + [[name, *(_text(v, 2) for v in values.values())] for name, values in result["voices"].items()]


def _speed_rows(result: Mapping[str, Any]) -> list[list[str]]:
    rows = [["speed", "value", "meaning"]]
    return rows + [[name, _text(result["speed"][name], 2), meaning] for name, meaning in _SPEED.items()]


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


def _film(result: Evaluation) -> str:
    """The film as a data URL, so that the page needs no other file."""
    if result.film is None:
        return ""
    names = ["truth", "from the tracked motion", "difference (four times)", "mouth from sound"][: result.film_panels]
    labels = "".join(f"<span>{html.escape(name)}</span>" for name in names)
    source = f"data:video/mp4;base64,{base64.b64encode(result.film).decode()}"
    return (
        f"<h2>PreviewVideo</h2><div class=panels>{labels}</div>"
        f'<video controls loop playsinline preload="auto" src="{source}"></video>'
    )


def _curve(curve: Curve) -> str:
    """Lines over seconds as inline SVG, on a grid of round numbers."""
    values = np.concatenate([np.asarray(line, dtype=np.float64) for line in curve.lines.values()])
    low, high = float(values.min()), float(values.max())
    start, stop = curve.times_s[0], max(curve.times_s[-1], curve.times_s[0] + 1e-3)
    right, bottom = _WIDTH - 5, _HEIGHT - _BOTTOM

    def across(times_s: Any) -> Any:
        return _LEFT + (np.asarray(times_s) - start) / (stop - start) * (right - _LEFT)

    def up(line: Any) -> Any:
        return bottom - (np.asarray(line) - low) / max(high - low, 1e-9) * (bottom - _TOP)

    drawn = [_rule(f"M{_LEFT} {up(v):.1f}H{right}", _LEFT - 6.0, up(v) + 4.0, f"{v:g}") for v in _ticks(low, high, 4)]
    for t in _ticks(start, stop, 8):
        drawn.append(_rule(f"M{across(t):.1f} {_TOP}V{bottom}", across(t) + 12.0, _HEIGHT - 6.0, f"{t:g} s"))
    legend = []
    for (name, line), colour in zip(curve.lines.items(), _COLOURS, strict=False):
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across(curve.times_s), up(line), strict=True))
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        legend.append(f'<span style="color:{colour}">{html.escape(name)}</span>')
    box = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(drawn)}</svg>'
    return f"<h3>{html.escape(curve.title)} {' '.join(legend)}</h3>{box}"


def _rule(path: str, x: float, y: float, text: str) -> str:
    """A line of the grid, and its number, which ends at x."""
    return f'<path d="{path}"/><text x="{x:.1f}" y="{y:.1f}" text-anchor="end">{text}</text>'


def _ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers within a range: multiples of 1, 2 or 5 times a power of ten."""
    rough = max(high - low, 1e-9) / count
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(float(power * factor) for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [round(n * step, 9) for n in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]


def _example(example: Example) -> str:
    trio = (example.truth, example.render, difference(example.truth, example.render))
    shown = "".join(f'<img src="data:image/jpeg;base64,{_jpeg(p)}">' for p in trio)
    caption = f"{example.label}: frame {example.index}, head {example.psnr_head:.2f} dB"
    return f"<figure><figcaption>{html.escape(caption)}</figcaption>{shown}</figure>"


def _jpeg(rgb: UInt8[np.ndarray, "H W 3"]) -> str:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return base64.b64encode(data.tobytes()).decode()


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2em auto; padding: 0 1em; color: #111; }
table { border-collapse: collapse; margin: 1em 0; width: 100%; }
td, th { text-align: right; padding: .2em .6em; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
td.left, th.left { text-align: left; }
svg { width: 100%; border: 1px solid #ddd; } svg text { font-size: 11px; fill: #666; } svg path { stroke: #eee; }
h3 span { font-weight: normal; font-size: 85%; margin-left: 1em; }
video { width: 100%; } .panels { display: flex; } .panels span { flex: 1; text-align: center; color: #666; }
figure { margin: 1em 0; } figure img { width: 33%; } pre { overflow: auto; font-size: 12px; }
"""

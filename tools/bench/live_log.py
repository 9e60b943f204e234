"""What the log of a live page says: how even, how quick, how much in step. Rows of AT, TIME, ...; times are in ms."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FRAME_MS = 40.0
AT, TIME, LATENCY, SKEW, APERTURE, PAGE, WAVE = 0, 1, 2, 3, 4, 5, 6
"""Columns: when it was drawn, the frame's time (s), microphone to shown, sound against image, the mouth's opening,
arrived to drawn, and four levels of the sound of that frame."""


def evenness(log: np.ndarray) -> dict[str, float]:
    """Images a second, and the share that never came or came more than a frame after its turn."""
    times_s, first = np.unique(log[:, TIME], return_index=True)
    log = log[first]
    expected = round((times_s[-1] - times_s[0]) * 25) + 1
    offset_ms = log[:, AT] - log[:, TIME] * 1e3
    # What was spoken was shown a moment later than what was heard: each has its own turn.
    usual = np.array([np.median(offset_ms[max(0, i - 250) : i + 250]) for i in range(len(offset_ms))])
    tardy = int(np.count_nonzero(offset_ms > usual + FRAME_MS))
    missing = expected - len(log)
    return {
        "fps": (len(log) - 1) / (log[-1, AT] - log[0, AT]) * 1e3,
        "late_percent": 100 * (tardy + missing) / expected, "missing": missing, "tardy": tardy, "expected": expected,
    }  # fmt: skip


def onsets(log: np.ndarray) -> np.ndarray:
    """From the first sound of each stretch of speech in the page to the first image of an opening mouth, ms."""
    heard = log[np.isfinite(log[:, LATENCY])]
    captured = (heard[:, AT] - heard[:, LATENCY])[:, None] + 10.0 * np.arange(4)
    level, captured = heard[:, WAVE : WAVE + 4].ravel(), captured.ravel()
    loud = level > 0.02
    rest, wide = np.percentile(heard[:, APERTURE], [10, 95])
    found = []
    for i in np.flatnonzero(loud[60:]) + 60:
        if not loud[i - 60 : i].any():  # 0.6 s of silence before it
            after = heard[(heard[:, AT] > captured[i]) & (heard[:, APERTURE] > rest + 0.15 * (wide - rest))]
            if len(after) and after[0, AT] - captured[i] < 1000:
                found.append(after[0, AT] - captured[i])
    return np.array(found)


def pixel_lag(pixels: np.ndarray, levels: np.ndarray) -> tuple[float, float]:
    """(correlation, ms) at which the darkness of the mouth follows the microphone's level best."""
    smooth = np.convolve(levels[:, 1], np.ones(16) / 16, "same")
    shown = pixels[(pixels[:, 0] > levels[0, 0] + 600) & (pixels[:, 0] < levels[-1, 0])]
    lags = np.arange(0.0, 500.0, 5.0)
    scores = [np.corrcoef(np.interp(shown[:, 0] - lag, levels[:, 0], smooth), shown[:, 1])[0, 1] for lag in lags]
    return float(np.max(scores)), float(lags[int(np.argmax(scores))])


def summary(data: dict[str, np.ndarray], stats: dict) -> dict:
    """The numbers of a run."""
    heard, rss, found_cuts = data["heard"], data["rss"], data["cuts"]
    spoken = rss[
        rss[:, 0] < (heard[-1, AT] - heard[0, AT]) / 1e3
    ]  # a file that is played afterwards, to be cut off, takes its own
    settled = spoken[spoken[:, 0] > 60.0] if spoken[-1, 0] > 90.0 else spoken[len(spoken) // 2 :]
    ends = settled[:5, 1].mean(), settled[-5:, 1].mean()
    opened, (score, lag) = onsets(heard), pixel_lag(data["pixels"], data["levels"])
    skews = [log[np.isfinite(log[:, SKEW]), SKEW] for log in (data["first"], data["last"])]
    return {
        **evenness(heard),
        "latency_ms": percentiles(heard[np.isfinite(heard[:, LATENCY]), LATENCY]),
        "page_ms": percentiles(heard[:, PAGE]),
        "lookahead_ms": stats["lookahead_ms"],
        "draw_p95_ms": stats["draw_p95_ms"],
        "server_p50_ms": stats["latency_p50_ms"],
        "server_p95_ms": stats["latency_p95_ms"],
        "onset_ms": percentiles(opened),
        "onsets": len(opened),
        "pixel_lag_ms": lag,
        "pixel_correlation": score,
        "skew_start_ms": percentiles(skews[0]),
        "skew_end_ms": percentiles(skews[1]),
        "cut_mouth_ms": percentiles(found_cuts[:, 0]),
        "cut_sound_ms": percentiles(found_cuts[:, 1]),
        "cuts": len(found_cuts),
        "voice_cut_ms": percentiles(data["voice_cuts"]),
        "voice_cuts": len(data["voice_cuts"]),
        "rss_mb": float(np.median(settled[:, 1])),
        "rss_change_percent": float(100 * (ends[1] / ends[0] - 1)),
        "rss_range_percent": float(100 * np.ptp(settled[:, 1]) / settled[0, 1]),
    }


def percentiles(values: np.ndarray) -> dict[str, float]:
    """p5, p50, p95 and the largest."""
    if not len(values):
        return dict.fromkeys(("p5", "p50", "p95", "max"), float("nan"))
    return dict(zip(("p5", "p50", "p95", "max"), np.percentile(values, [5, 50, 95, 100]).tolist(), strict=True))


def table(r: dict) -> str:
    """What was asked for, and what was found."""
    own = r["server_p95_ms"] - r["lookahead_ms"]

    def pair(name: str) -> str:
        return f"{r[name]['p50']:.0f} / {r[name]['max']:.0f} ms"

    rows = [
        ("images a second", f"{r['fps']:.2f}", "25"),
        ("late or missing", f"{r['late_percent']:.2f} % of {r['expected']} ({r['missing']} missing)", "< 0.5 %"),
        ("mic -> shown, p50", f"{r['latency_ms']['p50']:.0f} ms", "<= 200 ms"),
        ("mic -> shown, p95", f"{r['latency_ms']['p95']:.0f} ms", "<= 300 ms"),
        ("  look-ahead of the motion model", f"{r['lookahead_ms']:.0f} ms", ""),
        ("  server beyond it, p95", f"{own:.0f} ms (drawing {r['draw_p95_ms']:.0f})", "<= 120 ms"),
        ("  arrived -> drawn in the page, p95", f"{r['page_ms']['p95']:.0f} ms", ""),
        ("by pixels: mouth behind microphone", f"{r['pixel_lag_ms']:.0f} ms (r = {r['pixel_correlation']:.2f})", ""),
        ("onset -> open mouth, p50 / max", f"{pair('onset_ms')} of {r['onsets']}", "<= 250 ms"),
        ("A/V skew at the start, p50 [p5 p95]", skew(r["skew_start_ms"]), "+-20 ms"),
        ("A/V skew at the end", skew(r["skew_end_ms"]), "+-20 ms"),
        ("barge-in: mouth shut, p50 / max", f"{pair('cut_mouth_ms')} of {r['cuts']}", "<= 150 ms"),
        ("barge-in: silent, p50 / max", pair("cut_sound_ms"), "<= 150 ms"),
        ("a voice cuts in: silent, p50 / max", f"{pair('voice_cut_ms')} of {r['voice_cuts']}", "<= 150 ms"),
        ("gaps and skips of the player", f"{r['underruns']}, {r['skips']}", "0"),
        (
            "server memory after the first minute",
            f"{r['rss_mb']:.0f} MB, {r['rss_change_percent']:+.1f} %, range {r['rss_range_percent']:.1f} %",
            "+-2 %",
        ),
        ("cores: server, Chromium", f"{r['server_cores']:.2f}, {r['browser_cores']:.2f}", "2 in all"),
    ]
    head = f"{r['minutes']:g} min at {r['size']} px, load {r['load']:.1f}"
    return "\n".join([head, *(f"{name:<38}{value:<40}{target}" for name, value, target in rows)])


def skew(values: dict[str, float]) -> str:
    """Median and spread."""
    return f"{values['p50']:+.0f} [{values['p5']:+.0f} {values['p95']:+.0f}] ms"


def plot(result: dict, data: dict[str, np.ndarray], path: Path) -> None:
    """Latency, evenness, skew and memory over the run."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(11, 6.5), constrained_layout=True)
    heard, rss = data["heard"], data["rss"]
    minutes = (heard[:, AT] - heard[0, AT]) / 6e4
    axes[0, 0].plot(minutes, heard[:, LATENCY], ".", ms=1, alpha=0.4)
    axes[0, 0].axhline(200, c="tab:green", lw=0.8)
    axes[0, 0].axhline(300, c="tab:red", lw=0.8)
    axes[0, 0].set(title="microphone to image", xlabel="minutes", ylabel="ms", ylim=(100, 420))
    axes[0, 1].hist(np.clip(np.diff(heard[:, AT]), 0, 120), bins=60)
    axes[0, 1].set(title="between two images", xlabel="ms", yscale="log")
    for name, label in (("first", "at the start"), ("last", "at the end")):
        values = data[name][np.isfinite(data[name][:, SKEW]), SKEW]
        axes[1, 0].hist(values, bins=np.arange(-60, 60, 4).tolist(), alpha=0.6, label=label)
    axes[1, 0].axvspan(-20, 20, color="tab:green", alpha=0.1)
    axes[1, 0].legend()
    axes[1, 0].set(title="sound against image", xlabel="ms")
    axes[1, 1].plot(rss[:, 0] / 60, rss[:, 1])
    axes[1, 1].set(title="memory of the server", xlabel="minutes", ylabel="MB", ylim=(0, 1.15 * rss[:, 1].max()))
    figure.suptitle(f"gtalk view, {result['size']} px, server and Chromium on one machine")
    figure.savefig(path, dpi=110)

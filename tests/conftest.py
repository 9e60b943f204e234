"""How a run is shared between workers and what is said at its end. No test fails for a busy machine's sake.

`make test` and `make quick` run one worker more than there are cores (pytest-xdist). A file's tests stay together, for
they share what is slow to make; the longest files begin; browsers are driven by one worker alone.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

# Three workers and the processes of many tests would compile everything anew each, where this is set.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if WORKERS > 1:  # before anything that computes is imported: the workers share the cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // WORKERS)))

import numpy as np  # noqa: E402, F401
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

from tests.support import checking  # noqa: E402

checking.install()
if WORKERS > 1:  # plugins have loaded numpy before, and its BLAS spins where a worker holds each core: ten times slower
    threadpool_limits(int(os.environ["OMP_NUM_THREADS"]), "blas")

settings.register_profile("gtalk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gtalk")

BROWSERS = {
    "tests/export/web/test_page.py",
    "tests/export/web/test_speaking.py",
    "tests/serve/test_live_page.py",
    "tests/studio/test_page.py",
    "tests/viewer/test_browser.py",
    "tests/viewer/test_drawn_there.py",
    "tests/viewer/test_player.py",
    "tests/viewer/test_stereo_microphone.py",
    "tests/viewer/test_timeline.py",
    "tests/eval/test_report.py",
}
SLOW = {
    "avatar/expressing/test_gaussian_expression.py", "avatar/expressing/test_warp.py", "compute/test_threads.py",
    "direct/directors/test_grammar.py", "direct/directors/test_write.py",
    "direct/test_composer.py", "direct/test_keys.py", "direct/test_score_edit.py", "dub/batch/test_chunks.py",
    "dub/batch/test_cluster.py", "dub/batch/test_run.py", "dub/footage/test_compositor.py", "dub/test_memory.py",
    "dub/test_render.py", "dub/test_score.py", "eval/test_evaluator.py", "eval/test_report.py", "eval/test_run.py",
    "fit/gaussian/test_model.py", "fit/losses/test_perceptual.py", "fit/radiance/test_model.py",
    "making/test_takes.py", "marks/test_watermark.py", "media/test_alignment.py", "media/test_source.py",
    "media/output/test_writer.py", "motion/idle/test_blinks_gaze.py", "motion/model/test_model.py",
    "motion/model/test_with_ears.py", "motion/test_bad_sound.py", "motion/training/test_pretrain.py",
    "motion/training/test_train.py", "ops/test_checks.py", "ops/test_ops.py", "prepare/ingest/test_av_offset.py",
    "prepare/ingest/test_foreign_sound.py", "prepare/landmarks/test_identities.py", "prepare/report/test_onsets.py",
    "prepare/segmentation/test_clean_plate.py", "prepare/segmentation/test_mouth_occlusion.py",
    "prepare/surroundings/test_camera_path.py",
    "prepare/surroundings/test_light.py", "serve/test_serving.py",
    "prepare/segmentation/test_parsing_model.py", "prepare/test_hard_clips.py", "prepare/test_pipeline.py",
    "prepare/torso/test_track.py", "prepare/tracking/test_rasterise.py", "prepare/tracking/test_track.py",
    "serve/test_container.py", "serve/test_live.py",
    "rig/test_shapes.py", "robustness/test_faults.py", "robustness/test_places.py", "robustness/test_strangers.py",
    "studio/test_page.py",
    "talk/test_talker.py", "test_architecture.py", "test_bad_input.py", "test_distribution.py", "test_one_motion.py",
    "tools/make/test_demo_clip.py", "viewer/audio/test_strangers_file.py", "viewer/live/test_recorder.py",
    "viewer/live/test_session.py", "viewer/live/test_session_faults.py", "viewer/live/test_sessions.py",
    "agents/test_livekit.py", "media/output/test_broadcast.py", "viewer/outlets/test_pump.py",
    "viewer/webrtc/test_whip.py", "viewer/test_browser.py",
    "viewer/test_timeline.py", "hosting/test_crowds.py", "viewer/web/test_intruders.py",
    "viewer/web/test_speech_api.py", "voice/test_synthesis.py",
}  # fmt: skip
"""Files that take 2 s of processor time and more (`--processor-times`), which `make quick` leaves out; a test of
another file is marked by `pytest.mark.slow`."""
_processor_s: Counter[str] = Counter()


@pytest.fixture(scope="session")
def small_person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small avatar that has learned to speak; not to be changed."""
    from tests.support.made_once import made_once
    from tests.support.small_person import write_small_person

    return made_once(tmp_path_factory, "small", lambda folder: write_small_person(folder / "me")) / "me"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`pytest --processor-times`: which files are slow, seen from a busy machine too."""
    parser.addoption("--processor-times", action="store_true", help="print each file's seconds of processor time")


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Every worker imports every test, but each begins elsewhere: in a fresh clone they compile for one another."""
    if WORKERS > 1 and session.config.args == session.config.getini("testpaths"):
        root = Path(__file__).parents[1]
        files = sorted(Path(__file__).parent.rglob("test_*.py"))
        first = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")) * len(files) // WORKERS
        for path in files[first:] + files[:first]:
            with suppress(Exception, pytest.skip.Exception):  # told when the file is collected
                importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that may take longest come first, so that no worker ends long after the others."""
    for item in items:
        if _file(item.nodeid).removeprefix("tests/") in SLOW:
            item.add_marker(pytest.mark.slow)
    limits: Counter[str] = Counter()
    for item in items:
        if limit := item.get_closest_marker("timeout"):
            limits[_file(item.nodeid)] = int(limit.args[0])
        elif item.get_closest_marker("slow"):
            limits[_file(item.nodeid)] = max(1, limits[_file(item.nodeid)])
    items.sort(key=lambda item: -limits[_file(item.nodeid)])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores, for some tests wait: for clocks, sockets, processes."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Hand out files, not single tests, in the order above."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "browsers" if _file(nodeid) in BROWSERS else _file(nodeid)

    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    """Note where the clock stands: what a test takes includes its fixtures and the processes that it starts."""
    item.stash[_BEFORE] = sum(os.times()[:4])
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Hand the processor time on with the last of a test's reports."""
    if call.when == "teardown":
        item.user_properties.append(("processor_s", sum(os.times()[:4]) - item.stash[_BEFORE]))
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect it, wherever the test ran."""
    if report.when == "teardown":
        _processor_s[_file(report.nodeid)] += dict(report.user_properties).get("processor_s", 0.0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Why tests were skipped, most frequent first; and what the files took, when that was asked for."""
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    if reasons:
        terminalreporter.section("skipped, by reason")
        for reason, count in reasons.most_common():
            terminalreporter.write_line(f"{count:>5}  {reason}")
    if config.getoption("--processor-times"):
        terminalreporter.section("seconds of processor time, by file")
        for file, seconds in _processor_s.most_common():
            terminalreporter.write_line(f"{seconds:>7.1f}  {file}")


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped: pytest keeps (file, line, words)."""
    words = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return words.removeprefix("Skipped: ")


_BEFORE = pytest.StashKey[float]()

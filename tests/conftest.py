"""What is said at the end of a run: which tests were skipped, by reason. No test fails for a busy machine's sake."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("gtalk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gtalk")


@pytest.fixture(scope="session")
def small_person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small avatar that has learned to speak; not to be changed."""
    from tests.support.small_person import write_small_person

    return write_small_person(tmp_path_factory.mktemp("small") / "me")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line a reason, most frequent first."""
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    if reasons:
        terminalreporter.section("skipped, by reason")
        for reason, count in reasons.most_common():
            terminalreporter.write_line(f"{count:>5}  {reason}")


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped: pytest keeps (file, line, words)."""
    words = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return words.removeprefix("Skipped: ")

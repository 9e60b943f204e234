"""Tables of checks: each row runs in a folder of its own, and one that raises is a row that is broken."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

Outcome = tuple[bool | None, str]


@dataclass
class Row:
    """One line of a table."""

    name: str
    given: str
    wanted: str
    """What should happen, or what happened before."""
    held: bool | None
    """None where it could not be tried here."""
    now: str


def run_rows(todo: Iterable[tuple[str, str, str, Callable[[Path], Outcome]]], only: str | None) -> list[Row]:
    """The rows of (name, given, wanted, check), those that `only` names with commas between, told as they come."""
    rows = []
    for name, given, wanted, check in todo:
        if only and name not in only.split(","):
            continue
        with tempfile.TemporaryDirectory(prefix="gtalk-check-") as folder:
            try:
                held, now = check(Path(folder))
            except Exception as error:
                held, now = False, f"{type(error).__name__}: {error}"
        rows.append(Row(name, given, wanted, held, " ".join(now.split())))
        print(f"{name}: {now}", file=sys.stderr, flush=True)
    return rows


def print_rows(rows: Sequence[Row], heads: tuple[str, str, str], path: Path | None) -> int:
    """Print the table, write it to `path` as JSON too; 1 where a row is broken."""
    words = {True: "held", False: "BROKEN", None: "not tried"}
    print(f"| {heads[0]} | {heads[1]} | | {heads[2]} |\n|---|---|---|---|")
    for r in rows:
        print(f"| {r.given} | {r.wanted} | {words[r.held]} | {r.now} |")
    if path:
        path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return int(any(row.held is False for row in rows))

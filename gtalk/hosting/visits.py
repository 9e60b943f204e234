"""Who is connected: those that have not yet got what they came for, and those that stay.

Connections that have not yet got what they came for pass: there is room for so many, and the oldest makes way for the
next, so that who says nothing shuts out nobody. Those that stay (sockets, streams, downloads) have places of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import Scope

from gtalk.hosting.refused import Refused

MOST_PASSING, MOST_STAYING = 128, 96
MOST_PASSING_TLS = 48  # each holds a quarter of a megabyte


@dataclass(eq=False)
class Visit:
    """One connection."""

    visits: Visits
    report: Callable[[str], None]
    end: Callable[[], object] = lambda: None
    """Ends it at once."""
    vanished: bool = False
    """It was lost without a goodbye."""
    stays: bool = False

    def stay(self) -> None:
        """Have a place of its own from now on. Raises Refused where all are taken."""
        self.visits.stay(self)

    def leave(self) -> None:
        """It is over."""
        self.visits.leave(self)


class Visits:
    """All connections of a port.

    Args:
        most_passing: how many may be on their way at once.
    """

    def __init__(self, most_passing: int = MOST_PASSING) -> None:
        self._most_passing = most_passing
        self._passing: dict[Visit, None] = {}  # in the order of their coming
        self._staying: set[Visit] = set()

    @property
    def n_open(self) -> int:
        """Connections that are open."""
        return len(self._passing) + len(self._staying)

    @property
    def all(self) -> list[Visit]:
        """Every connection that is open."""
        return [*self._passing, *self._staying]

    def enter(self, visit: Visit) -> None:
        """A connection has come; the oldest that passes makes way where there is no room."""
        if len(self._passing) >= self._most_passing:
            oldest = next(iter(self._passing))
            del self._passing[oldest]
            oldest.end()
        self._passing[visit] = None

    def stay(self, visit: Visit) -> None:
        """See Visit."""
        if visit.stays:
            return
        if len(self._staying) >= MOST_STAYING:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_STAYING} look already, as many as this server takes")
        self._passing.pop(visit, None)
        self._staying.add(visit)
        visit.stays = True

    def leave(self, visit: Visit) -> None:
        """See Visit."""
        self._passing.pop(visit, None)
        self._staying.discard(visit)


def visit_of(scope: Scope) -> Visit | None:
    """The connection that a request came by; None where it came by none, as in tests."""
    return scope.get("state", {}).get("visit")


def stay(scope: Scope) -> None:
    """Have the connection of a request that lasts counted as such. Raises Refused where all places are taken."""
    if (visit := visit_of(scope)) is not None:
        visit.stay()

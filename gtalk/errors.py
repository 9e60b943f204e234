"""Errors that a user can act on."""

from __future__ import annotations


class UserError(ValueError):
    """The input is at fault, and the message says how to mend it. The CLI exits with status 2.

    Args:
        what: the argument or file at fault, as the user knows it.
        expected: what would have been right.
        got: what was found instead.
        remedy: what the user can do now.
    """

    def __init__(self, what: str, *, expected: str, got: str, remedy: str) -> None:
        self.what, self.expected, self.got, self.remedy = what, expected, got, remedy
        super().__init__(f"{what}: expected {expected}; got {got}. {remedy}")

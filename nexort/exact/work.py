"""Why an evaluation ends early, and how much work it has done, by counts that are the same on every machine.

The unit is an operation on one entry of an array, about a nanosecond; `CALL` is what a step costs beside its entries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

CALL = 2e4
"""A call of a few array operations, in entries."""


class NotExactError(Exception):
    """Why the exact method cannot go on; the walk over the graph adds the place."""


class TooMuchWorkError(NotExactError):
    """The work that was allowed is done."""


@dataclass(slots=True)
class Work:
    """Entries counted so far; beyond `most` it raises.

    `more`, if any, is asked first, once: it tells what is allowed in all, where that takes work to find out.
    """

    most: float = inf
    more: Callable[[], float] | None = None
    done: float = 0.0
    memory: float = inf
    """Bytes that a single statement may work with."""

    @property
    def is_spent(self) -> bool:
        return self.done > self.most

    def add(self, entries: float) -> None:
        """Counts one call over so many entries, before they are computed."""
        self.done += CALL + entries
        if self.is_spent and self.more is not None:
            self.most = max(self.most, self.more())
            self.more = None
        if self.is_spent:
            raise TooMuchWorkError("more work than sampling would be")

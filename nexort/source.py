"""Program text and places in it.

A `Source` is one program text with a display name; a `Span` is a piece of it.  Every syntax node and every
graph node carries a span, so that a message can show the line it speaks of.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

LONGEST_EXCERPT = 120
"""Characters of a line that a message shows."""


@dataclass(frozen=True, eq=False)
class Source:
    """One program text. `name` is what messages call it: a path, or `<text>` for a string."""

    name: str
    text: str
    _starts: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        starts = [0, *(i + 1 for i, char in enumerate(self.text) if char == "\n")]
        object.__setattr__(self, "_starts", starts)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a character offset, both counted from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its newline."""
        start = self._starts[number - 1]
        end = self._starts[number] - 1 if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r")


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """The characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def place(self) -> str:
        """`file:line:column`, as editors understand it."""
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"

    def join(self, other: Span) -> Span:
        """The smallest span that holds both (of the same source; else this one)."""
        if self.source is not other.source:
            return self
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))

    @property
    def window(self) -> tuple[int, int]:
        """The part of the line that an excerpt shows: all of it, unless it is very long."""
        line, column = self.source.position(self.start)
        length = len(self.source.line(line))
        if length <= LONGEST_EXCERPT:
            return 0, length
        start = max(0, min(column - 1 - LONGEST_EXCERPT // 3, length - LONGEST_EXCERPT))
        return start, start + LONGEST_EXCERPT

    def excerpt(self) -> str:
        """The source line that the span starts on, behind its number."""
        start, end = self.window
        return f"{self.line:>5} | {self.source.line(self.line)[start:end]}"

    def carets(self, note: str = "") -> str:
        """Carets that stand under this span below its excerpt, and a note behind them."""
        start, end = self.window
        first, column = self.source.position(self.start)
        last, end_column = self.source.position(max(self.start, self.end - 1))
        stop = min(end_column, end) if last == first else end
        return f"      | {' ' * (column - 1 - start)}{'^' * max(1, stop - column + 1)}{' ' + note if note else ''}"

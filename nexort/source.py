"""Program text and places in it.

A `Source` is one program text with a display name; a `Span` is a piece of it.  Every syntax node and every
graph node carries a span, so that a message can show the line it speaks of.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field


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

    def excerpt(self) -> str:
        """The source line that the span starts on, behind its number."""
        return f"{self.line:>5} | {self.source.line(self.line)}"

    def carets(self, note: str = "") -> str:
        """Carets that stand under this span below its excerpt, and a note behind them."""
        first, column = self.source.position(self.start)
        last, end_column = self.source.position(max(self.start, self.end - 1))
        width = (end_column - column + 1) if last == first else len(self.source.line(first)) - column + 1
        return f"      | {' ' * (column - 1)}{'^' * max(1, width)}{' ' + note if note else ''}"

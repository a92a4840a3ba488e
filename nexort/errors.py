"""What goes wrong, said to the person who wrote the program.

`NexortError` and its subclasses are for users: a message (what was found, what was expected), the places it speaks
of, and a hint (what to do).  The class decides the exit status of the command line.  Any other exception that
escapes is a fault of NEXORT and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar

from nexort.source import Span


@dataclass(frozen=True, slots=True)
class Label:
    """A place in the source and what is to be said about it."""

    span: Span
    note: str = ""


class NexortError(Exception):
    """A fault in what the user gave. `labels[0]` is the main place; the others explain it."""

    exit_status: ClassVar[int] = 1
    kind: ClassVar[str] = "error"

    def __init__(self, message: str, *places: Span | Label | None, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.labels = tuple(
            place if isinstance(place, Label) else Label(place) for place in places if place is not None
        )
        self.hint = hint

    @property
    def span(self) -> Span | None:
        return self.labels[0].span if self.labels else None

    def render(self) -> str:
        """The message as the terminal shows it: place, source line, caret, reason, remedy."""
        head = f"{self.labels[0].span.place}: " if self.labels else ""
        lines = [f"{head}{self.kind}: {self.message}"]
        shown = self.labels[0].span if self.labels else None
        for labels in self._by_line():
            first = labels[0].span
            if shown is not None and first.source is not shown.source:
                lines.append(f"  in {first.place}:")
            shown = first
            lines.append(first.excerpt())
            # a place without a note says nothing beside others on its line that have one
            noted = [label for label in labels if label.note] or labels[:1]
            lines.extend(label.span.carets(label.note) for label in noted)
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)

    def _by_line(self) -> list[list[Label]]:
        """The labels of each source line (or shown part of it), in order of first mention."""
        lines: dict[tuple[object, ...], list[Label]] = {}
        for label in self.labels:
            lines.setdefault((label.span.source, label.span.line, label.span.window), []).append(label)
        return list(lines.values())

    def __str__(self) -> str:
        return self.render()


class SyntaxFault(NexortError):
    """The text is not a program."""


class NameFault(NexortError):
    """A name that is unknown, taken, or bound twice."""


class TypeFault(NexortError):
    """Kinds, ranks or static shapes that do not fit."""


class IndexFault(NexortError):
    """A static index or a width axis that is unbound, out of range, or of two sizes."""


class GradientFault(NexortError):
    """A gradient that does not exist or is not defined."""


class WidthFault(NexortError):
    """An expression in `n` that has no finite limit, or meets a jump at it."""


class DataFault(NexortError):
    """A data array or file that is missing or does not fit."""


class SizeFault(NexortError):
    """A program that is larger than the stated bounds."""


class NotBuiltFault(NexortError):
    """A part of the language or command line that is not built yet."""


class UsageFault(NexortError):
    """A wrong command line or option."""

    exit_status: ClassVar[int] = 2


class ComputationFault(NexortError):
    """The computation itself failed: refused for memory or columns, not finite, disk full."""

    exit_status: ClassVar[int] = 3


class FaultGroup(NexortError):
    """Several faults of one program, reported together, in the order of the text."""

    def __init__(self, faults: Iterable[NexortError]) -> None:
        flat: list[NexortError] = []
        for fault in faults:
            flat.extend(fault.faults if isinstance(fault, FaultGroup) else [fault])
        self.faults: Sequence[NexortError] = tuple(flat)
        super().__init__(f"{len(flat)} errors", *(label for fault in flat[:1] for label in fault.labels))

    def render(self) -> str:
        return "\n\n".join(fault.render() for fault in self.faults)


def suggest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for the nearest known name, or an empty string."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else ""

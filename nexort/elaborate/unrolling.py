"""The state of a program that is being unrolled, and what its statements may ask of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from nexort.elaborate.evaluation import Evaluation, Tapes
from nexort.elaborate.families import Stamp
from nexort.elaborate.outputs import Outputs
from nexort.elaborate.scope import Scope
from nexort.elaborate.starts import Starts
from nexort.elaborate.updates import Ledgers
from nexort.errors import NexortError
from nexort.graph.terms import Place
from nexort.source import Span
from nexort.syntax import ast


@dataclass(slots=True, kw_only=True)
class Unrolling(ABC):
    settings: Mapping[str, int | float]
    given: Mapping[str, object]
    outputs: Outputs
    starts: Starts
    scope: Scope = field(default_factory=Scope)
    tapes: Tapes = field(default_factory=Tapes)
    passes: tuple[tuple[str, int], ...] = ()
    """The loop variables and their values, outermost first."""
    stamp: Stamp = ()
    """The passes by numbers of their own: two loops over t = 0, 1 have four."""
    depth: int = 0
    """How many blocks are around the statement."""
    ledgers: Ledgers = field(default_factory=dict)
    imports: dict[str, bool] = field(default_factory=dict)
    """Files that were imported; True while one is being read."""
    faults: dict[tuple[object, ...], NexortError] = field(default_factory=dict)
    params: list[str] = field(default_factory=list)
    shapes: set[str] = field(default_factory=set)
    executed: int = 0
    pass_numbers: Iterator[int] = field(default_factory=count)

    @abstractmethod
    def block(self, body: Sequence[ast.Stmt]) -> None:
        """Run statements in turn; what is wrong with one is recorded, and the others go on."""

    @abstractmethod
    def evaluator(self) -> Evaluation:
        """A fresh evaluation of one statement."""

    def place(self, span: Span) -> Place:
        return Place(span, self.passes)

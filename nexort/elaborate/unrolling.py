"""The state of a program that is being unrolled, and what its statements may ask of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

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
from nexort.training import Classification

Meaning = Literal["finite", "limit", "classify"]
"""What a program is unrolled for; with "classify", `train` statements are classified and not expanded."""


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
    meaning: Meaning = "finite"
    classifications: dict[str, Classification] = field(default_factory=dict)
    """Of each `train` statement."""
    notes: list[str] = field(default_factory=list)
    """What the user should know of the results."""
    prefix: str = ""
    """Before the names of initial values: two networks with a matrix W have two matrices."""
    start_prefix: str = ""
    """Before the names of what starts at random, for `--given`: those of a `train … as wide` begin with `wide_`."""

    @contextmanager
    def inside(self, scope: Scope, prefix: str, start_prefix: str) -> Generator[None]:
        """Statements run here have names and optimizer states of their own."""
        before = self.scope, self.ledgers, self.prefix, self.start_prefix
        self.scope, self.ledgers, self.prefix, self.start_prefix = scope, {}, prefix, start_prefix
        try:
            yield
        finally:
            self.scope, self.ledgers, self.prefix, self.start_prefix = before

    @abstractmethod
    def block(self, body: Sequence[ast.Stmt]) -> None:
        """Run statements in turn; what is wrong with one is recorded, and the others go on."""

    @abstractmethod
    def evaluator(self) -> Evaluation:
        """A fresh evaluation of one statement."""

    def place(self, span: Span) -> Place:
        return Place(span, self.passes)

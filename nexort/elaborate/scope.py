"""The names of a program while it is unrolled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nexort.elaborate.families import Variable
from nexort.elaborate.values import PoisonedError, Value
from nexort.errors import Label as Mark
from nexort.errors import NameFault, suggest
from nexort.graph.nodes import Data
from nexort.source import Span
from nexort.symbolic import FUNCTIONS, Fn
from nexort.syntax import ast
from nexort.training import Model

REDUCTIONS = frozenset({"avg", "sum", "mean"})
BUILTINS = frozenset({"n", "pi", "grad", "stop", "rms", "row_mean", "col_mean", *REDUCTIONS, *FUNCTIONS})


@dataclass(frozen=True, slots=True)
class Constant:
    """A compile-time number: a `param`, a shape name or a loop variable (`origin` says which)."""

    value: int | float
    origin: str
    span: Span


@dataclass(frozen=True, slots=True)
class Array:
    """A data array."""

    node: Data
    span: Span


@dataclass(frozen=True, slots=True)
class Function:
    """A `def`."""

    fn: Fn
    span: Span


@dataclass(frozen=True, slots=True)
class Rule:
    """An `optimizer`, with the scope it was defined in."""

    tree: ast.Optimizer
    scope: Scope
    span: Span


@dataclass(frozen=True, slots=True)
class Network:
    """A `model`."""

    model: Model
    span: Span


@dataclass(frozen=True, slots=True)
class Poison:
    """A name whose definition is wrong; using it gives no further message."""

    span: Span


@dataclass(frozen=True, slots=True)
class Local:
    """A value in an optimizer's body, whose axes keep the labels of the update."""

    value: Value
    span: Span


Entry = Constant | Array | Function | Rule | Network | Variable | Poison | Local

WORDS: Mapping[type, str] = {
    Constant: "a number",
    Array: "a data array",
    Function: "a function",
    Rule: "an optimizer",
    Network: "a model",
    Variable: "a variable",
    Local: "a value",
    Poison: "a name",
}


@dataclass(slots=True)
class Scope:
    """Names to entries; `parent` is the scope around (of an optimizer's body)."""

    parent: Scope | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    is_optimizer: bool = False
    """The names of an optimizer's body."""
    is_complete: bool = True
    """False once an import has failed: an unknown name may be one of its names."""

    def find(self, name: str) -> Entry | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.entries:
                return scope.entries[name]
            scope = scope.parent
        return None

    def get(self, tree: ast.Name) -> Entry:
        """The entry of a name that is read."""
        entry = self.find(tree.id)
        if entry is None and not self.is_complete:
            raise PoisonedError
        if entry is None:
            raise NameFault(f"unknown name '{tree.id}'", tree.span, hint=self.hint(tree.id))
        if isinstance(entry, Poison):
            raise PoisonedError
        return entry

    def hint(self, name: str) -> str:
        return suggest(name, self.names()) or "a name must be declared or assigned above its use"

    def names(self) -> Iterator[str]:
        scope: Scope | None = self
        while scope is not None:
            yield from scope.entries
            scope = scope.parent
        yield from BUILTINS

    def declare(self, tree: ast.Name, entry: Entry) -> None:
        """Bind a name for the first time."""
        check_bindable(tree)
        old = self.entries.get(tree.id)
        is_again = old is not None and old.span.start == tree.span.start and old.span.source is tree.span.source
        if old is not None and not isinstance(old, Poison) and not is_again:
            raise NameFault(
                f"'{tree.id}' is declared twice",
                tree.span,
                Mark(old.span, f"{WORDS[type(old)]} since here"),
                hint="choose another name",
            )
        self.entries[tree.id] = entry


def check_bindable(tree: ast.Name) -> None:
    if tree.id in BUILTINS:
        raise NameFault(f"'{tree.id}' is built in and cannot be bound", tree.span, hint="choose another name")

"""The state in which an expression is evaluated, and what every kind of expression may ask of it.

An `Evaluation` serves one statement.  `statics` and `widths` are the index names that may be read: those on the left of
the statement and those that an enclosing reduction or average binds.  `is_braced` tells whether vectors carry named
width axes here; inside brackets, `avg(…)`, `grad(…)` and on both sides of `@` they have axes of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from nexort.elaborate.algebra import Site
from nexort.elaborate.constants import check_axes
from nexort.elaborate.diagonals import Diagonals
from nexort.elaborate.scope import BUILTINS, Constant, Rule, Scope
from nexort.elaborate.values import FamilyLabel, Value, describe_label, noun
from nexort.errors import IndexFault, NameFault
from nexort.errors import Label as Mark
from nexort.graph.gradient import Tape
from nexort.graph.terms import Label, Place, Term
from nexort.source import Span
from nexort.syntax import ast

OptimizerCall = Callable[["Evaluation", Rule, ast.Call], Value]


@dataclass(slots=True)
class Tapes:
    """The tapes of the latest differentiated scalars: one loss has gradients in many parameters."""

    entries: dict[tuple[object, ...], Tape] = field(default_factory=dict)
    diagonals: Diagonals = field(default_factory=Diagonals)

    def get(self, value: Term, place: Place) -> Tape:
        key = (value.node, value.static)
        tape = self.entries.pop(key, None) or Tape(value, place)
        if len(self.entries) >= 8:
            self.entries.pop(next(iter(self.entries)))
        self.entries[key] = tape  # the one that was asked for last goes last
        return tape


@dataclass(slots=True, kw_only=True)
class Evaluation(ABC):
    scope: Scope
    tapes: Tapes
    passes: tuple[tuple[str, int], ...] = ()
    statics: set[str] = field(default_factory=set)
    widths: set[str] = field(default_factory=set)
    sizes: dict[Label, tuple[int, Span]] = field(default_factory=dict)
    is_braced: bool = False
    whole: str = ""
    """In an update of a family without brackets, its name: it may stand on the right without them too."""
    is_argument: bool = False
    """In an optimizer's argument, where a family without brackets stands for all its elements."""
    call_optimizer: OptimizerCall | None = None
    """Set while the right side of an update is evaluated."""
    update_labels: Mapping[Label, int] = field(default_factory=dict)
    """In an optimizer's body: the free labels of the update, and their lengths."""

    def place(self, tree: ast.Expr) -> Place:
        return Place(tree.span, self.passes)

    @abstractmethod
    def value(self, tree: ast.Expr) -> Value:
        """What an expression evaluates to here."""

    def site(self, tree: ast.Expr, left: ast.Expr, right: ast.Expr) -> Site:
        return Site(self.place(tree), left.span, right.span)

    @contextmanager
    def unbraced(self) -> Generator[None]:
        """Inside, vectors have width axes of their own."""
        before = self.is_braced, self.widths
        self.is_braced, self.widths = False, set()
        try:
            yield
        finally:
            self.is_braced, self.widths = before

    def own_axes(self, value: Value, tree: ast.Expr) -> Value:
        """In a statement with braces, a vector or tensor that carries no index is refused."""
        if (
            self.is_braced
            and isinstance(value, Term)
            and value.order
            and isinstance(value.width[0], int)
            and not value.is_operator
        ):
            example = f"({tree.span.text})" if not isinstance(tree, ast.Name) else tree.span.text
            raise IndexFault(
                f"this {noun(value)} carries no index, in a statement with braces",
                tree.span,
                hint=f"write {example}{{{', '.join('ijklm'[: value.order])}}}",
            )
        return value

    # ------------------------------------------------------------- indices

    def is_constant(self, name: str) -> bool:
        """Whether a name in brackets is a number rather than an index."""
        return name in ("n", "pi") or isinstance(self.scope.find(name), Constant)

    def agree(self, label: Label, size: int, span: Span) -> None:
        """An index has one range everywhere in a statement."""
        known, where = self.sizes.setdefault(label, (size, span))
        if known == size:
            return
        hint = "an index has one range in a statement: use another name"
        if isinstance(label, FamilyLabel):
            hint = "families without brackets have the same shape in a statement"
        raise IndexFault(
            f"{describe_label(label)} ranges over {size} here and over {known} elsewhere in the statement",
            span,
            Mark(where, f"over {known} here"),
            hint=hint,
        )

    def bind_names(self, names: Iterable[ast.Name], bound: set[str]) -> None:
        """Check names that a statement, a reduction or an average binds, and add them to `bound`."""
        for name in names:
            entry = self.scope.find(name.id)
            if name.id in self.statics or name.id in self.widths or name.id in bound:
                raise NameFault(
                    f"the index '{name.id}' is bound already", name.span, hint="use another name for the inner index"
                )
            if entry is not None or name.id in BUILTINS:
                marks = [Mark(entry.span, "bound here")] if entry is not None else []
                what = "names a value" if entry is not None else "is built in"
                raise NameFault(
                    f"'{name.id}' {what}, so it cannot be an index", name.span, *marks, hint="use another name"
                )
            bound.add(name.id)
            check_axes(len(self.statics | self.widths | bound), name.span)

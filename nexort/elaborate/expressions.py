"""Expressions to values: names, indices, width axes, brackets and calls (LANGUAGE §3 to §5, §7).

An `Evaluator` serves one statement.  `statics` and `widths` are the index names that may be read: those on the left of
the statement and those that an enclosing reduction or average binds.  `is_braced` tells whether vectors carry named
width axes here; inside brackets, `avg(…)`, `grad(…)` and on both sides of `@` they have axes of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from nexort.elaborate import algebra, calls, indices
from nexort.elaborate.algebra import ENTRIES, Site
from nexort.elaborate.constants import check_axes
from nexort.elaborate.diagonals import Diagonals, diagonal
from nexort.elaborate.families import Variable
from nexort.elaborate.functions import strip_primes
from nexort.elaborate.scope import BUILTINS, REDUCTIONS, Array, Constant, Function, Local, Rule, Scope
from nexort.elaborate.values import FamilyLabel, Value, Width, check_finite, describe_label, family_labels, noun
from nexort.errors import IndexFault, NameFault, TypeFault
from nexort.errors import Label as Mark
from nexort.graph.gradient import Tape
from nexort.graph.nodes import Alias, Number
from nexort.graph.terms import Label, Place, Term
from nexort.source import Span
from nexort.symbolic import FUNCTIONS, width_symbol
from nexort.syntax import ast

OptimizerCall = Callable[["Evaluator", Rule, ast.Call], Value]


@dataclass(slots=True)
class Tapes:
    """The tapes of the latest differentiated scalars: one loss has gradients in many parameters."""

    entries: dict[tuple[object, ...], Tape] = field(default_factory=dict)
    diagonals: Diagonals = field(default_factory=Diagonals)

    def get(self, value: Term, place: Place) -> Tape:
        key = (value.node, value.static)
        if key not in self.entries:
            if len(self.entries) >= 8:
                self.entries.pop(next(iter(self.entries)))
            self.entries[key] = Tape(value, place)
        return self.entries[key]


@dataclass(slots=True, kw_only=True)
class Evaluator:
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

    # ------------------------------------------------------------- dispatch

    def value(self, tree: ast.Expr) -> Value:
        match tree:
            case ast.Number():
                return check_finite(tree.value, tree.span)
            case ast.Paren():
                return self.value(tree.body)
            case ast.Name():
                return self._name(tree)
            case ast.Unary():
                return self._unary(tree)
            case ast.Binary(operator="@"):
                return self._matmul(tree)
            case ast.Binary():
                site = self.site(tree, tree.left, tree.right)
                return algebra.binary(tree.operator, self.value(tree.left), self.value(tree.right), site)
            case ast.Call():
                return calls.evaluate_call(self, tree)
            case ast.Subscript():
                return self.own_axes(indices.evaluate_subscript(self, tree), tree)
            case ast.Braces():
                return self._braces(tree)
            case ast.Prime():
                return self._prime(tree)
            case ast.BraKet():
                return self._bracket(tree)
            case ast.KetBra():
                with self.unbraced():
                    ket, bra = self.value(tree.ket), self.value(tree.bra)
                return self.own_axes(algebra.outer(ket, bra, self.site(tree, tree.ket, tree.bra)), tree)
            case ast.Compare() | ast.Logical():
                hint = "comparisons stand in if conditions and in where(x > 0, a, b)"
                raise TypeFault("a comparison is not a value", tree.span, hint=hint)
            case ast.ListLiteral():
                raise TypeFault(
                    "a list stands in a data declaration only", tree.span, hint="declare it: data y[3] = [1, 2, 3]"
                )

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

    def _name(self, tree: ast.Name) -> Value:
        if tree.id == "pi":
            return math.pi
        if tree.id == "n":
            return Width(width_symbol())
        entry = self.scope.find(tree.id) if tree.id == "step" else None
        if entry is None and (tree.id in FUNCTIONS or tree.id in REDUCTIONS):
            hint = "outside an optimizer, step is the function" if tree.id == "step" else ""
            raise TypeFault(f"'{tree.id}' is a function: call it", tree.span, hint=hint or f"write {tree.id}(…)")
        entry = entry or self.scope.get(tree)
        match entry:
            case Constant():
                return entry.value
            case Local():
                return self.own_axes(entry.value, tree)
            case Variable() if entry.axes == 0:
                return self.own_axes(entry.read((), self.place(tree)), tree)
            case Variable() if self.is_argument or entry.name == self.whole:
                return self._whole_family(entry, tree)
            case Array() if not entry.node.type.shape:
                return Term(entry.node)
            case Variable() | Array():
                raise IndexFault(
                    f"'{tree.id}' is a family: its static indices are missing",
                    tree.span,
                    Mark(entry.span, "bound here"),
                    hint=f"write {tree.id}[a] with an index a, or reduce it: sum[a]({tree.id}[a])",
                )
            case Function() | Rule():
                raise TypeFault(f"'{tree.id}' is not a value: call it", tree.span, hint=f"write {tree.id}(…)")
            case _:
                raise TypeFault(f"'{tree.id}' is not a value", tree.span)

    def _whole_family(self, variable: Variable, tree: ast.Name) -> Value:
        """All elements of a family, where it stands without brackets."""
        labels = family_labels(variable.axes)
        for axis, label in enumerate(labels):
            self.agree(label, variable.extent(axis, variable.whole, tree.span), tree.span)
        return self.own_axes(variable.read(labels, self.place(tree)), tree)

    def _unary(self, tree: ast.Unary) -> Value:
        if tree.operator == "not":
            raise TypeFault("'not' stands in if conditions only", tree.span)
        value = self.value(tree.operand)
        return algebra.negate(value, self.place(tree)) if tree.operator == "-" else value

    def _matmul(self, tree: ast.Binary) -> Value:
        """A @ B @ x is A @ (B @ x): the chain is evaluated from the right."""
        chain: list[ast.Expr] = [tree.right]
        left: ast.Expr = tree.left
        while isinstance(left, ast.Binary) and left.operator == "@":
            chain.append(left.right)
            left = left.left
        chain.append(left)
        with self.unbraced():
            value = self.value(chain[0])
            for right, factor in pairwise(chain):
                value = algebra.matmul(self.value(factor), value, self.site(tree, factor, right))
        return self.own_axes(value, tree)

    def _bracket(self, tree: ast.BraKet) -> Value:
        with self.unbraced():
            bra, ket = self.value(tree.bra), self.value(tree.ket)
            if tree.operator is not None:
                ket = algebra.matmul(self.value(tree.operator), ket, self.site(tree, tree.operator, tree.ket))
        return algebra.inner(bra, ket, self.site(tree, tree.bra, tree.ket))

    def _prime(self, tree: ast.Prime) -> Value:
        base, count = strip_primes(tree)
        if isinstance(base, ast.Name) and base.id in FUNCTIONS and self.scope.find(base.id) is None:
            raise TypeFault(f"{tree.span.text} is a derivative: call it", tree.span, hint=f"write {tree.span.text}(x)")
        if isinstance(base, ast.Braces):
            raise TypeFault("the transpose stands before the braces", tree.span, hint="write T'{i,j}")
        with self.unbraced():
            value: Value = self.value(base)
            for _ in range(count):
                value = algebra.transpose(value, self.place(tree), tree.span)
        return self.own_axes(value, tree)

    # ---------------------------------------------------------- width axes

    def _braces(self, tree: ast.Braces) -> Value:
        with self.unbraced():
            value = self.value(tree.base)
        if isinstance(value, Term) and value.is_operator:
            raise TypeFault("an operator takes no braces", tree.span, hint=ENTRIES)
        if isinstance(value, Term) and _is_bound_to_number(value):
            for part in tree.indices:
                indices.width_label(self, part)
            return value
        if not isinstance(value, Term) or value.order == 0:
            raise IndexFault(
                f"a {noun(value)} has no width axes", tree.span, hint="static indices stand in square brackets"
            )
        if value.order != len(tree.indices):
            raise IndexFault(
                f"a {noun(value)} takes {value.order} width ind{'ex' if value.order == 1 else 'ices'}, "
                f"and {len(tree.indices)} stand here",
                tree.span,
            )
        labels = tuple(indices.width_label(self, part) for part in tree.indices)
        if len(set(labels)) < len(labels):
            return diagonal(value, labels, self.place(tree), self.tapes.diagonals)
        return Term(value.node, value.static, labels)

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


def _is_bound_to_number(term: Term) -> bool:
    """Whether a value is a name bound to a number (`G = 0`), which may grow into a tensor later."""
    node = term.node
    return isinstance(node, Number) or (isinstance(node, Alias) and isinstance(node.operands[0], Number))

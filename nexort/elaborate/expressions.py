"""Expressions to values: names, indices, width axes, brackets and calls (LANGUAGE §3 to §5, §7)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import final

from nexort.elaborate import algebra, calls, indices
from nexort.elaborate.algebra import ENTRIES
from nexort.elaborate.diagonals import diagonal
from nexort.elaborate.evaluation import Evaluation
from nexort.elaborate.families import Variable
from nexort.elaborate.functions import strip_primes
from nexort.elaborate.scope import REDUCTIONS, Array, Constant, Function, Local, Rule
from nexort.elaborate.values import Value, Width, check_finite, family_labels, noun
from nexort.errors import IndexFault, TypeFault
from nexort.errors import Label as Mark
from nexort.graph.nodes import Alias, Number
from nexort.graph.terms import Term
from nexort.symbolic import FUNCTIONS, width_symbol
from nexort.syntax import ast


@final
@dataclass(slots=True, kw_only=True)
class Evaluator(Evaluation):
    """Evaluates every kind of expression."""

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
            case ast.Tuple():
                hint = "several values stand behind a model's return, and in abcd(matrix=(a, b, c, d))"
                raise TypeFault("a pair is not a value", tree.span, hint=hint)
            case ast.ListLiteral():
                raise TypeFault(
                    "a list stands in a data declaration only", tree.span, hint="declare it: data y[3] = [1, 2, 3]"
                )

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


def _is_bound_to_number(term: Term) -> bool:
    """Whether a value is a name bound to a number (`G = 0`), which may grow into a tensor later."""
    node = term.node
    return isinstance(node, Number) or (isinstance(node, Alias) and isinstance(node.operands[0], Number))

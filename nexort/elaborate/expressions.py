"""Expressions to values: names, indices, width axes, brackets and calls (LANGUAGE §3 to §5, §7).

An `Evaluator` serves one statement.  `statics` and `widths` are the index names that may be read: those on the left of
the statement and those that an enclosing reduction or average binds.  `is_braced` tells whether vectors carry named
width axes here; inside brackets, `avg(…)`, `grad(…)` and on both sides of `@` they have axes of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from nexort.elaborate import algebra, functions, gradients, reductions
from nexort.elaborate.algebra import ENTRIES, Site
from nexort.elaborate.constants import integer_at
from nexort.elaborate.diagonals import diagonal
from nexort.elaborate.families import Variable
from nexort.elaborate.scope import REDUCTIONS, Array, Constant, Function, Local, Rule, Scope
from nexort.elaborate.values import Value, Width, noun
from nexort.errors import IndexFault, NameFault, TypeFault
from nexort.errors import Label as Mark
from nexort.graph.gradient import Tape
from nexort.graph.terms import Label, Place, Term, average_over, select, stop
from nexort.source import Span
from nexort.symbolic import FUNCTIONS, width_symbol
from nexort.syntax import ast

OptimizerCall = Callable[["Evaluator", Rule, ast.Call], Value]


@dataclass(slots=True)
class Tapes:
    """The tapes of the latest differentiated scalars: one loss has gradients in many parameters."""

    entries: dict[tuple[object, ...], Tape] = field(default_factory=dict)
    diagonals: dict[object, list[object]] = field(default_factory=dict)

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
                return tree.value
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
                return self._call(tree)
            case ast.Subscript():
                return self._subscript(tree)
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
    def unbraced(self) -> Iterator[None]:
        """Inside, vectors have width axes of their own."""
        before, self.is_braced = self.is_braced, False
        try:
            yield
        finally:
            self.is_braced = before

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
            for right, factor in zip(chain, chain[1:], strict=False):
                value = algebra.matmul(self.value(factor), value, self.site(tree, factor, right))
        return self.own_axes(value, tree)

    def _bracket(self, tree: ast.BraKet) -> Value:
        with self.unbraced():
            bra, ket = self.value(tree.bra), self.value(tree.ket)
            if tree.operator is not None:
                ket = algebra.matmul(self.value(tree.operator), ket, self.site(tree, tree.operator, tree.ket))
        return algebra.inner(bra, ket, self.site(tree, tree.bra, tree.ket))

    def _prime(self, tree: ast.Prime) -> Value:
        base, count = functions.strip_primes(tree)
        if isinstance(base, ast.Name) and base.id in FUNCTIONS and self.scope.find(base.id) is None:
            raise TypeFault(f"{tree.span.text} is a derivative: call it", tree.span, hint=f"write {tree.span.text}(x)")
        if isinstance(base, ast.Braces):
            raise TypeFault("the transpose stands before the braces", tree.span, hint="write T'{i,j}")
        with self.unbraced():
            value: Value = self.value(base)
            for _ in range(count):
                value = algebra.transpose(value, self.place(tree), tree.span)
        return self.own_axes(value, tree)

    # ------------------------------------------------------------- indices

    def _subscript(self, tree: ast.Subscript) -> Value:
        if not isinstance(tree.base, ast.Name):
            hint = "static indices stand on a name: h[a]"
            if isinstance(tree.base, ast.Prime):
                hint = "the transpose stands behind the index: A[l]'"
            elif isinstance(tree.base, ast.Call):
                hint = "name the value first, or take the gradient in the element: grad(s, p[k])"
            raise IndexFault("this cannot be indexed", tree.span, hint=hint)
        if tree.base.id in REDUCTIONS or (tree.base.id in FUNCTIONS and self.scope.find(tree.base.id) is None):
            raise TypeFault(f"'{tree.base.id}[…]' must be called", tree.span, hint=f"write {tree.base.id}[k](…)")
        entry = self.scope.get(tree.base)
        if isinstance(entry, Variable):
            return self.own_axes(entry.read(self.indices(tree, entry), self.place(tree)), tree)
        if isinstance(entry, Array):
            return self._data(tree, entry)
        raise IndexFault(f"'{tree.base.id}' is not a family", tree.span, Mark(entry.span, "bound here"))

    def _data(self, tree: ast.Subscript, entry: Array) -> Term:
        variable = Variable(entry.node.name, len(entry.node.type.shape), entry.span, shape=entry.node.type.shape)
        wanted = self.indices(tree, variable)
        names = tuple(("fixed", k) if isinstance(w, int) else w for k, w in enumerate(wanted))
        fixed = {k: w for k, w in enumerate(wanted) if isinstance(w, int)}
        return select(Term(entry.node, names), fixed, self.place(tree))

    def indices(self, tree: ast.Subscript, variable: Variable) -> tuple[Label | int, ...]:
        """The fixed numbers and labels in `name[…]`, checked against the family."""
        if len(tree.indices) != variable.axes:
            what = (
                f"{variable.axes} static ind{'ex' if variable.axes == 1 else 'ices'}"
                if variable.axes
                else "no static indices"
            )
            raise IndexFault(
                f"'{variable.name}' has {what}, and {len(tree.indices)} stand here",
                tree.span,
                Mark(variable.span, "bound here"),
            )
        wanted = [self.index(part) for part in tree.indices]
        pattern = tuple(w if isinstance(w, int) else None for w in wanted)
        for axis, (part, index) in enumerate(zip(tree.indices, wanted, strict=True)):
            if isinstance(index, int):
                self._check_range(variable, axis, index, part, pattern)
            else:
                self.agree(index, variable.extent(axis, pattern), part.span)
        return tuple(wanted)

    def _check_range(
        self, variable: Variable, axis: int, index: int, tree: ast.Expr, pattern: tuple[int | None, ...]
    ) -> None:
        if variable.shape is not None:
            size = variable.shape[axis]
            if not 0 <= index < size:
                raise IndexFault(
                    f"index {index} is outside 0..{size} of '{variable.name}'", tree.span, hint="indices count from 0"
                )
        elif index < 0:
            raise IndexFault(f"index {index} is negative", tree.span, hint="indices count from 0")
        else:
            sizes = [region for region in variable.regions if region.pattern[axis] is None]
            largest = max(
                (_axis_length(region.pattern, region.node.type.shape, axis) for region in sizes), default=None
            )
            if largest is not None and index >= largest and all(r.pattern[axis] != index for r in variable.regions):
                raise IndexFault(
                    f"index {index} is outside 0..{largest} of '{variable.name}'",
                    tree.span,
                    hint="indices count from 0",
                )

    def index(self, tree: ast.Expr) -> Label | int:
        """One static index: a compile-time integer, or the name of an index."""
        if isinstance(tree, ast.Name) and not self._is_value(tree.id):
            if tree.id not in self.statics:
                raise IndexFault(
                    f"the index '{tree.id}' is not bound",
                    tree.span,
                    hint=f"bring it to the left side, or reduce over it: sum[{tree.id}](…)",
                )
            return tree.id
        for name in names_in(tree):
            if name.id in self.statics and not self._is_value(name.id):
                raise IndexFault(
                    f"the index '{name.id}' must stand alone in the brackets",
                    tree.span,
                    hint="x[a + 1] is not possible for an index a",
                )
        return integer_at(tree, self.value, "an index")

    def is_constant(self, name: str) -> bool:
        """Whether a name in brackets is a number rather than an index."""
        return name in ("n", "pi") or isinstance(self.scope.find(name), Constant)

    def _is_value(self, name: str) -> bool:
        return name == "n" or name == "pi" or (self.scope.find(name) is not None and name not in self.statics)

    def agree(self, label: Label, size: int, span: Span) -> None:
        """An index has one range everywhere in a statement."""
        known = self.sizes.setdefault(label, (size, span))
        if known[0] != size:
            raise IndexFault(
                f"the index '{label}' ranges over {size} here and over {known[0]} elsewhere in the statement",
                span,
                Mark(known[1], f"over {known[0]} here"),
                hint="an index has one range in a statement: use another name",
            )

    def bind_names(self, names: Iterable[ast.Name], bound: set[str]) -> None:
        """Check names that a statement, a reduction or an average binds, and add them to `bound`."""
        for name in names:
            entry = self.scope.find(name.id)
            if name.id in self.statics or name.id in self.widths:
                raise NameFault(
                    f"the index '{name.id}' is bound already", name.span, hint="use another name for the inner index"
                )
            if entry is not None or name.id in ("n", "pi"):
                marks = [Mark(entry.span, "bound here")] if entry is not None else []
                raise NameFault(
                    f"'{name.id}' names a value, so it cannot be an index", name.span, *marks, hint="use another name"
                )
            bound.add(name.id)

    # ---------------------------------------------------------- width axes

    def _braces(self, tree: ast.Braces) -> Value:
        with self.unbraced():
            value = self.value(tree.base)
        if isinstance(value, Term) and value.is_operator:
            raise TypeFault("an operator takes no braces", tree.span, hint=ENTRIES)
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
        labels = tuple(self.width_label(part) for part in tree.indices)
        if len(set(labels)) < len(labels):
            return diagonal(value, labels, self.place(tree), self.tapes.diagonals)
        return Term(value.node, value.static, labels)

    def width_label(self, tree: ast.Expr) -> str:
        if not isinstance(tree, ast.Name):
            raise IndexFault(
                "a width axis is named, not numbered", tree.span, hint="write x{i}; single neurons have no limit"
            )
        if self.scope.find(tree.id) is not None or tree.id in ("n", "pi"):
            raise IndexFault(
                f"'{tree.id}' names a value, so it cannot name a width axis", tree.span, hint="use another name"
            )
        if tree.id not in self.widths:
            raise IndexFault(
                f"the width index '{tree.id}' is not bound",
                tree.span,
                hint=f"bring it to the left side, as in y{{{tree.id}}} = …, or average: avg{{{tree.id}}}(…)",
            )
        return tree.id

    # --------------------------------------------------------------- calls

    def _call(self, tree: ast.Call) -> Value:
        match tree.function:
            case ast.Subscript(base=ast.Name(id="sum" | "mean" | "max")):
                return reductions.over_static(self, tree, tree.function)
            case ast.Braces(base=ast.Name(id="avg")):
                return reductions.over_width(self, tree, tree.function)
            case ast.Name() as name:
                return self._call_name(tree, name)
            case ast.Prime():
                base, count = functions.strip_primes(tree.function)
                if isinstance(base, ast.Name):
                    fn = functions.find_function(self.scope, base, len(tree.arguments), tree)
                    return self._apply(functions.derivative(fn, count), tree)
            case _:
                pass
        hint = (
            "apply an operator with @"
            if isinstance(tree.function, ast.Prime)
            else "only functions are called; a product needs *"
        )
        raise TypeFault(f"'{tree.function.span.text}' is not a function", tree.function.span, hint=hint)

    def _call_name(self, tree: ast.Call, name: ast.Name) -> Value:
        match name.id:
            case "avg":
                return self._average(tree)
            case "sum" | "mean":
                hint = f"write {name.id}[k](…) with the index to reduce over; avg(x) averages over the width"
                raise IndexFault(f"{name.id} needs an index", tree.span, hint=hint)
            case "grad":
                return gradients.evaluate_grad(self, tree)
            case "stop":
                (argument,) = self.arguments(tree, 1)
                value = self.value(argument)
                return (
                    stop(value, self.place(tree))
                    if isinstance(value, Term) and not value.is_operator
                    else self._stop(value, tree)
                )
            case "rms" | "row_mean" | "col_mean":
                return reductions.in_optimizer(self, tree, name.id)
            case "where":
                return self._where(tree)
            case _:
                entry = self.scope.find(name.id) if name.id not in FUNCTIONS else None
                if isinstance(entry, Rule):
                    return self._optimizer(tree, entry)
                if isinstance(entry, Variable | Array | Constant):
                    raise TypeFault(
                        f"'{name.id}' is not a function", name.span, hint="a product needs *, an operator @"
                    )
                return self._apply(functions.find_function(self.scope, name, len(tree.arguments), tree), tree)

    def _stop(self, value: Value, tree: ast.Call) -> Value:
        if isinstance(value, Term):
            raise TypeFault(
                "stop of an operator is not defined", tree.span, hint="stop the vectors that it is applied to"
            )
        return value

    def _optimizer(self, tree: ast.Call, rule: Rule) -> Value:
        if self.call_optimizer is None:
            raise TypeFault(
                "an optimizer is called in the update of a parameter",
                tree.span,
                hint="for example W -= eta * adam(grad(loss, W))",
            )
        return self.call_optimizer(self, rule, tree)

    def arguments(self, tree: ast.Call, count: int) -> Sequence[ast.Expr]:
        functions.check_call(tree, tree.function.span.text, len(tree.arguments), count, count)
        return tree.arguments

    def _average(self, tree: ast.Call) -> Value:
        (argument,) = self.arguments(tree, 1)
        with self.unbraced():
            value = self.value(argument)
        if isinstance(value, Term) and value.is_operator:
            raise TypeFault("an operator has no average", tree.span, hint=ENTRIES)
        if not isinstance(value, Term) or value.order == 0:
            hint = "avg averages over the width; sum[k](…) and mean[k](…) reduce static indices"
            raise TypeFault(f"avg of a {noun(value)}", argument.span, hint=hint)
        return average_over(value, value.width, self.place(tree))

    def _where(self, tree: ast.Call) -> Value:
        functions.check_call(tree, "where", len(tree.arguments), 3, 3)
        comparator, left, right = functions.comparison(tree.arguments[0])
        return self._entrywise(functions.where(comparator), (left, right, *tree.arguments[1:]), tree)

    def _apply(self, fn: functions.Fn, tree: ast.Call) -> Value:
        return self._entrywise(fn, tree.arguments, tree)

    def _entrywise(self, fn: functions.Fn, trees: Sequence[ast.Expr], tree: ast.Call) -> Value:
        values = [self.value(part) for part in trees]
        for value, part in zip(values, trees, strict=True):
            if isinstance(value, Term) and value.is_operator:
                raise TypeFault("an entrywise function of an operator is not defined", part.span, hint=ENTRIES)
        self._check_orders(values, trees, tree)
        return functions.apply(fn, values, self.place(tree), [part.span for part in trees])

    def _check_orders(self, values: Sequence[Value], trees: Sequence[ast.Expr], tree: ast.Call) -> None:
        terms = [
            (value, part) for value, part in zip(values, trees, strict=True) if isinstance(value, Term) and value.order
        ]
        for (first, left), (second, right) in zip(terms, terms[1:], strict=False):
            algebra.check_orders(first, second, self.site(tree, left, right))


def _axis_length(pattern: Sequence[int | None], shape: Sequence[int], axis: int) -> int:
    return shape[sum(index is None for index in pattern[:axis])]


def names_in(tree: ast.Expr) -> Iterator[ast.Name]:
    """The names of an arithmetic expression."""
    match tree:
        case ast.Name():
            yield tree
        case ast.Paren():
            yield from names_in(tree.body)
        case ast.Unary():
            yield from names_in(tree.operand)
        case ast.Binary() | ast.Logical():
            yield from names_in(tree.left)
            yield from names_in(tree.right)
        case ast.Call():
            for part in tree.arguments:
                yield from names_in(part)
        case _:
            return


def has_braces(tree: ast.Expr) -> bool:
    """Whether vectors carry named axes in this expression (not inside what has axes of its own)."""
    match tree:
        case ast.Braces():
            return True
        case ast.Paren():
            return has_braces(tree.body)
        case ast.Unary():
            return has_braces(tree.operand)
        case ast.Binary(operator="@") | ast.BraKet() | ast.KetBra():
            return False
        case ast.Binary() | ast.Logical():
            return has_braces(tree.left) or has_braces(tree.right)
        case ast.Compare():
            return has_braces(tree.first) or any(has_braces(part) for _, part in tree.rest)
        case ast.Call(function=ast.Name(id="avg" | "grad")):
            return False
        case ast.Call():
            return has_braces(tree.function) or any(has_braces(part) for part in tree.arguments)
        case _:
            return False

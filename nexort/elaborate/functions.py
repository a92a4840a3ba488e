"""Entrywise functions: calls of built-in ones and of `def`s, their derivatives, and the bodies of `def`s."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from nexort.elaborate.scope import BUILTINS, Constant, Function, Scope
from nexort.elaborate.values import Value, Width, check_finite, to_term
from nexort.errors import NameFault, NexortError, SizeFault, TypeFault
from nexort.graph.terms import Place, combine
from nexort.source import Span
from nexort.symbolic import (
    FUNCTIONS,
    PI,
    Fn,
    apply_fn,
    argument,
    call,
    evaluate_number,
    number,
    raise_power,
    where_expr,
)
from nexort.syntax import ast

MAX_PRIMES = 6
MAX_ARGUMENTS = 50
MAX_OPERATIONS = 2000
"""Of a function, the functions that it calls written out."""


@cache
def builtin(name: str, arity: int) -> Fn:
    """The function `name` of the language with this number of arguments."""
    return Fn.of(call(name, [argument(k) for k in range(arity)]), arity)


def derivative(fn: Fn, count: int, span: Span) -> Fn:
    """The `count`-th derivative in the first argument."""
    if count > MAX_PRIMES:
        raise SizeFault(f"a derivative of order {count} is over the bound of {MAX_PRIMES}", span)
    for _ in range(count):
        fn = fn.derivative(0)
        _check_size(fn.expr, {}, span)
    return fn


def _check_size(expr: Any, sizes: Mapping[Any, int], span: Span) -> None:
    """Refuse an expression that would be too long once its arguments have the lengths `sizes`."""
    if _size(expr, sizes) > MAX_OPERATIONS:
        raise SizeFault(
            f"this function has more than {MAX_OPERATIONS} operations, the functions that it calls written out",
            span,
            hint="name intermediate values in the program instead",
        )


def _size(expr: Any, sizes: Mapping[Any, int]) -> int:
    total, pending = 0, [expr]
    while pending and total <= MAX_OPERATIONS:
        part = pending.pop()
        total += sizes.get(part, 1)
        pending.extend(part.args)
    return total


def strip_primes(tree: ast.Expr) -> tuple[ast.Expr, int]:
    """What stands before `'`, and how many there are."""
    count = 0
    while isinstance(tree, ast.Prime):
        tree, count = tree.base, count + 1
    return tree, count


def check_call(tree: ast.Call, name: str, arity: int, least: int, most: int | None) -> None:
    if tree.keywords:
        raise TypeFault(f"{name} takes no named arguments", tree.keywords[0].span, hint="give the arguments by place")
    most = MAX_ARGUMENTS if most is None else most
    if arity < least or arity > most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise TypeFault(
            f"{name} takes {wanted} argument{'s' if wanted != '1' else ''}, and this call has {arity}", tree.span
        )


def arguments(tree: ast.Call, count: int) -> Sequence[ast.Expr]:
    """The arguments of a call that takes `count`."""
    check_call(tree, tree.function.span.text, len(tree.arguments), count, count)
    return tree.arguments


def find_function(scope: Scope, tree: ast.Name, arity: int, at: ast.Call) -> Fn:
    """The function that a name calls."""
    info = FUNCTIONS.get(tree.id)
    if info is not None:
        check_call(at, tree.id, arity, info.least, info.most)
        return builtin(tree.id, arity)
    entry = scope.get(tree)
    if not isinstance(entry, Function):
        raise TypeFault(f"'{tree.id}' is not a function", tree.span, hint="functions are built in or made with def")
    check_call(at, tree.id, arity, entry.fn.arity, entry.fn.arity)
    return entry.fn


def apply(fn: Fn, values: Sequence[Value], place: Place, spans: Sequence[Span]) -> Value:
    """fn(values), entry by entry; of numbers a number."""
    if all(isinstance(value, int | float) for value in values):
        numbers = [float(value) for value in values if isinstance(value, int | float)]
        return check_finite(evaluate_number(fn, numbers), place.span or spans[0])
    if not any(not isinstance(value, int | float | Width) for value in values):
        parts = [
            v.expression if isinstance(v, Width) else number(v) for v in values if isinstance(v, int | float | Width)
        ]
        return Width(apply_fn(fn, parts))
    terms = [to_term(value, Place(span, place.passes)) for value, span in zip(values, spans, strict=True)]
    return combine(fn, terms, place)


def comparison(tree: ast.Expr) -> tuple[ast.Comparator, ast.Expr, ast.Expr]:
    """The comparison that `where` takes."""
    inner = tree
    while isinstance(inner, ast.Paren):
        inner = inner.body
    if isinstance(inner, ast.Compare) and len(inner.rest) == 1:
        (comparator, right), *_ = inner.rest
        return comparator, inner.first, right
    raise TypeFault(
        "where takes one comparison as its first argument", tree.span, hint="for example where(x > 0, a, b)"
    )


@dataclass(slots=True)
class Body:
    """Reads the body of a `def` as an expression in its arguments."""

    scope: Scope
    tree: ast.Def

    def read(self) -> Fn:
        names = [name.id for name in self.tree.arguments]
        for name in self.tree.arguments:
            if names.count(name.id) > 1:
                raise NameFault(f"the argument '{name.id}' occurs twice", name.span, hint="name each argument once")
            if name.id in BUILTINS:
                raise NameFault(
                    f"'{name.id}' is built in and cannot be an argument", name.span, hint="choose another name"
                )
        arguments = {name: argument(k) for k, name in enumerate(names)}
        body = self._expr(self.tree.body, arguments)
        _check_size(body, {}, self.tree.body.span)
        return Fn.of(body, len(names))

    def _expr(self, tree: ast.Expr, arguments: dict[str, Any]) -> Any:
        read: Callable[[ast.Expr], Any] = lambda inner: self._expr(inner, arguments)  # noqa: E731
        match tree:
            case ast.Number():
                return number(tree.value)
            case ast.Paren():
                return read(tree.body)
            case ast.Name():
                return self._name(tree, arguments)
            case ast.Unary(operator="-"):
                return -read(tree.operand)
            case ast.Unary(operator="+"):
                return read(tree.operand)
            case ast.Binary(operator="+" | "-" | "*" | "/" | "^"):
                return _arithmetic(tree.operator, read(tree.left), read(tree.right))
            case ast.Call():
                return self._call(tree, read)
            case _:
                raise self._refused(tree)

    def _name(self, tree: ast.Name, arguments: dict[str, Any]) -> Any:
        if tree.id in arguments:
            return arguments[tree.id]
        if tree.id == "pi":
            return PI
        if tree.id == "n":
            raise self._refused(tree)
        if tree.id in FUNCTIONS:
            raise TypeFault(f"'{tree.id}' is a function: call it", tree.span)
        entry = self.scope.get(tree)
        if isinstance(entry, Constant) and entry.origin == "param":
            return number(entry.value)
        raise self._refused(tree)

    def _call(self, tree: ast.Call, read: Callable[[ast.Expr], Any]) -> Any:
        function, primes = strip_primes(tree.function)
        if not isinstance(function, ast.Name):
            raise self._refused(tree)
        if function.id == self.tree.name.id:
            raise NameFault(
                f"'{function.id}' calls itself", function.span, hint="a def uses functions above it only: no recursion"
            )
        if function.id == "where" and not primes and tree.arguments:
            check_call(tree, "where", len(tree.arguments), 3, 3)
            comparator, left, right = comparison(tree.arguments[0])
            return where_expr(comparator, *(read(part) for part in (left, right, *tree.arguments[1:])))
        if function.id in BUILTINS and function.id not in FUNCTIONS:
            raise self._refused(tree)
        fn = find_function(self.scope, function, len(tree.arguments), tree)
        fn = derivative(fn, primes, tree.function.span)
        values = [read(part) for part in tree.arguments]
        _check_size(fn.expr, {argument(k): _size(value, {}) for k, value in enumerate(values)}, tree.span)
        return apply_fn(fn, values)

    def _refused(self, tree: ast.Expr) -> NexortError:
        return TypeFault(
            "this cannot stand in a def",
            tree.span,
            hint="a def uses its arguments, params, numbers and functions above it only: it is entrywise, "
            "so no avg, @, <…|…>, indices, or values of the program",
        )


def _arithmetic(operator: str, left: Any, right: Any) -> Any:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case _:
            return raise_power(left, right)

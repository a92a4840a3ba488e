"""Entrywise functions as interned objects."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any, ClassVar

import sympy
from sympy import Expr

from nexort.symbolic.calculus import argument, differentiate, normalized, substitute
from nexort.symbolic.constants import number, raise_power
from nexort.symbolic.functions import FUNCTIONS, call, where_expr
from nexort.symbolic.jumps import has_jump_at_zero
from nexort.symbolic.kernel import Kernel
from nexort.symbolic.lowering import lower_expression
from nexort.symbolic.show import show_expression
from nexort.symbolic.walk import symbols_of, tree_size

LONGEST_TEXT = 1000  # nodes


class Fn:
    """x_0, …, x_{k-1} ↦ expr, a function of k = `arity` real arguments; equal ones are the same object."""

    arity: int
    expr: Expr
    _interned: ClassVar[dict[tuple[Expr, int], Fn]] = {}

    def __init__(self) -> None:
        raise TypeError("use Fn.of")

    @staticmethod
    def of(expr: Expr, arity: int) -> Fn:
        """The function with this body in `argument(0)` … `argument(arity - 1)`."""
        known = Fn._interned.get((expr, arity))
        if known is not None:
            return known
        body = normalized(expr)
        fn = Fn._interned.get((body, arity))
        if fn is None:
            fn = object.__new__(Fn)
            fn.__dict__.update(arity=arity, expr=body)
            fn = Fn._interned.setdefault((body, arity), fn)
        return Fn._interned.setdefault((expr, arity), fn)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Fn is immutable")

    def __reduce__(self) -> Any:
        return Fn.of, (self.expr, self.arity)

    def __repr__(self) -> str:
        return f"Fn({self.key})"

    @cached_property
    def key(self) -> str:
        """Stable text, equal for equal functions only; a digest where the text would be long."""
        names = {argument(k): f"a{k}" for k in range(self.arity)}
        if tree_size(self.expr) <= LONGEST_TEXT:
            body = show_expression(self.expr, names)
        else:
            body = hashlib.sha256(repr(lower_expression(self.expr, self.arity)).encode()).hexdigest()
        return f"({', '.join(names.values())}) -> {body}"

    @cached_property
    def used(self) -> frozenset[int]:
        """The arguments that occur."""
        symbols = symbols_of(self.expr)
        return frozenset(k for k in range(self.arity) if argument(k) in symbols)

    @property
    def is_zero(self) -> bool:
        return self.expr is sympy.S.Zero

    @property
    def is_constant(self) -> bool:
        return not self.used

    def depends_on(self, k: int) -> bool:
        return k in self.used

    def derivative(self, k: int) -> Fn:
        """∂/∂x_k almost everywhere, a function of the same arguments."""
        return _derivative(self, k)

    def jumps_at_zero(self, k: int) -> bool:
        """Whether the function jumps or has a pole where argument k is 0, the others being generic."""
        return _jumps_at_zero(self, k)


@cache
def _derivative(fn: Fn, k: int) -> Fn:
    return Fn.of(differentiate(fn.expr, argument(k)), fn.arity)


@cache
def _jumps_at_zero(fn: Fn, k: int) -> bool:
    return has_jump_at_zero(fn.expr, fn.arity, k)


@cache
def kernel(fn: Fn) -> Kernel:
    """The compiled function."""
    return Kernel(lower_expression(fn.expr, fn.arity))


def evaluate_number(fn: Fn, values: Sequence[float]) -> float:
    """f(values) in double precision, possibly nan or infinite."""
    return kernel(fn).number(values)


def apply_fn(fn: Fn, args: Sequence[Expr]) -> Expr:
    """The body with all arguments replaced at once."""
    if len(args) != fn.arity:
        raise ValueError(f"{fn!r} takes {fn.arity} arguments, got {len(args)}")
    return substitute(fn.expr, {argument(k): value for k, value in enumerate(args)})


@cache
def primitive(name: str, arity: int | None = None) -> Fn:
    """An arithmetic operation or a function of the language, at its least number of arguments unless given."""
    x, y = argument(0), argument(1)
    match name:
        case "identity":
            return Fn.of(x, 1)
        case "neg":
            return Fn.of(-x, 1)
        case "add":
            return Fn.of(x + y, 2)
        case "sub":
            return Fn.of(x - y, 2)
        case "mul":
            return Fn.of(x * y, 2)
        case "div":
            return Fn.of(x / y, 2)
        case "pow":
            return Fn.of(raise_power(x, y), 2)
        case "where":
            raise ValueError("where takes a comparison: use comparison_where")
        case _:
            count = FUNCTIONS[name].least if arity is None else arity
            return Fn.of(call(name, [argument(k) for k in range(count)]), count)


@cache
def power(exponent: int | float) -> Fn:
    """x ↦ x^exponent."""
    return Fn.of(raise_power(argument(0), number(exponent)), 1)


@cache
def comparison_where(comparator: str) -> Fn:
    """(l, r, a, b) ↦ a where `l comparator r`, else b; comparators < <= > >= == !=."""
    return Fn.of(where_expr(comparator, *(argument(k) for k in range(4))), 4)

"""One sympy class per entrywise function, made from one `Rule`.

sympy's own heads bring their own conventions (`Heaviside(0)`, `DiracDelta`, `Derivative`, rewriting at construction);
ours are inert: real, folded on numbers, and differentiated almost everywhere by the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, cast

import sympy
from sympy import Expr

from nexort.symbolic.constants import ZERO, leaf_value, number
from nexort.symbolic.operations import Operation, apply_to_numbers

Build: TypeAlias = Callable[..., Expr]
BuildMany: TypeAlias = Callable[..., Sequence[Expr]]


def _nowhere(*_: Expr) -> Sequence[Expr]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """All that is particular to one entrywise function f(x_1, …, x_k).

    name       its name in programs (an internal name for those that programs cannot write)
    partials   (x_1, …, x_k) -> (∂f/∂x_1, …, ∂f/∂x_k), almost everywhere, with the values at kinks
    tangent    (x…, dx…) -> df, where Σ ∂f/∂x_i dx_i would multiply 0 by infinity
    operation  the register operation, or
    lowered    (x…) -> an expression in other functions that computes f stably, when there is none
    singular   (x…) -> expressions at whose zeros f jumps or has a pole
    classical  (x…) -> f in sympy's own functions and comparisons, for limits and formulas
    shown      (x…) -> f in functions that a program can write, for internal ones
    instead    (x…) -> the expression that stands for a call, for names that need no class
    defaults   values of the last arguments, when left out
    nests      f(x, y, z) means f(f(x, y), z)
    """

    name: str
    doc: str = ""
    arity: int = 1
    partials: BuildMany = _nowhere
    tangent: Build | None = None
    operation: Operation | None = None
    lowered: Build | None = None
    singular: BuildMany = _nowhere
    classical: Build | None = None
    shown: Build | None = None
    instead: Build | None = None
    defaults: tuple[Expr, ...] = ()
    nests: bool = False


class Entrywise(sympy.Function):  # pyright: ignore[reportUntypedBaseClass]
    """An entrywise function of real arguments; subclasses carry the rule."""

    rule: ClassVar[Rule]
    is_real = True

    @classmethod
    def eval(cls, *args: Any) -> Any:
        if all(argument.is_Number for argument in args):
            return _folded(cls.rule, args)
        return None

    @classmethod
    def _should_evalf(cls, arg: Any) -> int:
        return -1

    def fdiff(self, argindex: int = 1) -> Any:
        return self.rule.partials(*self.args)[argindex - 1]

    def __reduce__(self) -> Any:
        return make_head, (self.rule.name, *self.args)


_HEADS: dict[str, type[Entrywise]] = {}


def define_head(rule: Rule) -> type[Entrywise]:
    """The class of a rule; one per name."""
    if rule.name in _HEADS:
        raise ValueError(f"two rules for {rule.name}")
    head = type(f"Entry_{rule.name}", (Entrywise,), {"rule": rule, "nargs": rule.arity, "__module__": __name__})
    _HEADS[rule.name] = head
    return head


def make_head(name: str, *args: Expr) -> Expr:
    """The function `name` applied to expressions."""
    return cast(Expr, _HEADS[name](*args))


def _folded(rule: Rule, args: Sequence[Expr]) -> Expr | None:
    """The value on numbers: a double if one of them is, else only what is exact (0, 1, -1, ± an argument)."""
    if rule.operation is None:
        result = rule.lowered(*args) if rule.lowered else None
        return result if result is not None and result.is_Number else None
    values = [value for argument in args if (value := leaf_value(argument)) is not None]
    result = number(apply_to_numbers(rule.operation, values))
    if any(argument.is_Float or not argument.is_finite for argument in args):
        return result
    if result.is_Integer and abs(result) <= 1:
        return result
    for argument, value in zip(args, values, strict=True):
        if number(value) == result:
            return argument
        if number(-value) == result:
            return -argument
    return ZERO if result.is_zero else None

"""Where entrywise functions jump or have poles.

A subexpression is suspected when one of its singular expressions (`x` of sign(x), `b` of 1/b, `l - r` of a comparison)
vanishes as argument k is 0 with the others generic.  A suspect function is acquitted when its values near 0 approach
the value at 0: x * sign(x) and where(x > 0, x, 0) are continuous.
"""

from __future__ import annotations

import math
from typing import Final

import sympy
from sympy import Expr

from nexort.symbolic.calculus import argument
from nexort.symbolic.heads import Entrywise
from nexort.symbolic.kernel import Kernel
from nexort.symbolic.lowering import lower_expression
from nexort.symbolic.walk import parts, subexpressions, symbols_of

# Generic points: the other arguments take these values, shifted by their index; irrational, of both signs.
GENERIC: Final = (0.7390851332, -1.3247179572, 2.2360679775, 0.3183098862)
NEAR, NEARER, TINY = 1e-4, 1e-12, 1e-12


def has_jump_at_zero(expr: Expr, arity: int, k: int) -> bool:
    """Whether a function of `arity` arguments jumps or has a pole where argument k is 0, the others being generic."""
    loci = [locus for locus in _singular_loci(expr) if argument(k) in symbols_of(locus)]
    if not any(_vanishes(_kernel(locus, arity), k) for locus in loci):
        return False
    function = _kernel(expr, arity)
    return not all(_is_continuous(function, k, shift) for shift in range(len(GENERIC)))


def _kernel(expr: Expr, arity: int) -> Kernel:
    return Kernel(lower_expression(expr, arity))


def _singular_loci(expr: Expr) -> set[Expr]:
    loci: set[Expr] = set()
    for node in subexpressions(expr):
        if isinstance(node, Entrywise):
            loci.update(node.rule.singular(*parts(node)))
        elif isinstance(node, sympy.Pow) and not parts(node)[1].is_nonnegative:
            loci.add(parts(node)[0])
    return loci


def _vanishes(locus: Kernel, k: int) -> bool:
    values = [locus.number(_point(locus.arity, k, 0.0, shift)) for shift in range(len(GENERIC))]
    return any(not abs(value) > TINY for value in values)


def _point(arity: int, k: int, value: float, shift: int) -> list[float]:
    others = [GENERIC[(index + shift) % len(GENERIC)] + 0.1 * index for index in range(arity)]
    return [value if index == k else other for index, other in enumerate(others)]


def _is_continuous(function: Kernel, k: int, shift: int) -> bool:
    """|f(h) - f(0)| shrinks with h like a positive power; a side where f is not real is not looked at."""

    def at(h: float) -> float:
        return function.number(_point(function.arity, k, h, shift))

    centre = at(0.0)
    sides = [(at(sign * NEAR), at(sign * NEARER)) for sign in (1.0, -1.0)]
    real = [side for side in sides if not any(map(math.isnan, side))]
    if not real:
        return math.isnan(centre)
    if not math.isfinite(centre):
        return False
    rounding = 1e-13 * max(1.0, abs(centre))
    return all(abs(nearer - centre) <= 0.01 * abs(near - centre) + rounding for near, nearer in real)

"""Where entrywise functions jump or have poles.

A subexpression is suspected when one of its singular expressions (`x` of sign(x), `b` of 1/b, `l - r` of a comparison)
vanishes as argument k is 0 with the others generic.  A suspect function is acquitted when its values near 0 approach
the value at 0: x * sign(x) and where(x > 0, x, 0) are continuous.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

import sympy
from sympy import Expr

from nexort.symbolic.calculus import argument
from nexort.symbolic.fn import Fn, evaluate_number
from nexort.symbolic.heads import Entrywise
from nexort.symbolic.walk import parts, subexpressions, symbols_of

# Generic points: the other arguments take these values, shifted by their index; irrational, of both signs.
GENERIC: Final = (0.7390851332, -1.3247179572, 2.2360679775, 0.3183098862)
NEAR, NEARER = 1e-4, 1e-12


@cache
def jumps_at_zero(fn: Fn, k: int) -> bool:
    """Whether fn jumps or has a pole where argument k is 0, the others being generic."""
    if not fn.depends_on(k) or not any(_vanishes(locus, fn.arity, k) for locus in _singular_loci(fn.expr)):
        return False
    return not all(_is_continuous(fn, k, shift) for shift in range(len(GENERIC)))


def _singular_loci(expr: Expr) -> set[Expr]:
    loci: set[Expr] = set()
    for node in subexpressions(expr):
        if isinstance(node, Entrywise):
            loci.update(node.rule.singular(*parts(node)))
        elif isinstance(node, sympy.Pow) and not parts(node)[1].is_nonnegative:
            loci.add(parts(node)[0])
    return loci


def _vanishes(locus: Expr, arity: int, k: int) -> bool:
    if argument(k) not in symbols_of(locus):
        return False
    fn = Fn.of(locus, arity)
    values = [evaluate_number(fn, _point(fn, k, 0.0, shift)) for shift in range(len(GENERIC))]
    return any(not abs(value) > 1e-12 for value in values)


def _point(fn: Fn, k: int, value: float, shift: int) -> list[float]:
    others = [GENERIC[(index + shift) % len(GENERIC)] + 0.1 * index for index in range(fn.arity)]
    return [value if index == k else other for index, other in enumerate(others)]


def _is_continuous(fn: Fn, k: int, shift: int) -> bool:
    """|f(h) - f(0)| shrinks with h like a positive power; a side where f is not real is not looked at."""
    centre = evaluate_number(fn, _point(fn, k, 0.0, shift))
    sides = [tuple(evaluate_number(fn, _point(fn, k, sign * h, shift)) for h in (NEAR, NEARER)) for sign in (1.0, -1.0)]
    real = [side for side in sides if not any(map(math.isnan, side))]
    if not real:
        return math.isnan(centre)
    if not math.isfinite(centre):
        return False
    tiny = 1e-13 * max(1.0, abs(centre))
    return all(abs(nearer - centre) <= 0.01 * abs(near - centre) + tiny for near, nearer in real)

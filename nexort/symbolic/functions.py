"""The table of entrywise functions: one entry per function, and the expressions built from them.

Values at kinks are those of PyTorch: step(0) = sign(0) = 0, relu' = step, abs' = sign, step' = sign' = 0,
leaky_relu'(0) the slope, 1/2 to each at a tie of max and min, 1 at the ends of clip, the chosen branch of where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import sympy
from sympy import Expr

from nexort.symbolic.constants import HALF, ONE, PI, ZERO, number, raise_power
from nexort.symbolic.heads import Rule, define_head, make_head
from nexort.symbolic.operations import COMPARISONS

TWO: Expr = sympy.Integer(2)


def where_expr(comparator: str, left: Expr, right: Expr, chosen: Expr, other: Expr) -> Expr:
    """`where(left comparator right, chosen, other)`."""
    return chosen if chosen == other else make_head(f"where{comparator}", left, right, chosen, other)


def _if_positive(x: Expr, chosen: Expr, other: Expr) -> Expr:
    return where_expr(">", x, ZERO, chosen, other)


def _gaussian(x: Expr) -> Expr:
    """The N(0, 1) density."""
    return make_head("exp", -(x**2) / 2) / raise_power(2 * PI, HALF)


def _logistic_slope(x: Expr) -> Expr:
    s = make_head("sigmoid", x)
    return s * (1 - s)


def _clip_slopes(x: Expr, low: Expr, high: Expr) -> Sequence[Expr]:
    """Of min(max(x, low), high): where low > high, it is high."""
    inside = where_expr(">=", x, low, where_expr("<=", x, high, ONE, ZERO), ZERO)
    is_ordered = where_expr("<=", low, high, ONE, ZERO)
    return inside, where_expr("<", x, low, is_ordered, ZERO), where_expr(">", x, high, ONE, 1 - is_ordered)


def _leaky_lowered(x: Expr, slope: Expr) -> Expr:
    if slope.is_Number and 0 <= slope <= 1:
        return make_head("max", x, slope * x)
    return _if_positive(x, x, slope * x)


def _where_rule(comparator: str) -> Rule:
    def partials(l: Expr, r: Expr, *_: Expr) -> Sequence[Expr]:  # noqa: E741
        return ZERO, ZERO, where_expr(comparator, l, r, ONE, ZERO), where_expr(comparator, l, r, ZERO, ONE)

    def tangent(l: Expr, r: Expr, _a: Expr, _b: Expr, _dl: Expr, _dr: Expr, da: Expr, db: Expr) -> Expr:  # noqa: E741
        return where_expr(comparator, l, r, da, db)

    return Rule(
        name=f"where{comparator}",
        arity=4,
        partials=partials,
        tangent=tangent,
        singular=lambda l, r, a, b: (l - r,),  # noqa: E741
    )


RULES: tuple[Rule, ...] = (
    Rule(
        name="relu",
        doc="max(x, 0)",
        partials=lambda x: (make_head("step", x),),
        lowered=lambda x: make_head("max", x, ZERO),
        classical=lambda x: _if_positive(x, x, ZERO),
    ),
    Rule(
        name="step",
        doc="1 if x > 0, else 0",
        partials=lambda x: (ZERO,),
        operation="step",
        singular=lambda x: (x,),
        classical=lambda x: _if_positive(x, ONE, ZERO),
    ),
    Rule(
        name="sign",
        doc="1, 0 or -1, the sign of x",
        partials=lambda x: (ZERO,),
        operation="sign",
        singular=lambda x: (x,),
        classical=lambda x: _if_positive(x, ONE, where_expr("<", x, ZERO, -ONE, ZERO)),
    ),
    Rule(
        name="abs",
        doc="the absolute value of x",
        partials=lambda x: (make_head("sign", x),),
        operation="absolute",
        classical=lambda x: _if_positive(x, x, -x),
    ),
    Rule(
        name="tanh",
        doc="the hyperbolic tangent of x",
        partials=lambda x: (1 - make_head("tanh", x) ** 2,),
        operation="tanh",
        classical=sympy.tanh,
    ),
    Rule(
        name="sigmoid",
        doc="1 / (1 + exp(-x))",
        partials=lambda x: (_logistic_slope(x),),
        lowered=lambda x: 1 / (1 + make_head("exp", -x)),  # exp(-x) = inf gives 0, as it should
        classical=lambda x: 1 / (1 + sympy.exp(-x)),
    ),
    Rule(
        name="erf",
        doc="the error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x",
        partials=lambda x: (2 * make_head("exp", -(x**2)) / raise_power(PI, HALF),),
        operation="erf",
        classical=sympy.erf,
    ),
    Rule(
        name="normal_cdf",
        partials=lambda x: (_gaussian(x),),
        operation="normal_cdf",
        classical=lambda x: (1 + sympy.erf(x / sympy.sqrt(2))) / 2,
        shown=lambda x: (1 + make_head("erf", x / raise_power(TWO, HALF))) / 2,
    ),
    Rule(
        name="gelu",
        doc="x times the N(0, 1) distribution function of x (the exact gelu)",
        partials=lambda x: (make_head("normal_cdf", x) + x * _gaussian(x),),
        lowered=lambda x: x * make_head("normal_cdf", x),
    ),
    Rule(
        name="silu",
        doc="x * sigmoid(x)",
        partials=lambda x: (make_head("sigmoid", x) + x * _logistic_slope(x),),
        lowered=lambda x: x / (1 + make_head("exp", -x)),
    ),
    Rule(
        name="softplus",
        doc="log(1 + exp(x))",
        partials=lambda x: (make_head("sigmoid", x),),
        lowered=lambda x: make_head("max", x, ZERO) + make_head("log1p", make_head("exp", -make_head("abs", x))),
        classical=lambda x: sympy.log(1 + sympy.exp(x)),
    ),
    Rule(
        name="leaky_relu",
        doc="x if x > 0, else slope * x; the slope is 0.01 if left out",
        arity=2,
        defaults=(number(0.01),),
        partials=lambda x, slope: (_if_positive(x, ONE, slope), _if_positive(x, ZERO, x)),
        lowered=_leaky_lowered,
        classical=lambda x, slope: _if_positive(x, x, slope * x),
    ),
    Rule(
        name="exp",
        doc="the exponential of x",
        partials=lambda x: (make_head("exp", x),),
        operation="exp",
        classical=sympy.exp,
    ),
    Rule(
        name="log",
        doc="the natural logarithm of x",
        partials=lambda x: (1 / x,),
        operation="log",
        singular=lambda x: (x,),
        classical=sympy.log,
    ),
    Rule(
        name="log1p",
        partials=lambda x: (1 / (1 + x),),
        operation="log1p",
        singular=lambda x: (1 + x,),
        classical=lambda x: sympy.log(1 + x),
        shown=lambda x: make_head("log", 1 + x),
    ),
    Rule(name="sqrt", doc="the square root of x", instead=lambda x: raise_power(x, HALF)),
    Rule(
        name="sin",
        doc="the sine of x",
        partials=lambda x: (make_head("cos", x),),
        operation="sin",
        classical=sympy.sin,
    ),
    Rule(
        name="cos",
        doc="the cosine of x",
        partials=lambda x: (-make_head("sin", x),),
        operation="cos",
        classical=sympy.cos,
    ),
    Rule(
        name="max",
        doc="the largest of two or more arguments, entry by entry",
        arity=2,
        nests=True,
        partials=lambda x, y: ((1 + make_head("sign", x - y)) / 2, (1 - make_head("sign", x - y)) / 2),
        operation="maximum",
        classical=lambda x, y: where_expr(">", x, y, x, y),
    ),
    Rule(
        name="min",
        doc="the smallest of two or more arguments, entry by entry",
        arity=2,
        nests=True,
        partials=lambda x, y: ((1 - make_head("sign", x - y)) / 2, (1 + make_head("sign", x - y)) / 2),
        operation="minimum",
        classical=lambda x, y: where_expr("<", x, y, x, y),
    ),
    Rule(
        name="clip",
        doc="clip(x, lo, hi): x, but lo where x < lo and hi where x > hi",
        arity=3,
        partials=_clip_slopes,
        lowered=lambda x, low, high: make_head("min", make_head("max", x, low), high),
    ),
    *(_where_rule(comparator) for comparator in COMPARISONS),
)

_BY_NAME: dict[str, Rule] = {rule.name: rule for rule in RULES}
for _rule in RULES:
    if _rule.instead is None:
        define_head(_rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionInfo:
    """What a program may write: how many arguments (`most` is None for any number), and one line of help."""

    name: str
    least: int
    most: int | None
    doc: str


def _info(rule: Rule) -> FunctionInfo:
    least = rule.arity - len(rule.defaults)
    return FunctionInfo(name=rule.name, least=least, most=None if rule.nests else rule.arity, doc=rule.doc)


_WHERE = FunctionInfo(name="where", least=3, most=3, doc="where(x > y, a, b): a where the comparison holds, else b")
FUNCTIONS: Mapping[str, FunctionInfo] = MappingProxyType(
    {rule.name: _info(rule) for rule in RULES if rule.doc} | {"where": _WHERE}
)


def call(name: str, args: Sequence[Expr]) -> Expr:
    """The function `name` of the language applied to expressions; `where` is built by `where_expr`."""
    rule = _BY_NAME[name]
    if rule.nests:
        result = args[0]
        for argument in args[1:]:
            result = make_head(name, result, argument)
        return result
    missing = rule.arity - len(args)
    full = (*args, *rule.defaults[len(rule.defaults) - missing :]) if missing else tuple(args)
    if len(full) != rule.arity:
        raise ValueError(f"{name} takes {rule.arity} arguments, got {len(args)}")
    return rule.instead(*full) if rule.instead else make_head(name, *full)

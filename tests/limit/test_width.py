"""Numbers in n in the limit: their limits, and values that vanish through n and meet a jump."""

from __future__ import annotations

import pytest

from nexort.errors import WidthFault
from nexort.graph import SCALAR, VECTOR, InitialVector, Output, WidthNumber, build_graph
from nexort.graph.terms import Place, Term, average_over, combine, number
from nexort.limit.width import check_width_limits
from nexort.source import Source, Span
from nexort.symbolic import comparison_where, power, primitive, width_symbol

n = width_symbol()
PLACE = Place(Span(Source("p.nx", "sign(x / sqrt(n))"), 0, 17))


def vector(name: str) -> Term:
    return Term(InitialVector(type=VECTOR, name=name), (), ("i",))


def width_number(expression: object) -> Term:
    return Term(WidthNumber(type=SCALAR, expression=expression, span=PLACE.span))


def apply(name: str, *terms: Term) -> Term:
    return combine(primitive(name), terms, PLACE)


def check(term: Term) -> None:
    result = average_over(term, ["i"], PLACE)
    check_width_limits(build_graph([Output(name="s", loops=(), nodes=(result.node,))]))


x, y = vector("x"), vector("y")
small = apply("mul", x, width_number(n**-0.5))


@pytest.mark.parametrize("expression", [n, n**0.5])
def test_divergent_number_is_refused_at_its_place(expression: object) -> None:
    with pytest.raises(WidthFault, match="grows without bound") as caught:
        check(apply("mul", x, width_number(expression)))
    assert caught.value.span is PLACE.span


@pytest.mark.parametrize(
    "term",
    [
        apply("sign", small),
        apply("step", small),
        apply("sign", apply("add", small, apply("tanh", small))),
        apply("div", y, apply("relu", small)),
        apply("div", small, width_number(1 / n)),
        combine(comparison_where(">"), (small, number(0), x, y), PLACE),
        combine(power(-1), (apply("mul", small, small),), PLACE),
        apply("log", small),
        apply("sign", average_over(small, ["i"], PLACE)),
    ],
)
def test_jumps_at_a_vanishing_value_are_refused(term: Term) -> None:
    with pytest.raises(WidthFault, match="meets a jump or a pole") as caught:
        check(term)
    assert caught.value.span is PLACE.span


@pytest.mark.parametrize(
    "term",
    [
        small,
        apply("relu", small),
        apply("sign", apply("add", small, y)),
        apply("sign", apply("mul", x, width_number(1 + 1 / n))),
        apply("sign", apply("cos", small)),
        apply("div", small, apply("add", number(1), apply("mul", y, y))),
        combine(comparison_where(">"), (small, number(1), x, y), PLACE),
        apply("sign", number(0)),
        combine(power(0.5), (apply("mul", small, small),), PLACE),
    ],
)
def test_what_has_a_limit_passes(term: Term) -> None:
    check(term)

"""Functions that only the expansion of `train` calls: the output of a network, and the size of a weight matrix, which
some normalised updates are divided by or multiplied with (TP4b 2.10.2)."""

from __future__ import annotations

from dataclasses import replace

from nexort.elaborate.evaluation import Evaluation
from nexort.elaborate.functions import arguments
from nexort.elaborate.values import Value, Width, noun, to_term
from nexort.errors import TypeFault
from nexort.graph import Axes, Entries
from nexort.graph.terms import Term, average_over, combine, stop
from nexort.symbolic import power, primitive, width_symbol
from nexort.syntax import ast


def evaluate_output(ev: Evaluation, tree: ast.Call) -> Value:
    """~output(x): the average of what a model returns."""
    (returned,) = arguments(tree, 1)
    with ev.unbraced():
        value = ev.value(returned)
    if not isinstance(value, Term) or value.order != 1:
        raise TypeFault(
            f"a model returns vectors, and this is a {noun(value)}",
            returned.span,
            hint="return v * x: the output is its average, scaled by the parametrization",
        )
    return average_over(value, value.width, ev.place(tree))


def evaluate_size(ev: Evaluation, tree: ast.Call) -> Value:
    """~frobenius(W): √n times the root mean square of the entries of W, a constant for `grad`, at width n only."""
    (operator,) = arguments(tree, 1)
    place = ev.place(tree)
    with ev.unbraced():
        value = ev.value(operator)
    assert isinstance(value, Term) and value.is_operator, "the expansion takes the size of a matrix"
    entries = Term(
        Entries(
            type=replace(value.node.type, is_operator=False),
            operands=(value.node,),
            fn=primitive("identity"),
            axes=(Axes(tuple(range(len(value.static))), (0, 1)),),
            span=place.span,
            passes=place.passes,
        ),
        value.static,
        (0, 1),
    )
    square = average_over(combine(primitive("mul"), [entries, entries], place), (0, 1), place)
    scaled = combine(primitive("mul"), [to_term(Width(width_symbol()), place), square], place)
    return stop(combine(power(0.5), [scaled], place), place)

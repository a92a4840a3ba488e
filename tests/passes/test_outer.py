"""Which tensors are sums of outer products."""

import pytest
from builders import PLACE, add, array, at, avg, call, contracted, mul, number, total, vector

from nexort.graph.terms import Term, select, stack
from nexort.passes import OuterSums, outer_sums

X, Y, U, H = vector("x"), vector("y", width="j"), vector("u"), vector("h", "a")
ONE = mul(X, Y)
MANY = total(mul(array("chi", "a"), H, at(vector("d", "a"), width="j")), "a")


@pytest.mark.parametrize(
    "tensor",
    [
        ONE,
        MANY,
        add(ONE, mul(number(2.0), MANY)),
        call("neg", call("sub", ONE, MANY)),
        call("div", MANY, call("exp", Y)),
        mul(MANY, X),
        call("identity", at(MANY, width="ji")),
        add(X, Y),
        add(number(1.0), MANY),
        mul(H, Y),
        select(mul(H, Y), {0: 1}, PLACE),
        Term(stack([ONE.node, MANY.node], 0, PLACE), ("k",), ("i", "j")),
        mul(avg(mul(X, U), "i"), MANY),
    ],
)
def test_sums_of_outer_products(tensor):
    assert OuterSums().contains(tensor.node)
    graph = contracted(tensor)
    assert graph.results[0] in outer_sums(graph)


@pytest.mark.parametrize(
    "tensor",
    [
        call("tanh", ONE),
        mul(MANY, MANY),
        call("div", MANY, MANY),
        add(ONE, call("tanh", ONE)),
        call("max", X, Y),
        X,
        mul(ONE, vector("w", width="k")),
    ],
)
def test_other_values(tensor):
    assert not OuterSums().contains(tensor.node)


def test_composition_by_an_average_is_one_again():
    product = avg(mul(at(MANY, width="ik"), at(call("tanh", ONE), width="kj")), "k")
    graph = contracted(product)
    assert graph.results[0] in outer_sums(graph)

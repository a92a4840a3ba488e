"""Sums and averages of products become contractions of the same value."""

import numpy as np
import pytest
from builders import add, array, at, avg, call, check, contracted, graph_of, kinds, mul, number, total, vector

from nexort.graph import Contract, Map
from nexort.passes import contract, simplify

X, Y, Z, V = vector("x"), vector("y", width="j"), vector("z", width="j"), vector("v", width="j")
H, D, U = vector("h", "a"), vector("d", "a"), vector("u", "k")
XI, CHI = array("xi", "ak"), array("chi", "a")


def outer():
    return total(mul(CHI, D, at(H, width="j")), "a")


def the_contract(graph):
    (node,) = [x for x in graph.order if isinstance(x, Contract)]
    return node


def test_first_layer_is_one_contraction():
    assert kinds(contracted(total(mul(XI, U), "k"))) == ["Contract"]


def test_gram_matrix_is_one_contraction():
    graph = contracted(avg(mul(H, at(H, "b")), "i"))
    assert kinds(graph) == ["Contract"]
    assert the_contract(graph).averaged == 1 and the_contract(graph).type.shape == (3, 3)


def test_gradient_of_a_matrix_is_one_contraction_of_three_operands():
    node = the_contract(contracted(outer()))
    assert len(node.operands) == 3 and node.type.order == 2 and node.averaged == 0


def test_factors_without_the_bound_axis_stay_outside():
    graph = contracted(avg(mul(X, Y, Z), "j"))
    assert kinds(graph, 2) == [] and kinds(graph, 0) == ["Contract"] and kinds(graph, 1) == ["Map"]


def test_tensor_times_vector_is_a_contraction():
    graph = contracted(avg(mul(call("tanh", mul(X, Y)), Z), "j"))
    assert kinds(graph, 1) == ["Contract"] and kinds(graph, 2) == ["Map", "Map"]


def test_sum_of_outer_products_is_distributed():
    two = add(mul(X, Y), mul(number(2.0), vector("u2"), V))
    assert kinds(contracted(avg(mul(two, Z), "j")), 2) == []


def test_a_long_sum_stays_one_operand():
    terms = [mul(vector(f"p{k}"), vector(f"q{k}", width="j")) for k in range(9)]
    graph = contracted(avg(mul(add(*terms), Z), "j"))
    assert sum(isinstance(x, Contract) for x in graph.order) == 1


def test_static_sum_and_average_are_one_contraction():
    for term in (total(avg(mul(H, D), "i"), "a"), avg(total(mul(H, D), "a"), "i")):
        node = the_contract(contracted(term))
        assert node.summed == (3,) and node.averaged == 1


@pytest.mark.parametrize("width", ["j", "i", "ij"])
def test_square_of_a_sum_of_outer_products_uses_gram_matrices(width):
    graph = contracted(avg(call("mul", outer(), outer()), width))
    assert kinds(graph, 2) == []


def test_tensor_opened_although_others_read_it():
    tensor = outer()
    graph = contracted(avg(mul(tensor, Z), "j"), call("tanh", tensor))
    assert kinds(graph, 2) == ["Contract", "Map"]


def test_nothing_is_opened_next_to_a_dense_tensor():
    dense = call("tanh", mul(X, Y))
    graph = contracted(avg(mul(outer(), dense, Z), "j"))
    assert [x.type.shape for x in graph.order if x.type.order == 2] == [()] * 3


def test_divisors():
    contracted(avg(call("div", mul(X, Y), call("exp", Z)), "ij"))
    contracted(avg(call("div", call("neg", mul(X, Y)), call("exp", X)), "j"))
    contracted(total(call("div", mul(CHI, D), total(CHI, "a")), "a"))
    contracted(total(call("div", mul(CHI, D, at(H, width="j")), call("exp", Z)), "a"))


def test_diagonals_and_broadcasts():
    tensor = call("tanh", outer())
    contracted(avg(mul(at(tensor, width="ii"), X), "i"))
    contracted(avg(mul(at(outer(), width="ii"), X), "i"))
    contracted(total(mul(at(array("m", "ab"), "aa"), D), "a"))


def random_term(rng, depth):
    """A random product tree over labels a, k and widths i, j."""
    leaves = [X, Y, Z, V, H, D, at(H, width="j"), U, XI, CHI, number(2.0), outer(), call("tanh", outer())]
    if depth == 0:
        return leaves[rng.integers(len(leaves))]
    name = rng.choice(["mul", "mul", "mul", "add", "sub", "div", "neg", "sum", "avg"])
    left = random_term(rng, depth - 1)
    if name == "neg":
        return call("neg", left)
    if name == "sum":
        return total(left, "a") if "a" in left.static else left
    if name == "avg":
        return avg(left, left.width[-1:])
    right = random_term(rng, depth - 1)
    return call("div", left, call("exp", call("tanh", right))) if name == "div" else call(name, left, right)


@pytest.mark.parametrize("seed", range(60))
def test_random_terms_keep_their_value(seed):
    rng = np.random.default_rng(seed)
    terms = [avg(random_term(rng, 3), "j"), total(random_term(rng, 3), "a"), avg(random_term(rng, 2), "ij")]
    contracted(*terms)


def test_new_nodes_are_linear_in_the_steps():
    def length(steps):
        x, outputs = X, []
        for _ in range(steps):
            tensor = mul(x, at(x, width="j"))
            x = avg(mul(add(tensor, outer()), at(call("tanh", x), width="j")), "j")
            outputs.append(avg(mul(x, x), "i"))
        graph = simplify(contract(simplify(graph_of(*outputs))))
        return len(graph.order)

    assert length(80) - length(40) == 2 * (length(40) - length(20))


def test_entries_of_a_dense_map_are_not_touched():
    graph = graph_of(avg(call("tanh", mul(X, Y)), "j"))
    after = check(graph, contract(graph))
    assert [type(x) for x in after.order] == [type(x) for x in graph.order]
    assert sum(isinstance(x, Map) for x in after.order) == 2

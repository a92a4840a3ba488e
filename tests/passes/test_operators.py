"""Normal forms of operators: same action, linear in the steps, outer sums kept as outer sums."""

import numpy as np
import pytest
from builders import (
    PLACE,
    SIZES,
    add,
    array,
    at,
    avg,
    call,
    check,
    graph_of,
    kinds,
    lowered,
    matrix,
    mul,
    number,
    total,
    vector,
)

from nexort.graph import Contract, Graph, Map, MatMul, Stack
from nexort.graph.terms import (
    Term,
    add_operators,
    apply_operator,
    data,
    multiply_operators,
    select,
    stack,
    transpose,
)
from nexort.passes import OperatorForms, lower_operators, simplify

X, Y, Q = vector("x"), vector("y", width="j"), vector("q")
W, A, B = matrix("W"), matrix("A"), matrix("B", "a")
H, D = vector("h", "a"), vector("d", "a")


def outer(name="d"):
    return total(mul(array("chi", "a"), vector(name, "a"), at(H, width="j")), "a")


def dense(name="t"):
    return call("tanh", mul(vector(name), Y))


def op(tensor):
    """A tensor with its labels as those of an operator."""
    return Term(tensor.node, tensor.static, (0, 1))


def plus(*pairs):
    pairs = [(c if isinstance(c, Term) else number(c), op(t)) for c, t in pairs]
    return add_operators(pairs, PLACE)


def times(left, right):
    return multiply_operators(op(left), op(right), PLACE)


def apply(operator, argument):
    return apply_operator(operator, argument, "i", PLACE)


def test_matrix_plus_transpose():
    graph = lowered(apply(plus((0.5, W), (0.5, transpose(W, PLACE))), X))
    assert kinds(graph).count("MatMul") == 2


def test_equal_terms_are_added_in_their_coefficients():
    graph = lowered(apply(plus((0.5, W), (0.25, plus((3.0, W), (2.0, A)))), X))
    assert kinds(graph).count("MatMul") == 2


def test_tensors_of_both_kinds():
    operator = plus((0.5, W), (-0.1, outer()), (array("s", ""), dense()))
    graph = lowered(apply(operator, X), apply(transpose(operator, PLACE), X), apply(operator, H))
    assert kinds(graph).count("MatMul") == 3


def test_transposed_tensor_is_not_formed():
    graph = lowered(apply(transpose(plus((1.0, W), (2.0, dense())), PLACE), X))
    assert kinds(graph, 2) == ["Map", "Map"]  # x y and tanh


def test_chain_of_updates_is_linear_in_the_steps():
    def graph(steps) -> Graph:
        operator, outputs = W, []
        for t in range(steps):
            x = apply(operator, X)
            outputs.append(avg(mul(x, x), "i"))
            operator = plus((0.9, operator), (-0.1, dense(f"t{t}")), (-0.2, outer(f"d{t}")))
        return lowered(*outputs)

    lengths = [len(graph(steps).order) for steps in (10, 20, 30)]
    assert lengths[2] - lengths[1] == lengths[1] - lengths[0]


def test_products_of_matrices_are_words():
    product = times(W, times(transpose(W, PLACE), plus((2.0, A), (1.0, dense()))))
    graph = lowered(apply(product, X), apply(transpose(product, PLACE), X))
    assert kinds(graph).count("MatMul") == 3 + 3


def test_powers_are_applied_in_turn():
    power = symmetric = plus((0.7, W), (0.7, transpose(W, PLACE)))
    for _ in range(5):
        power = times(symmetric, power)
    assert OperatorForms().normal_form(power.node).applications == 12
    assert kinds(lowered(apply(power, X))).count("MatMul") == 12


def test_matrix_times_outer_sum_is_an_outer_sum():
    forms = OperatorForms()
    for product in (times(W, outer()), times(outer(), W), times(plus((1.0, W), (2.0, outer())), outer())):
        form = forms.normal_form(product.node)
        assert form.outer is not None and not form.words and form.tensors is None
        lowered(apply(product, X), apply(transpose(product, PLACE), X))


def test_dense_tensor_times_outer_sum():
    product = times(plus((1.0, dense()), (3.0, outer())), plus((1.0, outer()), (2.0, dense("s"))))
    form = OperatorForms().normal_form(product.node)
    assert form.outer is not None and len(form.words) == 1
    lowered(apply(product, X))


def muon(tensor, rounds=1):
    """a T + b T T' T, repeated."""
    for _ in range(rounds):
        gram = times(tensor, transpose(op(tensor), PLACE))
        tensor = plus((1.5, tensor), (-0.5, times(gram, tensor)))
    return tensor


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_muon_stays_one_tensor_of_small_coefficients(rounds):
    operator = muon(op(outer()), rounds)
    form = OperatorForms().normal_form(operator.node)
    assert form.outer is not None and not form.matrices and not form.words and form.tensors is None
    assert form.outer.node.type.order == 2
    graph = lowered(apply(operator, X))
    assert not any(isinstance(x, MatMul) for x in graph.order)


def test_muon_has_three_operand_contractions():
    form = OperatorForms().normal_form(times(times(op(outer()), transpose(op(outer()), PLACE)), op(outer())).node)
    node = form.outer.node
    assert isinstance(node, Contract) and len(node.operands) == 3
    assert [x.type.order for x in node.operands] == [0, 1, 1]


def test_muon_of_a_sum_of_gradients_does_not_multiply_pieces():
    def build(rounds):
        momentum = plus((0.9, outer()), (1.0, outer("e")), (1.0, mul(Q, Y)), (0.3, mul(X, at(Q, width="j"))))
        return muon(plus((1.0, outer()), (0.5, momentum), (0.1, mul(Q, at(X, width="j")))), rounds)

    def nodes(rounds):
        graph = graph_of(apply(build(rounds), X))
        return len(simplify(lower_operators(simplify(graph))).order)

    def pieces(rounds):
        forms = OperatorForms()
        operator = build(rounds)
        lowered(apply(operator, X))
        return len(forms.factors.of(forms.normal_form(operator.node).outer))

    assert pieces(3) <= pieces(1) + 8
    assert nodes(4) - nodes(3) <= 1.2 * (nodes(3) - nodes(2))


def test_sum_over_steps_of_muon_updates():
    operator = W
    outputs = []
    for t in range(3):
        operator = plus((0.9, operator), (-0.1, muon(op(outer(f"d{t}")))))
        outputs.append(apply(operator, X))
    graph = lowered(*outputs)
    assert kinds(graph).count("MatMul") == 1  # W x is common to all steps


def test_families():
    tensors = mul(H, at(D, width="j"))
    family = plus((0.5, B), (array("c", "a"), tensors))
    lowered(apply(family, H), apply(family, X), apply(family, at(H, "b")), apply(transpose(family, PLACE), H))
    element = select(family, {0: 2}, PLACE)
    lowered(apply(element, X), apply(transpose(element, PLACE), H))


def test_families_of_products():
    tensors = mul(H, at(D, width="j"))
    family = plus((0.5, B), (array("c", "a"), tensors))
    lowered(apply(times(family, at(family, "b")), X), apply(times(family, family), H), apply(muon(family), X))
    lowered(apply(muon(op(tensors), 2), H))


def test_elements_of_a_family_are_one_leaf():
    twice = plus((1.0, select(B, {0: 1}, PLACE)), (2.0, select(B, {0: 1}, PLACE)))
    assert len(OperatorForms().normal_form(twice.node).matrices) == 1


def test_stack_of_operators():
    node = stack([plus((1.0, W), (2.0, outer())).node, plus((1.0, A)).node, W.node], 0, PLACE)
    family = Term(node, ("a",), (0, 1))
    assert isinstance(node, Stack)
    lowered(apply(family, H), apply(family, X), apply(muon(family), X))


def test_outer_family_operations():
    tensors = mul(H, at(D, width="j"))
    selected = select(tensors, {0: 1}, PLACE)
    stacked = Term(stack([outer().node, selected.node], 0, PLACE), ("k",), ("i", "j"))
    summed = total(mul(array("w", "k"), stacked), "k")
    scaled = call("div", mul(outer(), call("exp", X)), call("exp", Y))
    broadcast = add(outer(), mul(X, at(Term(number(1.0).node), ()), mul(number(1.0), Y)))
    for tensor in (selected, summed, scaled, broadcast, call("neg", outer()), avg_free(stacked)):
        form = OperatorForms().normal_form(muon(op(tensor)).node)
        assert form.outer is not None and not form.words, tensor
        lowered(apply(muon(op(tensor)), X))


def avg_free(stacked):
    return select(stacked, {0: 0}, PLACE)


def random_operator(rng, depth):
    leaves = [W, A, select(B, {0: 1}, PLACE), op(outer()), op(dense()), op(mul(X, Y)), op(call("add", X, Y))]
    if depth == 0:
        return leaves[rng.integers(len(leaves))]
    left, right = random_operator(rng, depth - 1), random_operator(rng, depth - 1)
    match rng.integers(4):
        case 0:
            return plus((float(rng.normal()), left), (float(rng.normal()), right))
        case 1:
            return times(left, right)
        case 2:
            return Term(transpose(left, PLACE).node, left.static, (0, 1))
        case _:
            return plus((1.0, left), (avg(mul(X, Q), "i"), transpose(right, PLACE)))


@pytest.mark.parametrize("seed", range(40))
def test_random_operators_act_alike(seed):
    rng = np.random.default_rng(seed)
    operator = random_operator(rng, 3)
    lowered(apply(operator, X), apply(transpose(operator, PLACE), H))


def test_zero_operator():
    lowered(apply(plus((0.0, W), (0.0, outer())), X))


def test_lowering_keeps_what_is_no_operator():
    graph = graph_of(avg(call("tanh", mul(X, Y)), "j"))
    assert lower_operators(graph).order == graph.order
    assert check(graph, simplify(graph)) is not None
    assert data("d", np.zeros(SIZES["a"])).type.shape == (3,) and Map is not None

"""Programs whose limits are known in closed form, and identities that hold for every program."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt

import numpy as np
import pytest

from oracle import known_limits

from .programs import assert_limit, limit

CATALAN = [1, 2, 5, 14, 42]


def powers(operator: str, count: int) -> str:
    """<x | operator^k x> as `m` for k = 1 … count."""
    return f"vector x\nmatrix W, V\ny = x\nfor k in 0..{count}:\n    y = {operator} @ y\n    output <x|y> as m\n"


@pytest.mark.parametrize("samples", [64, 1000])
def test_linear_programs_are_exact_at_any_number_of_samples(samples: int) -> None:
    for operator, moments in {
        "W' @ W": CATALAN,
        "(V @ W)' @ V @ W": [1, 3, 12, 55],
        "((W + W') / sqrt(2))": [0, 1, 0, 2, 0, 5, 0, 14],
    }.items():
        found = limit(powers(operator, len(moments)), samples=samples, replicates=2)["m"]
        np.testing.assert_allclose(found.value, moments, atol=1e-9)
        assert found.stderr.max() < 1e-9


def test_matrix_variance_and_initial_means() -> None:
    found = limit(
        """
vector x ~ N(0.5, 2)
vector b ~ N(0, 0)
matrix R ~ N(0, 3/n)
y = R @ x
output <y|y> as yy
output <x | R' @ y> as adjoint
output avg(x) as mean
output <b|b> as zero
output <y | R @ b> as none
""",
        samples=128,
        replicates=2,
    )
    for name, truth in {"yy": 6.75, "adjoint": 6.75, "mean": 0.5, "zero": 0.0, "none": 0.0}.items():
        np.testing.assert_allclose(found[name].value, truth, atol=1e-12)


def test_dot_kets_of_discontinuous_functions() -> None:
    found = limit(
        """
vector x
matrix W
h = W @ x
output <x | W' @ sign(h)> as sign
output <x | W' @ sign(W @ x + W @ (2 * x))> as deficient
output <x | W' @ ((1 + h) * step(h))> as step
output <x | W' @ relu'(h)> as slope
output <x | W' @ where(h > 1, h, 0)> as where
"""
    )
    density = 1 / sqrt(2 * pi)
    tail = 0.15865525393145707
    assert_limit(found["sign"], sqrt(2 / pi))
    assert_limit(found["deficient"], sqrt(2 / pi))
    assert_limit(found["step"], 0.5 + density)
    assert_limit(found["slope"], density)
    assert_limit(found["where"], tail + density * np.exp(-0.5))


def test_nonlinear_outer_products() -> None:
    found = limit(
        """
vector x, y, u
matrix W
z = sign(|x><y|) @ y
output <x|z> as outer
output <z|z> as square
g = W @ u
output <u | W' @ (sign(|g><y|) @ y)> as independent
output <u | W' @ (sign(|g><g|) @ g)> as same
output <u | W' @ (sign(|y><g|) @ g)> as other
"""
    )
    for name, truth in {"outer": 2 / pi, "square": 2 / pi, "independent": 2 / pi, "same": 2 / pi, "other": 0}.items():
        assert_limit(found[name], truth)


def order_three(weight: str = "one") -> float:
    """E weight(x) tanh(x y + z)^2 by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    values = np.tanh(nodes[:, None, None] * nodes[None, :, None] + nodes[None, None, :]) ** 2
    factor = nodes**2 if weight == "square" else 1.0
    return float(np.einsum("i,j,k,ijk", weights * factor, weights, weights, values))


def test_averages_over_copies_leave_out_equal_indices() -> None:
    """Few samples: what equal indices would add, 1/64 and more, is five standard errors at least."""
    found = limit(
        """
vector x
output avg{i,j}(cos(8 * (x{i} - x{j}))) as pairs
output avg{i,j,k}(cos(8 * (x{i} - x{j}) + 4 * x{k})) as triples
y{i} = avg{j}(cos(8 * (x{i} - x{j})))
output avg(y) as rows
output avg(y * (1 + x^2)) as weighted
""",
        samples=64,
        replicates=200,
        reduce=(),
    )
    for estimate in found.values():
        assert_limit(estimate, 0, allowance=5e-4)
        assert estimate.stderr < 3e-3


def test_full_averages_over_two_copies() -> None:
    """Small N takes all terms of an average of order 3; the bias of orthogonal columns is of order 1/N."""
    found = limit(
        """
vector x, z
output avg{i,j}(abs(x{i} - x{j})) as distance
output avg{i,j,k}(abs(x{i} - x{j}) * abs(x{j} - x{k})) as chain
output avg{i,j,k}(tanh(x{i} * x{j} + z{k})^2) as triple
y{i} = avg{j,k}(tanh(x{i} * x{j} + z{k})^2)
output avg(y) as double
""",
        samples=200,
        replicates=20,
    )
    assert_limit(found["distance"], 2 / sqrt(pi), allowance=1 / 200)
    assert_limit(found["chain"], (4 / pi) * (pi / 12 + sqrt(3) / 2), allowance=2 / 200)
    assert_limit(found["triple"], order_three(), allowance=1 / 200)
    assert_limit(found["double"], order_three(), allowance=1 / 200)


def test_random_pairs_of_copies() -> None:
    found = limit(
        """
vector x, z
y{i} = avg{j,k}(tanh(x{i} * x{j} + z{k})^2)
output avg(y) as double
output avg(y * x^2) as weighted
output avg{i,j,k}(tanh(x{i} * x{j} + z{k})^2) as triple
""",
        samples=1024,
        replicates=4,
    )
    assert_limit(found["double"], order_three(), allowance=1e-3)
    assert_limit(found["triple"], order_three(), allowance=1e-3)
    assert_limit(found["weighted"], order_three("square"), allowance=1e-3)


def test_approximate_message_passing() -> None:
    found = limit(
        """
vector z0
matrix W
A = (W + W') / sqrt(2)
z[0] = z0
z[1] = A @ tanh(z[0])
for t in 1..5:
    output <z[t]|z[t]> as tau
    z[t + 1] = A @ tanh(z[t]) - avg(tanh'(z[t])) * tanh(z[t - 1])
"""
    )
    assert_limit(found["tau"], [0.39429, 0.23645, 0.16666, 0.12790], allowance=1e-5)


def test_adjointness_in_a_program_with_jumps() -> None:
    found = limit(
        """
vector x, y
matrix W, A[2]
a = sign(x + W' @ sign(y))
b = relu(W @ a) - y
a = a * step(W' @ b)
output <b | W @ a> - <W' @ b | a> as gap
c[k] = A[k] @ sign(A[k]' @ tanh(x))
output <c[k] | A[k] @ abs(x)> - <A[k]' @ c[k] | abs(x)> as gaps[k]
for t in 0..3:
    matrix V
    b = b + V @ sign(V' @ b)
    output <x | V @ sign(b)> - <V' @ x | sign(b)> as fresh
""",
        samples=300,
        replicates=2,
    )
    for estimate in found.values():
        np.testing.assert_allclose(estimate.by_replicate, 0, atol=1e-12)


def test_matrices_in_loops_and_families_are_independent() -> None:
    found = limit(
        """
vector x
matrix A[3]
h[k] = A[k] @ x
output <h[k] | h[l]> as K[k, l]
for t in 0..2:
    matrix V
    g[t] = V @ x
output <g[0] | g[1]> as cross
output <g[1] | g[1]> as square
""",
        samples=64,
        replicates=2,
    )
    np.testing.assert_allclose(found["K"].value, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found["cross"].value, 0, atol=1e-12)
    np.testing.assert_allclose(found["square"].value, 1, atol=1e-12)


def test_linear_network_trained_by_sgd() -> None:
    """µP, L = 2 hidden layers, one input 1, target 1.3, rate 0.3: f = 0, 1.17, 1.36719, 1.25445."""
    found = limit(
        """
vector u, v
matrix W
for t in 0..4:
    f = <v | W @ u>
    output f
    loss = (f - 1.3)^2 / 2
    du = grad(loss, u)
    dW = grad(loss, W)
    v -= 0.3 * grad(loss, v)
    u -= 0.3 * du
    W -= 0.3 * dW
""",
        samples=64,
        replicates=2,
    )["f"]
    np.testing.assert_allclose(found.value, [0, 1.17, 1.36719, 1.25445], atol=5e-6)
    assert found.stderr.max() < 1e-12


def test_adam_starts_as_sign_sgd() -> None:
    head = """
vector u, v
matrix W
import "optimizers.nx"
f = <v | tanh(W @ tanh(u))>
loss = (f - 1)^2 / 2
G = grad(loss, W)
"""
    tail = "\noutput <v | tanh(W @ tanh(u))> as f\n"
    adam = limit(head + "W -= 0.5 * adam(grad(loss, W), eps=1e-3)" + tail, samples=512, replicates=2)["f"]
    signs = limit(head + "W -= 0.5 * G / sqrt(G^2 + 1e-6)" + tail, samples=512, replicates=2)["f"]
    np.testing.assert_allclose(adam.by_replicate, signs.by_replicate, atol=1e-12)


def inputs(*shape: int) -> np.ndarray:
    return 0.7 * np.random.default_rng(5).standard_normal(shape)


PROGRAMS = {
    "nngp_ntk_mlp": ({"xi": inputs(3, 4)}, known_limits.nngp_ntk_mlp),
    "layer_norm": ({"xi": inputs(3, 4)}, known_limits.layer_norm),
    "attention": ({"xi": inputs(3, 4)}, known_limits.attention),
    "amp": ({}, known_limits.amp),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_shipped_programs(name: str, program_text: Callable[[str], str]) -> None:
    data, limits_of = PROGRAMS[name]
    found = limit(program_text(name), data=data, replicates=32)
    for output, truth in limits_of(**data).items():
        assert_limit(found[output], truth, allowance=1e-3)


def test_replicates_extend_and_do_not_depend_on_each_other() -> None:
    text = "vector x\nmatrix W\noutput <x | W' @ sign(W @ x)>"
    few, many = (limit(text, samples=256, replicates=r)["output1"].by_replicate for r in (3, 5))
    np.testing.assert_array_equal(few, many[:3])
    assert len(set(many.tolist())) == 5
    assert limit(text, samples=256, replicates=1, seed=1)["output1"].by_replicate[0] != few[0]

"""Sign symmetries: which are found, what is exactly 0 by them, and that the sampler uses nothing that is not there."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.limit import LimitRun
from nexort.limit.parity import KetParity, find_parity
from nexort.passes import lower_for_limit

from .programs import assert_limit, graph_of, limit

NETWORK = """
data xi[6, 4] = normal(seed=1)
vector u[4], v
matrix W
h1[a] = sum[k](xi[a, k] * u[k])
x1[a] = {activation}(h1[a])
h2[a] = W @ x1[a]
x2[a] = {activation}(h2[a])
f[a] = <v | x2[a]>
g1[a] = grad(f[a], x1[a])
output f
output <g1[a] | g1[b]> as G[a, b]
output <x1[a] | g1[b]> as mixed[a, b]
"""


def parity_of(text: str) -> KetParity:
    return find_parity(lower_for_limit(graph_of(text)))


def names(text: str) -> set[str]:
    return {flip.name for flip in parity_of(text).flips}


def test_flips_that_leave_every_ket_even_or_odd() -> None:
    assert names(NETWORK.format(activation="relu")) == {"v"}
    assert names(NETWORK.format(activation="tanh")) == {"u", "v", "W"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("vector v\noutput <v|v>", {"v"}),
        ("vector v ~ N(1, 1)\noutput <v|v>", set[str]()),
        ("vector v ~ N(0, 2), w\noutput <v + w|v>", set[str]()),
        ("vector v\nx = v\nif 1 > 0: x -= 0.5\noutput <x|x>", set[str]()),
        ("vector v\nT{i,j} = sign(v{i} * abs(v{j}))\noutput <v|T @ v^2>", {"v"}),
        ("vector v\nT{i,j} = v{i} + v{j}\noutput avg(tanh(T)^2)", set[str]()),
        ("vector v\noutput avg(max(v, -v))", set[str]()),
        ("vector v[3]\nx = max[k](v[k])\noutput avg(x)", set[str]()),
        ("vector v, w\nmatrix W\noutput <w|W @ (v * w)>", {"v", "w", "W"}),
    ],
)
def test_flips_of_small_programs(text: str, found: set[str]) -> None:
    assert names(text) == found


def test_what_is_odd_averages_to_exactly_zero() -> None:
    found = limit(NETWORK.format(activation="relu"), samples=64, replicates=2)
    assert np.all(found["f"].by_replicate == 0)
    assert np.all(found["mixed"].by_replicate == 0)
    assert np.all(found["G"].value > 0)


UPDATED = """
vector u, v
matrix W
scalar s = 1
x = relu(W @ u)
f = <v | tanh(s * x)>
s -= sign(grad(f, s))
output s
v -= sign(grad(f, v))
output <v | relu(W' @ v)> as later
"""


def test_a_zero_at_a_jump_is_known_whatever_becomes_of_its_kets_later() -> None:
    """v, once it is updated, is neither even nor odd."""
    assert names(UPDATED) == set()
    found = limit(UPDATED, samples=200, replicates=2)
    assert np.all(found["s"].by_replicate == 1)
    assert np.all(abs(found["later"].value) > 4 * found["later"].stderr)


def test_vectors_may_change_sign_together() -> None:
    """a is even in all of them at once, T y is odd, and neither is even or odd in x or in y."""
    text = "vector x, y\nmatrix V\nT = V + |x><y|\na = abs(T @ (x + y))\noutput sign(<a|T @ y>) as b\n"
    found = limit(text, samples=200, replicates=2)
    assert not found["b"].by_replicate.any()


def test_a_zero_may_hide_another_symmetry() -> None:
    """r is 0, as it is odd in v; without it nothing stands against changing the sign of u."""
    text = (
        "vector u, v, x\nmatrix W\nr{i} = avg{j}(where(x{i} > u{j}, x{i}, 0.1) * v{j})\nh = erf(W @ relu(x + r))\n"
        "output <h|W @ u> as a\noutput <W' @ h|u> as b\n"
    )
    found = limit(text, samples=200, replicates=2)
    assert not found["a"].by_replicate.any()
    assert not found["b"].by_replicate.any()


def test_averages_over_copies_are_zero_by_the_parity_of_one_copy() -> None:
    text = "vector x, y\noutput avg{i,j}(tanh(x{i} * y{j}) * abs(x{i})) as s\noutput avg(tanh(|x><y|)^2) as t"
    found = limit(text, samples=32, replicates=2)
    assert np.all(found["s"].by_replicate == 0)
    assert np.all(found["t"].value > 0.1)


def test_backward_kets_have_no_chance_dots() -> None:
    """⟨g⎸g⟩ of g = Wᵀ(v relu'(h)) is 1/2; chance dots of 20 columns would add 20/(2N) of it."""
    text = """
vector x[20], v
matrix W
h[a] = W @ x[a]
g[a] = W' @ (v * relu'(h[a]))
output mean[a](<g[a] | g[a]>) as q
"""
    found = limit(text, samples=64, replicates=60)["q"]
    assert_limit(found, 0.5)
    assert found.stderr < 0.02


def test_dots_of_the_same_parity_stay() -> None:
    """A forward pass that uses Wᵀ: the dots of its even kets, and of odd kets after an odd argument of W."""
    text = """
vector x, v, w
matrix W
h = W @ x
y = W' @ sign(h)
p = W @ (v * abs(x))
q = W' @ (p * step(h)^2)
output <x | y> as even
output <v * abs(x) | q> as odd
output <w * x | W' @ (w * sign(h))> as fresh
"""
    found = limit(text, samples=4096, replicates=8)
    assert_limit(found["even"], np.sqrt(2 / np.pi))
    assert_limit(found["odd"], 0.5)
    assert_limit(found["fresh"], 0)


def test_operators_of_all_sectors_are_adjoint() -> None:
    text = """
vector x, v
matrix W
a = W @ (v * relu(x))
b = W' @ (v * relu(W @ relu(x)))
output <a | v * relu(W @ relu(x))> as left
output <v * relu(x) | b> as right
output <a|a> as square
"""
    found = limit(text, samples=256, replicates=3)
    np.testing.assert_allclose(found["left"].by_replicate, found["right"].by_replicate, rtol=0, atol=1e-13)


def test_a_zero_by_symmetry_that_meets_a_jump_is_warned_of() -> None:
    run = LimitRun(graph_of("vector v, x\ns = <v|x>\noutput sign(s) + 2 * s^2 as t"), samples=16)
    assert run.replicate(0)["t"] == 0
    (warning,) = run.warnings
    assert warning.startswith("p.nx:3:") and "0 by symmetry" in warning
    assert not LimitRun(graph_of("vector v, x\noutput tanh(<v|x>) as t"), samples=16).warnings


def test_sectors_are_named_in_bounds_and_keys() -> None:
    run = LimitRun(graph_of(NETWORK.format(activation="relu")), samples=100)
    assert {side.name: side.columns for side in run.estimate.sides} == {"W": 6, "W' (odd in v)": 6}
    assert "of v, the outputs of W (odd in v)" in {space.name.replace(" and", ",") for space in run.estimate.spaces}

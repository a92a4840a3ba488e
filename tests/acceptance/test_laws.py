"""Matrices with Rademacher or uniform entries have the limit of Gaussian ones (TP4b Setup 2.6.4)."""

from __future__ import annotations

import numpy as np
import pytest

import nexort

SMOOTH = """
import "optimizers.nx"
vector u, v, x
matrix W, V ~ N(0, 0.5/n)
h = W @ x
output <x | W' @ tanh(h)> as correlation
output <x | W' @ erf(W @ (tanh(W' @ h) + x))> as twice
T = sin(|h><x|)
output <h | (V + T) @ x> as tensor
for t in 0..3:
    f = <v | tanh(W @ tanh(u) + V' @ u)>
    output f
    loss = (f - 0.8)^2 / 2
    du = grad(loss, u)
    W -= 0.6 * adam(grad(loss, W), eps=0.3)
    v -= 0.6 * sgd(grad(loss, v))
    u -= 0.6 * sgd(du)
"""

KINKED = """
vector x, v
matrix W
output <x | W' @ sign(W @ x)> as correlation
f = <v | relu(W @ relu(x) + 0.2)>
loss = (f - 0.8)^2 / 2
W -= 0.6 * grad(loss, W)
v -= 0.6 * grad(loss, v)
output <v | relu(W @ relu(x) + 0.2)> as f
"""


@pytest.mark.parametrize("text", [SMOOTH, KINKED], ids=["smooth", "kinked"])
@pytest.mark.parametrize("init", ["gaussian", "rademacher", "uniform"])
def test_entries_of_any_law_have_the_gaussian_limit(text: str, init: str) -> None:
    program = nexort.compile(text)
    limit = program.limit(samples=2048, replicates=8, method="particles")
    run = program.run(256, trials=60, init=init)
    for name, expected in limit.items():
        found = run[name]
        error = np.hypot(found.stderr, expected.stderr)
        assert np.all(error < 0.025)
        assert np.all(np.abs(found.mean - expected.value) < 4.5 * error + 8 / 512), (name, found.mean, expected.value)


def test_laws_differ_at_finite_width() -> None:
    """(1/n) sum_ij W_ij^2 is not in the language; the entries of W @ W' @ x at width 1 are W^2 x: 1 for Rademacher."""
    program = nexort.compile("vector x\nmatrix W\noutput <x | W @ W' @ x> / <x|x> as square")
    squares = {
        init: program.run(1, trials=50, init=init)["square"].values for init in ("gaussian", "rademacher", "uniform")
    }
    np.testing.assert_allclose(squares["rademacher"], 1)
    assert squares["uniform"].max() <= 3 + 1e-12
    assert squares["gaussian"].max() > 3

"""LimitRun: bounds before the work, refusals, warnings, numbers in n, degenerate programs."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.errors import ComputationFault, WidthFault
from nexort.limit import LimitRun

from .programs import graph_of, limit

GROWING = """
vector x
matrix W
h = x
for t in 0..6:
    h = tanh(W @ sin((t + 1) * h + t))
    output <h|h> as q
"""


def test_bounds_of_columns_are_named_by_matrix() -> None:
    text = """
vector x[5]
matrix W, A[2]
h[a] = W @ relu(W' @ tanh(x[a]))
g[k, a] = A[k] @ sign(x[a])
output mean[a](avg(h[a])) as h
output mean[k](mean[a](avg(g[k, a]^2))) as g
"""
    estimate = LimitRun(graph_of(text), samples=100).estimate
    assert {side.name: side.columns for side in estimate.sides} == {"W'": 5, "W": 5, "A[0]": 5, "A[1]": 5}
    assert estimate.columns == 5
    assert estimate.bytes > 0
    assert estimate.flops > 0
    assert estimate.seconds > 0
    assert any("the outputs of W" in space.name for space in estimate.spaces)


def test_statement_at_which_columns_may_outgrow_the_samples() -> None:
    spaces = LimitRun(graph_of(GROWING), samples=10).estimate.spaces
    (overflow,) = [space.overflow for space in spaces if space.overflow is not None]
    assert overflow.span is not None
    assert overflow.span.text == "W @ sin((t + 1) * h + t)"
    assert overflow.passes == (("t", 3),)


def test_warning_names_statement_and_pass() -> None:
    run = LimitRun(graph_of(GROWING), samples=10)
    for k in range(2):
        run.replicate(k)
    (warning,) = run.warnings
    assert warning.startswith("p.nx:6:14, t = 3: the columns of the width space of x")


def test_arguments_that_fill_the_samples_are_refused_with_place_and_pass() -> None:
    with pytest.raises(ComputationFault, match=r"arguments of W fill all 4 dimensions .* t = 3") as caught:
        LimitRun(graph_of(GROWING), samples=4).replicate(0)
    assert caught.value.span is not None
    assert caught.value.span.text == "W @ sin((t + 1) * h + t)"
    assert "--samples" in caught.value.hint


def test_memory_is_refused_before_the_work() -> None:
    run = LimitRun(graph_of("vector x, y\noutput avg(sign(|x><y|)^2 + |x><y|^2)"), samples=10**9)
    with pytest.raises(ComputationFault, match="GB of memory"):
        run.replicate(0)


def test_numbers_in_n() -> None:
    found = limit(
        """
vector x
matrix W
output <x|x> * (n * (1 / n)) as one
output <x|x> / sqrt(n) as zero
output <x | relu(x / sqrt(n))> as vanishing
output avg(sign(1 + x / n)) as sign
""",
        samples=64,
        replicates=2,
    )
    for name, truth in {"one": 1, "zero": 0, "vanishing": 0, "sign": 1}.items():
        np.testing.assert_allclose(found[name].value, truth, atol=1e-12)


@pytest.mark.parametrize(
    ("expression", "place"),
    [
        ("<x | sqrt(n) * x>", "sqrt(n)"),
        ("<x | sign(x / sqrt(n))>", "sign(x / sqrt(n))"),
        ("<x | sign(W @ (x / n))>", "sign(W @ (x / n))"),
        ("<x | where(x / n > 0, x, 1)>", "where(x / n > 0, x, 1)"),
        ("1 / (avg(x^2) / n)", "1 / (avg(x^2) / n)"),
    ],
)
def test_numbers_in_n_that_are_refused(expression: str, place: str) -> None:
    with pytest.raises(WidthFault) as caught:
        LimitRun(graph_of(f"vector x\nmatrix W\noutput {expression} as s"), samples=64)
    assert caught.value.span is not None
    assert caught.value.span.text == place


def test_degenerate_vectors_and_few_samples() -> None:
    text = """
vector x, b ~ N(0, 0)
matrix W
one{i} = 1
output <x | W' @ (W @ b + W @ (0 * x) + W @ x + W @ x)> as twice
output <one | W @ b> as none
output <W @ one | W @ one> as ones
output <b | sign(W @ b)> as sign_of_zero
"""
    for samples in (8, 64):
        found = limit(text, samples=samples, replicates=2)
        for name, truth in {"twice": 2, "none": 0, "ones": 1, "sign_of_zero": 0}.items():
            np.testing.assert_allclose(found[name].value, truth, atol=1e-12)


def test_float32_draws_the_same_samples() -> None:
    """Beyond the Sobol coordinates, too."""
    text = (
        "param M = 60\ndata xi[M, 3] = normal(seed=1)\nvector u[3]\nmatrix W\nh[a] = W @ relu(sum[k](xi[a,k] * u[k]))\n"
    )
    graph = graph_of(text + "output avg(relu(h[0]) * relu(h[59])) as q")
    double, single = (float(LimitRun(graph, samples=256, dtype=d).replicate(0)["q"]) for d in ("float64", "float32"))
    assert 0 < abs(single - double) < 1e-4 * abs(double)


def test_float32() -> None:
    run = LimitRun(graph_of("vector x\nmatrix W\noutput <x | W' @ W @ x>"), samples=256, dtype="float32")
    assert run.replicate(0)["output1"] == pytest.approx(1, abs=1e-5)


def test_constant_program() -> None:
    assert limit("output 2 + 3 as five", samples=8, replicates=2)["five"].value == 5

"""Limits that stay random: their laws, draws on top of what they share, fluctuations of a readout."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pytest

from nexort.elaborate import elaborate
from nexort.finite import FiniteRun
from nexort.graph import Fluctuation, Graph
from nexort.graph.verify import verify_graph
from nexort.limit import LimitRun, estimate_random_limit
from nexort.passes import lower_for_limit, lower_text
from nexort.source import Source
from nexort.syntax import ast, parse

from .programs import graph_of

SQUARE = """
scalar s ~ N(0, 1)
vector v
output s^2 * avg(v^2) as q
output avg(relu(v)) as common
"""

TRAINING = """
import "optimizers.nx"
scalar s ~ N(0.5, 1), c[2] ~ N(0, 1)
vector x[3], y
matrix W, V
A{i,j} = tanh(y{i} * x[0]{j})
B = A
A{i,j} = tanh(A{i,j} * x[1]{i} + x[1]{j})
h[a] = W @ relu(V @ x[a])
output <h[a] | h[b]> as K[a, b]
output <x[1] | A | x[2]> as first
for t in 0..3:
    f[a] = <y | tanh(W @ relu(V @ x[a]) + s * h[a])> + c[0]
    output f
    A{i,j} = 0.9 * A{i,j} + s * tanh(x[2]{i} * y{j})
    B{i,j} = 0.5 * B{i,j} + tanh(x[2]{i} * y{j})
    loss = sum[a]((f[a] - c[1])^2) + <x[0] | A | y>^2
    output grad(loss, s) as gs
    W -= 0.3 * adam(grad(loss, W), eps=0.1)
    V -= 0.3 * grad(loss, V)
    s -= 0.1 * grad(loss, s)
    c -= 0.1 * grad(loss, c)
output <x[0] | A | y> as drawn
output <x[0] | B | y> as fixed
"""


def draws_of(graph: Graph, count: int, *, samples: int = 64, k: int = 0) -> dict[str, np.ndarray]:
    """The outputs of a replicate, (draws, …)."""
    found = list(LimitRun(graph, samples=samples).draws(k, range(count)))
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


# ------------------------------------------------------------- random scalars


def test_square_of_a_random_scalar() -> None:
    count = 4000
    values = draws_of(graph_of(SQUARE), count)["q"]
    assert abs(values.mean() - 1) < 4.5 * np.sqrt(2 / count)
    # the fourth central moment of a square of N(0, 1) is 60
    assert abs(values.var() - 2) < 4.5 * np.sqrt((60 - 4) / count)


def test_draw_and_trial_of_one_number_have_the_same_scalars() -> None:
    """<v|v> is 1 + O(n^-1/2) and exactly 1 in the limit, so that the laws agree pair by pair."""
    graph, n = graph_of(SQUARE), 3000
    ours = draws_of(graph, 20)["q"]
    theirs = np.array([FiniteRun(graph, width=n).trial(k)["q"] for k in range(20)])
    np.testing.assert_allclose(theirs / ours, 1, atol=4.5 * np.sqrt(2 / n))
    assert len(np.unique(ours)) == 20


def test_scalars_are_the_same_in_all_replicates_and_differ_by_seed_name_and_pass() -> None:
    text = "for t in 0..2:\n    scalar a ~ N(0, 1), b[2] ~ N(0, 1)\n    output a; output b\n"
    first = LimitRun(graph_of(text), samples=8)
    assert {k: first.replicate(0)[k].tolist() for k in "ab"} == {k: first.replicate(3)[k].tolist() for k in "ab"}
    every = [first.replicate(0), first.replicate(0, draw=1), LimitRun(graph_of(text), samples=8, seed=1).replicate(0)]
    values = np.concatenate([one[k].ravel() for one in every for k in "ab"])
    assert len(np.unique(values)) == values.size == 18


def test_outputs_that_stay_random_are_told_apart() -> None:
    graph = graph_of(TRAINING)
    run = LimitRun(graph, samples=32)
    assert run.random_outputs == {"f", "drawn", "gs"}
    assert graph.is_random
    assert not graph_of("scalar s = 2\nvector x\noutput s * <x|x> as q").is_random


def test_given_scalars_are_not_random() -> None:
    text = """
scalar s ~ N(0, 1), c[2] ~ N(0, 1)
vector x
output (s + sum[a](c[a]))^2 * <x|x> as q
output grad(s * c[1], s) as g
"""
    program = parse(Source("p.nx", text))
    graph = elaborate(program, given={"s": np.float64(2), "c": [1, -4]})
    assert not graph.is_random
    found = LimitRun(graph, samples=16).replicate(0)
    assert found["q"] == pytest.approx(1)
    assert found["g"] == -4
    assert LimitRun(elaborate(program, given={"s": 2}), samples=16).random_outputs == {"q", "g"}


def test_given_value_of_a_draw_gives_that_draw() -> None:
    text = """
scalar s ~ N(0, 1)
vector x, y
matrix W
h = W @ x
output <y | W @ (s * x) + s^2 * W' @ relu(W @ x)> + s as q
"""
    drawn = LimitRun(graph_of("scalar s ~ N(0, 1)\noutput s"), samples=64).replicate(0, draw=3)["s"]
    expected = LimitRun(graph_of(text), samples=64).replicate(0, draw=3)["q"]
    given = elaborate(parse(Source("p.nx", text)), given={"s": drawn})
    assert LimitRun(given, samples=64).replicate(0)["q"] == pytest.approx(expected, abs=1e-12)


def test_families_of_constant_scalars_in_replicates_at_once() -> None:
    run = LimitRun(graph_of("scalar c[2] = 0.5\nvector x\noutput c[a] * avg(x^2) as q[a]"), samples=16, replicates=4)
    for k in range(4):
        np.testing.assert_allclose(run.replicate(k)["q"], 0.5)


# ---------------------------------------------------------------------- draws


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_draws_are_those_of_runs_of_their_own(dtype) -> None:
    """What one draw drew, grew or overwrote does not reach the next: the same bits in any order."""
    run = LimitRun(graph_of(TRAINING), samples=80, dtype=dtype)
    found = list(run.draws(1, [0, 1, 2, 1]))
    for k, draw in enumerate((0, 1, 2, 1)):
        alone = LimitRun(graph_of(TRAINING), samples=80, dtype=dtype).replicate(1, draw=draw)
        assert {name: array.tolist() for name, array in alone.items()} == {
            name: array.tolist() for name, array in found[k].items()
        }
    assert not np.array_equal(found[0]["f"], found[1]["f"])
    assert np.array_equal(found[0]["fixed"], found[1]["fixed"])


NEW_SPACES = """
scalar s ~ N(0, 1)
vector v
matrix W, V
h = W @ relu(s * v)
k = V' @ tanh(V @ relu(h))
output avg(relu(h) * relu(k + s) * k) as q
"""


def test_draws_start_from_the_same_points_in_spaces_that_they_make() -> None:
    """A space without vectors is made in the first draw; the next one draws the same of its Sobol coordinates."""
    run = LimitRun(graph_of(NEW_SPACES), samples=64)
    found = [float(values["q"]) for values in run.draws(0, [0, 1, 1])]
    assert found == [float(run.replicate(0, draw=draw)["q"]) for draw in (0, 1, 1)]
    assert found[0] != found[1]


def test_training_with_random_scalars_has_the_law_of_wide_networks() -> None:
    """The same scalars in draw j and trial j: the gaps are those of width, not of the law."""
    graph, n, count = graph_of(TRAINING), 256, 12
    ours = draws_of(graph, count, samples=1024)
    theirs = [FiniteRun(graph, width=n).trial(k) for k in range(count)]
    for name in ("f", "gs", "drawn"):
        gap = np.stack([one[name] for one in theirs]) - ours[name]
        error = gap.std(axis=0, ddof=1) / np.sqrt(count)
        assert np.all(np.abs(gap.mean(axis=0)) < 4.5 * error + 6 / n), name
    spread, deviation = ours["f"].std(axis=0), np.stack([one["f"] for one in theirs]) - ours["f"]
    assert np.sqrt(np.mean(deviation**2)) < 0.15 * spread.max()


def test_progress_counts_all_draws() -> None:
    told: list[tuple[int, int]] = []
    run = LimitRun(graph_of(SQUARE), samples=8)
    list(run.draws(0, range(3), lambda done, total: told.append((done, total))))
    assert [done for done, _ in told] == list(range(1, told[-1][1] + 1))


# --------------------------------------------------------------- fluctuations


def with_fluctuations(text: str) -> Graph:
    """`fluctuation(z, v, variance)` is what only the expansion of `train` can write."""
    program = parse(Source("p.nx", text))
    for call in calls(program):
        if isinstance(call.function, ast.Name) and call.function.id == "fluctuation":
            object.__setattr__(call.function, "id", "~fluctuation")
    graph = elaborate(program)
    verify_graph(graph)
    verify_graph(lower_for_limit(graph), stage="lowered")
    return graph


def calls(tree: object) -> Iterator[ast.Call]:
    if isinstance(tree, tuple):
        for part in tree:
            yield from calls(part)
    elif isinstance(tree, ast.Node):
        if isinstance(tree, ast.Call):
            yield tree
        for entry in fields(tree):
            yield from calls(getattr(tree, entry.name))


FLUCTUATIONS = """
vector x
matrix W
z[0] = relu(x)
z[1] = W @ tanh(x)
z[2] = W' @ z[1] - x
f[a] = fluctuation(z[a], v, 2)
output f
output <z[a] | z[b]> as K[a, b]
output fluctuation(z[0], w, 1) as other
for t in 0..2:
    output fluctuation(0.5^t * z[1], v, 2) as decayed
"""


def test_fluctuations_have_the_covariance_of_their_vectors() -> None:
    count = 4000
    found = draws_of(with_fluctuations(FLUCTUATIONS), count, samples=256)
    f, K = found["f"], 2 * found["K"][0]
    size = np.sqrt((np.outer(np.diag(K), np.diag(K)) + K**2) / count)
    assert np.all(np.abs(f.T @ f / count - K) < 4.5 * size)
    assert np.all(np.abs(f.mean(axis=0)) < 4.5 * np.sqrt(np.diag(K) / count))
    # Gaussian: the fourth moment is three times the squared variance
    fourth = np.mean(f**4, axis=0) / np.diag(K) ** 2
    assert np.all(np.abs(fourth - 3) < 4.5 * np.sqrt(96 / count))


def test_fluctuations_of_one_name_are_of_one_vector() -> None:
    found = draws_of(with_fluctuations(FLUCTUATIONS), 400, samples=256)
    np.testing.assert_allclose(found["decayed"][:, 0], found["f"][:, 1], rtol=1e-12)
    np.testing.assert_allclose(found["decayed"][:, 1], 0.5 * found["f"][:, 1], rtol=1e-12)
    correlation = np.corrcoef(found["other"], found["f"][:, 0])[0, 1]
    assert abs(correlation) < 4.5 / np.sqrt(400)
    again = draws_of(with_fluctuations(FLUCTUATIONS), 2, samples=256, k=1)
    assert not np.isin(again["f"], found["f"]).any()


def test_fluctuation_is_the_law_of_a_fresh_readout() -> None:
    """√n ⟨v⎸z⟩ at width n, v fresh, against the fluctuation of z: the same standard deviations."""
    network = "vector x\nmatrix W\nz[0] = tanh(x)\nz[1] = W @ relu(x)\n"
    limit = draws_of(with_fluctuations(f"{network}f[a] = fluctuation(z[a], v, 1)\noutput f"), 2000, samples=512)["f"]
    run = FiniteRun(graph_of(f"{network}vector v\noutput sqrt(n) * <v | z[a]> as f[a]"), width=200)
    finite = np.stack([run.trial(k)["f"] for k in range(600)])
    ours, theirs = np.cov(limit.T), np.cov(finite.T)
    error = np.sqrt((np.outer(np.diag(ours), np.diag(ours)) + ours**2) * (1 / 2000 + 1 / 600))
    assert np.all(np.abs(ours - theirs) < 4.5 * error + 0.02)


def test_fluctuation_is_a_constant_for_grad() -> None:
    text = """
vector x
scalar s = 2
z = s * relu(x)
f = fluctuation(z, v, 1)
output f
output grad(f * s, s) as gs
output grad(f * <z|x>, x) as gx_
"""
    text = text.replace("output grad(f * <z|x>, x) as gx_", "gx = grad(f * <x|x>, x)\noutput <gx|x> as gx")
    found = LimitRun(with_fluctuations(text), samples=64).replicate(0)
    assert found["gs"] == pytest.approx(found["f"])
    assert found["gx"] == pytest.approx(2 * found["f"])


def test_fluctuation_in_the_core_program_and_its_types() -> None:
    text = lower_text(with_fluctuations(FLUCTUATIONS), paper=False)
    assert re.search(r"^s1\[a\] = sqrt\(n\) <v \| x\d+\[a\]>    # v ~ N\(0, 2\)$", text, re.MULTILINE)
    assert re.search(r"^s\d+ = sqrt\(n\) <w \| x\d+>$", text, re.MULTILINE)
    (node,) = {
        node
        for node in with_fluctuations("vector x\noutput fluctuation(x, v, 1) as f").order
        if isinstance(node, Fluctuation)
    }
    assert (node.name, node.variance, node.type.order, node.type.shape) == ("v", 1.0, 0, ())
    with pytest.raises(AssertionError, match="an average, not its limit law"):
        FiniteRun(with_fluctuations("vector x\noutput fluctuation(x, v, 1) as f"), width=4).trial(0)


def test_core_program_of_scalars() -> None:
    text = "scalar s ~ N(0, 2), c[2] = 0.5, k = 3\nvector x\noutput k * s * <x|x> * c[a] as q[a]"
    printed = lower_text(graph_of(text), paper=False)
    assert "scalar s ~ N(0, 2)\n" in printed
    assert "scalar c[2] = 0.5\n" in printed
    assert "scalar k" not in printed


# ------------------------------------------------------------------ estimates


def test_law_from_draws_in_replicates() -> None:
    """x_kj = 3 + A_k + B_j + C_kj: the spread is that of B + C, the error of the mean has all three."""
    rng = np.random.default_rng(0)
    R, J, cases = 8, 16, 4000
    a, b, c = 0.2, 0.7, 1.1
    x = (
        3
        + a * rng.standard_normal((R, 1, cases))
        + b * rng.standard_normal((1, J, cases))
        + c * rng.standard_normal((R, J, cases))
    )
    law = estimate_random_limit(x)
    variance = a**2 / R + b**2 / J + c**2 / (R * J)
    np.testing.assert_allclose(law.mean, x.mean(axis=(0, 1)))
    assert np.mean(law.mean - 3) ** 2 < 4.5**2 * variance / cases
    assert np.var(law.mean) == pytest.approx(variance, rel=0.1)
    assert np.mean(law.stderr**2) == pytest.approx(variance, rel=0.05)
    assert np.mean(law.std**2) == pytest.approx(b**2 + c**2, rel=0.02)


def test_law_where_every_replicate_has_draws_of_its_own() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((8, 16, 4000))
    law = estimate_random_limit(x)
    # never below the scatter of replicates, and little above
    assert np.all(law.stderr**2 >= x.mean(axis=1).var(axis=0, ddof=1) / 8 - 1e-15)
    assert 1 <= np.mean(law.stderr**2) * 8 * 16 < 1.2


def test_what_one_draw_or_one_replicate_leaves_unknown() -> None:
    values = np.random.default_rng(2).standard_normal((4, 3, 2))
    one_draw, one_replicate = estimate_random_limit(values[:, :1]), estimate_random_limit(values[:1])
    assert np.isnan(one_draw.std).all()
    assert np.isnan(one_draw.stderr).all()
    assert np.isnan(one_replicate.stderr).all()
    np.testing.assert_allclose(one_replicate.std, values[0].std(axis=0, ddof=1))


def test_cost_of_a_draw_is_the_part_that_varies() -> None:
    random = LimitRun(graph_of(TRAINING), samples=512).estimate
    assert 0 < random.draw_seconds < random.seconds
    assert LimitRun(graph_of("vector x\noutput <x|x>"), samples=512).estimate.draw_seconds == 0

"""Replicates computed at once: the same numbers as one by one, whatever the program; failures are told one by one."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.errors import ComputationFault
from nexort.limit import LimitRun
from nexort.limit.lanes import ENTRIES, MOST_LANES, lane_count

from .programs import graph_of

TRAINING = """
data xi[3, 2] = normal(seed=1)
data y[3] = normal(seed=2)
import "optimizers.nx"
vector u[2], v, b ~ N(0.5, 2)
matrix W, A[2]
one{i} = 1
for t in 0..2:
    h[a] = sum[k](xi[a, k] * u[k])
    z[a] = W @ relu(h[a]) + 0.1 * (A[t] @ (W' @ tanh(b)))
    f[a] = <v | relu(z[a])> + avg(one)
    output f
    output max[a](avg(z[a]^2)) as top
    if t == 1: output avg(h[0]) as mean
    loss = sum[a]((f[a] - y[a])^2)
    u[k] -= 0.1 * adam(grad(loss, u[k]))
    W -= 0.1 * adam(grad(loss, W), eps=0.1)
    v -= 0.1 * grad(loss, v)
T{i,j} = sign(v{i} * u[0]{j}) + 0 * one{i} * one{j}
output <v | T @ u[0]> as sharp
output 3 as three
"""
FIXED = (
    "data d[2] = [1, 2]\nvector x\nfor t in 0..2:\n    s = 1\n    if t == 1: s = <x|x>\n    output s * d[1]\noutput d"
)


@pytest.mark.parametrize("text", [TRAINING, FIXED])
def test_the_same_numbers_as_one_by_one(text: str) -> None:
    graph = graph_of(text)
    together, single = LimitRun(graph, samples=48, replicates=5), LimitRun(graph, samples=48)
    for k in (0, 3, 4, 6, 1):
        mine, other = together.replicate(k), single.replicate(k)
        assert mine.keys() == other.keys()
        for name in mine:
            np.testing.assert_allclose(mine[name], other[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_lanes_fill_the_cache_in_runs_of_equal_size() -> None:
    assert lane_count(1, 64) == 1
    assert lane_count(8, 4096) == 1
    assert lane_count(100, 256) == 15
    for replicates, samples in ((7, 300), (33, 64), (64, 512)):
        count = lane_count(replicates, samples)
        assert count <= MOST_LANES and count * samples**2 <= ENTRIES
        assert -(-replicates // count) == -(-replicates // min(MOST_LANES, ENTRIES // samples**2))


def test_random_pairs_and_single_replicates_run_one_by_one() -> None:
    pairs = "vector x\noutput avg{i,j,k}(tanh(x{i} * x{j} + x{k}))"
    graph = graph_of(pairs)
    together, single = LimitRun(graph, samples=400, replicates=4), LimitRun(graph, samples=400)
    assert together.replicate(2) == single.replicate(2)


def test_a_failure_is_that_of_its_own_replicate() -> None:
    run = LimitRun(graph_of("vector x\noutput avg(log(x - 1.9))"), samples=4, replicates=6)
    single = LimitRun(graph_of("vector x\noutput avg(log(x - 1.9))"), samples=4)
    with pytest.raises(ComputationFault) as together:
        run.replicate(0)
    with pytest.raises(ComputationFault) as alone:
        single.replicate(0)
    assert str(together.value) == str(alone.value)

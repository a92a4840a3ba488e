"""Groups of samples: where they are used, that they change nothing that is exact, and what they save."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.graph import build_graph
from nexort.limit import LimitRun
from nexort.limit.groups import LEAST_GROUP, build_groups, group_sizes, has_group_work
from nexort.passes import lower_for_limit

from .programs import graph_of, limit

TRAINING = """
param T = 3
data xi[6, 2] = normal(seed=1)
data y[6] = normal(seed=2)
import "optimizers.nx"
vector u[2], v
matrix W
one{i} = 1
for t in 0..T:
    h[a] = sum[k](xi[a, k] * u[k])
    z[a] = W @ tanh(h[a])
    f[a] = <v | tanh(z[a])> + 0 * avg(one)
    if t == 0: f0[a] = stop(f[a])
    f[a] -= f0[a]
    output f
    output max[a](avg(z[a]^2)) as top
    loss = mean[a]((f[a] - y[a])^2) / 2
    u[k] -= 0.2 * adam(grad(loss, u[k]), eps=0.1)
    W -= 0.2 * adam(grad(loss, W), eps=0.1)
    v -= 0.2 * adam(grad(loss, v), eps=0.1)
S{i,j} = sign(v{i} * u[0]{j})
output <v | S @ u[0]> as sharp
output sqrt(avg{i,j}(tanh(v{i} + u[0]{j})^2)) as size
output <u[1] | S' @ one> as back
d{i} = S{i,i}
output avg(d * one * u[0] * v) as diagonal
"""
LINEAR = """
vector x, y
matrix W
G{i,j} = x{i} * y{j} + 2 * y{i} * x{j}
W -= 0.5 * G
output <x | W @ y>
"""


def test_sizes() -> None:
    assert group_sizes(4096, 300).samples == 8 * 4096
    assert group_sizes(4096, 1500).samples == 3 * 4096
    assert group_sizes(4096, 4000).samples == 2 * 4096
    assert group_sizes(4096, 5000).groups == 1
    assert group_sizes(100, 1).groups == 1
    for samples in (512, 1000, 4096, 5000, 16384):
        sizes = group_sizes(samples, 1)
        assert sizes.length >= LEAST_GROUP
        assert sizes.samples * sizes.length <= 1.01 * samples**2


@pytest.mark.parametrize(
    ("text", "has_work"),
    [
        (TRAINING, True),
        (LINEAR, False),  # sums of outer products are exact without
        ("vector x\noutput avg(tanh(x)^2)", False),
        ("vector x\nscalar s ~ N(0, 1)\noutput avg{i,j}(tanh(s * x{i} + x{j})^2)", False),  # random in the limit
    ],
)
def test_where_groups_are_used(text: str, has_work: bool) -> None:
    assert has_group_work(lower_for_limit(graph_of(text))) is has_work


def test_graph_has_an_axis_of_groups_and_the_same_outputs() -> None:
    lowered = lower_for_limit(graph_of(TRAINING))
    grouped = build_groups(lowered, 4).graph
    assert [(o.name, [x.type for x in o.nodes]) for o in grouped.outputs] == [
        (o.name, [x.type for x in o.nodes]) for o in lowered.outputs
    ]
    assert build_graph(grouped.outputs).order
    tensors = [x for x in grouped.order if x.type.order == 2 and not x.type.is_operator]
    assert tensors
    assert all(x.type.shape[0] == 4 for x in tensors)


def test_one_group_is_no_groups() -> None:
    """The same numbers, to rounding, from a graph with an axis of one group and from the graph without."""
    graph = graph_of(TRAINING)
    run = LimitRun(graph, samples=300, reduce=("sobol",))
    expected = run.replicate(0)
    run._groups = build_groups(run._lowered, 1)
    run._plan = run._build_plan(run._groups.graph)
    for name, values in run.replicate(0).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-8, atol=1e-10, err_msg=name)


def test_smaller_errors_and_the_same_values() -> None:
    plain, grouped = (
        limit(TRAINING, samples=512, replicates=12, reduce=reduce) for reduce in ((), ("groups", "sobol"))
    )
    for name, estimate in plain.items():
        gap = np.abs(grouped[name].value - estimate.value)
        assert np.all(gap <= 4.5 * np.hypot(estimate.stderr, grouped[name].stderr) + 1e-9), name
    errors = [np.sqrt(np.mean(np.square(found["f"].stderr[1:]))) for found in (plain, grouped)]
    assert errors[1] < errors[0] / 2.5


def test_halves_have_half_of_every_group() -> None:
    run = LimitRun(graph_of(TRAINING), samples=512)
    halves = run.halves()
    assert halves._sizes.groups == run._sizes.groups > 1
    assert 2 * halves._sizes.length == run._sizes.length
    whole, parts = run.replicate(0), [halves.replicate(h) for h in (0, 1)]
    other = run.replicate(1)
    # they share their noise: their mean is closer to the whole than another replicate is
    gap = np.abs((parts[0]["f"] + parts[1]["f"]) / 2 - whole["f"])[1:]
    assert gap.mean() < 0.5 * np.abs(other["f"] - whole["f"])[1:].mean()

"""Groups of samples: where they are used, that they change nothing that is exact, and what they save."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.graph import Graph, InitialVector, build_graph
from nexort.limit import LimitRun
from nexort.limit.group_graph import build_groups
from nexort.limit.groups import LEAST_GROUP, Sizes, group_sizes, has_group_work
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


def initial_vectors(graph: Graph) -> dict[str, InitialVector]:
    return {node.name: node for node in graph.order if isinstance(node, InitialVector)}


def test_sizes() -> None:
    assert group_sizes(4096, 300).samples == 8 * 4096
    assert group_sizes(4096, 1500).samples == 3 * 4096
    assert group_sizes(4096, 4000).samples == 2 * 4096
    assert group_sizes(4096, 5000).groups == 1
    assert group_sizes(100, 1).groups == 1
    for samples in (512, 1000, 4096, 5000, 16384):
        sizes = group_sizes(samples, 1)
        assert sizes.length >= LEAST_GROUP
        assert sizes.groups % 2 == 0
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
    assert all(x.type.shape[:2] == (2, 2) for x in tensors)


@pytest.mark.parametrize(
    ("text", "has_partners"),
    [
        (TRAINING, True),  # of a tensor that an entrywise function gives, a diagonal is a vector
        ("vector x\nT{i,j} = tanh(x{i} + x{j})\noutput <x | T @ x>", True),
        ("vector x\nT{i,j,k} = tanh(x{i} + x{j} + x{k})\noutput avg{i,j,k}(T{i,j,k}^2)", False),
        (
            "vector x\nT{i,j} = tanh(x{i} + 2 * x{j})\noutput avg{i,j,k}(T{i,j} * T{j,k} * T{k,i})",
            False,  # a triangle is in no two groups
        ),
    ],
)
def test_where_groups_have_partners(text: str, has_partners: bool) -> None:
    graph = lower_for_limit(graph_of(text))
    assert has_group_work(graph)
    assert build_groups(graph, 4).pairs == 2 * has_partners
    assert not build_groups(graph, 3).pairs


BLOCKS = """
vector x[2], y
one{i} = 1
T{i,j} = exp(x[0]{i} / 2 - x[1]{j} / 3) + x[0]{i} * tanh(y{j}) + y{i}
row = T @ y
column = T' @ y
U{i,j} = T{i,j} * T{j,i} * x[1]{i}
V = T' @ (x[0] * row)
output <x[0] | row> as a
output <x[1] | column> as b
output avg(x[0] * row * column) as c
output avg{i,j}(U{i,j} * x[0]{j} * T{j,i}) as d
output <one | U @ y> as e
output <U' @ x[1] | column> as g
output <V | x[1] * y> as h
m{j} = avg{i}(T{i,j} * cos(T{i,j}))
output avg(m * x[1]^2) as k
output avg{i,j}(max(T{i,j}, T{j,i}) * x[0]{i} * y{j}) as l
Z{i,j} = max(T{j,i}, U{j,i}) + sin(T{j,i}) * x[0]{i}
output <x[1] | Z @ y> + avg{i,j}(Z{i,j} * max(Z{i,j}, y{i})) as o
"""


def test_blocks_have_their_two_groups() -> None:
    """By hand, from the samples of the initial vectors: T_αβ has α in a group and β in its partner."""
    run = LimitRun(graph_of(BLOCKS), samples=128, reduce=("sobol",))
    run._groups, run._sizes = build_groups(run._lowered, 4), Sizes(4, 32)
    assert run._groups.pairs == 2
    kets = {name: run._meaning(0).initial_vector(node) for name, node in initial_vectors(run._lowered).items()}
    run._plan = run._build_plan(run._groups.graph)
    groups = {name: values.reshape(*values.shape[:-1], 4, 32) for name, values in kets.items()}
    x, y = groups["x"], groups["y"]
    partner = np.array([1, 0, 3, 2])

    def block(g: int, h: int) -> np.ndarray:
        """α in group g, β in group h."""
        a, b = (lambda v: v[g][:, None]), (lambda v: v[h][None, :])
        return np.exp(a(x[0]) / 2 - b(x[1]) / 3) + a(x[0]) * np.tanh(b(y)) + a(y)

    T = np.stack([block(g, partner[g]) for g in range(4)])
    P = np.stack([block(partner[g], g).T for g in range(4)])  # T_βα at (α, β)
    x1 = x[1][:, :, None]

    def apply(blocks: np.ndarray, vector: np.ndarray) -> np.ndarray:
        return np.einsum("gij,gj->gi", blocks, vector[partner]) / 32

    row, column = apply(T, y), apply(P, y)
    U = T * P * x1
    R = np.stack([(T[h] * P[h] * x1[h]).T for h in partner])  # U_βα at (α, β)
    K = P * np.cos(P)
    Z = np.maximum(P, R) + np.sin(P) * x[0][:, :, None]
    expected = {
        "a": (x[0] * row).mean(),
        "b": (x[1] * column).mean(),
        "c": (x[0] * row * column).mean(),
        "d": (U * x[0][partner][:, None, :] * P).mean(),
        "e": apply(U, y).mean(),
        "g": (apply(R, x[1]) * column).mean(),
        "h": (apply(P, x[0] * row) * x[1] * y).mean(),
        "k": (K.mean(axis=2) * x[1] ** 2).mean(),
        "l": (np.maximum(T, P) * x[0][:, :, None] * y[partner][:, None, :]).mean(),
        "o": (x[1] * apply(Z, y)).mean() + (Z * np.maximum(Z, y[:, :, None])).mean(),
    }
    for name, value in run.replicate(0).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-9, err_msg=name)


NEAR = """
vector x[41]
output avg{i,j}(exp(-1000 * (x[40]{i} - x[40]{j})^2)) as plain
output avg{i,j}(exp(-1000 * (x[0]{i} - x[0]{j})^2)) as net
"""


@pytest.mark.parametrize(("samples", "reduce"), [(2048, ("groups", "sobol")), (2048, ("groups",)), (1024, ("sobol",))])
def test_no_sample_is_its_own_copy(samples: int, reduce: tuple[str, ...]) -> None:
    """E exp(−1000 (x − x')²) = 4001^(-1/2); 1/256 more where x' is one time in 256 x itself, 1/1024 in 1024."""
    for name, estimate in limit(NEAR, samples=samples, replicates=16, reduce=reduce).items():
        assert estimate.stderr < 1e-4
        assert abs(estimate.value - 4001**-0.5) < 4.5 * estimate.stderr, name


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

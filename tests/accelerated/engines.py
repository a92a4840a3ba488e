"""The same trial on both engines."""

from __future__ import annotations

from typing import Any

import numpy as np

from nexort.api import Program
from nexort.finite import FiniteRun
from nexort.limit import LimitRun

Outputs = dict[str, Any]

SIGNS = """
param M = 5, T = 6
data xi[M, 3] = normal(seed=7)
data y[M] = normal(seed=8)
import "optimizers.nx"
vector u[3], v
matrix W
for t in 0..T:
    h[a] = sum[k](xi[a, k] * u[k])
    f[a] = <v | tanh(W @ relu(h[a]))>
    output f
    loss = mean[a]((f[a] - y[a])^2)
    u[k] -= 0.1 * sgd(grad(loss, u[k]))
    W -= 0.1 * adam(grad(loss, W), eps=1e-3)
    v -= 0.1 * momentum(grad(loss, v))
"""
"""A training of three optimizers."""

ORDER_3 = """
vector x, y, z
p{i} = avg{j,k}(tanh(x{i} * y{j} + z{k}))
q{i} = avg{j,k}(x{j} * abs(y{k} - z{i} * x{j}))
r = avg{i,j,k}(abs(x{i} - y{j}) * abs(y{j} - z{k}))
T{i,j} = avg{k}(max(x{i}, y{j} * z{k}))
output <p|q> as s
output r
output <x|T|T' @ y> as t
"""


def trials(program: Program, width: int, accelerator: Any, **options: Any) -> tuple[Outputs, Outputs]:
    """The outputs of trial 0 on NumPy and on JAX."""
    ours = FiniteRun(program.graph, width=width, **options).trial(0)
    theirs = FiniteRun(program.graph, width=width, accelerator=accelerator, **options).trial(0)
    return ours, theirs


def replicates(program: Program, samples: int, accelerator: Any, **options: Any) -> tuple[Outputs, Outputs]:
    """The outputs of replicate 0 of the sampled limit on NumPy and on JAX."""
    run = LimitRun(program.limit_graph, samples=samples, **options)
    ours = run.replicate(0)
    run.use(accelerator)
    return ours, run.replicate(0)


def assert_equal(ours: Outputs, theirs: Outputs, tolerance: float) -> None:
    """Within `tolerance` of the largest entry of each output."""
    assert ours.keys() == theirs.keys()
    for name, expected in ours.items():
        scale = float(np.abs(expected).max(initial=1e-300))
        np.testing.assert_allclose(theirs[name], expected, rtol=0, atol=tolerance * scale, err_msg=name)

"""Random programs over families of inputs: exact limits against sampled ones, of every program that is not refused."""

from __future__ import annotations

import numpy as np
import pytest

import nexort
from nexort.errors import ComputationFault

FUNCTIONS = (
    "relu({})",
    "tanh({})",
    "step({} - 0.2)",
    "abs({} - 0.3)",
    "erf({})",
    "clip({}, -1, 0.5)",
    "exp(0.3 * {})",
    "({})",
)
MATRICES = ("W", "W'", "V", "V'")


def random_program(seed: int) -> str:
    """Jumps are away from 0: some values are 0 by symmetry, where sampled ones are small and random.

    Kets z0[a], z1[a], … made of hats, dots, products, sums over inputs, and functions of them; all inner products.
    """
    rng = np.random.default_rng(seed)
    lines = ["data xi[3, 2] = normal(seed=1)", "vector u[2], v, w[3]", "matrix W, V"]
    lines += ["h[a] = sum[k](xi[a, k] * u[k])", "c[a] = v + 0.5 * w[a]"]
    names = ["h", "c"]
    for k in range(int(rng.integers(2, 5))):
        first, second = (names[int(j)] for j in rng.integers(len(names), size=2))
        inner = FUNCTIONS[int(rng.integers(len(FUNCTIONS)))].format(f"{first}[a]")
        matrix = MATRICES[int(rng.integers(len(MATRICES)))]
        made = (
            f"{matrix} @ {inner}",
            f"{matrix} @ {inner} + 0.4 * {second}[a]",
            f"{inner} * {second}[a]",
            f"{inner} * <{first}[a] | {second}[a]>",
            f"mean[b]({first}[b] * <{second}[b] | {second}[a]>)",
            f"{inner} - avg({second}[a]) * {second}[a]",
            f"avg{{j}}({first}[a]{{j}} * ({second}[a]{{i}} + {first}[a]{{j}}))",
        )
        target = f"z{k}[a]{{i}}" if (chosen := made[int(rng.integers(len(made)))]).startswith("avg{j}") else f"z{k}[a]"
        lines.append(f"{target} = {chosen}")
        names.append(f"z{k}")
    x, y = names[-2:]
    lines += [f"output <{p}[a] | {q}[b]> as {p}_{q}[a, b]" for p, q in ((x, x), (x, y), (y, y))]
    return "\n".join(lines)


def assert_agreement(text: str) -> bool:
    """False if the exact method refuses the program."""
    program = nexort.compile(text)
    try:
        found = program.limit(method="exact")
    except ComputationFault:
        return False
    sampled = program.limit(1024, replicates=8, method="particles")
    for name, output in found.items():
        other = sampled[name]
        size = np.maximum(1, np.abs(output.value))
        assert np.all(np.abs(output.value - other.value) < 6 * other.stderr + 4e-3 * size), f"{name}\n{text}"
    return True


def test_random_programs() -> None:
    agreed = [assert_agreement(random_program(seed)) for seed in range(12)]
    assert sum(agreed) >= 8


@pytest.mark.long
def test_many_random_programs() -> None:
    agreed = [assert_agreement(random_program(seed)) for seed in range(300)]
    assert sum(agreed) >= 200

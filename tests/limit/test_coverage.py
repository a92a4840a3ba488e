"""Intervals hold the truth as often as they say: 200 fixed seeds at 1024 samples, per named output.

The 95 % intervals of 8 replicates, at the default settings.  The answer of the training is one of far more samples
(`benchmarks/answers.npz`), whose own error must be small beside that of an interval.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nexort

ROOT = Path(__file__).resolve().parents[2]
SEEDS, SAMPLES = 200, 1024


def state_evolution(steps: int) -> list[float]:
    """<z_t|z_t> of AMP with tanh: tau <- E tanh(sqrt(tau) z)^2 from 1, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    tau = [1.0]
    for _ in range(steps):
        tau.append(float(np.tanh(np.sqrt(tau[-1]) * nodes) ** 2 @ weights / weights.sum()))
    return tau[1:]


KNOWN: dict[str, np.ndarray] = {
    "amp": np.array(state_evolution(4)),
    "transpose": np.sqrt(2 / np.pi),
    "outer_product": np.array(2 / np.pi),
}


def coverage(program: nexort.Program, truth: dict[str, np.ndarray], seeds: int, replicates: int) -> dict[str, float]:
    """For each output the part of seeds (and of its entries) whose interval holds the truth."""
    held: dict[str, list[np.ndarray]] = {name: [] for name in truth}
    for seed in range(seeds):
        found = program.limit(method="particles", samples=SAMPLES, replicates=replicates, seed=seed)
        for name, expected in truth.items():
            low, high = found[name].ci95
            held[name].append((low <= expected) & (expected <= high))
    return {name: float(np.mean(each)) for name, each in held.items()}


@pytest.mark.long
@pytest.mark.parametrize("name", KNOWN)
def test_programs_with_known_answers(name: str) -> None:
    program = nexort.load(str(ROOT / "programs" / f"{name}.nx"))
    (output,) = (out.name for out in program.graph.outputs)
    found = coverage(program, {output: KNOWN[name]}, SEEDS, 8)
    assert 0.90 <= found[output] <= 0.985, found


@pytest.mark.long
def test_training() -> None:
    """Ten steps; 4 replicates a seed, so that 200 seeds are minutes and not an hour."""
    with np.load(ROOT / "benchmarks" / "answers.npz") as file:
        truth, error = file["smooth_f"][1:11], file["smooth_stderr"][1:11]
    program = nexort.load(str(ROOT / "benchmarks" / "smooth.nx"), T=11)
    held: list[np.ndarray] = []
    spread: list[np.ndarray] = []
    for seed in range(SEEDS):
        f = program.limit(method="particles", samples=SAMPLES, replicates=4, seed=seed, dtype="float32")["f"]
        held.append((f.ci95[0][1:] <= truth) & (truth <= f.ci95[1][1:]))
        spread.append(f.stderr[1:])
    # ten times more accurate than an interval
    assert np.all(error < 0.12 * np.sqrt(np.mean(np.square(spread), axis=(0, 2))))
    assert 0.90 <= np.mean(held) <= 0.985, np.mean(held, axis=(0, 2))

"""What wrong trainings are told: kept in faults.txt, as text pointed at, message and hint.

After a deliberate change, `NEXORT_UPDATE_GOLDEN=1 pytest tests/training` writes the file anew: read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import nexort
from nexort.errors import FaultGroup, NexortError
from training.networks import network

GOLDEN = Path(__file__).with_name("faults.txt")
NONFRESH = ("return v * tanh(h)", "return tanh(v) * tanh(h)")

WRONG = {
    "unknown field": network(fields="momentum = 0.9"),
    "misspelt field": network(fields="optimiser = sgd()"),
    "field twice": network(fields="rate = 0.2"),
    "no rate": network(("    rate = 0.1\n", "")),
    "no steps": network(("    steps = 2\n", "")),
    "no optimizer": network(("    optimizer = sgd()\n", "")),
    "no loss": network(("    loss = (f - y)^2 / 2\n", "")),
    "loss and error": network(fields="error[a] = f[a] - y[a]"),
    "error and weights": network(("loss = (f - y)^2 / 2", "error[a] = f[a]"), fields="weights[a] = mask[0, a]"),
    "unknown optimizer": network(("sgd()", "adamm()")),
    "no import": network(('import "optimizers.nx"\n', "")),
    "a number for an optimizer": network(("sgd()", "0.1")),
    "unknown parametrization": network(fields="parametrization = nngp"),
    "unknown word": network(fields="center = yes"),
    "clip without its bound": network(fields="normalize = clip"),
    "misspelt normalization": network(fields="normalize = weigth"),
    "up with two numbers": network(fields="parametrization = up(1, 2)"),
    "abcd without the output": network(fields="parametrization = abcd(matrix=(0, 1/2, 1, 1), vector=(0, 0, 0, 1))"),
    "three exponents": network(fields="parametrization = abcd(matrix=(0, 1/2, 1), vector=(0, 0, 0, 1), out=1)"),
    "a kind without exponents": network(fields="parametrization = abcd(matrix=(0, 1/2, 1, 1), out=1)"),
    "exponents of nothing": network(fields="parametrization = abcd(vector=(0, 0, 0, 1), out=1, Q=(0, 0, 0, 0))"),
    "exponents twice": network(fields="parametrization = abcd(vector=(0, 0, 0, 1), vector=(0, 0, 0, 1), out=1)"),
    "an irrational exponent": network(fields="parametrization = up(0.123456789)"),
    "per of no parameter": network(fields="per X: rate = 0.1"),
    "per of all": network(fields="per W: steps = 3"),
    "contradicting outputs": network(fields="per W: parametrization = ntp"),
    "contradicting readouts": network(
        ("vector u[d], v", "vector u[d], v, w"),
        ("return v * tanh(h)", "return (v * tanh(h), w * h)"),
        ("(f - y)", "(f[0] + f[1] - y)"),
        fields="parametrization = abcd(matrix=(0, 1/2, 1, 1), vector=(0, 0, 0, 1), w=(0, 1/2, 0, 1), out=1)",
    ),
    "targets of another length": network(("data y[4]", "data y[5]")),
    "too few arrays": network(("mlp(xi[d])", "mlp(xi[d], z, q)")),
    "an argument with other axes": network(("mlp(xi[d])", "mlp(xi[d, e])")),
    "an argument of another length": network(("mlp(xi[d])", "mlp(xi[3])")),
    "a vector for data": network(("on xi, y", "on xi, outside")),
    "data for a model": network(("train mlp", "train xi")),
    "unknown model": network(("train mlp", "train mpl")),
    "a model that reads a global vector": network(("tanh(h)\n", "tanh(h + outside)\n")),
    "a scalar returned": network(("return v * tanh(h)", "return avg(v * tanh(h))")),
    "targets with an axis more": network(("data y[4] =", "data y[4, 2] =")),
    "an index too many in a model": network(("tanh(h)\n", "tanh(h) * xi[0, 1]\n")),
    "an index missing in a model": network(("tanh(h)\n", "tanh(h) * xi\n")),
    "an index of what has none in a model": network(("tanh(h)\n", "tanh(h[0])\n")),
    "heads without an index": network(("return v * tanh(h)", "return (v * tanh(h), v * h)")),
    "weights that are computed": network(fields="weights[a + 1] = mask[0, a]"),
    "a rate with an index": network(("rate = 0.1", "rate[t] = 0.1")),
    "batches for too few steps": network(("steps = 2", "steps = 5"), fields="weights[t, a] = mask[t, a]"),
    "kernels of nothing": network(fields="kernels = hh"),
    "kernels of a parameter": network(fields="kernels = W"),
    "a decay that depends on n": network(fields="decay = 1 / n"),
    "a rate that is a family": network(("rate = 0.1", "rate = y")),
    "a schedule of powers": network(("rate = 0.1", "rate = 0.1 * n^(-t)")),
    "an unused parameter": network(("vector u[d], v", "vector u[d], v, w")),
    "a parameter without effect": network(
        ("vector u[d], v", "vector u[d], v, w"), ("    h = W", "    q = w\n    h = W")
    ),
    "parameters in a loop": network(("    matrix W\n", "    for l in 0..2: matrix W\n")),
    "a training twice": network() + network()[network().index("train mlp") :],
    "standard without a fresh readout": network(NONFRESH, fields="parametrization = standard"),
    "an argument twice": network(("mlp(xi[d])", "mlp(xi[d], xi)")),
    "an argument that is a parameter": network(("matrix W", "matrix W, xi")),
    "a pair for a rate": network(("rate = 0.1", "rate = (1, 2)")),
    "a model that is called": network() + "q = mlp(xi)\n",
    "an unknown name in the loss": network(("(f - y)", "(f - z)")),
    "a parameter bound again": network(("    h = W", "    W = W / 2\n    h = W")),
    "a loss that reads a weight": network(("(f - y)^2 / 2", "(f - y)^2 + avg(v^2)")),
    "a loss that reads the inside": network(("(f - y)^2 / 2", "(f - y)^2 + avg(h[0]^2)")),
    "a loss that depends on n": network(("(f - y)^2 / 2", "(f - y)^2 / n")),
    "a loss without the output": network(("(f - y)^2 / 2", "y^2")),
    "a bound of 0": network(fields="normalize = clip(t)"),
    "weights of size 0 to divide by": network(("vector u[d], v", "vector u[d], v = 0"), fields="normalize = weight"),
    "an error with an index too many": network(("loss = (f - y)^2 / 2", "error[a, k] = f[a] - y[a]")),
    "an error with an index too few": network(
        ("return v * tanh(h)", "return (v * tanh(h), v * h)"), ("loss = (f - y)^2 / 2", "error[a] = f[a, 0] - y[a]")
    ),
    "data of the output's name": network(("data y[4]", "data f[4]"), ("on xi, y", "on xi, f"), ("(f - y)", "f")),
    "a function of the step's name": network(("vector outside", "def t(x) = x^2"), ("(f - y)^2", "t(f - y)")),
    "a decay above 1": network(fields="per W: decay = t + 1"),
    "an unstable limit": network(fields="parametrization = standard"),
    "an unfaithful limit": network(
        ("sgd()", "adam()"), fields="parametrization = up(1/2)\nper W: parametrization = ntp"
    )
    .replace("per W: parametrization = ntp", "per W: parametrization = abcd(matrix=(0, 1/2, 3/2, 1), out=1/2)"),
    "uncentred without a fresh readout": network(
        ("return v * tanh(h)", "return v * tanh(h) + tanh(h)^2 - 1/2"), fields="parametrization = ntp\ncenter = false"
    ),
    "decay without a fresh readout": network(NONFRESH, fields="parametrization = ntp\ndecay = 0.1"),
}  # fmt: skip
"""The last ones run at width n and have no limit."""


def answer(text: str) -> str:
    try:
        program = nexort.compile(text)
        _ = program.graph, program.limit_graph
    except FaultGroup as group:
        faults = list(group.faults)
    except NexortError as fault:
        faults = [fault]
    else:
        return "no fault\n"
    lines: list[str] = []
    for fault in faults:
        fault.render()
        lines += [f"{type(fault).__name__} at: {fault.labels[0].span.text}", f"  {fault.message}"]
        lines += [f"  hint: {fault.hint}"] if fault.hint else []
    return "\n".join(lines) + "\n"


def expected() -> dict[str, str]:
    blocks = GOLDEN.read_text(encoding="utf-8").split("=== ")[1:]
    return {title: said.strip("\n") + "\n" for title, _, said in (block.partition("\n") for block in blocks)}


if os.environ.get("NEXORT_UPDATE_GOLDEN"):
    GOLDEN.write_text("\n".join(f"=== {name}\n{answer(text)}" for name, text in WRONG.items()), encoding="utf-8")


@pytest.mark.parametrize("name", WRONG)
def test_fault(name: str) -> None:
    assert answer(WRONG[name]) == expected()[name]

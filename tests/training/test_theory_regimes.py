"""Limits of parametrizations in which only some parameters move f, and of normalized updates, against networks.

Exponents are chosen so that what does not belong to the limit is of order 1/n, and drops out of the gap extrapolated in
1/n from two widths.
"""

from __future__ import annotations

import numpy as np
import pytest

import nexort

pytestmark = pytest.mark.long

MODEL = """
import "optimizers.nx"
data xi[3, 2] = [[1.0, 0.3], [0.8, -0.5], [-0.2, 1.2]]
data y[3] = [1.0, -0.5, 0.7]
data some[3] = [0, 1, 2]
model net(xi[2]):
    vector u[2], v
    vector b = 0.3
    matrix W ~ N(0, 2/n)
    scalar s = 1.2
    h = W @ tanh(sum[k](xi[k] * u[k]) + b)
    return v * tanh(s * h + b)
train net on xi, y:
    steps = 3
    center = true
"""
LOSS = "loss = (f - y)^2 / 2"
ADAM = (LOSS, "optimizer = adam(beta2=0.99, eps=0.3)", "rate = 0.3")


def exponents(matrix: str, vector: str, scalar: str, v: str, out: str) -> str:
    return f"parametrization = abcd(matrix=({matrix}), vector=({vector}), scalar=({scalar}), v=({v}), out={out})"


MUP = ("0, 1/2, 1, 1", "0, 0, 0, 1", "0, 0, 0, 0")
OPERATOR = ("0, 1/2, 3/2, 1/2", "0, 0, 1/2, 1/2", "0, 0, 1/2, -1/2")
CASES: dict[str, tuple[str, ...]] = {
    "W frozen": (*ADAM, exponents("0, 1/2, 2, 1", *MUP[1:], "0, 0, 0, 1", "1")),
    "the readout frozen": (*ADAM, exponents(*MUP, "0, 0, 1, 1", "1")),
    "only the readout": (*ADAM, exponents("0, 1/2, 2, 1", "0, 0, 1, 1", "0, 0, 1, 0", "0, 0, 0, 1", "1")),
    "mup with b = 1/2 in the readout": (*ADAM, exponents(*MUP, "0, 1/2, 1/2, 1/2", "1/2")),
    "the readout vanishes from f": (*ADAM, exponents(*MUP, "0, 1, 0, 1", "1")),
    "operator, hidden layers only": (*ADAM, exponents(*OPERATOR, "0, 0, 3/2, 1/2", "1/2")),
    "operator, readout only": (
        *ADAM,
        exponents("0, 1/2, 5/2, 1/2", "0, 0, 3/2, 1/2", "0, 0, 3/2, -1/2", "0, 0, 1/2, 1/2", "1/2"),
    ),
    "SGD brought to its faithful form": (
        LOSS,
        "optimizer = sgd()",
        "rate = 0.3",
        exponents("0, 1/2, 0, 0", "0, 0, -1, 0", "0, 0, 0, 0", "0, 0, -1, 0", "1"),
    ),
    "signs brought to their faithful form": (
        LOSS,
        "optimizer = signsgd(eps=0)",
        "rate = 0.3",
        exponents("0, 1/2, 1, 0", "0, 0, 0, 0", "0, 0, 0, 0", "0, 0, 0, 0", "1"),
    ),
    "weights and a schedule": (
        LOSS,
        "optimizer = adam(beta2=0.99, eps=0.3)",
        "rate = 0.5 / (1 + t)",
        "weights = some",
        "parametrization = mup",
    ),
    "an error signal": (
        "error[a] = (f[a] - y[a]) * (1 + some[a]) / 3",
        "optimizer = momentum()",
        "rate = 0.3",
        "parametrization = mup",
    ),
    **{
        f"{parametrization} {rule}{' and decay' if parametrization == 'mup' else ''}": (
            *ADAM,
            f"parametrization = {parametrization}",
            f"normalize = {rule}",
            f"decay = {0.1 if parametrization == 'mup' else 0}",
        )
        for parametrization in ("mup", "ntp")
        for rule in ("update", "clip(0.2)", "weight", "lamb")
    },
}
DROPPED = ("the readout vanishes from f",)
"""Refused: b of the readout exceeds its c, so that its update outgrows it."""


@pytest.mark.parametrize("name", [name for name in CASES if name not in DROPPED])
def test_extrapolated_gap(name: str) -> None:
    program = nexort.compile(MODEL + "".join(f"    {field}\n" for field in CASES[name]))
    limit = program.limit(2048, replicates=16, method="particles")["f"]
    narrow, wide = program.run(64, trials=320)["f"], program.run(256, trials=160)["f"]
    gap = (4 * (wide.mean - limit.value) - (narrow.mean - limit.value)) / 3
    error = np.sqrt((16 * wide.stderr**2 + narrow.stderr**2) / 9 + limit.stderr**2)
    scale = float(np.sqrt(np.mean(limit.value**2)))
    assert 0 < np.sqrt(np.mean(error[1:] ** 2)) < 0.05 * scale
    assert np.all(np.abs(gap[1:]) < 4 * error[1:]), gap[1:] / error[1:]


@pytest.mark.parametrize("name", DROPPED)
def test_a_readout_that_its_update_outgrows_is_refused(name: str) -> None:
    program = nexort.compile(MODEL + "".join(f"    {field}\n" for field in CASES[name]))
    with pytest.raises(nexort.NexortError, match="b_v"):
        program.limit(64, replicates=2)

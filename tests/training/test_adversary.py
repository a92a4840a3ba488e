"""Trainings that nobody writes on purpose: what they are told, and what they compute."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import nexort
from nexort.errors import ComputationFault, NexortError
from training.networks import network


@pytest.mark.parametrize("parametrization", ["mup", "ntp"])
def test_batch_of_weight_zero(parametrization: str) -> None:
    """0/0 is told at the weights and at its step, not in an update."""
    text = network(
        ("data mask[3, 4] = uniform()", "data mask[3, 4] = [[1] * 4, [0] * 4, [1] * 4]"),
        fields=f"weights[t, a] = mask[t, a]\nparametrization = {parametrization}",
    )
    program = nexort.compile(text)
    for compute in (lambda: program.run(8), lambda: program.limit(64, replicates=2)):
        with pytest.raises(ComputationFault, match="t = 1") as caught:
            compute()
        assert caught.value.span is not None and caught.value.span.text.startswith("weights[t, a]")


@pytest.mark.parametrize("returned", ["return (v[0] * h, v[1] * h)", "p[k] = v[k] * h\n    return p"])
def test_error_signal_without_the_index_of_outputs(returned: str) -> None:
    """χ[a, k] = (Σ_j f[a, j] − y[a]) / M is the derivative of mean (Σ_j f_j − y)²/2, and has as many outputs as f."""
    model = ("vector u[d], v", "vector u[d], v[2]"), ("return v * tanh(h)", returned)
    by_loss = network(*model, ("(f - y)^2 / 2", "(f[0] + f[1] - y)^2 / 2"))
    by_error = network(*model, ("loss = (f - y)^2 / 2", "error[a, k] = (sum[j](f[a, j]) - y[a]) / 4"))
    first, second = (nexort.compile(text).run(16)["f"].values for text in (by_loss, by_error))
    np.testing.assert_allclose(first, second, rtol=1e-9)


@pytest.mark.parametrize(
    ("body", "call", "degree"),
    [
        ("sign(g) * abs(g)^(1/3)", "rule()", Fraction(1, 3)),
        ("g / sqrt(g^2 + c^2)", "rule(c=0)", Fraction(0)),
        ("g / sqrt(g^2 + c^2)", "rule(c=t)", None),
    ],
)
def test_degree_of_an_update_function(body: str, call: str, degree: Fraction | None) -> None:
    """Roots have exact degrees, and what changes with the step is not taken for its first value."""
    text = network(("vector outside", f"optimizer rule(c=1):\n    return {body}"), ("sgd()", call))
    (found,) = nexort.compile(text).classify().values()
    assert {parameter.degree for parameter in found.parameters} == {degree}


def test_fault_in_an_imported_optimizer_names_its_call() -> None:
    with pytest.raises(NexortError) as caught:
        nexort.compile(network(("sgd()", "muon()")))
    assert [label.span.text for label in caught.value.labels if label.note == "called here"] == ["muon()"]


def test_returned_family_that_does_not_read_the_input() -> None:
    """All inputs have its outputs."""
    constant = network(
        ("return v * tanh(h)", "z = tanh(W @ u[0])\n    q[k] = v * u[k] * z\n    return (q)"),
        ("(f - y)", "(f[0] + f[1] - y)"),
        fields="center = false",
    )
    f = nexort.compile(constant).run(8)["f"].values
    assert f.shape == (10, 3, 4, 2)
    assert np.all(f == f[:, :, :1]) and np.all(f[:, -1] != f[:, 0])

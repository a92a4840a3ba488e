"""Trainings whose course is known in closed form, and the scales of the standard parametrization."""

from __future__ import annotations

import numpy as np
import pytest

import nexort
from acceptance.known import linear_network_limit
from training.theory import mlp

LINEAR = """
import "optimizers.nx"
data xi[1, 1] = [[{xi}]]
data y[1] = [1.3]
model net(xi[1]):
    vector u, v
{matrices}
    h = xi[0] * u
{layers}
    return v * h
train net on xi, y:
    loss = (f - y)^2 / 2
    optimizer = sgd()
    rate = 0.3
    steps = {steps}
    parametrization = mup
    center = false
"""


def linear(layers: int, steps: int, xi: float = 1.0) -> nexort.LimitResults:
    """A linear network of `layers` hidden layers in µP."""
    text = LINEAR.format(
        xi=xi,
        steps=steps,
        matrices="\n".join(f"    matrix W{k}" for k in range(1, layers)),
        layers="\n".join(f"    h = W{k} @ h" for k in range(1, layers)),
    )
    return nexort.compile(text).limit(256, replicates=2, method="particles")


def test_two_layer_linear_network() -> None:
    """f = 0, 1.17, 1.36719, 1.25445, exactly: linear programs have no sampling error."""
    f = linear(2, 3)["f"]
    np.testing.assert_allclose(f.value[:, 0], linear_network_limit(0.3, 1.3, 4), atol=1e-9)
    assert f.stderr.max() < 1e-9


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_first_step_of_a_linear_network(layers: int) -> None:
    """f_0 = 0, f_1 = (L + 1) η y: every layer contributes as much."""
    np.testing.assert_allclose(linear(layers, 1)["f"].value[:, 0], [0, (layers + 1) * 0.3 * 1.3], atol=1e-9)


def test_shallow_linear_network() -> None:
    """u = a u_0 + b v_0, v = a v_0 + b u_0, f = 2abξ, (a, b) ← (a − ηχξ b, b − ηχξ a)."""
    xi, steps = 0.7, 8
    a, b, expected = 1.0, 0.0, [0.0]
    for _ in range(steps):
        chi = expected[-1] - 1.3
        a, b = a - 0.3 * chi * xi * b, b - 0.3 * chi * xi * a
        expected.append(2 * a * b * xi)
    assert abs(expected[-1] - 1.3) < 0.2
    np.testing.assert_allclose(linear(1, steps, xi)["f"].value[:, 0], expected, atol=1e-9)


def first_step(optimizer: str, parametrization: str) -> nexort.Program:
    return mlp("tanh", 2, f"optimizer = {optimizer}", "rate = 0.3", "steps = 1", f"parametrization = {parametrization}")


@pytest.mark.parametrize("parametrization", ["mup", "ntp"])
@pytest.mark.parametrize("eps", ["0.1", "1e-8"])
def test_adam_begins_as_signs_with_the_same_eps(eps: str, parametrization: str) -> None:
    """At width n and in the limit, from the same draws."""
    adam = first_step(f"adam(eps={eps})", parametrization)
    signs = first_step(f"signsgd(eps={eps})", parametrization)
    other = first_step("signsgd(eps=0.5)", parametrization)
    for run in (lambda p: p.run(24)["f"].mean, lambda p: p.limit(128, replicates=2, method="particles")["f"].value):
        assert np.abs(run(adam) - run(other))[1].max() > 0.01
        np.testing.assert_allclose(run(adam), run(signs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("parametrization", ["mup", "ntp"])
def test_adam_without_eps_begins_as_signs(parametrization: str) -> None:
    """Adam's guard against 0/0 changes the columns of the sampler, so the two limits are equal within errors."""
    adam, signs = (first_step(f"{name}(eps=0)", parametrization) for name in ("adam", "signsgd"))
    np.testing.assert_allclose(adam.run(24)["f"].mean, signs.run(24)["f"].mean, rtol=0, atol=1e-12)
    first, second = (program.limit(2048, replicates=8, method="particles")["f"] for program in (adam, signs))
    error = np.hypot(first.stderr, second.stderr)[1]
    assert error.max() < 0.02
    assert np.all(np.abs(first.value - second.value)[1] < 4.5 * error + 1e-9)


SLOW, FAST = "0.5 / n^(3/2)", "0.5 / n"


def standard(rate: str) -> nexort.Program:
    """Two hidden layers, signs, the standard parametrization, after one step."""
    fields = ("optimizer = signsgd(eps=0)", f"rate = {rate}", "steps = 1", "parametrization = standard", "kernels = h")
    return mlp("tanh", 2, *fields)


@pytest.mark.parametrize(
    ("rate", "output", "feature"), [(FAST, 0.5, 0.0), (SLOW, 0.0, -0.5)], ids=["rate 1/n", "rate n^-3/2"]
)
def test_scales_of_the_standard_parametrization(rate: str, output: float, feature: float) -> None:
    """∆f grows like n^1/2 at rate 1/n and like 1 at n^-3/2, features like 1 and n^-1/2.

    The change of <h|h> shows ∆h where that is of order 1, and ∆h² where it is small, since ∆h is then uncorrelated
    with h.
    """
    widths, trials = (64, 256, 1024), 6
    program = standard(rate)
    f, kernel = [], []
    for width in widths:
        results = program.run(width, trials=trials)
        f.append(np.sqrt(np.mean(results["f"].values[:, 1] ** 2)))
        kernel.append(np.sqrt(np.mean(np.diff(results["K_h"].values, axis=1) ** 2)))
    slopes = [float(np.polyfit(np.log(widths), np.log(sizes), 1)[0]) for sizes in (f, kernel)]
    assert abs(slopes[0] - output) < 0.1
    assert abs(slopes[1] - 2 * feature) < 0.25


def test_too_fast_a_standard_parametrization_is_refused() -> None:
    with pytest.raises(nexort.NexortError, match="unstable") as caught:
        standard(FAST).limit(256, replicates=2, method="particles")
    assert "moves the output" in str(caught.value) or "blows up" in str(caught.value)
    assert "3/2" in str(caught.value)


def test_limit_of_the_standard_parametrization() -> None:
    """At rate n^-3/2, the operator regime: networks of growing width come nearer."""
    program = standard(SLOW)
    limit = program.limit(2048, replicates=16, method="particles")["f"]
    assert limit.stderr.max() < 0.002 and np.abs(limit.value[1]).max() > 0.05
    gaps = []
    for width, trials in ((64, 48), (1024, 6)):
        f = program.run(width, trials=trials)["f"]
        gaps.append((float(np.sqrt(np.mean((f.mean - limit.value) ** 2))), float(np.sqrt(np.mean(f.stderr**2)))))
    (wide, noise), (wider, less) = gaps[0], gaps[1]
    assert wider < 0.5 * wide + 2 * np.hypot(noise, less), gaps
    assert wider < 0.25 * np.abs(limit.value[1]).max(), gaps

"""The operator regime against what is known of it: NTK recursions, signs (TP4b Example 2.4.6), the corrected memory."""

from __future__ import annotations

import numpy as np
import pytest

import nexort
from training.theory import ACTIVATIONS, DEVIATIONS, XI, Activation, Y, mlp, pairs, sign_kernel, tangent_kernel

RATE, STEPS = 0.3, 4


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_expectations_of_gaussian_pairs(activation: Activation) -> None:
    """The formulas of this file's oracle, by sampling, off the unit diagonal and with equal inputs."""
    K = XI[[0, 1, 1]] @ XI[[0, 1, 1]].T
    draws = 400_000
    first, second = activation.kernels(K)
    signed, slopes = activation.signed(K), activation.slopes(K)
    for a, b, g, h in pairs(K, np.random.default_rng(0), draws):
        phi, slope = activation.function, activation.slope
        for samples, formula in (
            (phi(g) * phi(h), first),
            (slope(g) * slope(h), second),
            (phi(g) * np.sign(phi(h)), signed),
            (slope(g) * np.sign(slope(h)), slopes),
        ):
            assert abs(samples.mean() - formula[a, b]) < 5 * samples.std() / np.sqrt(draws)


def assert_is(found: nexort.LimitResults, expected: np.ndarray, largest: float = 0.01) -> None:
    """Within errors that are below `largest`, where f moves by more than twenty of them."""
    f = found["f"]
    assert f.stderr.max() < largest and np.abs(np.diff(expected, axis=0)).max() > 20 * largest
    z = np.abs(f.value - expected)[1:] / f.stderr[1:]
    assert z.max() < DEVIATIONS, z


def gradient_descent(theta: np.ndarray, start: np.ndarray = 0 * Y) -> np.ndarray:
    """f ← f − η Θ (f − y)/M."""
    f = [start]
    for _ in range(STEPS):
        f.append(f[-1] - RATE * theta @ (f[-1] - Y) / len(Y))
    return np.array(f)


def in_kernel_regime(activation: str, depth: int) -> nexort.Program:
    return mlp(activation, depth, "optimizer = sgd()", f"rate = {RATE}", f"steps = {STEPS}", "parametrization = ntp")


def trained(activation: str, depth: int, samples: int, replicates: int) -> nexort.LimitResults:
    return in_kernel_regime(activation, depth).limit(samples, replicates=replicates, method="particles")


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_descent_is_that_of_the_tangent_kernel(activation: str) -> None:
    expected = gradient_descent(tangent_kernel(ACTIVATIONS[activation], 2))
    assert_is(trained(activation, 2, 2048, 32), expected, largest=0.004)
    f = in_kernel_regime(activation, 2).limit()["f"]
    assert f.method == "exact"
    np.testing.assert_allclose(f.value, expected, rtol=0, atol=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_descent_is_that_of_the_tangent_kernel_at_any_depth(activation: str, depth: int) -> None:
    expected = gradient_descent(tangent_kernel(ACTIVATIONS[activation], depth))
    assert_is(trained(activation, depth, 8192, 64), expected, largest=0.002)


def sign_descent(activation: str, depth: int, replicates: int) -> None:
    """Batches of one input, the a-th at step t = a: f ← f − η sign(χ) K[:, a]."""
    K = sign_kernel(ACTIVATIONS[activation], depth)
    f = [0 * Y]
    for a in range(STEPS):
        f.append(f[-1] - 0.1 * np.sign(f[-1][a] - Y[a]) * K[:, a])
    fields = ("optimizer = signsgd(eps=0)", "rate = 0.1", f"steps = {STEPS}", "parametrization = ntp")
    one = "data one[4, 4] = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]"
    program = mlp(activation, depth, *fields, "weights[t, a] = one[t, a]", head=one)
    assert_is(program.limit(2048, replicates=replicates, method="particles"), np.array(f), largest=0.002)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_signs_of_one_input(activation: str) -> None:
    sign_descent(activation, 2, 24)


@pytest.mark.long
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_signs_of_one_input_at_any_depth(activation: str, depth: int) -> None:
    sign_descent(activation, depth, 200)


SHARED = """
import "optimizers.nx"
data xi[1, 1] = [[1]]
model net(xi[1]):
    vector u, v
    matrix W
    return v * tanh(W @ tanh(W @ tanh(xi[0] * u)))
train net on xi:
    error[a] = 1
    optimizer = signsgd(eps=0)
    rate = 0.5
    steps = 1
    parametrization = ntp
    center = true
    per u, v: rate = 0
"""


def shared_matrix() -> tuple[float, float]:
    """−η E|G| for G = dh2(i) z2(j) + dh1(i) z1(j), with its error; every factor is Gaussian or a tanh of one.

    z1 = tanh u, h1 = W z1, z2 = tanh h1, h2 = W z2 with <z1|z2> = 0; dh2 = v tanh' h2, dh1 = (Wᵀ dh2) tanh' h1.
    Given h1, h2, z1, z2, G is Gaussian.
    """
    points, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    first = weights @ np.tanh(points) ** 2
    second = weights @ np.tanh(np.sqrt(first) * points) ** 2
    back = weights @ np.cosh(np.sqrt(second) * points) ** -4.0
    rng, sizes = np.random.default_rng(1), []
    for _ in range(50):
        u, h, copy, top = rng.standard_normal((4, 40_000))
        upper = np.tanh(np.sqrt(first) * copy) / np.cosh(np.sqrt(second) * top) ** 2
        lower = np.sqrt(back) * np.tanh(u) / np.cosh(np.sqrt(first) * h) ** 2
        sizes.append(np.hypot(upper, lower).mean())
    scale = 0.5 * np.sqrt(2 / np.pi)
    return -scale * float(np.mean(sizes)), scale * float(np.std(sizes)) / np.sqrt(50)


def test_a_shared_matrix_sums_its_uses_before_the_sign() -> None:
    """Width 512 gives −0.215; the limit is −0.2184, that of the sum of signs −0.282."""
    value, error = shared_matrix()
    assert abs(value + 0.2184) < 5 * error + 1e-4 and error < 2e-4
    program = nexort.compile(SHARED)
    f = program.limit(4096, replicates=16, method="particles")["f"]
    assert f.stderr[1, 0] < 0.002
    assert abs(f.value[1, 0] - value) < DEVIATIONS * np.hypot(f.stderr[1, 0], error)
    network = program.run(512, trials=6)["f"]
    assert abs(network.mean[1, 0] + 0.215) < DEVIATIONS * network.stderr[1, 0] + 0.001


def last_step(parametrization: str, factor: float) -> np.ndarray:
    """f_3 − f_2 with the rate of the third step multiplied by a factor."""
    rate = f"rate = 0.3 + {0.3 * (factor - 1)} * t * (t - 1) / 2"
    fields = ("optimizer = adam(beta2=0.99, eps=0.1)", rate, "steps = 3", f"parametrization = {parametrization}")
    f = mlp("tanh", 2, *fields).limit(256, replicates=2, method="particles")["f"].value
    return f[3] - f[2]


def test_the_output_moves_in_proportion_to_the_rate() -> None:
    """At fixed past, in the operator regime and for any Q (TP4b Remark 2.8.24)."""
    np.testing.assert_allclose(last_step("ntp", 3), 3 * last_step("ntp", 1), rtol=1e-9)
    assert np.abs(last_step("mup", 3) - 3 * last_step("mup", 1)).max() > 0.02

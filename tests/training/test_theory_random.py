"""Limits that stay random: uncentred NTP, decay in NTP, scalar parameters of µP (TP4b Theorem 2.10.3)."""

from __future__ import annotations

import numpy as np
import pytest

import nexort
from training.theory import DEVIATIONS, ERF, XI, Y, mlp, tangent_kernel

DECAY = 0.1


def network(*fields: str, steps: int = 3, rate: str = "0.5", optimizer: str = "sgd()") -> nexort.Program:
    """Two hidden layers, erf, NTP."""
    fixed = (f"optimizer = {optimizer}", f"rate = {rate}", f"steps = {steps}", "parametrization = ntp")
    return mlp("erf", 2, *fixed, *fields)


def covariance_errors(C: np.ndarray, draws: float) -> np.ndarray:
    """Standard errors of the entries of a Gaussian sample's covariance."""
    return np.sqrt((np.outer(np.diag(C), np.diag(C)) + C**2) / draws)


def decayed_covariance(steps: int, decay: float) -> np.ndarray:
    """(1−λ)^{s+t} ⟨x_s(a)|x_t(b)⟩ with the kets of the decayed network, axes (s, a) and (t, b)."""
    shrink = np.repeat((1 - decay) ** np.arange(steps + 1), len(XI))
    factor = np.outer(shrink, shrink)
    K = factor * np.tile(XI @ XI.T, (steps + 1, steps + 1))
    K = factor * ERF.kernels(K)[0]
    return factor * ERF.kernels(K)[0]


@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("is_centred", [False, True])
def test_untrained_outputs_are_the_decayed_process(decay: float, is_centred: bool) -> None:
    """φ_t, or φ_t − φ_0 with centring, which without decay is 0."""
    steps, draws, replicates = 2, 64, 8
    program = network(f"decay = {decay}", f"center = {str(is_centred).lower()}", "per u, W1, v: rate = 0", steps=steps)
    limit = program.limit(512, replicates=replicates, draws=draws, method="particles")["f"]
    K = decayed_covariance(steps, decay)
    M = len(XI)
    if is_centred:
        away = np.eye(len(K)) - np.tile(np.eye(len(K))[:M], (steps + 1, 1))
        K = away @ K @ away.T
    if is_centred and not decay:
        assert not np.any(limit.values)
        return
    f = limit.values.reshape(replicates * draws, -1)
    errors = covariance_errors(K, len(f))
    assert np.all(np.abs(f.mean(axis=0)) < DEVIATIONS * np.sqrt(np.diag(K) / len(f)) + 1e-9)
    assert np.all(np.abs(np.cov(f.T) - K) < DEVIATIONS * errors + 1e-9)
    assert errors.max() < 0.12 * np.abs(K).max()


def assert_same_law(limit: nexort.LimitResults, run: nexort.RunResults, allowance: float) -> None:
    """Means, spreads and covariances, over (step, input)."""
    values = limit["f"].values
    law = values.reshape(values.shape[0] * values.shape[1], -1)
    trials = run["f"].values.reshape(len(run["f"].values), -1)
    spread = law.std(axis=0, ddof=1)
    size = float(spread.max())
    mean_error = np.hypot(limit["f"].stderr.ravel(), trials.std(axis=0, ddof=1) / np.sqrt(len(trials)))
    assert mean_error.max() < 0.12 * max(size, float(np.abs(law.mean(axis=0)).max()))
    assert np.all(np.abs(trials.mean(axis=0) - law.mean(axis=0)) < DEVIATIONS * mean_error + allowance * size)
    rest = np.sqrt(1 / (2 * len(trials)) + 1 / (2 * len(law)))
    assert np.all(np.abs(trials.std(axis=0, ddof=1) - spread) < DEVIATIONS * rest * spread + allowance * size)
    C, K = np.cov(trials.T), np.cov(law.T)
    errors = np.hypot(covariance_errors(K, len(trials)), covariance_errors(K, len(law)))
    assert np.all(np.abs(C - K) < DEVIATIONS * errors + allowance * size**2)


def test_uncentred_training_has_the_law_of_wide_networks() -> None:
    program = network("center = false", "decay = 0", steps=2)
    assert_same_law(
        program.limit(512, replicates=8, draws=32, method="particles"), program.run(96, trials=128), allowance=0.02
    )


@pytest.mark.long
@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("center", ["true", "false"])
@pytest.mark.parametrize("optimizer", ["sgd()", "adam(beta2=0.99, eps=0.1)", "signsgd(eps=0.3)"])
def test_laws_of_training(optimizer: str, center: str, decay: float) -> None:
    if center == "true" and not decay:
        pytest.skip("not random")
    program = network(f"center = {center}", f"decay = {decay}", optimizer=optimizer)
    assert_same_law(
        program.limit(1024, replicates=8, draws=64, method="particles"), program.run(512, trials=256), allowance=0.01
    )


@pytest.mark.parametrize("decay", [0.0, DECAY])
def test_a_given_start(decay: float) -> None:
    """From a given φ, gradient descent of the tangent kernel; under decay φ is given at every step."""
    steps = 2
    program = network("center = false", f"decay = {decay}", steps=steps, rate="0.3")
    rng = np.random.default_rng(2)
    shape = (steps + 1, len(Y)) if decay else (len(Y),)
    start = rng.standard_normal(shape)
    limit = program.limit(1024, replicates=16, given={"f0": start}, method="particles")["f"]
    if decay:
        np.testing.assert_allclose(limit.value[0], start[0], atol=1e-9)
        other = program.limit(
            1024, replicates=16, given={"f0": start + np.array([[0.0], [0.0], [1.0]])}, method="particles"
        )["f"]
        np.testing.assert_allclose(other.value - limit.value, [[0] * 4, [0] * 4, [1] * 4], atol=1e-9)
        return
    f = [start]
    for _ in range(steps):
        f.append(f[-1] - 0.3 * tangent_kernel(ERF, 2) @ (f[-1] - Y) / len(Y))
    assert 0 < limit.stderr.max() < 0.01
    assert np.all(np.abs(limit.value - f) < DEVIATIONS * limit.stderr + 1e-9)


def test_a_given_start_of_wrong_shape_is_refused() -> None:
    with pytest.raises(nexort.NexortError, match="f0"):
        network("center = false").limit(64, replicates=2, given={"f0": np.zeros(3)})


SCALAR = """
import "optimizers.nx"
data xi[3, 2] = [[1.0, 0.3], [0.8, -0.5], [-0.2, 1.2]]
data y[3] = [1.0, -0.5, 0.7]
model net(xi[2]):
    vector u[2], v
    matrix W
    scalar s ~ N(1, 0.25)
    return v * tanh(s * (W @ tanh(sum[k](xi[k] * u[k]))))
train net on xi, y:
    loss = (f - y)^2 / 2
    optimizer = {optimizer}
    rate = 0.3
    steps = 3
    parametrization = mup
    center = true
"""


@pytest.mark.long
@pytest.mark.parametrize("optimizer", ["sgd()", "adam(beta2=0.99, eps=0.1)"])
def test_a_random_scalar_parameter(optimizer: str) -> None:
    program = nexort.compile(SCALAR.format(optimizer=optimizer))
    limit = program.limit(512, replicates=4, draws=64, method="particles")
    assert limit["f"].std[-1].max() > 0.05  # the law is wide against a network's own fluctuations
    assert_same_law(limit, program.run(1024, trials=96), allowance=0.05)


SQUARE = """
import "optimizers.nx"
data xi[2, 1] = [[1], [0.5]]
data y[2] = [1, 0]
model net(xi[1]):
    vector u
    matrix W
    h = W @ relu(xi[0] * u)
    return h^2 - xi[0]^2 / 2
train net on xi, y:
    loss = (f - y)^2 / 2
    optimizer = sgd()
    rate = 0.1
    steps = 1
    parametrization = ntp
    center = {center}
    decay = {decay}
"""


@pytest.mark.parametrize(("center", "decay"), [("false", 0), ("true", 0.1), ("false", 0.1)])
def test_a_mean_zero_output_is_not_enough(center: str, decay: float) -> None:
    """(W relu u)² − 1/2 has mean zero and variance 1.75 instead of <x|x> = 0.5."""
    program = nexort.compile(SQUARE.format(center=center, decay=decay))
    with pytest.raises(nexort.NexortError, match="only if every returned vector is v \\* z") as caught:
        program.limit(64, replicates=2)
    assert "center = true" in str(caught.value)
    program.run(16)


def test_a_centred_output_needs_no_readout() -> None:
    program = nexort.compile(SQUARE.format(center="true", decay=0))
    limit, run = program.limit(2048, replicates=8, method="particles")["f"], program.run(512, trials=12)["f"]
    assert np.abs(limit.value[1]).max() > 10 * limit.stderr.max()
    assert np.all(np.abs(run.mean - limit.value) < DEVIATIONS * np.hypot(run.stderr, limit.stderr) + 0.02)

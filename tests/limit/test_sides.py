"""Hat and dot on arrays of samples: exact linear programs, adjointness, rank deficiency, variances, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.engine import Streams
from nexort.errors import ComputationFault
from nexort.limit.sides import InitialOperator
from nexort.limit.spaces import WidthSpace

CATALAN = [1, 2, 5, 14, 42]
FUSS_CATALAN = [1, 3, 12, 55]


class World:
    """Operators and vectors of one replicate, by name."""

    def __init__(self, samples: int, replicate: int = 0) -> None:
        self.samples = samples
        self.streams = Streams(0, replicate)
        self.warnings: list[str] = []

    def space(self) -> WidthSpace:
        return WidthSpace(self.samples, warn=self.warnings.append)

    def operator(self, name: str, inputs: WidthSpace, outputs: WidthSpace, variance: float = 1.0) -> InitialOperator:
        streams = (self.streams.generator(name, "hat"), self.streams.generator(name, "transposed hat"))
        return InitialOperator(name, variance, inputs, outputs, streams)

    def vectors(self, name: str, space: WidthSpace, count: int = 1) -> np.ndarray:
        return space.draw_kets(self.streams.generator(name, "vector"), count)


def inner(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x @ y.T / x.shape[1]


@pytest.mark.parametrize("samples", [64, 1000])
def test_marchenko_pastur_is_exact_at_any_number_of_samples(samples: int) -> None:
    world = World(samples)
    inputs, outputs = world.space(), world.space()
    W = world.operator("W", inputs, outputs)
    x = world.vectors("x", inputs)
    y = x
    for catalan in CATALAN:
        y = W.apply(W.apply(y), is_transposed=True)
        np.testing.assert_allclose(inner(x, y), catalan, rtol=1e-12)


def test_fuss_catalan() -> None:
    world = World(256)
    first, second, third = world.space(), world.space(), world.space()
    W, V = world.operator("W", first, second), world.operator("V", second, third)
    x = world.vectors("x", first)
    y = x
    for number in FUSS_CATALAN:
        y = W.apply(V.apply(V.apply(W.apply(y)), is_transposed=True), is_transposed=True)
        np.testing.assert_allclose(inner(x, y), number, rtol=1e-12)


def test_semicircle() -> None:
    world = World(128)
    space = world.space()
    W = world.operator("W", space, space)
    x = world.vectors("x", space)
    s = x
    for moment in [0, 1, 0, 2, 0, 5, 0, 14]:
        s = (W.apply(s) + W.apply(s, is_transposed=True)) / np.sqrt(2)
        np.testing.assert_allclose(inner(x, s), moment, atol=1e-12)


@pytest.mark.parametrize("variance", [0.0, 0.25, 2.0])
def test_variance_scales_hat_by_sigma_and_dot_by_its_square(variance: float) -> None:
    world = World(128)
    inputs, outputs = world.space(), world.space()
    W = world.operator("W", inputs, outputs, variance)
    x = world.vectors("x", inputs)
    h = W.apply(x)
    np.testing.assert_allclose(inner(h, h), variance, atol=1e-12)
    hat, dot = W.parts(h, is_transposed=True)
    np.testing.assert_allclose(inner(hat, hat), variance**2, atol=1e-12)
    np.testing.assert_allclose(dot, variance * x, atol=1e-12)


@pytest.mark.parametrize("is_one_space", [False, True])
def test_adjointness_for_nonlinear_arguments_in_any_order_of_uses(is_one_space: bool) -> None:
    rng = np.random.default_rng(3)
    world = World(300)
    inputs = world.space()
    outputs = inputs if is_one_space else world.space()
    W = world.operator("W", inputs, outputs, 1.5)
    u, v = world.vectors("u", inputs, 2), world.vectors("v", outputs, 2)
    arguments, transposed_arguments = [np.sign(u)], [np.maximum(v, 0)]
    used: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    used_transposed: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for _ in range(6):
        if rng.random() < 0.5:
            y = arguments[rng.integers(len(arguments))] * rng.normal() + 0.3
            used.append((y, *W.parts(y)))
            transposed_arguments.append(np.tanh(used[-1][1] + used[-1][2]))
        else:
            x = np.abs(transposed_arguments[rng.integers(len(transposed_arguments))])
            used_transposed.append((x, *W.parts(x, is_transposed=True)))
            arguments.append(np.sign(used_transposed[-1][1] + used_transposed[-1][2]) + u)
    assert used
    assert used_transposed
    for y, hat, dot in used:
        for x, hat_t, dot_t in used_transposed:
            np.testing.assert_allclose(inner(x, hat + dot), inner(hat_t + dot_t, y), atol=1e-12)
            np.testing.assert_allclose(inner(x, hat), inner(dot_t, y), atol=1e-12)
            np.testing.assert_allclose(inner(x, dot), inner(hat_t, y), atol=1e-12)


def test_hats_have_the_covariance_of_their_arguments_also_when_dependent() -> None:
    world = World(200)
    inputs, outputs = world.space(), world.space()
    W = world.operator("W", inputs, outputs)
    u = world.vectors("u", inputs, 3)
    combos = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 0], [2, -1, 0.5], [0, 1e-3, 1], [1, 1, 1e6]])
    X = combos @ np.tanh(u)
    H = W.apply(X)
    np.testing.assert_allclose(inner(H, H), inner(X, X), rtol=1e-11, atol=1e-11)
    assert W.forward.rank == 3
    np.testing.assert_allclose(W.apply(X[:2] + X[3:5]), H[:2] + H[3:5], atol=1e-11)
    assert W.forward.rank == 3


def test_nearly_dependent_arguments_in_one_batch() -> None:
    world = World(150)
    inputs, outputs = world.space(), world.space()
    W = world.operator("W", inputs, outputs)
    u = world.vectors("u", inputs, 4)
    rng = np.random.default_rng(0)
    X = np.concatenate([u[:2], u[:2] + 1e-8 * u[2:], rng.normal(size=(40, 4)) @ u, 1e-200 * u, 1e-310 * u, 1e200 * u])
    H = W.apply(X)
    assert W.forward.rank == 4
    scale = np.abs(X).max(axis=1)[:, None]
    np.testing.assert_allclose(inner(H / scale, H / scale), inner(X / scale, X / scale), atol=1e-12)
    columns = inputs.kets(np.eye(inputs.rank))
    assert np.abs(inner(columns, columns) - np.eye(5)).max() < 1e-13
    drawn = np.eye(outputs.rank)[1:]  # all columns but that of ones are E, and the dots of E are Q
    Q = inputs.kets(W.forward.adjoint_dot(drawn))
    assert np.abs(inner(Q, Q) - np.eye(4)).max() < 1e-13


def sampled(value: list[float], truth: float) -> None:
    stderr = np.std(value, ddof=1) / np.sqrt(len(value))
    assert stderr < 0.02 * max(1, abs(truth))
    assert abs(np.mean(value) - truth) < 4.5 * stderr + 1e-9


def test_dots_of_discontinuous_functions() -> None:
    plain, deficient, step = [], [], []
    for k in range(8):
        world = World(4096, k)
        inputs, outputs = world.space(), world.space()
        W = world.operator("W", inputs, outputs)
        x = world.vectors("x", inputs)
        h = W.apply(x)
        plain.append(inner(x, W.apply(np.sign(h), is_transposed=True)).item())
        deficient.append(inner(x, W.apply(np.sign(h + W.apply(2 * x)), is_transposed=True)).item())
        step.append(inner(x, W.apply((1 + h) * (h > 0), is_transposed=True)).item())
    sampled(plain, np.sqrt(2 / np.pi))
    sampled(deficient, np.sqrt(2 / np.pi))
    sampled(step, 0.5 + 1 / np.sqrt(2 * np.pi))


def test_columns_past_the_room_are_plain_with_one_warning() -> None:
    world = World(50)
    space = world.space()
    columns = world.vectors("u", space, 60)
    gram = inner(columns, columns)
    assert np.abs(gram[:39, :39] - np.eye(39)).max() < 1e-12
    assert np.abs(gram[39:, 39:] - np.eye(21)).max() > 1e-2
    world.vectors("v", space, 5)
    assert len(world.warnings) == 1
    assert "80% of the 50 samples" in world.warnings[0]


def test_arguments_that_fill_all_samples_are_refused() -> None:
    world = World(30)
    inputs, outputs = world.space(), world.space()
    W = world.operator("W", inputs, outputs)
    X = np.random.default_rng(0).normal(size=(31, 30))
    with pytest.raises(ComputationFault, match="fill all 30 dimensions") as caught:
        W.apply(X)
    assert "samples" in caught.value.hint


def test_argument_that_is_not_finite_is_refused() -> None:
    world = World(10)
    space = world.space()
    W = world.operator("W", space, space)
    with pytest.raises(ComputationFault, match="not finite"):
        W.apply(np.full((1, 10), np.inf))


@pytest.mark.parametrize("samples", [1, 2, 3, 5])
def test_few_samples_do_not_crash(samples: int) -> None:
    world = World(samples)
    space = world.space()
    world.vectors("u", space, 3)
    assert space.rank <= samples


def test_float32() -> None:
    samples = 512
    streams = Streams(0, 0)
    inputs, outputs = WidthSpace(samples, np.float32), WidthSpace(samples, np.float32)
    W = InitialOperator("W", 1.0, inputs, outputs, (streams.generator("W", "a"), streams.generator("W", "b")))
    x = inputs.draw_kets(streams.generator("x", "vector"), 1)
    y = x
    for catalan in CATALAN:
        y = W.apply(W.apply(y), is_transposed=True)
        np.testing.assert_allclose(inner(x, y), catalan, rtol=1e-5)
    assert y.dtype == np.float32

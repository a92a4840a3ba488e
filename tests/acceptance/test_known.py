"""Known limits: approached at width 1024, and met where a kernel or a linear program states them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import erf

import nexort
from acceptance.known import INPUTS, KERNELS, KNOWN, TRAINING, Known, erf_kernels, linear_network_limit
from oracle.known_limits import relu_kernels

WIDTH = 1024
DEVIATIONS = 4.5


@pytest.mark.parametrize("known", KNOWN, ids=str)
def test_width_1024_is_near_the_limit(known: Known) -> None:
    results = nexort.compile(known.text, data=known.data).run(WIDTH, trials=16)
    assert results.keys() == known.limits.keys()
    for name, limit in known.limits.items():
        output = results[name]
        assert output.mean.shape == np.shape(limit)
        scale = np.maximum(1, np.abs(limit))
        assert np.all(output.stderr < 0.05 * scale.max()), "too inaccurate to see a fault"
        assert np.all(np.abs(output.mean - limit) < DEVIATIONS * output.stderr + 8 / WIDTH * scale), (name, output.mean)


def beyond(results: nexort.LimitResults, known: Known) -> list[str]:
    """The outputs that have an entry farther from the stated limit than its error allows."""
    return [
        name
        for name, limit in known.limits.items()
        if np.any(np.abs(results[name].value - limit) > DEVIATIONS * results[name].stderr + 1e-9)
    ]


MISSED = pytest.mark.xfail(reason="at seed 0 entries of nngp lie 5.4 errors of 8 replicates away; no bias shows at 200")
"""The one output known to miss 4.5 errors at default settings: any other is a failure."""


def as_params() -> list[object]:
    missed = "erf kernels, depth 3"
    return [pytest.param(known, id=known.name, marks=MISSED if known.name == missed else ()) for known in KERNELS]


@pytest.mark.parametrize("known", as_params())
def test_sampled_kernels(known: Known) -> None:
    """At default settings."""
    results = nexort.compile(known.text, data=known.data).limit(method="particles")
    assert beyond(results, known) == []


@pytest.mark.parametrize("known", KERNELS, ids=str)
def test_sampled_kernels_of_more_replicates(known: Known) -> None:
    """With small errors at default settings, and no bias that 64 replicates see."""
    assert np.linalg.norm(INPUTS, axis=1).min() <= 0.5 and np.linalg.norm(INPUTS, axis=1).max() >= 1.95
    program = nexort.compile(known.text, data=known.data)
    results = program.limit(method="particles")
    for name, limit in known.limits.items():
        assert np.all(results[name].stderr < 0.02 * np.maximum(1, np.abs(limit)))
    assert beyond(program.limit(method="particles", replicates=64, seed=1), known) == []


@pytest.mark.parametrize("known", TRAINING, ids=str)
def test_linear_training_is_exact(known: Known) -> None:
    results = nexort.compile(known.text).limit(method="particles")
    for name, limit in known.limits.items():
        np.testing.assert_allclose(results[name].value, limit, atol=1e-9)
        assert results[name].stderr.max() < 1e-9


def test_linear_network_has_the_published_values() -> None:
    np.testing.assert_allclose(linear_network_limit(0.3, 1.3, 4), [0, 1.17, 1.36719, 1.25445], atol=5e-6)


@pytest.mark.parametrize(
    ("duals", "function", "slope"),
    [
        (relu_kernels, lambda x: np.maximum(x, 0), lambda x: x > 0),
        (erf_kernels, erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-(x**2))),
    ],
    ids=["relu", "erf"],
)
def test_kernels_are_the_integrals_they_stand_for(
    duals: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    function: Callable[[np.ndarray], np.ndarray],
    slope: Callable[[np.ndarray], np.ndarray],
) -> None:
    K = INPUTS[:2] @ INPUTS[:2].T
    edges = np.linspace(-8, 8, 1601)
    x, y = np.meshgrid(edges, edges, indexing="ij")
    weight = np.exp(-(x**2 + y**2) / 2)
    weight /= weight.sum()
    root = np.linalg.cholesky(K)
    first, second = root[0, 0] * x, root[1, 0] * x + root[1, 1] * y
    for values, phi in zip(duals(K), (function, slope), strict=True):
        np.testing.assert_allclose(values[0, 1], np.sum(weight * phi(first) * phi(second)), atol=5e-3)

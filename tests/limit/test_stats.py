"""Standard errors and Student's intervals."""

from __future__ import annotations

import numpy as np

from nexort.limit.stats import estimate_limit


def test_mean_standard_error_and_interval() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(3.0, 2.0, size=(8, 5, 2))
    estimate = estimate_limit(values, samples=100)
    stderr = values.std(axis=0, ddof=1) / np.sqrt(8)
    np.testing.assert_allclose(estimate.value, values.mean(axis=0))
    np.testing.assert_allclose(estimate.stderr, stderr)
    np.testing.assert_allclose(estimate.ci95[1] - estimate.value, 2.3646242510102993 * stderr)
    assert estimate.ci95.shape == (2, 5, 2)
    assert (estimate.method, estimate.replicates, estimate.samples) == ("particles", 8, 100)


def test_interval_covers_at_its_level() -> None:
    rng = np.random.default_rng(1)
    estimate = estimate_limit(rng.normal(size=(8, 20000)), samples=1)
    covered = np.mean((estimate.ci95[0] < 0) & (estimate.ci95[1] > 0))
    assert abs(covered - 0.95) < 4.5 * np.sqrt(0.95 * 0.05 / 20000)


def test_one_replicate_has_no_error_bar() -> None:
    estimate = estimate_limit([np.float64(2.0)], samples=100)
    assert estimate.value == 2.0
    assert np.isnan(estimate.stderr)
    assert np.isnan(estimate.ci95).all()

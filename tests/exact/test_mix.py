"""What is left to samples loses no accuracy by what is known exactly."""

from __future__ import annotations

import numpy as np

import nexort

NORMALISED = """\
vector u, y, z
matrix W
h = exp(u)
c = h - avg(h)
g = W @ (c / sqrt(avg(c^2)))
output avg(h) as mean
output avg(c^2) as variance
output avg((g * sigmoid(g * y + z))^2) as gated
"""
"""With the exact mean and variance in place of those of its own samples, `gated` has a 6.5 times larger error."""

OWN = "vector w, x, y, z\ns = avg(exp(w))\noutput s\noutput avg(tanh(s * x * y * z)^2) as f\n"


def test_a_normalisation_keeps_the_averages_of_its_samples() -> None:
    program = nexort.compile(NORMALISED)
    auto, sampled = (program.limit(256, replicates=8, method=method) for method in ("auto", "particles"))
    assert [auto[name].method for name in auto] == ["exact", "exact", "particles"]
    np.testing.assert_allclose(auto["mean"].value, np.exp(0.5), rtol=1e-12)
    np.testing.assert_allclose(auto["variance"].value, np.exp(2) - np.exp(1), rtol=1e-12)
    np.testing.assert_allclose(auto["gated"].values, sampled["gated"].values, rtol=1e-9)


def test_a_scalar_of_randomness_of_its_own_is_exact_in_the_samples() -> None:
    program = nexort.compile(OWN)
    auto, sampled = (program.limit(512, replicates=64, method=method)["f"] for method in ("auto", "particles"))
    assert auto.method == "mixed"
    assert auto.stderr < sampled.stderr
    assert abs(auto.value - sampled.value) < 5 * np.hypot(auto.stderr, sampled.stderr)


def test_training_begins_exactly() -> None:
    """The first step of a program whose later ones are sampled, with the numbers of particles in these."""
    text = (
        "data xi[3, 2] = normal(seed=1)\nvector u[2], v\nmatrix W\nfor t in 0..3:\n"
        "    h[a] = W @ tanh(sum[k](xi[a, k] * u[k]))\n    f[a] = <v | tanh(h[a])>\n    output f\n"
        "    output <tanh(h[a]) | tanh(h[b])> as K[a, b]\n    loss = mean[a]((f[a] - 1)^2) / 2\n"
        "    W -= grad(loss, W)\n    v -= grad(loss, v)\n"
    )
    program = nexort.compile(text)
    auto, sampled = (program.limit(256, replicates=8, method=method) for method in ("auto", "particles"))
    for name in ("f", "K"):
        assert auto[name].method == "mixed"
        assert np.all(auto[name].methods[0] == "exact")
        np.testing.assert_allclose(auto[name].values[:, -1], sampled[name].values[:, -1], rtol=1e-6)
    assert np.all(np.abs(auto["K"].value[0] - sampled["K"].value[0]) < 6 * sampled["K"].stderr[0] + 1e-3)

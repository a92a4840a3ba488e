"""Programs as text to exact limits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.kernel import kernel_program
from nexort.elaborate import elaborate
from nexort.exact import evaluate_exactly
from nexort.source import Source
from nexort.syntax import parse


def exact(text: str, *, data: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    return evaluate_exactly(elaborate(parse(Source("p.nx", text)), data=data, meaning="limit"))


def assert_close(found: object, truth: object, tolerance: float = 1e-9) -> None:
    assert np.shape(found) == np.shape(truth)
    np.testing.assert_allclose(np.asarray(found), np.asarray(truth), rtol=0, atol=tolerance)


def perceptron(phi: str, layers: int) -> str:
    """A network with `layers` hidden layers, its NNGP kernel K and NTK T; `phi` is a function of z."""
    return kernel_program(layers, phi)

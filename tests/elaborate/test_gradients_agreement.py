"""Gradients and every construct of the language: elaboration, engine and naive evaluator give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from agreement.engines import both
from elaborate.readings import assert_agreement, with_probes
from elaborate.texts import GRADIENTS, LANGUAGE

TEXTS = GRADIENTS | LANGUAGE


@pytest.mark.parametrize("n", [1, 5, 9])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_elaboration_equals_naive_evaluator(text: str, n: int) -> None:
    assert_agreement(with_probes(text), n)


@pytest.mark.parametrize("n", [1, 5, 9])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_engine_equals_naive_evaluator(text: str, n: int) -> None:
    engine, naive = both(with_probes(text), n)
    assert engine.keys() == naive.keys()
    for name, expected in naive.items():
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(engine[name], expected, rtol=0, atol=1e-10 * scale, err_msg=name)

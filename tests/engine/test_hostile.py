"""Hostile programs: the engine against the naive evaluator of program texts, on the same draws."""

from __future__ import annotations

import numpy as np
import pytest

from agreement.engines import both
from nexort.elaborate import elaborate
from nexort.engine import plan as plan_module
from nexort.finite import FiniteRun
from nexort.source import Source
from nexort.syntax import parse

from .hostile import HOSTILE

TEXTS = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())


def assert_equal(text: str, n: int) -> None:
    engine, naive = both(text, n)
    assert engine.keys() == naive.keys()
    for name, expected in naive.items():
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(engine[name], expected, rtol=0, atol=1e-10 * scale, err_msg=name)


@TEXTS
@pytest.mark.parametrize("n", [1, 2, 9])
def test_engine_equals_naive_evaluator(text: str, n: int) -> None:
    assert_equal(text, n)


@TEXTS
def test_small_tiles_change_nothing(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for constant, value in {"TILE_ENTRIES": 40, "LEAST_ROWS": 2, "LEAST_COLUMNS": 3, "CHUNKS": 3}.items():
        monkeypatch.setattr(plan_module, constant, value)
    assert_equal(text, 11)


@TEXTS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_do_not_depend_on_threads(text: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "LEAST_ROWS", 4)
    graph = elaborate(parse(Source("<text>", text)))
    one, three = (FiniteRun(graph, width=40, dtype=dtype, threads=k).trial(0) for k in (1, 3))
    for name, value in one.items():
        np.testing.assert_array_equal(three[name], value)

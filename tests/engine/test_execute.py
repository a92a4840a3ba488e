"""The engine against the naive interpreter."""

from __future__ import annotations

from . import naive
import numpy as np
import pytest
from .build import GivenMeaning, draws
from .programs import PROGRAMS

from nexort.engine import build_plan, execute


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("n", [7, 70])
def test_engine_agrees_with_the_naive_interpreter(name: str, n: int) -> None:
    graph = PROGRAMS[name]()
    initial = draws(graph, n)
    expected = naive.evaluate(graph, n, initial)
    found = execute(build_plan(graph), GivenMeaning(n, initial))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9, atol=1e-11, err_msg=key)

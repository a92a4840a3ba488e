"""`--method auto` on random programs: exact values are what the samples estimate, and are not long in coming."""

from __future__ import annotations

import time

import numpy as np
import pytest

import nexort
from nexort.api import LimitOptions
from nexort.api.mixed import split_limit
from randomized.author import program

SECONDS = 4.0
"""For the exact attempt; a third of a second at most was measured over 120 programs, on a machine at rest."""


def check(seeds: range) -> int:
    """How many elements of outputs were exact."""
    count = 0
    for seed in seeds:
        compiled = nexort.compile(program(seed).text)
        start = time.process_time()
        split = split_limit(compiled.limit_graph, LimitOptions(samples=1024))
        assert time.process_time() - start < SECONDS, seed
        sampled = compiled.limit(1024, replicates=8, method="particles")
        for name, value in split.exact.items():
            output = sampled[name]
            if isinstance(output, nexort.LimitOutput):
                is_exact = ~np.isnan(value)
                gap = np.abs(value - output.value)[is_exact]
                # eight replicates tell their error badly, and 1024 samples have a bias
                allowed = 7 * output.stderr[is_exact] + 1e-3 * np.abs(value[is_exact]) + 1e-9
                assert np.all(gap < allowed), (seed, name)
                count += int(is_exact.sum())
    return count


def test_exact_values_are_what_samples_estimate() -> None:
    assert check(range(1, 9)) > 20


@pytest.mark.long
def test_exact_values_are_what_samples_estimate_in_many_programs() -> None:
    assert check(range(100, 260)) > 500

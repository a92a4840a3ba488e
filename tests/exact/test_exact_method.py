"""`--method exact` from the outside: results without errors, whatever the samples and the seed."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nexort
from nexort.errors import NexortError

TEXT = "vector x\nmatrix W\nh = W @ x\noutput <x | W' @ sign(h)> as slope\noutput <h | h> as norm\n"


def test_results() -> None:
    program = nexort.compile(TEXT)
    result = program.limit(method="exact")
    output = result["slope"]
    assert output.method == "exact"
    assert float(output.value) == pytest.approx(np.sqrt(2 / np.pi), abs=1e-14)
    assert output.stderr == 0 and np.all(output.ci95 == output.value)
    assert output.values.shape == (1,)
    layout = json.loads(result.to_json())
    assert layout["config"]["method"] == "exact"
    assert layout["outputs"]["norm"] == {"value": 1.0, "stderr": 0.0, "ci95": [1.0, 1.0], "method": "exact"}
    assert "0.797884560803 ± 0" in result.table()
    assert result.summary().startswith("limit by the exact method: ")
    assert not result.warnings


def test_samples_and_seed_do_not_matter() -> None:
    program = nexort.compile(TEXT)
    first = program.limit(method="exact")
    second = program.limit(64, replicates=1, seed=7, method="exact", dtype="float32")
    assert all(first[name].value == second[name].value for name in first)


def test_numbers_in_the_width() -> None:
    """Limits of numbers in n are taken, and what has none is refused as it is with samples."""
    assert nexort.compile("vector x\noutput avg((x + 1 / n)^2) as m").limit(method="exact")["m"].value == 1
    with pytest.raises(NexortError) as caught:
        nexort.compile("vector x\noutput avg(sign(x / sqrt(n))) as m").limit(method="exact")
    assert "tends to 0 only through n" in caught.value.message


def test_progress_is_told() -> None:
    told: list[float] = []
    nexort.compile(TEXT).limit(method="exact", progress=lambda k, total, done: told.append(k + done))
    assert told == sorted(told) and told[-1] == 1.0

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


MANY = """
param M = 700
data xi[M, 3] = sphere(seed=1)
vector u[3]
matrix W
h[a] = W @ relu(sum[k](xi[a, k] * u[k]))
output <relu(h[a]) | relu(h[b])> as K[a, b]
"""


def test_many_inputs_are_taken_in_blocks() -> None:
    """Without asking for it, and `check` says how many; errors of 0 take no memory of their own."""
    program = nexort.compile(MANY)
    cost = program.check().exact
    assert cost is not None and 8 * 700**2 < cost.bytes < 1e9
    assert cost.line().startswith("  limit --method exact: at most ")
    assert cost.line().endswith("MB, in 6 blocks of 350 inputs")
    result = program.limit()
    output = result["K"]
    assert output.method == "exact" and not any(output.stderr.strides)
    few = nexort.compile(MANY, M=40).limit(method="exact")["K"].value
    np.testing.assert_allclose(output.value[:40, :40], few, rtol=1e-13)


def test_time_and_memory_are_limited() -> None:
    program = nexort.compile(MANY)
    stopped = program.limit(method="exact", max_seconds=1e-9)
    assert np.isnan(stopped["K"].value).all() and np.isnan(stopped["K"].stderr).all()
    assert stopped.unreached == ("K",)
    assert stopped.warnings == ("K: 490000 of 490000 numbers were not reached",)
    assert json.loads(stopped.to_json())["outputs"]["K"]["value"][0][0] is None
    with pytest.raises(NexortError) as caught:
        program.limit(method="exact", max_memory="1MB")
    assert "1 MB may be taken" in caught.value.message and caught.value.exit_status == 3
    with pytest.raises(NexortError) as caught:
        program.limit(method="particles", max_seconds=1)
    assert caught.value.hint is not None and "--method exact" in caught.value.hint


def test_what_is_computed_outlives_an_interrupt() -> None:
    program = nexort.compile("vector x\nfor t in 0..3:\n    x = tanh(x)\n    output avg(x^2) as m\n")

    def interrupt(_: int, __: int, done: float) -> None:
        if 0.8 < done < 1:
            raise KeyboardInterrupt

    with pytest.raises(nexort.Interrupted) as caught:
        program.limit(method="exact", progress=interrupt)
    assert caught.value.results is not None
    value = caught.value.results["m"].value
    assert np.isfinite(value[:2]).all() and np.isnan(value[2])
    assert caught.value.results.warnings == ("m: 1 of 3 numbers were not reached",)

"""NEXORT from Python: programs, results, interrupts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort.errors import DataFault, NexortError, UsageFault

TRANSPOSE = "vector x\nmatrix W\nq = W' @ sign(W @ x)\noutput <x|q> as s\n"
WEIGHTED = "param T = 2\ndata c[M] = [1, 2]\nvector x\nfor t in 0..T:\n    output c[a] * <x|x> as K[a]\n"


@pytest.fixture(scope="module")
def transpose() -> nexort.Program:
    return nexort.compile(TRANSPOSE)


def test_run(transpose):
    results = transpose.run(width=24, trials=4)
    output = results["s"]
    assert output.trials == 4
    assert output.values.shape == (4,)
    assert output.mean.shape == output.std.shape == output.stderr.shape == ()
    np.testing.assert_allclose(output.std, output.values.std(ddof=1))
    np.testing.assert_allclose(output.stderr, output.std / 2)
    assert list(results) == ["s"]
    assert results.config["set"] == {}
    assert str(results).splitlines()[-1].startswith("run: width 24, 4 trials")


def test_limit(transpose):
    output = transpose.limit(samples=256, replicates=6, method="particles")["s"]
    assert output.method == "particles"
    assert output.ci95.shape == (2,)
    assert output.ci95[0] < output.value < output.ci95[1]
    # the error bar is small enough to tell the limit from 0, which a limit without the dot ket would give
    assert output.stderr < 0.1
    assert abs(output.value - np.sqrt(2 / np.pi)) < 5 * output.stderr


def test_seeds(transpose):
    first, again, other = (transpose.run(width=24, trials=2, seed=seed)["s"].values for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_one_trial_is_a_result_with_a_warning(transpose):
    results = transpose.run(width=24, trials=1)
    assert np.isnan(results["s"].stderr)
    assert results.warnings == ("one trial has no standard error: use --trials 2 or more",)
    assert "warning: one trial" in str(results)
    assert json.loads(results.to_json())["outputs"]["s"]["stderr"] is None


def test_params_and_data(tmp_path: Path):
    path = tmp_path / "weighted.nx"
    path.write_text(WEIGHTED)
    program = nexort.load(path, data={"c": [1, 2, 3]}, T=np.int64(4))
    results = program.run(width=8, trials=2)
    assert results["K"].mean.shape == (4, 3)
    assert json.loads(results.to_json())["config"]["set"] == {"T": 4}
    assert results.config["data"] == "c"
    np.savez(tmp_path / "c.npz", c=np.arange(5.0))
    results = nexort.load(path, data=tmp_path / "c.npz").run(width=8, trials=2)
    assert results["K"].mean.shape == (2, 5)
    results.save_npz(str(tmp_path / "out.npz"))
    with np.load(tmp_path / "out.npz") as arrays:
        np.testing.assert_array_equal(arrays["K"], results["K"].values)


@pytest.mark.parametrize("value", [True, "3", float("nan"), 10**400, None, 1j])
def test_params_are_finite_numbers(value):
    with pytest.raises(UsageFault, match="param T must be"):
        nexort.compile(WEIGHTED, T=value)


@pytest.mark.parametrize("array", [[[1], [2, 3]], ["a"], [1j], [None]])
def test_data_are_arrays_of_real_numbers(array):
    with pytest.raises(DataFault, match="data 'c'"):
        nexort.compile(WEIGHTED, data={"c": array})


def test_wrong_programs_raise_with_the_place():
    with pytest.raises(NexortError) as caught:
        nexort.compile("vector x\noutput <x|y>\n")
    assert caught.value.span is not None
    assert caught.value.span.place == "<text>:2:11"


def test_unknown_outputs_are_key_errors(transpose):
    results = transpose.run(width=8, trials=2)
    assert "t" not in results
    assert results.get("t") is None
    with pytest.raises(KeyError, match="no output 't'"):
        results["t"]


def test_an_interrupt_keeps_what_was_finished(transpose):
    def interrupt_third(index: int, count: int, fraction: float) -> None:
        assert count == 5
        assert 0 <= fraction <= 1
        if index == 2:
            raise KeyboardInterrupt

    whole = transpose.run(width=8, trials=5)["s"].values
    with pytest.raises(nexort.Interrupted) as caught:
        transpose.run(width=8, trials=5, progress=interrupt_third)
    results = caught.value.results
    assert isinstance(results, nexort.RunResults)
    assert results.warnings == ("interrupted: 2 of 5 trials finished",)
    np.testing.assert_array_equal(results["s"].values, whole[:2])


def test_the_facade_names_everything():
    assert all(getattr(nexort, name) is not None for name in nexort.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lood'"):
        nexort.lood  # noqa: B018
    assert dir(nexort) == sorted(nexort.__all__)


def test_lower_and_check(transpose):
    assert "MatMul" in transpose.lower()
    report = transpose.check(width=8)
    assert [cost.mode for cost in report.costs] == ["run"]
    assert str(report).startswith("<text>: no errors\n")


def test_check_names_the_statement_that_takes_the_time() -> None:
    text = "vector x, y, z\nG{i,j} = avg{k}(tanh(x{i} * y{j} + z{k}))\noutput <x | G @ y>\n"
    report = nexort.compile(text).check(width=200)
    assert [cost.heaviest for cost in report.costs] == ["<text>:2:17"] * 2
    assert "of the time: <text>:2:17" in str(report)

"""`--method auto`: exact where the exact method can, sampled elsewhere, and each number says which."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort.api import LimitOptions
from nexort.api.mixed import LEAST_WORK, affordable_blocks, split_limit
from nexort.cli import main

PROGRAMS = Path(__file__).parents[2] / "programs"

GATED = """\
vector a, b, c
output avg(relu(a) * relu(a + b)) as plane
output avg(tanh(a * b * c)^2) as space
"""
STEPS = """\
vector x, y, z
for t in 0..3:
    output avg(relu(x)^2) as s
    x = tanh(x * y + z)
"""
RANDOM = """\
scalar s ~ N(1, 4)
vector w, x, y, z
m = avg(relu(w)^2)
output s * m as f
output m
output avg(tanh(x * y * z * s)^2) as g
"""
PLANE = 1 / np.pi * (np.pi - np.pi / 4) / np.sqrt(2) * np.sqrt(2) / 2 + 1 / (2 * np.pi)
"""√2 (sin θ + (π − θ) cos θ)/2π at θ = π/4."""


def test_each_output_says_its_method() -> None:
    found = nexort.compile(GATED).limit(64, replicates=4)
    plane, space = found["plane"], found["space"]
    assert (plane.method, space.method) == ("exact", "particles")
    np.testing.assert_allclose(plane.value, PLANE, rtol=0, atol=1e-10)
    assert plane.stderr == 0 and np.all(plane.ci95 == plane.value)
    assert plane.values.shape == (4,) and np.all(plane.values == plane.value)
    assert space.stderr > 0
    lines = found.table().splitlines()
    assert [line.split()[-1] for line in lines[:3]] == ["method", "exact", "particles"]
    assert lines[3].startswith("limit by exact and particles: 64 samples, 4 replicates, seed 0")
    layout = json.loads(found.to_json())
    assert [layout["outputs"][name]["method"] for name in ("plane", "space")] == ["exact", "particles"]


def test_what_stays_sampled_has_the_same_samples() -> None:
    """Draws are keyed by names: what is left out changes no number of the rest, if the symmetries are the same."""
    program = nexort.compile(GATED.replace("relu(a) * relu(a + b)", "abs(a) * abs(b)^3"))
    mixed, sampled = (program.limit(64, replicates=4, method=method) for method in ("auto", "particles"))
    np.testing.assert_allclose(mixed["space"].values, sampled["space"].values, rtol=1e-12)
    assert sampled["plane"].method == "particles" and sampled["plane"].stderr > 0


def test_an_output_may_be_exact_in_some_elements() -> None:
    s = nexort.compile(STEPS).limit(64, replicates=4)["s"]
    assert s.method == "mixed"
    assert list(s.methods) == ["exact", "particles", "particles"]
    assert s.value[0] == pytest.approx(0.5, abs=1e-14)
    assert s.stderr[0] == 0 and np.all(s.stderr[1:] > 0)
    rows = nexort.compile(STEPS).limit(64, replicates=4).table().splitlines()
    assert [row.split()[-1] for row in rows[1:4]] == ["exact", "particles", "particles"]


def test_one_replicate_knows_the_error_of_exact_elements_only() -> None:
    found = nexort.compile(STEPS).limit(64, replicates=1)
    output = json.loads(found.to_json())["outputs"]["s"]
    assert output["stderr"] == [0.0, None, None]
    assert "one replicate has no standard error: use --replicates 2 or more" in found.warnings
    exact = nexort.compile("vector x\noutput avg(relu(x)^2)").limit(64, replicates=1)
    assert exact.warnings == () and exact["output1"].stderr == 0


def test_exact_elements_keep_their_digits_in_float32() -> None:
    program = nexort.compile("vector x, y, z\noutput avg(relu(x)^2) / 3 as s\noutput avg(tanh(x * y * z)^2) as t\n")
    assert float(program.limit(64, replicates=2, dtype="float32")["s"].value) == pytest.approx(1 / 6, abs=1e-15)
    steps = nexort.compile(STEPS.replace("avg(relu(x)^2)", "avg(relu(x)^2) / 3")).limit(64, dtype="float32")["s"]
    assert steps.value[0] == pytest.approx(1 / 6, abs=1e-15)


def test_exact_scalars_inside_samples() -> None:
    """w is read for the scalar alone: it is not sampled, and the output has the noise of x, y, z only."""
    text = "vector w, x, y, z\noutput avg(w^4) * (1 + avg(tanh(x * y * z)^2)) as f\n"
    auto, sampled = (nexort.compile(text).limit(256, replicates=16, method=m)["f"] for m in ("auto", "particles"))
    assert auto.method == "mixed"
    assert float(auto.stderr) < 0.5 * float(sampled.stderr)
    assert abs(auto.value - sampled.value) < 5 * np.hypot(auto.stderr, sampled.stderr)


def test_random_limits_are_sampled_around_exact_numbers() -> None:
    found = nexort.compile(RANDOM).limit(64, replicates=3, draws=20)
    assert [found[name].method for name in ("f", "m", "g")] == ["mixed", "exact", "particles"]
    # the scalar's draws times an exact 1/2: no noise of the kets is left between replicates
    np.testing.assert_allclose(found["f"].values, found["f"].values[:1].repeat(3, axis=0), rtol=1e-13)
    given = nexort.compile(RANDOM).limit(64, replicates=3, given={"s": 3.0})
    assert given["f"].method == "exact" and given["f"].value == pytest.approx(1.5)


def test_what_is_zero_by_symmetry_is_exact() -> None:
    """Also where the ket is not: the output of a gated network at initialisation."""
    f = nexort.load(PROGRAMS / "gru.nx").limit(64, replicates=2)["f"]
    assert f.method == "exact" and not f.value.any()


def test_a_tolerance_is_for_what_is_sampled() -> None:
    found = nexort.compile(STEPS).limit(64, tol=0.02)
    assert found.unreached == () and found.tolerance is not None
    assert found["s"].stderr[0] == found["s"].bias[0] == found["s"].bias_stderr[0] == 0
    assert 0 < found["s"].stderr[1] < 0.02
    exact = nexort.compile("vector x\noutput avg(relu(x)^2)").limit(64, tol=1e-13)
    assert exact.tolerance is None and exact.unreached == ()


def test_interrupt() -> None:
    def stop(k: int, count: int, fraction: float) -> None:
        if k == 1:
            raise KeyboardInterrupt

    with pytest.raises(nexort.Interrupted) as caught:
        nexort.compile(GATED).limit(64, replicates=4, progress=stop)
    results = caught.value.results
    assert isinstance(results, nexort.LimitResults)
    assert results["plane"].method == "exact"
    assert results.warnings[0] == f"interrupted: {results['space'].replicates} of 4 replicates finished"


def test_warnings_are_those_of_what_is_sampled() -> None:
    many = "vector x[60]\nmatrix W\nh[a] = W @ x[a]\noutput <h[a] | tanh(h[b])> as K[a, b]\n"
    assert nexort.compile(many).limit(64, replicates=2, method="particles").warnings
    assert nexort.compile(many).limit(64, replicates=2).warnings == ()
    jump = "vector v, x\noutput sign(<v|x>) as s\n"
    for method in ("auto", "exact", "particles"):
        (warning,) = nexort.compile(jump).limit(64, replicates=2, method=method).warnings
        assert "a value that is 0 by symmetry meets a jump" in warning


def test_compare_takes_exact_limits() -> None:
    found = nexort.compile(GATED).compare([16, 64], trials=4, samples=64, results=None)
    assert found["plane"].limit.method == "exact"
    np.testing.assert_array_equal(found["plane"].gap_stderr(64), found["plane"].runs[64].stderr)
    only = nexort.compile("vector x\noutput avg(relu(x))").compare([16, 64], trials=4, results=None)
    assert "limit with exact values" in only.summary()


def test_the_programs_that_ship() -> None:
    """Which are exact; the first step of each training is."""
    exact = {"amp", "attention", "fuss_catalan", "layer_norm", "marchenko_pastur", "nngp_ntk_mlp", "outer_product"}
    exact |= {"transpose"}
    for name in sorted(exact | {"resnet", "train_mlp", "rnn"}):
        split = split_limit(nexort.load(PROGRAMS / f"{name}.nx").limit_graph, LimitOptions())
        methods = {split.method(output) for output in split.names}
        assert methods == ({"exact"} if name in exact else {"mixed"}), name
        first = split.refusals.get("f")
        assert name in exact or (
            first is not None and first.span is not None and first.message.startswith("not exact, ")
        )


# the bound on the work

KERNELS = """\
param L = 6
data xi[M, 3] = normal(seed=1)
vector u[3]
matrix W[L]
h[a] = sum[k](xi[a, k] * u[k])
for l in 0..L:
    h[a] = W[l] @ tanh(h[a])
output <h[a] | h[b]> as K[a, b]
"""
INPUTS = np.random.default_rng(1).standard_normal((12, 3))


def test_the_work_is_bounded_by_that_of_sampling() -> None:
    """Counted, not timed: few samples cannot pay for these integrals, many can."""
    graph = nexort.compile(KERNELS, data={"xi": INPUTS}).limit_graph
    few, many = (split_limit(graph, LimitOptions(samples=n)) for n in (64, 1 << 20))
    assert few.method("K") == "particles"
    assert few.refusals["K"].message.endswith("more work than sampling would be")
    assert many.method("K") == "exact" and not many.refusals
    assert split_limit(graph, LimitOptions(samples=1 << 20), most=LEAST_WORK / 2).method("K") == "particles"


def test_kernels_of_many_inputs_are_exact_where_that_is_no_more_work() -> None:
    """Closed forms cost little for each pair of inputs, integrals much."""
    inputs = {"xi": np.random.default_rng(1).standard_normal((700, 3))}
    for phi, is_exact in (("relu", True), ("silu", False)):
        graph = nexort.compile(KERNELS.replace("tanh", phi), data=inputs).limit_graph
        assert (affordable_blocks(graph, LimitOptions(samples=1024)) is not None) is is_exact
    few = nexort.compile(KERNELS.replace("tanh", "relu"), data={"xi": INPUTS}).limit_graph
    assert affordable_blocks(few, LimitOptions()) is None


def test_a_statement_beyond_the_memory_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexort.api.mixed.available_bytes", lambda: 10_000)
    split = split_limit(nexort.compile(KERNELS, data={"xi": INPUTS}).limit_graph, LimitOptions(samples=64))
    assert split.method("K") == "particles"
    assert split.refusals["K"].message.startswith("not exact: it would take ")


@pytest.mark.parametrize("body", ["tanh(y + sin(y)) + 0.1", "y * tanh(y)", "relu(y - 0.1 * x)^2 - y"])
def test_functions_inside_one_another_are_given_up(body: str) -> None:
    """As trees they double at each step, or are deeper than a walk can go; the samples do not care."""
    text = f"vector x\ny = x\nfor t in 0..400:\n    y = 0.5 * ({body})\noutput avg(y) as m\n"
    assert nexort.compile(text).limit(16, replicates=2)["m"].method == "particles"


def test_memory_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("nexort.api.mixed.evaluate_where_possible", fail)
    assert nexort.compile(GATED).limit(64, replicates=2)["plane"].method == "particles"


# check


def test_check_names_the_statement_that_is_in_the_way() -> None:
    report = nexort.compile(GATED).check(samples=64)
    plane, space = report.methods
    assert (plane.output, plane.method, plane.place, plane.reason) == ("plane", "exact", "", "")
    assert (space.method, space.place) == ("particles", "<text>:3:8")
    assert space.reason == "not exact: the functions here depend on more than two Gaussian directions at once"
    assert f"  space: particles; <text>:3:8: {space.reason}" in str(report).splitlines()
    assert [cost.mode for cost in report.costs] == ["limit"]
    steps = nexort.compile(STEPS).check(samples=64).methods
    assert [(x.method, x.place) for x in steps] == [("mixed", "<text>:3:12")]
    assert steps[0].reason.startswith("not exact, t = 1: ")
    assert nexort.compile("vector x\noutput avg(x^2)").check().costs == ()


def test_check_speaks_of_what_is_sampled() -> None:
    many = "vector x[60], z\nmatrix W\nh[a] = W @ x[a]\noutput <h[a] | tanh(h[b])> as K[a, b]\n"
    assert nexort.compile(many).check(samples=64).warnings == ()
    gated = many.replace("<h[a] | tanh(h[b])>", "avg(tanh(abs(h[a] * x[b]) * z)^2)")
    assert nexort.compile(gated).check(samples=64).warnings


def test_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "p.nx"
    path.write_text(GATED)
    for method, expected in (("auto", ["exact", "particles"]), ("particles", ["particles"] * 2)):
        assert main(["limit", str(path), "--samples", "64", "--method", method, "--json"]) == 0
        layout = json.loads(capsys.readouterr().out)
        assert [output["method"] for output in layout["outputs"].values()] == expected
    assert main(["limit", str(path), "--method", "exact"]) == 3
    assert "p.nx:3:8: error: not exact: the functions here depend on more than two" in capsys.readouterr().err

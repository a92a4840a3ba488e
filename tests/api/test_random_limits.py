"""Limits that stay random, as results: layout, table, arrays, warnings, given starts."""

from __future__ import annotations

import json

import numpy as np
import pytest

import nexort
from nexort.api import read_given
from nexort.errors import DataFault, UsageFault

TEXT = """\
scalar s ~ N(1, 4), c[2] ~ N(0, 1)
vector x
output s * <x|x> + c[a] as f[a]
output avg(relu(x)^2) as k
"""


@pytest.fixture(scope="module")
def program():
    return nexort.compile(TEXT)


@pytest.fixture(scope="module")
def limit(program):
    return program.limit(samples=32, replicates=3, draws=40, method="particles")


def test_layout(limit) -> None:
    f, k = limit["f"], limit["k"]
    assert isinstance(f, nexort.RandomLimitOutput)
    assert isinstance(k, nexort.LimitOutput)
    assert (f.values.shape, f.replicates, f.draws, f.method) == ((3, 40, 2), 3, 40, "particles")
    np.testing.assert_allclose(f.mean, f.values.mean(axis=(0, 1)))
    np.testing.assert_allclose(f.std, np.sqrt(f.values.var(axis=1, ddof=1).mean(axis=0)))
    assert k.values.shape == (3,)
    layout = json.loads(limit.to_json())
    assert set(layout["outputs"]["f"]) == {"mean", "std", "stderr", "draws", "method"}
    assert layout["outputs"]["f"]["draws"] == 40
    assert set(layout["outputs"]["k"]) == {"value", "stderr", "ci95", "method"}
    assert layout["config"]["draws"] == 40
    assert layout["config"]["given"] == []


def test_law(program) -> None:
    """s ⟨x⎸x⟩ + c is N(1, 5); the draws are the same in all replicates, so that they are what the error counts."""
    f = program.limit(samples=16, replicates=2, draws=2000)["f"]
    assert np.all(np.abs(f.mean - 1) < 4.5 * f.stderr)
    np.testing.assert_allclose(f.stderr, f.std / np.sqrt(2000), rtol=1e-6)
    assert np.all(np.abs(f.std**2 - 5) < 4.5 * 5 * np.sqrt(2 / 2000))


def test_replicate_and_draw_keep_their_numbers(program, limit) -> None:
    more = program.limit(samples=32, replicates=4, draws=50, method="particles")
    np.testing.assert_array_equal(more["f"].values[:3, :40], limit["f"].values)


def test_table_has_a_part_for_each_kind(limit) -> None:
    lines = limit.table().splitlines()
    assert lines[0].split() == ["output", "limit", "95", "%", "±", "method"]
    assert lines[1].startswith("k ")
    assert lines[2].split() == ["output", "mean", "std", "method"]
    assert [line.split("  ")[0] for line in lines[3:5]] == ["f[0]", "f[1]"]
    assert lines[5].startswith("limit by particles: 32 samples, 3 replicates, 40 draws each, seed 0")


def test_tables_of_one_kind_only() -> None:
    random = nexort.compile("scalar s ~ N(0, 1)\noutput s").limit(samples=8, replicates=2, draws=3)
    assert [line.split()[0] for line in random.table().splitlines()] == ["output", "s", "limit"]
    fixed = nexort.compile("scalar s = 2\noutput s").limit(samples=8, replicates=2)
    assert [line.split()[0] for line in fixed.table().splitlines()] == ["output", "s", "limit"]
    assert "draws" not in fixed.table()


def test_arrays(limit, tmp_path) -> None:
    limit.save_npz(str(tmp_path / "out.npz"))
    with np.load(tmp_path / "out.npz") as saved:
        assert set(saved) == {"f", "f_stderr", "f_std", "f_draws", "k", "k_stderr"}
        np.testing.assert_array_equal(saved["f"], limit["f"].mean)
        np.testing.assert_array_equal(saved["f_draws"], limit["f"].values)


def test_what_one_draw_does_not_tell(program) -> None:
    one = program.limit(samples=16, replicates=2, draws=1)
    assert one.to_dict()["outputs"]["f"]["std"] is None
    assert one.to_dict()["outputs"]["f"]["stderr"] is None
    assert "one draw of a random limit has no spread: use --draws 2 or more" in one.warnings
    assert "?" in one.table()
    fixed = nexort.compile("vector x\noutput <x|x>").limit(samples=16, replicates=2, draws=1, method="particles")
    assert not fixed.warnings


def test_one_replicate_has_a_spread_and_no_error(program) -> None:
    one = program.limit(samples=16, replicates=1, draws=8).to_dict()["outputs"]["f"]
    assert one["stderr"] is None
    assert one["std"] is not None


def test_interrupted_between_replicates(program) -> None:
    def stop(k: int, total: int, fraction: float) -> None:
        if k == 2:
            raise KeyboardInterrupt

    with pytest.raises(nexort.Interrupted) as caught:
        program.limit(samples=16, replicates=4, draws=5, progress=stop)
    assert caught.value.results["f"].values.shape == (2, 5, 2)


def test_value_of_a_draw_that_is_not_finite_is_named() -> None:
    program = nexort.compile("scalar s ~ N(0, 1)\noutput log(s)")
    with pytest.raises(nexort.NexortError, match="not finite"):
        program.limit(samples=8, replicates=1)


def test_check_names_what_stays_random(program) -> None:
    report = program.check(samples=64)
    assert [output.source for output in report.outputs] == ["family of scalars, random in the limit", "scalar"]
    assert 0 < report.costs[0].draw_seconds <= report.costs[0].seconds
    fixed = nexort.compile("vector x, y, z\noutput avg(tanh(x * y * z)^2)").check(samples=64)
    assert fixed.costs[0].draw_seconds == 0
    assert "draw" not in str(fixed)


TRAINING = """\
import "optimizers.nx"
param M = 2
data xi[M] = [1, -0.5]
data y[M] = [1, 2]
model net(xi):
    vector u, v
    matrix W
    return v * tanh(W @ tanh(xi * u))
train net on xi, y:
    loss = (f - y)^2 / 2
    optimizer = sgd()
    rate = 0.5
    steps = 3
    parametrization = ntp
    center = false
"""


def test_uncentred_tangent_limit_has_the_law_of_wide_networks() -> None:
    program = nexort.compile(TRAINING)
    limit, run = program.limit(samples=256, replicates=4, draws=75)["f"], program.run(128, trials=200)["f"]
    assert isinstance(limit, nexort.RandomLimitOutput)
    assert np.all(np.abs(limit.mean - run.mean) < 4.5 * np.hypot(limit.stderr, run.stderr) + 0.02)
    # a Gaussian process: the standard error of a standard deviation is its size / sqrt(2 R)
    error = np.hypot(limit.std / np.sqrt(600), run.std / np.sqrt(400))
    assert np.all(np.abs(limit.std - run.std) < 4.5 * error + 0.02)


def test_given_output_at_initialisation_gives_its_trajectory() -> None:
    program = nexort.compile(TRAINING)
    free = program.limit(samples=128, replicates=2, draws=3, method="particles")["f"]
    one = program.limit(samples=128, replicates=2, given={"f0": free.values[1, 2, 0]}, method="particles")["f"]
    np.testing.assert_allclose(one.values[1], free.values[1, 2], atol=1e-10)


def test_check_of_a_training_without_a_limit() -> None:
    report = nexort.compile(TRAINING.replace("ntp", "standard")).check(width=16, samples=64)
    assert [cost.mode for cost in report.costs] == ["run"]
    assert "`nexort limit` will refuse this program" in report.warnings[0]
    report = nexort.compile(TRAINING).check(samples=64)
    assert [output.source for output in report.outputs] == ["family of scalars, random in the limit"] * 2


# ---------------------------------------------------------------------- given


def test_given_starts_leave_what_is_not_given_random(program) -> None:
    one = program.limit(samples=16, replicates=2, given={"s": 2.0, "c": [3, 4]})
    np.testing.assert_allclose(one["f"].value, [5, 6])
    np.testing.assert_allclose(one["f"].stderr, 0, atol=1e-12)
    assert one.config["given"] == ["s", "c"]
    half = program.limit(samples=16, replicates=2, draws=500, given={"s": 2.0})["f"]
    assert np.all(np.abs(half.mean - 2) < 4.5 * half.stderr)
    assert np.all(np.abs(half.std - 1) < 4.5 / np.sqrt(1000))


@pytest.mark.parametrize(
    ("given", "fault", "message"),
    [
        ({"t": 1.0}, UsageFault, "no random start 't'"),
        ({"x": 1.0}, UsageFault, "no random start 'x'"),
        ({"s": [1.0]}, DataFault, r"has shape \(1,\), and it has shape \(\) in the program"),
        ({"c": [[1.0], [1.0, 2.0]]}, DataFault, "ragged"),
        ({"c": ["a", "b"]}, DataFault, "entries of type"),
        ({"c": [1.0, float("nan")]}, DataFault, "not finite"),
    ],
)
def test_given_starts_that_do_not_fit(program, given, fault, message) -> None:
    with pytest.raises(fault, match=message):
        program.limit(samples=16, given=given)


def test_given_starts_that_can_be_given_are_listed(program) -> None:
    with pytest.raises(UsageFault, match="what can be given: s, c"):
        program.limit(samples=16, given={"start": 1.0})
    with pytest.raises(UsageFault, match="did you mean 'c'"):
        nexort.compile("scalar c ~ N(0, 1)\nvector x\noutput c").limit(samples=16, given={"cc": 1.0})
    with pytest.raises(UsageFault, match="nothing in it starts at random"):
        nexort.compile("scalar c = 1\noutput c").limit(samples=16, given={"c": 1.0})


def test_read_given(tmp_path) -> None:
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    np.savez(one, start=np.ones(2))
    np.savez(two, s=np.zeros(()), c=np.ones(3))
    found = read_given([f"c={one}", f" s = {two}"])
    assert {name: array.tolist() for name, array in found.items()} == {"c": [1.0, 1.0], "s": 0.0}
    for settings, fault, message in (
        (["s"], UsageFault, "expected NAME=FILE.npz"),
        ([f"s={two}", f"s={one}"], UsageFault, "given twice"),
        ([f"t={two}"], DataFault, "has no array 't': it holds s, c"),
        ([f"s={tmp_path}/none.npz"], DataFault, "check the path behind --given"),
    ):
        with pytest.raises(fault, match=message):
            read_given(settings)

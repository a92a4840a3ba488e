"""What run, limit and check print and write: table, JSON, npz, warnings."""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np
import pytest

import nexort as package

RUN = ("--width", 24, "--trials", 3)
LIMIT = ("--samples", 64, "--replicates", 3, "--method", "particles")
ROOT_2_PI = np.sqrt(2 / np.pi)


def read_json(outcome) -> dict:
    assert outcome.status == 0, outcome.err
    return json.loads(outcome.out)


def test_run_json(nexort, family):
    found = read_json(nexort("run", family, *RUN, "--set", "eta=1_0e-1", "--json"))
    assert list(found) == ["nexort", "program", "mode", "config", "outputs", "seconds", "warnings"]
    assert found["nexort"] == package.__version__
    assert (found["program"], found["mode"], found["warnings"]) == (str(family), "run", [])
    assert found["config"] == {
        "width": 24,
        "trials": 3,
        "seed": 0,
        "init": "gaussian",
        "dtype": "float64",
        "device": "cpu",
        "engine": "auto",
        "set": {"eta": 1.0},
        "data": None,
        "json": True,
        "out": None,
        "quiet": False,
    }
    output = found["outputs"]["K"]
    assert list(output) == ["mean", "std", "stderr", "trials"]
    assert output["trials"] == 3
    assert np.shape(output["mean"]) == np.shape(output["std"]) == np.shape(output["stderr"]) == (3, 2, 2)
    np.testing.assert_allclose(output["stderr"], np.array(output["std"]) / np.sqrt(3))
    assert found["seconds"] > 0


def test_limit_json(nexort, transpose):
    found = read_json(nexort("limit", transpose, *LIMIT, "--json", "--seed", 5))
    assert found["mode"] == "limit"
    config = {"samples": 64, "replicates": 3, "seed": 5, "tol": None, "method": "particles", "dtype": "float64"}
    assert config.items() <= found["config"].items()
    output = found["outputs"]["s"]
    assert list(output) == ["value", "stderr", "ci95", "method"]
    low, high = output["ci95"]
    # Student's t with 2 degrees of freedom
    assert high - output["value"] == pytest.approx(4.30265 * output["stderr"], rel=1e-4)
    assert low + high == pytest.approx(2 * output["value"])
    assert output["method"] == "particles"
    assert output["value"] == pytest.approx(ROOT_2_PI, abs=0.5)


def test_one_repetition_has_no_error(nexort, transpose, tmp_path):
    run, limit = tmp_path / "run.npz", tmp_path / "limit.npz"
    found = read_json(nexort("run", transpose, "--width", 24, "--trials", 1, "--json", "--out", run))
    assert found["outputs"]["s"]["std"] is found["outputs"]["s"]["stderr"] is None
    assert found["warnings"] == ["one trial has no standard error: use --trials 2 or more"]
    one = ("--samples", 64, "--replicates", 1, "--method", "particles")
    outcome = nexort("limit", transpose, *one, "--json", "--out", limit)
    found = read_json(outcome)
    assert found["outputs"]["s"]["ci95"] is found["outputs"]["s"]["stderr"] is None
    assert "warning: one replicate has no standard error" in outcome.err
    with np.load(limit) as arrays:
        assert np.isnan(arrays["s_stderr"])
    table = nexort("limit", transpose, *one)
    assert " ± ?" in table.out.splitlines()[1]


def test_npz_layouts(nexort, family, tmp_path):
    path = tmp_path / "result"
    assert nexort("run", family, *RUN, "--out", path).status == 0
    with np.load(path) as arrays:
        assert {name: arrays[name].shape for name in arrays} == {"K": (3, 3, 2, 2)}
    assert nexort("limit", family, *LIMIT, "--out", path).status == 0
    with np.load(path) as arrays:
        assert {name: arrays[name].shape for name in arrays} == {"K": (3, 2, 2), "K_stderr": (3, 2, 2)}
        assert arrays["K"].dtype == np.float64
    assert sorted(os.listdir(tmp_path)) == ["family.nx", "result"]


def test_more_trials_extend_fewer(nexort, transpose, tmp_path):
    few, many = tmp_path / "few.npz", tmp_path / "many.npz"
    nexort("run", transpose, "--width", 24, "--trials", 2, "--out", few)
    nexort("run", transpose, "--width", 24, "--trials", 4, "--out", many)
    with np.load(few) as a, np.load(many) as b:
        np.testing.assert_array_equal(a["s"], b["s"][:2])


def test_tables(nexort, family, transpose):
    outcome = nexort("limit", transpose, *LIMIT)
    assert (outcome.status, outcome.err) == (0, "")
    titles, row, footer = outcome.out.splitlines()
    assert titles.split() == ["output", "limit", "95", "%", "±", "method"]
    assert row.startswith("s ")
    assert footer.startswith("limit by particles: 64 samples, 3 replicates, seed 0, float64, ")
    outcome = nexort("run", family, *RUN)
    assert outcome.out.splitlines()[0].split() == ["output", "mean", "std"]
    assert "K[2, 1, 1]" in outcome.out
    assert outcome.out.splitlines()[-1].startswith("run: width 24, 3 trials, seed 0, float64, ")


def test_quiet_leaves_standard_error_empty(nexort, transpose):
    loud = nexort("run", transpose, "--width", 24, "--trials", 1)
    assert loud.err == "warning: one trial has no standard error: use --trials 2 or more\n"
    quiet = nexort("run", transpose, "--width", 24, "--trials", 1, "--quiet")
    assert (quiet.status, quiet.err) == (0, "")
    assert quiet.out.splitlines()[:2] == loud.out.splitlines()[:2]


def test_data_replaces_stand_ins(nexort, family, tmp_path):
    data = tmp_path / "data.npz"
    np.savez(data, c=np.array([1.0, 2.0, 3.0]))
    found = read_json(nexort("run", family, *RUN, "--data", data, "--json"))
    assert np.shape(found["outputs"]["K"]["mean"]) == (3, 3, 3)
    assert found["config"]["data"] == str(data)


def test_numbers_that_are_not_finite_fail_the_computation(nexort, tmp_path):
    program = tmp_path / "overflow.nx"
    program.write_text("vector x\ns = <x|x>\noutput exp(1000 * s)\n")
    for command in (["run", program, *RUN], ["limit", program, *LIMIT]):
        outcome = nexort(*command)
        assert (outcome.status, outcome.out) == (3, "")
        assert "not finite" in outcome.err
        assert f"{program}:3:" in outcome.err


def test_too_much_memory_is_refused(nexort, transpose):
    outcome = nexort("run", transpose, "--width", 10_000_000)
    assert (outcome.status, outcome.out) == (3, "")
    assert "memory" in outcome.err
    assert "--width" in outcome.err


def test_check(nexort, family):
    outcome = nexort("check", family, "--set", "eta=2", "--width", 24)
    assert (outcome.status, outcome.err) == (0, "")
    for line in (
        f"{family}: no errors",
        "  K[3, 2, 2]: family of scalars",
        "  T: 3",
        "  eta: 2 (--set; the program has 0.5)",
        "  c[2]: [1, 2]",
    ):
        assert line in outcome.out.splitlines()
    assert "  run --width 24: " in outcome.out
    assert "  K: exact" in outcome.out.splitlines()
    report = json.loads(nexort("check", family, "--json").out)
    assert report["outputs"] == [{"name": "K", "shape": [3, 2, 2], "source": "family of scalars"}]
    assert report["methods"] == [{"output": "K", "method": "exact", "place": "", "reason": ""}]
    assert report["costs"] == []


def test_lower(nexort, transpose):
    outcome = nexort("lower", transpose)
    assert outcome.status == 0
    assert "MatMul" in outcome.out
    assert nexort("lower", transpose, "--paper").out != outcome.out


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_at_the_end(spawn, transpose, nexort):
    outcome = nexort("limit", transpose, *LIMIT, "--out", "/dev/full")
    assert outcome.status == 3
    assert outcome.out.startswith("output ")
    assert "cannot write '/dev/full': No space left on device" in outcome.err
    with open("/dev/full", "w") as full:
        process = spawn("limit", transpose, *LIMIT, stdout=full, stderr=subprocess.PIPE, text=True)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert err == "error: cannot write to standard output: No space left on device\n"


def test_a_reader_that_goes_away(spawn, transpose, tmp_path):
    out = tmp_path / "out.npz"
    process = spawn("limit", transpose, *LIMIT, "--out", out, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), err) == (0, b"")
    assert out.exists()


def test_a_terminal_without_unicode(spawn, transpose):
    process = spawn("limit", transpose, *LIMIT, stdout=subprocess.PIPE, text=True, env={"PYTHONIOENCODING": "ascii"})
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert r"\xb1" in out

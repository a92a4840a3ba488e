"""`nexort compare`: what it prints, writes and keeps, and the command lines it refuses."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from cli.test_cli_interrupt import interrupt_after

FLAGS = ("--widths", "8,16,32", "--trials", 4, "--samples", 64, "--replicates", 3, "--method", "particles")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are kept in the current directory."""
    monkeypatch.chdir(tmp_path)


def test_the_table(nexort, transpose):
    outcome = nexort("compare", transpose, *FLAGS)
    assert (outcome.status, outcome.err) == (0, "")
    means, deviations, *_, footer = outcome.out.rstrip("\n").split("\n\n")
    title, heads, row = means.splitlines()
    assert title == "mean ± standard error (gap to the limit in standard errors)"
    assert re.split(r"  +", heads) == ["output", "limit", "width 8", "width 16", "width 32"]
    estimate = r"\d\.\d+ ± \d\.\d+"
    assert re.fullmatch(rf"s +{estimate}( +{estimate} \([+-]\d+\.\d\)){{3}}", row)
    title, heads, row = deviations.splitlines()
    assert title == "rms deviation of single trials from the limit (slope -0.5 by the Master Theorem)"
    assert re.split(r"  +", heads) == ["output", "width 8", "width 16", "width 32", "slope"]
    assert re.fullmatch(rf"s( +{estimate}){{3}} +-{estimate}", row)
    assert "bias" in outcome.out
    sizes = "widths 8 (4 trials), 16 (4 trials), 32 (4 trials); limit with 64 samples, 3 replicates"
    assert footer.startswith(f"compare: {sizes}; seed 0, float64, ")


def test_a_row_for_each_step(nexort, tmp_path):
    path = tmp_path / "steps.nx"
    path.write_text("data c[M] = [1] * 20\nvector x\nfor t in 0..9:\n    output t * c[a] * <x|x> as f[a]\n")
    outcome = nexort("compare", path, *FLAGS)
    deviations = outcome.out.split("\n\n")[1].splitlines()[2:]
    labels = [re.split(r"  +", line)[0] for line in deviations]
    assert labels == [
        *(f"f[{t}, :] (rms)" for t in range(4)),
        "…",
        *(f"f[{t}, :] (rms)" for t in (6, 7, 8)),
        "f[:, :] (rms)",
    ]
    assert deviations[0].endswith("none")


def test_json_and_npz(nexort, family):
    outcome = nexort("compare", family, *FLAGS, "--set", "eta=2", "--json", "--out", "c.npz", "--no-results")
    found = json.loads(outcome.out)
    assert list(found) == ["nexort", "program", "mode", "config", "outputs", "seconds", "warnings", "reused"]
    assert (found["mode"], found["reused"]) == ("compare", {})
    config = {"widths": [8, 16, 32], "trials": 4, "samples": 64, "set": {"eta": 2}, "results": None, "out": "c.npz"}
    assert config.items() <= found["config"].items()
    output = found["outputs"]["K"]
    assert np.shape(output["limit"]["value"]) == np.shape(output["widths"]["16"]["gap_stderr"]) == (3, 2, 2)
    assert [part["index"] for part in output["slices"]] == [[0], [1], [2]]
    assert output["deviation"]["slope"]["widths"] == [8, 16, 32]
    with np.load("c.npz") as arrays:
        shapes = {name: arrays[name].shape for name in arrays}
        np.testing.assert_allclose(
            np.array(output["widths"]["8"]["gap"]), arrays["K_width8"].mean(axis=0) - arrays["K"], atol=1e-12
        )
    runs = {f"K_width{width}": (4, 3, 2, 2) for width in (8, 16, 32)}
    assert shapes == {"K": (3, 2, 2), "K_stderr": (3, 2, 2), **runs}
    assert sorted(os.listdir()) == ["c.npz", "family.nx"]


def test_finished_trials_are_reused(nexort, transpose):
    first = nexort("compare", transpose, *FLAGS)
    assert len(list(Path("nexort-results/transpose").glob("w*/trial-*.npz"))) == 12
    again = nexort("compare", transpose, *FLAGS)
    assert again.out.splitlines()[-1].endswith(" s, 12 of 12 from nexort-results")
    assert first.out.splitlines()[:-1] == again.out.splitlines()[:-1]
    other = nexort("compare", transpose, *FLAGS, "--results", "other", "--json")
    assert json.loads(other.out)["reused"] == {"8": 0, "16": 0, "32": 0}
    assert sorted(os.listdir()) == ["nexort-results", "other", "transpose.nx"]


def test_a_damaged_file_is_a_warning(nexort, transpose):
    nexort("compare", transpose, *FLAGS)
    path = next(iter(Path("nexort-results").glob("*/w8-*/trial-1.npz")))
    path.write_bytes(b"?")
    outcome = nexort("compare", transpose, *FLAGS)
    assert outcome.status == 0
    assert outcome.err.startswith(f"warning: {path} is damaged (")
    assert outcome.out.splitlines()[-1].endswith("11 of 12 from nexort-results")


def test_a_picture(nexort, transpose):
    pytest.importorskip("matplotlib")
    assert nexort("compare", transpose, *FLAGS, "--plot", "figure.png").status == 0
    assert Path("figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_without_matplotlib(nexort, transpose, monkeypatch):
    import sys

    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = nexort("compare", transpose, *FLAGS, "--plot", "figure.png")
    assert (outcome.status, outcome.out) == (2, "")
    assert "a plot needs matplotlib" in outcome.err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("", "required: --widths"),
        ("--widths 64,x", "'x' is not a whole number"),
        ("--widths 64,", "'' is not a whole number"),
        ("--widths 64,0", "widths must be at least 1, not 0"),
        ("--widths 64,64", "64 is given twice"),
        ("--widths 64 --trails 3", "did you mean '--trials'?"),
        ("--widths 8 --trials 0", "trials must be at least 1, not 0"),
        ("--widths 8 --samples 1", "samples must be at least 2, not 1"),
        ("--widths 8 --init cauchy", "invalid choice: 'cauchy'"),
        ("--widths 8 --max-seconds 5", "there is no tolerance"),
        ("--widths 8 --results r --no-results", "not allowed with argument"),
        ("--widths 8 --results {program}", "cannot keep results in"),
        ("--widths 8 --plot figure.txt", "use .png, .svg or .pdf"),
        ("--widths 8 --plot no/figure.png", "No such file or directory"),
        ("--widths 8 --out no/a.npz", "No such file or directory"),
    ],
)
def test_wrong_command_lines(nexort, transpose, flags, message):
    words = [transpose if word == "{program}" else word for word in flags.split()]
    outcome = nexort("compare", transpose, *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert os.listdir() == [transpose.name]


@pytest.mark.parametrize("taken", ["a_stderr", "a_width8"])
def test_out_needs_free_names(nexort, tmp_path, taken):
    path = tmp_path / "names.nx"
    path.write_text(f"vector x\noutput <x|x> as a\noutput avg(x) as {taken}\n")
    outcome = nexort("compare", path, *FLAGS, "--out", "a.npz")
    assert outcome.status == 2
    assert f"{taken} would be two arrays" in outcome.err
    assert nexort("compare", path, *FLAGS).status == 0


def test_ctrl_c_keeps_what_is_finished(spawn, transpose, tmp_path):
    kept = tmp_path / "kept"
    flags = ("--widths", "200,300", "--trials", 100_000, "--samples", 64, "--replicates", 2, "--results", kept)
    status, printed = interrupt_after(spawn, r"repetition ([6-9]|\d\d+)/200002", "compare", transpose, *flags)
    assert status == 130
    footer = re.search(r"widths 200 \((\d+) trials\);", printed)
    assert footer is not None
    files = list(kept.glob("transpose/w200-*/trial-*.npz"))
    assert 2 <= int(footer[1]) == len(files) < 100_000

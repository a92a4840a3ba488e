"""`Program.compare` on programs of known limit: gaps, slopes, random limits, and what the results hold."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort.api import LimitOptions, RunOptions
from nexort.errors import UsageFault

PROGRAMS = Path(__file__).parents[2] / "programs"
WIDTHS = (32, 64, 128, 256)
QUICK = {"samples": 256, "replicates": 4, "results": None, "method": "particles"}

BIASED = "vector x\ns = avg(x)\noutput s^2 + 2 as q\n"
"""The mean is 2 + 1/n at every n, the limit 2."""
RANDOM = "scalar s ~ N(1, 4)\nvector x\noutput s * <x|x> as r\noutput <x|x> as q\n"


def test_a_transposed_matrix():
    """⟨x⎸Wᵀ sign(W x)⟩ tends to √(2/π), single trials at the rate n^-1/2."""
    output = nexort.load(PROGRAMS / "transpose.nx").compare(WIDTHS, trials=60, samples=2048, results=None)["output1"]
    assert float(output.value) == pytest.approx(np.sqrt(2 / np.pi), abs=5 * float(output.limit.stderr))
    for width in WIDTHS:
        assert abs(output.gap_in_stderrs(width)) < 5
        assert output.runs[width].trials == 60
    slope = output.deviation().slope
    assert slope.stderr < 0.06
    assert slope.value == pytest.approx(-0.5, abs=4 * slope.stderr)


def test_a_bias_of_one_over_n():
    output = nexort.compile(BIASED).compare((4, 8, 16), trials=500, **QUICK)["q"]
    bias = output.bias()
    for width in (4, 8, 16):
        assert bias.sizes[width] == pytest.approx(1 / width, abs=4 * bias.errors[width])
        assert float(output.gap(width)) == pytest.approx(1 / width, abs=4 * float(output.gap_stderr(width)))
        assert output.gap_in_stderrs(width) > 10
    assert bias.slope.widths == (4, 8, 16)
    assert bias.slope.stderr < 0.1
    assert bias.slope.value == pytest.approx(-1, abs=4 * bias.slope.stderr)


def test_training_by_adam():
    """f is centred: 0 at the start at every width, and n^-1/2 from the limit after a step."""
    generator = np.random.default_rng(0)
    data = {"xi": generator.standard_normal((4, 3)), "y": generator.standard_normal(4), "train": np.ones(4)}
    program = nexort.load(PROGRAMS / "adam_mup.nx", data=data, T=2, M=4, d=3)
    output = program.compare((32, 64, 128), trials=30, samples=1024, replicates=4, results=None)["f"]
    assert output.deviation((0,)).slope.note == "none"
    assert output.gap_in_stderrs(32, (0,)) == 0
    slope = output.deviation((1,)).slope
    assert slope.stderr < 0.1
    assert slope.value == pytest.approx(-0.5, abs=4 * slope.stderr)
    assert output.gap_in_stderrs(128, (1,)) < 4


def test_slices_are_pooled():
    program = nexort.compile(
        "data c[M] = [1, 2, 3]\nvector x\nfor t in 0..2:\n    output (t + c[a]) * avg(x) as K[a]\n"
    )
    results = program.compare((16, 64), trials=20, **QUICK)
    output = results["K"]
    assert output.gap(16).shape == output.gap_stderr(16).shape == (2, 3)
    scale = np.mean([[1, 4, 9], [4, 9, 16]], axis=1) ** 0.5
    first, second = (output.deviation((t,)).sizes[64] for t in (0, 1))
    assert first / second == pytest.approx(scale[0] / scale[1])
    assert output.deviation().sizes[64] == pytest.approx(np.sqrt((first**2 + second**2) / 2))
    # all elements are multiples of one number: so are gap and error
    gaps = {output.gap_in_stderrs(64, index) for index in ((0, 0), (1, 2))}
    assert {round(abs(gap), 9) for gap in gaps} == {round(output.gap_in_stderrs(64), 9)}
    layout = results.to_dict()["outputs"]["K"]
    assert [part["index"] for part in layout["slices"]] == [[0], [1]]
    assert layout["slices"][1]["deviation"]["slope"] == output.deviation((1,)).slope.to_dict()


def test_random_limits_are_compared_by_mean_and_spread():
    results = nexort.compile(RANDOM).compare((64, 256), trials=200, draws=200, **QUICK)
    output = results["r"]
    assert output.is_random
    assert not results["q"].is_random
    for width in (64, 256):
        assert abs(output.gap_in_stderrs(width)) < 5
        assert float(output.runs[width].std) == pytest.approx(2, abs=0.5)
    assert float(output.limit.std) == pytest.approx(2, abs=5 * float(output.spread_stderr))
    # std of 200 Gaussian draws of spread 2: 2/√(2·199) = 0.1
    assert float(output.spread_stderr) == pytest.approx(0.1, rel=0.3)
    with pytest.raises(ValueError, match="distribution"):
        output.deviation()
    layout = results.to_dict()["outputs"]
    assert {"deviation", "bias"} & layout["r"].keys() == set()
    assert {"deviation", "bias"} <= layout["q"].keys()
    assert set(results.arrays()) >= {"r", "r_std", "r_stderr", "r_width64"}
    table = results.table()
    spreads = table[table.index("standard deviation, of the limit's draws and of trials") :]
    assert spreads.splitlines()[2].startswith("r ")
    assert table.index("rms deviation") > table.index("standard deviation")


def test_the_layout():
    results = nexort.compile(BIASED).compare([16, 8], trials=3, seed=4, **QUICK)
    assert results.widths == (8, 16)
    found = json.loads(results.to_json())
    assert list(found) == ["nexort", "program", "mode", "config", "outputs", "seconds", "warnings", "reused"]
    assert (found["mode"], found["config"]["widths"], found["config"]["seed"]) == ("compare", [8, 16], 4)
    output = found["outputs"]["q"]
    assert list(output) == ["limit", "widths", "deviation", "bias", "slices"]
    assert list(output["limit"]) == ["value", "stderr", "ci95", "method"]
    assert list(output["widths"]) == ["8", "16"]
    assert list(output["widths"]["8"]) == ["mean", "std", "stderr", "trials", "gap", "gap_stderr"]
    assert list(output["deviation"]) == ["rms", "stderr", "notes", "slope"]
    assert list(output["deviation"]["slope"]) == ["value", "stderr", "expected", "widths", "note"]
    assert (output["deviation"]["slope"]["expected"], output["bias"]["slope"]["expected"]) == (-0.5, -1)
    arrays = results.arrays()
    assert {name: array.shape for name, array in arrays.items()} == {
        "q": (),
        "q_stderr": (),
        "q_width8": (3,),
        "q_width16": (3,),
    }


def test_the_runs_are_those_of_run_and_the_limit_that_of_limit():
    program = nexort.compile(BIASED)
    output = program.compare([8], trials=3, seed=4, init="uniform", **QUICK)["q"]
    np.testing.assert_array_equal(output.runs[8].values, program.run(8, trials=3, seed=4, init="uniform")["q"].values)
    limit = program.limit(QUICK["samples"], replicates=QUICK["replicates"], seed=4, method="particles")["q"]
    np.testing.assert_array_equal(output.limit.values, limit.values)


def test_one_trial_and_one_replicate():
    results = nexort.compile(BIASED).compare(
        [8, 16], trials=1, samples=16, replicates=1, results=None, method="particles"
    )
    assert len(results.warnings) == 2
    json.loads(results.to_json())
    assert "± ? (?)" in results.table()
    assert "bias not known from one trial: q" in results.table()


def test_compare_options_hold_those_of_run_and_limit():
    options = nexort.CompareOptions(widths=[8], trials=3, samples=5, seed=7, init="uniform", dtype="float32")
    assert {option.name for option in fields(options)} >= {option.name for option in fields(LimitOptions)}
    assert options.run(8) == RunOptions(width=8, trials=3, seed=7, init="uniform", dtype="float32")
    assert options.limit == LimitOptions(samples=5, seed=7, dtype="float32")


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ((), "at least one"),
        ("64", "must be whole numbers, not '64'"),
        (64, "must be whole numbers, not 64"),
        ((64, 64), "64 is given twice"),
        ((64, 0), "at least 1, not 0"),
        ((64, 2.5), "whole number, not 2.5"),
    ],
)
def test_widths_out_of_range(widths, message):
    with pytest.raises(UsageFault, match="widths") as caught:
        nexort.CompareOptions(widths=widths)
    assert message in str(caught.value)


def test_pictures(tmp_path: Path):
    pytest.importorskip("matplotlib")
    program = nexort.compile(
        f"{RANDOM}data c[M] = [1, 2]\noutput c[a] * c[b] * <x|x> as K[a, b]\noutput 0 * <x|x> as z\n"
    )
    results = program.compare((8, 16), trials=4, draws=4, **QUICK)
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        path = tmp_path / f"figure.{kind}"
        results.plot(str(path))
        assert path.read_bytes().startswith(start)
    for name, message in (("figure", "no extension"), ("figure.txt", "no kind of picture is named 'txt'")):
        with pytest.raises(UsageFault, match=message):
            results.plot(str(tmp_path / name))

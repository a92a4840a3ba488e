"""Limits to a tolerance: the error and the bias asked for, at known answers; what stops the work; how it is told."""

from __future__ import annotations

import json
from math import inf, pi, sqrt
from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort.api.accuracy import Needs, bias_needs, error_needs
from nexort.api.stage import duration, power_of_two
from nexort.cli import main
from nexort.errors import ComputationFault, UsageFault
from nexort.limit import LimitRun

PROGRAMS = Path(__file__).parents[2] / "programs"
COSINE = "vector x\noutput avg(cos(4 * x))^2 as s\n"
"""The limit exp(−16) and the bias 1/(2 N): the average is N(0, 1/(2 N)) to leading order."""
TRANSPOSE = "vector x\nmatrix W\nq = W' @ sign(W @ x)\noutput <x|q> as s\n"
RANDOM = "scalar c ~ N(0, 1)\nvector x\noutput c * avg(relu(x)^2) as f\noutput avg(relu(x)^2) as k\n"
LINEAR = "vector x\nmatrix W\noutput <x | W' @ W @ x> as s\n"


@pytest.fixture(scope="module")
def cosine():
    return nexort.compile(COSINE)


def assert_reached(results, tol: float) -> None:
    assert results.unreached == ()
    for output in results.outputs.values():
        assert np.all(output.stderr < tol)
        assert np.all(np.abs(output.bias) + output.bias_stderr <= tol / 3)


# what an error and a bias ask for


def test_replicates_follow_the_square_of_the_error() -> None:
    zero = np.zeros(2)
    assert error_needs(np.array([0.1, 0.2]), zero, 8, 0.3).is_met
    assert error_needs(np.array([0.1, 0.2]), zero, 8, 0.1).replicates == pytest.approx(1.05 * 4 * 8)
    # 0.04 = 0.03 of the replicates + 0.01 of the draws, of which 0.0125 − 0.01 may be left
    stderr, floor = np.array([0.2]), np.array([0.1])
    assert error_needs(stderr, floor, 8, sqrt(0.0125)).replicates == pytest.approx(1.05 * 8 * 0.03 / 0.0025)
    assert error_needs(stderr, floor, 8, 0.1).replicates == inf


def test_noise_is_no_bias() -> None:
    """400 elements of noise: some exceed twice their error by chance, and ask for more halves but no more samples."""
    noise = np.random.default_rng(3).standard_normal((8, 400))
    needs = bias_needs(noise, tol=0.1)
    assert (needs.factor, needs.halved, needs.replicates) == (1, 32, 0)
    biased = noise.copy()
    biased[:, 7] += 40
    assert bias_needs(biased, tol=0.1).factor == pytest.approx(40 / (0.1 / 3), rel=0.1)
    assert bias_needs(noise / 1000, tol=0.1).is_met


def test_a_bias_near_its_bound_asks_for_a_few_more_halves() -> None:
    differences = 0.8 + 0.4 * np.tile([-1.0, 1.0], 4)  # 0.8 ± 0.15, and the bound is 0.9
    needs = bias_needs(differences, tol=2.7)
    assert needs.factor == 1
    assert needs.halved == pytest.approx(8 * (0.4 * sqrt(8 / 7) / sqrt(8) / 0.1) ** 2)


def test_needs_together_are_the_larger_of_each() -> None:
    assert Needs(replicates=3, factor=2) | Needs(replicates=2, halved=5) == Needs(replicates=3, halved=5, factor=2)
    assert [power_of_two(x) for x in (0.3, 1, 1.1, 2, 5)] == [1, 1, 2, 2, 8]
    assert [duration(x) for x in (0.123, 100, 150, 9000, 300000)] == ["0.12 s", "1e+02 s", "2 min", "2 h", "3 days"]


# halves of a replicate


@pytest.mark.parametrize("samples", [64, 65])
def test_halves_share_the_noise_of_their_replicate(samples: int) -> None:
    run = LimitRun(nexort.compile(TRANSPOSE).limit_graph, samples=samples, replicates=100)
    halves = run.halves()
    whole = np.array([run.replicate(k)["s"] for k in range(100)])
    half = np.array([halves.replicate(k)["s"] for k in range(200)]).reshape(100, 2)
    assert (half.mean(axis=1) - whole).std() < 0.5 * whole.std()  # of two independent ones it would be 1.4 times it
    assert abs(np.corrcoef(half.T)[0, 1]) < 0.4  # of their own they are independent


def test_estimated_bias_is_the_bias(cosine) -> None:
    found = cosine.limit(method="particles", reduce="none", samples=64, replicates=2000, tol=1e9)["s"]
    assert found.bias_stderr < 0.05 / 128
    assert found.stderr < 0.05 / 128
    assert found.value == pytest.approx(1 / 128, abs=float(4 * found.stderr))
    # the halves' own error, and the next order in 1/N
    assert found.bias == pytest.approx(1 / 128, abs=float(4 * found.bias_stderr + 0.05 / 128))


# tolerances reached


@pytest.mark.parametrize(
    ("name", "tol", "truth"),
    [
        ("transpose", 2e-3, sqrt(2 / pi)),
        ("outer_product", 2e-3, 2 / pi),
        ("amp", 3e-3, [0.39429, 0.23645, 0.16666, 0.1279]),
    ],
)
def test_known_answers(name: str, tol: float, truth) -> None:
    program = nexort.load(str(PROGRAMS / f"{name}.nx"))
    found = program.limit(method="particles", reduce="none", samples=128, tol=tol)
    assert_reached(found, tol)
    (output,) = found.outputs.values()
    assert np.all(np.abs(output.value - truth) < 4 * output.stderr + tol / 3)
    assert not np.all(program.limit(method="particles", reduce="none", samples=128)[next(iter(found))].stderr < tol)
    # the same numbers come again, and from the samples and replicates that were reached
    (again,) = program.limit(method="particles", reduce="none", samples=128, tol=tol).outputs.values()
    np.testing.assert_array_equal(again.values, output.values)
    report = found.tolerance
    (plain,) = program.limit(
        method="particles", reduce="none", samples=report.samples, replicates=report.replicates
    ).outputs.values()
    np.testing.assert_allclose(plain.values, output.values, atol=1e-10)
    assert f"{report.samples} samples, {report.replicates} replicates" in found.summary()


def test_a_bias_raises_the_samples(cosine) -> None:
    """At 32 samples the error is small enough at once, of a number that is wrong by 1/64."""
    found = cosine.limit(method="particles", reduce="none", samples=32, tol=0.01)
    assert_reached(found, 0.01)
    assert found.tolerance.samples >= 128
    assert abs(found["s"].value) < 4 * found["s"].stderr + 0.01 / 3
    assert cosine.limit(method="particles", reduce="none", samples=32)["s"].stderr < 0.01


def test_exact_programs_need_no_more_than_the_first_replicates() -> None:
    found = nexort.compile(LINEAR).limit(method="particles", reduce="none", samples=2, replicates=1, tol=1e-9)
    assert_reached(found, 1e-9)
    assert (found.tolerance.samples, found.tolerance.replicates, found.tolerance.predicted) == (8, 4, None)


def test_half_of_the_samples_may_be_too_few() -> None:
    """40 arguments fit 64 samples and not 32: the bias is first known at twice the samples."""
    text = "vector x[40]\nmatrix W\noutput avg(tanh(W @ x[a])^2) as s[a]"
    found = nexort.compile(text).limit(method="particles", samples=64, tol=0.02)
    assert_reached(found, 0.02)
    assert found.tolerance.samples >= 128


# limits on time, memory and draws


def test_time(cosine) -> None:
    told: list[str] = []
    options = nexort.api.LimitOptions(samples=64, tol=1e-7, max_seconds=0.8, method="particles", reduce="none")
    found = cosine.limit_with(options, announce=told.append)
    assert 0.7 < found.seconds < 10
    assert found.unreached == ("s",)
    report = found.tolerance
    stop, need = found.warnings
    assert stop.startswith(f"stopped by --max-seconds 0.8 after {report.replicates} replicates of {report.samples}")
    assert "tolerance 1e-07 not reached in s" in stop
    assert need.startswith("s: standard error ")
    assert "it would need about" in need
    assert told[0].startswith("predicted: ")
    assert told[0].endswith("more, beyond --max-seconds 0.8")
    assert found.tolerance.predicted["seconds"] > 0.8
    assert found["s"].stderr < 1


def test_no_time_at_all(cosine) -> None:
    with pytest.raises(ComputationFault, match="no replicate of 64 samples was finished within --max-seconds 1e-09"):
        cosine.limit(method="particles", samples=64, tol=0.1, max_seconds=1e-9)


def test_memory_stops_the_samples_and_not_the_replicates(cosine) -> None:
    tol, limit = 0.01, LimitRun(cosine.limit_graph, samples=32).bytes + 1
    found = cosine.limit(method="particles", samples=32, tol=tol, max_memory=limit)
    assert (found.unreached, found.tolerance.samples) == (("s",), 32)
    assert found["s"].stderr < tol
    assert abs(found["s"].bias) > tol / 3
    assert found.warnings[0].startswith("stopped by --max-memory")
    with pytest.raises(ComputationFault, match=r"with 32 samples this program needs .*, beyond --max-memory 10 bytes"):
        cosine.limit(method="particles", samples=32, tol=tol, max_memory="10 B")


def test_draws_stay_and_what_they_allow_is_said() -> None:
    program = nexort.compile(RANDOM)
    found = program.limit(method="particles", samples=64, tol=0.02, draws=20)
    assert found.unreached == ("f",)
    k = found["k"]
    assert k.stderr < 0.02
    assert found["f"].values.shape == (found.tolerance.replicates, 20)
    floor = 0.5 * np.std(found["f"].values.mean(axis=0) / 0.5, ddof=1) / sqrt(20)
    draws = int(found.warnings[1].split("--draws ")[1].split()[0])
    assert draws == pytest.approx(1.05 * 20 * (floor / 0.02) ** 2, rel=0.05)
    assert_reached(program.limit(method="particles", samples=64, tol=1, draws=20), 1)
    with pytest.raises(UsageFault, match="one draw has no standard error, and f is random"):
        program.limit(method="particles", samples=64, tol=0.1, draws=1)


# Ctrl-C


def interrupted(program, at: int, when: int, **options):
    """The results when Ctrl-C comes in replicate `at` of the stage number `when`."""
    seen = [0]

    def progress(k: int, count: int, fraction: float) -> None:
        assert 0 <= k < count
        assert 0 <= fraction <= 1
        seen.append(k)
        if k == at and sum(np.diff(seen) < 0) == when - 1:
            raise KeyboardInterrupt

    with pytest.raises(nexort.Interrupted) as caught:
        program.limit(progress=progress, method="particles", **options)
    return caught.value.results


def test_interrupt_keeps_what_is_finished(cosine) -> None:
    assert interrupted(cosine, 0, 1, samples=32, tol=1e-3) is None
    found = interrupted(cosine, 3, 1, samples=32, tol=1e-3)
    assert found.tolerance.replicates == 3
    assert found.warnings[0] == "interrupted: 3 replicates of 32 samples finished"
    assert found.unreached == ("s",)
    assert np.isnan(found["s"].bias)
    assert json.loads(found.to_json())["outputs"]["s"]["bias"] is None


def test_interrupt_in_larger_samples_keeps_the_last_whole_stage(cosine) -> None:
    found = interrupted(cosine, 3, 2, samples=32, tol=1e-3)
    assert found.tolerance.samples == 32
    assert found.tolerance.replicates >= 8


# the two doors


def test_command_line(capsys, tmp_path) -> None:
    path = tmp_path / "p.nx"
    path.write_text(COSINE)
    flags = ["limit", str(path), "--samples", "64", "--method", "particles", "--reduce", "none"]
    assert main([*flags, "--tol", "0.1", "--max-seconds", "60", "--max-memory", "1.5GiB", "--json"]) == 0
    layout = json.loads(capsys.readouterr().out)
    assert (layout["config"]["tol"], layout["config"]["max_memory"]) == (0.1, 3 << 29)
    output = layout["outputs"]["s"]
    assert set(output) == {"value", "stderr", "ci95", "method", "bias", "bias_stderr"}
    assert output["stderr"] < 0.1
    assert set(layout["tolerance"]) == {"reached", "unreached", "samples", "replicates", "predicted"}
    assert layout["tolerance"]["reached"] is True
    assert main([*flags, "--tol", "1e-7", "--max-seconds", "0.8", "--out", str(tmp_path / "o.npz")]) == 3
    printed = capsys.readouterr()
    assert "bias" in printed.out.splitlines()[0]
    assert "warning: stopped by --max-seconds 0.8" in printed.err
    assert (tmp_path / "o.npz").exists()
    assert main([*flags, "--json"]) == 0
    layout = json.loads(capsys.readouterr().out)
    assert "tolerance" not in layout
    assert "bias" not in layout["outputs"]["s"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--max-seconds 5", "max_seconds limits the work that a tolerance asks for"),
        ("--max-memory 2GB", "max_memory limits the work that a tolerance asks for"),
        ("--tol 1 --max-seconds 0", "max_seconds must be positive"),
        ("--tol 1 --max-memory 2XB", "max_memory must be a size, not '2XB'"),
        ("--tol 1 --max-memory much", "max_memory must be a size, not 'much'"),
        ("--tol 1 --max-memory 0", "max_memory must be at least 1"),
    ],
)
def test_wrong_command_lines(capsys, tmp_path, flags: str, message: str) -> None:
    path = tmp_path / "p.nx"
    path.write_text(COSINE)
    assert main(["limit", str(path), *flags.split()]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"), [("2GB", 2 * 10**9), ("512 MiB", 512 << 20), ("100", 100), (".5kb", 500), ("1TB", 10**12)]
)
def test_sizes(text: str, size: int) -> None:
    assert nexort.api.LimitOptions(tol=1, max_memory=text).max_memory == size  # pyright: ignore[reportArgumentType]


def test_compare_takes_its_limit_to_the_tolerance(cosine) -> None:
    shown: list[float] = []
    found = cosine.compare(
        [16, 32],
        trials=3,
        samples=32,
        tol=0.05,
        method="particles",
        results=None,
        progress=lambda k, count, fraction: shown.append((k + fraction) / count),
    )
    assert found.unreached == ()
    assert found["s"].limit.stderr < 0.05
    assert f"limit with {found.tolerance.samples} samples, {found.tolerance.replicates} replicates" in str(found)
    assert shown[-1] == 1
    assert max(shown) <= 1
    assert json.loads(found.to_json())["tolerance"]["reached"] is True

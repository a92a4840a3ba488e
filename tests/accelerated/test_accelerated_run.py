"""`run` on JAX against the NumPy engine, on JAX's CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nexort
from accelerated.engines import ORDER_3, SIGNS, assert_equal, trials
from nexort.errors import ComputationFault

pytest.importorskip("jax")
from nexort.accelerated import open_accelerator

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted((ROOT / "programs").glob("*.nx"))
ROUNDING = {"float64": 1e-11, "float32": 2e-5}
"""Relative to the largest entry: sums in another order, over some steps of training."""


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("text", [SIGNS, ORDER_3], ids=["training", "order 3"])
def test_small_programs_are_equal(text, dtype):
    ours, theirs = trials(nexort.compile(text), 30, open_accelerator("cpu"), dtype=dtype)
    assert_equal(ours, theirs, ROUNDING[dtype])


@pytest.mark.long
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_every_program_is_equal(path):
    ours, theirs = trials(nexort.load(path), 64, open_accelerator("cpu"))
    assert_equal(ours, theirs, 1e-9)


@pytest.mark.parametrize("init", ["rademacher", "uniform"])
def test_initial_values_are_those_of_the_same_streams(init):
    program = nexort.compile("vector x\nmatrix A[3]\ny = A[2]' @ x\noutput <y|A[1] @ x> as s\n")
    ours, theirs = trials(program, 20, open_accelerator("cpu"), init=init, seed=3)
    assert_equal(ours, theirs, 1e-13)


@pytest.mark.parametrize("entries", [1, 30 * 30 * 7, 30 * 30 * 30])
def test_tiles_do_not_change_averages(entries):
    """One row, seven rows and a rest of two, all at once."""
    ours, theirs = trials(nexort.compile(ORDER_3), 30, open_accelerator("cpu", tile_entries=entries))
    assert_equal(ours, theirs, 1e-12)


def test_an_average_of_a_tensor_takes_less_memory_than_the_tensor():
    from nexort.accelerated import compiled

    width = 2048
    program = nexort.compile("vector x, y\nz = tanh(|x><y|) @ y\noutput <x|z> as s\n")
    before = set(compiled._compiled)
    trials(program, width, open_accelerator("cpu", tile_entries=width * 64))
    (function,) = (compiled._compiled[key] for key in compiled._compiled.keys() - before)
    assert function.memory_analysis().temp_size_in_bytes < 8 * width**2 / 8


def test_more_steps_compile_nothing_more():
    from nexort.accelerated import compiled

    counts = []
    for steps in (6, 9, 20):
        trials(nexort.compile(SIGNS, T=steps), 17, open_accelerator("cpu"))
        counts.append(len(compiled._compiled))
    assert counts[2] - counts[1] <= 1 and counts[1] - counts[0] <= 1


def test_a_value_that_is_not_finite_is_named_as_by_numpy():
    program = nexort.compile("vector x\nfor t in 0..3:\n    y = log(x) * t\n    output <x|y> as s\n")
    messages = []
    for engine in ("numpy", "jax"):
        with pytest.raises(ComputationFault) as caught:
            program.run(16, trials=1, engine=engine)
        messages.append((caught.value.message, caught.value.span.text))
    assert messages[0] == messages[1]
    assert "entries are nan or infinite" in messages[1][0]


def test_too_large_runs_are_refused_before_they_start(monkeypatch):
    from nexort.accelerated import devices

    monkeypatch.setattr(devices, "available_bytes", lambda: 100_000)
    with pytest.raises(ComputationFault, match=r"at width 4096 .* needs about .* there are 100 kB") as caught:
        nexort.compile(SIGNS).run(4096, trials=1, engine="jax")
    assert "--dtype float32" in caught.value.hint


def test_ctrl_c_keeps_the_finished_trials():
    program = nexort.compile(SIGNS)
    full = program.run(16, trials=2, engine="jax")

    def interrupt(k: int, total: int, fraction: float) -> None:
        if k == 1 and fraction > 0.2:
            raise KeyboardInterrupt

    with pytest.raises(nexort.Interrupted) as caught:
        program.run(16, trials=2, engine="jax", progress=interrupt)
    np.testing.assert_array_equal(caught.value.results["f"].values, full["f"].values[:1])


PROBE = """
import json
import numpy as np
import nexort
from accelerated.engines import ORDER_3, SIGNS, assert_equal, trials
from nexort.accelerated import open_accelerator
from nexort.graph.types import Type
accelerator = open_accelerator("cpu", tile_entries=32 * 32 * 8)
for text in (SIGNS, ORDER_3):
    assert_equal(*trials(nexort.compile(text), 32, accelerator), 1e-11)
layout = accelerator.layout(32)
matrix = layout.put(np.zeros((32, 32)), Type((), 2), "float64")
print(json.dumps([layout.count, [shard.data.shape for shard in matrix.addressable_shards]]))
"""


@pytest.mark.long
def test_four_devices_share_the_rows():
    """In a process of its own: the number of devices is fixed when JAX starts."""
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env={**os.environ, **flags, **paths}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [4, [[8, 32]] * 4]

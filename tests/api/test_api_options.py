"""Options keep their bounds, and are the same for Python and the command line."""

from __future__ import annotations

import inspect
from dataclasses import fields

import numpy as np
import pytest

from nexort.api import CheckOptions, CompareOptions, LimitOptions, Program, RunOptions
from nexort.errors import UsageFault
from nexort.limit import REDUCTIONS


@pytest.mark.parametrize(
    ("options", "method"),
    [
        (RunOptions, Program.run),
        (LimitOptions, Program.limit),
        (CompareOptions, Program.compare),
        (CheckOptions, Program.check),
    ],
)
def test_methods_take_the_options_with_their_defaults(options, method):
    signature = inspect.signature(method).parameters
    for option in fields(options):
        default = signature[option.name].default
        assert default is inspect.Parameter.empty or default == option.default
    assert set(signature) - {"self", "progress", "given", "results"} == {option.name for option in fields(options)}


def test_defaults():
    assert RunOptions(width=8).to_dict() == {
        "width": 8,
        "trials": 10,
        "seed": 0,
        "init": "gaussian",
        "dtype": "float64",
        "device": "cpu",
        "engine": "auto",
    }
    assert LimitOptions().to_dict() == {
        "samples": 4096,
        "replicates": 8,
        "draws": 64,
        "seed": 0,
        "tol": None,
        "max_seconds": None,
        "max_memory": None,
        "method": "auto",
        "reduce": "all",
        "dtype": "float64",
        "device": "cpu",
        "engine": "auto",
    }


def test_parts_of_reduce():
    given = {"all": "all", "none": "none", "sobol": "sobol", "sobol, groups": "all"}
    assert {text: LimitOptions(reduce=text).reduce for text in given} == given
    assert LimitOptions(reduce="sobol").reductions == ("sobol",)
    assert LimitOptions(reduce="none").reductions == ()
    assert LimitOptions().reductions == REDUCTIONS
    with pytest.raises(UsageFault, match="must be all, none, or some of groups, sobol, not 'soboll'") as caught:
        LimitOptions(reduce="groups,soboll")
    assert "sobol" in caught.value.hint


def test_numpy_integers_are_whole_numbers():
    width = RunOptions(width=np.int64(8)).width
    assert (width, type(width)) == (8, int)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width must be at least 1, not 0"),
        ({"width": 8.0}, "width must be a whole number, not 8.0"),
        ({"width": "8"}, "width must be a whole number, not '8'"),
        ({"width": True}, "width must be a whole number, not True"),
        ({"width": None}, "width must be a whole number, not None"),
        ({"width": 8, "trials": 0}, "trials must be at least 1"),
        ({"width": 8, "seed": -1}, "seed must be at least 0"),
        ({"width": 8, "init": "gausian"}, "did you mean 'gaussian'?"),
        ({"width": 8, "device": "gpu", "engine": "numpy"}, "--engine numpy runs on the CPU only"),
    ],
)
def test_run_options_out_of_range(options, message):
    with pytest.raises(UsageFault) as caught:
        RunOptions(**options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 1}, "samples must be at least 2"),
        ({"replicates": 0}, "replicates must be at least 1"),
        ({"draws": 0}, "draws must be at least 1"),
        ({"tol": "small"}, "tol must be a number, not 'small'"),
        ({"tol": float("nan")}, "tol must be positive"),
        ({"max_memory": "2GB"}, "there is no tolerance"),
    ],
)
def test_limit_options_out_of_range(options, message):
    with pytest.raises(UsageFault) as caught:
        LimitOptions(**options)
    assert message in str(caught.value)

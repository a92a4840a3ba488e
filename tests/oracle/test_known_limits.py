"""The closed forms in `known_limits` against the shipped programs at a moderate width, read by the naive evaluator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from . import known_limits
from .fixtures import Draws, naive

PROGRAMS = Path(__file__).resolve().parents[2] / "programs"
n, TRIALS = 256, 16


def inputs(*shape: int) -> np.ndarray:
    return 0.7 * np.random.default_rng(5).standard_normal(shape)


CASES: dict[str, tuple[dict[str, np.ndarray], Callable[..., known_limits.Limits]]] = {
    "nngp_ntk_mlp": ({"xi": inputs(3, 4)}, known_limits.nngp_ntk_mlp),
    "layer_norm": ({"xi": inputs(3, 4)}, known_limits.layer_norm),
    "resnet": ({"xi": inputs(3, 4)}, known_limits.resnet),
    "rnn": ({"xi": inputs(2, 3, 2)}, known_limits.rnn),
    "attention": ({"xi": inputs(3, 4)}, known_limits.attention),
    "amp": ({}, known_limits.amp),
} | {name: ({}, lambda limits=limits: limits) for name, limits in known_limits.plain_numbers().items()}

LAWS = {"rnn": {"b": (0.0, 0.1), "zero": (0.0, 0.0)}}


@pytest.mark.parametrize("name", CASES)
def test_wide_programs_are_near_their_limits(name: str) -> None:
    """The mean of 16 trials at width 256 is within 5 standard errors and the 1/n bias of the closed form."""
    data, limits_of = CASES[name]
    text = (PROGRAMS / f"{name}.nx").read_text(encoding="utf-8")
    first_step = {"T": 1} if name == "resnet" else {"E": 1} if name == "rnn" else {}
    runs = [
        naive(text, n=n, params=first_step, data=data, draws=Draws(n, seed, LAWS.get(name, {})))
        for seed in range(TRIALS)
    ]
    for output, limit in limits_of(**data).items():
        trials = np.array([run.outputs[output] for run in runs])
        if first_step:
            trials = trials[:, 0]
        error = trials.std(axis=0, ddof=1) / np.sqrt(TRIALS)
        size = max(1.0, float(np.abs(limit).max()))
        assert error.max() < 0.1 * size, "too noisy to see a fault"
        assert np.all(np.abs(trials.mean(axis=0) - limit) < 5 * error + 5 * size / n), output

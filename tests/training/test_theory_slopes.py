"""Trials approach the limit like n^-1/2, over the first ten steps of centred smooth programs (TP4b Theorem 2.6.10)."""

from __future__ import annotations

import pytest

from training.theory import mlp

WIDTHS = (128, 224, 384, 640, 1024)


@pytest.mark.long
@pytest.mark.parametrize("optimizer", ["sgd()", "adam(beta2=0.99, eps=0.1)"])
@pytest.mark.parametrize("parametrization", ["mup", "ntp"])
def test_spread_shrinks_like_the_root_of_the_width(parametrization: str, optimizer: str) -> None:
    fields = (f"optimizer = {optimizer}", "rate = 0.2", "steps = 10", f"parametrization = {parametrization}")
    program = mlp("tanh", 2, *fields)
    f = program.compare(WIDTHS, trials=64, samples=4096, replicates=8, results=None)["f"]
    scale = abs(f.limit.value).max()
    assert f.limit.stderr.max() < 0.02 * scale
    for step in range(1, 11):
        slope = f.deviation((step,)).slope
        assert slope.value is not None, slope.note
        assert slope.stderr < 0.05
        assert abs(slope.value + 0.5) < 0.1, (step, slope)
    pooled = f.deviation().slope
    assert pooled.value is not None and abs(pooled.value + 0.5) < 0.1, pooled

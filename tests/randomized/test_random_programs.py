"""Random programs: parts agree with each other, and finite widths with the limit."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.limit.sides import Side
from randomized.author import program
from randomized.survey import FAR, QUICK, Effort, examine, limit_gaps, survey

FEW = range(12)
MANY = range(1000, 1200)
VISIBLE = 0.1
"""A dot term has entries of order 1: a fault of this size must be visible in most outputs."""


@pytest.mark.parametrize("seed", FEW)
def test_a_random_program(seed: int) -> None:
    report = examine(seed)
    assert not report.failures, f"{report}\n{report.program.text}"


def test_programs_depend_on_their_seed_alone() -> None:
    assert program(3) == program(3)
    assert len({program(seed).text for seed in range(20)}) == 20


def test_the_programs_use_the_language() -> None:
    """Each construct stands in a fair share of the programs that the long suite runs."""
    texts = [program(seed).text for seed in MANY]
    constructs = {
        "sum[a]": 10, "mean[a]": 10, "max[a]": 5, "A[a] @": 10, "'": 100, "sqrt(2)": 20, "><": 20, "{i,j}": 40,
        "avg{j,k}": 5, "avg{i,j}": 10, "{i,i}": 3, "grad(": 100, "adam(": 10, "own(": 10, "scaled(": 10, "for t in": 60,
        "[t + 1]": 20, "if t == 0": 5, "stop(": 5, "where(": 50, "tanh(c": 20, "/= sqrt(avg(": 10, "S": 5, " W -=": 10,
    }  # fmt: skip
    missing = {text: need for text, need in constructs.items() if sum(text in one for one in texts) < need}
    assert not missing


def test_widths_approach_the_limit() -> None:
    gaps = [gap for seed in FEW[:6] for gap in limit_gaps(program(seed), QUICK)]
    assert np.median([gap.error for gap in gaps]) < VISIBLE / FAR
    far = [str(gap) for gap in gaps if gap.is_far]
    assert len(far) <= 0.01 * len(gaps), far


def test_a_missing_dot_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """These checks can fail: without dot kets limits are wrong, and W and W' are not adjoint."""
    monkeypatch.setattr(Side, "adjoint_dot", lambda self, X: np.zeros((len(X), 0)))
    assert any(examine(seed).failures for seed in FEW[:6])
    assert any(gap.is_far for seed in FEW[:6] for gap in limit_gaps(program(seed), QUICK))


@pytest.mark.long
def test_many_random_programs() -> None:
    reports = list(survey(MANY, Effort()))
    failed = [report for report in reports if report.failures]
    assert not failed, "\n\n".join(f"{report}\n{report.program.text}" for report in failed)
    gaps = [gap for report in reports for gap in report.gaps]
    assert np.median([gap.error for gap in gaps]) < VISIBLE / FAR / 2
    assert np.mean([gap.error < VISIBLE / FAR for gap in gaps]) > 0.9
    far = [report for report in reports if report.far]
    assert sum(len(report.far) for report in far) <= 0.01 * len(gaps), "\n\n".join(map(str, far))

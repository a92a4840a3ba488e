"""`classify` against width sweeps: 50 parametrizations of a 3-hidden-layer MLP, drawn by class, widths 64 to 2048."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest

import nexort
from nexort.training import Exponents, Parameter, classify
from training.sweeps import (
    CLASSES,
    OPTIMIZERS,
    Drawn,
    F,
    Slope,
    draw,
    fit,
    judge,
    mean_square,
    measure_slopes,
    square_of_mean,
)

CASES = 50
SEED = 7
LEAST_DECIDED = 40


def parameters(drawn: Drawn, exponents: Mapping[str, tuple[F, F, F, F]]) -> list[Parameter]:
    _, degree, _, _ = OPTIMIZERS[drawn.optimizer]
    return [
        Parameter(
            name=name,
            kind="matrix" if name in ("W", "V") else "vector",
            is_output=name == "v",
            starts_at_zero=False,
            exponents=Exponents(*letters),
            degree=None if degree is None else F(degree),
            span=None,
        )
        for name, letters in exponents.items()
    ]


def test_drawn_classes_are_classified() -> None:
    """The draw fixes A, r and a_{L+1} + c_{L+1} and hides them by (2.5) and by unfaithful d; `classify` finds them."""
    rng = np.random.default_rng(3)
    names = list(OPTIMIZERS)
    for k in range(300):
        drawn = CLASSES[k % len(CLASSES)](rng, names[k % len(names)])
        exponents = drawn.exponents(rng)
        a_out = exponents.pop("out")[0]
        found = classify(parameters(drawn, exponents), a_out)
        assert found.regime == drawn.expected
        assert (found.A, found.rates) == (drawn.A, {**drawn.r, "v": drawn.readout})


def test_programs_are_classified_as_drawn() -> None:
    for _, drawn, text in draw(3, SEED):
        assert nexort.compile(text).classify()["mlp"].regime == drawn.expected


def test_slopes_of_known_powers() -> None:
    """A common part n^-1/4 under fluctuations n^-1/2: told from 0, and from what is not there."""
    rng = np.random.default_rng(0)
    shape = (40, 12)
    widths = (64, 128, 256, 512, 1024, 2048)
    values = {n: n**-0.25 + 0.5 * n**-0.5 * rng.standard_normal(shape) for n in widths}
    slope = fit(values, square_of_mean)
    assert abs(slope.value + 0.25) < 3 * slope.stderr < 0.12
    assert slope.sign() == -1
    noise = {n: n**-0.5 * rng.standard_normal(shape) for n in widths}
    assert abs(fit(noise, mean_square).value + 0.5) < 0.03


def test_signs_are_decided_by_three_errors() -> None:
    signs = {(0.3, 0.05): 1, (0.25, 0.05): None, (-0.3, 0.05): -1, (0.02, 0.03): 0, (0.06, 0.03): None}
    assert {case: Slope(*case).sign() for case in signs} == signs


def slopes(**values: float) -> dict[str, Slope]:
    names = ["f at first", "K_h1 at first", "K_h2 at first", "K_h3 at first", "change of f", "change of K_h3"]
    found = {name: Slope(0.0, 0.01) for name in names}
    keys = {"f0": "f at first", "k2": "K_h2 at first", "df": "change of f", "dk": "change of K_h3"}
    return found | {keys[name]: Slope(value, 0.01) for name, value in values.items()}


def test_judgement() -> None:
    assert judge(slopes()) == "feature learning"
    assert judge(slopes(dk=-0.5)) == "operator"
    assert judge(slopes(dk=-0.5, df=-0.25)) == "trivial"
    assert judge(slopes(df=-0.25)) == "trivial"
    for blown in ({"f0": 0.5}, {"k2": 0.5}, {"k2": -0.5}, {"df": 0.25}, {"dk": 0.5}):
        assert judge(slopes(**blown)) == "unstable"
    assert judge(slopes(df=0.12)) is None
    assert judge(slopes(f0=0.11)) is None
    assert judge(slopes(f0=-0.5)) == "feature learning"


@pytest.mark.long
def test_verdicts_agree_with_widths() -> None:
    wrong: list[str] = []
    decided = Counter[str]()
    for k, (name, drawn, text) in enumerate(draw(CASES, SEED)):
        found = nexort.compile(text).classify()["mlp"].regime
        measured = measure_slopes(text)
        shown = judge(measured)
        decided[drawn.expected] += shown is not None
        line = f"{k} {name} {drawn.optimizer}: classify {found}, widths {shown}"
        print(line, {key: str(slope) for key, slope in measured.items()})
        if shown not in (None, found):
            wrong.append(line)
    assert wrong == []
    assert decided.total() >= LEAST_DECIDED, decided
    assert set(decided) == {"unstable", "trivial", "operator", "feature learning"}
    assert min(decided.values()) >= 3

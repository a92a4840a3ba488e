"""The verdicts of `classify`: those of docs/design.md, those of UP_s, symmetries, and that repairs repair."""

from __future__ import annotations

from dataclasses import astuple, replace
from fractions import Fraction

import numpy as np
import pytest

from nexort.errors import TypeFault
from nexort.training.classify import Classification, classify
from nexort.training.exponents import Exponents, Parameter, abcd, mup, ntp, standard, up
from nexort.training.repair import apply_changes, repair
from training.parametrizations import mlp, parameter, random_parametrizations

F = Fraction
MANY = list(random_parametrizations(np.random.default_rng(5), 400))


def verdict(found: Classification) -> tuple[object, ...]:
    """Everything that is not about the way of writing."""
    exponents = found.rates, found.r, found.A
    flags = found.is_stable, found.is_faithful, found.is_nontrivial, found.regime, found.contributes, found.trains
    return *exponents, *flags, [failure.cause for failure in found.failures]


# Remark 2.2.7 as corrected in docs/design.md, two hidden layers:
# degree of Q, power of the rate, b of the readout, verdict.
STANDARD = [
    (1, "0", "1/2", "unstable"),
    (1, "1", "1/2", "operator"),
    (1, "3/2", "1/2", "trivial"),
    (0, "0", "1/2", "unstable"),
    (0, "1", "1/2", "unstable"),
    (0, "3/2", "1/2", "operator"),
    (0, "1", "1", "feature learning"),
    (None, "1", "1/2", "unfaithful"),
]


@pytest.mark.parametrize(("degree", "power", "b", "regime"), STANDARD)
def test_standard_parametrization(degree: int | None, power: str, b: str, regime: str) -> None:
    """SGD has degree 1, signs and Adam with eps = 0 degree 0, Adam with eps > 0 none."""
    parameters = mlp(standard(), degree=degree, slowed=F(power))
    parameters[-1] = replace(parameters[-1], exponents=replace(parameters[-1].exponents, b=F(b)))
    assert classify(parameters, F(0)).regime == regime


def test_signs_at_one_over_n_fail_by_the_output() -> None:
    """r = 0 there, and f moves by √n: the error of Remark 2.2.7."""
    found = classify(mlp(standard(), degree=0, slowed=F(1)), F(0))
    assert found.r == 0
    assert [failure.inequality for failure in found.failures] == [
        "a_out + a_v + b_v + r = 1/2, must be at least 1 (r = 0)"
    ]
    assert "n^(1/2)" in found.failures[0].meaning
    assert found.failures[0].repair == "c_W1 = 3/2"


@pytest.mark.parametrize("degree", [0, 1, None])
@pytest.mark.parametrize("quarters", range(-2, 6))
def test_uniform_parametrizations(quarters: int, degree: int | None) -> None:
    """UP_s is stable for 0 ≤ s ≤ 1/2, learns features at 0 only, and always moves f by the readout."""
    s = F(quarters, 4)
    found = classify(mlp(up(s), hidden=3, degree=degree), up(s).a_out)
    assert found.is_faithful or s < 0
    assert found.is_nontrivial
    assert found.is_stable == (0 <= s <= F(1, 2))
    if found.is_stable:
        assert found.rates == {"u": s, "W1": s, "W2": s, "v": 0}
        assert found.regime == ("feature learning" if s == 0 else "operator")
        assert found.trains == dict.fromkeys(found.rates, s == 0)
        assert all(found.contributes.values())


def test_presets_are_uniform() -> None:
    """mup = up(0) and ntp = up(1/2), scalars and their faithful d included."""
    for preset, s in (mup(), F(0)), (ntp(), F(1, 2)):
        scalar = parameter("s", "scalar", astuple(preset.exponents("scalar", "s", False)), degree=None)
        found = classify([*mlp(preset, degree=None), scalar], preset.a_out)
        assert found.failures == ()
        assert found.rates == {"u": s, "W1": s, "v": 0, "s": s}


@pytest.mark.parametrize("k", range(0, len(MANY), 40))
def test_verdict_is_invariant(k: int) -> None:
    """(2.5): n^θ w in place of w, each parameter its own θ, and a_out against the output vectors' a."""
    rng = np.random.default_rng(k)
    for parameters, a_out in MANY[k : k + 40]:
        expected = verdict(classify(parameters, a_out))
        shifted = [replace(p, exponents=p.exponents.shifted(F(int(rng.integers(-8, 9)), 4))) for p in parameters]
        assert verdict(classify(shifted, a_out)) == expected
        theta = F(int(rng.integers(-8, 9)), 4)
        moved = [_with_a(p, p.exponents.a - theta) if p.is_output else p for p in parameters]
        assert verdict(classify(moved, a_out + theta)) == expected


def _with_a(p: Parameter, a: Fraction) -> Parameter:
    return replace(p, exponents=replace(p.exponents, a=a))


def test_repairs_repair() -> None:
    """Whatever failed, the changes of all failures together leave a stable, faithful network whose output moves."""
    regimes = set[str]()
    for parameters, a_out in MANY:
        found = classify(parameters, a_out)
        regimes.add(found.regime)
        changes = [change for failure in found.failures for change in failure.changes]
        assert set(changes) == set(repair(parameters, a_out))
        again = classify(*apply_changes(parameters, a_out, changes))
        assert again.is_stable and again.is_faithful
        assert again.failures == () or not any(p.is_trained for p in parameters)
        assert bool(changes) == bool(found.failures)
    assert regimes >= {"unstable", "unfaithful", "trivial"}


def test_repairs_are_smallest_in_each_rate() -> None:
    """A repaired rate is tight: a quarter less and something fails again."""
    for parameters, a_out in MANY[:150]:
        found = classify(parameters, a_out)
        changes = {change for failure in found.failures for change in failure.changes}
        fixed, a_fixed = apply_changes(parameters, a_out, tuple(changes))
        old = {p.name: p.exponents.c for p in parameters}
        for p in fixed:
            if p.exponents.c > old[p.name] and p.degree is not None:
                less = replace(p, exponents=replace(p.exponents, c=p.exponents.c - F(1, 4)))
                others = [less if q is p else q for q in fixed]
                assert classify(others, a_fixed).failures != ()


CASES = [
    ("W1", "b", "1/4", "a_W1 + b_W1 = 1/4, must be 1/2", "blows up", "b_W1 = 1/2"),
    ("W1", "b", "3/4", "a_W1 + b_W1 = 3/4, must be 1/2", "stuck", "b_W1 = 1/2"),
    ("u", "b", "-1/2", "a_u + b_u = -1/2, must be 0", "n^(1/2)", "b_u = 0"),
    ("W1", "d", "1/2", "d_W1 = 1/2, must be a_W1 + a_out + a_v + b_v = 1", "linearised", "d_W1 = 1"),
    ("v", "d", "2", "d_v = 2, must be a_v + a_out = 1", "saturated", "d_v = 1"),
    ("W1", "c", "1/2", "r_W1 = c_W1 + a_W1 − 1 = -1/2, must be at least 0", "blow up", "c_W1 = 1"),
    ("v", "c", "-1/4", "a_out + a_v + c_v = 3/4, must be at least 1", "output by n^(1/4)", "c_v = 0"),
]


@pytest.mark.parametrize(("name", "letter", "value", "inequality", "meaning", "repaired"), CASES)
def test_each_failure_is_explained(
    name: str, letter: str, value: str, inequality: str, meaning: str, repaired: str
) -> None:
    """µP with one exponent spoilt, for an update function that is not homogeneous."""
    parameters = [
        replace(p, exponents=replace(p.exponents, **{letter: F(value)})) if p.name == name else p
        for p in mlp(mup(), degree=None)
    ]
    first = classify(parameters, F(1)).failures[0]
    assert (first.inequality, first.repair) == (inequality, repaired)
    assert meaning in first.meaning


def test_output_that_blows_up_at_the_start() -> None:
    """A = 1/4 asks for b_v = 1/2, and the faithful d of the others follow it."""
    parameters = mlp(ntp(), degree=None)
    found = classify(parameters, F(1, 4))
    assert found.regime == "unstable"
    failure = next(failure for failure in found.failures if failure.cause == "initialisation")
    assert failure.inequality == "a_out + a_v + b_v = 1/4, must be at least 1/2"
    assert "b_v = 1/4" in failure.repair


def test_readout_that_outgrows_its_initial_value() -> None:
    """b_v > c_v: later gradients have another scale, though every inequality of (2.27) holds."""
    parametrization = abcd(
        {"matrix": Exponents(F(0), F(1, 2), F(1), F(5, 4)), "vector": Exponents(F(0), F(0), F(0), F(5, 4))},
        {"v": Exponents(F(0), F(1, 4), F(0), F(1))},
        F(1),
    )
    found = classify(mlp(parametrization, degree=None), F(1))
    assert found.is_stable and not found.is_faithful
    assert found.regime == "unfaithful"
    assert found.failures[0].inequality == "b_v = 1/4, must be at most c_v = 0"
    assert found.failures[0].repair.startswith("b_v = 0")


def test_trivial_says_so_and_repairs_the_nearest() -> None:
    found = classify(mlp(ntp(), degree=0, slowed=F(1, 4)), F(1, 2))
    assert found.regime == "trivial"
    assert found.is_stable and found.is_faithful and not found.is_nontrivial
    assert not any(found.contributes.values())
    assert "f_t = f_0" in found.failures[0].meaning
    assert found.failures[0].repair == "c_u = 1/2, c_W1 = 3/2, c_v = 1/2"


def test_zero_readout() -> None:
    """µP with v = 0 at first learns features; in NTP only the readout then trains, since A is 1 and r rises to 1."""
    zero = [replace(p, starts_at_zero=p.is_output) for p in mlp(mup())]
    found = classify(zero, F(1))
    assert (found.regime, found.A, found.trains) == ("feature learning", F(1), dict.fromkeys(found.rates, True))
    zero = [replace(p, starts_at_zero=p.is_output) for p in mlp(ntp())]
    found = classify(zero, F(1, 2))
    assert (found.regime, found.A, found.r) == ("operator", F(1), F(1))
    assert found.contributes == {"u": False, "W1": False, "v": True}


def test_zero_bias_has_no_initial_size() -> None:
    """b of a bias that starts at 0 is free."""
    bias = parameter("β", "vector", (0, 7, 0, 1), degree=None, starts_at_zero=True)
    found = classify([*mlp(mup(), degree=None), bias], F(1))
    assert found.failures == ()


def test_frozen_parameters_ask_nothing_of_rates() -> None:
    parameters = [replace(p, is_trained=p.is_output) for p in mlp(ntp(), degree=None)]
    found = classify(parameters, F(1, 2))
    assert found.failures == ()
    assert found.r is None
    assert found.contributes == {"u": False, "W1": False, "v": True}


def test_scalar_parameters() -> None:
    """d is one less than a vector's, r = c + a."""
    gain = parameter("s", "scalar", (0, 0, "1/2", "-1/2"), degree=None)
    found = classify([*mlp(ntp(), degree=None), gain], F(1, 2))
    assert found.failures == ()
    assert found.contributes["s"]
    vectorlike = parameter("s", "scalar", (0, 0, "1/2", "1/2"), degree=None)
    found = classify([*mlp(ntp(), degree=None), vectorlike], F(1, 2))
    assert found.failures[0].inequality == "d_s = 1/2, must be a_s + a_out + a_v + b_v − 1 = -1/2"


def test_no_fresh_readout() -> None:
    """Without output vectors A = a_out, and the features alone move the output."""
    parameters = [replace(p, is_output=False) for p in mlp(mup(), degree=None)]
    found = classify(parameters, F(1))
    assert (found.regime, found.A) == ("feature learning", F(1))
    trivial = classify([replace(p, degree=1) for p in parameters], F(5, 4))
    assert (trivial.regime, trivial.failures[0].repair) == ("trivial", "a_out = 1")


def test_contradicting_heads_are_refused() -> None:
    heads = [
        parameter("v", "vector", (0, 0, 0, 1), is_output=True),
        parameter("w", "vector", (0, "1/2", 0, 1), is_output=True),
    ]
    with pytest.raises(TypeFault, match="must agree") as caught:
        classify([*mlp(mup())[:-1], *heads], F(1))
    assert "the same a + b" in caught.value.hint


def test_missing_kind_is_refused() -> None:
    with pytest.raises(TypeFault, match="no exponents for the scalar parameter 's'") as caught:
        abcd({"vector": Exponents(F(0), F(0), F(0), F(1))}, {}, F(1)).exponents("scalar", "s", False)
    assert caught.value.hint == "add scalar=(a, b, c, d) or s=(a, b, c, d)"


def test_table_and_json() -> None:
    found = classify(mlp(standard(), degree=1, slowed=F(1)), F(0), outside=("a reason",))
    table = found.table()
    assert table.startswith("operator regime: stable, faithful, nontrivial\n")
    assert "note: same exponents, not proved: a reason" in table
    row = next(line.split() for line in table.splitlines() if line.startswith("W1"))
    assert row == ["W1", "matrix", "0", "1/2", "1", "0", "1", "3/2", "1/2", "1/2", "yes", "no"]
    data = found.to_dict()
    assert data["parameters"]["W1"]["faithful"] == {"a": "0", "b": "1/2", "c": "3/2", "d": "1/2"}
    assert (data["regime"], data["r"], data["A"], data["failures"]) == ("operator", "1/2", "1/2", [])

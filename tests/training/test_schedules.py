"""Rates and decays over the steps, written as numbers or read from data."""

from __future__ import annotations

import numpy as np
import pytest

import nexort
from nexort.errors import NexortError
from training.networks import network

DATA = ('import "optimizers.nx"', 'import "optimizers.nx"\ndata s[2] = [0.2, 0.1]')


@pytest.mark.parametrize("parametrization", ["mup", "ntp"])
def test_a_schedule_from_data_is_the_schedule_of_its_numbers(parametrization: str) -> None:
    fields = f"parametrization = {parametrization}\ndecay = "
    written = network(("rate = 0.1", "rate = 0.4 / (1 + t) + 0.1"), fields=f"{fields}0.02 / (1 + t)")
    read = network(DATA, ("rate = 0.1", "rate = 2 * s[t] + mean[k](s[k]) - 0.05"), fields=f"{fields}s[t] / 10")
    programs = nexort.compile(written), nexort.compile(read)
    runs = [program.run(16, trials=2)["f"].values for program in programs]
    limits = [program.limit(128, replicates=2, draws=2) for program in programs]
    assert runs[0][:, 2].any()
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-12)
    found = [limit["loss"].mean if parametrization == "ntp" else limit["f"].value for limit in limits]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)


def test_a_schedule_from_data_may_have_a_power_of_the_width() -> None:
    text = network(DATA, ("rate = 0.1", "rate = s[t] / n"), fields="parametrization = standard")
    reports = [nexort.compile(each).classify() for each in (text, text.replace("s[t] / n", "0.1 / n"))]
    assert str(reports[0]) == str(reports[1])
    assert reports[0]["mlp"].parameters[0].exponents.c == 1


@pytest.mark.parametrize(("rate", "message"), [("1 / (s[t] - 0.1)", "not finite"), ("s", "is a family")])
def test_rates_that_are_no_numbers(rate: str, message: str) -> None:
    with pytest.raises(NexortError, match=message) as raised:
        _ = nexort.compile(network(DATA, ("rate = 0.1", f"rate = {rate}"))).graph
    assert raised.value.span is not None

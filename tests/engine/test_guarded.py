"""Branches of `where` need be finite only where they are chosen."""

import numpy as np
import pytest

import nexort
from nexort.errors import ComputationFault

HEAD = "vector x\n"


@pytest.mark.parametrize(
    "text",
    [
        "s = avg(where(x > 0, log(x) * x, 0))\n",
        "y = log(x) * x\ns = avg(where(x > 0, y, 0))\n",
        "s = avg(where(x > 0, sqrt(x), where(x < -1, log(-x - 1), 0)))\n",
        "T{i,j} = where(x{i} * x{j} > 0, log(x{i} * x{j}), 0)\ns = avg(T) + <x | T @ x>\n",
    ],
)
def test_an_unchosen_branch_may_be_anything(text: str) -> None:
    program = nexort.compile(HEAD + text + "output s\n")
    assert np.isfinite(program.run(width=50, trials=2)["s"].mean)
    assert np.isfinite(program.limit(samples=64, replicates=2)["s"].value)


@pytest.mark.parametrize(
    "text",
    [
        "s = avg(where(x < 0, log(x), 0))\n",
        "y = log(x)\ns = avg(where(x > 0, y, 0)) + avg(y)\n",
        "s = avg(where(log(x) > 0, x, 0))\n",
    ],
)
def test_a_chosen_value_a_condition_and_another_use_are_checked(text: str) -> None:
    with pytest.raises(ComputationFault, match="not finite"):
        nexort.compile(HEAD + text + "output s\n").run(width=50, trials=1)

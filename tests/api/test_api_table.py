"""Numbers with the digits that their error supports, and families in a few lines."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.api.table import Column, format_estimate, format_number, text_table


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.79788456, 0.00123, "0.7979 ± 0.0012"),
        (-1.5, 0.25, "-1.50 ± 0.25"),
        (0.3, 0.0996, "0.300 ± 0.100"),
        (123456.0, 2345.0, "123500 ± 2300"),
        (-0.001, 0.5, "0.00 ± 0.50"),
        (3e-5, 0.1, "0.00 ± 0.10"),
        (9.912e-10, 2.6e-12, "(9.912 ± 0.026)e-10"),
        (1.0019e9, 2.6e6, "(1.0019 ± 0.0026)e+09"),
        (0.0, 1e-17, "(0.0 ± 1.0)e-17"),
        (1.0, 1e-16, "1.00000000000 ± 1.0e-16"),
        (2.0, 0.0, "2 ± 0"),
        (0.797884560802865, 0.0, "0.797884560803 ± 0"),
        (0.797884560802865, np.nan, "0.797885 ± ?"),
    ],
)
def test_estimates(value, error, text):
    assert format_estimate(value, error) == text


def test_numbers():
    assert [format_number(value) for value in (0.012345, 0.0, np.nan, 6.17e6)] == ["0.0123", "0", "?", "6.17e+06"]


def labels(shape: tuple[int, ...]) -> list[str]:
    table = text_table({"f": [Column("mean", np.ones(shape), np.full(shape, 0.1))]})
    return [line.split("  ")[0] for line in table.splitlines()[1:]]


def test_small_families_are_listed():
    assert labels(()) == ["f"]
    assert labels((2, 2)) == ["f[0, 0]", "f[0, 1]", "f[1, 0]", "f[1, 1]"]


def test_large_families_are_summarised():
    long = ["f[0]", "f[1]", "f[2]", "f[3]", "…", "f[101]", "f[102]", "f[103]", "f[:] (rms)"]
    assert labels((104,)) == long
    assert labels((3, 104)) == ["f[0, :] (rms)", "f[1, :] (rms)", "f[2, :] (rms)", "f[:, :] (rms)"]
    assert labels((1, 104)) == ["f[0, :] (rms)"]
    assert len(labels((30, 104))) == 9


def test_a_family_without_elements():
    table = text_table({"f": [Column("mean", np.ones((0, 3)), np.ones((0, 3)))]})
    assert table.splitlines()[1] == "f       no elements, shape [0, 3]"


def test_root_mean_square_of_values_and_errors():
    values, errors = np.array([[3.0, 4.0] * 10]), np.array([[0.03, 0.04] * 10])
    table = text_table({"f": [Column("mean", values, errors), Column("std", np.full((1, 20), np.nan))]})
    assert table.splitlines()[1].split("  ") == ["f[0, :] (rms)", "3.536 ± 0.035", "?"]


def test_large_values_do_not_overflow():
    table = text_table({"f": [Column("mean", np.full(20, 1e200), np.full(20, 1e198))]})
    assert "f[:] (rms)  (1.000 ± 0.010)e+200" in table.splitlines()

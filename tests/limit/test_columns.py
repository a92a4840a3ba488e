"""Orthonormal bases: which directions come first, and that none is lost."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.limit.columns import Basis, pivot_order

TOLERANCE = 1e-10


def decaying_rows(count: int, samples: int = 400) -> np.ndarray:
    """Rows of one size whose part outside the span of those before is ever smaller, in a random order."""
    rng = np.random.default_rng(3)
    new = rng.standard_normal((count, samples))
    rows = np.cumsum(new * 0.5 ** np.arange(count)[:, None], axis=0)
    return rows[rng.permutation(count)]


def gram(rows: np.ndarray) -> np.ndarray:
    unit = rows / np.sqrt(np.mean(rows**2, axis=1, keepdims=True))
    return unit @ unit.T / rows.shape[1]


@pytest.mark.parametrize("ordered", [0, 1, 3, 8])
def test_the_largest_directions_come_first(ordered: int) -> None:
    G = gram(np.random.default_rng(0).standard_normal((8, 40)) + 1)
    picks, weak = pivot_order(G, ordered, TOLERANCE)
    assert not weak
    assert sorted(picks) == list(range(8))
    assert picks[:ordered] == pivot_order(G, 8, TOLERANCE)[0][:ordered]
    assert picks[ordered:] == sorted(picks[ordered:]) or ordered == 8


def test_rows_that_are_weak_in_their_order_are_taken_by_size() -> None:
    """In the order of the rows the second one has almost nothing of its own."""
    x, y = np.random.default_rng(1).standard_normal((2, 50))
    rows = np.stack([x, x + 1e-4 * y, y])
    picks, weak = pivot_order(gram(rows), 0, TOLERANCE)
    assert (picks, weak) == ([0, 2], [1])


@pytest.mark.parametrize("ordered", [0, 2, 100])
def test_a_basis_spans_all_rows(ordered: int) -> None:
    rows = decaying_rows(10)
    basis = Basis(rows.shape[1])
    basis.extend(rows[:4], ordered=ordered)
    basis.extend(np.concatenate([rows, rows[:2] - rows[1:3], np.zeros((1, rows.shape[1]))]), ordered=ordered)
    Q = basis.rows
    assert len(Q) == 10
    np.testing.assert_allclose(Q @ Q.T / rows.shape[1], np.eye(10), atol=1e-12)
    np.testing.assert_allclose(basis.coordinates(rows) @ Q, rows, atol=1e-9)


def test_where_there_is_no_room_for_all_the_largest_directions_are_taken() -> None:
    rows = np.random.default_rng(2).standard_normal((3, 60))
    rows[0] = 0.2 * rows[0] + rows[1]
    basis = Basis(60)
    basis.extend(rows, room=2)
    left = rows - basis.coordinates(rows) @ basis.rows
    assert np.mean(left**2, axis=1).max() < 0.1

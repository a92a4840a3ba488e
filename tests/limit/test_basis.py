"""Orthonormal bases: which directions come first, and that none is lost."""

from __future__ import annotations

import numpy as np
import pytest

from nexort.errors import ComputationFault
from nexort.limit.basis import TOLERANCE, Basis, pivot_order

LEAST = np.full(8, 1e-2)


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
    picks, weak = pivot_order(G, ordered, LEAST[:8])
    assert not weak
    assert sorted(picks) == list(range(8))
    assert picks[:ordered] == pivot_order(G, 8, LEAST[:8])[0][:ordered]
    assert picks[ordered:] == sorted(picks[ordered:]) or ordered == 8


def test_rows_that_are_weak_in_their_order_are_taken_by_size() -> None:
    """In the order of the rows the second one has almost nothing of its own."""
    x, y = np.random.default_rng(1).standard_normal((2, 50))
    rows = np.stack([x, x + 1e-4 * y, y])
    picks, weak = pivot_order(gram(rows), 0, LEAST[:3])
    assert (picks, weak) == ([0, 2], [1])


def orthonormal(basis: Basis) -> np.ndarray:
    return basis.combine(np.eye(basis.rank, dtype=basis.dtype))


def test_rows_of_equal_size_keep_their_order_and_dependent_ones_are_left() -> None:
    x, y = np.random.default_rng(1).standard_normal((2, 50))
    assert pivot_order(gram(np.stack([x, y, x + y, x - y])), 2, LEAST[:4]) == ([0, 1], [2, 3])


@pytest.mark.parametrize("ordered", [0, 2, 100])
def test_a_basis_spans_all_rows(ordered: int) -> None:
    rows = decaying_rows(10)
    basis = Basis(width=rows.shape[1], weight=1 / rows.shape[1])
    basis.extend(rows[:4], ordered=ordered)
    every = np.concatenate([rows, rows[:2] - rows[1:3], np.zeros((1, rows.shape[1]))])
    C = basis.extend(every, ordered=ordered).coordinates
    Q = orthonormal(basis)
    assert len(Q) == 10
    np.testing.assert_allclose(Q @ Q.T / rows.shape[1], np.eye(10), atol=1e-12)
    np.testing.assert_allclose(basis.coordinates(rows) @ Q, rows, atol=1e-9)
    np.testing.assert_allclose(C @ Q, every, atol=1e-9)


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-12), (np.float32, 3e-4)])
def test_rows_that_change_slowly_do_not_spoil_the_basis(dtype: type, error: float) -> None:
    """Batches near the last one, as in training: what they have outside the basis is 10⁻⁶ of their energy."""
    rng = np.random.default_rng(5)
    samples = 2000
    basis = Basis(dtype, width=samples, weight=1 / samples)
    X = np.maximum(rng.standard_normal((8, 30)) @ rng.standard_normal((30, samples)), 0).astype(dtype)
    known = None
    for _ in range(40):
        known = basis.extend(X, near=known)
        X = X + dtype(1e-3) * (X.std(axis=1, keepdims=True) * rng.standard_normal(X.shape)).astype(dtype)
    Q = orthonormal(basis).astype(np.float64)
    assert len(Q) == 8 * 40
    assert np.abs(Q @ Q.T / samples - np.eye(len(Q))).max() < error
    assert np.abs(basis.combine(known.coordinates) - known.rows).max() < error * np.abs(X).max()


def test_known_rows_change_the_work_not_the_span() -> None:
    rng = np.random.default_rng(6)
    first, step = rng.standard_normal((2, 5, 300))
    step[3] *= 100  # this row is not near
    bases = Basis(width=300, weight=1 / 300), Basis(width=300, weight=1 / 300)
    for basis in bases:
        known = basis.extend(first)
        known = basis.extend(first + 0.01 * step, near=known if basis is bases[0] else None)
        np.testing.assert_allclose(known.coordinates @ orthonormal(basis), first + 0.01 * step, atol=1e-12)
    spans = [orthonormal(basis).T @ orthonormal(basis) / 300 for basis in bases]
    np.testing.assert_allclose(*spans, atol=1e-12)


@pytest.mark.parametrize(("dtype", "change"), [(np.float64, 3e-11), (np.float32, 3e-6)])
def test_changes_too_small_for_a_column_add_up(dtype: type, change: float) -> None:
    x, y = np.random.default_rng(11).standard_normal((2, 1, 500))
    basis = Basis(dtype, width=500, weight=1 / 500)
    known = None
    for step in range(300):
        row = (x + step * change * y).astype(dtype)
        known = basis.extend(row, near=known)
        np.testing.assert_allclose(basis.combine(known.coordinates), row, atol=5 * TOLERANCE[np.dtype(dtype)])
    assert 2 <= basis.rank < 150


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_rows_of_one_batch_that_are_alike_do_not_spoil_the_basis(dtype: type, error: float) -> None:
    """Each row has enough of its own, and yet the inverse of the triangle grows by a factor from row to row."""
    rng = np.random.default_rng(12)
    rows = [rng.standard_normal(300)]
    for k in range(1, 12):
        mix = rng.standard_normal(k) @ rows
        new = rng.standard_normal(300)
        rows.append(mix / np.sqrt(np.mean(mix**2)) + 0.15 * new / np.sqrt(np.mean(new**2)))
    basis = Basis(dtype, width=300, weight=1 / 300)
    X = np.array(rows, dtype)
    known = basis.extend(X)
    Q = orthonormal(basis).astype(np.float64)
    assert len(Q) == 12
    assert np.abs(Q @ Q.T / 300 - np.eye(12)).max() < error
    assert np.linalg.norm(basis.turn, axis=1).max() < 10.1
    np.testing.assert_allclose(basis.combine(known.coordinates), X, atol=30 * error)


def next_rows(X: np.ndarray, seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows that a program may come to: new, hardly changed, combined, in the span, alike, of any size, or zero."""
    match rng.integers(7):
        case 0:
            rows = rng.standard_normal(X.shape)
        case 1:
            rows = X + 10 ** rng.uniform(-12, 0) * rng.standard_normal(X.shape)
        case 2:
            rows = rng.standard_normal((len(X), len(X))) @ X
        case 3:
            rows = rng.standard_normal((len(X), len(seen))) @ seen
        case 4:
            rows = X[:1] + 10 ** rng.uniform(-8, 0, (len(X), 1)) * rng.standard_normal(X.shape)
        case 5:
            rows = X * 10 ** rng.uniform(-6, 6, (len(X), 1))
        case _:
            rows = np.sign(X) * (np.arange(len(X)) > 0)[:, None]
    return rows / max(np.abs(rows).max(), 1e-300)


@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-12), (np.float32, 1e-3)])
@pytest.mark.parametrize("seed", range(60))
def test_any_sequence_of_rows(seed: int, dtype: type, error: float) -> None:
    rng = np.random.default_rng(seed)
    samples = int(rng.integers(3, 150))
    basis = Basis(dtype, width=samples, weight=1 / samples)
    X = rng.standard_normal((int(rng.integers(1, 10)), samples))
    seen, known = X, None
    for _ in range(int(rng.integers(1, 20))):
        rows = X.astype(dtype)
        known = basis.extend(rows, near=known if rng.random() < 0.8 else None, ordered=int(rng.integers(6)))
        if basis.rank < 0.7 * samples - 2:
            basis.add(rng.standard_normal((2, samples)).astype(dtype))
        missing = basis.combine(known.coordinates).astype(np.float64) - rows
        assert (np.sqrt(np.mean(missing**2, axis=1)) <= 2 * TOLERANCE[np.dtype(dtype)] * np.abs(rows).max(axis=1)).all()
        Q = orthonormal(basis).astype(np.float64)
        assert np.abs(Q @ Q.T / samples - np.eye(len(Q))).max(initial=0) < error
        seen = np.concatenate([seen, rows])[-40:]
        X = next_rows(rows.astype(np.float64), seen, rng)


def test_rows_may_get_longer() -> None:
    """As coordinates do: the rows known so far have zeros there."""
    basis = Basis()
    rng = np.random.default_rng(7)
    short, long = rng.standard_normal((3, 4)), rng.standard_normal((4, 40))
    basis.extend(short)
    C = basis.extend(long).coordinates
    Q = orthonormal(basis)
    np.testing.assert_allclose(Q @ Q.T, np.eye(7), atol=1e-13)
    np.testing.assert_allclose(C @ Q, long, atol=1e-12)
    np.testing.assert_allclose(Q[:3, 4:], 0, atol=1e-14)


def test_a_basis_of_all_dimensions_takes_no_more() -> None:
    basis = Basis(width=20, weight=1 / 20)
    rows = np.random.default_rng(8).standard_normal((30, 20))
    C = basis.extend(rows).coordinates
    assert basis.rank == 20
    np.testing.assert_allclose(C @ orthonormal(basis), rows, atol=1e-9)


def test_forgotten_rows_leave_no_trace() -> None:
    rows = np.random.default_rng(9).standard_normal((6, 30))
    basis, other = Basis(), Basis()
    basis.extend(rows[:2, :10])
    basis.extend(rows[2:4])
    basis.truncate(2, 10)
    other.extend(rows[:2, :10])
    for each in (basis, other):
        each.extend(rows[4:, :20])
    np.testing.assert_array_equal(orthonormal(basis), orthonormal(other))


def test_a_spoilt_basis_is_refused() -> None:
    rows = np.random.default_rng(10).standard_normal((3, 40))
    basis = Basis(width=40, weight=1 / 40)
    basis.extend(rows)
    basis.turn[0] *= 3
    with pytest.raises(ComputationFault, match="rounding errors"):
        basis.extend(rows)

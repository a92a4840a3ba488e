"""Contraction, diagonals and streams, each against a plain formula."""

from __future__ import annotations

import os
import signal
from time import sleep

import numpy as np
import pytest

from nexort.engine import Streams, Workers, contract, draw, fill_rows, multiply_matrix
from nexort.engine.arrays import contraction_flops, pair_order, spread
from nexort.engine.workers import OrderedSum


@pytest.mark.parametrize("seed", range(60))
def test_contract_is_einsum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = {k: int(rng.integers(1, 6)) for k in range(6)}
    operands = []
    for _ in range(rng.integers(1, 5)):
        labels = tuple(int(k) for k in rng.integers(0, 6, rng.integers(0, 4)))
        operands.append((rng.standard_normal([sizes[k] for k in labels]), labels))
    present = sorted({k for _, labels in operands for k in labels})
    out = tuple(int(k) for k in rng.permutation(present)[: rng.integers(0, 4)])
    flat = [part for array, labels in operands for part in (array, list(labels))]
    expected = np.einsum(*flat, list(out))
    np.testing.assert_allclose(contract(operands, out), expected, atol=1e-12)
    destination = np.empty(expected.shape)
    contract(operands, out, destination=destination)
    np.testing.assert_allclose(destination, expected, atol=1e-12)


def test_wide_sums_of_float32_are_accurate() -> None:
    rng = np.random.default_rng(0)
    x = (1 + rng.standard_normal(10**6)).astype(np.float32)
    y = (1 + rng.standard_normal(10**6)).astype(np.float32)
    exact = np.dot(x.astype(np.float64), y.astype(np.float64))
    found = contract([(x, (0,)), (y, (0,))], (), is_wide=True)
    assert found.dtype == np.float64
    assert abs(found / exact - 1) < 1e-7


def test_the_cheap_pair_goes_first() -> None:
    # T{i,j} z{j} w{i}: never the outer product of z and w
    sizes = {0: 1000, 1: 1000}
    assert pair_order(((0, 1), (1,), (0,)), (), tuple(sizes.items()))[0] != (1, 2)
    # |x><y|z>: the inner product first
    labels = ((2, 0), (2, 1), (1,))
    assert contraction_flops(labels, (0,), {0: 1000, 1: 1000, 2: 5}) == 2 * 2 * 5 * 1000


def test_spread_takes_diagonals_and_adds_axes() -> None:
    array = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(spread(array, (7, 7, 4), (4, 9, 7)), np.einsum("iik->ki", array)[:, None, :])


@pytest.mark.parametrize("is_transposed", [False, True])
def test_products_with_a_matrix_do_not_depend_on_threads(is_transposed: bool) -> None:
    rng = np.random.default_rng(1)
    matrix, argument = rng.standard_normal((700, 700)), rng.standard_normal((3, 700))
    results = []
    for threads in (1, 2, 5):
        out = np.empty_like(argument)
        with Workers(threads) as workers:
            multiply_matrix(matrix, argument, out, is_transposed=is_transposed, for_each=workers.for_each)
        results.append(out)
    expected = argument @ (matrix if is_transposed else matrix.T)
    np.testing.assert_allclose(results[0], expected, rtol=1e-12, atol=1e-10)
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


def test_ordered_sums_ignore_the_order_of_arrival() -> None:
    parts = np.random.default_rng(0).standard_normal((9, 4)).astype(np.float32)
    totals = []
    for order in (range(9), reversed(range(9)), (3, 1, 4, 0, 5, 8, 2, 6, 7)):
        total = OrderedSum(np.zeros(4, np.float32))
        for k in order:
            total.add(k, parts[k])
        totals.append(total.total)
    np.testing.assert_array_equal(totals[1], totals[0])
    np.testing.assert_array_equal(totals[2], totals[0])


def test_the_first_exception_of_a_task_stops_the_others() -> None:
    done: list[int] = []

    def task(k: int) -> None:
        if k == 2:
            raise KeyError(k)
        done.append(k)

    with Workers(2) as workers, pytest.raises(KeyError):
        workers.for_each(task, 1000)
    assert len(done) < 1000


def test_a_long_task_learns_of_ctrl_c() -> None:
    seen: list[bool] = []

    def task(k: int) -> None:
        if k == 0:
            os.kill(os.getpid(), signal.SIGINT)
        while not workers.is_stopping:
            sleep(0.001)
        seen.append(True)

    with Workers(2) as workers:
        with pytest.raises(KeyboardInterrupt):
            workers.for_each(task, 100)
        assert len(seen) <= 2
        workers.for_each(lambda k: seen.append(workers.is_stopping), 3)
        assert seen[-3:] == [False] * 3


@pytest.mark.parametrize("law", ["gaussian", "rademacher", "uniform"])
def test_draws_have_unit_variance(law: str) -> None:
    values = draw(Streams(0).generator("x", "test"), law, (40000,))  # pyright: ignore[reportArgumentType]
    assert abs(values.mean()) < 5 / 200
    assert abs(values.var() - 1) < 5 * np.sqrt(2) / 200


def test_streams_are_told_apart_by_every_part_of_their_key() -> None:
    base = Streams(0).generator("x", "vector").random()
    others = [
        Streams(1).generator("x", "vector"),
        Streams(0, 1).generator("x", "vector"),
        Streams(0).generator("y", "vector"),
        Streams(0).generator("x", "matrix"),
        Streams(0).generator("x", "vector", passes=(("t", 0),)),
        Streams(0).generator("x", "vector", element=(0,)),
        Streams(0).generator("x", "vector", block=1),
    ]
    values = [base, *(generator.random() for generator in others)]
    assert len(set(values)) == len(values)
    assert Streams(0).generator("x", "vector").random() == base


def test_matrices_are_the_same_for_any_number_of_threads() -> None:
    matrices = []
    for threads in (1, 3):
        matrix = np.empty((300, 20), np.float32)
        with Workers(threads) as workers:
            fill_rows(
                matrix,
                lambda block: Streams(0).generator("W", "matrix", block=block),
                law="gaussian",
                scale=0.5,
                for_each=workers.for_each,
            )
        matrices.append(matrix)
    np.testing.assert_array_equal(matrices[1], matrices[0])
    assert abs(matrices[0].std() - 0.5) < 0.02

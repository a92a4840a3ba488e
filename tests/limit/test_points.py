"""Sobol points: direction numbers, scrambling, halves, and what they do to averages."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from nexort.engine import Streams
from nexort.limit.halves import HalfStreams
from nexort.limit.points import COORDINATES, Points, _direction_numbers, net_column

from .programs import limit


def stream(k: int = 0) -> np.random.Generator:
    return Streams(0, k).generator("x", "ket")


def uniform(coordinate: int, count: int, k: int = 0) -> np.ndarray:
    return ndtr(net_column(coordinate, stream(k), count))


def test_direction_numbers_are_those_of_scipy() -> None:
    """Unscrambled, the first 64 points of our net are those of an independent implementation, in another order."""
    from scipy.stats import qmc

    theirs = qmc.Sobol(COORDINATES, scramble=False).random(64)
    numbers = np.arange(64)
    ours = np.zeros((64, COORDINATES), np.uint64)
    for k in range(COORDINATES):
        for bit, vector in enumerate(_direction_numbers(k)[:6]):
            ours[:, k] ^= np.where(numbers >> bit & 1, vector, 0).astype(np.uint64)
    assert {tuple(row) for row in ours / 2.0**32} == {tuple(row) for row in theirs}


@pytest.mark.parametrize("coordinate", [0, 1, 7, COORDINATES - 1])
def test_every_interval_has_its_share(coordinate: int) -> None:
    u = uniform(coordinate, 512)
    assert np.array_equal(np.sort((u * 512).astype(int)), np.arange(512))
    # and every group of consecutive points too
    assert np.array_equal(np.sort((u[128:256] * 128).astype(int)), np.arange(128))


def test_boxes_of_two_coordinates_have_their_share() -> None:
    counts = np.histogram2d(uniform(0, 256), uniform(1, 256, 1), bins=16, range=[[0, 1], [0, 1]])[0]
    assert np.all(counts == 1)


def test_columns_depend_on_the_stream_and_are_gaussian() -> None:
    a, b = (net_column(3, stream(k), 1000) for k in (0, 1))
    assert not np.array_equal(a, b)
    assert np.array_equal(a, net_column(3, stream(), 1000))
    means = [np.mean([net_column(3, stream(k), 16)[5] ** p for k in range(4000)]) for p in (1, 2, 4)]
    np.testing.assert_allclose(means, [0, 1, 3], atol=0.4)


def test_later_coordinates_are_plain() -> None:
    points = Points(64, has_net=True)
    columns = points.draw(stream(), COORDINATES + 2)
    is_even = [np.array_equal(np.sort((ndtr(z) * 64).astype(int)), np.arange(64)) for z in columns]
    assert is_even == [True] * COORDINATES + [False] * 2


def test_halves_are_parts_of_the_whole() -> None:
    whole = Points(64, has_net=True).draw(stream(), COORDINATES + 1)
    groups = whole.reshape(len(whole), 4, 2, 8)
    for half in (0, 1):
        streams = HalfStreams(0, 0, samples=64, half=half, groups=4)
        kept = Points(32, has_net=True).draw(streams.generator("x", "ket"), COORDINATES + 1)
        assert np.array_equal(kept, groups[:, :, half].reshape(len(whole), 32))


def test_partners_have_sequences_of_their_own() -> None:
    columns = Points(256, has_net=True, pairs=4).draw(stream(), 2)
    sides = columns.reshape(2, 4, 2, 32).swapaxes(1, 2).reshape(2, 2, 128)
    for column in sides:
        for side in column:
            assert np.array_equal(np.sort((ndtr(side) * 128).astype(int)), np.arange(128))
        both = np.sort((ndtr(np.concatenate(column)) * 256).astype(int))
        assert not np.array_equal(both, np.arange(256))
    for half in (0, 1):
        streams = HalfStreams(0, 0, samples=256, half=half, groups=8)
        kept = Points(128, has_net=True, pairs=4).draw(streams.generator("x", "ket"), 2)
        whole = Points(256, has_net=True, pairs=4).draw(stream(), 2)
        assert np.array_equal(kept, whole.reshape(2, 8, 2, 16)[:, :, half].reshape(2, 128))


SMOOTH = "vector x[3], y\nmatrix W\nh = W @ tanh(x[0] + x[1] * x[2])\noutput avg(tanh(h + y)^2) as s"


def test_smaller_errors_and_the_same_value() -> None:
    plain, net = (limit(SMOOTH, samples=1024, replicates=24, reduce=reduce)["s"] for reduce in ((), ("sobol",)))
    assert net.stderr < plain.stderr / 3
    assert abs(net.value - plain.value) < 4 * plain.stderr

"""Arrays for blocks, used again from tile to tile. One `Buffers` per thread."""

from __future__ import annotations

import numpy as np

from nexort.engine.arrays import Array
from nexort.symbolic import Scratch


class Buffers:
    """Free arrays by shape and dtype, and the temporaries of kernels."""

    def __init__(self) -> None:
        self.scratch = Scratch()
        self._free: dict[tuple[tuple[int, ...], np.dtype[np.floating]], list[Array]] = {}

    def take(self, shape: tuple[int, ...], dtype: np.dtype[np.floating]) -> Array:
        """An array with arbitrary contents."""
        pool = self._free.get((shape, dtype))
        return pool.pop() if pool else np.empty(shape, dtype)

    def give(self, array: Array) -> None:
        """Hand back an array that nothing reads any more."""
        self._free.setdefault((array.shape, array.dtype), []).append(array)

"""Arrays along a new first axis, kept so that a sequence that grows is not copied anew each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nexort.engine.arrays import Array


class Stacks:
    """Stacks of sequences that mostly continue one another, as the factors of a sum over steps do."""

    def __init__(self) -> None:
        self._known: dict[int, _Growing] = {}

    def stack(self, arrays: Sequence[Array]) -> Array:
        """np.stack(arrays), which must not be written to; arrays are told apart as objects."""
        # an array that is held here keeps its identity
        known = self._known.get(id(arrays[0]))
        if known is None or not known.agrees(arrays):
            known = self._known[id(arrays[0])] = _Growing(arrays[0])
        return known.upto(arrays)


class _Growing:
    """A buffer with the arrays that were stacked so far, and room for more.

    What earlier calls returned are views of a part that is never written again.
    """

    def __init__(self, first: Array) -> None:
        self._arrays: list[Array] = []
        self._buffer = np.empty((2, *first.shape), first.dtype)

    def agrees(self, arrays: Sequence[Array]) -> bool:
        return all(mine is other for mine, other in zip(self._arrays, arrays, strict=False))

    def upto(self, arrays: Sequence[Array]) -> Array:
        count = len(self._arrays)
        if len(arrays) > len(self._buffer):
            larger = np.empty((3 * len(arrays) // 2, *self._buffer.shape[1:]), self._buffer.dtype)
            larger[:count] = self._buffer[:count]
            self._buffer = larger
        for k in range(count, len(arrays)):
            self._buffer[k] = arrays[k]
            self._arrays.append(arrays[k])
        return self._buffer[: len(arrays)]

"""Half of the samples of a replicate: the random numbers of N samples, of which N/2 are kept.

Every random column of a replicate is one draw of N entries; its halves are the first and the last half of each group
of samples (`groups`), so that a replicate and its two halves share their noise to leading order and differ by their
bias of order 1/N.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.engine import Array, Streams


@dataclass(frozen=True)
class HalfStreams(Streams):
    """The streams of replicate `k` with `samples` samples in `groups` groups, of which each draw keeps one half."""

    samples: int = 0
    half: int = 0
    groups: int = 1

    def generator(
        self,
        name: str,
        purpose: str,
        *,
        passes: tuple[tuple[str, int], ...] = (),
        element: tuple[int, ...] = (),
        block: int = 0,
    ) -> np.random.Generator:
        whole = super().generator(name, purpose, passes=passes, element=element, block=block)
        return _HalfGenerator(whole.bit_generator, self.samples, self.half, self.groups)


class _HalfGenerator(np.random.Generator):
    def __init__(self, bits: np.random.BitGenerator, samples: int, half: int, groups: int) -> None:
        super().__init__(bits)
        self.samples = samples
        self._half = half
        self._groups = groups

    def standard_normal(self, size: Any = None, *args: Any, **settings: Any) -> Any:
        """Of shape `size`, the last axis that of samples; a single number as it is."""
        if size is None:
            return super().standard_normal(size, *args, **settings)
        shape = (size,) if isinstance(size, int) else tuple(size)
        return self.keep(super().standard_normal((*shape[:-1], self.samples), *args, **settings))

    def keep(self, whole: Array) -> Array:
        """(…, samples) to (…, samples/2)."""
        groups = whole.reshape(*whole.shape[:-1], self._groups, -1)
        size = groups.shape[-1] // 2
        kept = groups[..., self._half * size : (self._half + 1) * size]
        return kept.reshape(*whole.shape[:-1], -1)


def whole_samples(stream: np.random.Generator, samples: int) -> int:
    """How many samples a draw has, of which the stream keeps `samples`."""
    return stream.samples if isinstance(stream, _HalfGenerator) else samples


def kept_samples(stream: np.random.Generator, whole: Array) -> Array:
    """Those samples of a draw that the stream keeps."""
    return stream.keep(whole) if isinstance(stream, _HalfGenerator) else whole

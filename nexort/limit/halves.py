"""Half of the samples of a replicate: the random numbers of N samples, of which N/2 are kept.

Every random column of a replicate is one draw of N entries; its halves are the first and the last N/2 of them, so that
a replicate and its two halves share their noise to leading order and differ by their bias of order 1/N.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nexort.engine import Streams


@dataclass(frozen=True)
class HalfStreams(Streams):
    """The streams of replicate `k` with `samples` samples, of which each draw over them keeps one half."""

    samples: int = 0
    half: int = 0

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
        return _HalfGenerator(whole.bit_generator, self.samples, self.half)


class _HalfGenerator(np.random.Generator):
    def __init__(self, bits: np.random.BitGenerator, samples: int, half: int) -> None:
        super().__init__(bits)
        self._samples = samples
        self._start = half * (samples // 2)

    def standard_normal(self, size: Any = None, *args: Any, **settings: Any) -> Any:
        """Of shape `size`, the last axis that of samples; a single number as it is."""
        if size is None:
            return super().standard_normal(size, *args, **settings)
        shape = (size,) if isinstance(size, int) else tuple(size)
        whole = super().standard_normal((*shape[:-1], self._samples), *args, **settings)
        return whole[..., self._start : self._start + shape[-1]]

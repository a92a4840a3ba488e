"""Refusing what would not fit, before anything is allocated."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from nexort.errors import ComputationFault


def refuse_too_large(needed: int, samples: int) -> None:
    """Raises ComputationFault where `needed` bytes are more than the machine can give."""
    available = _available_bytes()
    if available is not None and needed > available:
        raise ComputationFault(
            f"with {samples} samples this program needs up to {needed / 1e9:.3g} GB of memory, "
            f"and {available / 1e9:.3g} GB are available",
            hint="choose fewer --samples, or --dtype float32",
        )


def _available_bytes() -> int | None:
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:")))
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None

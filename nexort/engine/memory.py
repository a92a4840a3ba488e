"""How much memory this process may take, and the refusal of work that needs more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nexort.errors import ComputationFault

_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def refuse_too_large(needed: int | float, what: str, remedy: str) -> None:
    """Raises ComputationFault, before anything is allocated, if `needed` bytes are more than there are."""
    available = available_bytes()
    if available is not None and needed > available:
        raise ComputationFault(
            f"{what} this program needs about {format_bytes(needed)} of memory, "
            f"and {format_bytes(available)} are available",
            hint=f"{remedy}, or use --dtype float32; `nexort check` states the memory needed",
        )


def available_bytes() -> int | None:
    """Free memory as the system tells it, within the limit of a container; None where nothing tells it."""
    return min(_readings(), default=None)


def _readings() -> Iterator[int]:
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        yield 1024 * int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:")))
    for path in _CGROUPS:
        # what a container uses now is mostly file cache that it can give back, so its whole limit counts;
        # the word `max` stands for no limit
        with suppress(OSError, ValueError):
            yield int(Path(path).read_text())
    with suppress(OSError, ValueError, AttributeError):
        yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def format_bytes(size: int | float) -> str:
    """`1.2 GB`, in powers of 1000."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.0f} bytes"

"""Threads: one pool for all n × n work, with BLAS itself held to one thread while the pool works.

NumPy releases the GIL, so tiles run in parallel.  How the work is split depends on shapes only, never on the number of
threads, and BLAS always runs single-threaded: results are bitwise the same for any number of threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from types import FrameType

import numpy as np

from nexort.engine.arrays import Array


def available_threads() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(slots=True)
class _Stop:
    """Asks the tasks of one call to return; no lock, as a handler of signals sets it."""

    is_set: bool = False


class Workers:
    """Runs numbered tasks on threads; the first exception stops the others and is raised here."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or available_threads()
        self._pool = ThreadPoolExecutor(self.threads) if self.threads > 1 else None
        self._stop = _Stop()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_stopping(self) -> bool:
        """Whether a task failed or Ctrl-C was pressed: a long task looks at it now and then, and returns."""
        return self._stop.is_set

    def for_each(self, task: Callable[[int], object], count: int) -> None:
        """task(0), …, task(count − 1), started in this order."""
        # a new one in every case: that of the last call is set, and tasks look at it
        stop = self._stop = _Stop()
        if self._pool is None or count <= 1:
            for k in range(count):
                task(k)
            return
        counter = iter(range(count))
        lock = Lock()

        def work() -> None:
            with np.errstate(all="ignore"):
                while not stop.is_set:
                    with lock:
                        k = next(counter, None)
                    if k is None:
                        return
                    try:
                        task(k)
                    except BaseException:
                        stop.is_set = True
                        raise

        with _delayed_interrupt(stop):
            futures = [self._pool.submit(work) for _ in range(min(self.threads, count))]
            # after an exception or Ctrl-C, no task may still write when the caller goes on
            wait(futures)
        for future in futures:
            future.result()


@contextmanager
def _delayed_interrupt(stop: _Stop) -> Generator[None]:
    """Ctrl-C inside the block sets `stop`, and is handled as ever when the block has ended.

    KeyboardInterrupt may be raised between any two instructions of the main thread, inside the locks of the standard
    library's pools and events too: these would stay locked, and the tasks wait for them for ever.
    """
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield
        return
    seen: list[FrameType | None] = []

    def note(_: int, frame: FrameType | None) -> None:
        seen.append(frame)
        stop.is_set = True

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if seen:
        previous(signal.SIGINT, seen[0])


class OrderedSum:
    """Adds partial sums to a total in the order of their numbers, whatever the order in which they arrive."""

    def __init__(self, total: Array) -> None:
        self.total = total
        self._next = 0
        self._waiting: dict[int, Array] = {}
        self._lock = Lock()

    def add(self, number: int, part: Array) -> None:
        with self._lock:
            self._waiting[number] = part
            while self._next in self._waiting:
                np.add(self.total, self._waiting.pop(self._next), out=self.total)
                self._next += 1


_SETTERS = ("openblas_set_num_threads", "MKL_Set_Num_Threads", "bli_thread_set_num_threads")
_GETTERS = ("openblas_get_num_threads", "MKL_Get_Max_Threads", "bli_thread_get_num_threads")


def _symbol(library: ctypes.CDLL, names: tuple[str, ...]) -> Callable[..., int] | None:
    for name in names:
        for prefix in ("", "scipy_"):
            for suffix in ("", "64_", "_64", "64"):
                found = getattr(library, prefix + name + suffix, None)
                if found is not None:
                    return found
    return None


@lru_cache(maxsize=1)
def _blas_controls() -> tuple[tuple[Callable[..., int], Callable[..., int]], ...]:
    """(get, set) of the number of threads of each BLAS library loaded in this process; none where unknown."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return ()
    paths = {line.split(None, 5)[5] for line in maps.splitlines() if len(line.split(None, 5)) == 6}
    controls: list[tuple[Callable[..., int], Callable[..., int]]] = []
    for path in sorted(paths):
        if any(word in Path(path).name.lower() for word in ("openblas", "mkl_rt", "libblis")):
            library = ctypes.CDLL(path)
            get, put = _symbol(library, _GETTERS), _symbol(library, _SETTERS)
            if get is not None and put is not None:
                controls.append((get, put))
    return tuple(controls)


@contextmanager
def single_threaded_blas() -> Generator[None]:
    """BLAS on one thread inside the block (where the library is known), as before after it."""
    controls = _blas_controls()
    before = [get() for get, _ in controls]
    try:
        for _, put in controls:
            put(1)
        yield
    finally:
        for (_, put), count in zip(controls, before, strict=True):
            put(count)


PRODUCT_BLOCKS = 16
"""Units of work of a matrix product: balances any number of threads."""
LEAST_BLOCK, MOST_BLOCK, BLOCK_UNIT = 128, 512, 64
"""Bounds of a block, and what it is a multiple of: BLAS lays out the argument anew for each, and likes whole panels."""


def multiply_matrix(
    matrix: Array, argument: Array, out: Array, *, is_transposed: bool, for_each: Callable[..., None]
) -> None:
    """out[k, i] = Σ_j matrix[i, j] argument[k, j] (matrix[j, i] if transposed), in blocks of i on all threads.

    matrix (n, n); argument, out (k, n).
    """
    n = matrix.shape[0]
    size = min(MOST_BLOCK, max(LEAST_BLOCK, BLOCK_UNIT * -(-n // (PRODUCT_BLOCKS * BLOCK_UNIT))))

    def block(b: int) -> None:
        part = slice(b * size, min((b + 1) * size, n))
        np.matmul(argument, matrix[:, part] if is_transposed else matrix[part].T, out=out[:, part])

    for_each(block, -(-n // size))

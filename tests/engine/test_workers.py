"""Threads: what tasks see of those before them."""

from __future__ import annotations

import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from time import monotonic
from typing import Any

import pytest

from nexort.engine import Workers


def test_a_single_task_is_not_stopped_by_the_end_of_earlier_ones() -> None:
    with Workers(2) as workers:
        stopping: list[bool] = []
        for count in (4, 1, 3, 1):
            workers.for_each(lambda _: stopping.append(workers.is_stopping), count)
    assert stopping == [False] * 9


def test_ctrl_c_while_tasks_are_handed_out_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interrupt comes inside the pool's own code, when one of two tasks is under way."""
    submit = ThreadPoolExecutor.submit
    begun, running, end = Event(), [0], monotonic() + 20

    def interrupted_submit(pool: ThreadPoolExecutor, work: Any) -> Future[None]:
        future = submit(pool, work)
        assert begun.wait(10)
        os.kill(os.getpid(), signal.SIGINT)
        return future

    def task(_: int) -> None:
        running[0] += 1
        begun.set()
        while not workers.is_stopping and monotonic() < end:
            pass
        running[0] -= 1

    before = signal.getsignal(signal.SIGINT)
    with Workers(2) as workers:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(ThreadPoolExecutor, "submit", interrupted_submit)
            workers.for_each(task, 2)
        assert running == [0]
        assert signal.getsignal(signal.SIGINT) is before
        workers.for_each(running.append, 3)
    assert sorted(running[1:]) == [0, 1, 2]

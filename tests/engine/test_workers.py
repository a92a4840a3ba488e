"""Threads: what tasks see of those before them."""

from __future__ import annotations

from nexort.engine import Workers


def test_a_single_task_is_not_stopped_by_the_end_of_earlier_ones() -> None:
    with Workers(2) as workers:
        stopping: list[bool] = []
        for count in (4, 1, 3, 1):
            workers.for_each(lambda _: stopping.append(workers.is_stopping), count)
    assert stopping == [False] * 9

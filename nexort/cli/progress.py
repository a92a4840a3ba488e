"""A bar on standard error while a terminal looks on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

Progress = Callable[[int, int, float], None]


@contextmanager
def show_progress(noun: str, *, is_quiet: bool) -> Generator[Progress | None]:
    """Gives progress(index, count, fraction) for repetitions called `noun`; None where there is no terminal."""
    if is_quiet or not _has_terminal():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("compiling", total=None)

        def update(index: int, count: int, fraction: float) -> None:
            shown = min(index + 1, count)
            bar.update(task, description=f"{noun} {shown}/{count}", completed=index + fraction, total=count)

        yield update


def _has_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False

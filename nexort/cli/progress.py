"""A bar on standard error while a terminal looks on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Progress:
    """progress(index, count, fraction) of repetitions, and a line to stay above the bar."""

    update: Callable[[int, int, float], None]
    announce: Callable[[str], None]

    def __call__(self, index: int, count: int, fraction: float) -> None:
        self.update(index, count, fraction)


@contextmanager
def show_progress(noun: str, *, is_quiet: bool) -> Generator[Progress | None]:
    """The progress of repetitions called `noun`; None where there is no terminal."""
    if is_quiet or not _has_terminal():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("compiling", total=None)

        def update(index: int, count: int, fraction: float) -> None:
            shown = min(index + 1, count)
            bar.update(task, description=f"{noun} {shown}/{count}", completed=index + fraction, total=count)

        def announce(text: str) -> None:
            bar.console.print(text, markup=False, highlight=False)

        yield Progress(update, announce)


def _has_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False

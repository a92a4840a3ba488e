"""Standard output and error: a reader that goes away, a full disk and a narrow encoding are not our crashes."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

from nexort.errors import ComputationFault


def make_streams_safe() -> None:
    """Characters that the terminal's encoding lacks are escaped instead of raising UnicodeEncodeError."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write_result(text: str) -> None:
    """Writes a line or lines to standard output, at once.

    A closed pipe is silently accepted (`nexort run … | head`). Raises ComputationFault when the disk is full.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _discard_output()
    except OSError as error:
        _discard_output()
        raise ComputationFault(f"cannot write to standard output: {error.strerror or error}") from None


def write_error(text: str) -> None:
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]  started with standard error closed
        return
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _discard_output() -> None:
    """Else the interpreter would try once more, and complain, at exit."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)

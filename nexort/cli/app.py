"""From arguments to an exit status: every way a command can end.

| status | meaning |
|---|---|
| 0 | fine |
| 1 | the program, an import or the data is missing or wrong; `fmt --check` found something to change |
| 2 | wrong command line, or a part of it that is not built yet |
| 3 | the computation failed, or its result could not be written |
| 70 | a fault of NEXORT itself |
| 130 | interrupted |
"""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Sequence

from nexort.cli.parser import parse_arguments
from nexort.cli.streams import make_streams_safe, write_error
from nexort.errors import NexortError

COMPUTATION_FAILED = 3
INTERNAL_FAULT = 70
INTERRUPTED = 130
ISSUES = "the project's issue tracker"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; nothing but that is raised."""
    make_streams_safe()
    try:
        command, arguments = parse_arguments(argv)
        return command(arguments)
    except SystemExit as stop:  # argparse: --help and errors of form
        return stop.code if isinstance(stop.code, int) else 2
    except NexortError as fault:
        write_error(fault.render())
        return fault.exit_status
    except KeyboardInterrupt:
        write_error("interrupted: nothing was finished")
        return INTERRUPTED
    except MemoryError:
        write_error("error: out of memory\n  hint: `nexort check` states the memory needed")
        return COMPUTATION_FAILED
    except Exception as error:
        write_error(_describe(error, sys.argv[1:] if argv is None else argv))
        return INTERNAL_FAULT


def _describe(error: Exception, argv: Sequence[str]) -> str:
    """What to say of an exception that is no fault of the user's."""
    if os.environ.get("NEXORT_DEBUG") == "1":
        return "".join(traceback.format_exception(error))
    command = shlex.join(["nexort", *argv])
    return (
        f"internal error: {type(error).__name__}: {error}\n"
        "  This is a fault of NEXORT, not of your program.\n"
        f"  hint: please report it at {ISSUES} with the program and what NEXORT_DEBUG=1 {command} prints"
    )

"""What wrong programs are told: class, text pointed at, message and hint of each fault, kept in faults.txt.

After a deliberate change, `NEXORT_UPDATE_GOLDEN=1 pytest tests/elaborate` writes the file anew: read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from elaborate.readings import faults

GOLDEN = Path(__file__).with_name("faults.txt")
TITLE = "=== program\n"


def entries() -> list[tuple[str, str]]:
    """Programs, and what is said about each."""
    blocks = GOLDEN.read_text(encoding="utf-8").split(TITLE)[1:]
    pairs = (block.partition("--- ") for block in blocks)
    return [(program.strip("\n"), mark + said.strip("\n")) for program, mark, said in pairs]


def answer(program: str) -> str:
    lines: list[str] = []
    for fault in faults(program):
        lines += [f"--- {type(fault).__name__} at: {fault.labels[0].span.text}", fault.message]
        lines += [fault.hint] if fault.hint else []
        fault.render()
    return "\n".join(lines)


@pytest.mark.parametrize(("program", "expected"), entries(), ids=[program for program, _ in entries()])
def test_fault(program: str, expected: str) -> None:
    assert expected == answer(program)


if os.environ.get("NEXORT_UPDATE_GOLDEN"):
    GOLDEN.write_text("\n".join(f"{TITLE}{program}\n{answer(program)}\n" for program, _ in entries()), encoding="utf-8")

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).resolve().parents[2] / "programs"


@pytest.fixture
def program_text() -> Callable[[str], str]:
    """The text of a shipped program by name."""
    return lambda name: (PROGRAMS / f"{name}.nx").read_text(encoding="utf-8")

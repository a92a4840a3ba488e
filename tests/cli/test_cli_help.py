"""Help texts against golden files: `NEXORT_UPDATE_GOLDEN=1 pytest tests/cli` rewrites them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nexort as package

GOLDEN = Path(__file__).parent / "golden"
COMMANDS = ("", "run", "limit", "compare", "check", "classify", "lower", "fmt")


@pytest.mark.parametrize("command", COMMANDS)
def test_help(nexort, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    outcome = nexort(*command.split(), "--help")
    assert (outcome.status, outcome.err) == (0, "")
    golden = GOLDEN / f"help_{command or 'nexort'}.txt"
    if os.environ.get("NEXORT_UPDATE_GOLDEN") == "1":
        golden.write_text(outcome.out, encoding="utf-8")
    assert outcome.out == golden.read_text(encoding="utf-8")


def test_version(nexort):
    assert nexort("--version").out == f"nexort {package.__version__}\n"


def test_version_is_the_package_metadata():
    import tomllib

    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["project"]["version"] == package.__version__


def test_help_starts_fast():
    def measure() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "nexort", "--help"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    assert min(measure() for _ in range(5)) < 0.3

"""The examples run."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_example(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_quickstart(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    run_example("quickstart.py", [], monkeypatch)
    assert "did you mean 'relu'" in capsys.readouterr().out


def test_approach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("matplotlib")
    out = tmp_path / "approach.png"
    sizes = ["--samples", "256", "--replicates", "2", "--trials", "3", "--largest", "128"]
    run_example("approach.py", ["--out", str(out), *sizes], monkeypatch)
    assert out.stat().st_size > 10_000

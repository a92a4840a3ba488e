"""How these tests call the command: in this process with `nexort`, in one of its own with `spawn`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nexort.cli import main

TRANSPOSE = """\
vector x
matrix W
q = W' @ sign(W @ x)
output <x|q> as s
"""
FAMILY = """\
param T = 3, eta = 0.5
data c[M] = [1, 2]
vector x[M]
for t in 0..T:
    output <x[a] | x[b]> * eta * c[a] as K[a, b]
"""


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


@pytest.fixture
def nexort(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def call(*arguments: object) -> Outcome:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call


@pytest.fixture
def spawn() -> Callable[..., subprocess.Popen[Any]]:
    def start(*arguments: object, **settings: Any) -> subprocess.Popen[Any]:
        command = [sys.executable, "-m", "nexort", *map(str, arguments)]
        environment = {**os.environ, **settings.pop("env", {})}
        return subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[2], **settings)

    return start


@pytest.fixture
def transpose(tmp_path: Path) -> Path:
    path = tmp_path / "transpose.nx"
    path.write_text(TRANSPOSE)
    return path


@pytest.fixture
def family(tmp_path: Path) -> Path:
    path = tmp_path / "family.nx"
    path.write_text(FAMILY)
    return path

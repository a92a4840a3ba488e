"""`nexort fmt`: in place, `--check`, `--diff`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

MESSY = "vector   x\noutput <x|x>   as   s # why\n"


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    path = tmp_path / "messy.nx"
    path.write_text(MESSY)
    return path


def test_in_place(nexort, messy):
    messy.chmod(0o640)
    outcome = nexort("fmt", messy)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    tidy = messy.read_text()
    assert tidy.splitlines()[0] == "vector x"
    assert messy.stat().st_mode & 0o777 == 0o640
    before = messy.stat().st_mtime_ns
    assert nexort("fmt", messy).status == 0
    assert (messy.read_text(), messy.stat().st_mtime_ns) == (tidy, before)
    assert nexort("fmt", messy, "--check").status == 0


def test_check(nexort, messy, transpose):
    outcome = nexort("fmt", transpose, messy, "--check")
    assert (outcome.status, outcome.out) == (1, f"would reformat {messy}\n")
    assert messy.read_text() == MESSY


def test_diff(nexort, messy):
    outcome = nexort("fmt", messy, "--diff")
    assert outcome.status == 0
    assert {"-vector   x", "+vector x"} <= set(outcome.out.splitlines())
    assert messy.read_text() == MESSY
    both = nexort("fmt", messy, "--diff", "--check")
    assert (both.status, both.out) == (1, outcome.out)


def test_a_link_stays_a_link(nexort, messy, tmp_path):
    link = tmp_path / "link.nx"
    link.symlink_to(messy)
    assert nexort("fmt", link).status == 0
    assert link.is_symlink()
    assert messy.read_text() != MESSY


def test_wrong_programs_are_left_alone(nexort, tmp_path):
    path = tmp_path / "wrong.nx"
    path.write_text("vector (\n")
    outcome = nexort("fmt", path)
    assert (outcome.status, outcome.out) == (1, "")
    assert f"{path}:1:" in outcome.err
    assert path.read_text() == "vector (\n"
    assert os.listdir(tmp_path) == ["wrong.nx"]

"""Wrong command lines end with status 2, wrong programs and files with status 1, before any work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run P", "--width"),
        ("run P --width 0", "width must be at least 1, not 0"),
        ("run P --width -3", "width must be at least 1, not -3"),
        ("run P --width 2.5", "'2.5' is not a whole number"),
        ("run P --width 8 --trials 0", "trials must be at least 1, not 0"),
        ("run P --width 8 --seed -1", "seed must be at least 0, not -1"),
        ("run P --width 8 --init cauchy", "invalid choice: 'cauchy'"),
        ("run P --width 8 --dtype float16", "invalid choice: 'float16'"),
        ("run P --width 8 --widht 9", "did you mean '--width'?"),
        ("limit P --samples 1", "samples must be at least 2, not 1"),
        ("limit P --replicates 0", "replicates must be at least 1, not 0"),
        ("limit P --seed -7", "seed must be at least 0, not -7"),
        ("limit P --tol x", "'x' is not a number"),
        ("limit P --tol 0", "tol must be positive"),
        ("check P --width 0", "width must be at least 1, not 0"),
        ("run P --width 8 --set T", "--set T: expected NAME=VALUE"),
        ("run P --width 8 --set =3", "expected NAME=VALUE"),
        ("run P --width 8 --set T=many", "'many' is not a number"),
        ("run P --width 8 --set T=2*3", "'2*3' is not a number"),
        ("run P --width 8 --set T=inf", "param T must be finite"),
        ("run P --width 8 --set T=nan", "param T must be finite"),
        ("", "required: COMMAND"),
        ("walk P", "invalid choice: 'walk'"),
        ("run", "required: PROGRAM"),
    ],
)
def test_wrong_command_line(nexort, transpose, arguments, message):
    outcome = nexort(*(transpose if word == "P" else word for word in arguments.split()))
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        ("derive P --format latex", "`nexort derive`"),
        ("graph P -o g.svg", "`nexort graph`"),
    ],
)
def test_what_is_not_built_yet_is_refused(nexort, transpose, arguments, subject):
    outcome = nexort(*(transpose if word == "P" else word for word in arguments.split()))
    assert (outcome.status, outcome.out) == (2, "")
    assert f"{subject} is not built yet" in outcome.err
    assert "hint:" in outcome.err


def test_outputs_of_vectors_are_refused_at_their_place(nexort, tmp_path):
    program = tmp_path / "vector.nx"
    program.write_text("vector x\noutput x\n")
    for command in (["run", program, "--width", 8], ["limit", program], ["check", program]):
        outcome = nexort(*command)
        assert (outcome.status, outcome.out) == (1, "")
        assert f"{program}:2:" in outcome.err
        assert "a vector, its distribution, is not built yet" in outcome.err


def test_unknown_set_name(nexort, family):
    outcome = nexort("limit", family, "--set", "etaa=1")
    assert outcome.status == 2
    assert "etaa" in outcome.err
    assert "did you mean 'eta'?" in outcome.err


@pytest.mark.parametrize("command", [("run", "--width", "8"), ("limit",), ("check",), ("lower",), ("fmt",)])
def test_unreadable_programs(nexort, tmp_path: Path, command):
    missing, folder, binary, huge = (tmp_path / name for name in ("no.nx", "dir.nx", "latin.nx", "huge.nx"))
    folder.mkdir()
    binary.write_bytes("vector x\n# é\n".encode("latin-1"))
    with huge.open("wb") as handle:
        handle.truncate(50_000_000)
    for path, message in (
        (missing, f"cannot read {missing}: No such file or directory"),
        (folder, "is a directory"),
        (binary, f"{binary}:2: not UTF-8: byte 0xe9 in line 2"),
        (huge, "too large: 50.0 MB"),
        ("/dev/zero", "too large: more than 1 MB"),
    ):
        outcome = nexort(command[0], path, *command[1:])
        assert (outcome.status, outcome.out) == (1, "")
        assert message in outcome.err


def test_a_wrong_program_is_shown(nexort, tmp_path):
    program = tmp_path / "wrong.nx"
    program.write_text("vector x\noutput <x|yy>\n")
    outcome = nexort("limit", program)
    assert (outcome.status, outcome.out) == (1, "")
    assert f"{program}:2:11: error:" in outcome.err
    assert "    2 | output <x|yy>\n" in outcome.err
    assert "^^" in outcome.err


def test_wrong_data_files(nexort, family, tmp_path):
    missing, text = tmp_path / "no.npz", tmp_path / "text.npz"
    text.write_text("not a zip")
    for path in (missing, text):
        outcome = nexort("limit", family, "--data", path)
        assert (outcome.status, outcome.out) == (1, "")
        assert str(path) in outcome.err


def test_out_known_to_be_unwritable(nexort, transpose, tmp_path):
    for path, message in (
        (tmp_path / "no" / "a.npz", "No such file or directory"),
        (tmp_path, "is a directory"),
        ("", "is a directory"),
        (f"{tmp_path}/", "is a directory"),
        ("/proc/a.npz", "cannot write"),
        (tmp_path / ("a" * 300), "File name too long"),
        (transpose, "is an input of this computation"),
    ):
        outcome = nexort("limit", transpose, "--out", path)
        assert (outcome.status, outcome.out) == (2, "")
        assert message in outcome.err
    assert os.listdir(tmp_path) == [transpose.name]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_out_in_a_read_only_folder(nexort, transpose, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    outcome = nexort("limit", transpose, "--out", folder / "a.npz")
    assert (outcome.status, outcome.out) == (2, "")
    assert "Permission denied" in outcome.err


def test_limit_out_needs_free_names(nexort, tmp_path):
    program = tmp_path / "names.nx"
    program.write_text("vector x\noutput <x|x> as a\noutput avg(x) as a_stderr\n")
    outcome = nexort("limit", program, "--out", tmp_path / "a.npz")
    assert outcome.status == 2
    assert "a_stderr would be two arrays" in outcome.err
    assert nexort("run", program, "--width", 8, "--out", tmp_path / "a.npz").status == 0


def test_faults_of_ours_say_so(nexort, transpose, monkeypatch):
    from nexort import api

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr(api.Program, "lower", fail)
    monkeypatch.delenv("NEXORT_DEBUG", raising=False)
    outcome = nexort("lower", transpose)
    assert (outcome.status, outcome.out) == (70, "")
    assert outcome.err.startswith("internal error: RuntimeError: surprise\n  This is a fault of NEXORT")
    assert "Traceback" not in outcome.err
    monkeypatch.setenv("NEXORT_DEBUG", "1")
    assert "Traceback" in nexort("lower", transpose).err

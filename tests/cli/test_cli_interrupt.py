"""Ctrl-C: the finished trials and replicates are kept. The progress bar on a terminal tells when to press it."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

pty = pytest.importorskip("pty")

MANY = 100_000


def read_until(terminal: int, pattern: str, seconds: float = 60) -> str:
    """What the process writes to its terminal until the pattern is seen."""
    seen, deadline = "", time.monotonic() + seconds
    while not re.search(pattern, seen):
        assert time.monotonic() < deadline, f"{pattern!r} not seen in {seen!r}"
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 65536).decode(errors="replace")
    return seen


def drain(terminal: int) -> None:
    """Reads on, as a terminal does: a command whose terminal is full of what nobody read waits for ever."""
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:  # closed on the other side
        pass


def interrupt_after(spawn, pattern: str, *arguments: object) -> tuple[int, str]:
    """Status and standard output of a command that gets SIGINT when its bar shows the pattern."""
    leader, follower = pty.openpty()
    process = spawn(*arguments, stdout=subprocess.PIPE, stderr=follower, text=True)
    os.close(follower)
    reader = Thread(target=drain, args=(leader,))
    try:
        read_until(leader, pattern)
        reader.start()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
        if reader.is_alive():
            reader.join()
        os.close(leader)
    return process.returncode, out


@pytest.mark.parametrize(
    ("command", "noun", "flags"),
    [
        ("run", "trial", ("--width", 200, "--trials", MANY)),
        ("limit", "replicate", ("--replicates", MANY, "--method", "particles")),
    ],
)
def test_finished_repetitions_are_kept(spawn, transpose, tmp_path: Path, command, noun, flags):
    out = tmp_path / "out.npz"
    pattern = rf"{noun} ([3-9]|\d\d+)/{MANY}"
    status, printed = interrupt_after(spawn, pattern, command, transpose, *flags, "--out", out)
    assert status == 130
    footer = re.search(rf"(\d+) {noun}s, seed 0", printed)
    assert footer is not None
    assert 2 <= int(footer[1]) < MANY
    with np.load(out) as arrays:
        if command == "run":
            assert arrays["s"].shape == (int(footer[1]),)
        assert np.isfinite(arrays["s"]).all()


def test_interrupted_before_anything_was_finished(spawn, tmp_path):
    program = tmp_path / "slow.nx"
    program.write_text("vector x\nmatrix W\nfor t in 0..2000:\n    x = tanh(W @ x)\noutput <x|x>\n")
    out = tmp_path / "out.npz"
    pattern = "trial 1/10|compiling"
    status, printed = interrupt_after(spawn, pattern, "run", program, "--width", 4000, "--out", out)
    assert (status, printed) == (130, "")
    assert not out.exists()

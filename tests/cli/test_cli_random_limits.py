"""`nexort limit` where the limit stays random."""

from __future__ import annotations

import json

import numpy as np
import pytest

TEXT = "scalar s ~ N(1, 4)\nvector x\noutput s * <x|x> as f\noutput <x|x> as one\n"


@pytest.fixture
def random(tmp_path):
    path = tmp_path / "random.nx"
    path.write_text(TEXT)
    return path


def test_draws(nexort, random, tmp_path) -> None:
    arguments = ("limit", random, "--samples", 16, "--replicates", 2, "--draws", 5)
    outcome = nexort(*arguments, "--json", "--out", tmp_path / "out.npz")
    found = json.loads(outcome.out)
    assert (outcome.status, found["outputs"]["f"]["draws"], found["config"]["draws"]) == (0, 5, 5)
    with np.load(tmp_path / "out.npz") as saved:
        assert saved["f_draws"].shape == (2, 5)
    assert "5 draws each" in nexort(*arguments).out
    assert "s of it again for each draw" in nexort("check", random).out
    assert "  one: exact" in nexort("check", random).out.splitlines()


def test_given(nexort, random, tmp_path) -> None:
    np.savez(tmp_path / "start.npz", s=3.0)
    setting = f"s={tmp_path / 'start.npz'}"
    outcome = nexort("limit", random, "--samples", 16, "--given", setting, "--json")
    found = json.loads(outcome.out)
    assert found["outputs"]["f"]["value"] == pytest.approx(3)
    assert found["config"]["given"] == [setting]


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ("s", 2, "--given s: expected NAME=FILE.npz"),
        ("x=START", 2, "--given x: the limit of this program has no random start 'x'"),
        ("s=LONG", 1, "what is given for 's' has shape (3,)"),
        ("s=missing.npz", 1, "the data file missing.npz does not exist"),
    ],
)
def test_given_that_does_not_fit(nexort, random, tmp_path, given, status, message) -> None:
    np.savez(tmp_path / "start.npz", s=3.0)
    np.savez(tmp_path / "long.npz", s=np.ones(3))
    setting = given.replace("START", str(tmp_path / "start.npz")).replace("LONG", str(tmp_path / "long.npz"))
    outcome = nexort("limit", random, "--samples", 16, "--given", setting)
    assert (outcome.status, outcome.out) == (status, "")
    assert message in outcome.err


def test_arrays_of_one_name_are_refused(nexort, tmp_path) -> None:
    path = tmp_path / "clash.nx"
    path.write_text("scalar s ~ N(0, 1)\noutput s as f\noutput 2 * s as f_draws\n")
    outcome = nexort("limit", path, "--out", tmp_path / "out.npz")
    assert outcome.status == 2
    assert "f_draws would be two arrays, an output and the draws of output f" in outcome.err
    path.write_text("output 1 as f\noutput 2 as f_draws\n")
    assert nexort("limit", path, "--samples", 8, "--out", tmp_path / "out.npz").status == 0

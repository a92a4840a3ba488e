"""The examples run."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from shutil import copytree

import numpy as np
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


def test_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("matplotlib")
    folders = ["--keep", str(tmp_path / "keep"), "--out", str(tmp_path)]
    sizes = ["--widths", "8,16", "--trials", "2", "--samples", "320", "--replicates", "2", "--steps", "2"]
    run_example("figures.py", [*folders, *sizes], monkeypatch)
    first = capsys.readouterr().out
    for name in ("fig51", "fig52"):
        assert (tmp_path / "images" / f"{name}.png").stat().st_size > 10_000
        with np.load(tmp_path / "data" / f"{name}.npz") as data:
            assert data["limit"].shape == data["width_16"].shape == (2, 3, 4)  # times, steps + 1, watched inputs
            assert np.all(data["limit"][:, 0] == 0)
    # what is kept is not computed again
    run_example("figures.py", [*folders, *sizes], monkeypatch)
    assert "width-8 0:" in first
    assert "width-8 0:" not in capsys.readouterr().out


def test_figures_in_the_documentation_can_be_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Their data have the sizes that the page states."""
    pytest.importorskip("matplotlib")
    copytree(EXAMPLES.parent / "docs" / "data", tmp_path / "data")
    run_example("figures.py", ["--redraw", "--out", str(tmp_path)], monkeypatch)
    for name, samples in (("fig51", 4096), ("fig52", 8192)):
        assert (tmp_path / "images" / f"{name}.png").exists()
        with np.load(tmp_path / "data" / f"{name}.npz") as data:
            assert data["samples"] == samples
            assert {data[f"width_{n}"].shape for n in (64, 512, 7000)} == {(10, 31, 4)}


def test_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(EXAMPLES)
    folders = ["--keep", str(tmp_path / "keep"), "--out", str(tmp_path)]
    sizes = "--train 12 --test 8 --steps 3 --batch 4 --widths 16,64 --trials 4 --samples 256 --sweep 2 --sweep-steps 2"
    more = "--sweep-trials 2 --sweep-samples 160"
    run_example("digits.py", [*folders, *sizes.split(), *more.split()], monkeypatch)
    for name in ("training", "rates", "kernels"):
        assert (tmp_path / "images" / f"digits_{name}.png").stat().st_size > 10_000
    with np.load(tmp_path / "data" / "digits.npz") as data:
        assert data["mup_full_loss_64"].shape == (4, 4)
        assert data["mup_sweep_limit"].shape == (2, 2)
        # training trains, features move in µP and, in the limit, not at all in NTP
        assert np.all(data["mup_full_loss_limit"][:, -1] < 0.4)
        assert np.all(data["mup_full_movement_limit"][:, -1] > 0.1)
        assert np.all(data["ntp_full_movement_limit"] == 0)
        assert np.all(data["ntp_full_movement_64"][:, -1] > 0)

"""The results folder: what is finished is found again, and only where it is the same computation."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort.api.files import write_npz
from nexort.errors import ComputationFault, UsageFault
from nexort.finite import FiniteRun

TEXT = "param c = 2\nvector x\nmatrix W\noutput c * <x|tanh(W @ x)> as q\noutput c * <x|x> as r\n"


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The (width, trial) that were computed, in order."""
    found: list[tuple[int, int]] = []
    trial = FiniteRun.trial

    def counted(self: FiniteRun, k: int, *arguments: object) -> object:
        found.append((self.width, k))
        return trial(self, k, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(FiniteRun, "trial", counted)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "kept")


def compare(folder: str | None, text: str = TEXT, *, trials: int = 3, widths=(4, 8), data=None, **options):
    settings = {name: options.pop(name) for name in ("c",) if name in options}
    program = nexort.compile(text, data=data, **settings)
    return program.compare(widths, trials=trials, samples=16, replicates=2, results=folder, **options)


def kept_files(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("*/*/trial-*.npz"))


def test_trials_are_found_again(folder, computed):
    first = compare(folder)
    assert computed == [(4, 0), (4, 1), (4, 2), (8, 0), (8, 1), (8, 2)]
    assert len(kept_files(folder)) == 6
    assert first.reused == {4: 0, 8: 0}
    computed.clear()
    again = compare(folder)
    assert computed == []
    assert again.reused == {4: 3, 8: 3}
    assert f"6 of 6 from {folder}" in again.summary()
    for name, output in first.items():
        for width, run in output.runs.items():
            np.testing.assert_array_equal(again[name].runs[width].values, run.values)


def test_more_trials_and_widths_extend_fewer(folder, computed):
    compare(folder)
    computed.clear()
    more = compare(folder, trials=4, widths=(4, 16))
    assert computed == [(4, 3), (16, 0), (16, 1), (16, 2), (16, 3)]
    np.testing.assert_array_equal(more["q"].runs[4].values, compare(None, trials=4, widths=[4])["q"].runs[4].values)
    computed.clear()
    assert compare(folder, trials=2, widths=[16])["q"].runs[16].trials == 2
    assert computed == []


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"init": "uniform"},
        {"dtype": "float32"},
        {"c": 3},
        {"text": TEXT.replace("tanh", "erf")},
    ],
)
def test_another_computation_is_kept_apart(folder, computed, other):
    compare(folder)
    computed.clear()
    assert compare(folder, **other).reused == {4: 0, 8: 0}
    assert len(computed) == 6
    assert len(kept_files(folder)) == 12


def test_data_belong_to_the_key(folder, computed):
    text = "data c[M] = [1, 2]\nvector x\noutput c[a] * <x|x> as q[a]\n"
    for array in ([1.0, 2.0], [1.0, 3.0]):
        compare(folder, text, data={"c": array}, widths=[4])
    assert len(computed) == 6
    compare(folder, text, data={"c": [1, 3]}, widths=[4])
    assert len(computed) == 6


def test_layout_comments_and_samples_do_not(folder, computed):
    compare(folder)
    computed.clear()
    nexort.compile("# why\n" + TEXT.replace(" = 2", "=2")).compare([4, 8], trials=3, samples=32, results=folder)
    assert computed == []


def test_imports_belong_to_the_key(tmp_path: Path, folder, computed):
    program, imported = tmp_path / "p.nx", tmp_path / "own.nx"
    program.write_text('import "own.nx"\nvector x\noutput avg(phi(x)) as q\n')
    for body in ("x^2", "x^4", "x^2  # as before"):
        imported.write_text(f"def phi(x) = {body}\n")
        nexort.load(program).compare([4], trials=2, samples=16, results=folder)
    assert len(computed) == 4
    assert {path.parts[-3] for path in kept_files(folder)} == {"p"}


def test_the_key_can_be_read(folder):
    compare(folder, widths=[8], c=3, seed=5)
    (path,) = Path(folder).glob("*/*/key.json")
    assert path.parent.name.startswith("w8-")
    key = json.loads(path.read_text())
    assert (key["width"], key["seed"], key["set"], key["nexort"]) == (8, 5, {"c": 3}, nexort.__version__)
    assert key["program"].startswith("param c = 2\n")


@pytest.mark.parametrize("harm", ["cut", "noise", "empty", "pickle", "shape", "names", "nan", "npy"])
def test_a_damaged_file_is_reported_and_computed_again(folder, computed, harm):
    good = compare(folder)["q"].runs[8].values
    path = kept_files(folder)[-1]
    content = path.read_bytes()
    if harm == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif harm == "noise":
        middle = content.index(b"\n", 100) + 1  # the numbers of the first array, behind its header
        path.write_bytes(content[:middle] + bytes(8) + content[middle + 8 :])
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "pickle":
        np.savez(path, q=np.array([{}], dtype=object), r=np.array(1.0))
    elif harm == "npy":
        with path.open("wb") as handle:
            np.save(handle, np.ones(3))
    else:
        value = np.array(np.nan) if harm == "nan" else np.ones(2) if harm == "shape" else np.array(1.0)
        write_npz(str(path), {"p" if harm == "names" else "q": value, "r": np.array(1.0)})
    computed.clear()
    results = compare(folder)
    assert computed == [(8, 2)]
    np.testing.assert_array_equal(results["q"].runs[8].values, good)
    (warning,) = [line for line in results.warnings if "damaged" in line]
    assert warning.startswith(f"{path} is damaged (")
    assert path.read_bytes() == content
    assert compare(folder).reused == {4: 3, 8: 3}


def test_ctrl_c_keeps_what_is_finished(folder, monkeypatch):
    trial = FiniteRun.trial

    def interrupted(self: FiniteRun, k: int, *arguments: object) -> object:
        if (self.width, k) == (8, 2):
            raise KeyboardInterrupt
        return trial(self, k, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(FiniteRun, "trial", interrupted)
        with pytest.raises(nexort.Interrupted) as caught:
            compare(folder, widths=(4, 8, 16))
    results = caught.value.results
    assert {width: run.trials for width, run in results["q"].runs.items()} == {4: 3, 8: 2}
    assert results.warnings == (
        "width 8: interrupted: 2 of 3 trials finished",
        "interrupted: nothing finished at width 16",
    )
    assert "width 16" not in results.table()
    assert compare(folder, widths=(4, 8, 16)).reused == {4: 3, 8: 2, 16: 0}


def test_nothing_is_kept_on_request(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    compare(None)
    assert os.listdir(tmp_path) == []


def test_values_that_are_not_finite_are_not_kept(folder):
    with pytest.raises(ComputationFault, match="not finite"):
        compare(folder, "vector x\ns = avg(x)\noutput exp(1e9 * s^2) as q\n", widths=[1])
    assert kept_files(folder) == []


def test_a_folder_that_cannot_be(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageFault, match="cannot keep results in") as caught:
        compare(str(tmp_path / "file"))
    assert "--no-results" in caught.value.hint


def test_a_folder_that_goes_away_costs_a_warning(folder, monkeypatch):
    trial = FiniteRun.trial

    def remove(self: FiniteRun, k: int, *arguments: object) -> object:
        shutil.rmtree(folder, ignore_errors=True)
        return trial(self, k, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(FiniteRun, "trial", remove)
    results = compare(folder)
    assert results["q"].runs[8].trials == 3
    assert len(results.warnings) == 2
    for width, warning in zip((4, 8), results.warnings, strict=True):
        assert warning.startswith(f"trials of width {width} are not kept: cannot write ")

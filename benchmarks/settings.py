"""The two settings of the row `limit`, and their answers: the limits of many replicates, with their own errors.

    python -m benchmarks.settings SETTING SAMPLES REPLICATES SEED    # prints the error; adds to the file of answers

The file has f (steps, inputs), averaged over all replicates of a setting, `stderr` (steps,), the root mean square over
inputs of its standard error, and what it was made of.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.machine import PROGRAM, ROOT

if TYPE_CHECKING:
    import nexort

ANSWERS = Path(__file__).with_name("answers.npz")


@dataclass(frozen=True, kw_only=True)
class Setting:
    program: Path
    data: Path | None
    steps: tuple[int, ...]
    target: float
    """The error of the limit over that of the network is to be at most this."""

    def load(self, steps: int | None = None) -> nexort.Program:
        """The program with all steps, or with its first ones."""
        import nexort

        return nexort.load(self.program, data=self.data, T=self.steps[-1] + 1 if steps is None else steps)


SETTINGS = {
    "reference": Setting(
        program=PROGRAM,
        data=ROOT / "tests" / "reference" / "fig2_mup_L2.npz",
        steps=tuple(range(1, 11)),
        target=1 / 3,
    ),
    "smooth": Setting(
        program=Path(__file__).with_name("smooth.nx"), data=None, steps=tuple(range(1, 21)), target=1 / 5
    ),
}


def answer(name: str) -> tuple[np.ndarray, np.ndarray]:
    """f (steps, inputs) at the steps of the setting, and the error of each step (steps,)."""
    steps = list(SETTINGS[name].steps)
    with np.load(ANSWERS) as file:
        return file[f"{name}_f"][steps], file[f"{name}_stderr"][steps]


def main() -> None:
    name, samples, replicates, seed = sys.argv[1], *map(int, sys.argv[2:5])
    output = SETTINGS[name].load().limit(samples=samples, replicates=replicates, seed=seed, dtype="float32")["f"]
    old = dict(np.load(ANSWERS)) if ANSWERS.exists() else {}
    kept = old.get(f"{name}_replicates", np.empty((0, *output.value.shape), np.float32))
    all_ = np.concatenate([kept, output.values.astype(np.float32)])
    stderr = np.sqrt(all_.astype(np.float64).var(axis=0, ddof=1).mean(axis=-1) / len(all_))
    made = f"{len(all_)} replicates, the last {replicates} of {samples} samples, seed {seed}"
    new = {"f": all_.mean(axis=0, dtype=np.float64), "stderr": stderr, "replicates": all_, "made": np.array(made)}
    np.savez_compressed(ANSWERS, **{**old, **{f"{name}_{key}": value for key, value in new.items()}})
    print(made, "error", stderr[list(SETTINGS[name].steps)].round(5))


if __name__ == "__main__":
    main()

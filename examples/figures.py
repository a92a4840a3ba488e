"""Draws Figures 5.1 and 5.2 of Tensor Programs IVb (arXiv 2308.01814) from two `train` programs.

    python examples/figures.py [--quick] [--only fig51|fig52] [--widths 64,512,7000] [--trials 10]
                               [--samples N] [--replicates R] [--keep FOLDER] [--out FOLDER] [--redraw]

Needs matplotlib (pip install '.[plot]').  The network has relu, the optimizer is Adam, the inputs and targets are those
of tests/reference: fig51 has four hidden layers in the neural tangent parametrization, fig52 two in the maximal update
parametrization.  Shown is the output f on the four inputs that no network is trained on, minus its value at the start.

Defaults are the sizes of the paper, half an hour on two cores; --quick takes a minute.  Every finished trial and every
replicate of a limit is kept in --keep and not computed again.  Pictures go to OUT/images, the numbers in them to
OUT/data; --redraw draws the pictures from these numbers.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

import nexort

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "tests" / "reference"
WATCHED = slice(100, 104)
"""The inputs that are not trained on."""
STEPS = 30
INK, GRID = "#1a1a1a", "#e4e4e4"
COLORS = ("#e69f00", "#009e73", "#0072b2")
"""Orange, green and blue of Okabe and Ito, which the colour-blind tell apart."""

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A figure of the paper: its program, its data, and the size of the limit's estimate by default."""

    name: str
    title: str
    data: str
    samples: int
    replicates: int

    def program(self, steps: int) -> nexort.Program:
        with np.load(REFERENCE / self.data) as arrays:
            data = {"xi": arrays["xi"], "y": arrays["y"]}
        return nexort.load(ROOT / "examples" / "figures" / f"{self.name}.nx", data=data, T=steps)


SUBJECTS = (
    Subject(
        name="fig51",
        title="Neural tangent parametrization, four hidden layers",
        data="fig1_ntp_L4.npz",
        samples=4096,
        replicates=16,
    ),
    Subject(
        name="fig52",
        title="Maximal update parametrization, two hidden layers",
        data="fig2_mup_L2.npz",
        samples=8192,
        replicates=4,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    widths: tuple[int, ...]
    trials: int
    samples: int | None
    """None: what the figure has by default."""
    replicates: int | None
    steps: int = STEPS


QUICK = {"widths": (32, 128, 512), "trials": 4, "samples": 2048, "replicates": 2, "steps": 8}


@dataclass(frozen=True, kw_only=True)
class Curves:
    """f of the watched inputs: `runs[n]` (trials, steps + 1, 4) at width n, `limit` (replicates, steps + 1, 4)."""

    runs: dict[int, Array]
    limit: Array
    samples: int

    @property
    def value(self) -> Array:
        return self.limit.mean(axis=0)

    @property
    def stderr(self) -> Array:
        return self.limit.std(axis=0, ddof=1) / np.sqrt(len(self.limit))

    @property
    def reach(self) -> Array:
        """Half the 95 % interval of the limit, by Student's t."""
        return float(stdtrit(len(self.limit) - 1, 0.975)) * self.stderr

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        runs = {f"width_{n}": values for n, values in self.runs.items()}
        np.savez_compressed(path, limit=self.limit, samples=self.samples, **runs)

    @classmethod
    def load(cls, path: Path) -> Curves:
        with np.load(path) as arrays:
            widths = sorted(int(key.partition("_")[2]) for key in arrays.files if key.startswith("width_"))
            runs = {n: arrays[f"width_{n}"] for n in widths}
            return cls(runs=runs, limit=arrays["limit"], samples=int(arrays["samples"]))


# --------------------------------------------------------------- computation


def compute(subject: Subject, sizes: Sizes, keep: Path) -> Curves:
    """In single precision, as the reference; one trial or replicate at a time, each with its number as the seed."""
    program = subject.program(sizes.steps)
    samples = sizes.samples or subject.samples
    replicates = sizes.replicates or subject.replicates

    def run(width: int, seed: int) -> Array:
        return program.run(width, trials=1, seed=seed, dtype="float32")["f"].mean

    def limit(seed: int) -> Array:
        return program.limit(samples, replicates=1, seed=seed, dtype="float32")["f"].value

    digest = hashlib.sha256((program.source.text + str(sizes.steps)).encode()).hexdigest()[:8]
    folder = keep / f"{subject.name}-{digest}"
    found = repeated(limit, replicates, folder, f"limit-{samples}")
    runs = {n: repeated(partial(run, n), sizes.trials, folder, f"width-{n}") for n in sizes.widths}
    return Curves(runs=runs, limit=found, samples=samples)


def repeated(compute: Callable[[int], Array], number: int, folder: Path, name: str) -> Array:
    """What `compute` gives for the seeds 0, 1, …, (number, steps + 1, 4); what is in the folder is read."""
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Array] = []
    for seed in range(number):
        path = folder / f"{name}-{seed}.npy"
        if not path.exists():
            start = time.perf_counter()
            values = compute(seed)[:, WATCHED]
            print(f"{folder.name} {name} {seed}: {time.perf_counter() - start:.1f} s", flush=True)
            part = path.with_suffix(".part.npy")
            np.save(part, values)
            os.replace(part, path)
        found.append(np.load(path))
    return np.array(found)


def rows(curves: Curves) -> Iterator[str]:
    """At the end of each third of the steps: the limit, its error, and the distance of means and single networks."""
    last = len(curves.value) - 1
    yield "step  rms of the limit  standard error  rms distance of the mean (of one trial) at width"
    for step in (last // 3, 2 * last // 3, last):
        value = curves.value[step]
        cells = [f"{step:4d}  {rms(value):16.3f}  {rms(curves.stderr[step]):14.4f}"]
        for width, runs in curves.runs.items():
            mean = rms(runs[:, step].mean(axis=0) - value)
            cells.append(f"  {width}: {mean:.3f} ({rms(runs[:, step] - value):.3f})")
        yield "".join(cells)


def rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


# ------------------------------------------------------------------- drawing


def draw(subject: Subject, curves: Curves, path: Path) -> None:
    """A row of panels for each watched input, a column for each width; the limit is the same black line in a row."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    mpl.rcParams.update({"font.size": 10, "axes.edgecolor": INK, "text.color": INK, "axes.labelcolor": INK})
    inputs = curves.value.shape[1]
    figure, panels = plt.subplots(
        inputs,
        len(curves.runs),
        figsize=(3.3 * len(curves.runs), 1.75 * inputs + 1.1),
        sharex=True,
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for column, width in enumerate(curves.runs):
        color = COLORS[column % len(COLORS)]
        for a in range(inputs):
            draw_panel(panels[a, column], curves, width, a, color)
        panels[0, column].set_title(f"width {width}", color=color, fontsize=11, fontweight="bold")
        panels[-1, column].set_xlabel("step of Adam")
    for a in range(inputs):
        panels[a, 0].set_ylabel(f"test input {a + 1}\n$f_t - f_0$")
    figure.align_ylabels(panels[:, 0])
    trials = max(map(len, curves.runs.values()))
    figure.suptitle(subject.title, fontsize=13, x=0.01, ha="left")
    handles = legend_handles(trials)
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_panel(axes: Any, curves: Curves, width: int, a: int, color: str) -> None:
    runs, value, reach = curves.runs[width][:, :, a], curves.value[:, a], curves.reach[:, a]
    steps = np.arange(len(value))
    mean, spread = runs.mean(axis=0), runs.std(axis=0, ddof=1)
    axes.axhline(0, color=GRID, lw=0.8, zorder=0)
    axes.plot(steps, runs.T, color=color, lw=0.5, alpha=0.35)
    axes.fill_between(steps, mean - spread, mean + spread, color=color, alpha=0.28, lw=0)
    axes.plot(steps, mean, color=color, lw=1.8)
    axes.fill_between(steps, value - reach, value + reach, color=INK, alpha=0.22, lw=0)
    axes.plot(steps, value, color=INK, lw=1.5)
    axes.set_xlim(0, steps[-1])
    axes.spines[["top", "right"]].set_visible(False)


def legend_handles(trials: int) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Line2D([], [], color=INK, lw=1.5, label="limit $n \\to \\infty$ (95 % interval)"),
        Line2D([], [], color="#777777", lw=1.8, label=f"mean of {trials} networks"),
        Patch(color="#777777", alpha=0.35, lw=0, label="± their spread"),
        Line2D([], [], color="#777777", lw=0.6, label="single networks"),
    ]


# -------------------------------------------------------------- command line


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draws Figures 5.1 and 5.2 of Tensor Programs IVb.")
    parser.add_argument("--only", choices=[subject.name for subject in SUBJECTS], help="one of the two")
    parser.add_argument("--widths", help="with commas [64,512,7000]")
    parser.add_argument("--trials", type=int, help="networks of each width [10]")
    parser.add_argument("--samples", type=int, help="of each ket, for the limit [4096 and 8192]")
    parser.add_argument("--replicates", type=int, help="of the limit [16 and 4]")
    parser.add_argument("--steps", type=int, help=f"of Adam [{STEPS}]")
    parser.add_argument("--quick", action="store_true", help="small sizes, a minute")
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "figures", help="where what is finished is kept")
    parser.add_argument("--out", type=Path, help="where images/ and data/ go [docs; with --quick build/quick]")
    parser.add_argument("--redraw", action="store_true", help="compute nothing")
    arguments = parser.parse_args(argv)
    out = arguments.out or (ROOT / "build" / "quick" if arguments.quick else ROOT / "docs")
    sizes = read_sizes(arguments)
    for subject in SUBJECTS:
        if arguments.only not in (None, subject.name):
            continue
        data = out / "data" / f"{subject.name}.npz"
        if not arguments.redraw:
            compute(subject, sizes, arguments.keep).save(data)
        curves = Curves.load(data)
        image = out / "images" / f"{subject.name}.png"
        draw(subject, curves, image)
        print(f"{subject.title}: {image}", *rows(curves), sep="\n")


def read_sizes(arguments: argparse.Namespace) -> Sizes:
    sizes: dict[str, Any] = {"widths": (64, 512, 7000), "trials": 10, "samples": None, "replicates": None}
    if arguments.quick:
        sizes |= QUICK
    asked = {name: getattr(arguments, name) for name in ("trials", "samples", "replicates", "steps")}
    if arguments.widths:
        asked["widths"] = tuple(sorted(int(width) for width in arguments.widths.split(",")))
    return Sizes(**sizes | {name: value for name, value in asked.items() if value is not None})


if __name__ == "__main__":
    main()

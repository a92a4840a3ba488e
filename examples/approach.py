"""Draws docs/images/approach.png: trained networks of growing width approach the limit that NEXORT computes.

    python examples/approach.py [--out FILE.png] [--samples N] [--replicates R] [--trials K] [--largest WIDTH]

Needs matplotlib (pip install '.[plot]').  The program is approach.nx: 15 steps of Adam on all weights of a network with
two hidden layers.  Shaded are means ± standard deviations over networks, each trained from its own initial values.
The inset shows the rms deviation of a single network from the limit, over inputs and steps; the Master Theorem says
that it falls as 1/√n.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

import nexort

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "examples" / "approach.nx"
WIDTHS = (64, 128, 256, 512, 1024, 2048)
SHADED = {64: "#c6dbef", 256: "#6baed6", 1024: "#2171b5"}
SHOWN_INPUTS = (5, 0, 3)
INK, LIMIT = "#222222", "#d94801"


@dataclass(frozen=True)
class Approach:
    """f of each network of width n, `runs[n]` (trials, T, M), and its limit.

    value, stderr, reach   (T, M): the limit, its standard error, and half its 95 % interval
    """

    runs: dict[int, NDArray[np.float64]]
    value: NDArray[np.float64]
    reach: NDArray[np.float64]
    stderr: NDArray[np.float64]

    def deviation(self, n: int) -> tuple[float, float]:
        """Root mean square over trials, steps t ≥ 1 and inputs of f − limit, and its standard error."""
        squares = np.mean((self.runs[n] - self.value)[:, 1:] ** 2, axis=(1, 2))
        rms = np.sqrt(squares.mean())
        return float(rms), float(squares.std(ddof=1) / np.sqrt(len(squares)) / (2 * rms))


def compute(widths: list[int], samples: int, replicates: int, trials: int) -> Approach:
    program = nexort.load(PROGRAM)
    print(program.name)
    limit = program.limit(samples, replicates=replicates)
    print(limit)
    runs: dict[int, NDArray[np.float64]] = {}
    for width in widths:
        result = program.run(width, trials=max(2, trials // 2) if width > 1024 else trials)
        print(result.summary())
        runs[width] = result["f"].values
    f = limit["f"]
    return Approach(runs=runs, value=f.value, reach=(f.ci95[1] - f.ci95[0]) / 2, stderr=f.stderr)


def draw(found: Approach, path: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"font.size": 11, "font.family": "sans-serif", "axes.edgecolor": INK, "text.color": INK})
    figure, axes = plt.subplots(figsize=(9.2, 5.6), layout="constrained")
    draw_training(axes, found)
    draw_deviation(axes.inset_axes((0.075, 0.7, 0.34, 0.25)), found)
    figure.savefig(path, dpi=160)
    plt.close(figure)


def draw_training(axes: Any, found: Approach) -> None:
    """f of a few inputs over steps: a fan for each width, and the limit with its 95 % interval."""
    steps = np.arange(len(found.value))
    for width, color in SHADED.items():
        if width not in found.runs:
            continue
        values = found.runs[width]
        mean, std = values.mean(axis=0), values.std(axis=0, ddof=1)
        for a in SHOWN_INPUTS:
            label = f"networks of width {width}, mean ± spread" if a == SHOWN_INPUTS[0] else None
            axes.fill_between(steps, (mean - std)[:, a], (mean + std)[:, a], color=color, lw=0, label=label)
    for a in SHOWN_INPUTS:
        label = "limit $n \\to \\infty$, 95 % interval" if a == SHOWN_INPUTS[0] else None
        axes.errorbar(
            steps, found.value[:, a], found.reach[:, a], color=LIMIT, lw=1.6, elinewidth=1.2, capsize=2, label=label
        )
        axes.annotate(f"input {a}", (steps[-1], found.value[-1, a]), (8, -3), textcoords="offset points", color=INK)
    axes.set_xlim(0, steps[-1] + 1.4)
    axes.set_xticks(steps[::3])
    axes.set_ylim(-1.65, 1.5)
    axes.set_xlabel("step of Adam")
    axes.set_ylabel("output $f$ of the network")
    axes.set_title("One program, at width $n$ and in the limit", loc="left", fontsize=13)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", lw=0.7)
    axes.set_axisbelow(True)
    axes.legend(loc="lower left", frameon=False)


def draw_deviation(inset: Any, found: Approach) -> None:
    """The rms deviation from the limit against the width, on logarithmic axes, with the slope −1/2."""
    deviations = np.array([found.deviation(n) for n in found.runs])
    widths = np.array(list(found.runs), dtype=float)
    scale = np.exp(np.mean(np.log(deviations[:, 0] * np.sqrt(widths))))
    slope = np.polyfit(np.log(widths), np.log(deviations[:, 0]), 1)[0]
    inset.loglog(widths, scale / np.sqrt(widths), color="#999999", lw=1.2, label="slope −1/2")
    inset.errorbar(
        widths, deviations[:, 0], deviations[:, 1], fmt="o", ms=4, color=SHADED[1024], capsize=2, label="networks"
    )
    error = np.sqrt(np.mean(found.stderr[1:] ** 2))
    inset.axhline(error, color=LIMIT, lw=1.2, ls=":", label="error of the limit")
    inset.set_xticks(widths, [str(n) for n in found.runs], fontsize=8)
    inset.minorticks_off()
    inset.tick_params(axis="y", labelsize=8)
    inset.set_title(f"rms deviation from the limit against width: slope {minus(slope)}", fontsize=9, loc="left", pad=4)
    inset.set_ylim(error / 1.6, deviations[0, 0] * 1.4)
    inset.legend(fontsize=7.5, frameon=False, loc="lower left", bbox_to_anchor=(0, 0.1), borderaxespad=0.2)
    inset.spines[["top", "right"]].set_visible(False)


def minus(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draws networks of growing width approaching their limit.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "approach.png")
    parser.add_argument("--samples", type=int, default=4096)
    parser.add_argument("--replicates", type=int, default=8)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--largest", type=int, default=max(WIDTHS), help="the largest width, at least 128")
    arguments = parser.parse_args(argv)
    widths = [width for width in WIDTHS if width <= arguments.largest]
    found = compute(widths, arguments.samples, arguments.replicates, arguments.trials)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    draw(found, arguments.out)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()

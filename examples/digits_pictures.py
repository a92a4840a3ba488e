"""The pictures of digits.py: the courses of training, the sweep of learning rates, the kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator, PercentFormatter

Array = NDArray[np.float64]
Arrays = dict[str, Array]

INK, GRID = "#1a1a1a", "#e4e4e4"
COLORS = ("#e69f00", "#009e73", "#0072b2")
"""Orange, green and blue of Okabe and Ito, which the colour-blind tell apart; from the narrowest to the widest."""
TITLES = {"mup": "µP", "ntp": "NTP", "standard": "standard"}
MEASURES = {
    "loss": "training loss",
    "accuracy": "test accuracy",
    "movement": "movement of the kernel\n$\\|K_t-K_0\\|\\,/\\,\\|K_0\\|$",
}


def draw_all(found: Arrays, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    mpl.rcParams.update({"font.size": 10, "axes.edgecolor": INK, "text.color": INK, "axes.labelcolor": INK})
    for name, draw in (("training", draw_training), ("rates", draw_rates), ("kernels", draw_kernels)):
        path = folder / f"digits_{name}.png"
        figure = draw(found)
        figure.savefig(path, dpi=150)
        plt.close(figure)
        print(path)


def widths_of(found: Arrays, prefix: str) -> list[int]:
    ends = (key.removeprefix(prefix) for key in found if key.startswith(prefix))
    return sorted(int(end) for end in ends if end.isdigit())


def legend(figure: Any, widths: list[int]) -> None:
    lines = [Line2D([], [], color=COLORS[k % 3], lw=1.8, label=f"width {n}") for k, n in enumerate(widths)]
    lines.append(Line2D([], [], color=INK, lw=1.8, label="limit $n \\to \\infty$"))
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), frameon=False)


def plain(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GRID, lw=0.7)
    axes.set_axisbelow(True)


# ------------------------------------------------------------------ training


def draw_training(found: Arrays) -> Any:
    """A column for each parametrization with full batch or mini-batches, a row for each measure; bands are ± the spread
    of single networks, and for the limit the range of its replicates."""
    columns = [(p, kind) for kind in ("full", "batch") for p in ("mup", "ntp")]
    figure, panels = plt.subplots(
        len(MEASURES), len(columns), figsize=(12, 7.6), sharex=True, sharey="row", layout="constrained"
    )
    widths = widths_of(found, "mup_full_loss_")
    for column, (parametrization, kind) in enumerate(columns):
        for row, measure in enumerate(MEASURES):
            axes = panels[row, column]
            prefix = f"{parametrization}_{kind}_{measure}"
            for k, width in enumerate(widths):
                draw_course(axes, found[f"{prefix}_{width}"], COLORS[k % 3], is_limit=False)
            draw_course(axes, found[f"{prefix}_limit"], INK, is_limit=True)
            plain(axes)
        title = f"{TITLES[parametrization]}, {'full batch' if kind == 'full' else 'mini-batches'}"
        panels[0, column].set_title(title, fontsize=11, fontweight="bold")
        panels[-1, column].set_xlabel("step of Adam")
    for row, label in enumerate(MEASURES.values()):
        panels[row, 0].set_ylabel(label)
    panels[0, 0].set_ylim(bottom=0)
    panels[1, 0].yaxis.set_major_locator(MultipleLocator(0.05))
    panels[1, 0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    panels[2, 0].set_yscale("symlog", linthresh=0.1, linscale=0.6)
    panels[2, 0].set_ylim(bottom=-0.008)
    panels[2, 0].set_yticks([0, 0.1, 1, 10], ["0", "0.1", "1", "10"])
    panels[2, 0].minorticks_off()
    figure.align_ylabels(panels[:, 0])
    legend(figure, widths)
    return figure


def draw_course(axes: Any, values: Array, color: str, *, is_limit: bool) -> None:
    """Mean over the leading axis with its band. Before the first step the output is 0, and so is the accuracy: it is
    left out."""
    first = int(np.all(values[:, 0] == 0) and np.all(values[:, 1] > 0.5))
    steps = np.arange(first, values.shape[1])
    mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1)
    low, high = (values.min(axis=0), values.max(axis=0)) if is_limit else (mean - spread, mean + spread)
    axes.fill_between(steps, low[first:], high[first:], color=color, alpha=0.2, lw=0)
    axes.plot(steps, mean[first:], color=color, lw=1.8, zorder=3 if is_limit else 2)
    axes.set_xlim(0, steps[-1])


# --------------------------------------------------------------------- rates


def draw_rates(found: Arrays) -> Any:
    """The loss after some steps against the learning rate; a dot at the best rate of each width."""
    parametrizations = [p for p in TITLES if f"{p}_rates" in found]
    figure, panels = plt.subplots(1, len(parametrizations), figsize=(11, 4), sharey=True, layout="constrained")
    widths = widths_of(found, "mup_sweep_")
    for axes, parametrization in zip(panels, parametrizations, strict=True):
        rates = found[f"{parametrization}_rates"]
        for k, width in enumerate(widths):
            draw_sweep(axes, rates, found[f"{parametrization}_sweep_{width}"], COLORS[k % 3])
        if f"{parametrization}_sweep_limit" in found:
            draw_sweep(axes, rates, found[f"{parametrization}_sweep_limit"], INK)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_xticks(rates[::2], [f"{rate:.2g}" for rate in rates[::2]])
        axes.set_yticks([0.03, 0.1, 0.3, 1], ["0.03", "0.1", "0.3", "1"])
        axes.set_ylim(0.02, 1.2)
        axes.set_title(TITLES[parametrization], fontsize=11, fontweight="bold")
        axes.set_xlabel("learning rate")
        plain(axes)
    panels[0].set_ylabel("training loss after the last step")
    legend(figure, widths)
    return figure


def draw_sweep(axes: Any, rates: Array, losses: Array, color: str) -> None:
    """losses: (rates, trials or replicates). The middle one is drawn, since a training that diverges spoils a mean."""
    middle = np.median(losses, axis=1)
    axes.fill_between(rates, losses.min(axis=1), losses.max(axis=1), color=color, alpha=0.18, lw=0)
    axes.plot(rates, middle, color=color, lw=1.8)
    best = int(np.argmin(middle))
    axes.plot(rates[best], middle[best], "o", color=color, ms=7, mec="white", zorder=4)


# ------------------------------------------------------------------- kernels


def draw_kernels(found: Arrays) -> Any:
    """Correlations of the second layer's features between test images, which are in the order of their digits."""
    digits = found["digits"]
    kernels = {
        "limit at the start": found["mup_full_kernel_limit"][0],
        "NTP limit after training": found["ntp_full_kernel_limit"][1],
        "µP limit after training": found["mup_full_kernel_limit"][1],
    }
    # even digits first, then odd ones, so that what tells them apart shows as two blocks
    order = np.lexsort((digits, digits % 2))
    figure, panels = plt.subplots(1, len(kernels), figsize=(11, 3.8), layout="constrained")
    starts = np.flatnonzero(np.diff(digits[order], prepend=-1))
    centers = (starts + np.append(starts[1:], len(order))) / 2 - 0.5
    for axes, (title, kernel) in zip(panels, kernels.items(), strict=True):
        image = axes.imshow(kernel[np.ix_(order, order)], cmap="cividis", vmin=-0.3, vmax=1)
        axes.set_title(title, fontsize=11, fontweight="bold")
        axes.set_xticks(centers, digits[order][starts])
        axes.set_yticks(centers, digits[order][starts])
        axes.tick_params(length=0)
        half = np.count_nonzero(digits % 2 == 0) - 0.5
        axes.axhline(half, color="white", lw=0.8)
        axes.axvline(half, color="white", lw=0.8)
        axes.set_xlabel("digit")
    figure.colorbar(image, ax=panels, shrink=0.8, label="correlation of features")
    return figure

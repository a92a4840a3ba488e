"""The picture of `compare`: for each output its means against the limit, and deviations against the width.

matplotlib (the extra `plot`) is imported when a picture is drawn, and without a screen.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nexort.api.beside import std_stderr
from nexort.api.compared import CompareOutput, CompareResults
from nexort.api.deviations import BIAS_SLOPE, DEVIATION_SLOPE, Decay
from nexort.api.results import Array, RandomLimitOutput
from nexort.api.table import Index
from nexort.errors import ComputationFault, UsageFault

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, GRID, GUIDE = "#1a1a1a", "#e4e4e4", "#8c8c8c"
DEVIATION, BIAS = "#0072b2", "#d55e00"
"""Blue and vermilion of Okabe and Ito, which the colour-blind tell apart."""
PALEST, DARKEST = 0.88, 0.22
"""The part of viridis that is read on white: pale for the smallest width, dark for the largest."""
CURVES = 4
"""Elements of a family that are drawn; more would hide one another."""
MAX_OUTPUTS = 12
PANEL = (4.9, 3.3)
LABEL_HEIGHT = 0.045
"""Of a curve's label, as a part of the height of a panel."""
"""Inches."""


def draw_comparison(results: CompareResults, path: str) -> None:
    """Writes one picture, a row of two panels for each output.

    Raises UsageFault without matplotlib or for an unknown kind of file, ComputationFault if it cannot be written.
    """
    check_plot(path)
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name, output in results.outputs.items() if output.value.size][:MAX_OUTPUTS]
    with mpl.rc_context({"font.size": 9.5, "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK}):
        figure = Figure(figsize=(2 * PANEL[0], max(len(names), 1) * PANEL[1]), layout="constrained", dpi=150)
        FigureCanvasAgg(figure)
        for row, name in enumerate(names):
            left, right = (figure.add_subplot(len(names), 2, 2 * row + k) for k in (1, 2))
            output = results.outputs[name]
            _draw_means(left, name, output)
            if output.is_random:
                _draw_spreads(right, name, output)
            else:
                _draw_decays(right, name, output)
        if len(names) < len(results.outputs):
            figure.text(0.5, 0, f"{len(names)} of {len(results.outputs)} outputs are drawn", ha="center", va="bottom")
        try:
            figure.savefig(path)
        except OSError as error:
            raise ComputationFault(f"cannot write {path!r}: {error.strerror or error}") from None


def check_plot(path: str) -> None:
    """Raises UsageFault if it is known, before the work, that no picture can be drawn to this path."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageFault("a plot needs matplotlib", hint="pip install 'nexort[plot]', or leave out --plot") from None
    kinds = FigureCanvasAgg(Figure()).get_supported_filetypes()
    kind = os.path.splitext(path)[1].lstrip(".").lower()
    if kind not in kinds:
        found = f"no kind of picture is named {kind!r}" if kind else "the file name has no extension"
        raise UsageFault(f"cannot plot to {path!r}: {found}", hint="use .png, .svg or .pdf")


def _draw_means(axes: Axes, name: str, output: CompareOutput) -> None:
    """Mean ± standard error (± spread, for a random limit) by width, the limit in black."""
    if output.value.ndim == 0:
        _draw_means_by_width(axes, name, output)
    else:
        _draw_means_by_index(axes, name, output)
    _finish(axes)


def _draw_means_by_width(axes: Axes, name: str, output: CompareOutput) -> None:
    widths = list(output.runs)
    value, error = float(output.value), float(output.limit.stderr)
    half = float(output.limit.std) if isinstance(output.limit, RandomLimitOutput) else error
    axes.axhline(value, color=INK, lw=1.4, label="limit")
    if np.isfinite(half):
        axes.axhspan(value - half, value + half, color=INK, alpha=0.14, lw=0)
    for width, color in zip(widths, _colors(len(widths)), strict=True):
        run = output.runs[width]
        bar = run.std if output.is_random else run.stderr
        axes.errorbar(width, run.mean, bar, fmt="o", ms=5, color=color, capsize=3)
    _width_axis(axes, widths)
    axes.legend(frameon=False, fontsize=8)
    axes.set_xlabel("width $n$")
    axes.set_title(f"{name}: mean ± {'spread' if output.is_random else 'standard error'}", loc="left")


def _draw_means_by_index(axes: Axes, name: str, output: CompareOutput) -> None:
    """Along the first index; of further indices a few elements, labelled at the right."""
    from matplotlib.ticker import MaxNLocator

    widths, length = list(output.runs), output.value.shape[0]
    # bands as wide as the spread of a random limit would hide one another
    elements = _choose_elements(output.value, 1 if output.is_random else CURVES)
    style = "-" if length > 1 else "o"
    for width, color in zip(widths, _colors(len(widths)), strict=True):
        run = output.runs[width]
        bar = run.std if output.is_random else run.stderr
        _draw_curves(axes, elements, run.mean, bar, color=color, style=style, label=f"width {width}")
    limit = output.limit
    bar = limit.std if isinstance(limit, RandomLimitOutput) else limit.stderr
    _draw_curves(axes, elements, output.value, bar, color=INK, style=style, label="limit")
    axes.set_xlabel("first index")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if elements[0]:
        axes.margins(x=0.02)
        axes.set_xlim(right=(length - 1) * 1.13 + 0.05)
        _label_ends(axes, length - 1, {element: float(output.value[(-1, *element)]) for element in elements})
    axes.set_title(f"{name}: mean ± {'spread' if output.is_random else 'standard error'}", loc="left")
    axes.legend(frameon=False, fontsize=8)


def _label_ends(axes: Axes, x: float, ends: Mapping[tuple[int, ...], float]) -> None:
    """The elements' indices at the ends of their curves, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    at = -math.inf
    for element, end in sorted(ends.items(), key=lambda item: item[1]):
        at = max(end, at + LABEL_HEIGHT * (high - low))
        shown = f"[:, {', '.join(map(str, element))}]"
        axes.annotate(shown, (x, at), (4, -3), textcoords="offset points", fontsize=8)


def _draw_curves(
    axes: Axes, elements: Sequence[Index], values: Array, bars: Array, *, color: Any, style: str, label: str
) -> None:
    """values ± bars along the first index, for each of the trailing indices."""
    x = np.arange(len(values))
    for k, element in enumerate(elements):
        at = (slice(None), *element)
        value, half = values[at], np.nan_to_num(bars[at])
        axes.plot(x, value, style, color=color, lw=1.4, label=None if k else label)
        if len(x) > 1:
            axes.fill_between(x, value - half, value + half, color=color, alpha=0.22, lw=0)
        else:
            axes.errorbar(x, value, half, color=color, capsize=3)


def _choose_elements(value: Array, number: int) -> list[Index]:
    """The trailing indices of the curves that are drawn: spread evenly over the order of their last values."""
    last = value[-1].reshape(-1)
    order = np.argsort(last, kind="stable")
    chosen = order[np.linspace(0, last.size - 1, min(number, last.size)).round().astype(int)]
    return [tuple(int(i) for i in np.unravel_index(k, value.shape[1:])) for k in chosen]


def _draw_decays(axes: Axes, name: str, output: CompareOutput) -> None:
    """rms deviation of single trials, and the bias where it is resolved, with their fits and the expected slopes."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator

    deviation, bias = output.deviation(), output.bias()
    widths = list(output.runs)
    _draw_decay(axes, deviation, DEVIATION, "o", "single trials")
    _draw_decay(axes, bias, BIAS, "s", "bias of the mean")
    if any(size is not None for decay in (deviation, bias) for size in decay.sizes.values()):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(
            LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0) if _is_narrow(deviation, bias) else (1.0, 2.0, 5.0))
        )
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        handles, labels = axes.get_legend_handles_labels()
        guides_last = sorted(range(len(labels)), key=lambda k: labels[k].startswith("slope"))
        axes.legend([handles[k] for k in guides_last], [labels[k] for k in guides_last], frameon=False, fontsize=8)
    else:
        axes.text(0.5, 0.5, "no deviation from the limit", ha="center", transform=axes.transAxes)
    _width_axis(axes, widths)
    axes.set_xlabel("width $n$")
    axes.set_title(f"{name}: rms deviation from the limit", loc="left")
    _finish(axes, "both")


def _is_narrow(*decays: Decay) -> bool:
    """Whether all sizes lie within a factor of five."""
    sizes = [size for decay in decays for size in decay.sizes.values() if size is not None]
    return max(sizes) < 5 * min(sizes)


def _draw_decay(axes: Axes, decay: Decay, color: str, marker: str, what: str) -> None:
    known = [(n, size, decay.errors[n]) for n, size in decay.sizes.items() if size is not None]
    if not known:
        return
    n, sizes, errors = (np.array(column, dtype=float) for column in zip(*known, strict=True))
    slope = decay.slope
    fit = f": slope {_minus(slope.value)} ± {slope.stderr:.2f}" if slope.value is not None else ""
    # an error as large as the value has no lower end on a logarithmic axis
    bars = np.array([np.minimum(errors, 0.9 * sizes), errors])
    axes.errorbar(n, sizes, np.nan_to_num(bars), fmt=marker, ms=5, color=color, capsize=3, label=f"{what}{fit}")
    if slope.value is None:
        return
    used = np.isin(n, slope.widths)
    x, y = np.log(n[used]), np.log(sizes[used])
    weights = 1 / np.maximum(errors[used] / sizes[used], 1e-3) ** 2 if np.isfinite(errors).all() else None
    centre, height = np.average(x, weights=weights), np.average(y, weights=weights)
    ends = np.array([n[used].min(), n[used].max()])
    axes.plot(ends, np.exp(height + slope.value * (np.log(ends) - centre)), color=color, lw=1.2)
    guide = np.exp(height + slope.expected * (np.log(ends) - centre))
    expected = {DEVIATION_SLOPE: "−1/2", BIAS_SLOPE: "−1"}[slope.expected]
    axes.plot(ends, guide, color=GUIDE, lw=1.2, ls="--" if marker == "o" else ":", label=f"slope {expected}", zorder=3)


def _draw_spreads(axes: Axes, name: str, output: CompareOutput) -> None:
    """rms over elements of the standard deviation over trials, against that of the limit's draws."""
    assert isinstance(output.limit, RandomLimitOutput)
    widths = list(output.runs)
    limit, error = _rms(output.limit.std), _rms(output.spread_stderr)
    axes.axhline(limit, color=INK, lw=1.4, label="limit")
    if np.isfinite(error):
        axes.axhspan(limit - error, limit + error, color=INK, alpha=0.14, lw=0)
    for width, color in zip(widths, _colors(len(widths)), strict=True):
        run = output.runs[width]
        axes.errorbar(width, _rms(run.std), _rms(std_stderr(run.values)), fmt="o", ms=5, color=color, capsize=3)
    _width_axis(axes, widths)
    axes.set_xlabel("width $n$")
    axes.set_title(f"{name}: standard deviation{' (rms)' if output.value.ndim else ''}", loc="left")
    axes.legend(frameon=False, fontsize=8)
    _finish(axes)


def _rms(array: Array) -> float:
    return float(np.sqrt(np.mean(array**2)))


def _colors(number: int) -> Sequence[Any]:
    from matplotlib import colormaps

    return list(colormaps["viridis"](np.linspace(PALEST, DARKEST, number) if number > 1 else np.array([DARKEST])))


def _width_axis(axes: Axes, widths: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.minorticks_off()
    axes.set_xlim(min(widths) / 1.3, max(widths) * 1.3)


def _finish(axes: Axes, grid: Literal["both", "y"] = "y") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color=GRID, lw=0.7)
    axes.set_axisbelow(True)


def _minus(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")

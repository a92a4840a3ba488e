"""The picture of `classify`: the regimes of a plane through the space of parametrizations (TP4b Figure 2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nexort.api.classify import ClassifyReport
from nexort.api.plots import GRID, INK, check_plot
from nexort.errors import ComputationFault
from nexort.training import Plane, Regime, default_axes, plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILL: dict[Regime, str] = {
    "feature learning": "#d55e00",
    "operator": "#0072b2",
    "trivial": "#dcdcdc",
    "unfaithful": "#fbf2c8",
    "unstable": "#ffffff",
}
"""Vermilion and blue of Okabe and Ito for the limits that train, pale tones of different lightness for the rest."""
HATCH: dict[Regime, str] = {"unstable": "////", "unfaithful": "...."}
TICK = Fraction(1, 2)
PANEL = (6.4, 6.2)
"""Inches."""


def draw_planes(report: ClassifyReport, path: str, axes: str | None = None) -> None:
    """Writes one picture, a panel for each training; `axes` names two exponents, `c_W,b_v`.

    Raises UsageFault for exponents that a training does not have, without matplotlib, or for an unknown kind of file,
    ComputationFault if it cannot be written.
    """
    check_plot(path)
    planes = {name: plane(found, axes or default_axes(found)) for name, found in report.items()}
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: Any = {
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "hatch.linewidth": 0.5,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(PANEL[0] * len(planes), PANEL[1]), layout="constrained", dpi=150)
        FigureCanvasAgg(figure)
        for k, (name, part) in enumerate(planes.items()):
            panel = figure.add_subplot(1, len(planes), k + 1)
            _draw(panel, part)
            panel.set_title(f"{name}: {report[name].regime}", loc="left")
        try:
            figure.savefig(path)
        except OSError as error:
            raise ComputationFault(f"cannot write {path!r}: {error.strerror or error}") from None


def _draw(axes: Axes, part: Plane) -> None:
    seen = set[Regime]()
    for polygon, regime in part.faces():
        seen.add(regime)
        _fill(axes, polygon, regime)
    for edge, regime in part.edges():
        if regime in ("feature learning", "operator", "trivial") and _is_alone(part, edge, regime):
            seen.add(regime)
            color = "#9a9a9a" if regime == "trivial" else FILL[regime]
            axes.plot(*_columns(edge), color=color, lw=3.5, solid_capstyle="round", zorder=3)
    for point, regime in part.corners():
        if regime in ("feature learning", "operator") and _is_corner_alone(part, point, regime):
            seen.add(regime)
            axes.plot(float(point[0]), float(point[1]), "o", ms=9, color=FILL[regime], zorder=4)
    _draw_marks(axes, part)
    _finish(axes, part, seen)


def _fill(axes: Axes, polygon: Sequence[tuple[Fraction, Fraction]], regime: Regime) -> None:
    x, y = _columns(polygon)
    axes.fill(x, y, facecolor=FILL[regime], edgecolor="#c4c4c4", hatch=HATCH.get(regime), lw=0, zorder=1)


def _is_alone(part: Plane, edge: Sequence[tuple[Fraction, Fraction]], regime: Regime) -> bool:
    """Whether the faces beside an edge are of other regimes: else they show it."""
    (x0, y0), (x1, y1) = edge
    step = Fraction(1, 1000)
    across = (y0 - y1) * step, (x1 - x0) * step
    middle = (x0 + x1) / 2, (y0 + y1) / 2
    return all(part.regime((middle[0] + sign * across[0], middle[1] + sign * across[1])) != regime for sign in (1, -1))


def _is_corner_alone(part: Plane, point: tuple[Fraction, Fraction], regime: Regime) -> bool:
    """Whether no edge or face that ends at a point is of its regime."""
    touching = [found for edge, found in part.edges() if point in edge]
    around = [found for polygon, found in part.faces() if point in polygon]
    return regime not in touching and regime not in around


def _draw_marks(axes: Axes, part: Plane) -> None:
    """The program's point, and presets: hollow where other exponents than the two differ from the program's."""
    x, y = (float(value) for value in part.own)
    axes.plot(x, y, marker="*", ms=17, color=INK, mec="white", mew=1, ls="", zorder=6, label="the program")
    for mark, shape in zip(part.marks, "sD^", strict=False):
        if not part.window.holds(mark.point):
            continue
        label = mark.name if mark.is_inside else f"{mark.name} (other exponents differ)"
        face = INK if mark.is_inside else "none"
        axes.plot(
            *(float(value) for value in mark.point), shape, ms=8, mfc=face, mec=INK, mew=1.4, zorder=5, label=label
        )


def _finish(axes: Axes, part: Plane, seen: set[Regime]) -> None:
    from matplotlib.patches import Patch

    window = part.window
    axes.set_xlim(float(window.low[0]), float(window.high[0]))
    axes.set_ylim(float(window.low[1]), float(window.high[1]))
    for set_ticks, k in ((axes.set_xticks, 0), (axes.set_yticks, 1)):
        ticks = _ticks(window.low[k], window.high[k])
        set_ticks([float(tick) for tick in ticks], [str(tick).replace("-", "−") for tick in ticks])
    axes.set_xlabel(_label(part.x.label))
    axes.set_ylabel(_label(part.y.label))
    axes.grid(color=GRID, lw=0.7, zorder=0)
    patches = [
        Patch(facecolor=FILL[regime], edgecolor="#9a9a9a", hatch=HATCH.get(regime), label=regime)
        for regime in FILL
        if regime in seen
    ]
    handles, _ = axes.get_legend_handles_labels()
    axes.legend(
        handles=[*patches, *handles], loc="upper center", bbox_to_anchor=(0.5, -0.1), ncol=2, frameon=False, fontsize=9
    )


def _ticks(low: Fraction, high: Fraction) -> list[Fraction]:
    first, last = -((-low) // TICK), high // TICK
    return [k * TICK for k in range(int(first), int(last) + 1)]


def _label(text: str) -> str:
    """`c_W` with a subscript."""
    letter, name = text.split("_", 1)
    return f"${letter}_{{\\mathrm{{{name.replace('_', chr(92) + '_')}}}}}$"


def _columns(points: Sequence[tuple[Fraction, Fraction]]) -> tuple[list[float], list[float]]:
    return [float(x) for x, _ in points], [float(y) for _, y in points]

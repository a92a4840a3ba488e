"""Results as text: digits that the error supports, and families of many elements in a few lines.

A row speaks of one element, or of the elements under an index (`f[3, :]`): then it shows the root mean square of
their values and of their errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = tuple[int, ...]

MAX_ELEMENTS = 12
"""Families of up to so many elements are listed."""
HEAD, TAIL = 4, 3
"""Otherwise so many first and last indices are."""
MAX_DIGITS = 12
"""An estimate has no more digits than rounding leaves meaningful."""
GAP = "…"


class TableColumn(Protocol):
    """What a column of the table is: a title, and a cell for one element or all those under an index."""

    @property
    def title(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    def cell(self, index: Index) -> str: ...


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One quantity of an output and, where it has one, its standard error; both of the output's shape."""

    title: str
    values: Array
    errors: Array | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def cell(self, index: Index) -> str:
        value = root_mean_square(self.values, index)
        if self.errors is None:
            return format_number(value)
        return format_estimate(value, root_mean_square(self.errors, index))


@dataclass(frozen=True, slots=True, eq=False)
class NameColumn:
    """A name for each element of an output."""

    title: str
    names: NDArray[np.str_]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.names.shape

    def cell(self, index: Index) -> str:
        return common_name(self.names[index])


def common_name(names: Any) -> str:
    """The name that all share, or `mixed`."""
    array = np.asarray(names)
    # one name for all elements of a large output is a view of a single one
    if array.size and not any(array.strides):
        array = array[(slice(1),) * array.ndim]
    found = {str(name) for name in array.flat}
    return found.pop() if len(found) == 1 else "mixed"


def text_table(outputs: Mapping[str, Sequence[TableColumn]], *, has_totals: bool = False) -> str:
    """Columns of an output side by side, outputs below one another, under one line of titles.

    With `has_totals` a family has a row for all its elements even where each of them is listed.
    """
    titles = next(([column.title for column in columns] for columns in outputs.values()), [])
    rows = [["output", *titles]]
    for name, columns in outputs.items():
        rows.extend(_rows(name, columns, has_total=has_totals))
    return _aligned(rows)


def format_estimate(value: float, error: float) -> str:
    """`value ± error` with two digits of the error and the value to the same place."""
    if math.isnan(error):
        return f"{value:.6g} ± ?"
    if error == 0 or not math.isfinite(error):
        return f"{value:.{MAX_DIGITS}g} ± {error:g}"
    size = max(abs(value), error)
    if 1e-4 <= size < 1e7:
        return _fixed(value, error)
    exponent = _exponent(size)
    return f"({_fixed(value / 10.0**exponent, error / 10.0**exponent)})e{exponent:+03d}"


def format_number(value: float) -> str:
    """A quantity without an error of its own: three digits."""
    return "?" if math.isnan(value) else f"{value:.3g}"


def _fixed(value: float, error: float) -> str:
    decimals = 1 - _exponent(error)
    most = MAX_DIGITS - 1 - (_exponent(value) if value else 0)
    if decimals > most:
        return f"{value:.{max(most, 0)}f} ± {error:.1e}"
    places = max(decimals, 0)
    # + 0.0 turns a rounded -0.0 into 0.0
    return f"{round(value, decimals) + 0.0:.{places}f} ± {round(error, decimals):.{places}f}"


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value)))


def _rows(name: str, columns: Sequence[TableColumn], *, has_total: bool) -> Iterator[list[str]]:
    shape = columns[0].shape
    if 0 in shape:
        yield [name, f"no elements, shape {list(shape)}"]
        return
    indices = list(_indices(shape))
    if has_total and () not in indices and len(indices) > 1:
        indices.append(())
    for index in indices:
        if index is None:
            yield [GAP]
        else:
            yield [_label(name, index, shape), *(column.cell(index) for column in columns)]


def _indices(shape: tuple[int, ...]) -> Iterator[Index | None]:
    """The indices to show, None for a gap: every element, or the leading ones and then all at once."""
    if math.prod(shape) <= MAX_ELEMENTS:
        yield from np.ndindex(shape)
        return
    length = shape[0]
    if length <= HEAD + TAIL + 1:
        yield from ((i,) for i in range(length))
    else:
        yield from ((i,) for i in range(HEAD))
        yield None
        yield from ((i,) for i in range(length - TAIL, length))
    if length > 1:
        yield ()


def _label(name: str, index: Index, shape: tuple[int, ...]) -> str:
    if not shape:
        return name
    rest = len(shape) - len(index)
    label = f"{name}[{', '.join([*map(str, index), *[':'] * rest])}]"
    return f"{label} (rms)" if rest else label


def root_mean_square(array: Array, index: Index) -> float:
    """Of the elements under an index; of one element its value, sign and all."""
    part = np.asarray(array[index])
    if part.ndim == 0:
        return float(part)
    scale = float(np.abs(part).max())
    return scale and scale * math.sqrt(float(np.mean((part / scale) ** 2)))


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, two spaces apart, with no space at line ends."""
    widths: dict[int, int] = {}
    for row in rows:
        for k, cell in enumerate(row[:-1] if len(row) < len(rows[0]) else row):
            widths[k] = max(widths.get(k, 0), len(cell))
    lines = ("  ".join(cell.ljust(widths.get(k, 0)) for k, cell in enumerate(row)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)

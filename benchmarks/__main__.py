"""`python -m benchmarks [ROW ...] [--smoke] [--threads K] [--out FILE.json]`: tables on the terminal, figures as JSON.

Ratios are of measurements made in one run, on the same cores.  A row is one module with a measurement, a table and a
line that names the target.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.compiling import compile_notes, compile_table, measure_compile
from benchmarks.device import device_notes, device_table, measure_device
from benchmarks.finite import finite_notes, finite_table, measure_finite
from benchmarks.kernel import kernel_notes, kernel_table, measure_kernel
from benchmarks.limit import limit_notes, limit_table, measure_limit
from benchmarks.machine import available_cores, describe_machine
from benchmarks.scaling import measure_scaling, scaling_notes, scaling_table
from benchmarks.starting import measure_start, start_notes, start_table


@dataclass(frozen=True)
class Row:
    measure: Callable[..., dict[str, Any]]
    table: Callable[[dict[str, Any]], Sequence[Sequence[str]]]
    notes: Callable[[dict[str, Any]], str]


ROWS = {
    "start": Row(measure_start, start_table, start_notes),
    "compile": Row(measure_compile, compile_table, compile_notes),
    "finite": Row(measure_finite, finite_table, finite_notes),
    "limit": Row(measure_limit, limit_table, limit_notes),
    "kernel": Row(measure_kernel, kernel_table, kernel_notes),
    "device": Row(measure_device, device_table, device_notes),
    "scaling": Row(measure_scaling, scaling_table, scaling_notes),
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures NEXORT's speed and memory.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)} (all by default)")
    parser.add_argument("--smoke", action="store_true", help="small sizes, once: that the benchmarks work")
    parser.add_argument("--threads", type=int, default=min(2, len(available_cores())), help="cores to use [2]")
    parser.add_argument("--out", type=Path, help="where the figures go [build/benchmarks.json; with --smoke nowhere]")
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.rows if name not in ROWS]
    if unknown:
        parser.error(f"no row {unknown[0]!r}; the rows are {', '.join(ROWS)}")
    measured: dict[str, Any] = {"machine": describe_machine(arguments.threads), "smoke": arguments.smoke, "rows": {}}
    for name in arguments.rows or ROWS:
        row, start = ROWS[name], time.perf_counter()
        result = row.measure(arguments.threads, is_smoke=arguments.smoke)
        measured["rows"][name] = result
        print(f"{name}: {row.notes(result)}")
        print_table(row.table(result))
        print(f"  measured in {time.perf_counter() - start:.0f} s\n")
    out = arguments.out or (None if arguments.smoke else Path("build/benchmarks.json"))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
        print(f"figures in {out}")


def print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()

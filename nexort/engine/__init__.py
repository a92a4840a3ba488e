"""The array evaluator: one plan and one execution for both meanings of a width axis."""

from nexort.engine.arrays import Array, contract, take_diagonals
from nexort.engine.averages import AverageRule
from nexort.engine.estimate import Estimate, estimate_plan
from nexort.engine.execute import Meaning, Progress, Values, execute, execute_shared
from nexort.engine.memory import available_bytes, format_bytes, refuse_too_large
from nexort.engine.plan import Plan, build_plan
from nexort.engine.streams import Law, Streams, draw, draw_scalar, fill_rows
from nexort.engine.workers import Workers, available_threads, multiply_matrix

__all__ = [
    "Array",
    "AverageRule",
    "Estimate",
    "Law",
    "Meaning",
    "Plan",
    "Progress",
    "Streams",
    "Values",
    "Workers",
    "available_bytes",
    "available_threads",
    "build_plan",
    "contract",
    "draw",
    "draw_scalar",
    "estimate_plan",
    "execute",
    "execute_shared",
    "fill_rows",
    "format_bytes",
    "multiply_matrix",
    "refuse_too_large",
    "take_diagonals",
]

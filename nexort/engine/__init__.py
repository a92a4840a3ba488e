"""The array evaluator: one plan and one execution for both meanings of a width axis."""

from nexort.engine.arrays import (
    SMALL_FACE,
    SPLIT,
    Array,
    Labels,
    contract,
    pair_order,
    sizes_of,
    slice_along,
    spread,
    sum_private,
    take_diagonals,
)
from nexort.engine.averages import (
    AverageRule,
    coinciding_pairs,
    draw_permutations,
    is_distinct_average,
    term_count,
    tied_count,
)
from nexort.engine.blocks import (
    WIDTH,
    BlockOp,
    Coord,
    Coords,
    block_op,
    bound_count,
    grids_of,
    identity_coords,
    labels_of,
)
from nexort.engine.estimate import Estimate, estimate_plan
from nexort.engine.execute import Progress, collect_output, execute, execute_shared
from nexort.engine.faults import is_finite, nonfinite_fault
from nexort.engine.memory import available_bytes, format_bytes, refuse_too_large
from nexort.engine.plan import NodeStep, Plan, Step, SweepStep, build_plan, is_read_by_elements
from nexort.engine.state import Meaning, Values, draw_rounds, given_value
from nexort.engine.streams import Law, Streams, draw, draw_scalar, fill_rows
from nexort.engine.sweep import Load, block_entries
from nexort.engine.workers import Workers, available_threads, multiply_matrix, single_threaded_blas

__all__ = [
    "SMALL_FACE",
    "SPLIT",
    "WIDTH",
    "Array",
    "AverageRule",
    "BlockOp",
    "Coord",
    "Coords",
    "Estimate",
    "Labels",
    "Law",
    "Load",
    "Meaning",
    "NodeStep",
    "Plan",
    "Progress",
    "Step",
    "Streams",
    "SweepStep",
    "Values",
    "Workers",
    "available_bytes",
    "available_threads",
    "block_entries",
    "block_op",
    "bound_count",
    "build_plan",
    "coinciding_pairs",
    "collect_output",
    "contract",
    "draw",
    "draw_permutations",
    "draw_rounds",
    "draw_scalar",
    "estimate_plan",
    "execute",
    "execute_shared",
    "fill_rows",
    "format_bytes",
    "given_value",
    "grids_of",
    "identity_coords",
    "is_distinct_average",
    "is_finite",
    "is_read_by_elements",
    "labels_of",
    "multiply_matrix",
    "nonfinite_fault",
    "pair_order",
    "refuse_too_large",
    "single_threaded_blas",
    "sizes_of",
    "slice_along",
    "spread",
    "sum_private",
    "take_diagonals",
    "term_count",
    "tied_count",
]

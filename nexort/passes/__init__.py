"""Passes from graph to graph, and the analyses that the backends share."""

from nexort.passes.contract import Contractor, contract
from nexort.passes.core_text import core_graph, lower_text
from nexort.passes.elements import split_operator_families
from nexort.passes.factors import OuterFactors
from nexort.passes.known import reads_known_value, with_known_values
from nexort.passes.lower import lower_for_limit
from nexort.passes.operators import NormalForm, OperatorForms, apply_matrix, lower_operators
from nexort.passes.outer import OuterSums, outer_sums
from nexort.passes.pieces import COL, ROW, Piece
from nexort.passes.simplify import simplify

__all__ = [
    "COL",
    "ROW",
    "Contractor",
    "NormalForm",
    "OperatorForms",
    "OuterFactors",
    "OuterSums",
    "Piece",
    "apply_matrix",
    "contract",
    "core_graph",
    "lower_for_limit",
    "lower_operators",
    "lower_text",
    "outer_sums",
    "reads_known_value",
    "simplify",
    "split_operator_families",
    "with_known_values",
]

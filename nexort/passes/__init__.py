"""Passes from graph to graph, and the analyses that the backends share."""

from nexort.passes.contract import Contractor, contract
from nexort.passes.outer import OuterSums, outer_sums
from nexort.passes.simplify import simplify

__all__ = ["Contractor", "OuterSums", "contract", "outer_sums", "simplify"]

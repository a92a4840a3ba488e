"""The meaning of a program at width n."""

from nexort.finite.backend import FiniteRun, Neurons
from nexort.finite.lower import lower_graph

__all__ = ["FiniteRun", "Neurons", "lower_graph"]

"""The limit n → ∞ of a program: the Master Theorem (TP4b Theorem 2.6.10) on sampled kets."""

from nexort.limit.backend import REDUCTIONS, LimitRun, Reduction, lower_to_kets
from nexort.limit.estimate import LimitEstimate, SideBound, SpaceBound
from nexort.limit.stats import Estimate, RandomEstimate, estimate_limit, estimate_random_limit
from nexort.limit.width import check_width_limits

__all__ = [
    "REDUCTIONS",
    "Estimate",
    "LimitEstimate",
    "LimitRun",
    "RandomEstimate",
    "Reduction",
    "SideBound",
    "SpaceBound",
    "check_width_limits",
    "estimate_limit",
    "estimate_random_limit",
    "lower_to_kets",
]

"""How far an output is from a tolerance: what its standard error and its bias still ask for.

| symbol | meaning |
|---|---|
| R, N | replicates, and samples of each |
| T_k | the output of replicate k; T_k,a and T_k,b those of the two halves of its samples |
| d_k = (T_k,a + T_k,b)/2 − T_k | of mean 2c/N − c/N = c/N, which is the bias of T where that is c/N |

The d_k have no noise of order N^(-1/2), so a few tell the bias far better than the T_k tell the value.  Noise of the
d_k is not taken for bias: an element counts as biased where |mean d| exceeds Student's quantile for all elements of
the output together (Bonferroni); and no bias counts as small before its own standard error is added to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Array = NDArray[np.float64]

GROWTH = 4
"""No step of the work is predicted to be more than so many times what is done: predictions from few are uncertain."""
BIAS_SHARE = 1 / 3
"""Part of the tolerance that the bias may have."""
MARGIN = 1.05
"""Replicates beyond those that reach the tolerance by the present spread, which is itself an estimate."""
_RISK = 0.05


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What an output asks for: the larger of two, element by element and output by output, is what both ask for."""

    replicates: float = 0.0
    """In all; infinite where the draws of a random limit do not allow the tolerance; 0 where there are enough."""
    halved: float = 0.0
    """Replicates whose halves are run, to know the bias; 0 where it is known."""
    factor: float = 1.0
    """Times as many samples, to make the bias small."""

    def __or__(self, other: Needs) -> Needs:
        return Needs(
            replicates=max(self.replicates, other.replicates),
            halved=max(self.halved, other.halved),
            factor=max(self.factor, other.factor),
        )

    @property
    def is_met(self) -> bool:
        return self == Needs()


def error_needs(stderr: Array, floor: Array, replicates: int, tol: float) -> Needs:
    """R (s² − s₀²)/(tol² − s₀²), the largest: s the standard error, s₀ what replicates leave of it."""
    over = ~(stderr < tol)
    if not over.any():
        return Needs()
    if np.any(floor[over] >= tol):
        return Needs(replicates=np.inf)
    variance, allowed = (square[over] - floor[over] ** 2 for square in (stderr**2, np.full_like(stderr, tol**2)))
    return Needs(replicates=max(replicates + 1.0, MARGIN * replicates * float(np.max(variance / allowed))))


def bias_needs(differences: Array, tol: float) -> Needs:
    """What d, of shape (B, …), asks for: that |mean| + standard error ≤ tol/3 in every element."""
    count = len(differences)
    bias, stderr = estimate_bias(differences)
    size, bound = np.abs(bias), BIAS_SHARE * tol
    over = size + stderr > bound
    if not over.any():
        return Needs()
    gap = np.maximum(bound - size, 0)
    with np.errstate(divide="ignore", over="ignore"):
        enough = count * (stderr / gap) ** 2
    reach = stdtrit(count - 1, 1 - _RISK / (2 * size.size)) * stderr
    is_large = over & (size > reach) & (enough > GROWTH * count)
    is_unclear = over & ~is_large
    factor = float(np.max((size + stderr)[is_large], initial=0)) / bound
    halved = float(np.max(np.clip(enough, count + 1, GROWTH * count)[is_unclear], initial=0))
    return Needs(halved=halved, factor=max(1.0, factor))


def estimate_bias(differences: Array) -> tuple[Array, Array]:
    """(mean, standard error) of d, (B, …); B ≥ 2."""
    stderr = differences.std(axis=0, ddof=1) / np.sqrt(len(differences))
    return np.asarray(differences.mean(axis=0)), np.asarray(stderr)

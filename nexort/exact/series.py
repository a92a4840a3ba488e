"""E f(X) g(Y) for analytic f and g of jointly Gaussian X and Y by Mehler's formula.

    E f(X) g(Y) = Σ_k ρ^k f_k g_k,        f_k = E f(m + s Z) h_k(Z),  Z ~ N(0, 1),

h_k the orthonormal Hermite polynomials and ρ the correlation.  The coefficients belong to one family each, so that a
kernel of M × M pairs costs M integrals and M² sums.  Coefficients of analytic functions fall like e^(-c √k); where
they have not fallen far enough at `TERMS`, the caller uses quadrature.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from nexort.exact.forms import Array

TERMS = 1200
STEP, REACH = 0.04, 13.0
SMALL = 1e-8
"""Last coefficients, relative to the norm, so that products of those left out are below rounding."""
AT_ONCE = 1 << 17
"""So many terms are summed as one array."""
COST = 1e5
"""Entries counted for the coefficients of one function, a product of a row with (Q, TERMS)."""


@cache
def nodes() -> Array:
    """The points of the trapezoidal rule, (Q,)."""
    count = round(REACH / STEP)
    return STEP * np.arange(-count, count + 1)


@cache
def _weighted_polynomials() -> Array:
    """STEP h_k(z) φ(z)^(1/2), (Q, TERMS), by h_{k+1} = (z h_k − √k h_{k−1}) / √(k+1)."""
    z = nodes()
    H = np.empty((TERMS, len(z)))
    H[0] = STEP * _root_density()
    H[1] = z * H[0]
    for k in range(1, TERMS - 1):
        H[k + 1] = (z * H[k] - np.sqrt(k) * H[k - 1]) / np.sqrt(k + 1)
    return H.T.copy()


@cache
def _root_density() -> Array:
    return np.exp(-(nodes() ** 2) / 4) / (2 * np.pi) ** 0.25


def coefficients(values: Array) -> Array | None:
    """f_k, (…, TERMS), from the values (…, Q) at the nodes; None if they do not fall fast enough."""
    weighted = values * _root_density()
    norm = np.sqrt(STEP * (weighted**2).sum(axis=-1))
    ends = np.abs(weighted[..., [0, -1]]).max(axis=-1)
    found = weighted @ _weighted_polynomials()
    last = np.abs(found[..., -10:]).max(axis=-1)
    is_enough = np.isfinite(norm) & (ends <= 1e-16 * norm) & (last <= SMALL * norm)
    return found if bool(np.all(is_enough | (norm == 0))) else None


def combine(f: Array, g: Array, rho: Array) -> Array:
    """Σ_k ρ^k f_k g_k of families f (…, K) and g (…, K)."""
    size = np.abs(f).max(axis=tuple(range(f.ndim - 1))) * np.abs(g).max(axis=tuple(range(g.ndim - 1)))
    rest = np.cumsum(size[::-1])[::-1]
    count = int(np.count_nonzero(rest > 1e-17 * size.max(initial=0.0)))
    shape = np.broadcast_shapes(rho.shape, f.shape[:-1], g.shape[:-1])
    if np.prod(shape, dtype=int) * count <= AT_ONCE:
        powers = rho[..., None] ** np.arange(count)
        return np.asarray(np.broadcast_to((powers * f[..., :count] * g[..., :count]).sum(axis=-1), shape))
    power, total = np.ones_like(rho), np.zeros(shape)
    for k in range(count):
        total += power * f[..., k] * g[..., k]
        power = power * rho
    return total

"""From `train` to ordinary statements: the network at width n, and its two kinds of infinite-width limit.

| expansion | when | what it is |
|---|---|---|
| `Finite` | `nexort run` | the network with the powers of n of its parametrization (TP4b Definition 2.2.1) |
| `Features` | limit, r = 0 | the same program on kets: what has r_l > 0 is frozen (Theorem 2.7.1, 2.9.25) |
| `Operator` | limit, r > 0 | kets at initialisation, and the neural tangent operator (Theorem 2.4.7, 2.9.19) |
"""

from __future__ import annotations

from nexort.syntax import ast
from nexort.training.network import Features, Finite
from nexort.training.recipe import Recipe
from nexort.training.tangent import Operator


def expand_finite(recipe: Recipe) -> tuple[ast.Stmt, ...]:
    """The network at width n."""
    return tuple(Finite(recipe).statements())


def expand_limit(recipe: Recipe) -> tuple[ast.Stmt, ...]:
    """A program whose ket reading is the infinite-width limit; the classification says which."""
    return tuple((Operator if recipe.is_operator else Features)(recipe).statements())

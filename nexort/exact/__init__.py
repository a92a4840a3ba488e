"""The limit n → ∞ of a program without sampling: expectations by algebra, closed forms and quadrature.

A ket is kept as a sum of products of Gaussian forms and functions of them (`kets`),

    ⎸x⟩ = Σ c · ∏ ℓ_i · ∏ ψ_j(ℓ, …),        ℓ = E ℓ + Σ_l w_l g_l,

with leaves g_l, jointly Gaussian of covariance Σ: initial vectors, and one for each hat (`forms`).  A statement of the
program acts on it by algebra (`compose`), and the Master Theorem asks for three things only:

| | | |
|---|---|---|
| scalars | ⟨x⎸y⟩ = Σ c c′ ∏_groups E ∏ | the factors split into independent groups (`expect`) |
| hats | Cov(⎸W x⟩^, ⎸W y⟩^) = σ² ⟨x⎸y⟩ | a new leaf for each argument of W (`operators`) |
| dots | ⎸W x⟩˙ = σ² Σ_y E[∂⎸x⟩/∂⎸Wᵀ y⟩^] ⎸y⟩ | a sum of kets again |

A group has a closed form (`closed`, `monomials`, `laws`) for relu, erf, gelu, exp, sin and their like.  Otherwise, if
its functions read forms of at most two dimensions, with orthonormal coordinates g₁ and g₂, is an integral
over the plane (`plane`); forms that are only multiplied by may have any number of dimensions (Wick).  Slopes are by
Stein's lemma in the same coordinates, E ∂F/∂g_k = E g_k F: no function is differentiated, so that jumps are right, and
no Gram matrix is inverted, so that dependent arguments are.  Integrals (`quadrature`, `series`) know where functions
have kinks; two levels of every rule must agree to 1e-11.  Programs linear in their vectors need none.

Kernels of many inputs are evaluated in blocks (`program`, `blocks`, `rows`) within a stated memory.

Accepts any graph whose limit is not random; raises ComputationFault, at the statement, where a group has three
dimensions, a function is taken of a sum over a family of functions, or a tensor is not a sum of products.
"""

from nexort.exact.blocks import LARGEST, Blocks
from nexort.exact.evaluate import METHOD, ExactPart, evaluate_where_possible
from nexort.exact.program import StoppedError, evaluate_exactly, plan_memory
from nexort.exact.rows import restrict
from nexort.exact.work import Work

__all__ = [
    "LARGEST",
    "METHOD",
    "Blocks",
    "ExactPart",
    "StoppedError",
    "Work",
    "evaluate_exactly",
    "evaluate_where_possible",
    "plan_memory",
    "restrict",
]

"""⟨x⎸W y⟩ = ⟨W' x⎸y⟩ in both backends, and ⟨x⎸(W y)^⟩ = ⟨(W' x)˙⎸y⟩ on the limit's own objects."""

from __future__ import annotations

import numpy as np
import pytest

import nexort
from randomized.survey import check_hat_against_dot

TEXTS = {
    "jumps and dependent arguments": """
vector x, y
matrix W
a = sign(x + W' @ sign(y))
b = relu(W @ a) - y + W @ (2 * a)
c = where(W' @ b > 0.3, a, step(x))
""",
    "trained": """
import "optimizers.nx"
vector x, y
matrix W
a = x
b = y
for t in 0..3:
    f = <y | relu(W @ tanh(W' @ relu(W @ x)))>
    loss = (f - 1)^2
    a = grad(loss, x)
    b += 0.3 * grad(loss, y)
    W -= 0.5 * adam(grad(loss, W), eps=0.1)
c = W' @ y
""",
    "operators": """
vector x, y
matrix V
matrix U ~ N(0, 2/n)
W = (V + U' @ V) / sqrt(2) - 0.3 * |x><y|
a = abs(W @ x)
b = V' @ (W @ (W' @ a))
c = U @ sign(b)
""",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_matrix_and_its_transpose_are_adjoint(text: str) -> None:
    pairs = [(p, q) for p in "abcxy" for q in "abcxy"]
    outputs = "".join(
        f"output <{p} | W @ {q}> as left{k}\noutput <W' @ {p} | {q}> as right{k}\n" for k, (p, q) in enumerate(pairs)
    )
    program = nexort.compile(text + outputs)
    run, limit = program.run(40, trials=2), program.limit(samples=600, replicates=2, method="particles")
    for k, pair in enumerate(pairs):
        for left, right in ((run[f"left{k}"], run[f"right{k}"]), (limit[f"left{k}"], limit[f"right{k}"])):
            np.testing.assert_allclose(left.values, right.values, rtol=1e-10, atol=1e-10, err_msg=str(pair))
    assert max(float(np.abs(limit[f"left{k}"].value)) for k in range(len(pairs))) > 0.3
    assert check_hat_against_dot(text + outputs) == []

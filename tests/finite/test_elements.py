"""Families of matrices of which elements are used or updated: one product for each element."""

from __future__ import annotations

import numpy as np
import pytest

from agreement.engines import both
from nexort.elaborate import elaborate
from nexort.finite import FiniteRun
from nexort.graph import DenseOperator, MatMul
from nexort.source import Source
from nexort.syntax import parse

UPDATED = """
vector x[4], y
matrix W[4]
T{i,j} = tanh(x[0]{i} * y{j})
W[0] -= T
W[2] -= 0.5 * T'
for t in 0..3:
    x[l] = W[l] @ x[l]
    y = sum[l](W[l]' @ y)
output <x[l]|y> as o[l]
"""
SUMS = """
vector x, y
matrix W[3], V
T{i,j} = tanh(x{i} * y{j})
W[1] -= T
K[l] = W[l]' + V
z[l] = K[l] @ x
M[l] = 2 * W[l] @ K[l]
output <M[l] @ y|z[l]> as o[l]
"""


def compiled(text: str, width: int) -> FiniteRun:
    return FiniteRun(elaborate(parse(Source("<text>", text))), width=width)


@pytest.mark.parametrize(("text", "products"), [(UPDATED, 3 * 2 * 4), (SUMS, 3 + 1 + 3 + 1 + 3)])
def test_a_family_updated_by_elements_takes_one_product_per_element(text: str, products: int) -> None:
    order = compiled(text, 10).plan.graph.order
    assert sum(int(np.prod(node.type.shape)) for node in order if isinstance(node, MatMul)) == products
    assert all(not node.type.shape for node in order if isinstance(node, DenseOperator))


@pytest.mark.parametrize("text", [UPDATED, SUMS])
def test_elements_agree_with_the_naive_evaluator(text: str) -> None:
    engine, naive = both(text, 8)
    np.testing.assert_allclose(engine["o"], naive["o"], rtol=1e-10)


def test_elements_that_are_not_used_at_once_are_not_held_at_once() -> None:
    text = "vector x\nmatrix W[8]\nfor l in 0..8:\n    x = W[l] @ x\noutput <x|x> as o\n"
    assert compiled(text, 500).estimate.bytes < 1.2 * 8 * 500**2


def test_an_element_is_updated_in_its_own_memory() -> None:
    plan = compiled(UPDATED, 500).plan
    written = [new for step in plan.overwritten for new in step]
    assert sum(isinstance(new, DenseOperator) for new in written) == 2

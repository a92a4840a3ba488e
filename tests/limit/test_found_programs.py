"""Programs that random tests found and that failed once."""

import numpy as np

import nexort
from agreement.engines import both
from nexort.limit import LimitRun


def test_a_family_of_matrices_used_whole_and_then_by_element() -> None:
    text = """
vector w
matrix A[2]
g[a < 2] = A[a] @ w
A[l] -= 0.3 * |g[l]><w|
h = A[0] @ w
output <g[0] | h>
"""
    # linear: <A w|A w> − 0.3 <A w|A w>
    value = nexort.compile(text).limit(samples=64, replicates=2, method="particles")["output1"].value
    np.testing.assert_allclose(value, 0.7, atol=1e-9)


def test_a_nested_function_under_two_copies_is_not_stored_at_order_three() -> None:
    text = """
vector x, y, z
r{i} = avg{j,k}(tanh(tanh(x{i} - y{j}) + z{k}))
output <r | x>
"""
    engine, naive = both(text, 9)
    np.testing.assert_allclose(engine["output1"], naive["output1"], atol=1e-12)
    assert LimitRun(nexort.compile(text).graph, samples=4096).estimate.bytes < 1e9

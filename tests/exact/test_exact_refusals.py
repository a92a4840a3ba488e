"""What the exact method cannot do is refused at its place; what both methods can do agrees."""

from __future__ import annotations

import numpy as np
import pytest

import nexort
from nexort.errors import ComputationFault

from .programs import exact

NETWORK = "data xi[2, 2] = [[1, 0.5], [-0.3, 1]]\nvector u[2], v\nmatrix W\nh[a] = sum[k](xi[a, k] * u[k])\n"

REFUSED = {
    "three directions": (
        "vector a, b, c\noutput avg(tanh(a * b * c)) as m",
        "depend on more than two Gaussian directions",
        "avg(tanh(a * b * c))",
    ),
    "a gated product": (
        "vector a, b, c\nx = tanh(a + tanh(b + tanh(c)))\noutput <x|x> as m",
        "depend on more than two Gaussian directions",
        "<x|x>",
    ),
    "a tensor": (
        "vector x, y\nT = tanh(|x><y|)\noutput <x | T @ y> as m",
        "that is not a product of functions",
        "tanh(|x><y|)",
    ),
    "a largest ket": (NETWORK + "m = max[a](h[a])\noutput avg(m) as m", "the largest of a family", "max[a](h[a])"),
    "a curved kink": (
        "vector a, b\noutput avg(relu(tanh(a) + sin(b))) as m",
        "a function with a kink or a jump is taken of a sum of functions",
        "avg(relu(tanh(a) + sin(b)))",
    ),
    "a hyperbola": (
        "vector a, b\noutput avg(abs(a * b - 0.3)) as m",
        "a function with a kink or a jump is taken of a sum of products",
        "avg(abs(a * b - 0.3))",
    ),
    "a jump at rounding": (
        "vector a\ns = sign(a)\noutput avg(sign(s + 0.9999999999999)) as m",
        "a jump is taken of a value that is 0 up to rounding",
        "avg(sign(s + 0.9999999999999))",
    ),
    "a pole": ("vector a\noutput avg(1 / a^2) as m", "did not converge", "avg(1 / a^2)"),
    "a random limit": ("scalar s ~ N(0, 1)\nvector x\noutput s * avg(x^2) as m", "the limit is random", "s ~ N(0, 1)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_statement(name: str) -> None:
    text, reason, place = REFUSED[name]
    with pytest.raises(ComputationFault) as caught:
        exact(text)
    fault = caught.value
    assert reason in fault.message
    assert fault.hint == "use --method particles"
    assert fault.span is not None
    assert fault.span.text == place


def test_the_pass_of_the_loop_is_named() -> None:
    with pytest.raises(ComputationFault, match=r"not exact, t = 2: "):
        exact(
            "vector x[3]\ny = 0\nfor t in 0..3:\n    y = tanh(x[t] + y)\noutput <y|y> as m\n".replace(
                "    y = tanh(x[t] + y)\n", "    y = tanh(x[t] + y)\n    output avg(y^2) as s\n"
            )
        )


BOTH = {
    "biases": NETWORK + "vector c ~ N(0.3, 0.5)\nx[a] = relu(h[a] + c)\nz[a] = W @ x[a]\n"
    "output <x[a] | x[b]> as X[a, b]\noutput <tanh(z[a] - 1) | relu(z[b] - 0.5)> as Z[a, b]\n",
    "tied weights": NETWORK + "x[a] = tanh(W @ tanh(W @ h[a]))\noutput <x[a] | x[b]> as K[a, b]\n"
    "output <W' @ x[a] | h[b]> as D[a, b]\n",
    "layer norm": NETWORK + "x[a] = relu(h[a])\nm[a] = avg(x[a])\nc[a] = x[a] - m[a]\n"
    "z[a] = W @ (c[a] / sqrt(avg(c[a]^2) + 0.00001))\noutput <gelu(z[a]) | silu(z[b])> as K[a, b]\n",
    "a family of matrices": "vector x\nmatrix A[2] ~ N(0, 0.5/n)\ny[l] = A[l] @ tanh(x)\nz[l] = A[l]' @ relu(y[l])\n"
    "output <z[l] | x> as m[l]\noutput <y[k] | y[l]> as K[k, l]\n"
    "output avg(leaky_relu(y[0], 0.1) * max(y[0], y[1])) as n\n",
    "tensors": "vector x, y, z\nT{i,j} = x{i} * y{j} + sign(z{i} * y{j})\n"
    "output <z | T @ y> as m\noutput avg(T^2) as s\n",
    "gradients": NETWORK + "x[a] = relu(h[a])\ng[a] = erf(W @ x[a])\nf[a] = avg(v * g[a])\nG[a] = grad(f[a], W)\n"
    "output <h[a] | G[b]' @ g[a]> as m[a, b]\noutput <x[a] | W' @ grad(f[b], g[b])> as back[a, b]\n",
}


@pytest.mark.parametrize("name", BOTH)
def test_agreement_with_particles(name: str) -> None:
    program = nexort.compile(BOTH[name])
    found, sampled = program.limit(method="exact"), program.limit(2048, replicates=8, seed=1, method="particles")
    for key, output in found.items():
        assert output.method == "exact" and not np.any(output.stderr)
        other = sampled[key]
        assert np.all(other.stderr < 0.02)
        assert np.all(np.abs(output.value - other.value) < 6 * other.stderr + 3e-4), key

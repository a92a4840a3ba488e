"""The programs that the language is known by: they parse, format to themselves but for alignment, and print."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nexort.source import Source
from nexort.syntax import equal, format_program, parse, print_program

ADAM = """
param M = 104, d = 10, T = 30, eta = 0.2
data xi[M, d] = normal(seed=7)
data y[M] = normal(seed=8)
data train[M] = [1] * 100 + [0] * 4
import "optimizers.nx"
vector u[d], v
matrix W
for t in 0..T:
    h1[a] = sum[k](xi[a, k] * u[k])
    h2[a] = W @ relu(h1[a])
    f[a]  = <v | relu(h2[a])>
    if t == 0: f0[a] = stop(f[a])
    f[a] -= f0[a]
    output f
    loss  = sum[a](train[a] * (f[a] - y[a])^2) / (2 * sum[a](train[a]))
    u[k] -= eta * adam(grad(loss, u[k]), beta2=0.99, eps=1e-4)
    W    -= eta * adam(grad(loss, W), beta2=0.99, eps=1e-4)
    v    -= eta * adam(grad(loss, v), beta2=0.99, eps=1e-4)
"""
SIGN_SGD = """
for t in 0..T:
    chi[a] = train[a] * (f[a] - y[a]) / sum[b](train[b])
    dh2[a] = v * relu'(h2[a])
    G{i,j} = sum[a](chi[a] * dh2[a]{i} * relu(h1[a]{j}))
    W -= eta * G / sqrt(G^2 + 1e-8)                  # SignSGD
"""
MOMENTS = """
vector x
matrix W
y1 = W' @ W @ x
y2 = W' @ W @ y1
output <x|y1> as mp1
A = (W + W') / sqrt(2)
s1 = A @ x
output <s1|s1> as sc2
"""
TRANSPOSE = "vector x\nmatrix W\nq = W' @ sign(W @ x)\noutput <x|q>\n"
OUTER = "vector x, y\nz = sign(|x><y|) @ y\noutput <x|z>\n"
DECLARATIONS = """
data  xi[M, d]                     # from --data FILE.npz
vector b ~ N(0.5, 2)
matrix R ~ N(0, 2/n)
def phi(h) = h * (1 + erf(h / sqrt(2))) / 2     # an entrywise function
K[a, b] = <h[a] | h[b]>
p[a] = exp(s[a]) / sum[b](exp(s[b]))
h[0, a < M] = 1
"""
TENSORS = """
T{i,j} = sign(x{i} * z{j})
y{i}   = avg{j}(T{i,j} * z{j})
y{i}   = avg{j,k}(tanh(x{i} * x{j} + z{k}))
s      = sqrt(avg{i,j}(T{i,j}^2))
one{i} = 1
r{i} = (W @ x){i} * y{i}
c = <x|T|y> + avg(T^2)
X = a * T + b * (T @ T' @ T)
Theta[a, b] = <grad(f[a], v) | grad(f[b], v)>
"""
OPTIMIZER = """
optimizer adam(beta1=0.9, beta2=0.999, eps=1e-8):
    state m = 0, v = 0
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g^2
    return (m / (1 - beta1^step)) / sqrt(v / (1 - beta2^step) + eps^2)
"""
TRAINING = """
model mlp(xi[d]):                       # one input
    vector u[d], v
    matrix W
    scalar s = 1
    vector b = 0
    h = W @ relu(sum[k](xi[k] * u[k]) + b)
    return v * relu(h)

train mlp on xi, y:
    loss = (f - y)^2 / 2
    weights = train
    error[a] = f[a] - y[a]
    optimizer = adam(beta2=0.99, eps=1e-4)
    rate = 0.2
    steps = 30
    parametrization = mup
    decay = 0
    normalize = none
    center = true
    per W: optimizer = sgd(); rate = 0.1; decay = 0
"""
PROGRAMS = [ADAM, SIGN_SGD, MOMENTS, TRANSPOSE, OUTER, DECLARATIONS, TENSORS, OPTIMIZER, TRAINING]


@pytest.mark.parametrize("text", PROGRAMS)
def test_program_survives_formatting_and_printing(text: str) -> None:
    program = parse(Source("p.nx", text))
    formatted = format_program(Source("p.nx", text))
    assert equal(parse(Source("p.nx", formatted)), program)
    assert format_program(Source("p.nx", formatted)) == formatted
    printed = print_program(program)
    assert equal(parse(Source("p.nx", printed)), program)
    assert format_program(Source("p.nx", printed)) == printed


@pytest.mark.parametrize("text", [ADAM, TRAINING])
def test_formatting_changes_nothing_but_alignment(text: str) -> None:
    formatted = format_program(Source("p.nx", text))
    assert [line.split() for line in formatted.splitlines()] == [line.split() for line in text.strip().splitlines()]


def test_lark_is_not_imported_with_the_package() -> None:
    code = "import sys, nexort.syntax; sys.exit('lark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

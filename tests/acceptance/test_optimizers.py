"""`grad` and optimizers against the same updates written out, and Adam's first step against SignSGD."""

from __future__ import annotations

import numpy as np
import pytest

import nexort

HEAD = """
param M = 4, d = 3, T = 10, eta = 0.2
data xi[M, d] = normal(seed=3)
data y[M] = normal(seed=4)
vector u[d], v
matrix W
"""

FORWARD = """
    h1[a] = sum[k](xi[a, k] * u[k])
    x1[a] = relu(h1[a])
    h2[a] = W @ x1[a]
    x2[a] = relu(h2[a])
    f[a] = <v | x2[a]>
    output f
"""

WITH_GRAD = """
    loss = mean[a]((f[a] - y[a])^2) / 2
    u[k] -= eta * RULE(grad(loss, u[k]))
    W -= eta * RULE(grad(loss, W))
    v -= eta * RULE(grad(loss, v))
"""

BACKWARD = """
    chi[a] = (f[a] - y[a]) / M
    dh2[a] = chi[a] * v * relu'(h2[a])
    dh1[a] = (W' @ dh2[a]) * relu'(h1[a])
    gu[k] = sum[a](xi[a, k] * dh1[a])
    gv = sum[a](chi[a] * x2[a])
    gW{i,j} = sum[a](dh2[a]{i} * x1[a]{j})
"""

SGD = """
    u[k] -= eta * gu[k]
    W -= eta * gW
    v -= eta * gv
"""

SIGNSGD = """
    u[k] -= eta * gu[k] / sqrt(gu[k]^2 + 1e-16)
    W -= eta * gW / sqrt(gW^2 + 1e-16)
    v -= eta * gv / sqrt(gv^2 + 1e-16)
"""

MOMENTS = """
mu[k < d] = 0
su[k < d] = 0
mW = 0; sW = 0
mv = 0; sv = 0
"""

ADAM = """
    c1 = 1 - 0.9^(t + 1)
    c2 = 1 - 0.99^(t + 1)
    mu[k] = 0.9 * mu[k] + 0.1 * gu[k]
    su[k] = 0.99 * su[k] + 0.01 * gu[k]^2
    mW = 0.9 * mW + 0.1 * gW
    sW = 0.99 * sW + 0.01 * gW^2
    mv = 0.9 * mv + 0.1 * gv
    sv = 0.99 * sv + 0.01 * gv^2
    u[k] -= eta * (mu[k] / c1) / sqrt(su[k] / c2 + 1e-8)
    W -= eta * (mW / c1) / sqrt(sW / c2 + 1e-8)
    v -= eta * (mv / c1) / sqrt(sv / c2 + 1e-8)
"""

RULES = {
    "sgd": ("sgd({})", "", SGD),
    "signsgd": ("signsgd({}, eps=1e-8)", "", SIGNSGD),
    "adam": ("adam({}, beta2=0.99, eps=1e-4)", MOMENTS, ADAM),
}


def with_grad(rule: str) -> str:
    updates = WITH_GRAD
    for parameter in ("u[k]", "W", "v"):
        gradient = f"grad(loss, {parameter})"
        updates = updates.replace(f"RULE({gradient})", rule.format(gradient))
    return 'import "optimizers.nx"\n' + HEAD + "for t in 0..T:" + FORWARD + updates


@pytest.mark.parametrize("name", RULES)
def test_grad_equals_the_update_written_out(name: str) -> None:
    rule, states, updates = RULES[name]
    written = HEAD + states + "for t in 0..T:" + FORWARD + BACKWARD + updates
    found, expected = (nexort.compile(text).run(64, trials=2)["f"].values for text in (with_grad(rule), written))
    assert np.ptp(expected[:, 1:] - expected[:, :-1]) > 0.1, "nothing is learned"
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


FIRST_STEP = """
import "optimizers.nx"
vector u, v
matrix W
f = <v | relu(W @ relu(u))>
loss = (f - 1)^2 / 2
du = grad(loss, u)
v -= 0.4 * RULE(grad(loss, v), eps=1e-3)
W -= 0.4 * RULE(grad(loss, W), eps=1e-3)
u -= 0.4 * RULE(du, eps=1e-3)
output <v | relu(W @ relu(u))> as f
output <u | W' @ v> as g
"""


def test_adam_starts_as_sign_sgd() -> None:
    adam, signsgd = (nexort.compile(FIRST_STEP.replace("RULE", rule)) for rule in ("adam", "signsgd"))
    other = nexort.compile(FIRST_STEP.replace("RULE", "sgd").replace(", eps=1e-3", ""))
    for name in ("f", "g"):
        width = [program.run(64, trials=3)[name].values for program in (adam, signsgd, other)]
        limit = [program.limit(samples=512, replicates=2)[name].values for program in (adam, signsgd, other)]
        for found, expected, different in (width, limit):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
            assert np.abs(found - different).max() > 1e-3

"""A small training, and variants of it made by replacing lines."""

from __future__ import annotations

NETWORK = """data xi[4, 2] = normal(seed=1)
data y[4] = normal(seed=2)
data mask[3, 4] = uniform()
import "optimizers.nx"
vector outside
model mlp(xi[d]):
    vector u[d], v
    matrix W
    h = W @ tanh(sum[k](xi[k] * u[k]))
    return v * tanh(h)
train mlp on xi, y:
    loss = (f - y)^2 / 2
    optimizer = sgd()
    rate = 0.1
    steps = 2
"""


def network(*replacements: tuple[str, str], fields: str = "") -> str:
    """The training with texts replaced, each of which must be there, and fields added at its end."""
    text = NETWORK
    for old, new in replacements:
        assert old in text, old
        text = text.replace(old, new)
    return text + "".join(f"    {line}\n" for line in fields.splitlines())

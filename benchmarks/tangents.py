"""Kernels by neural-tangents, in an interpreter that has it: `python tangents.py QUESTION.npz ANSWER.npz`.

It imports nothing of NEXORT, so that neural-tangents (which needs jax 0.4.30 and numpy < 2) can live in an environment
of its own.  A question holds `inputs` (M, d), and `networks`, a JSON list of {"phi", "layers", "samples", "repeat"}:
networks of `layers` hidden layers without biases, weights of variance 1/fan-in, the kernel by closed forms and, where
`samples` is not 0, by Monte Carlo over networks of width `width`.  The answer holds for network k `nngp_k` and `ntk_k`,
`seconds_k` (the best of `repeat` calls after the first), and `compiling_k`.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np


def main() -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    with np.load(sys.argv[1]) as question:
        inputs, networks = question["inputs"], json.loads(str(question["networks"]))
    answer: dict[str, Any] = {}
    for k, network in enumerate(networks):
        for name, value in evaluate(inputs, network).items():
            answer[f"{name}_{k}"] = value
    np.savez(sys.argv[2], **answer)


def evaluate(inputs: np.ndarray, network: dict[str, Any]) -> dict[str, Any]:
    import jax
    import neural_tangents as nt
    from neural_tangents import stax

    init, apply, closed = build(stax, network["phi"], network["layers"], network.get("width", 1))
    names = ("nngp", "ntk")
    if network.get("samples"):
        key = jax.random.PRNGKey(network.get("seed", 0))
        estimate = nt.monte_carlo_kernel_fn(init, apply, key, network["samples"])

        def call() -> Any:
            return estimate(inputs, inputs, names)
    else:
        compiled = jax.jit(lambda x: closed(x, x, names))

        def call() -> Any:
            return compiled(inputs)

    times: list[float] = []
    for _ in range(1 + network.get("repeat", 0)):
        start = time.perf_counter()
        result = jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return {
        "nngp": np.asarray(result.nngp),
        "ntk": np.asarray(result.ntk),
        "compiling": times[0],
        "seconds": min(times[1:], default=times[0]),
    }


def build(stax: Any, phi: str, layers: int, width: int) -> Any:
    activation = activations(stax)[phi]
    hidden = [layer for _ in range(layers) for layer in (stax.Dense(width, W_std=1.0, b_std=None), activation())]
    return stax.serial(*hidden, stax.Dense(1, W_std=1.0, b_std=None))


def activations(stax: Any) -> dict[str, Any]:
    return {
        "relu": stax.Relu,
        "erf": stax.Erf,
        "gelu": stax.Gelu,
        "abs": stax.Abs,
        "sign": stax.Sign,
        "sin": stax.Sin,
        "cos": stax.Cos,
        "leaky relu": lambda: stax.LeakyRelu(0.1),
        "exp": stax.Exp,
        "square": lambda: stax.Polynomial([0.0, 0.0, 1.0]),
        "cubic": lambda: stax.Polynomial([0.5, -1.0, 0.25, 0.3]),
    }


if __name__ == "__main__":
    main()

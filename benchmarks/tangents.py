"""Kernels by neural-tangents, in an interpreter that has it: `python tangents.py QUESTION.npz ANSWER.npz`.

It imports nothing of NEXORT, so that neural-tangents (which needs jax 0.4.30 and numpy < 2) can live in an environment
of its own.  A question holds `inputs` (M, d) and `tasks`, a JSON list of

    {"phi", "layers", "repeat"}                                      closed form, float64
    {"phi", "layers", "repeat", "kernel", "width", "samples"}        Monte Carlo over `samples` networks, float32

for networks without biases, of `layers` hidden layers with weights of variance 1/fan-in; neural-tangents divides by the
fan-in of the first layer too.  The answer to task k is `nngp_k` and `ntk_k`, or `estimate_k`; `seconds_k`, the fastest
of `repeat` calls after the first; and `first_k`, the first call, which compiles.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def main() -> None:
    import jax

    jax.config.update("jax_platforms", "cpu")
    with np.load(sys.argv[1]) as question:
        inputs, tasks = question["inputs"], json.loads(str(question["tasks"]))
    answer: dict[str, Any] = {}
    for k, task in enumerate(tasks):
        jax.config.update("jax_enable_x64", "samples" not in task)
        result = _estimate(inputs, task) if "samples" in task else _closed_form(inputs, task)
        answer |= {f"{name}_{k}": value for name, value in result.items()}
    np.savez(sys.argv[2], **answer)


def _closed_form(inputs: np.ndarray, task: dict[str, Any]) -> dict[str, Any]:
    import jax

    _, _, kernel = _network(task, width=1, outputs=1)
    compiled = jax.jit(lambda x: kernel(x, x, ("nngp", "ntk")))
    result, times = _timed(lambda: compiled(inputs), task)
    return {"nngp": np.asarray(result.nngp), "ntk": np.asarray(result.ntk), **times}


def _estimate(inputs: np.ndarray, task: dict[str, Any]) -> dict[str, Any]:
    """The NNGP kernel from as many outputs as hidden units, which are almost free; the NTK from one."""
    import jax
    import neural_tangents as nt

    width, kernel = task["width"], task["kernel"]
    init, apply, _ = _network(task, width, outputs=width if kernel == "nngp" else 1)
    x = inputs.astype(np.float32)
    estimate = nt.monte_carlo_kernel_fn(
        init,
        apply,
        jax.random.PRNGKey(task.get("seed", 0)),
        task["samples"],
        # of those that work with jax 0.4.30 the fastest on these networks
        implementation=nt.NtkImplementation.NTK_VECTOR_PRODUCTS,
    )
    result, times = _timed(lambda: estimate(x, x, kernel), task)
    return {"estimate": np.asarray(result, dtype=float), **times}


def _timed(call: Callable[[], Any], task: dict[str, Any]) -> tuple[Any, dict[str, float]]:
    import jax

    times: list[float] = []
    result: Any = None
    for _ in range(1 + task.get("repeat", 0)):
        start = time.perf_counter()
        result = jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return result, {"first": times[0], "seconds": min(times[1:], default=times[0])}


def _network(task: dict[str, Any], width: int, outputs: int) -> Any:
    """(init, apply, kernel)"""
    from neural_tangents import stax

    hidden: list[Any] = []
    for _ in range(task["layers"]):
        hidden += [stax.Dense(width, W_std=1.0, b_std=None), _activations(stax)[task["phi"]]()]
    return stax.serial(*hidden, stax.Dense(outputs, W_std=1.0, b_std=None))


def _activations(stax: Any) -> dict[str, Callable[[], Any]]:
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

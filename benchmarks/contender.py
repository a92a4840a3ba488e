"""One contender of the row `finite`, in a process of its own: prints its seconds per step and its memory as JSON.

Every contender trains the network of programs/adam_mup.nx on M inputs in float32: h1 = xi u, h2 = W relu(h1),
f = <v|relu(h2)>, Adam with beta2 = 0.99 and eps = 1e-4 on u, W and v.  Seconds per step are
(time of `last` steps - time of `first` steps) / (last - first), so that drawing the initial values and what the first
step allocates do not count.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.machine import PROGRAM, hold_to_threads, peak_bytes

ETA, BETA1, BETA2, EPS = 0.2, 0.9, 0.99, 1e-4
INPUTS, DIMENSIONS = 104, 10


def run_nexort(width: int, steps: tuple[int, ...]) -> list[float]:
    """Seconds of a `run` of one trial, for each number of steps."""
    import nexort

    seconds: list[float] = []
    for count in steps:
        program = nexort.load(PROGRAM, T=count)
        start = time.perf_counter()
        program.run(width, trials=1, dtype="float32")
        seconds.append(time.perf_counter() - start)
    return seconds


def run_written_out(width: int, steps: tuple[int, ...]) -> list[float]:
    """PyTorch with autograd, and Adam written out as a user would."""
    import torch

    problem = _Problem(width)
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in problem.parameters]

    def update(t: int) -> None:
        with torch.no_grad():
            for p, (m, v), rate in zip(problem.parameters, moments, problem.rates, strict=True):
                g = p.grad * width  # n ds/dp, with entries of order 1
                m.mul_(BETA1).add_(g, alpha=1 - BETA1)
                v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
                p -= rate * (m / (1 - BETA1**t)) / torch.sqrt(v / (1 - BETA2**t) + EPS**2)

    return problem.train(steps, update)


def run_fused(width: int, steps: tuple[int, ...]) -> list[float]:
    """PyTorch with autograd and its fused Adam (eps stands outside the root there, and scales with the gradient)."""
    import torch

    problem = _Problem(width)
    groups = [{"params": [p], "lr": rate} for p, rate in zip(problem.parameters, problem.rates, strict=True)]
    adam = torch.optim.Adam(groups, betas=(BETA1, BETA2), eps=EPS / width, fused=True)
    return problem.train(steps, lambda t: adam.step())


class _Problem:
    """The network in the maximal update parametrization, in plain PyTorch."""

    def __init__(self, width: int) -> None:
        import torch

        generator = torch.Generator(torch.get_default_device()).manual_seed(0)

        def normal(*shape: int) -> Any:
            return torch.randn(*shape, generator=generator)

        self.inputs, self.targets = normal(INPUTS, DIMENSIONS), normal(INPUTS)
        self.weights = torch.tensor([1.0] * 100 + [0.0] * 4) / 100
        self.width = width
        self.parameters = [normal(DIMENSIONS, width), normal(width, width).div_(width**0.5), normal(width)]
        for parameter in self.parameters:
            parameter.requires_grad_()
        self.rates = (ETA, ETA / width, ETA)
        self.start: Any = None

    def outputs(self) -> Any:
        import torch

        u, W, v = self.parameters
        return torch.relu(torch.relu(self.inputs @ u) @ W.T) @ v / self.width

    def train(self, steps: tuple[int, ...], update: Callable[[int], None]) -> list[float]:
        """Seconds until each of the numbers of steps is reached, in one training."""
        seconds: list[float] = []
        begin = time.perf_counter()
        for t in range(1, max(steps) + 1):
            f = self.outputs()
            self.start = f.detach() if self.start is None else self.start
            f = f - self.start
            loss = (self.weights * (f - self.targets) ** 2).sum() / 2
            for parameter in self.parameters:
                parameter.grad = None
            loss.backward()
            update(t)
            if t in steps:
                _wait_for_device()
                seconds.append(time.perf_counter() - begin)
        return seconds


def _wait_for_device() -> None:
    """On a GPU, what was asked for may still be under way."""
    import torch

    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


CONTENDERS: dict[str, Callable[[int, tuple[int, ...]], list[float]]] = {
    "nexort": run_nexort,
    "written out": run_written_out,
    "fused": run_fused,
}


def main() -> None:
    name, width, first, last, threads = sys.argv[1], *map(int, sys.argv[2:6])
    hold_to_threads(threads)
    _load(name, threads)
    before = peak_bytes()
    early, late = CONTENDERS[name](width, (first, last))
    result = {"seconds": (late - early) / (last - first), "peak": peak_bytes(), "before": before}
    print(json.dumps(result))


def _load(name: str, threads: int) -> None:
    """Import the libraries, so that `before` holds their memory."""
    if name == "nexort":
        import nexort

        nexort.load(PROGRAM, T=2).run(8, trials=1)
    else:
        import torch

        torch.set_num_threads(threads)


if __name__ == "__main__":
    main()

"""The optimizer library against torch.optim and against loops in PyTorch, training one small network (extra `peers`).

PyTorch sees the gradients of NEXORT, n ∂s/∂p, and the rates η of vectors and scalars and η/n of matrices.  With eps =
1e-30, √v + eps and √(v + eps²) are the same number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agreement.engines import EngineDraws
from nexort.elaborate import elaborate
from nexort.finite import FiniteRun
from nexort.graph import Graph
from nexort.source import Source
from nexort.syntax import parse

pytestmark = pytest.mark.long
N, STEPS, ETA, DECAY = 48, 15, 0.05, 0.2

TEXT = """
import "optimizers.nx"
vector u, v
matrix W
s = 1
for t in 0..{steps}:
    f = s * <v | tanh(W @ tanh(u)) + sin(u)>
    output f
    loss = (f - 1)^2 / 2
    du = grad(loss, u)
    dW = grad(loss, W)
    dv = grad(loss, v)
    ds = grad(loss, s)
    u = {keep} * u - {rate} * {vector}(du{arguments})
    v = {keep} * v - {rate} * {vector}(dv{arguments})
    s = {keep} * s - {rate} * {vector}(ds{arguments})
    W = {keep} * W - {rate} * {matrix}(dW{arguments})
"""


def graph_of(
    name: str, arguments: str = "", *, rate: float = ETA, keep: float = 1.0, matrix: str | None = None
) -> Graph:
    text = TEXT.format(
        steps=STEPS,
        keep=keep,
        rate=rate,
        vector=name,
        matrix=matrix or name,
        arguments=arguments,
    )
    return elaborate(parse(Source("<text>", text)))


class Network:
    """f = s ⟨v|tanh(W tanh u) + sin u⟩ from the engine's initial values; gradients are those of NEXORT."""

    def __init__(self, torch: Any, graph: Graph) -> None:
        self.torch = torch
        draws = EngineDraws(graph, N)
        first = {"u": ("vector", ()), "v": ("vector", ()), "W": ("matrix", ())}
        arrays = {name: draws(kind, name, (), element) for name, (kind, element) in first.items()}
        arrays["s"] = np.array(1.0)
        self.p = {
            name: torch.tensor(np.array(x), dtype=torch.float64, requires_grad=True) for name, x in arrays.items()
        }
        self.last = {name: p.detach().clone() for name, p in self.p.items()}

    def forward(self) -> Any:
        t, p = self.torch, self.p
        return p["s"] * (p["v"] @ (t.tanh(p["W"] @ t.tanh(p["u"])) + t.sin(p["u"]))) / N

    def backward(self) -> float:
        f = self.forward()
        grads = self.torch.autograd.grad((f - 1) ** 2 / 2, list(self.p.values()))
        for (name, p), g in zip(self.p.items(), grads, strict=True):
            p.grad = g if name == "s" else N * g
        return f.item()


def scale(name: str) -> float:
    return 1 / N if name == "W" else 1.0


def rates(network: Network) -> list[dict[str, Any]]:
    return [{"params": [p], "lr": ETA * scale(name)} for name, p in network.p.items()]


def curve(network: Network, step: Callable[[], None]) -> np.ndarray:
    found: list[float] = []
    for _ in range(STEPS):
        found.append(network.backward())
        step()
    return np.array(found)


def check(graph: Graph, step: Callable[[], None], network: Network, tolerance: float = 1e-9) -> None:
    found = FiniteRun(graph, width=N).trial(0)["f"]
    expected = curve(network, step)
    assert np.ptp(expected) > 0.05, "nothing is learned"
    gap = float(np.abs(found - expected).max())
    assert gap < tolerance


SMALL = ", eps=1e-30"
PEERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sgd": ("", "SGD", {}),
    "momentum": (", beta=0.8", "SGD", {"momentum": 0.8}),
    "nesterov": (", beta=0.8", "SGD", {"momentum": 0.8, "nesterov": True}),
    "rmsprop": (SMALL, "RMSprop", {"eps": 1e-30}),
    "adagrad": (SMALL, "Adagrad", {"eps": 1e-30}),
    "adadelta": ("", "Adadelta", {}),
    "adam": (SMALL, "Adam", {"eps": 1e-30}),
    "amsgrad": (", beta2=0.6" + SMALL, "Adam", {"amsgrad": True, "betas": (0.9, 0.6), "eps": 1e-30}),
    "adamax": ("", "Adamax", {}),
    "nadam": (SMALL, "NAdam", {"eps": 1e-30}),
    "radam": (SMALL, "RAdam", {"eps": 1e-30}),
}


@pytest.mark.parametrize("name", PEERS)
def test_same_as_torch_optim(name: str) -> None:
    torch = pytest.importorskip("torch")
    arguments, peer, options = PEERS[name]
    rate = 1.0 if name == "adadelta" else ETA
    graph = graph_of(name, arguments, rate=rate)
    network = Network(torch, graph)
    groups = [{**group, "lr": group["lr"] / ETA * rate} for group in rates(network)]
    # PyTorch keeps NAdam's product of momenta in float32
    tolerance = 1e-5 if name == "nadam" else 1e-9
    check(graph, getattr(torch.optim, peer)(groups, **options).step, network, tolerance)


def test_adamw_is_decay_in_the_update() -> None:
    torch = pytest.importorskip("torch")
    graph = graph_of("adamw", SMALL, keep=1 - ETA * DECAY)
    network = Network(torch, graph)
    # PyTorch shrinks by lr · weight_decay: the same η λ for every kind of parameter
    groups = [{**group, "weight_decay": DECAY * ETA / group["lr"]} for group in rates(network)]
    check(graph, torch.optim.AdamW(groups, eps=1e-30).step, network)


def test_rprop_is_that_of_torch() -> None:
    torch = pytest.importorskip("torch")
    graph = graph_of("rprop", ", start=0.02, largest=0.05", rate=1.0)
    network = Network(torch, graph)
    groups = [
        {"params": [p], "lr": 0.02 * scale(name), "step_sizes": (1e-6 * scale(name), 0.05 * scale(name))}
        for name, p in network.p.items()
    ]
    check(graph, torch.optim.Rprop(groups).step, network)


def test_adafactor_is_that_of_torch_but_for_relative_steps() -> None:
    """PyTorch's step size is max(ε₂, rms(p)) min(lr, 1/√step): divided out, and η put in its place."""
    torch = pytest.importorskip("torch")
    graph = graph_of("adafactor", SMALL + ", bound=1.2")
    network = Network(torch, graph)
    peer = torch.optim.Adafactor(list(network.p.values()), lr=0.01, eps=(1e-30, 1e-3), d=1.2)

    def step() -> None:
        before = {name: p.detach().clone() for name, p in network.p.items()}
        peer.step()
        with torch.no_grad():
            for name, p in network.p.items():
                size = max(1e-3, before[name].square().mean().sqrt().item()) * 0.01
                p.copy_(before[name] + (p - before[name]) / size * ETA * scale(name))

    check(graph, step, network)


Move = Callable[[Any], Any]


def signs(torch: Any) -> Move:
    return torch.sign


def lion(torch: Any) -> Move:
    m = torch.zeros(())

    def move(g: Any) -> Any:
        nonlocal m
        u = torch.sign(0.9 * m + 0.1 * g)
        m = 0.99 * m + 0.01 * g
        return u

    return move


def plain(torch: Any) -> Move:
    return lambda g: g


def muon(torch: Any) -> Move:
    """Of the matrix g/n, in the form of PyTorch's Muon but in double precision."""
    m = torch.zeros(())

    def move(g: Any) -> Any:
        nonlocal m
        m = 0.95 * m + 0.05 * g / N
        X = 0.05 * g / N + 0.95 * m
        X = X / (X.norm() + 0.05 * 1e-7)
        for _ in range(5):
            A = X @ X.T
            X = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
        return N * X

    return move


LOOPS: dict[str, tuple[str, str, Callable[[Any], Move], Callable[[Any], Move]]] = {
    "signsgd": ("signsgd", ", eps=0", signs, signs),
    "lion": ("lion", "", lion, lion),
    "muon": ("sgd", "", plain, muon),
}


@pytest.mark.parametrize("name", LOOPS)
def test_same_as_a_loop(name: str) -> None:
    torch = pytest.importorskip("torch")
    of_vectors, arguments, vector, matrix = LOOPS[name]
    graph = graph_of(of_vectors, arguments, matrix="muon" if name == "muon" else None)
    network = Network(torch, graph)
    moves = {key: (matrix if key == "W" else vector)(torch) for key in network.p}

    def step() -> None:
        with torch.no_grad():
            for key, p in network.p.items():
                p -= ETA * scale(key) * moves[key](p.grad)

    check(graph, step, network)


def test_muon_is_that_of_torch_to_bfloat16() -> None:
    """PyTorch iterates in bfloat16, whose rounding the quintic multiplies by up to 3.4⁵ along small singular values.

    So the gradient has none: they lie between 1 and 2.
    """
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    left, right = (np.linalg.qr(rng.standard_normal((N, N)))[0] for _ in range(2))
    g = torch.tensor(N * (left * np.linspace(1, 2, N)) @ right)
    weight = torch.zeros(N, N, dtype=torch.float64, requires_grad=True)
    weight.grad = g.clone()
    torch.optim.Muon([weight], lr=1.0, weight_decay=0.0).step()
    found = muon(torch)(g) / N
    gap = ((found + weight.detach()).norm() / found.norm()).item()
    assert gap < 0.03
    assert (torch.linalg.svdvals(found) - 1).abs().max().item() < 0.35

"""`train` at width n against a training loop in PyTorch, from the same initial values (the extra `peers`).

The loop keeps the trained weights w themselves: w_0 = n^-b w_hat, E = n^-a w in the forward pass, f = n^(1 - a_out)
avg(returned vector), autograd's own ∂L/∂w, and w ← (1 - λ) w - η n^-c Q(n^d g_0, …, n^d g_t).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
torch: Any = pytest.importorskip("torch")

N, M, D, STEPS = 32, 4, 3, 10
RNG = np.random.default_rng(5)
XI, Y, Y2 = RNG.standard_normal((M, D)), RNG.standard_normal(M), RNG.standard_normal(M)
MASK = RNG.integers(0, 3, (STEPS, M)).astype(float)
MASK[:, 0] += 0.5  # no step without weight
DATA = {"xi": XI, "y": Y, "y2": Y2, "mask": MASK}

MODEL = f"""
import "optimizers.nx"
data xi[{M}, {D}] = normal()
data y[{M}] = normal()
data y2[{M}] = normal()
data mask[{STEPS}, {M}] = uniform()
model net(xi[d]):
    vector u[d], p, q
    vector b = 0.3
    vector beta = 0
    matrix W
    matrix V ~ N(0, 2/n)
    scalar s = 1.5
    scalar r ~ N(0.5, 2)
    h = sum[k](xi[k] * u[k]) + b
    h = W @ tanh(h) + s * h
    z = V @ sin(h) + r * beta + W' @ tanh(h)
    return (p * tanh(z), q * sin(z))
train net on xi, y, y2:
    steps = {STEPS}
"""
SHAPES = {"u": (D,), "p": (), "q": (), "b": (), "beta": (), "W": (), "V": (), "s": (), "r": ()}
KINDS = {name: "matrix" if name in "WV" else "scalar" if name in "sr" else "vector" for name in SHAPES}


def network(t: Any, E: Mapping[str, Any]) -> Any:
    """The averages of what is returned, (inputs, heads)."""
    h = t.tensor(XI) @ E["u"] + E["b"]
    h = t.tanh(h) @ E["W"].T + E["s"] * h
    z = t.sin(h) @ E["V"].T + E["r"] * E["beta"] + t.tanh(h) @ E["W"]
    return t.stack([(E["p"] * t.tanh(z)).mean(-1), (E["q"] * t.sin(z)).mean(-1)], dim=-1)


# ------------------------------------------------------------------ optimizers

State = dict[str, Any]


def sgd(g: Any, state: State, step: int) -> Any:
    return g


def momentum(g: Any, state: State, step: int) -> Any:
    state["m"] = 0.9 * state.get("m", 0) + g
    return state["m"]


def signsgd(g: Any, state: State, step: int) -> Any:
    return g / torch.sqrt(g**2 + 0.3**2)


def adam(g: Any, state: State, step: int) -> Any:
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
    state["v"] = 0.99 * state.get("v", 0) + 0.01 * g**2
    return (state["m"] / (1 - 0.9**step)) / torch.sqrt(state["v"] / (1 - 0.99**step) + 0.1**2)


OPTIMIZERS: dict[str, Callable[[Any, State, int], Any]] = {
    "sgd()": sgd,
    "momentum()": momentum,
    "signsgd(eps=0.3)": signsgd,
    "adam(beta2=0.99, eps=0.1)": adam,
}


# -------------------------------------------------------------- parametrization

Powers = tuple[float, float, float, float]


def uniform(s: float) -> tuple[dict[str, Powers], float]:
    """UP_s: s = 0 is µP, s = 1/2 NTP."""
    kinds: dict[str, Powers] = {
        "matrix": (0, 0.5, 1 + s, 1 - s),
        "vector": (0, 0, s, 1 - s),
        "scalar": (0, 0, s, -s),
    }
    return {name: kinds[kind] for name, kind in KINDS.items()}, 1 - s


def standard() -> tuple[dict[str, Powers], float]:
    wide: Powers = (0, 0.5, 0, 0)
    return {name: wide if name in ("W", "V", "p", "q") else (0, 0, 0, 0) for name in KINDS}, 0


def own() -> tuple[dict[str, Powers], float]:
    kinds: dict[str, Powers] = {
        "matrix": (0.25, 0.25, 1, 0.5),
        "vector": (0, 0, 0.25, 0.5),
        "scalar": (0.5, -0.5, 0, 0),
    }
    outputs: dict[str, Powers] = {"p": (0.25, 0.5, 0.5, 1), "q": (0.5, 0.25, 0.25, 0.75)}
    return {name: outputs.get(name, kinds[kind]) for name, kind in KINDS.items()}, 0.25


OWN = (
    "abcd(matrix=(1/4, 1/4, 1, 1/2), vector=(0, 0, 1/4, 1/2), scalar=(1/2, -1/2, 0, 0), out=1/4, "
    "p=(1/4, 1/2, 1/2, 1), q=(1/2, 1/4, 1/4, 3/4))"
)
PARAMETRIZATIONS: dict[str, tuple[dict[str, Powers], float]] = {
    "mup": uniform(0),
    "ntp": uniform(0.5),
    "up(1/4)": uniform(0.25),
    "standard": standard(),
    OWN: own(),
}


# ------------------------------------------------------------------------ loop


@dataclass(frozen=True)
class Update:
    """How one parameter is trained."""

    optimizer: str = "adam(beta2=0.99, eps=0.1)"
    rate: Callable[[int], float] = lambda t: 0.2
    decay: float = 0.0
    normalize: str = "none"


@dataclass
class Loop:
    graph: Graph
    parametrization: str
    updates: Mapping[str, Update]
    loss: Callable[[Any, int], Any]
    """(f of shape (inputs, heads), t)"""
    is_centred: bool = True
    w: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.powers, self.a_out = PARAMETRIZATIONS[self.parametrization]
        draws = EngineDraws(self.graph, N)
        self.w = {}
        for name, shape in SHAPES.items():
            kind = KINDS[name]
            drawn = np.array([draws(kind, f"net.{name}", (), index) for index in np.ndindex(*shape)])
            hat = drawn.reshape((*shape, *drawn.shape[1:])) * (N**0.5 if kind == "matrix" else 1)
            start = hat * float(N) ** -self.powers[name][1]
            self.w[name] = torch.tensor(start, dtype=torch.float64, requires_grad=True)

    def output(self) -> Any:
        E = {name: w * float(N) ** -self.powers[name][0] for name, w in self.w.items()}
        return float(N) ** (1 - self.a_out) * network(torch, E)

    def train(self) -> tuple[np.ndarray, np.ndarray]:
        """f (steps + 1, inputs, heads) and the loss (steps + 1)."""
        curve, losses = [], []
        start = self.output().detach() if self.is_centred else 0
        state: dict[str, State] = {name: {} for name in self.w}
        for t in range(STEPS + 1):
            f = self.output() - start
            loss = self.loss(f, min(t, STEPS - 1))
            curve.append(f.detach().numpy())
            losses.append(loss.item())
            gradients = torch.autograd.grad(loss, list(self.w.values()))
            with torch.no_grad():
                for (name, w), g in zip(self.w.items(), gradients, strict=True):
                    self.update(name, w, g, state[name], t)
        return np.stack(curve), np.array(losses)

    def update(self, name: str, w: Any, g: Any, state: State, t: int) -> None:
        rule, (a, _, c, d) = self.updates[name], self.powers[name]
        Q = OPTIMIZERS[rule.optimizer](float(N) ** d * g, state, t + 1)
        Q = self.normalized(name, Q, float(N) ** -a * w)
        w.mul_(1 - rule.decay).sub_(rule.rate(t) * float(N) ** -c * Q)

    def normalized(self, name: str, Q: Any, E: Any) -> Any:
        """Each vector of a family is a tensor of its own."""
        axes = {"matrix": (-2, -1), "vector": (-1,), "scalar": ()}[KINDS[name]]

        def rms(x: Any) -> Any:
            return x.abs() if not axes else (x**2).mean(dim=axes, keepdim=True).sqrt()

        R, S = rms(Q), rms(E) * (N**0.5 if KINDS[name] == "matrix" else 1)
        match self.updates[name].normalize:
            case "none":
                return Q
            case "update":
                return Q / R
            case "clip(0.5)":
                return Q * torch.clamp(0.5 / R, max=1)
            case "weight":
                return Q / S
            case "lamb":
                return Q * S / R
            case other:
                raise AssertionError(other)


def weighted(f: Any, t: int) -> Any:
    weight = torch.tensor(MASK[t])
    each = (f[:, 0] - torch.tensor(Y)) ** 2 / 2 + 0.5 * (f[:, 1] - torch.tensor(Y2)) ** 4
    return (weight * each).sum() / weight.sum()


def unweighted(f: Any, t: int) -> Any:
    return ((f[:, 0] - torch.tensor(Y)) ** 2 / 2 + 0.1 * f[:, 0] * f[:, 1]).mean()


LOSS = "    loss = (f[0] - y)^2 / 2 + 0.5 * (f[1] - y2)^4\n    weights[t, a] = mask[t, a]\n"
MEAN_LOSS = "    loss = (f[0] - y)^2 / 2 + 0.1 * f[0] * f[1]\n"


def agree(text: str, loop: Callable[[Graph], Loop]) -> None:
    graph = elaborate(parse(Source("<text>", MODEL + text)), data=DATA)
    found = FiniteRun(graph, width=N).trial(0)
    f, loss = loop(graph).train()
    assert np.abs(f[1:] - f[:-1]).max(axis=(1, 2)).min() > 1e-4  # it trains at every step
    size = max(1.0, float(np.abs(f).max()))
    np.testing.assert_allclose(found["f"], f, rtol=0, atol=1e-10 * size)
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS, ids=lambda name: name.split("(matrix")[0])
def test_parametrizations(parametrization: str, optimizer: str) -> None:
    rate = 0.02 if optimizer == "momentum()" else 0.05
    if parametrization == "standard":
        rate /= N  # at a plain rate f is 10^5 after 10 steps, and rounding with it
    text = f"{MEAN_LOSS}    optimizer = {optimizer}\n    rate = {rate}\n    parametrization = {parametrization}\n"
    updates = dict.fromkeys(SHAPES, Update(optimizer=optimizer, rate=lambda t: rate))
    agree(
        f"{text}    center = true\n",
        lambda graph: Loop(graph, parametrization, updates, unweighted),
    )


@pytest.mark.parametrize("is_centred", [True, False])
def test_schedules_decay_weights_and_overrides(is_centred: bool) -> None:
    text = f"""{LOSS}    optimizer = adam(beta2=0.99, eps=0.1)
    rate = 0.2 / (1 + t)
    parametrization = up(1/4)
    decay = 0.05
    center = {str(is_centred).lower()}
    per W: optimizer = momentum(); rate = 0.03; decay = 0
    per u, s: optimizer = sgd(); decay = 0.1 / (1 + 0 * t)
    per r: rate = 0
"""

    def rate(t: int) -> float:
        return 0.2 / (1 + t)

    updates = {
        **dict.fromkeys(SHAPES, Update(rate=rate, decay=0.05)),
        **dict.fromkeys("us", Update(optimizer="sgd()", rate=rate, decay=0.1)),
        "W": Update(optimizer="momentum()", rate=lambda t: 0.03),
        "r": Update(rate=lambda t: 0, decay=0.05),
    }
    agree(text, lambda graph: Loop(graph, "up(1/4)", updates, weighted, is_centred=is_centred))


RULES = ("none", "update", "clip(0.5)", "weight", "lamb")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("parametrization", ["mup", "ntp"])
def test_normalization(parametrization: str, rule: str) -> None:
    # beta starts at 0, and so does the gradient of r, which multiplies it: no size to divide by
    apart = ("beta", "r") if rule in ("update", "weight", "lamb") else ()
    own = f"    per {', '.join(apart)}: normalize = none\n" if apart else ""
    text = f"""{LOSS}    optimizer = adam(beta2=0.99, eps=0.1)
    rate = 0.1
    parametrization = {parametrization}
    decay = 0.02
    normalize = {rule}
    center = true
{own}    per V: optimizer = signsgd(eps=0.3)
"""
    base = Update(rate=lambda t: 0.1, decay=0.02, normalize=rule)
    updates = {
        **dict.fromkeys(SHAPES, base),
        **dict.fromkeys(apart, Update(rate=lambda t: 0.1, decay=0.02)),
        "V": Update(optimizer="signsgd(eps=0.3)", rate=lambda t: 0.1, decay=0.02, normalize=rule),
    }
    agree(text, lambda graph: Loop(graph, parametrization, updates, weighted))


def test_error_signals() -> None:
    """error[a, k] in place of a loss: χ = f0 - y for head 0, tanh(f1) for head 1, of all outputs."""
    text = """    error[a, k] = where(k_is[k] > 0, tanh(f[a, 1]), f[a, 0] - y[a]) / 4
    optimizer = adam(beta2=0.99, eps=0.1)
    rate = 0.1
    parametrization = mup
    center = false
"""

    def surrogate(f: Any, t: int) -> Any:
        chi = torch.stack([f[:, 0] - torch.tensor(Y), torch.tanh(f[:, 1])], dim=-1).detach() / M
        return (chi * f).sum()

    graph = elaborate(parse(Source("<text>", "data k_is[2] = [0, 1]\n" + MODEL + text)), data=DATA)
    found = FiniteRun(graph, width=N).trial(0)["f"]
    updates = dict.fromkeys(SHAPES, Update(rate=lambda t: 0.1))
    f, _ = Loop(graph, "mup", updates, surrogate, is_centred=False).train()
    np.testing.assert_allclose(found, f, rtol=0, atol=1e-10)

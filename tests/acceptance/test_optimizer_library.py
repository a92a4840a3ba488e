"""Every shipped optimizer against a loop of its formula in NumPy, entry by entry, with gradients that are exactly 0.

The gradients are given: n ∂⟨p|x⟩/∂p = x, n ∂⟨x|W y⟩/∂W = x yᵀ, ∂(s c)/∂s = c.  The parameters are read back through
more probes than they have entries, so that no entry is left unseen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import nexort
from agreement.engines import EngineDraws
from nexort.elaborate import elaborate
from nexort.finite import FiniteRun
from nexort.graph import Graph
from nexort.source import Source
from nexort.syntax import parse

Array = np.ndarray
Loop = Callable[[Sequence[Array], float], Iterator[Array]]
LIBRARY = Path(nexort.__file__).parent / "library" / "optimizers.nx"
N, STEPS, PROBES, ETA = 6, 12, 8, 0.5
ZERO_STEPS = (0, 4, 5)
"""Steps at which every gradient is 0, the first one among them."""


def ratio(numerator: Array, denominator: Array) -> Array:
    """0/0 = 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0)


def mean_of(history: Sequence[Array], beta: float) -> Array:
    """(1 - beta) Σ_s beta^(t - s) history_s: the running mean in closed form."""
    last = len(history) - 1
    return (1 - beta) * sum((beta ** (last - s) * x for s, x in enumerate(history)), start=np.zeros_like(history[0]))


def adam(g: Sequence[Array], eps: float) -> Iterator[Array]:
    for t in range(1, len(g) + 1):
        second = mean_of([x**2 for x in g[:t]], 0.999) / (1 - 0.999**t)
        yield ratio(mean_of(g[:t], 0.9) / (1 - 0.9**t), np.sqrt(second + eps**2))


def amsgrad(g: Sequence[Array], eps: float) -> Iterator[Array]:
    seconds = [mean_of([x**2 for x in g[:t]], 0.999) for t in range(1, len(g) + 1)]
    for t in range(1, len(g) + 1):
        largest = np.max(seconds[:t], axis=0) / (1 - 0.999**t)
        yield ratio(mean_of(g[:t], 0.9) / (1 - 0.9**t), np.sqrt(largest + eps**2))


def adamax(g: Sequence[Array], eps: float) -> Iterator[Array]:
    for t in range(1, len(g) + 1):
        infinity = np.max([0.999 ** (t - s) * (np.abs(x) + eps) for s, x in enumerate(g[:t], 1)], axis=0)
        yield ratio(mean_of(g[:t], 0.9) / (1 - 0.9**t), infinity)


def nadam(g: Sequence[Array], eps: float) -> Iterator[Array]:
    mu = [0.9 * (1 - 0.96 ** (0.004 * t) / 2) for t in range(1, len(g) + 2)]
    for t in range(1, len(g) + 1):
        look = mu[t] * mean_of(g[:t], 0.9) / (1 - np.prod(mu[: t + 1]))
        look = look + (1 - mu[t - 1]) * g[t - 1] / (1 - np.prod(mu[:t]))
        yield ratio(look, np.sqrt(mean_of([x**2 for x in g[:t]], 0.999) / (1 - 0.999**t) + eps**2))


def radam(g: Sequence[Array], eps: float) -> Iterator[Array]:
    long = 2 / (1 - 0.999) - 1
    for t in range(1, len(g) + 1):
        first = mean_of(g[:t], 0.9) / (1 - 0.9**t)
        rho = long - 2 * t * 0.999**t / (1 - 0.999**t)
        if rho <= 5:
            yield first
        else:
            r = np.sqrt((rho - 4) * (rho - 2) * long / ((long - 4) * (long - 2) * rho))
            yield r * ratio(first, np.sqrt(mean_of([x**2 for x in g[:t]], 0.999) / (1 - 0.999**t) + eps**2))


def sgd(g: Sequence[Array], eps: float) -> Iterator[Array]:
    yield from g


def momentum(g: Sequence[Array], eps: float) -> Iterator[Array]:
    for t in range(1, len(g) + 1):
        yield mean_of(g[:t], 0.9) / (1 - 0.9)


def nesterov(g: Sequence[Array], eps: float) -> Iterator[Array]:
    for t in range(1, len(g) + 1):
        yield g[t - 1] + 0.9 * mean_of(g[:t], 0.9) / (1 - 0.9)


def signsgd(g: Sequence[Array], eps: float) -> Iterator[Array]:
    for x in g:
        yield np.sign(x) if eps == 0 else x / np.sqrt(x**2 + eps**2)


def lion(g: Sequence[Array], eps: float) -> Iterator[Array]:
    for t in range(1, len(g) + 1):
        yield np.sign(0.9 * mean_of([np.zeros_like(g[0]), *g[: t - 1]], 0.99) + 0.1 * g[t - 1])


def rmsprop(g: Sequence[Array], eps: float) -> Iterator[Array]:
    for t in range(1, len(g) + 1):
        yield ratio(g[t - 1], np.sqrt(mean_of([x**2 for x in g[:t]], 0.99) + eps**2))


def adagrad(g: Sequence[Array], eps: float) -> Iterator[Array]:
    for t in range(1, len(g) + 1):
        yield ratio(g[t - 1], np.sqrt(np.sum([x**2 for x in g[:t]], axis=0) + eps**2))


def adadelta(g: Sequence[Array], eps: float) -> Iterator[Array]:
    moves: list[Array] = [np.zeros_like(g[0])]
    for t in range(1, len(g) + 1):
        size = np.sqrt(mean_of([x**2 for x in moves], 0.9) + 1e-6)
        moves.append(size / np.sqrt(mean_of([x**2 for x in g[:t]], 0.9) + 1e-6) * g[t - 1])
        yield moves[-1]


def rprop(g: Sequence[Array], eps: float) -> Iterator[Array]:
    sizes, before = np.full_like(g[0], 0.01), np.zeros_like(g[0])
    for x in g:
        now = np.array(x)
        for entry in np.ndindex(now.shape):
            turn = now[entry] * before[entry]
            factor = 1.2 if turn > 0 else 0.5 if turn < 0 else 1.0
            sizes[entry] = min(max(sizes[entry] * factor, 1e-6), 50.0)
            if turn < 0:
                now[entry] = 0.0
        before = now
        yield sizes * np.sign(now)


def adafactor(g: Sequence[Array], eps: float, bound: float = 1.0) -> Iterator[Array]:
    second = rows = columns = 0.0
    for t, x in enumerate(g, 1):
        beta, square = 1 - t**-0.8, x**2 + eps**2
        if x.ndim == 2:
            rows = beta * rows + (1 - beta) * square.mean(axis=1)
            columns = beta * columns + (1 - beta) * square.mean(axis=0)
            # a row of zeros so far: nothing to divide by
            second = np.outer(rows, columns) / rows.mean() if rows.mean() > 0 else np.zeros_like(x)
        else:
            second = beta * second + (1 - beta) * square
        u = ratio(x, np.sqrt(second))
        yield u / max(1.0, np.sqrt(np.mean(u**2)) / bound)


def muon(g: Sequence[Array], eps: float) -> Iterator[Array]:
    """By singular values: each goes through the quintic, five times."""
    momentum = np.zeros_like(g[0])
    for x in g:
        momentum = 0.95 * momentum + x
        left, values, right = np.linalg.svd((x + 0.95 * momentum) / len(x))
        values = values / (np.sqrt(np.sum(values**2)) + 1e-7)
        for _ in range(5):
            values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
        yield len(x) * (left * values) @ right


LOOPS: dict[str, Loop] = {
    **{loop.__name__: loop for loop in (sgd, momentum, nesterov, signsgd, lion, rprop, rmsprop, adagrad, adadelta)},
    **{loop.__name__: loop for loop in (adam, amsgrad, adamax, nadam, radam, adafactor)},
    "adamw": adam,
}
DEFAULT_EPS = {"adagrad": 1e-10, "adafactor": 1e-15}
AT_ZERO = ("signsgd", "adam", "adamw", "amsgrad", "adamax", "nadam", "radam", "rmsprop", "adagrad", "adafactor")


def program(update: Callable[[str], str], parameters: str = "pWs") -> str:
    lines = {
        "p": f"    p -= {ETA} * {update('grad(<p|x>, p)')}\n    output <q[j]|p> as p[j]\n",
        "W": f"    W = 0.9 * W - {ETA} * {update('grad(<x|W|y>, W)')}\n    output <q[j]|W @ q[k]> as W[j, k]\n",
        "s": f"    c = <x|y> * step(abs(<x|y>) - 0.2)\n    s -= {ETA} * {update('grad(s * c, s)')}\n    output s\n",
    }
    head = f'import "optimizers.nx"\nvector p, fixed, q[{PROBES}]\nmatrix W\ns = 1\ndata mask[T]\n'
    loop = f"for t in 0..{STEPS}:\n    vector x0, y0\n"
    # entries are 0 half of the time, some of them always, and at some steps all are
    gradient = "    x = mask[t] * step(fixed) * x0 * step(abs(x0) - 0.7)\n    y = y0 * step(abs(y0) - 0.7)\n"
    return head + loop + gradient + "".join(lines[name] for name in parameters)


MASK = np.array([0.0 if t in ZERO_STEPS else 1.0 for t in range(STEPS)])


def compiled(text: str) -> Graph:
    return elaborate(parse(Source("<text>", text)), data={"mask": MASK})


def sparse(x: Array) -> Array:
    return x * (np.abs(x) > 0.7)


def check(name: str, arguments: str, loop: Loop, eps: float, parameters: str = "pWs") -> None:
    graph = compiled(program(lambda gradient: f"{name}({gradient}{arguments})", parameters))
    found = FiniteRun(graph, width=N).trial(0)
    draws = EngineDraws(graph, N)
    probes = np.stack([draws("vector", "q", (), (j,)) for j in range(PROBES)])
    live = draws("vector", "fixed", (), ()) > 0
    x = [MASK[t] * live * sparse(draws("vector", "x0", (t,), ())) for t in range(STEPS)]
    y = [sparse(draws("vector", "y0", (t,), ())) for t in range(STEPS)]
    c = [np.array(a @ b / N) for a, b in zip(x, y, strict=True)]
    tight = {"rtol": 1e-10, "atol": 1e-12, "err_msg": name}
    if "p" in parameters:
        moved = draws("vector", "p", (), ()) - ETA * np.cumsum(list(loop(x, eps)), axis=0)
        np.testing.assert_allclose(found["p"], moved @ probes.T / N, **tight)
    if "s" in parameters:
        c = [value * (np.abs(value) > 0.2) for value in c]
        assert np.any(c)
        np.testing.assert_allclose(found["s"], 1 - ETA * np.cumsum(list(loop(c, eps))), **tight)
    W = draws("matrix", "W", (), ())
    outer = [np.outer(a, b) for a, b in zip(x, y, strict=True)]
    assert 0.2 < np.mean([T == 0 for T in outer]) < 0.95
    for t, move in enumerate(loop(outer, eps)):
        W = 0.9 * W - ETA * move / N
        np.testing.assert_allclose(found["W"][t], probes @ W @ probes.T / N, **tight)


@pytest.mark.parametrize("name", LOOPS)
def test_library_is_its_formula(name: str) -> None:
    check(name, "", LOOPS[name], DEFAULT_EPS.get(name, 1e-8))


@pytest.mark.parametrize("name", AT_ZERO)
def test_without_eps_nothing_over_nothing_is_no_step(name: str) -> None:
    check(name, ", eps=0", LOOPS[name], 0.0)


def test_muon_moves_singular_values_of_matrices() -> None:
    check("muon", "", muon, 1e-7, parameters="W")


@pytest.mark.parametrize("parameter", ["p", "s"])
def test_muon_is_for_matrices(parameter: str) -> None:
    with pytest.raises(nexort.NexortError, match="no transpose"):
        compiled(program(lambda gradient: f"muon({gradient})", parameter))


def test_library_has_these_and_no_others() -> None:
    declared = re.findall(r"^optimizer (\w+)", LIBRARY.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(declared) == sorted([*LOOPS, "muon"])


def test_adafactor_clips_all_that_one_update_changes() -> None:
    """Families of vectors have one root mean square; a smaller bound only scales what lies above it."""
    text = f"""
import "optimizers.nx"
vector u[2], x, q[{PROBES}]
s = <u[0]|x> + 3 * <u[1]|x * step(x)>
u[k] -= adafactor(grad(s, u[k]), bound=0.4)
output <q[j]|u[k]> as u[j, k]
"""
    graph = compiled(text)
    draws = EngineDraws(graph, N)
    probes = np.stack([draws("vector", "q", (), (j,)) for j in range(PROBES)])
    x = draws("vector", "x", (), ())
    signs = np.sign([x, x * (x > 0)])
    moved = np.stack([draws("vector", "u", (), (k,)) for k in range(2)]) - 0.4 * signs / np.sqrt(np.mean(signs**2))
    found = FiniteRun(graph, width=N).trial(0)["u"]
    np.testing.assert_allclose(found, probes @ moved.T / N, rtol=1e-12)


def test_decay_of_adamw_stands_outside() -> None:
    """W = (1 - eta lam) W - eta adamw(g): decay does not pass through the moments (PyTorch's AdamW)."""
    text = """
import "optimizers.nx"
s = 1
for t in 0..5:
    s = (1 - 0.1 * 0.01) * s - 0.1 * adamw(grad((s - 3)^4, s))
    output s
"""
    s, m, v, expected = 1.0, 0.0, 0.0, list[float]()
    for t in range(1, 6):
        g = 4 * (s - 3) ** 3
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        s = s - 0.1 * 0.01 * s - 0.1 * m / (1 - 0.9**t) / np.sqrt(v / (1 - 0.999**t) + 1e-16)
        expected.append(s)
    np.testing.assert_allclose(nexort.compile(text).run(4)["s"].values[0], expected, rtol=1e-13)

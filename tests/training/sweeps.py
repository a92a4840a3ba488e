"""Parametrizations of a 3-hidden-layer MLP drawn by class, and what widths say of them.

A parametrization is drawn by what decides: A, the rates r of u, W, V, that of the readout, and what a + b misses; then
written with random θ of (2.5), and a random d where the optimizer is homogeneous.  Every exponent is in quarters.
What competes with the leading power of n has a power lower by 1/2 at least: otherwise no slope up to width 2048 tells
them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

import nexort
from nexort.training import Regime

F = Fraction
QUARTER, HALF = F(1, 4), F(1, 2)
HIDDEN = ("u", "W", "V")

OPTIMIZERS: Mapping[str, tuple[str, int | None, float, float]] = {
    "SGD": ("sgd()", 1, 0.1, 0.2),
    "signs": ("signsgd(eps=0)", 0, 0.2, 0.1),
    "Adam": ("adam(beta1=0.5, beta2=0.5, eps=0.2)", None, 0.2, 0.1),
}
"""Call, degree, rate, and that of the readout, so that both move f by about as much."""

TRIALS = {64: 64, 128: 40, 256: 24, 512: 16, 1024: 12, 2048: 8}
STEPS = 2
ALLOWANCE = 0.25
"""What terms of higher order may add to log rms at width n, times √n."""

PROGRAM = """\
param M = 3, d = 4, H = 8
data xi[M, d] = normal(seed=1)
data y[M, H] = rademacher(seed=4)
import "optimizers.nx"
model mlp(xi[d]):
    vector u[d], v[H]
    matrix W, V
    h1 = sum[k](xi[k] * u[k]) / 2
    h2 = W @ gelu(h1) * 1.5
    h3 = V @ gelu(h2) * 1.5
    p[j] = v[j] * gelu(h3)
    return p
train mlp on xi, y:
    error[a, j] = -y[a, j] / 3
    optimizer = {optimizer}
    rate = {rate}
    per v: rate = {readout}
    steps = {steps}
    parametrization = abcd({exponents})
    center = false
    kernels = (h1, h2, h3)
"""
"""The error signal is the same at every step, so that what is random in f_0 does not enter its changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """`readout` is a_{L+1} + c_{L+1} − 1; `missed` is a + b less what it must be."""

    expected: Regime
    optimizer: str
    A: Fraction
    r: Mapping[str, Fraction]
    readout: Fraction
    missed: Mapping[str, Fraction] = field(default_factory=dict)

    def exponents(self, rng: Generator) -> dict[str, tuple[Fraction, Fraction, Fraction, Fraction]]:
        """(a, b, c, d) by name, and a_out behind `out`'s first place."""
        _, degree, _, _ = OPTIMIZERS[self.optimizer]
        total = _quarters(rng, 2, 6)  # a_{L+1}
        a_out = _quarters(rng, 0, 4)
        found = {"v": (total - a_out, self.A - total, 1 - total + self.readout, total)}
        for name in HIDDEN:
            a, is_matrix = _quarters(rng, -2, 2), name != "u"
            b = (HALF if is_matrix else F(0)) - a + self.missed.get(name, F(0))
            found[name] = (a, b, self.r[name] - a + is_matrix, a + self.A)
        for name, (a, b, c, d) in found.items():
            shift = F(0) if degree is None else _quarters(rng, -2, 2)
            found[name] = (a, b, c - (degree or 0) * shift, d - shift)
        return {"out": (a_out,) * 4, **found}

    def text(self, rng: Generator) -> str:
        call, _, rate, readout = OPTIMIZERS[self.optimizer]
        exponents = self.exponents(rng)
        parts = [f"out={exponents.pop('out')[0]}"]
        parts += [f"{name}=({', '.join(map(str, letters))})" for name, letters in exponents.items()]
        return PROGRAM.format(optimizer=call, rate=rate, readout=readout, steps=STEPS, exponents=", ".join(parts))


def _quarters(rng: Generator, low: int, high: int) -> Fraction:
    return F(int(rng.integers(low, high + 1)), 4)


def _rates(rng: Generator, r: Fraction) -> dict[str, Fraction]:
    """Rates with the least one r: each tight or slack, at least one tight."""
    rates = {name: r + (_quarters(rng, 2, 3) if rng.integers(2) else 0) for name in HIDDEN}
    rates[HIDDEN[rng.integers(3)]] = r
    return rates


Draw = Callable[[Generator, str], Drawn]


def _stable(rng: Generator, optimizer: str) -> Drawn:
    kinds: tuple[Draw, ...] = (feature_learning, operator)
    return kinds[rng.integers(2)](rng, optimizer)


def matrix_start(rng: Generator, optimizer: str) -> Drawn:
    base = _stable(rng, optimizer)
    missed = {HIDDEN[rng.integers(1, 3)]: _quarters(rng, 1, 2) * (-1) ** int(rng.integers(2))}
    return _changed(base, missed=missed)


def vector_start(rng: Generator, optimizer: str) -> Drawn:
    base = _stable(rng, optimizer)
    return _changed(base, missed={"u": _quarters(rng, 1, 2) * (-1) ** int(rng.integers(2))})


def output_start(rng: Generator, optimizer: str) -> Drawn:
    size = _quarters(rng, 0, 1)
    rates = _rates(rng, 1 - size + _quarters(rng, 0, 1))
    return Drawn(expected="unstable", optimizer=optimizer, A=size, r=rates, readout=_quarters(rng, 0, 1))


def features_blow_up(rng: Generator, optimizer: str) -> Drawn:
    """r < 0 alone: A + r ≥ 1 and b_{L+1} ≤ c_{L+1} hold."""
    r = -_quarters(rng, 1, 2)
    size = 1 - r + _quarters(rng, 0, 1)
    return Drawn(
        expected="unstable", optimizer=optimizer, A=size, r=_rates(rng, r), readout=size - 1 + _quarters(rng, 0, 1)
    )


def output_by_features(rng: Generator, optimizer: str) -> Drawn:
    """A + r < 1 alone."""
    size = HALF + _quarters(rng, 0, 1)
    r = min(_quarters(rng, 0, 1), 1 - size - QUARTER)
    readout = max(F(0), size + r - HALF) + _quarters(rng, 0, 1)
    return Drawn(expected="unstable", optimizer=optimizer, A=size, r=_rates(rng, r), readout=readout)


def output_by_readout(rng: Generator, optimizer: str) -> Drawn:
    """a_{L+1} + c_{L+1} < 1 alone."""
    size = HALF + _quarters(rng, 0, 1)
    readout = -_quarters(rng, 1, 2 if size == HALF else 1)
    return Drawn(
        expected="unstable",
        optimizer=optimizer,
        A=size,
        r=_rates(rng, max(1 - size, 1 - size + readout + HALF) + _quarters(rng, 0, 1)),
        readout=readout,
    )


def trivial(rng: Generator, optimizer: str) -> Drawn:
    size, r = HALF + _quarters(rng, 0, 3), _quarters(rng, 0, 2)
    r = max(r, 1 - size + QUARTER)
    readout = max(_quarters(rng, 1, 2), size - 1)
    return Drawn(expected="trivial", optimizer=optimizer, A=size, r=_rates(rng, r), readout=readout)


def operator(rng: Generator, optimizer: str) -> Drawn:
    """The readout, the features or both move the output."""
    size = HALF + _quarters(rng, 0, 1)
    slack = [F(0), _quarters(rng, 2, 3)]
    by_features, by_readout = [(0, 0), (0, 1), (1, 0)][rng.integers(3)]
    return Drawn(
        expected="operator",
        optimizer=optimizer,
        A=size,
        r=_rates(rng, 1 - size + slack[by_features]),
        readout=slack[by_readout],
    )


def feature_learning(rng: Generator, optimizer: str) -> Drawn:
    readout = _quarters(rng, 2, 3) if rng.integers(2) else F(0)
    return Drawn(expected="feature learning", optimizer=optimizer, A=F(1), r=_rates(rng, F(0)), readout=readout)


CLASSES: tuple[Draw, ...] = (
    matrix_start,
    vector_start,
    output_start,
    features_blow_up,
    output_by_features,
    output_by_readout,
    trivial,
    operator,
    feature_learning,
    operator,
    feature_learning,
)


def _changed(base: Drawn, *, missed: Mapping[str, Fraction]) -> Drawn:
    return Drawn(expected="unstable", optimizer=base.optimizer, A=base.A, r=base.r, readout=base.readout, missed=missed)


def draw(count: int, seed: int) -> list[tuple[str, Drawn, str]]:
    """(class, what was drawn, program), the classes and optimizers in turn."""
    rng = np.random.default_rng(seed)
    names = list(OPTIMIZERS)
    found: list[tuple[str, Drawn, str]] = []
    for k in range(count):
        make = CLASSES[k % len(CLASSES)]
        drawn = make(rng, names[k % len(names)])
        found.append((make.__name__, drawn, drawn.text(rng)))
    return found


# ------------------------------------------------------------------------ measuring


@dataclass(frozen=True, slots=True)
class Slope:
    """Of log rms against log n."""

    value: float
    stderr: float

    def sign(self) -> int | None:
        """Whether it is above 1/8, between ±1/8 or below −1/8, by three standard errors; else None."""
        reach = 3 * self.stderr
        if self.value - reach > 1 / 8:
            return 1
        if self.value + reach < -1 / 8:
            return -1
        return 0 if abs(self.value) + reach < 1 / 8 else None

    def __str__(self) -> str:
        return f"{self.value:+.3f} ± {self.stderr:.3f}"


Estimate = Callable[[NDArray[np.float64]], float]


def mean_square(values: NDArray[np.float64]) -> float:
    """Over trials and elements, (trials, elements)."""
    return float(np.mean(values**2))


def square_of_mean(values: NDArray[np.float64]) -> float:
    """Over elements, of what trials have in common: unbiased, may be negative."""
    noise = np.var(values, axis=0, ddof=1) / len(values)
    return float(np.mean(np.mean(values, axis=0) ** 2 - noise))


def measure_slopes(text: str, trials: Mapping[int, int] = TRIALS) -> dict[str, Slope]:
    """Slopes of f_0, of the kernels at initialisation, and of what training changes in f and in h3's kernel.

    The changes are those that trials have in common, where these are found: at small widths they are mixed with
    fluctuations of order n^-1/2.
    """
    program = nexort.compile(text)
    found: dict[str, dict[int, NDArray[np.float64]]] = {}
    for width, count in trials.items():
        results = program.run(width, trials=count, dtype="float32")
        for name in ("f", "K_h1", "K_h2", "K_h3"):
            values = results[name].values.reshape(count, STEPS + 1, -1)
            found.setdefault(f"{name} at first", {})[width] = values[:, 0]
            found.setdefault(f"change of {name}", {})[width] = values[:, STEPS] - values[:, 0]
    slopes: dict[str, Slope] = {}
    for name, values in found.items():
        is_common = name.startswith("change") and is_found(values)
        slopes[name] = fit(values, square_of_mean if is_common else mean_square)
    return slopes


def is_found(values: Mapping[int, NDArray[np.float64]]) -> bool:
    """Whether what trials have in common is three standard errors from 0 at every width."""
    estimates = (_jackknife(part, square_of_mean) for part in values.values())
    return all(square > 3 * error for square, error in estimates)


def fit(values: Mapping[int, NDArray[np.float64]], estimate: Estimate) -> Slope:
    """Least squares of log rms on log n, each width by its standard error over trials (jackknife) and the allowance."""
    sizes: list[float] = []
    errors: list[float] = []
    for part in values.values():
        square, error = _jackknife(part, estimate)
        sizes.append(np.log(square) / 2)
        errors.append(error / (2 * square))
    widths = np.array(list(values))
    x, y, weights = np.log(widths), np.array(sizes), 1 / (np.array(errors) ** 2 + ALLOWANCE**2 / widths)
    centre = np.sum(weights * x) / np.sum(weights)
    spread = np.sum(weights * (x - centre) ** 2)
    slope = float(np.sum(weights * (x - centre) * y) / spread)
    residual = y - np.sum(weights * y) / np.sum(weights) - slope * (x - centre)
    # what the line misses beyond these errors is an error of the slope too
    excess = max(1.0, float(np.sum(weights * residual**2)) / (len(widths) - 2))
    return Slope(slope, float(np.sqrt(excess / spread)))


def _jackknife(values: NDArray[np.float64], estimate: Estimate) -> tuple[float, float]:
    count = len(values)
    parts = np.array([estimate(np.delete(values, k, axis=0)) for k in range(count)])
    return estimate(values), float(np.sqrt((count - 1) * np.var(parts)))


def judge(slopes: Mapping[str, Slope]) -> Regime | None:
    """The regime that the slopes show; None where one that matters is undecided."""
    starts = [slopes[f"K_{h} at first"].sign() for h in ("h1", "h2", "h3")]
    output, features = slopes["change of f"].sign(), slopes["change of K_h3"].sign()
    first = slopes["f at first"]
    if {1, -1} & set(starts) or 1 in (output, features, first.sign()):
        return "unstable"
    if None in (*starts, output, features) or first.value + 3 * first.stderr > 1 / 8:
        return None
    if output == -1:
        return "trivial"
    return "feature learning" if features == 0 else "operator"

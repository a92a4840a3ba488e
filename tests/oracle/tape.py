"""Reverse-mode differentiation of dense float64 arrays, as plain as it can be.

A `Var` is an array with the operations that made it.  The rule of each operation is written in `Var` operations itself,
so a derivative can be differentiated again: `phi'` and `phi''` of a program need no table of their own.

`operator` marks the n x n arrays that act as they stand (matrices and what is made of them); an unmarked n x n
array is a tensor of order 2 and acts as T/n.  `labels` names the width axes of an array inside a statement with braces.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Rule = Callable[["Var"], "Var"]
_count = itertools.count()
_erf = np.vectorize(math.erf, otypes=[float])


class Var:
    """An array and how it was made: `parents` pairs each Var with the rule that carries a cotangent to it."""

    def __init__(self, value: Any, *parents: tuple[Var, Rule], operator: bool = False) -> None:
        self.value = np.asarray(value) if np.asarray(value).dtype == bool else np.asarray(value, dtype=np.float64)
        self.parents = parents
        self.operator = operator
        self.labels: tuple[str, ...] | None = None
        self.id = next(_count)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    def __add__(self, other: Any) -> Var:
        return add(self, lift(other))

    def __mul__(self, other: Any) -> Var:
        return mul(self, lift(other))

    def __truediv__(self, other: Any) -> Var:
        return div(self, lift(other))

    def __neg__(self) -> Var:
        return mul(self, Var(-1.0))

    def __sub__(self, other: Any) -> Var:
        return add(self, -lift(other))

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> Var:
        return add(lift(other), -self)

    def __rtruediv__(self, other: Any) -> Var:
        return div(lift(other), self)


def lift(x: Any) -> Var:
    return x if isinstance(x, Var) else Var(x)


def copy(x: Var) -> Var:
    """The same value with an identity of its own: what a binding makes."""
    return Var(x.value, (x, lambda g: g), operator=x.operator)


def stop(x: Var) -> Var:
    """The same value as a constant."""
    result = Var(x.value, operator=x.operator)
    result.labels = x.labels
    return result


# ------------------------------------------------------------------ shape


def broadcast(x: Var, shape: tuple[int, ...]) -> Var:
    return x if x.shape == shape else Var(np.broadcast_to(x.value, shape), (x, lambda g: sum_to(g, x.shape)))


def sum_to(x: Var, shape: tuple[int, ...]) -> Var:
    """The adjoint of `broadcast`: sums over the axes along which `shape` was repeated."""
    if x.shape == shape:
        return x
    value = x.value.sum(axis=tuple(range(x.ndim - len(shape))))
    stretched = tuple(axis for axis, size in enumerate(shape) if size == 1 and value.shape[axis] != 1)
    return Var(value.sum(axis=stretched, keepdims=True), (x, lambda g: broadcast(g, x.shape)))


def reshape(x: Var, shape: tuple[int, ...]) -> Var:
    return Var(x.value.reshape(shape), (x, lambda g: reshape(g, x.shape)))


def transpose(x: Var, axes: Sequence[int]) -> Var:
    back = [list(axes).index(axis) for axis in range(x.ndim)]
    return Var(x.value.transpose(axes), (x, lambda g: transpose(g, back)), operator=x.operator)


def sum_axes(x: Var, axes: tuple[int, ...]) -> Var:
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    return Var(x.value.sum(axis=axes), (x, lambda g: broadcast(reshape(g, kept), x.shape)))


def mean_axes(x: Var, axes: tuple[int, ...]) -> Var:
    return sum_axes(x, axes) / float(np.prod([x.shape[axis] for axis in axes]))


def outer(x: Var, y: Var) -> Var:
    return reshape(x, (*x.shape, 1)) * reshape(y, (1, *y.shape))


# ------------------------------------------------------------- arithmetic


def chain(g: Var, factor: Var) -> Var:
    """g times factor, 0 where g is 0: a branch that `where` did not choose may have an infinite derivative."""
    return where(g.value == 0, Var(0.0), g * factor)


def add(a: Var, b: Var) -> Var:
    return Var(
        a.value + b.value,
        (a, lambda g: sum_to(g, a.shape)),
        (b, lambda g: sum_to(g, b.shape)),
        operator=a.operator or b.operator,
    )


def mul(a: Var, b: Var) -> Var:
    return Var(
        a.value * b.value,
        (a, lambda g: sum_to(g * b, a.shape)),
        (b, lambda g: sum_to(g * a, b.shape)),
        operator=a.operator or b.operator,
    )


def div(a: Var, b: Var) -> Var:
    return Var(
        a.value / b.value,
        (a, lambda g: sum_to(chain(g, 1.0 / b), a.shape)),
        (b, lambda g: sum_to(chain(g, -a / (b * b)), b.shape)),
        operator=a.operator,
    )


def power(a: Var, b: Var) -> Var:
    def to_base(g: Var) -> Var:
        return sum_to(chain(g, where(b.value == 0, Var(0.0), b * power(a, b - 1.0))), a.shape)

    return Var(np.power(a.value, b.value), (a, to_base), (b, lambda g: sum_to(chain(g, power(a, b) * log(a)), b.shape)))


def matmul(a: Var, b: Var) -> Var:
    """The bare product of an n x n array with an n x n array or a vector, without any 1/n."""
    if b.ndim == 1:
        return Var(a.value @ b.value, (a, lambda g: outer(g, b)), (b, lambda g: matmul(transpose(a, (1, 0)), g)))
    return Var(
        a.value @ b.value,
        (a, lambda g: matmul(g, transpose(b, (1, 0)))),
        (b, lambda g: matmul(transpose(a, (1, 0)), g)),
    )


# -------------------------------------------------------------- functions


def where(condition: Any, a: Var, b: Var) -> Var:
    """The chosen branch; the other one gets no gradient."""
    chosen = condition.value if isinstance(condition, Var) else np.asarray(condition)
    value = np.where(chosen, a.value, b.value)
    zero = Var(0.0)
    return Var(
        value,
        (a, lambda g: sum_to(where(chosen, g, zero), a.shape)),
        (b, lambda g: sum_to(where(chosen, zero, g), b.shape)),
    )


def exp(x: Var) -> Var:
    return Var(np.exp(x.value), (x, lambda g: g * exp(x)))


def log(x: Var) -> Var:
    return Var(np.log(x.value), (x, lambda g: chain(g, 1.0 / x)))


def sqrt(x: Var) -> Var:
    return Var(np.sqrt(x.value), (x, lambda g: chain(g, 0.5 / sqrt(x))))


def sin(x: Var) -> Var:
    return Var(np.sin(x.value), (x, lambda g: g * cos(x)))


def cos(x: Var) -> Var:
    return Var(np.cos(x.value), (x, lambda g: -(g * sin(x))))


def tanh(x: Var) -> Var:
    return Var(np.tanh(x.value), (x, lambda g: g * (1.0 - tanh(x) * tanh(x))))


def erf(x: Var) -> Var:
    return Var(_erf(x.value), (x, lambda g: g * (2 / math.sqrt(math.pi)) * exp(-(x * x))))


def sigmoid(x: Var) -> Var:
    return 0.5 * (1.0 + tanh(0.5 * x))


def softplus(x: Var) -> Var:
    return Var(np.logaddexp(0.0, x.value), (x, lambda g: g * sigmoid(x)))


def step(x: Var) -> Var:
    return Var(np.where(x.value > 0, 1.0, 0.0))


def sign(x: Var) -> Var:
    return Var(np.sign(x.value))


def absolute(x: Var) -> Var:
    return x * sign(x)


def leaky_relu(x: Var, slope: Var | None = None) -> Var:
    return where(x.value > 0, x, (Var(0.01) if slope is None else slope) * x)


def maximum(a: Var, *others: Var) -> Var:
    for b in others:
        a = where(a.value > b.value, a, where(a.value < b.value, b, 0.5 * (a + b)))
    return a


def minimum(*args: Var) -> Var:
    return -maximum(*(-x for x in args))


def clip(x: Var, low: Var, high: Var) -> Var:
    is_high = (x.value > high.value) | (low.value > high.value)
    return where(is_high, high, where(x.value < low.value, low, x))


FUNCTIONS: dict[str, Callable[..., Var]] = {
    "relu": lambda x: where(x.value > 0, x, Var(0.0)),
    "step": step,
    "sign": sign,
    "abs": absolute,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "erf": erf,
    "gelu": lambda x: 0.5 * x * (1.0 + erf(x / math.sqrt(2))),
    "silu": lambda x: x * sigmoid(x),
    "softplus": softplus,
    "leaky_relu": leaky_relu,
    "exp": exp,
    "log": log,
    "sqrt": sqrt,
    "sin": sin,
    "cos": cos,
    "max": maximum,
    "min": minimum,
    "clip": clip,
    "where": where,
}


# --------------------------------------------------------------- gradient


def gradient(s: Var, p: Var, seed: Var) -> Var | None:
    """The cotangent of `p` when `s` has cotangent `seed`; None if `s` was not made from `p`.

    Ids grow along every path, so only nodes younger than `p` matter, and descending ids are a reverse order.
    """
    reached: dict[int, Var] = {s.id: s}
    todo = [s]
    while todo:
        for parent, _ in todo.pop().parents:
            if parent.id >= p.id and parent.id not in reached:
                reached[parent.id] = parent
                todo.append(parent)
    leads = {p.id} & reached.keys()
    for i in sorted(reached):
        if any(parent.id in leads for parent, _ in reached[i].parents):
            leads.add(i)
    if s.id not in leads:
        return None
    cotangent: dict[int, Var] = {s.id: seed}
    for i in sorted(leads, reverse=True):
        for parent, rule in reached[i].parents if i != p.id else ():
            if parent.id in leads:
                share = rule(cotangent[i])
                cotangent[parent.id] = cotangent[parent.id] + share if parent.id in cotangent else share
    return cotangent[p.id]


def entrywise_derivative(function: Callable[..., Var]) -> Callable[..., Var]:
    """The derivative of an entrywise function in its first argument, entry by entry."""

    def derivative(first: Var, *others: Var) -> Var:
        shapes = (first.shape, *(x.shape for x in others))
        x = copy(broadcast(first, np.broadcast_shapes(*shapes)))
        y = function(x, *others)
        result = gradient(y, x, Var(np.ones(y.shape)))
        return Var(np.zeros(x.shape)) if result is None else result

    return derivative

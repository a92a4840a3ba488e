"""What a `train` statement asks for, with every field settled: the input of its expansion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from nexort.source import Span
from nexort.syntax import ast
from nexort.training.classify import Classification
from nexort.training.exponents import HALF, Exponents, Kind
from nexort.training.model import Model

Rule = Literal["none", "update", "clip", "weight", "lamb"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalization:
    """`none | update | clip(theta) | weight | lamb`, with R = rms(Q) and S = rms(n^-a w) (times √n for a matrix):
    Q, Q/R, Q min(1, theta/R), Q/S, Q S/R (docs/design.md, TP4b 2.10.2)."""

    rule: Rule = "none"
    theta: ast.Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A parameter, or a family of them, and its update.

    `exponents` are those of the text, the factor n^-k of the rate apart: it stands in `rate`, and in `slowed`.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    item: ast.InitialItem
    variance: float
    """Of its law: of a matrix the c in c/n."""
    starts_at_zero: bool
    is_output: bool
    exponents: Exponents
    slowed: Fraction
    """k, where the rate is of order n^-k."""
    is_trained: bool
    """False with rate 0."""
    optimizer: ast.Call
    has_rms: bool
    """Whether the optimizer reads all entries of a tensor at once, so that elements are updated one by one."""
    rate: ast.Expr
    decay: ast.Expr | None
    normalization: Normalization
    span: Span
    """Of the update: where the optimizer of the parameter is chosen."""

    @property
    def effective_exponents(self) -> Exponents:
        """With the powers of n of the rate, and of the size n^-(a+b) of an output vector that Q is divided by or
        multiplied with (for other parameters that size is of order 1)."""
        slowed = self.exponents.slowed(self.slowed)
        size = self.exponents.a + self.exponents.b
        if not self.is_output or self.starts_at_zero:
            return slowed
        match self.normalization.rule:
            case "weight":
                return slowed.slowed(-size)
            case "lamb":
                return slowed.slowed(size)
            case _:
                return slowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One `train` statement.  `loss` and `error` exclude each other."""

    span: Span
    name: str
    """Before the names of its outputs, with `as`; else empty."""
    model: Model
    inputs: Mapping[str, str]
    """The data array that each argument of the model is."""
    arrays: tuple[str, ...]
    """The data arrays of single inputs: those of the model, and targets."""
    size: int
    """The number of inputs."""
    has_heads: bool
    """Whether one input has several outputs, f[a, 0], f[a, 1], …"""
    steps: int
    parameters: tuple[Trained, ...]
    a_out: Fraction
    parametrization_span: Span
    classification: Classification
    loss: ast.Expr | None
    error: ast.Field | None
    weights: ast.Field | None
    per_input: frozenset[str]
    """Data arrays that stand without brackets in `weights`, for the element of the input."""
    is_centred: bool
    kernels: tuple[ast.Name, ...]
    taken: frozenset[str]
    """Names that the expansion may not bind: those of the program, of the model and of the fields."""
    given: str | None
    """The data array that replaces the output at initialisation (`--given f0=…`)."""

    def output_name(self, name: str) -> str:
        """`f`, or `wide_f` of a `train … as wide`."""
        return f"{self.name}_{name}" if self.name else name

    @property
    def is_decaying(self) -> bool:
        return any(part.decay is not None for part in self.parameters)

    @property
    def is_operator(self) -> bool:
        """r > 0, or no feature is trained: the limit is linear in the changes of the weights."""
        return self.classification.r is None or self.classification.r > 0

    @property
    def has_random_start(self) -> bool:
        """Whether the limit's output at initialisation is a Gaussian process that centring does not take away."""
        return self.is_operator and self.classification.A == HALF and (self.is_decaying or not self.is_centred)

    def is_silent(self, part: Trained) -> bool:
        """A scalar parameter under a fresh readout in the operator regime: its gradient vanishes like n^-1/2."""
        return part.kind == "scalar" and part.is_trained and self.is_operator and bool(self.outputs)

    @property
    def outputs(self) -> tuple[Trained, ...]:
        return tuple(part for part in self.parameters if part.is_output)

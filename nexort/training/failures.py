"""Where a parametrization fails: the inequality with its numbers, and what happens in the network then.

| cause | conditions |
|---|---|
| initialisation | a + b = 1/2 for matrices, 0 for other parameters; A = a_{L+1} + b_{L+1} ≥ 1/2 (TP4b Lemma 2.8.11) |
| scale | the faithful d (Lemma 2.8.10, (2.26)) |
| dynamics | r ≥ 0 for all, A + r ≥ 1, a_{L+1} + c_{L+1} ≥ 1 (Theorem 2.8.12, (2.27)) |
| later scale | b_{L+1} ≤ c_{L+1} |
| trivial | neither a_{L+1} + c_{L+1} = 1 nor A + r = 1 (Theorem 2.8.15) |

Output vectors have their own condition (docs/design.md): r_{L+1} = a_{L+1} + c_{L+1} − 1; r is the least of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from nexort.source import Span
from nexort.training.exponents import HALF, Letter, Parameter
from nexort.training.repair import OUT, Change, moves_output
from nexort.training.scales import Scales, initial_sum

Cause = Literal["initialisation", "scale", "dynamics", "later scale", "trivial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    cause: Cause
    inequality: str
    """`a_W + b_W = 1/4, must be 1/2`."""
    meaning: str
    changes: tuple[Change, ...]
    """Those of the whole repair that answer to this failure."""
    span: Span | None

    @property
    def repair(self) -> str:
        return ", ".join(map(str, self.changes)) or "with the repairs of the others"

    def __str__(self) -> str:
        return f"{self.inequality}: {self.meaning}; repaired by {self.repair}"

    def to_dict(self) -> dict[str, str]:
        return {
            "cause": self.cause,
            "inequality": self.inequality,
            "meaning": self.meaning,
            "repair": self.repair,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """A failure before its repair: `keys` are the exponents that may answer to it."""

    cause: Cause
    inequality: str
    meaning: str
    keys: frozenset[tuple[str, Letter]]
    span: Span | None = None
    asks_for_size: bool = False
    """Its repair changes A, which d and other rates follow."""


def find_failures(parameters: Sequence[Parameter], scales: Scales, changes: Sequence[Change]) -> tuple[Failure, ...]:
    """All failures, in the order of the table; every change of the repair belongs to one of them."""
    findings = [
        *_at_initialisation(parameters, scales),
        *_of_scale(parameters, scales),
        *_of_updates(parameters, scales),
        *_of_later_scale(scales),
        *_of_output(scales),
    ]
    answered = {key for finding in findings for key in finding.keys}
    stray = [change for change in changes if change.key not in answered]
    # what follows from a new A (d, and c of the others) belongs to the failure that asks for it
    owner = next((finding for finding in findings if finding.asks_for_size), findings[-1] if findings else None)
    return tuple(
        _failure(finding, [change for change in changes if change.key in finding.keys], stray * (finding is owner))
        for finding in findings
    )


def _failure(finding: _Finding, own: Iterable[Change], stray: Iterable[Change]) -> Failure:
    return Failure(
        cause=finding.cause,
        inequality=finding.inequality,
        meaning=finding.meaning,
        changes=(*own, *stray),
        span=finding.span,
    )


def _at_initialisation(parameters: Sequence[Parameter], scales: Scales) -> Iterator[_Finding]:
    for parameter in parameters:
        own, name = parameter.exponents, parameter.name
        if parameter.is_output or parameter.starts_at_zero:
            continue
        due = initial_sum(parameter)
        power = due - own.a - own.b
        if power != 0:
            what = f"{name} @ x" if parameter.kind == "matrix" else name
            fate = "blows up" if power > 0 else "vanishes, and what reads it is stuck"
            yield _Finding(
                cause="initialisation",
                inequality=f"a_{name} + b_{name} = {own.a + own.b}, must be {due}",
                meaning=f"{what} is of size {_size(power)} at initialisation and {fate}",
                keys=frozenset({(name, "b")}),
                span=parameter.span,
            )
    if scales.A < HALF:
        keys: set[tuple[str, Letter]] = {(name, "b") for name in scales.heads} or {(OUT, "a")}
        yield _Finding(
            cause="initialisation",
            inequality=f"{_backward(scales)} = {scales.A}, must be at least 1/2",
            meaning=f"the output is of size {_size(HALF - scales.A)} at initialisation and blows up",
            keys=frozenset(keys),
            asks_for_size=True,
        )


def _of_scale(parameters: Sequence[Parameter], scales: Scales) -> Iterator[_Finding]:
    for parameter in parameters:
        name = parameter.name
        if parameter.degree is not None or not parameter.is_trained:
            continue
        due = scales.faithful_d(parameter)
        power = parameter.exponents.d - due
        if power != 0:
            fate = "→ ∞: Q is saturated" if power > 0 else "→ 0: Q is linearised"
            yield _Finding(
                cause="scale",
                inequality=f"d_{name} = {parameter.exponents.d}, must be {_faithful_sum(parameter, scales)} = {due}",
                meaning=f"the inputs of its update function are of size {_size(power)} {fate}",
                keys=frozenset({(name, "d")}),
                span=parameter.span,
            )


def _of_updates(parameters: Sequence[Parameter], scales: Scales) -> Iterator[_Finding]:
    for parameter in parameters:
        name, rate = parameter.name, scales.rates.get(parameter.name)
        if rate is None or rate >= 0:
            continue
        if parameter.is_output:
            inequality = f"a_out + a_{name} + c_{name} = {rate + 1}, must be at least 1"
            meaning = f"an update of {name} moves the output by {_size(-rate)}: it blows up"
        else:
            sum_ = f"c_{name} + a_{name}{' − 1' if parameter.kind == 'matrix' else ''}"
            inequality = f"r_{name} = {sum_} = {rate}, must be at least 0"
            meaning = f"an update of {name} moves the features by {_size(-rate)}: they blow up"
        yield _Finding(
            cause="dynamics",
            inequality=inequality + _in_form(parameter, scales),
            meaning=meaning,
            keys=frozenset({(name, "c"), (name, "d")}),
            span=parameter.span,
        )
    if scales.r is not None and scales.A + scales.r < 1:
        slow = [name for name in scales.rest if scales.A + scales.rates.get(name, 1) < 1]
        keys: set[tuple[str, Letter]] = {(name, "c") for name in slow}
        yield _Finding(
            cause="dynamics",
            inequality=f"{_backward(scales)} + r = {scales.A + scales.r}, must be at least 1 (r = {scales.r})",
            meaning=f"the features' updates move the output by {_size(1 - scales.A - scales.r)}: it blows up",
            keys=frozenset(keys),
        )


def _of_later_scale(scales: Scales) -> Iterator[_Finding]:
    """For output vectors that start at 0, A is that of their updates already."""
    if scales.r is None:
        return
    for name, head in scales.heads.items():
        c = scales.faithful[name].c
        power = scales.head_b(name) - c
        if head.is_trained and power > 0:
            given = f"b_{name} = {scales.head_b(name)}"
            yield _Finding(
                cause="later scale",
                inequality=f"{given}, must be at most c_{name} = {c}{_in_form(head, scales)}",
                meaning=f"the update of {name} outgrows its initial value: later gradients are {_size(power)} times "
                "the first and saturate what fitted that",
                keys=frozenset({(name, "b")}),
                span=head.span,
                asks_for_size=True,
            )


def _of_output(scales: Scales) -> Iterator[_Finding]:
    if moves_output(scales):
        return
    sums = [f"a_out + a_{name} + c_{name} = {scales.rates[name] + 1}" for name in scales.heads if name in scales.rates]
    if scales.r is not None:
        sums.append(f"{_backward(scales)} + r = {scales.A + scales.r}")
    yield _Finding(
        cause="trivial",
        inequality=f"{' and '.join(sums) or 'no parameter is trained'}{', one must be 1' if sums else ''}",
        meaning="f_t = f_0: training does not move the output",
        keys=frozenset(),
    )


def _backward(scales: Scales) -> str:
    """A, spelled with the exponents of the program."""
    for name, head in scales.heads.items():
        letter = "c" if all(other.starts_at_zero for other in scales.heads.values()) else "b"
        if letter == "c" or not head.starts_at_zero:
            return f"a_out + a_{name} + {letter}_{name}"
    return "a_out"


def _faithful_sum(parameter: Parameter, scales: Scales) -> str:
    if parameter.is_output:
        return f"a_{parameter.name} + a_out"
    less = " − 1" if parameter.kind == "scalar" else ""
    return f"a_{parameter.name} + {_backward(scales)}{less}"


def _in_form(parameter: Parameter, scales: Scales) -> str:
    """A reminder that c is not as written."""
    own, faithful = parameter.exponents, scales.faithful[parameter.name]
    if own.c == faithful.c:
        return ""
    return f" (c = {own.c} with d = {own.d} is c = {faithful.c} with the faithful d = {faithful.d})"


def _size(power: Fraction) -> str:
    return f"n^({power})" if power.denominator > 1 or power < 0 else ("n" if power == 1 else f"n^{power}")

"""The verdict on a parametrization: stable or not, faithful or not, and which infinite-width limit it has.

TP4b Lemma 2.8.10, 2.8.11 and Theorem 2.8.12 (stability and faithfulness), 2.8.15 (nontrivial), 2.8.19 (the dynamical
dichotomy: r = 0 learns features, r > 0 is in the operator regime), with the corrections of docs/design.md: SP with a
sign-like Q and rate 1/n is unstable since A + r < 1, and r is the least over all parameters but the output vectors.
For parameters of any architecture the same inequalities hold with kinds in place of layers; they are proved for
Assumption 2.8.2's networks only, which the notes of a classification say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from nexort.training.exponents import Exponents, Parameter
from nexort.training.failures import Failure, find_failures
from nexort.training.repair import moves_output, repair
from nexort.training.scales import measure

Regime = Literal["feature learning", "operator", "unstable", "unfaithful", "trivial"]


@dataclass(frozen=True, kw_only=True)
class Classification:
    """What the exponents say of training at large width. Names of fields are those of the mathematics."""

    parameters: tuple[Parameter, ...]
    a_out: Fraction
    faithful: dict[str, Exponents]
    """The same program with the faithful d where Q is homogeneous: d′ of (2.26), c′ = c + k (d′ − d)."""
    rates: dict[str, Fraction]
    """r of every trained parameter; of an output vector a_{L+1} + c_{L+1} − 1."""
    r: Fraction | None
    """The least r of the trained parameters that are not output vectors; None without any."""
    A: Fraction
    """a_{L+1} + b_{L+1}; where all output vectors start at 0, a_{L+1} + c_{L+1}."""
    is_stable: bool
    """Features and output stay of order 1, (2.27), if Q's inputs are of order 1."""
    is_faithful: bool
    """Q's inputs are of order 1, at the first and at later steps."""
    is_nontrivial: bool
    """The output moves at order 1 or more."""
    regime: Regime
    contributes: dict[str, bool]
    """θ: whether a parameter's updates move the output in the limit: a_{L+1} + c_{L+1} = 1 for an output vector, and
    r_p = r with A + r = 1 for another one."""
    trains: dict[str, bool]
    """Whether a parameter moves in the limit that learns features: r_p = 0."""
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]

    def table(self) -> str:
        """The verdict, the exponents, and every failure with its repair, for the terminal."""
        return "\n".join(self._lines())

    def to_dict(self) -> dict[str, Any]:
        """JSON's layout; fractions are strings, `3/2`."""
        return {
            "regime": self.regime,
            "stable": self.is_stable,
            "faithful": self.is_faithful,
            "nontrivial": self.is_nontrivial,
            "a_out": str(self.a_out),
            "A": str(self.A),
            "r": None if self.r is None else str(self.r),
            "parameters": {parameter.name: self._parameter(parameter) for parameter in self.parameters},
            "failures": [failure.to_dict() for failure in self.failures],
            "notes": list(self.notes),
        }

    def _parameter(self, parameter: Parameter) -> dict[str, Any]:
        name = parameter.name
        return {
            "kind": _kind(parameter),
            "exponents": _letters(parameter.exponents),
            "faithful": _letters(self.faithful[name]),
            "degree": None if parameter.degree is None else str(parameter.degree),
            "r": str(self.rates[name]) if name in self.rates else None,
            "contributes": self.contributes[name],
            "trains": self.trains[name],
        }

    def _lines(self) -> Iterator[str]:
        yield self.verdict
        yield from _aligned([_TITLES, *(self._row(parameter) for parameter in self.parameters)])
        yield f"a_out = {self.a_out}, A = {self.A}, r = {'no feature is trained' if self.r is None else self.r}"
        for failure in self.failures:
            yield f"  {failure.inequality}"
            yield f"    {failure.meaning}"
            yield f"    repaired by {failure.repair}"
        yield from (f"note: {note}" for note in self.notes)

    @property
    def has_limit(self) -> bool:
        return self.regime not in ("unstable", "unfaithful")

    @property
    def verdict(self) -> str:
        """`operator regime: stable, faithful, nontrivial`."""
        words = ("stable", self.is_stable), ("faithful", self.is_faithful), ("nontrivial", self.is_nontrivial)
        name = f"{self.regime} regime" if self.regime == "operator" else self.regime
        return f"{name}: {', '.join(word if holds else f'not {word}' for word, holds in words)}"

    def _row(self, parameter: Parameter) -> list[str]:
        name, own, faithful = parameter.name, parameter.exponents, self.faithful[parameter.name]
        degree = "-" if parameter.degree is None else str(parameter.degree)
        return [
            name,
            _kind(parameter),
            *map(str, (own.a, own.b, own.c, own.d)),
            degree if parameter.is_trained else "not trained",
            str(faithful.c),
            str(faithful.d),
            str(self.rates.get(name, "-")),
            *(_answer(found[name], self.has_limit) for found in (self.contributes, self.trains)),
        ]


_TITLES = ["", "kind", "a", "b", "c", "d", "degree", "c'", "d'", "r", "moves f", "moves"]


def classify(parameters: Sequence[Parameter], a_out: Fraction, *, outside: Sequence[str] = ()) -> Classification:
    """The verdict; `outside` says, a reason each, where Assumption 2.8.2 does not hold.

    Raises TypeFault where the exponents of two output vectors contradict each other.
    """
    parameters = tuple(parameters)
    scales = measure(parameters, a_out)
    failures = find_failures(parameters, scales, repair(parameters, a_out))
    causes = {failure.cause for failure in failures}
    regime = _regime(failures, scales.r)
    moves_by_features = scales.r is not None and scales.A + scales.r == 1
    return Classification(
        parameters=parameters,
        a_out=a_out,
        faithful=dict(scales.faithful),
        rates=dict(scales.rates),
        r=scales.r,
        A=scales.A,
        is_stable=not causes & {"initialisation", "dynamics"},
        is_faithful=not causes & {"scale", "later scale"},
        is_nontrivial=moves_output(scales),
        regime=regime,
        contributes={
            p.name: p.is_trained
            and (scales.rates[p.name] == 0 if p.is_output else moves_by_features and scales.rates[p.name] == scales.r)
            for p in parameters
        },
        trains={p.name: regime == "feature learning" and scales.rates.get(p.name) == 0 for p in parameters},
        failures=failures,
        notes=tuple(f"same exponents, not proved: {reason}" for reason in outside),
    )


def _regime(failures: Sequence[Failure], r: Fraction | None) -> Regime:
    """What fails first decides: with Q's inputs not of order 1, r does not measure an update's size."""
    causes = {failure.cause for failure in failures}
    if "initialisation" in causes:
        return "unstable"
    if "scale" in causes:
        return "unfaithful"
    if "dynamics" in causes:
        return "unstable"
    if "later scale" in causes:
        return "unfaithful"
    if "trivial" in causes:
        return "trivial"
    return "feature learning" if r == 0 else "operator"


def _answer(holds: bool, is_meant: bool) -> str:
    return ("yes" if holds else "no") if is_meant else "-"


def _kind(parameter: Parameter) -> str:
    return "output vector" if parameter.is_output else parameter.kind


def _letters(exponents: Exponents) -> dict[str, str]:
    return {letter: str(getattr(exponents, letter)) for letter in "abcd"}


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

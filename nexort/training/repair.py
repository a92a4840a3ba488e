"""The smallest changes of b, c and d that make a parametrization stable, faithful and nontrivial.

The order is that of dependence: what initialisation needs (b), the output vectors' rates (c), A between its bounds
1/2 and a_{L+1} + c_{L+1} (b of the output vectors), the d that follow from A, and last the other rates (c).  Rates
only fall, except where the output does not move at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from nexort.training.exponents import HALF, ONE, ZERO, Exponents, Letter, Parameter
from nexort.training.scales import Scales, initial_sum, measure

OUT = "out"
"""The name that stands for a_out's index in `a_out`."""


@dataclass(frozen=True, slots=True)
class Change:
    """`b_W = 1/2`; `name` is `out` for a_out."""

    name: str
    letter: Letter
    value: Fraction

    @property
    def key(self) -> tuple[str, Letter]:
        return self.name, self.letter

    def __str__(self) -> str:
        return f"{self.letter}_{self.name} = {self.value}"


def repair(parameters: Sequence[Parameter], a_out: Fraction) -> tuple[Change, ...]:
    """The changes, in the order of the parameters; none if all is well."""
    work = _Workpiece(tuple(parameters), a_out)
    work.start_at_order_one()
    work.slow_outputs()
    work.bound_backward_size()
    work.follow()
    work.slow_rest()
    if not moves_output(work.scales):
        work.quicken()
    return tuple(_differences(parameters, a_out, work))


def apply_changes(
    parameters: Sequence[Parameter], a_out: Fraction, changes: Sequence[Change]
) -> tuple[tuple[Parameter, ...], Fraction]:
    """Parameters and a_out with the changes made."""
    values: Mapping[str, dict[str, Fraction]] = {change.name: {} for change in changes}
    for change in changes:
        values[change.name][change.letter] = change.value
    changed = tuple(
        replace(parameter, exponents=replace(parameter.exponents, **values.get(parameter.name, {})))
        for parameter in parameters
    )
    return changed, values.get(OUT, {}).get("a", a_out)


def moves_output(scales: Scales) -> bool:
    """Nontrivial: a_{L+1} + c_{L+1} = 1 of an output vector, or A + r = 1 (TP4b Theorem 2.8.15); or less, unstable."""
    by_heads = any(scales.rates[name] <= 0 for name in scales.heads if name in scales.rates)
    return by_heads or (scales.r is not None and scales.A + scales.r <= 1)


@dataclass(slots=True)
class _Workpiece:
    parameters: tuple[Parameter, ...]
    a_out: Fraction

    @property
    def scales(self) -> Scales:
        return measure(self.parameters, self.a_out)

    def edit(self, change: Callable[[Parameter], Exponents]) -> None:
        self.parameters = tuple(replace(parameter, exponents=change(parameter)) for parameter in self.parameters)

    def start_at_order_one(self) -> None:
        """a + b = 1/2 for matrices, 0 for the others."""

        def change(parameter: Parameter) -> Exponents:
            own = parameter.exponents
            if parameter.is_output or parameter.starts_at_zero:
                return own
            return replace(own, b=initial_sum(parameter) - own.a)

        self.edit(change)

    def slow_outputs(self) -> None:
        """a_{L+1} + c_{L+1} ≥ 1, with the faithful d, which does not depend on A."""
        scales = self.scales

        def change(parameter: Parameter) -> Exponents:
            own = parameter.exponents
            if not parameter.is_output or not parameter.is_trained:
                return own
            d = own.d if parameter.degree is not None else scales.faithful_d(parameter)
            return replace(own, c=own.c + max(ZERO, -scales.rates[parameter.name]), d=d)

        self.edit(change)

    def bound_backward_size(self) -> None:
        """1/2 ≤ A, and b_{L+1} ≤ c_{L+1}, that is A ≤ a_{L+1} + c_{L+1} = 1 + r_{L+1}, where others train."""
        scales = self.scales
        size = max(scales.A, HALF)
        if scales.r is not None:
            size = min([size, *(1 + scales.rates[name] for name in scales.heads if name in scales.rates)])
        self.set_backward_size(size)

    def set_backward_size(self, size: Fraction) -> None:
        if not self.scales.heads:
            self.a_out = size
        a_out = self.a_out

        def change(parameter: Parameter) -> Exponents:
            own = parameter.exponents
            if not parameter.is_output or parameter.starts_at_zero:
                return own
            return replace(own, b=size - own.a - a_out)

        self.edit(change)

    def follow(self) -> None:
        """The faithful d where Q is not homogeneous."""
        scales = self.scales

        def change(parameter: Parameter) -> Exponents:
            if parameter.degree is not None or not parameter.is_trained:
                return parameter.exponents
            return replace(parameter.exponents, d=scales.faithful_d(parameter))

        self.edit(change)

    def slow_rest(self) -> None:
        """r ≥ 0 and A + r ≥ 1."""
        scales = self.scales
        least = max(ZERO, 1 - scales.A)

        def change(parameter: Parameter) -> Exponents:
            own = parameter.exponents
            if parameter.is_output or not parameter.is_trained:
                return own
            return replace(own, c=own.c + max(ZERO, least - scales.rates[parameter.name]))

        self.edit(change)

    def quicken(self) -> None:
        """Of what moves the output, the part that is nearest to doing so at order 1."""
        if self.scales.A > 1:
            self.quicken_zero_outputs()
            self.set_backward_size(ONE)
            self.follow()
            self.slow_rest()
        scales = self.scales
        if moves_output(scales):
            return
        gaps = {name: scales.rates[name] for name in scales.heads if name in scales.rates}
        if scales.r is not None:
            least, short = scales.r, scales.A + scales.r - 1
            gaps |= {name: short for name in scales.rest if scales.rates.get(name) == least}
        gap = min(gaps.values(), default=ZERO)
        nearest = {name for name, distance in gaps.items() if distance == gap}
        self.edit(lambda parameter: _quickened(parameter, gap if parameter.name in nearest else ZERO))

    def quicken_zero_outputs(self) -> None:
        """Of output vectors that all start at 0, A is decided by c."""
        scales = self.scales
        if all(head.starts_at_zero for head in scales.heads.values()):
            gaps = {name: scales.rates.get(name, ZERO) for name in scales.heads}
            self.edit(lambda parameter: _quickened(parameter, gaps.get(parameter.name, ZERO)))


def _quickened(parameter: Parameter, gap: Fraction) -> Exponents:
    return replace(parameter.exponents, c=parameter.exponents.c - gap)


def _differences(parameters: Sequence[Parameter], a_out: Fraction, work: _Workpiece) -> list[Change]:
    changes = [Change(OUT, "a", work.a_out)] if work.a_out != a_out else []
    letters: tuple[Letter, ...] = ("a", "b", "c", "d")
    for old, new in zip(parameters, work.parameters, strict=True):
        changes.extend(
            Change(new.name, letter, getattr(new.exponents, letter))
            for letter in letters
            if getattr(new.exponents, letter) != getattr(old.exponents, letter)
        )
    return changes

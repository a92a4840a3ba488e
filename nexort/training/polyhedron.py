"""A plane through the space of parametrizations: two exponents vary, all others stay (TP4b Figure 2.1 made real).

All conditions of the classification are affine in the exponents, so that the plane is cut by straight lines into
regions of one regime.  The lines are exact: learning features and the operator regime mostly fill edges and corners
only.  Where an update function is not homogeneous its d follows (2.26) over the plane, unless d is an axis.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from nexort.errors import UsageFault, suggest
from nexort.training.arrangement import Line, Point, Window, centre, corners, edges, faces
from nexort.training.classify import Classification, Regime, classify
from nexort.training.exponents import HALF, ONE, ZERO, Exponents, Letter, Parameter, Parametrization, mup, ntp, standard
from nexort.training.repair import OUT
from nexort.training.scales import initial_sum, measure

REACH = Fraction(5, 4)
"""From the program's point to the sides of the window, at least."""
NEAR = Fraction(2)
"""Presets so near the program's point are inside the window."""
KINDS = ("matrix", "vector", "scalar", "output")
POWERS = tuple(Fraction(k, 2) for k in range(6))
"""Of 1/n in the rate of the standard parametrization: the least stable one is marked."""


@dataclass(frozen=True, slots=True)
class Axis:
    """`c_W`, `b_v`, `a_out`, or one exponent of all parameters of a kind, `c_matrix`, `c_output`."""

    letter: Letter
    names: tuple[str, ...]
    """Parameters, or `out`."""
    label: str


@dataclass(frozen=True, slots=True)
class Marked:
    """A preset's place in the plane; outside of it, its projection."""

    name: str
    point: Point
    is_inside: bool


@dataclass(frozen=True)
class Plane:
    """The parametrizations with `x` and `y` anything, and the other exponents those of a program."""

    parameters: tuple[Parameter, ...]
    a_out: Fraction
    x: Axis
    y: Axis

    @cached_property
    def own(self) -> Point:
        """The program's point."""
        return _value(self.x, self.parameters, self.a_out), _value(self.y, self.parameters, self.a_out)

    def at(self, point: Point) -> tuple[tuple[Parameter, ...], Fraction]:
        """Parameters and a_out of a point."""
        a_out, parameters = self.a_out, self.parameters
        for axis, value in zip((self.x, self.y), point, strict=True):
            if axis.names == (OUT,):
                a_out = value
            parameters = tuple(_with(p, axis.letter, value) if p.name in axis.names else p for p in parameters)
        if "d" in (self.x.letter, self.y.letter):
            return parameters, a_out
        scales = measure(parameters, a_out)
        follow = (p.degree is None and p.is_trained for p in parameters)
        return tuple(
            _with(p, "d", scales.faithful_d(p)) if follows else p for p, follows in zip(parameters, follow, strict=True)
        ), a_out

    def classify(self, point: Point) -> Classification:
        return classify(*self.at(point))

    def regime(self, point: Point) -> Regime:
        return self.classify(point).regime

    @cached_property
    def window(self) -> Window:
        reached = [self.own, *(mark.point for mark in self.marks if _distance(mark.point, self.own) <= NEAR)]
        low = tuple(min(point[k] for point in reached) for k in (0, 1))
        high = tuple(max(point[k] for point in reached) for k in (0, 1))
        return Window((low[0] - REACH, low[1] - REACH), (high[0] + REACH, high[1] + REACH))

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Where some inequality is tight."""
        origin, right, above = (list(self._margins(point)) for point in ((ZERO, ZERO), (ONE, ZERO), (ZERO, ONE)))
        found: dict[Line, None] = {}
        for constant, x, y in zip(origin, right, above, strict=True):
            line = Line(constant, x - constant, y - constant)
            if line.first != 0 or line.second != 0:
                found[line.normal()] = None
        return tuple(found)

    def faces(self) -> list[tuple[tuple[Point, ...], Regime]]:
        return [(polygon, self.regime(centre(polygon))) for polygon in faces(self.window, self.lines)]

    def edges(self) -> list[tuple[tuple[Point, Point], Regime]]:
        return [(edge, self.regime(centre(edge))) for edge in edges(self.window, self.lines)]

    def corners(self) -> list[tuple[Point, Regime]]:
        return [(point, self.regime(point)) for point in corners(self.window, self.lines)]

    def _margins(self, point: Point) -> Iterator[Fraction]:
        """What the verdict compares with 0, all affine in the exponents (A of output vectors that all start at 0 is
        a minimum of such: every one of them is there)."""
        parameters, a_out = self.at(point)
        scales = measure(parameters, a_out)
        yield scales.A - HALF
        for parameter in parameters:
            if not parameter.is_output:
                yield parameter.exponents.a + parameter.exponents.b - initial_sum(parameter)
            if not parameter.is_trained:
                continue
            rate = scales.rates[parameter.name]
            yield rate
            yield 1 + rate - scales.A if parameter.is_output else scales.A + rate - 1
            if parameter.degree is None:
                yield parameter.exponents.d - scales.faithful_d(parameter)

    @cached_property
    def marks(self) -> tuple[Marked, ...]:
        """µP, NTP and the standard parametrization, where b and c are the axes."""
        if {self.x.letter, self.y.letter} & {"a", "d"}:
            return ()
        return tuple(self._mark(preset, power) for preset, power in self._presets())

    def _presets(self) -> Iterator[tuple[Parametrization, Fraction]]:
        yield mup(), ZERO
        yield ntp(), ZERO
        if any(parameter.is_output for parameter in self.parameters):
            yield standard(), next((power for power in POWERS if self._is_stable(standard(), power)), ZERO)

    def _is_stable(self, preset: Parametrization, power: Fraction) -> bool:
        parameters = [replace(p, exponents=_of_preset(p, preset, power)) for p in self.parameters]
        scales = measure(parameters, preset.a_out)
        faithful = [p if p.degree is not None else _with(p, "d", scales.faithful_d(p)) for p in parameters]
        return classify(faithful, preset.a_out).is_stable

    def _mark(self, preset: Parametrization, power: Fraction) -> Marked:
        """The preset written with the program's a and d, by (2.5) and homogeneity."""
        moved = tuple(self._rewritten(p, preset, power) for p in self.parameters)
        point = tuple(_value(axis, moved, preset.a_out, is_first=True) for axis in (self.x, self.y))
        place = point[0], point[1]
        here, _ = self.at(place)
        is_inside = all(_is_same(one, other) for one, other in zip(here, moved, strict=True))
        name = preset.name if power == 0 else f"{preset.name}, rate n^(-{power})"
        return Marked(name, place, is_inside)

    def _rewritten(self, parameter: Parameter, preset: Parametrization, power: Fraction) -> Parameter:
        own, given = parameter.exponents, _of_preset(parameter, preset, power)
        shift = own.a - given.a + (self.a_out - preset.a_out if parameter.is_output else 0)
        given = given.shifted(shift)
        if parameter.degree is not None:
            given = replace(given, c=given.c + parameter.degree * (own.d - given.d), d=own.d)
        return replace(parameter, exponents=given)


def plane(found: Classification, axes: str) -> Plane:
    """The plane of `c_W,b_v` through a classified program. Raises UsageFault for axes that it does not have."""
    parts = [part.strip() for part in axes.split(",")]
    if len(parts) != 2 or parts[0] == parts[1]:
        raise UsageFault(f"--axes {axes}: expected two exponents", hint="for example --axes c_W,b_v")
    x, y = (_axis(part, found) for part in parts)
    if x.letter == y.letter and set(x.names) & set(y.names):
        raise UsageFault(f"--axes {axes}: both axes have {x.letter} of {x.names[0]}", hint="choose two exponents")
    return Plane(found.parameters, found.a_out, x, y)


def default_axes(found: Classification) -> str:
    """c of the hidden matrices (or of what there is) and b of the readout."""
    names = [parameter.name for parameter in found.parameters]
    first = next((p.name for p in found.parameters if p.kind == "matrix"), names[0])
    last = next((f"b_{p.name}" for p in found.parameters if p.is_output), "a_out")
    return f"c_{first},{last}"


def _axis(text: str, found: Classification) -> Axis:
    names = [parameter.name for parameter in found.parameters]
    known = ["a_out", *(f"{letter}_{name}" for name in (*names, *KINDS) for letter in "abcd")]
    match = re.fullmatch(r"([abcd])_(.+)", text)
    members: tuple[str, ...] = ()
    if match is not None and (match[2] in names or text == "a_out"):
        members = (match[2],)
    elif match is not None and match[2] in KINDS:
        members = tuple(p.name for p in found.parameters if (("output" if p.is_output else p.kind) == match[2]))
    if match is None or not members:
        hint = suggest(text, known) or f"a_out, or one of a, b, c, d with one of {', '.join(names)}, as in c_{names[0]}"
        raise UsageFault(f"--axes: the program has no exponent {text!r}", hint=hint)
    letter: Letter = match[1]  # pyright: ignore[reportAssignmentType]
    axis = Axis(letter, members, text)
    _value(axis, found.parameters, found.a_out)
    return axis


def _value(axis: Axis, parameters: Sequence[Parameter], a_out: Fraction, *, is_first: bool = False) -> Fraction:
    """The exponent of the axis' parameters; of different ones the first, or UsageFault."""
    if axis.names == (OUT,):
        return a_out
    values = [_get(parameter, axis.letter) for parameter in parameters if parameter.name in axis.names]
    if len(set(values)) > 1 and not is_first:
        names = ", ".join(f"{axis.letter}_{name}" for name in axis.names)
        raise UsageFault(f"--axes: {axis.label} is not one number ({names} differ)", hint="name one parameter")
    return values[0]


def _get(parameter: Parameter, letter: Letter) -> Fraction:
    return getattr(parameter.exponents, letter)


def _with(parameter: Parameter, letter: Letter, value: Fraction) -> Parameter:
    return replace(parameter, exponents=replace(parameter.exponents, **{letter: value}))


def _of_preset(parameter: Parameter, preset: Parametrization, power: Fraction) -> Exponents:
    return preset.exponents(parameter.kind, parameter.name, parameter.is_output).slowed(power)


def _is_same(one: Parameter, other: Parameter) -> bool:
    """Whether two trainings of a parameter are the same, d apart."""
    is_start = one.starts_at_zero or one.exponents.b == other.exponents.b
    return is_start and (not one.is_trained or one.exponents.c == other.exponents.c)


def _distance(one: Point, other: Point) -> Fraction:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1]))

"""Parameters of an MLP for tests of their classification: input weights u, hidden matrices W1, W2, …, readout v."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from numpy.random import Generator

from nexort.training.exponents import Exponents, Kind, Parameter, Parametrization

F = Fraction


def parameter(
    name: str,
    kind: Kind,
    exponents: tuple[object, ...],
    *,
    degree: int | None = 1,
    is_output: bool = False,
    starts_at_zero: bool = False,
    is_trained: bool = True,
) -> Parameter:
    """Exponents as `F` reads them: numbers or texts such as '1/2'."""
    return Parameter(
        name=name,
        kind=kind,
        is_output=is_output,
        starts_at_zero=starts_at_zero,
        exponents=Exponents(*(F(x) for x in exponents)),  # pyright: ignore[reportArgumentType]
        degree=None if degree is None else F(degree),
        span=None,
        is_trained=is_trained,
    )


def mlp(
    parametrization: Parametrization, *, hidden: int = 2, degree: int | None = 1, slowed: Fraction = F(0)
) -> list[Parameter]:
    """`hidden` layers: u, hidden − 1 matrices and v, rates with a factor n^-slowed."""
    kinds: dict[str, Kind] = {"u": "vector", **{f"W{k}": "matrix" for k in range(1, hidden)}, "v": "vector"}
    return [
        Parameter(
            name=name,
            kind=kind,
            is_output=name == "v",
            starts_at_zero=False,
            exponents=parametrization.exponents(kind, name, name == "v").slowed(slowed),
            degree=None if degree is None else F(degree),
            span=None,
        )
        for name, kind in kinds.items()
    ]


def random_parametrizations(rng: Generator, count: int) -> Iterator[tuple[list[Parameter], Fraction]]:
    """Parameters of every kind with exponents in quarters, most of them near the stable ones."""
    for _ in range(count):
        degree = [None, F(0), F(1)][rng.integers(3)]
        a_out = _quarters(rng, F(1, 2), 4)
        base: Mapping[str, tuple[Kind, bool, Fraction]] = {
            "u": ("vector", False, F(0)),
            "W": ("matrix", False, F(1, 2)),
            "V": ("matrix", False, F(1, 2)),
            "s": ("scalar", False, F(0)),
            "v": ("vector", True, F(0)),
        }
        parameters: list[Parameter] = []
        for name, (kind, is_output, due) in base.items():
            a = _quarters(rng, F(0), 2)
            b = due - a + _quarters(rng, F(0), 2) * int(rng.integers(3) == 0)
            parameters.append(
                Parameter(
                    name=name,
                    kind=kind,
                    is_output=is_output,
                    starts_at_zero=bool(rng.integers(6) == 0),
                    exponents=Exponents(a, b, _quarters(rng, F(1), 6), _quarters(rng, F(1), 6)),
                    degree=degree,
                    span=None,
                    is_trained=bool(rng.integers(8)),
                )
            )
        yield parameters, a_out


def _quarters(rng: Generator, centre: Fraction, reach: int) -> Fraction:
    return centre + F(int(rng.integers(-reach, reach + 1)), 4)

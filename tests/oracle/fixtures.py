"""Small helpers around the naive evaluator: keyed draws that can be nudged, stand-in data, central differences."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from nexort.source import Source
from nexort.syntax import ast, parse

from .naive import Element, NaiveRun


@dataclass
class Draws:
    """Initial values keyed by what they are for; `laws` gives (mean, variance) by name, a matrix's without the 1/n.

    `nudges[name, element]` is added to the draw: how central differences move a parameter.
    """

    n: int
    seed: int = 0
    laws: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    nudges: dict[tuple[str, Element], np.ndarray] = field(default_factory=dict)

    def __call__(self, kind: str, name: str, loop_pass: tuple[int, ...], element: Element) -> np.ndarray:
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode()), *loop_pass, 1 << 20, *element])
        mean, variance = self.laws.get(name, (0.0, 1.0))
        if kind == "vector":
            value = mean + np.sqrt(variance) * rng.standard_normal(self.n)
        else:
            value = mean + np.sqrt(variance / self.n) * rng.standard_normal((self.n, self.n))
        return value + self.nudges.get((name, element), 0.0)


def naive(
    text: str,
    *,
    n: int = 8,
    params: Mapping[str, float] | None = None,
    data: Mapping[str, np.ndarray] | None = None,
    draws: Draws | None = None,
    name: str = "<text>",
) -> NaiveRun:
    """Parses and evaluates `text` at width n; missing data are standard normal of the shape that the program states."""
    program = parse(Source(name, text))
    known = dict(data or {}) | {
        key: value for key, value in standins(program, params or {}).items() if key not in (data or {})
    }
    return NaiveRun(program, params=params or {}, data=known, n=n, draw=draws or Draws(n))


def standins(program: ast.Program, params: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Standard normal arrays for every `data` whose shape is made of numbers and plainly written params."""
    sizes: dict[str, float] = {}
    arrays: dict[str, np.ndarray] = {}
    for statement in program.body:
        if isinstance(statement, ast.Param):
            for binding in statement.bindings:
                if isinstance(binding.value, ast.Number):
                    sizes[binding.name.id] = params.get(binding.name.id, binding.value.value)
        elif isinstance(statement, ast.Data):
            for item in statement.items:
                if any(isinstance(entry, ast.Name) and entry.id not in sizes for entry in item.shape):
                    continue
                shape = [
                    int(sizes[entry.id] if isinstance(entry, ast.Name) else float(entry.span.text))
                    for entry in item.shape
                ]
                arrays[item.name.id] = np.random.default_rng(zlib.crc32(item.name.id.encode())).standard_normal(shape)
    return arrays


def central_difference(
    scalar: Callable[[Draws], float], draws: Draws, name: str, element: Element, shape: tuple[int, ...], h: float = 1e-5
) -> np.ndarray:
    """ds/dp of a scalar of the program in the entries of an initial vector or matrix; no factor of n."""
    result = np.zeros(shape)
    for place in np.ndindex(shape):
        ends: list[float] = []
        for sign in (1.0, -1.0):
            nudge = np.zeros(shape)
            nudge[place] = sign * h
            ends.append(scalar(Draws(draws.n, draws.seed, draws.laws, {**draws.nudges, (name, element): nudge})))
        result[place] = (ends[0] - ends[1]) / (2 * h)
    return result

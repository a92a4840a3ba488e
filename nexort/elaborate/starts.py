"""What starts at random and stays random in the limit: declared scalars, outputs at initialisation.

Each can be given a value (`--given`), and is then no longer random.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nexort.elaborate.constants import number_at
from nexort.elaborate.evaluation import Evaluation
from nexort.elaborate.functions import arguments
from nexort.elaborate.values import Value, noun, to_term
from nexort.errors import DataFault, TypeFault, UsageFault, suggest
from nexort.graph import Fluctuation, Type
from nexort.graph.terms import Term, arrange, union
from nexort.source import Span
from nexort.syntax import ast

ANY = -1
"""A length that is not checked here."""

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(slots=True)
class Starts:
    """The random starts of a program by name, and the arrays that are given for some of them."""

    given: Mapping[str, object]
    known: list[str] = field(default_factory=list)

    def take(self, name: str, shape: tuple[int, ...], span: Span) -> Array | None:
        """The array given for the random start `name`, None if it stays random."""
        self.known.append(name)
        return _checked(name, self.given[name], shape, span) if name in self.given else None

    def check_names(self) -> None:
        """Raises UsageFault for a given name that nothing random has."""
        for name in self.given:
            if name not in self.known:
                can = f"what can be given: {', '.join(self.known)}" if self.known else "nothing in it starts at random"
                hint = suggest(name, self.known) or can
                raise UsageFault(f"--given {name}: the limit of this program has no random start '{name}'", hint=hint)


def _checked(name: str, given: object, shape: tuple[int, ...], span: Span) -> Array:
    try:
        array = np.asarray(given)
    except ValueError:
        raise DataFault(f"what is given for '{name}' is ragged", span, hint="give a rectangular array") from None
    if array.dtype.kind not in "fiub":
        raise DataFault(f"what is given for '{name}' has entries of type {array.dtype}", span, hint="give real numbers")
    if len(array.shape) != len(shape) or any(a != b for a, b in zip(array.shape, shape, strict=True) if b != ANY):
        raise DataFault(
            f"what is given for '{name}' has shape {array.shape}, and it has shape {shape} in the program",
            span,
            hint="reshape the array",
        )
    with np.errstate(over="ignore"):
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise DataFault(f"what is given for '{name}' is not finite", span, hint="give finite numbers")
    return array


def evaluate_fluctuation(ev: Evaluation, tree: ast.Call) -> Value:
    """~fluctuation(z, v, variance): the limit of √n ⟨v⎸z⟩ for a vector v ~ N(0, variance) that only this reads."""
    vector, readout, variance = arguments(tree, 3)
    place = ev.place(tree)
    with ev.unbraced():
        value = ev.value(vector)
    term = to_term(value, place)
    if term.order > 1 or term.is_operator:
        hint = "return v * z with vectors v and z"
        raise TypeFault(f"an output is the average of a vector, and this is a {noun(value)}", vector.span, hint=hint)
    static = union([term.static])
    node = arrange(term, static, (0,), place)
    fluctuation = Fluctuation(
        type=Type(node.type.shape),
        operands=(node,),
        name=_name(ev, readout),
        variance=float(number_at(variance, ev.value, "a variance")),
        span=place.span,
        passes=place.passes,
    )
    return Term(fluctuation, static)


def _name(ev: Evaluation, tree: ast.Expr) -> str:
    """`v`, or `v[2]` for an element of a family."""
    if isinstance(tree, ast.Subscript) and isinstance(tree.base, ast.Name):
        indices = (number_at(index, ev.value, "an index") for index in tree.indices)
        return f"{tree.base.id}[{', '.join(str(index) for index in indices)}]"
    assert isinstance(tree, ast.Name), "the expansion names a readout"
    return tree.id

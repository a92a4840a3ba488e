"""What an update of a parameter keeps for optimizers: their states and step counts (LANGUAGE §8).

State and `step` belong to a parameter's name, its element and the optimizer, wherever the updates stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

from nexort.elaborate.families import Pattern, Region, Variable
from nexort.elaborate.values import Value, family_labels, to_term
from nexort.errors import IndexFault
from nexort.graph.nodes import Map, Number
from nexort.graph.terms import Label, Place, Term, arrange, data, number
from nexort.source import Span
from nexort.symbolic import primitive


@dataclass(slots=True)
class Ledger:
    """The state of one optimizer for one parameter: variables of the parameter's shape, and updates made so far."""

    states: dict[str, Variable] = field(default_factory=dict)
    counts: dict[tuple[int, ...], int] = field(default_factory=dict)


Ledgers = dict[tuple[str, str, int], Ledger]
"""By parameter, optimizer and number of static axes."""


@dataclass(slots=True, kw_only=True)
class Update:
    """One update statement: the elements of a parameter that it changes."""

    variable: Variable
    wanted: tuple[Label | int, ...]
    ledgers: Ledgers
    first: Span | None = None
    """Where the optimizer is called."""
    sizes: dict[Label, int] = field(default_factory=dict)
    """The lengths of the free labels, from the call on."""

    @property
    def labels(self) -> tuple[Label, ...]:
        return tuple(w for w in self.wanted if not isinstance(w, int))

    @property
    def pattern(self) -> Pattern:
        return tuple(w if isinstance(w, int) else None for w in self.wanted)

    def start(self, optimizer: str, span: Span) -> Ledger:
        """The ledger of an optimizer that is called at `span`."""
        self.first = span
        for axis, label in enumerate(self.wanted):
            if not isinstance(label, int):
                self.sizes[label] = self.variable.extent(axis, self.pattern, span)
        key = self.variable.name, optimizer, self.variable.axes
        return self.ledgers.setdefault(key, Ledger())

    def count_step(self, ledger: Ledger, place: Place) -> Value:
        """1, 2, …: how often each element was updated, this time included."""
        ranges = [[w] if isinstance(w, int) else range(self.sizes[w]) for w in self.wanted]
        steps: list[int] = []
        for element in product(*ranges):
            step = ledger.counts.get(element, 0) + 1
            ledger.counts[element] = step
            steps.append(step)
        if len(set(steps)) == 1:
            return steps[0]
        import numpy as np

        array = np.array(steps, dtype="float64").reshape([self.sizes[label] for label in self.labels])
        return Term(data("step", array, place.span), self.labels)

    # ---------------------------------------------------------------- state

    def read_state(self, variable: Variable, initial: int | float, place: Place) -> Value:
        if not variable.is_bound:
            return initial
        term = variable.read(self.wanted, place)
        if any(term.sizes[label] != self.sizes[label] for label in self.labels):
            raise IndexFault(
                f"'{self.variable.name}' has changed its shape since this optimizer updated it",
                place.span or variable.span,
                hint="give the new family a name of its own",
            )
        known = _number_in(term)
        return term if known is None else known

    def write_state(self, variable: Variable, value: Value, initial: int | float, place: Place) -> None:
        term = to_term(value, place)
        width = term.width if term.is_operator else tuple(range(term.order))
        node = arrange(term, self.labels, width, place, self.sizes)
        if not variable.is_bound and any(index is not None for index in self.pattern):
            self._start_elements(variable, initial, place)
        variable.bind(Region(pattern=self.pattern, node=node, span=place.span or variable.span))

    def _start_elements(self, variable: Variable, initial: int | float, place: Place) -> None:
        """The elements that are not updated yet have the initial value."""
        whole = self.variable.whole
        span = place.span or variable.span
        shape = self.variable.shape or tuple(self.variable.extent(k, whole, span) for k in range(len(whole)))
        names = family_labels(len(shape))
        base = arrange(number(initial), names, (), place, dict(zip(names, shape, strict=True)))
        variable.bind(Region(pattern=whole, node=base, span=span))


def _number_in(term: Term) -> float | None:
    """The number that a state is, for all elements: so that `if` can choose by it."""
    node = term.node
    if isinstance(node, Map) and node.fn is primitive("identity") and node.type.order == 0:
        node = node.operands[0]
    return node.value if isinstance(node, Number) else None

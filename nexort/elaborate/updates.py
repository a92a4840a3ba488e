"""Optimizers: calls in an update, their state and step counts (LANGUAGE §8).

State and `step` belong to a parameter's name, its element and the optimizer, wherever the updates stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from nexort.elaborate.algebra import Site, binary
from nexort.elaborate.constants import condition_at, integer_at, number_at
from nexort.elaborate.families import Region, Variable
from nexort.elaborate.scope import Constant, Entry, Function, Local, Poison, Rule, Scope, check_bindable
from nexort.elaborate.values import FamilyLabel, Value, to_term
from nexort.errors import Label as Mark
from nexort.errors import NameFault, NexortError, SizeFault, SyntaxFault, TypeFault, suggest
from nexort.graph.terms import Label, Place, Term, arrange, data, number, stop
from nexort.source import Span
from nexort.syntax import ast

if TYPE_CHECKING:
    from nexort.elaborate.expressions import Evaluator

MAX_BODY_PASSES = 10_000


@dataclass(slots=True)
class Ledger:
    """The state of one optimizer for one parameter: variables of the parameter's shape, and updates made so far."""

    states: dict[str, Variable] = field(default_factory=dict)
    counts: dict[tuple[int, ...], int] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Update:
    """One update statement: the elements of a parameter that it changes."""

    variable: Variable
    wanted: tuple[Label | int, ...]
    sizes: Mapping[Label, int]
    ledgers: dict[tuple[str, str], Ledger]
    first: Span | None = None

    def call(self, ev: Evaluator, rule: Rule, tree: ast.Call) -> Value:
        """The value of optimizer(g, …) in this update: a constant for `grad`."""
        if self.first is not None:
            raise TypeFault(
                "an update calls one optimizer at most",
                tree.span,
                Mark(self.first, "called here"),
                hint="split the update",
            )
        self.first = tree.span
        ledger = self.ledgers.setdefault((self.variable.name, rule.tree.name.id), Ledger())
        arguments = bind_arguments(ev, rule, tree)
        body = Body(update=self, ledger=ledger, rule=rule, ev=inner_evaluator(ev, rule, ledger, self))
        body.ev.scope.entries.update(arguments)
        body.ev.scope.entries["step"] = Local(self._step(ledger, ev.place(tree)), rule.span)
        value = body.run()
        return stop(value, ev.place(tree)) if isinstance(value, Term) else value

    def elements(self) -> list[tuple[int, ...]]:
        """The concrete indices that the update changes."""
        ranges = [[w] if isinstance(w, int) else list(range(self.sizes[w])) for w in self.wanted]
        return list(product(*ranges))

    def _step(self, ledger: Ledger, place: Place) -> Value:
        """1, 2, …: how often each element was updated, this time included."""
        elements = self.elements()
        for element in elements:
            ledger.counts[element] = ledger.counts.get(element, 0) + 1
        steps = [ledger.counts[element] for element in elements]
        if len(set(steps)) == 1:
            return steps[0]
        import numpy as np

        labels = tuple(w for w in self.wanted if not isinstance(w, int))
        array = np.array(steps, dtype="float64").reshape([self.sizes[label] for label in labels])
        return Term(data("step", array, place.span), labels)

    # ---------------------------------------------------------------- state

    def read_state(self, variable: Variable, initial: int | float, place: Place) -> Value:
        return variable.read(self.wanted, place) if variable.regions else initial

    def write_state(self, variable: Variable, value: Value, initial: int | float, place: Place) -> None:
        term = to_term(value, place)
        labels = tuple(w for w in self.wanted if not isinstance(w, int))
        node = arrange(
            term, labels, tuple(range(term.order)) if not term.is_operator else term.width, place, self.sizes
        )
        pattern = tuple(w if isinstance(w, int) else None for w in self.wanted)
        if not variable.regions and any(index is not None for index in pattern):
            # the elements that are not updated yet have the initial value
            shape = self.variable.shape or tuple(
                self.variable.extent(k, (None,) * len(pattern)) for k in range(len(pattern))
            )
            names = tuple(FamilyLabel(k) for k in range(len(shape)))
            base = arrange(number(initial), names, (), place, dict(zip(names, shape, strict=True)))
            variable.shape = shape
            variable.bind(Region(pattern=(None,) * len(shape), node=base, span=variable.span, stamp=None))
        variable.bind(Region(pattern=pattern, node=node, span=place.span or variable.span, stamp=None))


def inner_evaluator(ev: Evaluator, rule: Rule, ledger: Ledger, update: Update) -> Evaluator:
    """The evaluator of an optimizer's body: it sees params and functions of the file, and its own names."""
    seen: dict[str, Entry] = {
        name: entry
        for name, entry in rule.scope.entries.items()
        if isinstance(entry, Function | Poison) or (isinstance(entry, Constant) and entry.origin == "param")
    }
    return type(ev)(
        scope=Scope(parent=Scope(entries=seen), ledger=ledger),
        tapes=ev.tapes,
        passes=ev.passes,
        statics=set(),
        update_labels=update.sizes,
    )


def bind_arguments(ev: Evaluator, rule: Rule, tree: ast.Call) -> dict[str, Local]:
    """g and the optimizer's arguments, by place and by name, with their defaults."""
    if not tree.arguments:
        raise TypeFault(
            "an optimizer takes the gradient as its first argument",
            tree.span,
            hint=f"{rule.tree.name.id}(grad(loss, p))",
        )
    before, ev.call_optimizer = ev.call_optimizer, None
    try:
        values = [Local(_argument(ev, part), part.span) for part in tree.arguments]
        named = {
            keyword.name.id: (keyword, Local(_argument(ev, keyword.value), keyword.span)) for keyword in tree.keywords
        }
    finally:
        ev.call_optimizer = before
    names = [binding.name.id for binding in rule.tree.arguments]
    if len(values) - 1 > len(names):
        raise TypeFault(f"{rule.tree.name.id} takes {len(names)} arguments besides the gradient", tree.span)
    bound = {"g": values[0], **dict(zip(names, values[1:], strict=False))}
    for name, (keyword, value) in named.items():
        if name not in names:
            raise NameFault(
                f"{rule.tree.name.id} has no argument '{name}'",
                keyword.span,
                hint=suggest(name, names) or f"it has {', '.join(names)}",
            )
        if name in bound:
            raise NameFault(f"the argument '{name}' is given twice", keyword.span)
        bound[name] = value
    for binding in rule.tree.arguments:
        if binding.name.id not in bound:
            bound[binding.name.id] = _default(ev, rule, binding, tree)
    return bound


def _argument(ev: Evaluator, tree: ast.Expr) -> Value:
    """An argument; a family without brackets stands for all its elements."""
    if isinstance(tree, ast.Name):
        entry = ev.scope.find(tree.id)
        if isinstance(entry, Variable) and entry.axes:
            return entry.read(tuple(FamilyLabel(k) for k in range(entry.axes)), ev.place(tree))
    return ev.value(tree)


def _default(ev: Evaluator, rule: Rule, binding: ast.Binding, tree: ast.Call) -> Local:
    if binding.value is None:
        raise TypeFault(
            f"{rule.tree.name.id} needs its argument '{binding.name.id}'",
            tree.span,
            Mark(binding.span, "it has no default value"),
        )
    outer = type(ev)(scope=rule.scope, tapes=ev.tapes)
    return Local(number_at(binding.value, outer.value, "a default value"), binding.span)


class Returned(Exception):
    """Leaves the body of an optimizer with its value."""

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value


@dataclass(slots=True, kw_only=True)
class Body:
    """Runs the statements of an optimizer: state, assignments, if, for, return."""

    update: Update
    ledger: Ledger
    rule: Rule
    ev: Evaluator
    initial: dict[str, int | float] = field(default_factory=dict)

    def run(self) -> Value:
        place = Place(self.rule.span, self.ev.passes)
        try:
            self._block(self.rule.tree.body)
        except Returned as returned:
            for name, initial in self.initial.items():
                entry = self.ev.scope.entries[name]
                assert isinstance(entry, Local)
                if entry.value is not initial:
                    self.update.write_state(self.ledger.states[name], entry.value, initial, place)
            return returned.value
        raise TypeFault(
            f"the optimizer '{self.rule.tree.name.id}' returned nothing", self.rule.span, hint="end it with return …"
        )

    def _block(self, body: Sequence[ast.Stmt]) -> None:
        for statement in body:
            self._statement(statement)

    def _statement(self, tree: ast.Stmt) -> None:
        match tree:
            case ast.State():
                for binding in tree.bindings:
                    self._state(binding)
            case ast.Assign():
                self._assign(tree)
            case ast.If():
                for branch in tree.branches:
                    if branch.condition is None or condition_at(branch.condition, self.ev.value):
                        self._block(branch.body)
                        return
            case ast.For():
                self._for(tree)
            case ast.Return():
                raise Returned(self.ev.value(tree.value))
            case _:
                raise self._refused(tree.span)

    def _refused(self, span: Span) -> NexortError:
        hint = "it has state, assignments to names, if, for and return"
        return SyntaxFault("this statement cannot stand in an optimizer", span, hint=hint)

    def _bind(self, name: ast.Name, value: Value) -> None:
        check_bindable(name) if name.id != "step" else None
        old = self.ev.scope.find(name.id)
        if isinstance(old, Constant | Function) or name.id in ("g", "step"):
            raise NameFault(f"'{name.id}' cannot be bound in an optimizer", name.span, hint="choose another name")
        self.ev.scope.entries[name.id] = Local(value, name.span)

    def _state(self, binding: ast.Binding) -> None:
        if binding.value is None:
            raise TypeFault(
                f"the state '{binding.name.id}' needs its initial number", binding.span, hint="write state m = 0"
            )
        initial = number_at(binding.value, self.ev.value, "a state's initial value")
        variable = self.ledger.states.get(binding.name.id)
        if variable is None:
            variable = Variable(binding.name.id, len(self.update.wanted), binding.span)
            self.ledger.states[binding.name.id] = variable
        self.initial[binding.name.id] = initial
        place = Place(binding.span, self.ev.passes)
        self._bind(binding.name, self.update.read_state(variable, initial, place))

    def _assign(self, tree: ast.Assign) -> None:
        if not isinstance(tree.target, ast.Name):
            raise TypeFault(
                "an optimizer assigns to names", tree.target.span, hint="the same text serves every shape: no indices"
            )
        value = self.ev.value(tree.value)
        if tree.operator != "=":
            old = self.ev.value(tree.target)
            site = Site(Place(tree.span, self.ev.passes), tree.target.span, tree.value.span)
            value = binary(tree.operator[0], old, value, site)
        self._bind(tree.target, value)

    def _for(self, tree: ast.For) -> None:
        start = integer_at(tree.start, self.ev.value, "a range")
        end = integer_at(tree.stop, self.ev.value, "a range")
        if end - start > MAX_BODY_PASSES:
            raise SizeFault(f"this loop has {end - start} passes, over the bound of {MAX_BODY_PASSES}", tree.span)
        name = tree.variable
        check_bindable(name)
        if self.ev.scope.find(name.id) is not None:
            raise NameFault(f"'{name.id}' is bound already", name.span, hint="choose another loop variable")
        for index in range(start, end):
            self.ev.scope.entries[name.id] = Constant(index, "loop variable", name.span)
            self._block(tree.body)
        self.ev.scope.entries.pop(name.id, None)

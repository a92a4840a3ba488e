"""Optimizers: their declaration, and a call of one in an update (LANGUAGE §8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nexort.elaborate.algebra import Site, binary
from nexort.elaborate.constants import condition_at, integer_at, number_at
from nexort.elaborate.evaluation import Evaluation
from nexort.elaborate.families import Variable
from nexort.elaborate.scope import Constant, Entry, Function, Local, Poison, Rule, Scope, check_bindable
from nexort.elaborate.updates import Ledger, Update
from nexort.elaborate.values import Value, describe_label
from nexort.errors import IndexFault, NameFault, NexortError, SizeFault, SyntaxFault, TypeFault, suggest
from nexort.errors import Label as Mark
from nexort.graph.terms import Place, Term, stop
from nexort.syntax import ast

MAX_BODY_PASSES = 10_000


def check_optimizer(tree: ast.Optimizer) -> None:
    """The names of its arguments; its body is checked when it is called."""
    names: set[str] = set()
    for binding in tree.arguments:
        check_bindable(binding.name)
        if binding.name.id == "g":
            raise NameFault("'g' is the gradient", binding.name.span, hint="choose another name for the argument")
        if binding.name.id in names:
            hint = "name each argument once"
            raise NameFault(f"the argument '{binding.name.id}' occurs twice", binding.name.span, hint=hint)
        names.add(binding.name.id)


def call_optimizer(update: Update, ev: Evaluation, rule: Rule, tree: ast.Call) -> Value:
    """The value of optimizer(g, …) in an update: a constant for `grad`."""
    if update.first is not None:
        raise TypeFault(
            "an update calls one optimizer at most",
            tree.span,
            Mark(update.first, "called here"),
            hint="split the update",
        )
    ledger = update.start(rule.tree.name.id, tree.span)
    for label, size in update.sizes.items():
        ev.agree(label, size, tree.span)
    visible = Scope(entries=_visible(rule))
    arguments = _bind_arguments(ev, visible, rule, tree)
    _check_labels(update, arguments)
    step = Local(update.count_step(ledger, ev.place(tree)), rule.span)
    scope = Scope(parent=visible, entries={**arguments, "step": step}, is_optimizer=True)
    inner = type(ev)(scope=scope, tapes=ev.tapes, passes=ev.passes, update_labels=update.sizes)
    try:
        value = Body(update=update, ledger=ledger, rule=rule, ev=inner).run()
    except NexortError as fault:
        if fault.span is not None and fault.span.source is not tree.span.source:  # a file that is imported
            fault.labels = (*fault.labels, Mark(tree.span, "called here"))
        raise
    return stop(value, ev.place(tree)) if isinstance(value, Term) else value


def _visible(rule: Rule) -> dict[str, Entry]:
    """What the body sees of the program: `param`s and functions (optimizers, for the message)."""
    entries = rule.scope.entries.items()
    return {
        name: entry
        for name, entry in entries
        if isinstance(entry, Function | Rule | Poison) or (isinstance(entry, Constant) and entry.origin == "param")
    }


def _bind_arguments(ev: Evaluation, visible: Scope, rule: Rule, tree: ast.Call) -> dict[str, Local]:
    """g and the optimizer's arguments, by place and by name, with their defaults."""
    optimizer = rule.tree.name.id
    if not tree.arguments:
        hint = f"{optimizer}(grad(loss, p))"
        raise TypeFault("an optimizer takes the gradient as its first argument", tree.span, hint=hint)
    names = [binding.name.id for binding in rule.tree.arguments]
    if len(tree.arguments) - 1 > len(names):
        raise TypeFault(
            f"{optimizer} takes {len(names)} arguments besides the gradient, and {len(tree.arguments) - 1} stand here",
            tree.span,
            hint=f"it has {', '.join(names)}" if names else "",
        )
    bound = {name: _argument(ev, part) for name, part in zip(("g", *names), tree.arguments, strict=False)}
    for keyword in tree.keywords:
        name = keyword.name.id
        if name not in names:
            hint = suggest(name, names) or (f"it has {', '.join(names)}" if names else "it has none")
            raise NameFault(f"{optimizer} has no argument '{name}'", keyword.span, hint=hint)
        if name in bound:
            raise NameFault(f"the argument '{name}' is given twice", keyword.span)
        bound[name] = _argument(ev, keyword.value)
    for binding in rule.tree.arguments:
        if binding.name.id not in bound:
            bound[binding.name.id] = _default(ev, visible, optimizer, binding, tree)
    return bound


def _argument(ev: Evaluation, tree: ast.Expr) -> Local:
    """An argument; a family without brackets stands for all its elements."""
    before = ev.call_optimizer, ev.is_argument
    ev.call_optimizer, ev.is_argument = None, True
    try:
        return Local(ev.value(tree), tree.span)
    finally:
        ev.call_optimizer, ev.is_argument = before


def _default(ev: Evaluation, visible: Scope, optimizer: str, binding: ast.Binding, tree: ast.Call) -> Local:
    if binding.value is None:
        raise TypeFault(
            f"{optimizer} needs its argument '{binding.name.id}'",
            tree.span,
            Mark(binding.span, "it has no default value"),
            hint=f"{optimizer}(grad(loss, p), {binding.name.id}=…)",
        )
    outer = type(ev)(scope=visible, tapes=ev.tapes)
    return Local(number_at(binding.value, outer.value, "a default value"), binding.span)


def _check_labels(update: Update, arguments: dict[str, Local]) -> None:
    for argument in arguments.values():
        static = argument.value.static if isinstance(argument.value, Term) else ()
        stray = [label for label in static if label not in update.sizes]
        if stray:
            raise IndexFault(
                f"this argument ranges over {describe_label(stray[0])}, and the updated elements do not",
                argument.span,
                hint="bring the index to the left side, or reduce over it first",
            )


@dataclass(slots=True, kw_only=True)
class Body:
    """Runs the statements of an optimizer: state, assignments to names, if, for, return."""

    update: Update
    ledger: Ledger
    rule: Rule
    ev: Evaluation
    states: dict[str, tuple[int | float, Value]] = field(default_factory=dict)
    """By name: the initial number, and what was read."""

    def run(self) -> Value:
        value = self._block(self.rule.tree.body)
        if value is None:
            name = self.rule.tree.name.id
            raise TypeFault(f"the optimizer '{name}' returned nothing", self.rule.span, hint="end it with return …")
        place = Place(self.rule.span, self.ev.passes)
        for name, (initial, read) in self.states.items():
            entry = self.ev.scope.entries[name]
            assert isinstance(entry, Local)
            if entry.value is not read:
                self.update.write_state(self.ledger.states[name], entry.value, initial, place)
        return value

    def _block(self, body: Sequence[ast.Stmt]) -> Value | None:
        """The value returned, if a statement returned one."""
        for statement in body:
            value = self._statement(statement)
            if value is not None:
                return value
        return None

    def _statement(self, tree: ast.Stmt) -> Value | None:
        match tree:
            case ast.State():
                for binding in tree.bindings:
                    self._state(binding)
            case ast.Assign():
                self._assign(tree)
            case ast.If():
                for branch in tree.branches:
                    if branch.condition is None or condition_at(branch.condition, self.ev.value):
                        return self._block(branch.body)
            case ast.For():
                return self._for(tree)
            case ast.Return():
                return self.ev.value(tree.value)
            case _:
                hint = "it has state, assignments to names, if, for and return"
                raise SyntaxFault("this statement cannot stand in an optimizer", tree.span, hint=hint)
        return None

    def _bind(self, name: ast.Name, value: Value) -> None:
        check_bindable(name)
        self.ev.scope.entries[name.id] = Local(value, name.span)

    def _state(self, binding: ast.Binding) -> None:
        name = binding.name.id
        if binding.value is None:
            hint = f"write state {name} = 0"
            raise TypeFault(f"the state '{name}' needs its initial number", binding.span, hint=hint)
        taken = self.ev.scope.entries.get(name)
        if taken is not None:
            mark = Mark(taken.span, "here")
            raise NameFault(f"'{name}' is bound already", binding.name.span, mark, hint="choose another name")
        initial = number_at(binding.value, self.ev.value, "a state's initial value")
        variable = self.ledger.states.get(name)
        if variable is None:
            variable = self.ledger.states[name] = Variable(name, len(self.update.wanted), binding.span)
        value = self.update.read_state(variable, initial, Place(binding.span, self.ev.passes))
        self._bind(binding.name, value)
        self.states[name] = initial, value

    def _assign(self, tree: ast.Assign) -> None:
        if not isinstance(tree.target, ast.Name):
            hint = "the same text serves every shape: no indices"
            raise TypeFault("an optimizer assigns to names", tree.target.span, hint=hint)
        value = self.ev.value(tree.value)
        if tree.operator != "=":
            old = self.ev.value(tree.target)
            site = Site(Place(tree.span, self.ev.passes), tree.target.span, tree.value.span)
            value = binary(tree.operator[0], old, value, site)
        self._bind(tree.target, value)

    def _for(self, tree: ast.For) -> Value | None:
        start, end = (integer_at(part, self.ev.value, "a range") for part in (tree.start, tree.stop))
        if end - start > MAX_BODY_PASSES:
            raise SizeFault(
                f"this loop has {end - start} passes, over the bound of {MAX_BODY_PASSES} in an optimizer",
                tree.start.span.join(tree.stop.span),
                hint="loops are unrolled before the run: use fewer steps",
            )
        name = tree.variable
        check_bindable(name)
        taken = self.ev.scope.entries.get(name.id)
        if taken is not None:
            mark = Mark(taken.span, "here")
            raise NameFault(f"'{name.id}' is bound already", name.span, mark, hint="choose another loop variable")
        try:
            for index in range(start, end):
                self.ev.scope.entries[name.id] = Constant(index, "loop variable", name.span)
                value = self._block(tree.body)
                if value is not None:
                    return value
        finally:
            self.ev.scope.entries.pop(name.id, None)
        return None

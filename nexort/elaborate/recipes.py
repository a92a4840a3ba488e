"""From a `train` statement to its recipe: every field settled, the parametrization classified."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from nexort.elaborate import fields as read
from nexort.elaborate.constants import number_at, size_at
from nexort.elaborate.inputs import arrays_of_inputs, bind_inputs
from nexort.elaborate.reading import names_called
from nexort.elaborate.schedules import Schedule
from nexort.elaborate.scope import Constant, Entry, Network, Rule, Scope, Variable
from nexort.elaborate.unrolling import Unrolling
from nexort.elaborate.values import Value, Width
from nexort.errors import Label as Mark
from nexort.errors import NameFault, TypeFault, suggest
from nexort.source import Span
from nexort.symbolic import leading_power
from nexort.syntax import ast, walk_nodes
from nexort.training import (
    Model,
    Normalization,
    Parameter,
    Parametrization,
    Recipe,
    Trained,
    UpdateFunction,
    classify,
    degree,
    find_readouts,
    names_of,
    normalized_degree,
    outside_assumption,
)

OWN_NAMES = frozenset({"f", "loss", "t"})
"""Names that the fields may use: the output, the loss, the step."""


def read_recipe(unroller: Unrolling, tree: ast.Train) -> tuple[Recipe, Scope]:
    """The recipe, and the names that its expansion sees."""
    entry = unroller.scope.get(tree.model)
    if not isinstance(entry, Network):
        raise TypeFault(f"'{tree.model.id}' is not a model", tree.model.span, Mark(entry.span, "declared here"))
    reader = _Reader(unroller, tree, entry.model)
    return reader.read(), reader.scope


def _visible(scope: Scope) -> Scope:
    """What a training sees of the program: everything but its vectors, matrices and computed values."""
    entries = ((name, scope.find(name)) for name in scope.names())
    kept: dict[str, Entry] = {
        name: entry for name, entry in entries if entry is not None and not isinstance(entry, Variable)
    }
    return Scope(entries=kept, is_complete=scope.is_complete)


class _Reader:
    """Reads one statement."""

    def __init__(self, unroller: Unrolling, tree: ast.Train, model: Model) -> None:
        self.unroller, self.tree, self.model = unroller, tree, model
        self.scope = _visible(unroller.scope)
        self.table = read.collect(tree, model)
        self.inputs = bind_inputs(tree, model, unroller.scope, self.scope, self._evaluate)
        self._check_names()
        steps = self.table.required("steps", "the number of updates: steps = 30")
        self.schedule = Schedule(size_at(steps.value, self._evaluate, "steps"), self._evaluate)
        laws = {name: self._law(name) for name in model.parameters}
        self.laws: Mapping[str, tuple[float, float]] = laws
        readouts = find_readouts(model)
        self.readouts = readouts if all(laws[name][0] == 0 for name in readouts) else frozenset[str]()

    def read(self) -> Recipe:
        model, table = self.model, self.table
        loss, weights = table.loss(model), table.get("weights")
        table.check_reads(model)
        parametrization = self._parametrization()
        parameters = tuple(self._parameter(name, parametrization) for name in model.parameters)
        per_input: frozenset[str] = frozenset()
        if weights is not None and weights.indices is None:
            per_input = arrays_of_inputs(weights.value, self.inputs.size, self.scope)
        return Recipe(
            span=self.tree.model.span,
            name=self.tree.alias.id if self.tree.alias is not None else "",
            model=model,
            inputs=self.inputs.arguments,
            arrays=tuple(name.id for name in self.tree.arrays),
            size=self.inputs.size,
            has_heads=model.has_heads,
            steps=self.schedule.steps,
            parameters=parameters,
            a_out=parametrization.a_out,
            parametrization_span=self._place_of("parametrization"),
            classification=classify(
                [self._classified(part) for part in parameters],
                parametrization.a_out,
                outside=outside_assumption(model, self.readouts, [self._update_function(part) for part in parameters]),
            ),
            loss=loss,
            error=table.get("error"),
            weights=weights,
            per_input=per_input,
            is_centred=read.word(table.get("center"), {"true": True, "false": False}, default=True),
            kernels=read.kernels(table.get("kernels"), model),
            taken=self._taken(),
            given=None,
        )

    # ---------------------------------------------------------------- values

    def _evaluate(self, tree: ast.Expr, step: int | None = None) -> Value:
        """An expression of a field, its t the step if there is one."""
        ev = self.unroller.evaluator()
        ev.scope = self.scope
        if step is not None:
            ev.scope = Scope(parent=self.scope, entries={"t": Constant(step, "loop variable", tree.span)})
        return ev.value(tree)

    def _number(self, tree: ast.Expr) -> int | float:
        return number_at(tree, self._evaluate, "this field")

    def _place_of(self, name: str) -> Span:
        field = self.table.get(name)
        return field.span if field is not None else self.tree.model.span

    # ----------------------------------------------------------------- names

    def _check_names(self) -> None:
        """A model reads params, data, functions and its own names: no vector or matrix of the program."""
        for name in self.model.free_names():
            entry = self.unroller.scope.find(name.id)
            if isinstance(entry, Variable):
                raise NameFault(
                    f"a model cannot read '{name.id}' of the program",
                    name.span,
                    Mark(entry.span, "bound here"),
                    hint="what a model trains is declared in it; data and params can be read",
                )

    def _taken(self) -> frozenset[str]:
        """Names that the expansion may not bind; the fields' own are free unless the program or the model has them."""
        model = self.model
        nodes = [node for tree in (model.tree, self.tree) for node in walk_nodes(tree)]
        read_or_bound = {node.id for node in nodes if isinstance(node, ast.Name)} | set(self.scope.names())
        own = {*model.local_axes, *model.parameters, *model.arguments, *(name.id for name in model.free_names())}
        own |= {node.variable.id for node in walk_nodes(model.tree) if isinstance(node, ast.For)}
        return frozenset((read_or_bound - OWN_NAMES) | (OWN_NAMES & (own | set(self.scope.names()))))

    # ------------------------------------------------------------ parameters

    def _law(self, name: str) -> tuple[float, float]:
        """(mean, variance) of a parameter as declared; of a matrix the c in c/n."""
        item, kind = self.model.parameters[name].item, self.model.parameters[name].kind
        if item.value is not None:
            return float(self._number(item.value)), 0.0
        if item.law is None:
            return 0.0, 1.0
        variance = self._evaluate(item.law.variance)
        if kind == "matrix" and isinstance(variance, Width):
            leading = leading_power(variance.expression)
            return 0.0, leading[0] if leading is not None else 1.0
        return float(self._number(item.law.mean)), float(self._number(item.law.variance))

    def _parametrization(self) -> Parametrization:
        whole = read.parametrization(self.table.get("parametrization"), self.model, self._number)
        if whole.name == "standard" and not self.readouts:
            raise TypeFault(
                "the standard parametrization asks that each returned vector be v * z, with v a vector parameter that "
                "is used nowhere else",
                self.model.tree.body[-1].span,
                Mark(self._place_of("parametrization"), "chosen here"),
                hint="return v * z, or choose mup, ntp, up(s) or abcd(…)",
            )
        return whole

    def _own_parametrization(self, name: str, whole: Parametrization) -> Parametrization:
        """That of one parameter, which has the output of all."""
        field = self.table.own(name, "parametrization")
        if field is None:
            return whole
        own = read.parametrization(field, self.model, self._number)
        if own.a_out != whole.a_out:
            raise TypeFault(
                f"'{name}' has a parametrization with a_out = {own.a_out}, and the training has {whole.a_out}",
                field.span,
                Mark(self._place_of("parametrization"), "chosen here"),
                hint="the output has one scale: give the parameter exponents, abcd(…, out=…), that agree with it",
            )
        return own

    def _parameter(self, name: str, whole: Parametrization) -> Trained:
        declared, table = self.model.parameters[name], self.table
        is_output = name in self.readouts
        optimizer = table.of(name, "optimizer", "the update: optimizer = sgd()")
        rate = table.of(name, "rate", "the learning rate: rate = 0.1")
        call, rule = self._optimizer(optimizer.value)
        power, decay = self.schedule.power(rate), table.find(name, "decay")
        mean, variance = self.laws[name]
        exponents = self._own_parametrization(name, whole).exponents(declared.kind, name, is_output, declared.span)
        return Trained(
            name=name,
            kind=declared.kind,
            shape=tuple(size_at(part, self._evaluate) for part in declared.item.shape),
            item=declared.item,
            variance=variance,
            starts_at_zero=mean == 0 and variance == 0,
            is_output=is_output,
            exponents=exponents,
            slowed=power if power is not None else Fraction(0),
            is_trained=power is not None,
            optimizer=call,
            has_rms=any("rms" in names_called(tree) for tree in _expressions(rule.tree)),
            rate=rate.value,
            decay=decay.value if decay is not None and self._decays(decay) else None,
            normalization=self._normalization(name),
            span=optimizer.span,
        )

    def _decays(self, field: ast.Field) -> bool:
        """Whether a decay is not 0 at every step."""
        numbers = self.schedule.numbers(field)
        for step, number in enumerate(numbers):
            if not 0 <= number <= 1:
                hint = "a step multiplies weights by 1 - decay"
                raise TypeFault(f"the decay is {number:g} at step {step}: it lies in 0..1", field.value.span, hint=hint)
        return any(numbers)

    def _normalization(self, name: str) -> Normalization:
        found = self.table.find(name, "normalize")
        chosen = read.normalization(found)
        if found is not None and chosen.rule == "weight" and self.laws[name] == (0, 0):
            raise TypeFault(
                f"normalize = weight divides by the size of '{name}', which starts at 0",
                found.span,
                Mark(self.model.parameters[name].span, "declared here"),
                hint=f"write per {name}: normalize = none",
            )
        if chosen.theta is not None and min(self.schedule.values(chosen.theta, "the bound of clip")) <= 0:
            raise TypeFault("the bound of clip must be above 0", chosen.theta.span, hint="normalize = clip(1)")
        return chosen

    def _optimizer(self, tree: ast.Expr) -> tuple[ast.Call, Rule]:
        bare = ast.Call(span=tree.span, function=tree, arguments=(), keywords=())
        call = tree if isinstance(tree, ast.Call) else bare
        name = call.function
        entry = self.scope.find(name.id) if isinstance(name, ast.Name) else None
        if isinstance(entry, Rule):
            return call, entry
        rules = [known for known in self.scope.names() if isinstance(self.scope.find(known), Rule)]
        hint = suggest(name.id, rules) if isinstance(name, ast.Name) else ""
        hint = hint or (f"known are {', '.join(rules)}" if rules else 'import "optimizers.nx" has them')
        raise NameFault(f"'{tree.span.text}' is not an optimizer", tree.span, hint=hint)

    # -------------------------------------------------------- classification

    def _classified(self, part: Trained) -> Parameter:
        call, rule = self._optimizer(part.optimizer)
        entries = ((name, rule.scope.find(name)) for name in rule.scope.names())
        params = {name: float(entry.value) for name, entry in entries if isinstance(entry, Constant)}
        own = degree(rule.tree, self._arguments(call, rule), params=params)
        return Parameter(
            name=part.name,
            kind=part.kind,
            is_output=part.is_output,
            starts_at_zero=part.starts_at_zero,
            exponents=part.effective_exponents,
            degree=normalized_degree(own, part.normalization.rule),
            span=self.model.parameters[part.name].span,
            is_trained=part.is_trained,
        )

    def _update_function(self, part: Trained) -> UpdateFunction:
        call, rule = self._optimizer(part.optimizer)
        is_normalized = part.normalization.rule != "none"
        return UpdateFunction(tree=rule.tree, arguments=self._arguments(call, rule), is_normalized=is_normalized)

    def _arguments(self, call: ast.Call, rule: Rule) -> dict[str, float | None]:
        """The numbers given in an optimizer's call; None for one that depends on n, or changes with the step."""
        names = [binding.name.id for binding in rule.tree.arguments]
        given = {**dict(zip(names, call.arguments, strict=False)), **{k.name.id: k.value for k in call.keywords}}
        return {name: self._constant(tree) for name, tree in given.items()}

    def _constant(self, tree: ast.Expr) -> float | None:
        steps = range(self.schedule.steps) if "t" in names_of(tree) else (0,)
        values = [self._evaluate(tree, step) for step in steps]
        numbers = {float(value) for value in values if isinstance(value, int | float)}
        return numbers.pop() if len(numbers) == 1 and all(isinstance(value, int | float) for value in values) else None


def _expressions(tree: ast.Optimizer) -> list[ast.Expr]:
    return [node.value for node in walk_nodes(tree) if isinstance(node, ast.Assign | ast.Return)]

"""`train`: its fields are read and settled, its parametrization is classified, and its expansion is unrolled.

Accepts a `train` statement and the state of the program before it.  Promises the statements of the expansion, run in
names of their own: they see the program's params, data, functions and optimizers, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from nexort.elaborate import fields as read
from nexort.elaborate.constants import number_at, size_at
from nexort.elaborate.reading import names_called
from nexort.elaborate.scope import Array, Constant, Entry, Network, Rule, Scope, Variable
from nexort.elaborate.unrolling import Unrolling
from nexort.elaborate.values import Width
from nexort.errors import DataFault, IndexFault, NameFault, TypeFault, WidthFault, suggest
from nexort.errors import Label as Mark
from nexort.graph.terms import data
from nexort.symbolic import leading_power
from nexort.syntax import ast, walk_nodes
from nexort.training import (
    Model,
    Parameter,
    Parametrization,
    Recipe,
    Trained,
    classify,
    degree,
    expand_finite,
    expand_limit,
    find_readouts,
    normalized_degree,
)
from nexort.training.exponents import ONE


def train(unroller: Unrolling, tree: ast.Train) -> None:
    """Run a `train` statement."""
    if unroller.depth:
        raise TypeFault("train stands outside of loops", tree.span, hint="write one train statement for each network")
    recipe, scope = _Reader(unroller, tree).read()
    unroller.classifications[recipe.name or recipe.model.name] = recipe.classification
    if unroller.meaning == "classify":
        return
    if unroller.meaning == "limit":
        _check_limit(recipe)
        recipe = _with_given(unroller, recipe, scope)
        unroller.notes.extend(_limit_notes(recipe))
    statements = expand_finite(recipe) if unroller.meaning == "finite" else expand_limit(recipe)
    with unroller.inside(scope, f"{recipe.name or recipe.model.name}.", recipe.output_name("")):
        unroller.block(statements)


# --------------------------------------------------------------------- limits


def _check_limit(recipe: Recipe) -> None:
    """Raises WidthFault for a training without a limit."""
    found = recipe.classification
    if found.regime in ("unstable", "unfaithful"):
        reasons = "; ".join(f"{failure.inequality}: {failure.meaning}" for failure in found.failures)
        repairs = "; ".join(dict.fromkeys(failure.repair for failure in found.failures))
        raise WidthFault(
            f"this training has no infinite-width limit, its parametrization is {found.regime}: {reasons}",
            recipe.parametrization_span,
            hint=f"repaired by {repairs}; `nexort classify` shows all exponents",
        )
    is_fresh = bool(recipe.outputs)
    is_decaying = any(part.decay is not None for part in recipe.parameters)
    if found.A < ONE and not is_fresh and (not recipe.is_centred or is_decaying):
        what = "the decayed output at initialisation" if recipe.is_centred else "the output at initialisation"
        raise WidthFault(
            f"{what} has a limit only if every returned vector is v * z, with v a mean-zero vector parameter that is "
            "used nowhere else (TP4b Theorem 2.9.19 and DESIGN: a mean-zero output is not enough)",
            recipe.model.tree.body[-1].span,
            hint="write center = true (without decay) for the centred limit, or return v * z",
        )


def _with_given(unroller: Unrolling, recipe: Recipe, scope: Scope) -> Recipe:
    """The recipe with the output at initialisation that is given for it, if one is."""
    if not recipe.has_random_start:
        return recipe
    name = recipe.output_name("f0")
    heads = (-1,) if recipe.model.has_family_result else (len(recipe.model.returned),) if recipe.has_heads else ()
    steps = (recipe.steps + 1,) if recipe.is_decaying else ()
    array = unroller.starts.take(name, (*steps, recipe.size, *heads), recipe.span)
    if array is None:
        return recipe
    hidden = f"~{name}"
    scope.entries[hidden] = Array(data(name, array, recipe.span), recipe.span)
    return replace(recipe, given=hidden)


def _limit_notes(recipe: Recipe) -> list[str]:
    found, name = recipe.classification, recipe.name or recipe.model.name
    notes: list[str] = []
    if found.regime == "trivial":
        notes.append(
            f"train {name}: the parametrization is trivial, so f_t = f_0 in the limit "
            f"({'; '.join(failure.inequality for failure in found.failures)})"
        )
    silent = [part.name for part in recipe.parameters if recipe.is_silent(part)]
    if silent:
        notes.append(
            f"train {name}: the scalar parameters {', '.join(silent)} do not move the limit: with a fresh readout "
            "their gradients vanish like n^-1/2"
        )
    return notes


# --------------------------------------------------------------------- fields


@dataclass
class _Reader:
    """Reads one statement."""

    unroller: Unrolling
    tree: ast.Train

    def read(self) -> tuple[Recipe, Scope]:
        scope = self.unroller.scope
        entry = scope.get(self.tree.model)
        if not isinstance(entry, Network):
            raise TypeFault(
                f"'{self.tree.model.id}' is not a model", self.tree.model.span, Mark(entry.span, "declared here")
            )
        model = entry.model
        self.scope = _visible(scope)
        self.table = read.collect(self.tree, model)
        arrays, size = self._arrays()
        inputs = self._bind_arguments(model, arrays)
        self._check_names(model)
        self.steps = self._steps()
        self.readouts = self._readouts(model)
        parametrization = read.parametrization(self.table.get("parametrization"), model, self.number)
        per = {
            name: read.parametrization(field, model, self.number) if field is not None else parametrization
            for name, field in ((name, self.table.own(name, "parametrization")) for name in model.parameters)
        }
        self._check_parametrization(model, parametrization, per)
        parameters = tuple(self._parameter(model, name, per[name]) for name in model.parameters)
        classification = classify(
            [self._classified(model, part) for part in parameters],
            parametrization.a_out,
            outside=read.outside_assumption(model, parameters, self.readouts),
        )
        recipe = Recipe(
            span=self.tree.model.span,
            name=self.tree.alias.id if self.tree.alias is not None else "",
            model=model,
            inputs=inputs,
            arrays=tuple(name.id for name in self.tree.arrays),
            size=size,
            has_heads=len(model.returned) > 1 or model.has_family_result,
            steps=self.steps,
            parameters=parameters,
            a_out=parametrization.a_out,
            parametrization_span=self._span_of("parametrization"),
            classification=classification,
            loss=self.table.loss(),
            error=self.table.get("error"),
            weights=self.table.get("weights"),
            per_input=self._per_input(size),
            is_centred=read.word(self.table.get("center"), {"true": True, "false": False}, default=True),
            kernels=read.kernels(self.table.get("kernels"), model),
            taken=self._taken(model),
            given=None,
        )
        return recipe, self.scope

    # --------------------------------------------------------------- numbers

    def number(self, tree: ast.Expr) -> int | float:
        return number_at(tree, self._evaluate, "this field")

    def _evaluate(self, tree: ast.Expr, step: int | None = None):
        ev = self.unroller.evaluator()
        ev.scope = self.scope
        if step is not None:
            constant = Constant(step, "loop variable", tree.span)
            ev.scope = Scope(parent=self.scope, entries={"t": constant})
        return ev.value(tree)

    def _steps(self) -> int:
        field = self.table.required("steps", "the number of updates: steps = 30")
        return size_at(field.value, self._evaluate, "steps")

    def _span_of(self, name: str):
        field = self.table.get(name)
        return field.span if field is not None else self.tree.model.span

    # ---------------------------------------------------------------- arrays

    def _arrays(self) -> tuple[list[Array], int]:
        """The arrays of single inputs, and the number of inputs."""
        found: list[Array] = []
        for name in self.tree.arrays:
            entry = self.scope.get(name)
            if not isinstance(entry, Array) or not entry.node.type.shape:
                hint = "declare it: data xi[M, d]; its first axis counts the inputs"
                raise TypeFault(f"'{name.id}' is not a data array with an axis of inputs", name.span, hint=hint)
            found.append(entry)
        size = found[0].node.type.shape[0]
        for name, entry in zip(self.tree.arrays, found, strict=True):
            if entry.node.type.shape[0] != size:
                first = self.tree.arrays[0]
                raise IndexFault(
                    f"'{name.id}' has {entry.node.type.shape[0]} inputs and '{first.id}' has {size}",
                    name.span,
                    Mark(first.span, f"{size} here"),
                    hint="the first axis of every array counts the inputs",
                )
        return found, size

    def _bind_arguments(self, model: Model, arrays: Sequence[Array]) -> dict[str, str]:
        """The arrays that the model's arguments are; their shapes give the model's shape names."""
        items = list(model.arguments.values())
        if len(items) > len(arrays):
            raise TypeFault(
                f"the model '{model.name}' has {len(items)} arguments, and {len(arrays)} arrays stand here",
                self.tree.arrays[-1].span,
                Mark(items[-1].span, "this one has none"),
                hint="on lists the arrays of the arguments, then those that the loss reads",
            )
        for item, name, entry in zip(items, self.tree.arrays, arrays, strict=False):
            shape = entry.node.type.shape[1:]
            if len(item.shape) != len(shape):
                raise IndexFault(
                    f"'{name.id}' has {len(shape)} axes for each input, and '{item.name.id}' has {len(item.shape)}",
                    name.span,
                    Mark(item.span, "declared here"),
                    hint="the array has the axis of inputs first, and then those of the argument",
                )
            for part, length in zip(item.shape, shape, strict=True):
                self._fix_length(part, length, name, item)
        return {item.name.id: name.id for item, name in zip(items, self.tree.arrays, strict=False)}

    def _fix_length(self, tree: ast.Expr, length: int, name: ast.Name, item: ast.DataItem) -> None:
        if isinstance(tree, ast.Name) and self.scope.find(tree.id) is None:
            self.scope.entries[tree.id] = Constant(length, "shape", tree.span)
            return
        wanted = size_at(tree, self._evaluate)
        if wanted != length:
            raise DataFault(
                f"'{name.id}' has {length} elements where the model's '{item.name.id}' has {wanted}",
                name.span,
                Mark(tree.span, f"{wanted} here"),
                hint="give the model arrays of the shapes that it declares",
            )

    def _per_input(self, size: int) -> frozenset[str]:
        field = self.table.get("weights")
        if field is None or field.indices is not None:
            return frozenset()
        indexed = {id(node.base) for node in walk_nodes(field.value) if isinstance(node, ast.Subscript)}
        bare = (node for node in walk_nodes(field.value) if isinstance(node, ast.Name) and id(node) not in indexed)
        entries = ((node.id, self.scope.find(node.id)) for node in bare)
        return frozenset(
            name for name, entry in entries if isinstance(entry, Array) and entry.node.type.shape[:1] == (size,)
        )

    # ----------------------------------------------------------------- names

    def _check_names(self, model: Model) -> None:
        """A model reads params, data, functions and its own names: no vector or matrix of the program."""
        for name in model.free_names():
            entry = self.unroller.scope.find(name.id)
            if isinstance(entry, Variable):
                raise NameFault(
                    f"a model cannot read '{name.id}' of the program",
                    name.span,
                    Mark(entry.span, "bound here"),
                    hint="what a model trains is declared in it; data and params can be read",
                )

    def _taken(self, model: Model) -> frozenset[str]:
        trees = (model.tree, self.tree)
        names = {node.id for tree in trees for node in walk_nodes(tree) if isinstance(node, ast.Name)}
        return frozenset(names | set(self.unroller.scope.names())) - {"f", "loss", "t"} | self._clashes(model)

    def _clashes(self, model: Model) -> set[str]:
        """`f`, `loss` and `t` are names of the fields, unless the program or the model has them."""
        own = {*model.local_axes, *model.parameters, *model.arguments, *(name.id for name in model.free_names())}
        own |= {node.variable.id for node in walk_nodes(model.tree) if isinstance(node, ast.For)}
        bound = {name for name in ("f", "loss", "t") if self.scope.find(name) is not None}
        return bound | ({"f", "loss", "t"} & own)

    # ------------------------------------------------------------ parameters

    def _readouts(self, model: Model) -> frozenset[str]:
        """Output vectors, of mean zero."""
        found = find_readouts(model)
        return found if all(self._law(model, name)[0] == 0 for name in found) else frozenset()

    def _law(self, model: Model, name: str) -> tuple[float, float]:
        """(mean, variance) as declared; of a matrix the c in c/n."""
        item, kind = model.parameters[name].item, model.parameters[name].kind
        if item.value is not None:
            return float(self.number(item.value)), 0.0
        if item.law is None:
            return 0.0, 1.0
        variance = self._evaluate(item.law.variance)
        if kind == "matrix" and isinstance(variance, Width):
            leading = leading_power(variance.expression)
            return 0.0, leading[0] if leading is not None else 1.0
        return float(self.number(item.law.mean)), float(self.number(item.law.variance))

    def _check_parametrization(self, model: Model, whole: Parametrization, per: dict[str, Parametrization]) -> None:
        if whole.name == "standard" and not self.readouts:
            raise TypeFault(
                "the standard parametrization asks that each returned vector be v * z, with v a vector parameter that "
                "is used nowhere else",
                model.tree.body[-1].span,
                Mark(self._span_of("parametrization"), "chosen here"),
                hint="return v * z, or choose mup, ntp, up(s) or abcd(…)",
            )
        for name, own in per.items():
            if own.a_out != whole.a_out:
                field = self.table.own(name, "parametrization")
                raise TypeFault(
                    f"'{name}' has a parametrization with a_out = {own.a_out}, and the training has {whole.a_out}",
                    field.span if field is not None else self.tree.span,
                    Mark(self._span_of("parametrization"), "chosen here"),
                    hint="the output has one scale: give the parameter exponents, abcd(…, out=…), that agree with it",
                )

    def _parameter(self, model: Model, name: str, parametrization: Parametrization) -> Trained:
        declared = model.parameters[name]
        optimizer = self.table.of(name, "optimizer", "the update: optimizer = sgd()")
        rate = self.table.of(name, "rate", "the learning rate: rate = 0.1")
        call, rule = self._optimizer(optimizer.value)
        powers = self._powers(rate)
        decay = self.table.find(name, "decay")
        mean, variance = self._law(model, name)
        return Trained(
            name=name,
            kind=declared.kind,
            shape=tuple(size_at(part, self._evaluate) for part in declared.item.shape),
            item=declared.item,
            variance=variance,
            starts_at_zero=mean == 0 and variance == 0,
            is_output=name in self.readouts,
            exponents=parametrization.exponents(declared.kind, name, name in self.readouts, declared.span),
            slowed=powers if powers is not None else Fraction(0),
            is_trained=powers is not None,
            optimizer=call,
            has_rms=any("rms" in names_called(node) for node in _expressions(rule.tree)),
            rate=rate.value,
            decay=decay.value if decay is not None and self._is_decaying(decay) else None,
            normalization=read.normalization(self.table.find(name, "normalize")),
            span=optimizer.span,
        )

    def _optimizer(self, tree: ast.Expr) -> tuple[ast.Call, Rule]:
        call = (
            tree if isinstance(tree, ast.Call) else ast.Call(span=tree.span, function=tree, arguments=(), keywords=())
        )
        name = call.function
        entry = self.scope.find(name.id) if isinstance(name, ast.Name) else None
        if not isinstance(name, ast.Name) or not isinstance(entry, Rule):
            rules = [known for known in self.scope.names() if isinstance(self.scope.find(known), Rule)]
            hint = suggest(name.id, rules) if isinstance(name, ast.Name) else ""
            hint = hint or ('import "optimizers.nx" has them' if not rules else f"known are {', '.join(rules)}")
            raise NameFault(f"'{tree.span.text}' is not an optimizer", tree.span, hint=hint)
        return call, entry

    def _powers(self, field: ast.Field) -> Fraction | None:
        """k, where the rate is of order n^-k at every step; None where it is 0 at all of them."""
        found: dict[Fraction, int] = {}
        for step in range(self.steps):
            value = self._evaluate(field.value, step)
            if isinstance(value, Width):
                leading = leading_power(value.expression)
                if leading is None:
                    hint = "write it as a number times a power of n: 0.1 / n"
                    raise WidthFault("how this rate grows with n is not known", field.value.span, hint=hint)
                coefficient, power = leading
                if coefficient != 0:
                    found.setdefault(Fraction(-power).limit_denominator(1000), step)
            elif self._rate_number(field, step) != 0:
                found.setdefault(Fraction(0), step)
        if len(found) > 1:
            (first, a), (second, b) = list(found.items())[:2]
            raise WidthFault(
                f"the rate is of order n^{-first} at step {a} and n^{-second} at step {b}",
                field.value.span,
                hint="a schedule changes the rate by numbers, not by powers of n",
            )
        return next(iter(found), None)

    def _rate_number(self, field: ast.Field, step: int) -> int | float:
        return number_at(field.value, lambda tree: self._evaluate(tree, step), f"the {field.name.id}")

    def _is_decaying(self, field: ast.Field) -> bool:
        return any(self._rate_number(field, step) != 0 for step in range(self.steps))

    def _classified(self, model: Model, part: Trained) -> Parameter:
        call, rule = self._optimizer(part.optimizer)
        return Parameter(
            name=part.name,
            kind=part.kind,
            is_output=part.is_output,
            starts_at_zero=part.starts_at_zero,
            exponents=part.effective_exponents,
            degree=self._degree(part, call, rule),
            span=model.parameters[part.name].span,
            is_trained=part.is_trained,
        )

    def _degree(self, part: Trained, call: ast.Call, rule: Rule) -> Fraction | None:
        """Of homogeneity of the whole update in the past gradients."""
        entries = ((name, rule.scope.find(name)) for name in rule.scope.names())
        params = {name: float(entry.value) for name, entry in entries if isinstance(entry, Constant)}
        own = degree(rule.tree, self._arguments(call, rule), params=params)
        return normalized_degree(own, part.normalization.rule)

    def _arguments(self, call: ast.Call, rule: Rule) -> dict[str, float]:
        """The numbers of an optimizer's arguments, defaults included, at the first step."""
        names = [binding.name.id for binding in rule.tree.arguments]
        given = {**dict(zip(names, call.arguments, strict=False)), **{k.name.id: k.value for k in call.keywords}}
        found: dict[str, float] = {}
        for binding in rule.tree.arguments:
            value = given.get(binding.name.id, binding.value)
            if value is not None:
                number = self._evaluate(value, 0)
                if isinstance(number, int | float):
                    found[binding.name.id] = float(number)
        return found


def _visible(scope: Scope) -> Scope:
    """What a training sees of the program: everything but its vectors, matrices and computed values."""
    entries = ((name, scope.find(name)) for name in scope.names())
    kept: dict[str, Entry] = {
        name: entry for name, entry in entries if entry is not None and not isinstance(entry, Variable)
    }
    return Scope(entries=kept, is_complete=scope.is_complete)


def _expressions(tree: ast.Optimizer) -> list[ast.Expr]:
    return [node.value for node in walk_nodes(tree) if isinstance(node, ast.Assign | ast.Return)]

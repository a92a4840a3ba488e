"""The fields of a `train` block: which there are, which a parameter may have of its own, and what their words mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeVar

from nexort.errors import Label as Mark
from nexort.errors import NameFault, SyntaxFault, TypeFault, suggest
from nexort.syntax import ast, walk_nodes
from nexort.training import (
    Exponents,
    Kind,
    Model,
    Normalization,
    Parametrization,
    abcd,
    mup,
    names_of,
    ntp,
    standard,
    up,
)

FIELDS = (
    "loss", "weights", "error", "optimizer", "rate", "steps", "parametrization", "decay", "normalize", "center",
    "kernels",
)  # fmt: skip
OF_A_PARAMETER = ("optimizer", "rate", "parametrization", "decay", "normalize")
"""What `per W: …` may say."""
INDEXED = {"weights": "weights[a] or weights[t, a]", "error": "error[a], or error[a, k] for several outputs"}
MEANT = {"f": "the output", "t": "the step"}
"""Names that a field's expressions have besides those of the program."""
KINDS: tuple[Kind, ...] = ("matrix", "vector", "scalar")

Number = Callable[[ast.Expr], int | float]
WordT = TypeVar("WordT")


@dataclass(slots=True)
class Table:
    """The fields of a block, each once, those of single parameters apart."""

    tree: ast.Train
    whole: dict[str, ast.Field] = field(default_factory=dict[str, ast.Field])
    by_parameter: dict[str, dict[str, ast.Field]] = field(default_factory=dict[str, dict[str, ast.Field]])

    def get(self, name: str) -> ast.Field | None:
        return self.whole.get(name)

    def own(self, parameter: str, name: str) -> ast.Field | None:
        return self.by_parameter.get(parameter, {}).get(name)

    def find(self, parameter: str, name: str) -> ast.Field | None:
        """The parameter's own field, or that of all."""
        return self.own(parameter, name) or self.get(name)

    def of(self, parameter: str, name: str, hint: str) -> ast.Field:
        found = self.find(parameter, name)
        return found if found is not None else self._missing(name, hint)

    def required(self, name: str, hint: str) -> ast.Field:
        found = self.get(name)
        return found if found is not None else self._missing(name, hint)

    def _missing(self, name: str, hint: str) -> ast.Field:
        raise TypeFault(f"this training has no {name}", self.tree.model.span, hint=hint)

    def check_reads(self, model: Model) -> None:
        """A loss, an error signal and weights read the output, the step, data and params, whatever the width is."""
        own = {*model.parameters, *model.local_axes} - set(MEANT)
        for name in self.tree.arrays:
            if name.id in MEANT:
                hint = f"give the data another name: {name.id}_data"
                raise NameFault(f"'{name.id}' is {MEANT[name.id]} of this training", name.span, hint=hint)
        for found in filter(None, map(self.get, ("loss", "error", "weights"))):
            for node in walk_nodes(found.value):
                if isinstance(node, ast.Name) and node.id in own:
                    is_weight = node.id in model.parameters
                    hint = "write decay = 0.01" if is_weight else "return it as an output of its own, f[1]"
                    raise NameFault(f"the {found.name.id} cannot read '{node.id}' of the model", node.span, hint=hint)
                if isinstance(node, ast.Call) and isinstance(node.function, ast.Name) and node.function.id in MEANT:
                    name = node.function.id
                    hint = f"a product needs *; a function has another name than {name}"
                    raise NameFault(f"'{name}' is {MEANT[name]} of this training", node.function.span, hint=hint)
                if isinstance(node, ast.Name) and node.id == "n":
                    hint = "powers of n belong to the rate, rate = 0.1 / n, and to the parametrization"
                    raise TypeFault(f"n is not allowed in the {found.name.id}", node.span, hint=hint)

    def loss(self, model: Model) -> ast.Expr | None:
        loss, error = self.get("loss"), self.get("error")
        if loss is None and error is None:
            hint = "loss = (f - y)^2 / 2 of one input, or the error signal error[a] = f[a] - y[a]"
            raise TypeFault("this training has neither a loss nor an error", self.tree.model.span, hint=hint)
        if loss is not None and error is not None:
            raise TypeFault(
                "a training has a loss or an error signal, not both",
                error.span,
                Mark(loss.span, "the loss is here"),
                hint="the error signal of a loss is its derivative by f: leave one of them out",
            )
        weights = self.get("weights")
        axes = ("a", "k") if model.has_heads else ("a",)
        if error is not None and error.indices is not None and len(error.indices) != len(axes):
            hint = f"write error[{', '.join(axes)}] = …"
            count = "several outputs" if model.has_heads else "one output"
            raise TypeFault(f"the indices of the error are not those of {count} of an input", error.span, hint=hint)
        if error is not None and weights is not None:
            hint = "put the weights into the error signal"
            raise TypeFault("weights belong to a loss", weights.span, Mark(error.span, "an error signal"), hint=hint)
        if loss is not None and "f" not in names_of(loss.value):
            raise TypeFault("this loss does not depend on the output f", loss.value.span, hint="loss = (f - y)^2 / 2")
        return loss.value if loss is not None else None


def collect(tree: ast.Train, model: Model) -> Table:
    """The fields of a block. Raises for unknown and repeated ones, and for indices that a field does not take."""
    table = Table(tree)
    for part in tree.body:
        match part:
            case ast.Field():
                _add(table.whole, part, FIELDS)
            case ast.Per():
                for name in part.names:
                    if name.id not in model.parameters:
                        hint = suggest(name.id, model.parameters) or f"it has {', '.join(model.parameters)}"
                        raise NameFault(f"the model '{model.name}' has no parameter '{name.id}'", name.span, hint=hint)
                    fields = table.by_parameter.setdefault(name.id, {})
                    for own in part.fields:
                        _add(fields, own, OF_A_PARAMETER)
    return table


def _add(fields: dict[str, ast.Field], new: ast.Field, known: Sequence[str]) -> None:
    name = new.name.id
    if name not in known:
        if name in FIELDS:
            hint = f"a parameter may have its own {', '.join(OF_A_PARAMETER)}"
            raise TypeFault(f"{name} belongs to the whole training", new.name.span, hint=hint)
        hint = suggest(name, known) or f"the fields are {', '.join(known)}"
        raise NameFault(f"train has no field '{name}'", new.name.span, hint=hint)
    if name in fields:
        raise NameFault(f"the field '{name}' is given twice", new.name.span, Mark(fields[name].span, "first here"))
    if new.indices is not None and name not in INDEXED:
        raise TypeFault(f"the field '{name}' takes no indices", new.span, hint=f"write {name} = …")
    if new.indices is not None:
        _check_indices(new, name)
    fields[name] = new


def _check_indices(new: ast.Field, name: str) -> None:
    assert new.indices is not None
    most = 2
    if not all(isinstance(part, ast.Name) for part in new.indices) or len(new.indices) > most:
        raise TypeFault(f"the indices of {name} are names", new.span, hint=f"write {INDEXED[name]}")


# ---------------------------------------------------------------------- words


def word(found: ast.Field | None, words: Mapping[str, WordT], *, default: WordT) -> WordT:
    """The meaning of a field that takes a word."""
    if found is None:
        return default
    value = found.value
    if not isinstance(value, ast.Name) or value.id not in words:
        known = " or ".join(words)
        hint = suggest(value.id, words) if isinstance(value, ast.Name) else ""
        raise TypeFault(
            f"{found.name.id} is {known}", value.span, hint=hint or f"write {found.name.id} = {next(iter(words))}"
        )
    return words[value.id]


def normalization(found: ast.Field | None) -> Normalization:
    """`none | update | clip(theta) | weight | lamb`."""
    if found is None:
        return Normalization()
    value = found.value
    hint = "none, update, clip(theta), weight or lamb"
    if isinstance(value, ast.Call) and isinstance(value.function, ast.Name) and value.function.id == "clip":
        if len(value.arguments) != 1 or value.keywords:
            raise TypeFault("clip takes the largest rms of an update", value.span, hint="normalize = clip(1)")
        return Normalization(rule="clip", theta=value.arguments[0])
    if isinstance(value, ast.Name):
        match value.id:
            case "none" | "update" | "weight" | "lamb":
                return Normalization(rule=value.id)
            case "clip":
                raise TypeFault("clip takes the largest rms of an update", value.span, hint="normalize = clip(1)")
            case _:
                hint = suggest(value.id, ("none", "update", "clip", "weight", "lamb")) or hint
    raise TypeFault("this is no normalization", value.span, hint=hint)


def kernels(found: ast.Field | None, model: Model) -> tuple[ast.Name, ...]:
    """The vectors of the model whose feature kernels are outputs."""
    if found is None:
        return ()
    parts = found.value.items if isinstance(found.value, ast.Tuple) else (found.value,)
    names: list[ast.Name] = []
    for part in parts:
        if not isinstance(part, ast.Name) or part.id not in model.local_axes or part.id not in model.batched:
            known = [name for name in model.local_axes if name in model.batched]
            hint = suggest(part.id, known) if isinstance(part, ast.Name) else ""
            hint = hint or f"it computes {', '.join(known) or 'nothing from its input'}"
            raise NameFault(f"'{part.span.text}' is not computed by the model '{model.name}'", part.span, hint=hint)
        names.append(part)
    return tuple(names)


# ------------------------------------------------------------ parametrization


def parametrization(found: ast.Field | None, model: Model, number: Number) -> Parametrization:
    """`mup | ntp | standard | up(s) | abcd(…)`; µP where nothing is said."""
    if found is None:
        return mup()
    value = found.value
    words: dict[str, Callable[[], Parametrization]] = {"mup": mup, "ntp": ntp, "standard": standard}
    if isinstance(value, ast.Name) and value.id in words:
        return words[value.id]()
    if isinstance(value, ast.Call) and isinstance(value.function, ast.Name):
        match value.function.id:
            case "up":
                return _uniform(value, number)
            case "abcd":
                return _abcd(value, model, number)
            case _:
                pass
    known = (*words, "up(s)", "abcd(matrix=(a, b, c, d), …)")
    name = value.id if isinstance(value, ast.Name) else ""
    raise TypeFault("this is no parametrization", value.span, hint=suggest(name, words) or f"one of {', '.join(known)}")


def _uniform(call: ast.Call, number: Number) -> Parametrization:
    if len(call.arguments) != 1 or call.keywords:
        raise TypeFault("up takes one number", call.span, hint="up(0) is mup, up(1/2) is ntp")
    return up(_fraction(call.arguments[0], number))


def _abcd(call: ast.Call, model: Model, number: Number) -> Parametrization:
    if call.arguments:
        hint = "abcd(matrix=(a, b, c, d), vector=(a, b, c, d), out=a_out)"
        raise TypeFault("the exponents of abcd are named", call.arguments[0].span, hint=hint)
    by_kind: dict[Kind, Exponents] = {}
    by_name: dict[str, Exponents] = {}
    a_out: Fraction | None = None
    seen: set[str] = set()
    for keyword in call.keywords:
        name = keyword.name.id
        if name in seen:
            raise NameFault(f"abcd gives the exponents of '{name}' twice", keyword.span, hint="give them once")
        seen.add(name)
        if name == "out":
            a_out = _fraction(keyword.value, number)
        elif name in KINDS:
            by_kind[name] = _exponents(keyword.value, number)
        elif name in model.parameters:
            by_name[name] = _exponents(keyword.value, number)
        else:
            hint = suggest(name, (*KINDS, "out", *model.parameters)) or "matrix, vector, scalar, out or a parameter"
            raise NameFault(f"abcd has no argument '{name}'", keyword.span, hint=hint)
    if a_out is None:
        hint = "add out=a_out: the output is n^(1 - a_out) avg(…)"
        raise TypeFault("abcd does not give the scale of the output", call.span, hint=hint)
    return abcd(by_kind, by_name, a_out)


def _exponents(tree: ast.Expr, number: Number) -> Exponents:
    letters = 4
    if not isinstance(tree, ast.Tuple) or len(tree.items) != letters:
        raise TypeFault("the exponents of a parameter are four numbers", tree.span, hint="write (a, b, c, d)")
    return Exponents(*(_fraction(item, number) for item in tree.items))


def _fraction(tree: ast.Expr, number: Number) -> Fraction:
    """An exponent, exact: 1/3 is a third."""
    value = number(tree)
    found = Fraction(value).limit_denominator(1000)
    if abs(float(found) - value) > 1e-12 * max(1.0, abs(value)):
        raise SyntaxFault("an exponent is a fraction with a small denominator", tree.span, hint="for example 3/4")
    return found

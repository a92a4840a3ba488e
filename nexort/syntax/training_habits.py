"""What goes wrong around `model`, `train`, `per` and initial values: each rule knows one mistake, as in habits.py."""

from __future__ import annotations

from nexort.errors import SyntaxFault
from nexort.syntax.stumble import Rule, Stumble
from nexort.syntax.tokens import END

_MODEL = "model mlp(xi[d]):"
_TRAIN = "train mlp on xi, y:"


def _train_without_on(stumble: Stumble) -> SyntaxFault | None:
    """`train mlp(xi):`, `train mlp:`, `train mlp with xi:`, `train on xi:`."""
    found, before = stumble.found, stumble.before
    if not stumble.wants("ON") or before is None:
        return None
    hint = f"write {_TRAIN}" if before.text == "on" else f"write train {before.span.text} on xi, y:"
    if before.text == "on":
        return SyntaxFault("the name of a model is missing before 'on'", before.span, hint=hint)
    if found.type == "LPAR":
        return SyntaxFault("a model is trained without brackets, 'on' arrays", found.span, hint=hint)
    return SyntaxFault(f"'on' is missing after {before.shown}, found {found.shown}", found.span, hint=hint)


def _train_arrays(stumble: Stumble) -> SyntaxFault | None:
    """`train mlp on (xi, y):`, `train mlp on xi[a]:`, `train mlp on xi as a, b:`."""
    found, before = stumble.found, stumble.before
    if stumble.first.type != "TRAIN" or before is None or len(stumble.statement) < 3:
        return None
    if stumble.wants("NAME") and before.type in ("ON", "COMMA"):
        message = f"expected an array after {before.shown}, found {found.shown}"
        return SyntaxFault(message, found.span, hint=f"arrays are named one after another: {_TRAIN}")
    if found.type in ("LSQB", "LPAR", "LBRACE") and stumble.wants("AS"):
        hint = f"the model says which part one input is: {_MODEL}"
        return SyntaxFault(f"arrays are named whole, found {found.shown}", found.span, hint=hint)
    if found.type == "COMMA":
        return SyntaxFault("one name follows 'as'", found.span, hint="train mlp on xi, y as wide:")
    return None


def _header_as_call(stumble: Stumble) -> SyntaxFault | None:
    """`train(mlp, xi):`, `model(xi):`."""
    words, found = stumble.statement, stumble.found
    if len(words) < 2 or words[0].text not in ("train", "model") or words[1].type != "LPAR":
        return None
    if words[0].type != "NAME" or found.type not in ("COLON", END) or stumble.inside is not None:
        return None
    if words[0].text == "train":
        return SyntaxFault("'train' is a statement, no function", words[0].span, hint=f"write {_TRAIN}")
    return SyntaxFault("a model has a name", words[0].span, hint=f"write {_MODEL}")


def _model_arguments(stumble: Stumble) -> SyntaxFault | None:
    """`model mlp:`, `model mlp():`, `model mlp(xi = 1):`, `model mlp(xi(d)):`, `model mlp(xi) = …`."""
    found, before = stumble.found, stumble.before
    if stumble.first.type != "MODEL" or before is None:
        return None
    if stumble.wants("LPAR") and found.type in ("COLON", END):
        return SyntaxFault("a model has an argument list", found.span, hint=f"write {_MODEL}")
    if before.type == "LPAR" and found.type == "RPAR":
        hint = f"its arguments are what it reads of one input: {_MODEL}"
        return SyntaxFault("a model needs an argument", before.span.join(found.span), hint=hint)
    if found.type == "EQUAL" and stumble.inside is not None:
        hint = "they are one input's part of the arrays that 'train … on' names"
        return SyntaxFault("arguments of a model have no default", found.span, hint=hint)
    if found.type in ("LPAR", "LBRACE") and stumble.wants("LSQB"):
        return SyntaxFault(f"a shape stands in '[…]', found {found.shown}", found.span, hint=_MODEL)
    if found.type == "EQUAL" and stumble.wants("COLON"):
        hint = "below its ':' stand declarations, assignments and one return"
        return SyntaxFault("a model has a block, found '='", found.span, hint=hint)
    return None


def _per_names(stumble: Stumble) -> SyntaxFault | None:
    """`per W[0]: …`, `per W = 1`."""
    found = stumble.found
    if stumble.first.type != "PER" or not stumble.wants("COLON"):
        return None
    if found.type in ("LSQB", "LBRACE"):
        hint = "a family has one setting for all its elements: per W: rate = 0.1"
        return SyntaxFault(f"parameters are named whole, found {found.shown}", found.span, hint=hint)
    if found.type == "EQUAL":
        return SyntaxFault("'per' has a block of fields, found '='", found.span, hint="write per W: rate = 0.1")
    return None


def _colon_binds(stumble: Stumble) -> SyntaxFault | None:
    """`rate: 0.1`, `weights[a]: train[a]`."""
    words = stumble.statement
    if stumble.found.type != "COLON" or stumble.inside is not None or not words or words[0].type != "NAME":
        return None
    if not stumble.wants("EQUAL") or not (len(words) == 1 or words[1].type == "LSQB"):
        return None
    return SyntaxFault("':' does not bind", stumble.found.span, hint=f"write {stumble.text_of(words)} = …")


def _optimizer_field(stumble: Stumble) -> SyntaxFault | None:
    """`optimizer adam()` as a field."""
    if stumble.first.type != "OPTIMIZER" or stumble.found.type not in (END, "SEMICOLON") or not stumble.wants("COLON"):
        return None
    call = stumble.text_of(stumble.statement[1:])
    hint = f"a definition has a ':' before its block; a field of 'train' is optimizer = {call}"
    return SyntaxFault(f"a ':' is missing, found {stumble.found.shown}", stumble.found.span, hint=hint)


def _results_without_brackets(stumble: Stumble) -> SyntaxFault | None:
    """`return p, q`."""
    if stumble.first.type != "RETURN" or stumble.found.type != "COMMA" or stumble.inside is not None:
        return None
    hint = "several results of a model stand in parentheses: return (p, q)"
    return SyntaxFault("a ',' outside of brackets", stumble.found.span, hint=hint)


def _network_as_function(stumble: Stumble) -> SyntaxFault | None:
    """`def mlp(xi[d]): …`."""
    if stumble.first.type != "DEF" or stumble.found.type != "LSQB" or not stumble.wants("RPAR"):
        return None
    hint = f"a function works on single numbers; a network is {_MODEL}"
    return SyntaxFault("arguments of a function have no shape", stumble.found.span, hint=hint)


def _two_initial_values(stumble: Stumble) -> SyntaxFault | None:
    """`scalar s ~ N(0, 1) = 2`, `scalar s = 2 ~ N(0, 1)`."""
    is_initial = stumble.first.type in ("VECTOR", "MATRIX", "SCALAR")
    if not is_initial or stumble.found.type not in ("EQUAL", "TILDE") or stumble.inside is not None:
        return None
    if not any(token.type in ("EQUAL", "TILDE") for token in stumble.statement):
        return None
    hint = "write s = 2, or s ~ N(2, 1)"
    return SyntaxFault("an initial value is a number or a law, not both", stumble.found.span, hint=hint)


TRAINING_RULES: tuple[Rule, ...] = (
    _train_without_on,
    _train_arrays,
    _header_as_call,
    _model_arguments,
    _per_names,
    _colon_binds,
    _optimizer_field,
    _results_without_brackets,
    _network_as_function,
    _two_initial_values,
)

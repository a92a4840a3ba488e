"""Calls: entrywise functions, averages, reductions, `grad`, `stop` and optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nexort.elaborate import algebra, functions, gradients, reductions
from nexort.elaborate.algebra import ENTRIES
from nexort.elaborate.evaluation import Evaluation
from nexort.elaborate.families import Variable
from nexort.elaborate.scope import Array, Constant, Rule
from nexort.elaborate.starts import evaluate_fluctuation
from nexort.elaborate.values import Value, noun
from nexort.elaborate.weights import evaluate_output, evaluate_size
from nexort.errors import IndexFault, TypeFault
from nexort.graph.terms import Term, average_over, stop
from nexort.symbolic import FUNCTIONS, Fn, comparison_where
from nexort.syntax import ast


def evaluate_call(ev: Evaluation, tree: ast.Call) -> Value:
    match tree.function:
        case ast.Subscript(base=ast.Name(id="sum" | "mean" | "max")):
            return reductions.over_static(ev, tree, tree.function)
        case ast.Braces(base=ast.Name(id="avg")):
            return reductions.over_width(ev, tree, tree.function)
        case ast.Name() as name:
            return _call_name(ev, tree, name)
        case ast.Prime():
            base, count = functions.strip_primes(tree.function)
            if isinstance(base, ast.Name):
                fn = functions.find_function(ev.scope, base, len(tree.arguments), tree)
                return _entrywise(ev, functions.derivative(fn, count, tree.function.span), tree.arguments, tree)
        case _:
            pass
    hint = "only functions are called; a product needs *"
    if isinstance(tree.function, ast.Prime):
        hint = "apply an operator with @"
    elif isinstance(tree.function, ast.Subscript):
        hint = "sum, mean and max reduce over static indices; a product needs *, an operator @"
    raise TypeFault(f"'{tree.function.span.text}' is not a function", tree.function.span, hint=hint)


def _call_name(ev: Evaluation, tree: ast.Call, name: ast.Name) -> Value:
    match name.id:
        case "avg":
            return _average(ev, tree)
        case "sum" | "mean":
            hint = f"write {name.id}[k](…) with the index to reduce over; avg(x) averages over the width"
            raise IndexFault(f"{name.id} needs an index", tree.span, hint=hint)
        case "grad":
            return gradients.evaluate_grad(ev, tree)
        case "stop":
            (argument,) = functions.arguments(tree, 1)
            value = ev.value(argument)
            return stop(value, ev.place(tree)) if isinstance(value, Term) else value
        case "rms" | "row_mean" | "col_mean":
            return reductions.in_optimizer(ev, tree, name.id)
        case "where":
            return _where(ev, tree)
        case "~output":
            return evaluate_output(ev, tree)
        case "~moved":
            return gradients.evaluate_moved(ev, tree)
        case "~fluctuation":
            return evaluate_fluctuation(ev, tree)
        case "~frobenius":
            return evaluate_size(ev, tree)
        case _:
            return _call_bound(ev, tree, name)


def _call_bound(ev: Evaluation, tree: ast.Call, name: ast.Name) -> Value:
    """A call of a function, or of an optimizer."""
    entry = ev.scope.find(name.id) if name.id not in FUNCTIONS else None
    if isinstance(entry, Rule):
        if ev.call_optimizer is None:
            raise TypeFault(
                "an optimizer is called in the update of a parameter",
                tree.span,
                hint="for example W -= eta * adam(grad(loss, W))",
            )
        return ev.call_optimizer(ev, entry, tree)
    if isinstance(entry, Variable | Array | Constant):
        raise TypeFault(f"'{name.id}' is not a function", name.span, hint="a product needs *, an operator @")
    fn = functions.find_function(ev.scope, name, len(tree.arguments), tree)
    return _entrywise(ev, fn, tree.arguments, tree)


def _average(ev: Evaluation, tree: ast.Call) -> Value:
    (argument,) = functions.arguments(tree, 1)
    with ev.unbraced():
        value = ev.value(argument)
    if isinstance(value, Term) and value.is_operator:
        raise TypeFault("an operator has no average", argument.span, hint=ENTRIES)
    if not isinstance(value, Term) or value.order == 0:
        hint = "avg averages over the width; sum[k](…) and mean[k](…) reduce static indices"
        raise TypeFault(f"avg takes a vector or a tensor, and this is a {noun(value)}", argument.span, hint=hint)
    return average_over(value, value.width, ev.place(tree))


def _where(ev: Evaluation, tree: ast.Call) -> Value:
    functions.check_call(tree, "where", len(tree.arguments), 3, 3)
    comparator, left, right = functions.comparison(tree.arguments[0])
    return _entrywise(ev, comparison_where(comparator), (left, right, *tree.arguments[1:]), tree)


def _entrywise(ev: Evaluation, fn: Fn, trees: Sequence[ast.Expr], tree: ast.Call) -> Value:
    values = [ev.value(part) for part in trees]
    for value, part in zip(values, trees, strict=True):
        if isinstance(value, Term) and value.is_operator:
            raise TypeFault("an entrywise function of an operator is not defined", part.span, hint=ENTRIES)
    pairs = zip(values, trees, strict=True)
    arrays = [(value, part) for value, part in pairs if isinstance(value, Term) and value.order]
    for (first, left), (second, right) in pairwise(arrays):
        algebra.check_orders(first, second, ev.site(tree, left, right))
    return functions.apply(fn, values, ev.place(tree), [part.span for part in trees])

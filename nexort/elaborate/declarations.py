"""Declarations: params, data, initial values, functions, optimizers and imports (LANGUAGE §3)."""

from __future__ import annotations

from typing import Literal

from nexort.elaborate import data as arrays
from nexort.elaborate.constants import check_axes, number_at, size_at
from nexort.elaborate.families import Region, Variable
from nexort.elaborate.functions import Body
from nexort.elaborate.imports import find_import, parse_import
from nexort.elaborate.optimizers import check_optimizer
from nexort.elaborate.scope import Array, Constant, Function, Network, Rule, check_bindable
from nexort.elaborate.unrolling import Unrolling
from nexort.elaborate.values import Width, check_finite
from nexort.errors import DataFault, NameFault, NexortError, SyntaxFault, TypeFault
from nexort.graph import InitialMatrix, InitialScalar, InitialVector, Node, Type
from nexort.graph.terms import data
from nexort.symbolic import limit_at_infinity, width_symbol
from nexort.syntax import ast
from nexort.training import Model

InitialKind = Literal["scalar", "vector", "matrix"]
MATRIX_LAW = "the entries of a matrix are N(0, c/n): write ~ N(0, 2/n)"

Declaration = ast.Param | ast.Data | ast.Def | ast.Optimizer | ast.Model | ast.Import


def declare(unroller: Unrolling, tree: Declaration) -> None:
    """All declarations but `scalar`, `vector` and `matrix`."""
    if unroller.depth:
        raise SyntaxFault(
            "this declaration stands outside blocks",
            tree.span,
            hint="only scalar, vector and matrix are declared inside a loop or an if",
        )
    match tree:
        case ast.Param():
            for binding in tree.bindings:
                _declare_param(unroller, binding)
        case ast.Data():
            for item in tree.items:
                _declare_data(unroller, item)
        case ast.Def():
            check_bindable(tree.name)
            unroller.scope.declare(tree.name, Function(Body(unroller.scope, tree).read(), tree.name.span))
        case ast.Optimizer():
            check_optimizer(tree)
            unroller.scope.declare(tree.name, Rule(tree, unroller.scope, tree.name.span))
        case ast.Model():
            model = Model(tree)
            model.check()
            unroller.scope.declare(tree.name, Network(model, tree.name.span))
        case ast.Import():
            _import(unroller, tree)


def _declare_param(unroller: Unrolling, binding: ast.Binding) -> None:
    name = binding.name.id
    unroller.params.append(name)
    if name in unroller.settings:
        value = check_finite(unroller.settings[name], binding.span)
    elif binding.value is None:
        raise TypeFault(f"the param '{name}' needs a value", binding.span, hint=f"write param {name} = 1")
    else:
        value = number_at(binding.value, unroller.evaluator().value, "a param")
    unroller.scope.declare(binding.name, Constant(value, "param", binding.name.span))


# ----------------------------------------------------------------------- data


def _declare_data(unroller: Unrolling, item: ast.DataItem) -> None:
    name = item.name.id
    check_bindable(item.name)
    check_axes(len(item.shape), item.span)
    if name in unroller.given:
        array = arrays.check_array(item, unroller.given[name])
    elif item.standin is None:
        raise arrays.missing(item, unroller.given)
    else:
        array = arrays.standin(item, _known_shape(unroller, item), unroller.evaluator().value)
    _fix_shape(unroller, item, array.shape)
    unroller.scope.declare(item.name, Array(data(name, array, item.span), item.name.span))


def _known_shape(unroller: Unrolling, item: ast.DataItem) -> tuple[int, ...] | None:
    """The declared lengths, if all are known."""
    evaluate = unroller.evaluator().value
    sizes: list[int] = []
    for tree in item.shape:
        if isinstance(tree, ast.Name) and unroller.scope.find(tree.id) is None:
            return None
        sizes.append(size_at(tree, evaluate))
    return tuple(sizes)


def _fix_shape(unroller: Unrolling, item: ast.DataItem, shape: tuple[int, ...]) -> None:
    """A shape name takes the array's length, or must have it already."""
    scope = unroller.scope
    for axis, (tree, size) in enumerate(zip(item.shape, shape, strict=True)):
        if isinstance(tree, ast.Name) and scope.find(tree.id) is None:
            unroller.shapes.add(tree.id)
            scope.declare(tree, Constant(size, "shape", tree.span))
            continue
        wanted = size_at(tree, unroller.evaluator().value)
        if wanted != size:
            entry = scope.find(tree.id) if isinstance(tree, ast.Name) else None
            is_param = isinstance(entry, Constant) and entry.origin == "param"
            hint = (
                f"use --set {tree.span.text}={size}" if is_param else "the arrays that share a shape name agree in it"
            )
            raise DataFault(
                f"axis {axis} of '{item.name.id}' has {size} elements, and its declaration says {_said(tree, wanted)}",
                tree.span,
                hint=hint,
            )


def _said(tree: ast.Expr, value: int) -> str:
    return str(value) if isinstance(tree, ast.Number) else f"{tree.span.text} = {value}"


# ------------------------------------------------------------- initial values


def declare_initial(unroller: Unrolling, kind: InitialKind, item: ast.InitialItem) -> None:
    """One initial scalar, vector or matrix, or a family of them: new ones in each pass of a loop."""
    check_bindable(item.name)
    check_axes(len(item.shape), item.span)
    evaluate = unroller.evaluator().value
    shape = tuple(size_at(tree, evaluate) for tree in item.shape)
    match kind:
        case "scalar":
            node = _initial_scalar(unroller, item, shape)
        case "vector":
            node = _initial_vector(unroller, item, shape)
        case "matrix":
            node = _initial_matrix(unroller, item, shape)
    variable = Variable(item.name.id, len(shape), item.name.span, kind, shape)
    variable.bind(Region(pattern=variable.whole, node=node, span=item.span))
    unroller.scope.declare(item.name, variable)


def _initial_scalar(unroller: Unrolling, item: ast.InitialItem, shape: tuple[int, ...]) -> Node:
    """A number or a random scalar; of one that is random and outside loops, the array that is given for it."""
    name = item.name.id
    if item.law is None and item.value is None:
        raise TypeFault(
            f"the scalar '{name}' needs its initial value",
            item.span,
            hint=f"write scalar {item.span.text} = 1, or ~ N(0, 1)",
        )
    mean, variance = _law(unroller, item, "a scalar")
    if variance > 0 and not unroller.passes:
        given = unroller.starts.take(unroller.start_prefix + name, shape, item.span)
        if given is not None:
            return data(name, given, item.span)
    return InitialScalar(
        type=Type(shape),
        name=unroller.prefix + name,
        mean=mean,
        variance=variance,
        span=item.span,
        passes=unroller.passes,
    )


def _initial_vector(unroller: Unrolling, item: ast.InitialItem, shape: tuple[int, ...]) -> Node:
    mean, variance = _law(unroller, item, "a vector")
    return InitialVector(
        type=Type(shape, 1),
        name=unroller.prefix + item.name.id,
        mean=mean,
        variance=variance,
        span=item.span,
        passes=unroller.passes,
    )


def _initial_matrix(unroller: Unrolling, item: ast.InitialItem, shape: tuple[int, ...]) -> Node:
    return InitialMatrix(
        type=Type(shape, 2, is_operator=True),
        name=unroller.prefix + item.name.id,
        variance=_matrix_variance(unroller, item),
        span=item.span,
        passes=unroller.passes,
    )


def _law(unroller: Unrolling, item: ast.InitialItem, what: str) -> tuple[float, float]:
    """(mean, variance) of the entries: N(0, 1) if nothing is said, N(c, 0) behind `= c`."""
    evaluate = unroller.evaluator().value
    if item.value is not None:
        return float(number_at(item.value, evaluate, f"the initial value of {what}")), 0.0
    if item.law is None:
        return 0.0, 1.0
    mean = number_at(item.law.mean, evaluate, f"the mean of {what}")
    variance = number_at(item.law.variance, evaluate, f"the variance of {what}")
    if variance < 0:
        raise TypeFault(
            f"a variance of {variance:g} is negative", item.law.variance.span, hint="write ~ N(mean, variance)"
        )
    return float(mean), float(variance)


def _matrix_variance(unroller: Unrolling, item: ast.InitialItem) -> float:
    """The law N(0, c/n) of a matrix's entries: c; 0 behind `= 0`."""
    evaluate = unroller.evaluator().value
    if item.value is not None:
        if number_at(item.value, evaluate, "the initial value of a matrix") != 0:
            raise TypeFault("a matrix starts at random, or at 0", item.value.span, hint=MATRIX_LAW)
        return 0.0
    if item.law is None:
        return 1.0
    mean = number_at(item.law.mean, evaluate, "the mean of a matrix")
    variance = evaluate(item.law.variance)
    if mean != 0:
        raise TypeFault("the mean of a matrix is 0", item.law.mean.span, hint=MATRIX_LAW)
    scaled = variance.expression * width_symbol() if isinstance(variance, Width) else None
    if scaled is None or not scaled.is_number:
        raise TypeFault("the variance of a matrix is a number divided by n", item.law.variance.span, hint=MATRIX_LAW)
    value = float(limit_at_infinity(scaled))
    if not 0 <= value < float("inf"):
        raise TypeFault(f"a variance of {value:g}/n is not possible", item.law.variance.span, hint=MATRIX_LAW)
    return value


# -------------------------------------------------------------------- imports


def _import(unroller: Unrolling, tree: ast.Import) -> None:
    """Run the declarations of an imported file, once."""
    try:
        source = find_import(tree)
        if unroller.imports.get(source.name):
            raise NameFault(
                f"the import of '{tree.path}' is circular", tree.span, hint="two files cannot import each other"
            )
        if source.name not in unroller.imports:
            unroller.imports[source.name] = True
            unroller.block(parse_import(source).body)
            unroller.imports[source.name] = False
    except NexortError:
        unroller.scope.is_complete = False
        raise

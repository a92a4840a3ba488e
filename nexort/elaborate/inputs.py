"""The arrays that a network is trained on: one element of the first axis for each input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nexort.elaborate.constants import Evaluate, size_at
from nexort.elaborate.scope import Array, Constant, Scope
from nexort.errors import DataFault, IndexFault, TypeFault
from nexort.errors import Label as Mark
from nexort.syntax import ast, walk_nodes
from nexort.training import Model


@dataclass(frozen=True, slots=True)
class Inputs:
    """`size` inputs; `arguments` are the arrays that the model's arguments are, by name."""

    size: int
    arguments: Mapping[str, str]


def bind_inputs(tree: ast.Train, model: Model, outer: Scope, scope: Scope, evaluate: Evaluate) -> Inputs:
    """Check the arrays behind `on`, of the program's scope `outer`; the lengths of their axes become the model's shape
    names in `scope`."""
    arrays = [_array(name, outer) for name in tree.arrays]
    size = _count(tree.arrays, arrays)
    items = list(model.arguments.values())
    if len(items) > len(arrays):
        raise TypeFault(
            f"the model '{model.name}' has {len(items)} arguments, and {len(arrays)} arrays stand here",
            tree.arrays[-1].span,
            Mark(items[-1].span, "this one has none"),
            hint="on lists the arrays of the arguments, then those that the loss reads",
        )
    for item, name, entry in zip(items, tree.arrays, arrays, strict=False):
        _fix_shape(item, name, entry.node.type.shape[1:], scope, evaluate)
    return Inputs(size, {item.name.id: name.id for item, name in zip(items, tree.arrays, strict=False)})


def _array(name: ast.Name, scope: Scope) -> Array:
    entry = scope.get(name)
    if not isinstance(entry, Array) or not entry.node.type.shape:
        hint = "declare it: data xi[M, d]; its first axis counts the inputs"
        raise TypeFault(f"'{name.id}' is not a data array with an axis of inputs", name.span, hint=hint)
    return entry


def _count(names: Sequence[ast.Name], arrays: Sequence[Array]) -> int:
    size = arrays[0].node.type.shape[0]
    for name, entry in zip(names, arrays, strict=True):
        own = entry.node.type.shape[0]
        if own != size:
            raise IndexFault(
                f"'{name.id}' has {own} inputs and '{names[0].id}' has {size}",
                name.span,
                Mark(names[0].span, f"{size} here"),
                hint="the first axis of every array counts the inputs",
            )
    return size


def _fix_shape(item: ast.DataItem, name: ast.Name, shape: Sequence[int], scope: Scope, evaluate: Evaluate) -> None:
    if len(item.shape) != len(shape):
        raise IndexFault(
            f"'{name.id}' has {len(shape)} axes for each input, and '{item.name.id}' has {len(item.shape)}",
            name.span,
            Mark(item.span, "declared here"),
            hint="the array has the axis of inputs first, and then those of the argument",
        )
    for part, length in zip(item.shape, shape, strict=True):
        if isinstance(part, ast.Name) and scope.find(part.id) is None:
            scope.entries[part.id] = Constant(length, "shape", part.span)
            continue
        wanted = size_at(part, evaluate)
        if wanted != length:
            raise DataFault(
                f"'{name.id}' has {length} elements where the model's '{item.name.id}' has {wanted}",
                name.span,
                Mark(part.span, f"{wanted} here"),
                hint="give the model arrays of the shapes that it declares",
            )


def arrays_of_inputs(tree: ast.Expr, size: int, scope: Scope) -> frozenset[str]:
    """Data arrays without brackets in an expression that have an element for each input."""
    indexed = {id(node.base) for node in walk_nodes(tree) if isinstance(node, ast.Subscript)}
    bare = {node.id for node in walk_nodes(tree) if isinstance(node, ast.Name) and id(node) not in indexed}
    entries = ((name, scope.find(name)) for name in bare)
    return frozenset(
        name for name, entry in entries if isinstance(entry, Array) and entry.node.type.shape[:1] == (size,)
    )

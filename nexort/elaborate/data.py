"""Data arrays: from a file, or the stand-ins of a `data` declaration (LANGUAGE §3)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from nexort.elaborate.constants import Evaluate, check_axes, integer_at, number_at
from nexort.elaborate.reading import names_called
from nexort.errors import DataFault, NexortError, SizeFault, TypeFault, suggest
from nexort.syntax import ast

Array = np.ndarray[Any, np.dtype[np.float64]]
MAX_ENTRIES = 10**8
MAX_LISTED = 10**6
KINDS = ("normal", "uniform", "sphere", "rademacher", "linspace")


def load_data(path: str | Path, *, option: str = "--data") -> dict[str, Array]:
    """The arrays of an .npz file, as they are (pickled objects are refused); checked when a program uses them."""
    path = Path(path)
    hint = "write it with np.savez(path, xi=xi)"
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataFault(f"{path} is a single array, not an .npz archive", hint=hint)
            with archive:
                return {name: _member(archive, name, path) for name in archive.files}
    except FileNotFoundError:
        raise DataFault(f"the data file {path} does not exist", hint=f"check the path behind {option}") from None
    except NexortError:
        raise
    except Exception as fault:  # a broken file may raise anything
        if "pickle" in str(fault):
            raise _pickled(path, None) from None
        raise DataFault(f"{path} cannot be read as an .npz archive: {fault}", hint=hint) from None


def _pickled(path: Path, name: str | None) -> DataFault:
    where = f"the array '{name}' in {path}" if name else str(path)
    return DataFault(
        f"{where} holds pickled objects, which are not loaded", hint="save plain number arrays with np.savez"
    )


def _member(archive: Any, name: str, path: Path) -> Array:
    try:
        return archive[name]
    except Exception as fault:  # a broken file may raise anything
        if "pickle" in str(fault):
            raise _pickled(path, name) from None
        raise DataFault(f"the array '{name}' in {path} cannot be read: {fault}", hint="write the file again") from None


def check_array(item: ast.DataItem, array: object) -> Array:
    """A given array as float64, or the reason why it cannot be one."""
    name = item.name.id
    try:
        given = np.asarray(array)
    except ValueError:
        raise DataFault(f"the data array '{name}' is ragged", item.span, hint="a data array is rectangular") from None
    if given.dtype.kind not in "fiub":
        raise DataFault(
            f"the data array '{name}' has entries of type {given.dtype}",
            item.span,
            hint="give real numbers (float or int)",
        )
    if given.ndim != len(item.shape):
        raise DataFault(
            f"the data array '{name}' has {given.ndim} axes (shape {given.shape}), "
            f"and the program declares {len(item.shape)}",
            item.span,
            hint="reshape the array, or declare its axes",
        )
    if given.size > MAX_ENTRIES:
        raise SizeFault(f"the data array '{name}' has {given.size} entries, over the bound of {MAX_ENTRIES}", item.span)
    if 0 in given.shape:
        raise DataFault(
            f"the data array '{name}' is empty (shape {given.shape})", item.span, hint="an axis needs an element"
        )
    with np.errstate(over="ignore"):
        result = given.astype(np.float64)
    if not np.isfinite(result).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
        raise DataFault(
            f"the data array '{name}' is not finite at {list(where)}", item.span, hint="remove NaN and infinite entries"
        )
    return result


def missing(item: ast.DataItem, given: Mapping[str, object]) -> NexortError:
    name = item.name.id
    stand_in = f"data {item.span.text} = normal(seed=1)"
    hint = suggest(name, given) or f"give the key '{name}' in --data FILE.npz, or a stand-in: {stand_in}"
    return DataFault(f"no data for '{name}'", item.span, hint=hint)


def standin(item: ast.DataItem, shape: tuple[int, ...] | None, evaluate: Evaluate) -> Array:
    """The built-in array of a declaration; `shape` is None where a list gives it."""
    tree = item.standin
    assert tree is not None
    while isinstance(tree, ast.Paren):
        tree = tree.body
    if not (isinstance(tree, ast.Call) and isinstance(tree.function, ast.Name) and tree.function.id in KINDS):
        array = _listed(tree, evaluate)
        return check_array(item, np.full(shape, array) if array.ndim == 0 and shape else array)
    if shape is None:
        raise DataFault(
            f"nothing fixes the shape of '{item.name.id}'",
            item.span,
            hint="declare a param of that name, give numbers, or give the array with --data",
        )
    count = prod(shape)
    if count > MAX_ENTRIES:
        raise SizeFault(f"'{item.name.id}' would have {count} entries, over the bound of {MAX_ENTRIES}", item.span)
    if tree.function.id == "linspace":
        return check_array(item, _linspace(tree, shape, evaluate))
    return _random(item, tree.function.id, _seed(tree, evaluate), shape)


def _random(item: ast.DataItem, kind: str, seed: int, shape: tuple[int, ...]) -> Array:
    """A random array; its stream belongs to the kind, the name and the seed."""
    key = int.from_bytes(sha256(f"{kind}/{item.name.id}/{seed}".encode()).digest()[:16], "little")
    generator = np.random.Generator(np.random.Philox(key=key))
    match kind:
        case "normal":
            return generator.standard_normal(shape)
        case "uniform":
            return generator.random(shape)
        case "rademacher":
            return generator.integers(0, 2, shape).astype(np.float64) * 2.0 - 1.0
        case _:
            points = generator.standard_normal(shape)
            if not shape:
                raise DataFault("sphere gives rows, and a number has none", item.span, hint="declare an axis")
            return (points / np.linalg.norm(points, axis=-1, keepdims=True)).astype(np.float64)


def _seed(tree: ast.Call, evaluate: Evaluate) -> int:
    if tree.arguments:
        raise TypeFault("a stand-in takes seed= only", tree.arguments[0].span, hint="write normal(seed=1)")
    for keyword in tree.keywords:
        if keyword.name.id != "seed":
            raise TypeFault(
                f"a stand-in has no argument '{keyword.name.id}'", keyword.span, hint="write normal(seed=1)"
            )
    values = [integer_at(keyword.value, evaluate, "a seed") for keyword in tree.keywords]
    return values[-1] if values else 0


def _linspace(tree: ast.Call, shape: tuple[int, ...], evaluate: Evaluate) -> Array:
    if len(tree.arguments) != 2 or tree.keywords or len(shape) != 1:
        raise DataFault("linspace(a, b) fills one axis from a to b", tree.span, hint="data s[M] = linspace(0, 1)")
    low, high = (float(number_at(part, evaluate, "an end of linspace")) for part in tree.arguments)
    return np.linspace(low, high, shape[0])


def _listed(tree: ast.Expr, evaluate: Evaluate) -> Array:
    """Lists, joined with + and repeated with * as in Python; a number is an array without axes."""
    match tree:
        case ast.Paren():
            return _listed(tree.body, evaluate)
        case ast.ListLiteral():
            items = [_listed(part, evaluate) for part in tree.items]
            if len({item.shape for item in items}) > 1:
                hint = "a data array is rectangular"
                raise DataFault("the rows of this list have different lengths", tree.span, hint=hint)
            _check_length(sum(item.size for item in items), tree)
            check_axes(max((item.ndim for item in items), default=0) + 1, tree.span)
            return np.array(items, dtype=np.float64)
        case ast.Binary(operator="+" | "*") if _has_list(tree):
            return _combined(tree, evaluate)
        case ast.Binary() | ast.Call() if names_called(tree) & set(KINDS):
            hint = "write data x[M] = normal(seed=1), and compute with x in the program"
            raise TypeFault("a random or spaced stand-in stands alone", tree.span, hint=hint)
        case _:
            return np.array(float(number_at(tree, evaluate, "an entry of a data array")))


def _combined(tree: ast.Binary, evaluate: Evaluate) -> Array:
    left, right = _listed(tree.left, evaluate), _listed(tree.right, evaluate)
    if tree.operator == "+" and left.ndim and right.ndim:
        parts = [part for part in (left, right) if part.size] or [left]
        if len({part.shape[1:] for part in parts}) > 1:
            hint = "a data array is rectangular"
            raise DataFault("the rows of these lists have different lengths", tree.span, hint=hint)
        _check_length(left.size + right.size, tree)
        return np.concatenate(parts)
    if tree.operator == "*" and bool(left.ndim) != bool(right.ndim):
        array, count_tree = (left, tree.right) if left.ndim else (right, tree.left)
        times = max(integer_at(count_tree, evaluate, "the count of repetitions"), 0)
        _check_length(array.size * times, tree)
        return np.concatenate([array] * times) if times else array[:0]
    raise TypeFault("lists are joined with + and repeated with * and an integer", tree.span, hint="[1] * 3 + [0]")


def _check_length(entries: int, tree: ast.Expr) -> None:
    if entries > MAX_LISTED:
        hint = "give large arrays with --data"
        raise SizeFault(f"this list is longer than {MAX_LISTED} entries", tree.span, hint=hint)


def _has_list(tree: ast.Expr) -> bool:
    match tree:
        case ast.ListLiteral():
            return True
        case ast.Paren():
            return _has_list(tree.body)
        case ast.Binary():
            return _has_list(tree.left) or _has_list(tree.right)
        case _:
            return False

"""Output vectors: the vector parameters v that stand in what a model returns as v * z, and nowhere else.

Only with such a *fresh* readout is the output at initialisation a Gaussian process, f_0 → N(0, ⟨z⎸z⟩) (TP4b Theorem
2.9.19 needs more than a mean-zero output: (W relu u)² − 1/2 has variance 1.75, not 0.5), and only then has it exponents
a_{L+1}, b_{L+1} of its own.

Each name of the body is read as *free* of the vector parameters that are still candidates, *linear* in some (a sum of
terms, each with one of them as a factor), or *other*; a candidate that goes into an other is none.
"""

from __future__ import annotations

from functools import reduce

from nexort.syntax import ast
from nexort.training.model import Model, names_of, target_name

Linear = frozenset[str]
"""The candidates that a value is linear in; empty where it is free of all."""


def find_readouts(model: Model) -> frozenset[str]:
    """The output vectors of a model: empty unless every returned value is linear in them and them alone."""
    reader = _Reader(model)
    while True:
        results = reader.read()
        if not reader.has_changed:
            break
    if not all(results):
        return frozenset()
    found = frozenset[str]().union(*results)
    return found if found <= reader.candidates else frozenset()


class _Reader:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.candidates = {name for name, part in model.parameters.items() if part.kind == "vector"}
        self.locals: dict[str, Linear] = {}
        self.has_changed = False

    def read(self) -> list[Linear]:
        """One reading of the body; `has_changed` tells that another one may find less."""
        self.has_changed = False
        for statement in self.model.assignments:
            if is_zero(statement.value) and statement.operator in ("=", "+=", "-="):
                continue  # p = 0 before p += v * z
            name, _ = target_name(statement.target)
            known, value = self.locals.get(name), self.linear(statement.value)
            if statement.operator in ("*=", "/="):
                value = self.refuse(value) | (known or frozenset())
            elif known is not None and bool(known) != bool(value):
                value = self.refuse(known | value)  # v * z in one place, and free of v in another
            value |= known or frozenset()
            if value != known:
                self.locals[name] = value
                self.has_changed = True
        return [self.linear(part) for part in self.model.returned]

    def refuse(self, names: Linear) -> Linear:
        if names & self.candidates:
            self.candidates -= names
            self.has_changed = True
        return frozenset()

    def linear(self, tree: ast.Expr) -> Linear:
        """What an expression is linear in; candidates that it is not linear in are refused."""
        match tree:
            case ast.Name() | ast.Subscript(base=ast.Name()):
                name = tree.id if isinstance(tree, ast.Name) else tree.base.id  # pyright: ignore[reportAttributeAccessIssue]
                if name in self.candidates:
                    return frozenset({name})
                return self.locals.get(name, frozenset()) & self.candidates
            case ast.Number():
                return frozenset()
            case ast.Paren():
                return self.linear(tree.body)
            case ast.Unary():
                return self.linear(tree.operand)
            case ast.Braces():
                return self.linear(tree.base)
            case ast.Binary(operator="+" | "-"):
                return self._sum(self.linear(tree.left), self.linear(tree.right), tree)
            case ast.Binary(operator="*"):
                left, right = self.linear(tree.left), self.linear(tree.right)
                return self.refuse(left | right) if left and right else left | right
            case ast.Binary(operator="/"):
                self.refuse(self.linear(tree.right))
                return self.linear(tree.left)
            case ast.Call(function=ast.Subscript(base=ast.Name(id="sum" | "mean"))):
                return self.linear(tree.arguments[0]) if len(tree.arguments) == 1 else self._other(tree)
            case _:
                return self._other(tree)

    def _sum(self, left: Linear, right: Linear, tree: ast.Binary) -> Linear:
        is_mixed = bool(left) != bool(right) and not (is_zero(tree.left) or is_zero(tree.right))
        return self.refuse(left | right) if is_mixed else left | right

    def _other(self, tree: ast.Expr) -> Linear:
        read = names_of(tree)
        inside = reduce(frozenset.union, (self.locals.get(name, frozenset()) for name in read), frozenset[str]())
        return self.refuse(frozenset(read & self.candidates) | inside)


def is_zero(tree: ast.Expr) -> bool:
    return isinstance(tree, ast.Number) and tree.value == 0

"""What a `model` says: its parameters, its body, what it returns, and which of its names depend on the input.

A model is a network on one input.  `Batch` rewrites its statements for all inputs at once: every name that depends on
the input gets the index of the input as its first static index, so that `h = W @ x` becomes `h[a < M] = W @ x[a]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from nexort.errors import Label as Mark
from nexort.errors import NameFault, SyntaxFault, TypeFault
from nexort.source import Span
from nexort.syntax import ast, walk_nodes
from nexort.training.exponents import Kind
from nexort.training.pieces import number
from nexort.training.quote import rebuild


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A parameter as the model declares it."""

    name: str
    kind: Kind
    item: ast.InitialItem
    span: Span


@dataclass(frozen=True)
class Model:
    """A model's statements, read; raises SyntaxFault and NameFault for what cannot be one."""

    tree: ast.Model

    @property
    def name(self) -> str:
        return self.tree.name.id

    def check(self) -> None:
        """Raise what is wrong with the model by itself."""
        read = {name for part in (*self.body, self._return) for name in names_of(part)}
        _ = self.arguments, self.returned
        for statement in self.assignments:
            name, _ = target_name(statement.target)
            if name in self.parameters:
                raise NameFault(
                    f"the parameter '{name}' is bound again",
                    statement.target.span,
                    Mark(self.parameters[name].span, "declared here"),
                    hint="only training changes a parameter: give the new value a name of its own",
                )
        for name, declared in self.parameters.items():
            if name not in read:
                hint = "use it in what the model returns, or leave it out"
                raise NameFault(f"the parameter '{name}' is not used", declared.span, hint=hint)

    @cached_property
    def arguments(self) -> dict[str, ast.DataItem]:
        found: dict[str, ast.DataItem] = {}
        for item in self.tree.arguments:
            if item.name.id in found:
                hint = "name each argument once"
                raise NameFault(f"the argument '{item.name.id}' occurs twice", item.name.span, hint=hint)
            found[item.name.id] = item
        return found

    @cached_property
    def parameters(self) -> dict[str, Declared]:
        found: dict[str, Declared] = {}
        for statement in walk_nodes(self.tree):
            if not isinstance(statement, ast.Initial):
                continue
            if statement not in self.tree.body:
                hint = "declare a family above the loop: matrix W[L]"
                raise SyntaxFault("a model declares its parameters outside of loops", statement.span, hint=hint)
            for item in statement.items:
                self._declare(found, statement, item)
        if not found:
            raise TypeFault(f"the model '{self.name}' has no parameters", self.tree.name.span, hint="vector u[d], v")
        return found

    def _declare(self, found: dict[str, Declared], statement: ast.Initial, item: ast.InitialItem) -> None:
        name = item.name.id
        if name in found or name in self.arguments:
            first = found[name].span if name in found else self.arguments[name].span
            raise NameFault(f"'{name}' is declared twice", item.name.span, Mark(first, "declared here"))
        found[name] = Declared(name=name, kind=statement.kind, item=item, span=item.name.span)

    @cached_property
    def returned(self) -> tuple[ast.Expr, ...]:
        """The returned values: one, or several heads."""
        value = self._return.value
        while isinstance(value, ast.Paren):
            value = value.body
        return value.items if isinstance(value, ast.Tuple) else (value,)

    @cached_property
    def _return(self) -> ast.Return:
        returns = [node for node in walk_nodes(self.tree) if isinstance(node, ast.Return)]
        hint = "end it with return v * x, a vector: the output is its average, scaled by the parametrization"
        if not returns:
            raise SyntaxFault(f"the model '{self.name}' returns nothing", self.tree.name.span, hint=hint)
        last = self.tree.body[-1]
        for node in returns:
            if node is not last:
                raise SyntaxFault("a model returns once, at its end", node.span, hint=hint)
        return returns[0]

    @cached_property
    def body(self) -> tuple[ast.Stmt, ...]:
        """The statements between the declarations and the return."""
        return tuple(part for part in self.tree.body if not isinstance(part, ast.Initial | ast.Return))

    @cached_property
    def assignments(self) -> tuple[ast.Assign, ...]:
        nodes = (node for statement in self.body for node in walk_nodes(statement))
        return tuple(node for node in nodes if isinstance(node, ast.Assign))

    @cached_property
    def local_axes(self) -> dict[str, int]:
        """The names that the body binds, with the number of static indices on the left."""
        found: dict[str, int] = {}
        for statement in self.assignments:
            name, indices = target_name(statement.target)
            found.setdefault(name, len(indices))
        return found

    @cached_property
    def batched(self) -> frozenset[str]:
        """The names that depend on the input: the arguments, and what is computed from such names."""
        found = set(self.arguments)
        edges = [(target_name(s.target)[0], names_of(s.value)) for s in self.assignments]
        size = 0
        while size < len(found):
            size = len(found)
            found.update(name for name, read in edges if read & found)
        return frozenset(found)

    @property
    def has_heads(self) -> bool:
        """Whether one input has several outputs."""
        return len(self.returned) > 1 or self.has_family_result

    @property
    def has_family_result(self) -> bool:
        """`return p` where the body binds p[b]: its elements are the heads."""
        (first, *others) = self.returned
        return not others and isinstance(first, ast.Name) and self.local_axes.get(first.id, 0) == 1

    def free_names(self) -> Iterator[ast.Name]:
        """Names that the model reads and does not bind: params, data, functions, indices."""
        bound = {*self.arguments, *self.parameters, *self.local_axes}
        for statement in (*self.body, self._return):
            for node in walk_nodes(statement):
                if isinstance(node, ast.Name) and node.id not in bound:
                    yield node


def target_name(target: ast.Expr) -> tuple[str, Sequence[ast.Expr]]:
    """The name on the left of an assignment, and its static indices."""
    base = target.base if isinstance(target, ast.Braces) else target
    indices: Sequence[ast.Expr] = ()
    if isinstance(base, ast.Subscript):
        base, indices = base.base, base.indices
    return (base.id, indices) if isinstance(base, ast.Name) else ("", ())


def names_of(tree: ast.Node) -> frozenset[str]:
    return frozenset(node.id for node in walk_nodes(tree) if isinstance(node, ast.Name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """All inputs at once: the names in `names` get the index `index`, which ranges over `size` inputs."""

    index: str
    size: int
    names: frozenset[str]
    renamed: Mapping[str, ast.Expr]
    """Names that stand for other trees: the arguments of the model, the step."""

    def statement(self, tree: ast.Stmt) -> ast.Stmt:
        match tree:
            case ast.Assign():
                name, _ = target_name(tree.target)
                value = self.expression(tree.value)
                target = self._target(tree) if name in self.names else tree.target
                return ast.Assign(span=tree.span, target=target, operator=tree.operator, value=value)
            case ast.For():
                return ast.For(
                    span=tree.span,
                    variable=tree.variable,
                    start=tree.start,
                    stop=tree.stop,
                    body=tuple(self.statement(part) for part in tree.body),
                )
            case ast.If():
                branches = (
                    ast.Branch(
                        span=part.span,
                        condition=part.condition,
                        body=tuple(self.statement(inner) for inner in part.body),
                    )
                    for part in tree.branches
                )
                return ast.If(span=tree.span, branches=tuple(branches))
            case _:
                hint = "it has declarations, assignments, for, if and one return"
                raise SyntaxFault("this statement cannot stand in a model", tree.span, hint=hint)

    def expression(self, tree: ast.Expr) -> ast.Expr:
        found = self._rewritten(tree)
        assert not isinstance(found, ast.Stmt | ast.Keyword)
        return found  # pyright: ignore[reportReturnType]

    def _rewritten(self, node: ast.Node) -> ast.Node:
        match node:
            case ast.Name():
                base = self._named(node)
                return self._indexed(base, (), node.span) if node.id in self.names else base
            case ast.Subscript(base=ast.Name() as name) if name.id in self.names:
                indices = tuple(self.expression(part) for part in node.indices)
                return self._indexed(self._named(name), indices, node.span)
            case ast.Keyword():
                return ast.Keyword(span=node.span, name=node.name, value=self.expression(node.value))
            case _:
                return rebuild(node, self._rewritten)

    def _named(self, name: ast.Name) -> ast.Expr:
        """What a name stands for, at its place."""
        return replace(self.renamed[name.id], span=name.span) if name.id in self.renamed else name

    def _indexed(self, base: ast.Expr, indices: tuple[ast.Expr, ...], span: Span) -> ast.Subscript:
        index = ast.Name(span=span, id=self.index)
        return ast.Subscript(span=span, base=base, indices=(index, *indices), unwritten=1)

    def _target(self, tree: ast.Assign) -> ast.Expr:
        """`h[a < M, i]`: the range stands there, since a constant right side does not tell it."""
        target = tree.target
        if isinstance(target, ast.Braces):
            inner = ast.Assign(span=tree.span, target=target.base, operator=tree.operator, value=tree.value)
            return ast.Braces(span=target.span, base=self._target(inner), indices=target.indices)
        span = target.span
        first: ast.Expr = ast.Name(span=span, id=self.index)
        if tree.operator == "=":
            first = ast.Compare(span=span, first=first, rest=(("<", number(self.size, span)),))
        name, indices = target_name(target)
        base = ast.Name(span=span, id=name)
        return ast.Subscript(span=span, base=base, indices=(first, *indices), unwritten=1)

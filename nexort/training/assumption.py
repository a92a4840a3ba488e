"""Whether the classification is proved for a network: TP4b Assumption 2.8.2.

It speaks of MLPs, v' φ(W φ(… φ(Σ_k u_k ξ_k))), with a smooth activation, trained by update functions that act on
entries, have no memory and keep signs.  For everything else the same inequalities are used, and are not proved; the
reasons are told one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from nexort.syntax import ast, walk_nodes
from nexort.training.homogeneity import value_at
from nexort.training.model import Model, names_of, target_name

SMOOTH = frozenset({"tanh", "gelu", "erf", "sigmoid", "silu", "softplus"})
WHOLE = frozenset({"avg", "rms", "row_mean", "col_mean"})
"""Functions that read other entries than their own."""
PROBES = (-3.0, -0.5, -1e-3, 1e-3, 0.5, 3.0)
"""Gradients at which an update function must have its argument's sign."""

Role = Literal["input", "vector", "matrix", "preactivation", "activation", "output", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateFunction:
    """An optimizer as it is called for a parameter."""

    tree: ast.Optimizer
    arguments: Mapping[str, float | None]
    is_normalized: bool
    """By a norm over all entries (`normalize`)."""


def outside_assumption(model: Model, readouts: Collection[str], updates: Collection[UpdateFunction]) -> tuple[str, ...]:
    """Where the assumption does not hold, a reason each; none where it does."""
    reasons = [*_network_reasons(model, readouts)]
    for update in updates:
        reasons.extend(_update_reasons(update))
    return tuple(dict.fromkeys(reasons))


# -------------------------------------------------------------------- updates


def _update_reasons(update: UpdateFunction) -> Iterator[str]:
    name = update.tree.name.id
    nodes = list(walk_nodes(update.tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    if update.is_normalized:
        yield "normalized updates are not entrywise"
    if names & WHOLE or any(_is_contraction(node) for node in nodes):
        yield f"the optimizer {name} is not entrywise"
    elif any(isinstance(node, ast.State) for node in nodes) or _counts_steps(nodes):
        yield f"the optimizer {name} has memory"
    elif not _keeps_signs(update):
        yield f"the optimizer {name} is not known to keep the sign of its gradient"


def _is_contraction(node: ast.Node) -> bool:
    return isinstance(node, ast.BraKet | ast.KetBra) or (isinstance(node, ast.Binary) and node.operator == "@")


def _counts_steps(nodes: Collection[ast.Node]) -> bool:
    """`step` apart from the function of that name."""
    called = {id(node.function) for node in nodes if isinstance(node, ast.Call)}
    return any(isinstance(node, ast.Name) and node.id == "step" and id(node) not in called for node in nodes)


def _keeps_signs(update: UpdateFunction) -> bool:
    values = ((gradient, value_at(update.tree, update.arguments, gradient)) for gradient in PROBES)
    return all(value is not None and value * gradient > 0 for gradient, value in values)


# -------------------------------------------------------------------- network


def _network_reasons(model: Model, readouts: Collection[str]) -> Iterator[str]:
    scalars = [name for name, part in model.parameters.items() if part.kind == "scalar"]
    if scalars:
        yield f"scalar parameters ({', '.join(scalars)})"
    matrices = {name for name, part in model.parameters.items() if part.kind == "matrix"}
    transposed = sorted(_transposed(model) & matrices)
    if transposed:
        yield f"transposed matrices ({', '.join(transposed)})"
    reused = sorted(_reused(model, matrices))
    if reused:
        yield f"matrices that are used more than once ({', '.join(reused)})"
    reader = _Layers(model, frozenset(readouts), matrices)
    is_mlp = reader.read()
    if not is_mlp and not (transposed or reused):
        yield "the network is not an MLP"
    if is_mlp:
        yield from (f"the activation {name} is not known to be smooth" for name in sorted(reader.activations - SMOOTH))
        if reader.has_biases:
            yield "biases"


def _transposed(model: Model) -> set[str]:
    primes = (
        node.base for statement in model.tree.body for node in walk_nodes(statement) if isinstance(node, ast.Prime)
    )
    return {name for base in primes for name in names_of(base)}


def _reused(model: Model, matrices: Collection[str]) -> Iterator[str]:
    """Matrices that stand twice in the text, with the same static indices, or in a loop without its variable."""
    seen = set[tuple[str, ...]]()
    for use, indices, loops in _uses(model.tree.body, matrices, ()):
        if use in seen or not loops <= indices:
            yield use[0]
        seen.add(use)


def _uses(
    statements: Collection[ast.Stmt], matrices: Collection[str], loops: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], frozenset[str], frozenset[str]]]:
    """Each place where a matrix stands: its name and indices as text, names in them, variables of the loops around."""
    for statement in statements:
        if isinstance(statement, ast.For):
            yield from _uses(statement.body, matrices, (*loops, statement.variable.id))
            continue
        if isinstance(statement, ast.Initial):
            continue
        indices = {id(node.base): node.indices for node in walk_nodes(statement) if isinstance(node, ast.Subscript)}
        for node in walk_nodes(statement):
            if isinstance(node, ast.Name) and node.id in matrices:
                own = indices.get(id(node), ())
                names = frozenset[str]().union(*(names_of(part) for part in own))
                yield (node.id, *(part.span.text for part in own)), names, frozenset(loops)


@dataclass(slots=True)
class _Layers:
    """Reads the body as layers: what each name is, by the roles of what it is made of."""

    model: Model
    readouts: frozenset[str]
    matrices: Collection[str]
    roles: dict[str, Role] = field(default_factory=dict)
    activations: set[str] = field(default_factory=set)
    has_biases: bool = False

    def read(self) -> bool:
        """Whether the body is an MLP, of one output."""
        self.roles = {name: "matrix" if name in self.matrices else "vector" for name in self.model.parameters}
        self.roles |= dict.fromkeys(self.model.arguments, "input")
        if any(isinstance(node, ast.If) for statement in self.model.body for node in walk_nodes(statement)):
            return False
        for statement in self.model.assignments:
            name, _ = target_name(statement.target)
            role = self.role(statement.value) if statement.operator == "=" else "other"
            if self.roles.setdefault(name, role) != role:
                return False
        returned = [self.role(part) for part in self.model.returned]
        return returned == ["output"] and not self.model.has_family_result and "other" not in self.roles.values()

    def role(self, tree: ast.Expr) -> Role:
        match tree:
            case ast.Name():
                return self.roles.get(tree.id, "other")
            case ast.Subscript() | ast.Paren():
                return self.role(tree.base if isinstance(tree, ast.Subscript) else tree.body)
            case ast.Binary(operator="@"):
                is_layer = (self.role(tree.left), self.role(tree.right)) == ("matrix", "activation")
                return "preactivation" if is_layer else "other"
            case ast.Binary(operator="*"):
                return self._product(tree)
            case ast.Binary(operator="+"):
                is_biased = {self.role(tree.left), self.role(tree.right)} == {"preactivation", "vector"}
                self.has_biases |= is_biased
                return "preactivation" if is_biased else "other"
            case ast.Call():
                return self._call(tree)
            case _:
                return "other"

    def _product(self, tree: ast.Binary) -> Role:
        roles = {self.role(tree.left), self.role(tree.right)}
        if roles == {"input", "vector"}:
            return "preactivation"
        is_output = roles == {"vector", "activation"} and bool(names_of(tree) & self.readouts)
        return "output" if is_output else "other"

    def _call(self, tree: ast.Call) -> Role:
        function = tree.function
        if len(tree.arguments) != 1:
            return "other"
        inner = self.role(tree.arguments[0])
        if isinstance(function, ast.Subscript) and isinstance(function.base, ast.Name) and function.base.id == "sum":
            return "preactivation" if inner == "preactivation" else "other"
        if isinstance(function, ast.Name) and inner == "preactivation":
            self.activations.add(function.id)
            return "activation"
        return "other"

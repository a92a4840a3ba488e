"""A frozen program graph: outputs, and every node they need in an order of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from nexort.graph.nodes import Fluctuation, InitialScalar, Node
from nexort.source import Span

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, kw_only=True)
class Output:
    """A named result: one node per pass of the loops around it.

    `loops` are the lengths of the loop axes, outermost first; `nodes` has their product of nodes in C order, all of
    one type; the result has shape loops + node.type.shape.
    """

    name: str
    loops: tuple[int, ...]
    nodes: tuple[Node, ...]
    span: Span | None = None


@dataclass(frozen=True)
class Graph:
    """`order` lists every node that the outputs need, operands first."""

    outputs: tuple[Output, ...]
    order: tuple[Node, ...] = field(default=())
    notes: tuple[str, ...] = ()
    """What the user should know of the results."""
    is_lowered: bool = False
    """Whether it is as the limit is computed from it (`passes.lower_for_limit`)."""

    @cached_property
    def digraph(self) -> nx.MultiDiGraph[Node]:
        """The graph on networkx, edges from operand to user with attribute `position`."""
        import networkx as nx

        graph = nx.MultiDiGraph()
        graph.add_nodes_from(self.order)
        graph.add_edges_from(
            (operand, node, {"position": k}) for node in self.order for k, operand in enumerate(node.operands)
        )
        return graph

    @cached_property
    def users(self) -> dict[Node, list[Node]]:
        """The nodes that read each node, in order of evaluation."""
        users: dict[Node, list[Node]] = {node: [] for node in self.order}
        for node in self.order:
            for operand in dict.fromkeys(node.operands):
                users[operand].append(node)
        return users

    @cached_property
    def random(self) -> frozenset[Node]:
        """The values whose limit is random: they depend on a random scalar or a fluctuation."""
        found: set[Node] = set()
        for node in self.order:
            if is_random_start(node) or any(operand in found for operand in node.operands):
                found.add(node)
        return frozenset(found)

    @property
    def is_random(self) -> bool:
        """Whether the limit of some value is a distribution and not a number."""
        return bool(self.random)

    @property
    def results(self) -> tuple[Node, ...]:
        return tuple(node for output in self.outputs for node in output.nodes)


def is_random_start(node: Node) -> bool:
    return isinstance(node, Fluctuation) or (isinstance(node, InitialScalar) and node.variance > 0)


def build_graph(outputs: Iterable[Output], notes: Iterable[str] = ()) -> Graph:
    """The graph of the nodes that outputs need; what nothing needs is left out."""
    outputs = tuple(outputs)
    return Graph(outputs, topological_order(node for output in outputs for node in output.nodes), tuple(notes))


def topological_order(results: Iterable[Node]) -> tuple[Node, ...]:
    """Operands before users, depth first from the results in order (iterative: programs are deep)."""
    order: dict[Node, None] = {}
    for result in results:
        stack: list[tuple[Node, int]] = [(result, 0)]
        while stack:
            node, position = stack.pop()
            if node in order:
                continue
            if position < len(node.operands):
                stack.append((node, position + 1))
                stack.append((node.operands[position], 0))
            else:
                order[node] = None
    return tuple(order)


def rewrite(graph: Graph, rule: Callable[[Node], Node]) -> Graph:
    """The graph with `rule` applied to every node, operands first.

    `rule` gets the node on its already rewritten operands and returns a node of the same type.
    """
    new: dict[Node, Node] = {}
    for node in graph.order:
        new[node] = rule(node.with_operands(new[operand] for operand in node.operands))
    outputs = (replace(out, nodes=tuple(new[node] for node in out.nodes)) for out in graph.outputs)
    return build_graph(outputs, graph.notes)

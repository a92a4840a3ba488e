"""One text, read by elaboration and by the naive evaluator on the same draws.

`elaborated` evaluates the elaborated graph node by node, before any pass, so that what fails here is elaboration's.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.naive import static_spread, value
from nexort.elaborate import elaborate
from nexort.errors import FaultGroup, NexortError
from nexort.graph import Data, Graph, InitialMatrix, InitialScalar, InitialVector, Node
from nexort.graph.nodes import Alias, Apply, OperatorProduct, OperatorSum, Stop, Transpose
from nexort.graph.verify import verify_graph
from nexort.source import Source
from nexort.syntax import parse
from oracle.naive import NaiveRun

Arrays = dict[str, np.ndarray]


def compile_text(
    text: str, params: Mapping[str, float] | None = None, data: Mapping[str, object] | None = None, name: str = "<text>"
) -> Graph:
    graph = elaborate(parse(Source(name, text)), settings=dict(params or {}), data=data)
    verify_graph(graph)
    return graph


def faults(text: str, **options: Any) -> list[NexortError]:
    """The faults of a wrong text, one by one."""
    try:
        compile_text(text, **options)
    except FaultGroup as group:
        return list(group.faults)
    except NexortError as fault:
        return [fault]
    return []


def draw(kind: str, n: int, name: str, passes: tuple[int, ...], element: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng([zlib.crc32(name.encode()), *passes, 1 << 20, *element])
    if kind == "scalar":
        return rng.standard_normal(())
    return rng.standard_normal(n) if kind == "vector" else rng.standard_normal((n, n)) / np.sqrt(n)


def elaborated(graph: Graph, n: int) -> Arrays:
    values: dict[Node, Any] = {}
    for node in graph.order:
        values[node] = node_value(node, [values[x] for x in node.operands], n)
    return {
        out.name: np.stack([values[x] for x in out.nodes]).reshape((*out.loops, *np.shape(values[out.nodes[0]])))
        for out in graph.outputs
    }


def node_value(node: Node, args: list[Any], n: int) -> Any:
    match node:
        case InitialScalar() | InitialVector() | InitialMatrix():
            kind = ("scalar", "vector", "matrix")[node.type.order]
            passes = tuple(index for _, index in node.passes)
            shape = node.type.shape
            drawn = [draw(kind, n, node.name, passes, element) for element in np.ndindex(shape)]
            array = np.array(drawn).reshape((*shape, *(n,) * node.type.order))
            if not isinstance(node, InitialMatrix):
                return node.mean + np.sqrt(node.variance) * array
            return np.sqrt(node.variance) * array
        case Alias() | Stop():
            return args[0]
        case Transpose():
            return np.swapaxes(args[0], -1, -2)
        case Apply():
            left = static_spread(_acting(node.operands[0], args[0], n), node.axes[0], node.type.shape, 2)
            return np.einsum("...ij,...j->...i", left, static_spread(args[1], node.axes[1], node.type.shape, 1))
        case OperatorProduct():
            pair = [
                static_spread(_acting(x, a, n), axes, node.type.shape, 2)
                for x, a, axes in zip(node.operands, args, node.axes, strict=True)
            ]
            return pair[0] @ pair[1]
        case OperatorSum():
            total: Any = 0
            for k in range(0, len(args), 2):
                weight = static_spread(args[k], node.axes[k], node.type.shape, 0)[..., None, None]
                term = _acting(node.operands[k + 1], args[k + 1], n)
                total = total + weight * static_spread(term, node.axes[k + 1], node.type.shape, 2)
            return total
        case _:
            return value(node, args, n, {})


def _acting(node: Node, array: Any, n: int) -> Any:
    return array if node.type.is_operator else array / n


def naive(text: str, graph: Graph, n: int, params: Mapping[str, float] | None = None, name: str = "<text>") -> Arrays:
    """The naive evaluator's outputs, on the data and laws of the graph."""
    data = {node.name: node.array for node in graph.order if isinstance(node, Data)}
    laws = {node.name: node for node in graph.order if isinstance(node, InitialScalar | InitialVector | InitialMatrix)}

    def drawn(kind: str, vector: str, passes: tuple[int, ...], element: tuple[int, ...]) -> np.ndarray:
        law = laws.get(vector)
        mean = law.mean if isinstance(law, InitialScalar | InitialVector) else 0.0
        return mean + np.sqrt(law.variance if law is not None else 1.0) * draw(kind, n, vector, passes, element)

    program = parse(Source(name, text))
    return NaiveRun(program, params=dict(params or {}), data=data, n=n, draw=drawn).outputs


def assert_agreement(text: str, n: int, *, params: Mapping[str, float] | None = None, name: str = "<text>") -> Arrays:
    """Elaboration and the naive evaluator give the same outputs, to 1e-10 of their size."""
    graph = compile_text(text, params, name=name)
    with np.errstate(all="ignore"):
        ours = elaborated(graph, n)
    theirs = naive(text, graph, n, params, name)
    assert ours.keys() == theirs.keys()
    for output, expected in theirs.items():
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(ours[output], expected, rtol=0, atol=1e-10 * scale, err_msg=f"{output} at n = {n}")
    return ours


def with_probes(text: str) -> str:
    """Lines `?v g[a]` and `?t G[a]` become outputs that fix all entries of vectors and order-2 tensors."""
    lines = ["vector probe1, probe2", "matrix probe3"]
    for number, line in enumerate(text.strip().splitlines()):
        kind, _, expression = line.strip().partition(" ")
        if kind not in ("?v", "?t", "?s"):
            lines.append(line)
            continue
        indices = expression[expression.index("[") :] if expression.endswith("]") else ""
        probe = {
            "?s": f"{expression} * 1",
            "?v": f"<probe1|{expression}>",
            "?t": f"avg{{i_,j_}}({expression}{{i_,j_}} * probe1{{i_}} * probe2{{j_}})",
        }[kind]
        lines.append(f"output {probe} as probe_{number}{indices}")
        if kind != "?s":
            lines.append(f"output avg(({expression})^2) as square_{number}{indices}")
    return "\n".join(lines)

"""Known scalars leave the graph where that cannot cost accuracy."""

from __future__ import annotations

import numpy as np

from nexort.elaborate import elaborate
from nexort.graph import Data, Graph, InitialMatrix, InitialVector, Node
from nexort.graph.verify import verify_graph
from nexort.passes import lower_for_limit, reads_known_value, with_known_values
from nexort.source import Source
from nexort.syntax import parse


def lowered(text: str) -> Graph:
    return lower_for_limit(elaborate(parse(Source("p.nx", text)), meaning="limit"))


def known(graph: Graph, *names: str) -> dict[Node, np.ndarray]:
    """Values for all nodes of some outputs."""
    return {node: np.full(node.type.shape, 2.0) for out in graph.outputs if out.name in names for node in out.nodes}


def sources(graph: Graph) -> set[str]:
    return {node.name for node in graph.order if isinstance(node, InitialVector | InitialMatrix)}


def rest(text: str, *names: str) -> Graph:
    graph = lowered(text)
    found = with_known_values(graph, known(graph, *names))
    verify_graph(found, stage="lowered")
    return found


def test_known_outputs_leave_the_graph_with_what_they_alone_need() -> None:
    found = rest("vector x, y\nmatrix W\noutput <x | tanh(W @ x)> as s\noutput avg(y^2) as t\n", "s")
    assert [output.name for output in found.outputs] == ["t"]
    assert sources(found) == {"y"}
    assert found.is_lowered


def test_known_elements_of_an_output_are_data() -> None:
    graph = lowered("vector x\nfor t in 0..3:\n    x = tanh(2 * x)\n    output avg(x^2) as s\n")
    first = graph.outputs[0].nodes[0]
    found = with_known_values(graph, {first: np.array(0.25)})
    (output,) = found.outputs
    assert isinstance(output.nodes[0], Data) and output.nodes[0].array == 0.25
    assert not any(isinstance(node, Data) for node in output.nodes[1:])
    assert reads_known_value(found) == {output.nodes[0]}


def test_a_scalar_of_randomness_of_its_own_is_replaced() -> None:
    text = "vector x, w\ns = avg(relu(w))\noutput s\noutput avg(tanh(s * x)) as t\noutput 3 * s as r\n"
    found = rest(text, "s")
    assert sources(found) == {"x"}
    assert {output.name for output in found.outputs if reads_known_value(found).issuperset(output.nodes)} == {"t", "r"}


def test_a_scalar_that_shares_its_randomness_stays() -> None:
    """Its own noise cancels in x / sqrt(avg(x^2)), however far below the sharing is."""
    found = rest("vector x\nmatrix W\ns = avg(x^2)\noutput s\noutput avg(tanh(W @ (x / sqrt(s)))^2) as t\n", "s")
    assert not reads_known_value(found)
    assert sources(found) == {"x", "W"}
    found = rest("vector x, y\nmatrix W\ns = avg(tanh(W @ x))\noutput s\noutput avg(exp(s * W @ y)) as t\n", "s")
    assert not reads_known_value(found)


def test_what_stays_makes_others_stay() -> None:
    """t shares x with the rest, so that it is sampled, and y with it; then s, of y alone, cannot be replaced."""
    text = (
        "vector x, y, z\ns = avg(relu(y))\nt = avg(relu(x) * relu(y))\noutput s\noutput t\n"
        "output avg(tanh(z * s + x * t)) as r\noutput avg(tanh(z * s)) as q\n"
    )
    assert not reads_known_value(rest(text, "s", "t"))
    assert reads_known_value(rest(text, "s", "t", "r"))


def test_scalars_are_replaced_together() -> None:
    """Mean and square of w: each shares w with the other, and with nothing else."""
    text = (
        "vector w, x\nm = avg(relu(w))\ns = avg(relu(w)^2)\noutput m\noutput s\n"
        "output avg(exp((x - m) / sqrt(s))) as r\n"
    )
    assert sources(rest(text, "m", "s")) == {"x"}
    assert sources(rest(text, "m")) == {"x", "w"}

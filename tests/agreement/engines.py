"""The same program in the engine and in the naive evaluator, on the same draws."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nexort.elaborate import elaborate
from nexort.engine import Streams, Workers
from nexort.finite import FiniteRun
from nexort.finite.backend import Neurons
from nexort.graph import Data, Graph, InitialMatrix, InitialScalar, InitialVector
from nexort.source import Source
from nexort.syntax import parse
from oracle import tape
from oracle.fixtures import standins
from oracle.naive import NaiveRun


class AcceptedRun(NaiveRun):
    """Of a program that the compiler accepted: where only a condition or a jump depends on p, the gradient is 0."""

    def grad_of(self, loss: tape.Var, p: tape.Var) -> tape.Var:
        if tape.gradient(loss, p, tape.Var(1.0)) is None:
            return tape.Var(np.zeros(p.shape))
        return super().grad_of(loss, p)


class EngineDraws:
    """The naive evaluator's draws, taken from the streams of the engine's trial 0."""

    def __init__(self, graph: Graph, n: int, seed: int = 0) -> None:
        self.meaning = Neurons(length=n, dtype=np.dtype("float64"), init="gaussian", streams=Streams(seed, 0))
        self.nodes = {
            (node.name, tuple(value for _, value in node.passes)): node
            for node in graph.order
            if isinstance(node, InitialScalar | InitialVector | InitialMatrix)
        }
        self.arrays: dict[object, np.ndarray] = {}

    def __call__(self, kind: str, name: str, loop_pass: tuple[int, ...], element: tuple[int, ...]) -> np.ndarray:
        node = self.nodes.get((name, loop_pass))
        if node is None:  # nothing that is output depends on it
            shape = (self.meaning.length,) * ("scalar", "vector", "matrix").index(kind)
            return np.zeros(shape)
        if node not in self.arrays:
            if isinstance(node, InitialScalar):
                self.arrays[node] = self.meaning.initial_scalar(node)
            elif isinstance(node, InitialVector):
                self.arrays[node] = self.meaning.initial_vector(node)
            else:
                with Workers(1) as workers:
                    self.arrays[node] = self.meaning.initial_matrix(node, workers)
        return self.arrays[node][element]


def both(
    text: str, n: int, *, params: Mapping[str, float] | None = None, name: str = "<text>", seed: int = 0
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The outputs of the engine's trial 0 and of the naive evaluator at width n."""
    program = parse(Source(name, text))
    graph = elaborate(program, settings=dict(params or {}))
    engine = FiniteRun(graph, width=n, seed=seed).trial(0)
    data = standins(program, dict(params or {})) | {n.name: n.array for n in graph.order if isinstance(n, Data)}
    naive = AcceptedRun(program, params=dict(params or {}), data=data, n=n, draw=EngineDraws(graph, n, seed))
    return engine, naive.outputs


FOLDER = Path(__file__).parents[2] / "programs"
# the naive evaluator knows no `train`: see tests/architectures
PROGRAMS = sorted(path for path in FOLDER.glob("*.nx") if not path.stem.startswith("train_"))

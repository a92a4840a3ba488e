"""Fused runs of entrywise operations: what is fused, where it is written, and that nothing changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nexort.elaborate import elaborate
from nexort.engine import Plan, SweepStep, build_plan, execute
from nexort.engine import plan as plan_module
from nexort.engine.faults import is_finite
from nexort.errors import ComputationFault
from nexort.finite import FiniteRun
from nexort.graph import Contract, DenseOperator, Graph, Map, Node
from nexort.source import Source
from nexort.symbolic import plan_steps
from nexort.syntax import parse

from . import naive
from .build import GivenMeaning, contraction, dense, draws, entrywise, f, graph_of, mat, matmul, num, vec, x0, x1, x2
from .programs import average

ADAM = Path(__file__).parents[2] / "programs" / "adam_mup.nx"


def adam_plan(steps: int) -> Plan:
    graph = elaborate(parse(Source("<text>", ADAM.read_text())), settings={"T": steps})
    return FiniteRun(graph, width=300, dtype="float32").plan


def test_a_step_of_adam_on_a_matrix_is_one_product_and_one_run() -> None:
    program = [step.program for step in adam_plan(5).steps if isinstance(step, SweepStep)][2]
    (run,) = program.runs
    others = [op.node for op in program.operations if not isinstance(op.node, Map | DenseOperator)]
    assert [type(node) for node in others] == [Contract]
    kernel = run.compile(program.instructions, {slot: 0.3 + slot for slot in run.numbers}, 100)
    # gradient, m, v and W as they come, results over m, v and W
    aliased = [(), (1,), (2,), (0,)]
    steps = plan_steps(kernel.program, [(1,)] * 4, (1,), aliased, run.spare)
    assert len(run.arrays) == 4 and len(run.results) == 3 and run.spare == (0,)
    assert len(kernel.instructions) <= 14 and steps.temporaries <= 2


def test_moments_are_written_over_themselves() -> None:
    plan = adam_plan(6)
    pairs = [(new, old) for step in plan.overwritten for new, old in step.items() if isinstance(new, Map)]
    assert len(pairs) > 2
    for new, old in pairs:
        program = next(s.program for s in plan.steps if isinstance(s, SweepStep) and new in s.produced)
        slot = next(k for k, i in enumerate(program.instructions) if i.action.node is new)
        assert old in program.arrays_of(slot)


def random_tensors(seed: int) -> Graph:
    """Tensors made of one another entry by entry, transposed, multiplied and averaged, in any order."""
    rng = np.random.default_rng(seed)
    x, y, w = vec("x"), vec("y"), mat("W")
    tensors: list[Node] = [entrywise(f("tanh", x0 * x1), (x, "I"), (y, "J"), out="IJ")]
    vectors: list[Node] = [x, y]

    def pick(nodes: list[Node]) -> Node:
        return nodes[int(rng.integers(len(nodes)))]

    def read() -> tuple[Node, str]:
        kind = rng.integers(6)
        if kind < 3:
            return pick(tensors), "IJ"
        return [(pick(tensors), "JI"), (pick(vectors), "IJ"[int(rng.integers(2))]), (num(0.3 + kind), "")][kind - 3]

    for _ in range(10):
        match rng.integers(6):
            case 0:
                tensors.append(contraction((pick(tensors), "IK"), (pick(tensors), "KJ"), out="IJ"))
            case 1:
                vectors.append(contraction((pick(tensors), "IJ"), (pick(vectors), "J"), out="I"))
            case 2:
                w = dense((num(0.9), w), (num(-0.3), pick(tensors)))
                vectors.append(matmul(w, pick(vectors)))
            case 3:
                tensors.append(entrywise(f("tanh", x0), (pick(vectors), "I"), out="IJ"))
            case _:
                body = [x0 * x1 - x2 / 3, f("sin", x0) + x1 * x2, x0 + 0.5 * x1 - x2**2][int(rng.integers(3))]
                new = entrywise(f("tanh", body), read(), read(), read(), (pick(tensors), "IJ"), out="IJ")
                tensors.append(new)
    return graph_of(
        t=[average(t, 0, 1) for t in tensors],
        d=[entrywise(x0 * x1, (t, "II"), (x, "I"), out="I") for t in tensors],
        v=[contraction((v, "I"), (x, "I"), out="") for v in vectors],
    )


@pytest.mark.parametrize("seed", range(40))
def test_random_tensors_agree_with_the_naive_interpreter(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if seed % 2:
        for constant, value in {"TILE_ENTRIES": 40, "LEAST_ROWS": 3, "LEAST_COLUMNS": 5, "CHUNKS": 2}.items():
            monkeypatch.setattr(plan_module, constant, value)
    graph, n = random_tensors(seed), 11
    initial = draws(graph, n)
    expected = naive.evaluate(graph, n, initial)
    found = execute(build_plan(graph, length=n), GivenMeaning(n, initial))
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9, atol=1e-11, err_msg=key)


def test_one_entry_of_one_tile_is_found_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for constant, value in {"TILE_ENTRIES": 100, "LEAST_ROWS": 4, "LEAST_COLUMNS": 8}.items():
        monkeypatch.setattr(plan_module, constant, value)
    x, y, w = vec("x"), vec("y"), mat("W")
    pole = entrywise(1 / (x0 + x1), (x, "I"), (y, "J"), out="IJ")
    graph = graph_of(o=matmul(dense((num(1.0), w), (num(0.1), pole)), x))
    initial = draws(graph, 30)
    execute(build_plan(graph, length=30), GivenMeaning(30, initial))
    initial["x", ()][17] = -initial["y", ()][29]
    with pytest.raises(ComputationFault, match="1 of 900 entries"):
        execute(build_plan(graph, length=30), GivenMeaning(30, initial), threads=2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_finite_and_not(dtype: type) -> None:
    array = np.full((40, 30), np.sqrt(np.finfo(dtype).max) * 10, dtype)
    assert is_finite(array) and is_finite(array[:, 3:20]) and is_finite(array[:0])
    for value in (np.nan, np.inf, -np.inf):
        array[39, 17] = value
        assert not is_finite(array) and not is_finite(array[:, 3:20])
        assert is_finite(array[:, :17])

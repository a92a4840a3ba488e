"""From a plan to segments: runs of steps that are compiled as one function.

A segment begins where a pass of the outermost loop does, and has `MOST_STEPS` steps at most.  A sweep that leaves n × n
arrays is a segment of its own, so that XLA can write them over the old ones.  Two passes of a training loop are the
same but for numbers and for which arrays they read, so their segments have one *structure*, which is the key under
which compiled functions are kept: a program of 100 steps compiles a first, a second and a last one.

Initial values, and products with operators that are no arrays (in the limit), are steps of the host, between segments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nexort.accelerated.blocks import node_indices, node_numbers, node_structure
from nexort.accelerated.kernels import Structure
from nexort.engine import BlockOp, Load, NodeStep, Plan, Step, SweepStep
from nexort.graph import (
    Data,
    Fluctuation,
    InitialMatrix,
    InitialScalar,
    InitialVector,
    MatMul,
    Node,
    Number,
    Select,
    WidthNumber,
)

MOST_STEPS = 256
"""Steps of a segment: what XLA takes to compile one grows faster than its length."""


@dataclass(frozen=True)
class Segment:
    """Steps compiled as one function of `inputs`.

    outputs  the values that later steps read, or that are results
    freed    the values, made in the segment or before, that nothing reads after it
    checked  the values looked at for numbers that are not finite
    """

    steps: tuple[Step, ...]
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    freed: tuple[Node, ...]
    checked: tuple[Node, ...]

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node that is computed in the segment, as often as it is."""
        return tuple(node for step in self.steps for node in _computed(step))

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        return tuple(x for node in dict.fromkeys(self.nodes) for x in node_numbers(node))

    @cached_property
    def indices(self) -> tuple[int, ...]:
        return tuple(x for node in dict.fromkeys(self.nodes) for x in node_indices(node))

    @cached_property
    def places(self) -> dict[Node, int]:
        """Where the numbers, or the indices, of a node begin: no node has both."""
        places: dict[Node, int] = {}
        numbers = indices = 0
        for node in dict.fromkeys(self.nodes):
            places[node] = indices if node_indices(node) else numbers
            numbers += len(node_numbers(node))
            indices += len(node_indices(node))
        return places

    @cached_property
    def structure(self) -> Structure:
        """What segments have in common that one compiled function serves."""
        names: dict[Node, int] = {}

        def name(node: Node) -> int:
            return names.setdefault(node, len(names))

        inputs = tuple((name(node), node.type) for node in self.inputs)
        steps = tuple(_step_structure(step, name) for step in self.steps)
        return (inputs, steps, tuple(map(name, self.outputs)), tuple(map(name, self.checked)))


def _computed(step: Step) -> Iterator[Node]:
    if isinstance(step, NodeStep):
        yield step.node
    else:
        yield from (op.node for op in step.program.operations)


def _step_structure(step: Step, name: Callable[[Node], int]) -> Structure:
    if isinstance(step, NodeStep):
        node = step.node
        return (name(node), node_structure(node), tuple(name(x) for x in node.operands))
    return tuple(_action_structure(i.action, i.inputs, name) for i in step.program.instructions) + tuple(
        name(op.node) for op in step.roots
    )


def _action_structure(action: Load | BlockOp, inputs: tuple[int, ...], name: Callable[[Node], int]) -> Structure:
    if isinstance(action, Load):
        return (name(action.node), action.coords)
    return (name(action.node), node_structure(action.node), action.coords, action.bound, inputs)


@dataclass(frozen=True, slots=True)
class HostStep:
    """A value that the meaning of the width axis makes on the host."""

    node: Node
    freed: tuple[Node, ...]


def split_plan(plan: Plan, first: int, last: int, *, has_matrices: bool) -> tuple[HostStep | Segment, ...]:
    """The steps from `first` to `last`: segments, and between them steps of the host.

    Without `has_matrices`, operators are no arrays.
    """
    parts: list[HostStep | Segment] = []
    pending: list[int] = []
    begun: set[tuple[Any, ...]] = set()

    def flush() -> None:
        if pending:
            parts.append(_make_segment(plan, pending))
            pending.clear()

    ready = [k for k in range(first, last) if _is_ready(plan.steps[k])]
    # what depends on nothing comes first, so that it does not cut segments
    parts.extend(HostStep(plan.steps[k].produced[0], ()) for k in ready)
    for k in range(first, last):
        step = plan.steps[k]
        if _is_ready(step):
            continue
        if isinstance(step, NodeStep) and _is_host(step.node, has_matrices=has_matrices):
            flush()
            parts.append(HostStep(step.node, plan.freed[k]))
            continue
        is_update = isinstance(step, SweepStep) and any(op.node.type.order > 1 for op in step.roots)
        if is_update or _pass_of(step) not in begun or len(pending) >= MOST_STEPS:
            flush()
        begun.add(_pass_of(step))
        pending.append(k)
        if is_update:
            flush()
    flush()
    return tuple(parts)


def _is_ready(step: Step) -> bool:
    """Small values that are there from the beginning: numbers, data, initial vectors."""
    return isinstance(step, NodeStep) and isinstance(
        step.node, Number | WidthNumber | Data | InitialScalar | InitialVector
    )


def _is_host(node: Node, *, has_matrices: bool) -> bool:
    match node:
        case InitialMatrix() | Fluctuation():
            return True
        case MatMul():
            return not has_matrices
        case Select() if node.type.is_operator:
            return not has_matrices or _is_drawn_alone(node)
        case _:
            return node.type.is_operator and not has_matrices


def _is_drawn_alone(node: Select) -> bool:
    """An element of a family of initial matrices: drawn on its own where the family is."""
    operand = node.operands[0]
    return isinstance(operand, InitialMatrix) or (isinstance(operand, Select) and _is_drawn_alone(operand))


def _pass_of(step: Step) -> tuple[Any, ...]:
    node = step.node if isinstance(step, NodeStep) else step.roots[0].node
    return node.passes[:1]


def _make_segment(plan: Plan, numbers: Sequence[int]) -> Segment:
    steps = tuple(plan.steps[k] for k in numbers)
    made = dict.fromkeys(node for step in steps for node in step.produced)
    inputs = dict.fromkeys(node for step in steps for node in step.read if node not in made)
    freed = tuple(node for k in numbers for node in plan.freed[k])
    gone = set(freed)
    return Segment(
        steps=steps,
        inputs=tuple(inputs),
        outputs=tuple(node for node in made if node not in gone),
        freed=freed,
        checked=tuple(node for step in steps for node in _checked(step) if node not in plan.guarded),
    )


def _checked(step: Step) -> Iterator[Node]:
    """What may be the first value that is not finite."""
    if isinstance(step, SweepStep):
        yield from step.program.last_roots
    elif not step.node.type.is_operator:
        yield step.node

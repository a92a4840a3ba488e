"""From syntax tree to program graph: names, kinds, static shapes, loops, families, optimizers and gradients.

Kinds can change from pass to pass of a loop, so checking happens along the unrolling.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from nexort.elaborate.data import load_data
from nexort.elaborate.imports import find_import
from nexort.elaborate.outputs import Outputs, name_unnamed
from nexort.elaborate.starts import Starts
from nexort.elaborate.statements import Unroller
from nexort.elaborate.unrolling import Meaning
from nexort.errors import FaultGroup, NexortError, UsageFault, suggest
from nexort.graph import Graph, build_graph, collector_paused
from nexort.syntax import ast
from nexort.training import Classification

__all__ = ["classify", "elaborate", "find_import", "load_data"]

DEEP = 20_000


@collector_paused()
def elaborate(
    program: ast.Program,
    *,
    settings: Mapping[str, int | float] | None = None,
    data: Mapping[str, object] | None = None,
    given: Mapping[str, object] | None = None,
    meaning: Meaning = "finite",
) -> Graph:
    """The graph of a program. `settings` override `param`s, `data` replaces the stand-ins that it has keys for.

    `given` are values of what starts at random: a scalar, or an output of which the limit is random.
    `meaning` decides what `train` stands for: the network at width n, or its infinite-width limit; a program without
    `train` has one graph for both.

    Raises the NexortError of the program, or a FaultGroup of several; UsageFault for a setting of an unknown name.
    """
    unroller = _unroll(program, settings, data, given, meaning)
    finished = unroller.outputs.finish()
    _check_settings(unroller)
    unroller.starts.check_names()
    return build_graph(finished, unroller.notes)


@collector_paused()
def classify(
    program: ast.Program, *, settings: Mapping[str, int | float] | None = None, data: Mapping[str, object] | None = None
) -> dict[str, Classification]:
    """The verdict on the parametrization of each `train` statement, by its name or that of its model.

    Raises as `elaborate`.
    """
    unroller = _unroll(program, settings, data, None, "classify")
    _check_settings(unroller)
    return unroller.classifications


def _unroll(
    program: ast.Program,
    settings: Mapping[str, int | float] | None,
    data: Mapping[str, object] | None,
    given: Mapping[str, object] | None,
    meaning: Meaning,
) -> Unroller:
    unroller = Unroller(
        settings=dict(settings or {}),
        given=dict(data or {}),
        outputs=Outputs(name_unnamed(program)),
        starts=Starts(dict(given or {})),
        meaning=meaning,
    )
    with deep_recursion():
        unroller.block(program.body)
    if unroller.faults:
        faults = sorted(unroller.faults.values(), key=lambda fault: _place(fault, program))
        raise faults[0] if len(faults) == 1 else FaultGroup(faults)
    return unroller


def _place(fault: NexortError, program: ast.Program) -> tuple[bool, int]:
    """The order of the text, faults of the program itself before those of imported files."""
    span = fault.span
    return (True, 0) if span is None else (span.source is not program.source, span.start)


def _check_settings(unroller: Unroller) -> None:
    for name in unroller.settings:
        if name not in unroller.params:
            known = ", ".join(unroller.params) or "none"
            hint = suggest(name, unroller.params) or f"the program's params: {known}"
            if name in unroller.shapes:
                hint = f"'{name}' takes its value from the data"
            raise UsageFault(f"--set {name}: the program has no param '{name}'", hint=hint)


@contextmanager
def deep_recursion() -> Generator[None]:
    """Room for expressions as deep as the parser admits: Python frames need no C stack."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)

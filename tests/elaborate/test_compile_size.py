"""Elaboration is linear in the number of steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from elaborate.readings import compile_text
from nexort.elaborate.families import Region, Variable
from nexort.graph.terms import Place, number
from nexort.source import Source, Span

PROGRAMS = Path(__file__).parents[2] / "programs"
PLACE = Span(Source("<text>", "x"), 0, 1)


def count_nodes(name: str, steps: int) -> int:
    path = PROGRAMS / name
    return len(compile_text(path.read_text(encoding="utf-8"), {"T": steps}, name=str(path)).order)


@pytest.mark.parametrize("name", ["adam_mup.nx", "signsgd_written_out.nx", "amp.nx", "custom_entrywise.nx"])
def test_each_step_adds_the_same_number_of_nodes(name: str) -> None:
    few, more, many = (count_nodes(name, steps) for steps in (5, 10, 20))
    assert many - more == 2 * (more - few)


def test_elements_are_found_without_a_search() -> None:
    variable = Variable("x", 1, PLACE)
    for index in range(20_000):
        variable.bind(Region(pattern=(index,), node=number(index).node, span=PLACE))
        assert variable.read((index // 2,), Place()).node is number(index // 2).node
    assert variable.extent(0, (None,), PLACE) == 20_000

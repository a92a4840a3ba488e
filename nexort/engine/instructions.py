"""What a tile program is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nexort.engine.blocks import BlockOp, Coords
from nexort.graph import DenseOperator, Map, Node


@dataclass(frozen=True, slots=True)
class Load:
    """A read of an array in memory."""

    node: Node
    coords: Coords


Action: TypeAlias = Load | BlockOp


@dataclass(frozen=True, slots=True)
class Instruction:
    """Slot k of a tile program is the value of instruction k. `released` are slots that nothing reads after it.

    Of the instructions of a fused run, those that are not among its results have no block.
    """

    action: Action
    inputs: tuple[int, ...]
    is_root: bool
    released: tuple[int, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether it reads one number."""
        return isinstance(self.action, Load) and not self.action.coords and not self.action.node.type.shape


def is_entrywise(action: Action) -> bool:
    return isinstance(action, BlockOp) and isinstance(action.node, Map | DenseOperator)

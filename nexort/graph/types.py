"""What a value is: its static shape and its width order.

Layout convention of every array in NEXORT: the static axes first, then the width axes.  A scalar family of shape
(M,) is an array (M,), a multi-vector (M, n), a family of order-2 tensors (M, n, n).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Type:
    """`shape`: static axis lengths. `order`: width axes (0 scalar, 1 vector, 2 and more tensor).

    An operator (`is_operator`) contains an initial matrix or a product, so its entries are not Θ(1): it is applied
    with `@` and never read entry by entry.  Its order is 2.
    """

    shape: tuple[int, ...] = ()
    order: int = 0
    is_operator: bool = False

    @property
    def noun(self) -> str:
        """The kind in the language's words."""
        if self.is_operator:
            return "operator"
        return ("scalar", "vector")[self.order] if self.order < 2 else f"tensor of order {self.order}"


SCALAR = Type()
VECTOR = Type(order=1)

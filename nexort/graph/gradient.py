"""Backpropagation as graph construction (TP4b Definition 2.9.14).

For a scalar s the *adjoint* of a value p of order k is n^k ∂s/∂p, which has Θ(1) entries:

    y = φ(x, …)      dx += dy · ∂φ/∂x      averaged over the width axes that x lacks, summed over the static ones
    s = avg(x)       dx += ds
    y = A @ x        dx += Aᵀ @ dy,        dA += ⎸dy⟩⟨x⎸
    C = Σ c A        dA += c dC,           dc += Σ ⟨l⎸A @ r⟩ for dC = Σ ⎸l⟩⟨r⎸
    C = A @ B        dA += Σ ⎸l⟩⟨B r⎸,     dB += Σ ⎸Aᵀ l⟩⟨r⎸

An order-2 tensor T enters an operator as T/n, so its adjoint n² ∂s/∂T is the operator's n ∂s/∂A.

A `Tape` serves one scalar s (or a family of scalars, whose labels then are batch axes of every adjoint) and any number
of targets.  It walks back from s only as far as the target, by node serials, and stops at `Stop` and `Fluctuation`.
Promises new nodes only; does not change the graph.  `adjoints` says how an adjoint is held, `pullbacks` has the rule of
each node.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from nexort.graph.adjoints import Own, Piece, Sums, fix_label, rename, times, wide_labels
from nexort.graph.nodes import Fluctuation, Node, Stop
from nexort.graph.pullbacks import Pullbacks
from nexort.graph.terms import Label, Place, Term, arrange, combine, delta, number, reduce_over, union
from nexort.symbolic import primitive


class Tape:
    """The adjoints of every value with respect to the scalar `value`, made when asked for."""

    def __init__(self, value: Term, place: Place) -> None:
        self.place = place
        self.batch = value.sizes
        self.value = value
        self._users: dict[Node, list[tuple[Node, int]]] = {value.node: []}
        self._frontier: list[tuple[int, Node]] = []
        self._adjoints: dict[Node, Piece | None] = {value.node: Piece(value.static, (number(1.0),))}
        self._pieces: dict[Node, list[Piece]] = {}
        self._sums = Sums(self.batch, place)
        self._rules = Pullbacks(self._sums)
        self._push(value.node)

    # ------------------------------------------------------------ dependence

    def _push(self, node: Node) -> None:
        heappush(self._frontier, (-node.serial, node))

    def _explore(self, serial: int) -> None:
        """Walk back through every node younger than `serial`."""
        while self._frontier and -self._frontier[0][0] > serial:
            _, node = heappop(self._frontier)
            if isinstance(node, Stop | Fluctuation):
                continue
            for position, operand in enumerate(node.operands):
                if operand not in self._users:
                    self._users[operand] = []
                    self._push(operand)
                self._users[operand].append((node, position))

    def depends_on(self, target: Node) -> bool:
        self._explore(target.serial)
        return target in self._users

    # -------------------------------------------------------------- adjoints

    def gradient(self, target: Node, labels: Sequence[Label | int], place: Place) -> Term:
        """The adjoint of `target`, its static axis k called labels[k], or fixed there where that is an int.

        Static labels: those given and the batch labels that occur; width labels 0, 1, … .
        """
        adjoint = self._prepare(target) if self.depends_on(target) else None
        sizes = {**self.batch, **_named(labels, target.type.shape)}
        term = number(0.0)
        if adjoint is not None:
            term = self._request(adjoint, target, labels, place)
        # the batch labels come first, then the target's own, in its order
        static = union([tuple(self.batch), tuple(name for name in labels if not isinstance(name, int))])
        width = tuple(range(target.type.order))
        return Term(arrange(term, static, width, place, sizes), static, width)

    def moved(self, target: Node, index: Sequence[Label | int], change: Term, place: Place) -> Term:
        """Σ ⟨l⎸D @ r⟩ for the adjoint Σ ⎸l⟩⟨r⎸ of an operator (an element of a family at fixed indices): the derivative
        of s in ε for the operator plus ε D/n (D a tensor), or plus ε D (an operator)."""
        if not self.depends_on(target):
            return number(0.0)
        self._prepare(target)
        total = number(0.0)
        for piece in self._pieces[target]:
            left, right = self._rules.at_element(piece, index)
            value = self._rules.bracket(left, change, right)
            hidden = {s: n for s, n in value.sizes.items() if s not in self.batch}
            total = combine(primitive("add"), (total, reduce_over("sum", value, hidden, place)), place)
        return total

    def _request(self, adjoint: Piece, target: Node, labels: Sequence[Label | int], place: Place) -> Term:
        term = rename(adjoint.terms[0], dict(zip(wide_labels(target), range(target.type.order), strict=True)))
        names: dict[Label, Label] = {}
        for k, (own, wanted, size) in enumerate(zip(adjoint.own, labels, target.type.shape, strict=True)):
            if own in self.batch:
                if isinstance(wanted, int) or wanted != own:
                    term = times(term, delta(own, wanted, size, self.place), place)
            elif isinstance(wanted, int):
                term = fix_label(term, Own(target.serial, k), wanted, place)
            else:
                names[own] = wanted
        return rename(term, names)

    def _prepare(self, target: Node) -> Piece | None:
        """The adjoint of the target, and of what lies between it and the scalar, users first."""
        needed: set[Node] = set()
        stack_ = [target]
        while stack_:
            node = stack_.pop()
            if node not in needed and node not in self._adjoints and node not in self._pieces:
                needed.add(node)
                stack_.extend(user for user, _ in self._users[node])
        for node in sorted(needed, key=lambda node: -node.serial):
            pieces = [p for user, k in self._users[node] for p in self._pull(user, k)]
            self._pieces[node] = pieces
            # an operator is passed on in pieces; its tensor is made when it is the target
            if not node.type.is_operator:
                self._adjoints[node] = self._sums.collect(pieces, node)
        if target not in self._adjoints:
            arrays = [self._sums.tensor(piece, target) for piece in self._pieces[target]]
            self._adjoints[target] = self._sums.collect(arrays, target)
        return self._adjoints[target]

    def _pull(self, user: Node, position: int) -> Iterable[Piece]:
        """What `user` adds to the adjoint of its operand at `position`."""
        if user.type.is_operator:
            return [p for piece in self._pieces[user] for p in self._rules.pull_operator(user, position, piece)]
        adjoint = self._adjoints[user]
        if adjoint is None:
            return []
        return self._rules.pull_array(user, position, adjoint)


def _named(labels: Sequence[Label | int], shape: Sequence[int]) -> dict[Label, int]:
    return {name: size for name, size in zip(labels, shape, strict=True) if not isinstance(name, int)}

"""Backpropagation as graph construction (TP4b Definition 2.9.14).

For a scalar s the *adjoint* of a value p of order k is n^k ∂s/∂p, which has Θ(1) entries:

    y = φ(x, …)      dx += dy · ∂φ/∂x      averaged over the width axes that x lacks, summed over the static ones
    s = avg(x)       dx += ds
    y = A @ x        dx += Aᵀ @ dy,        dA += ⎸dy⟩⟨x⎸
    C = Σ c A        dA += c dC,           dc += Σ ⟨l⎸A @ r⟩ for dC = Σ ⎸l⟩⟨r⎸
    C = A @ B        dA += Σ ⎸l⟩⟨B r⎸,     dB += Σ ⎸Aᵀ l⟩⟨r⎸

An order-2 tensor T enters an operator as T/n, so its adjoint n² ∂s/∂T is the operator's n ∂s/∂A.

A `Tape` serves one scalar s (or a family of scalars, whose labels then are batch axes of every adjoint) and any number
of targets.  It walks back from s only as far as the target, by node serials, and stops at `Stop`.  Promises new nodes
only; does not change the graph.  Adjoints keep three things implicit, so that a family costs what it must and no more:
an axis along which they are constant, an axis on which a batch label and the value's own axis are equal, and an
element of a family (`At`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

from nexort.graph.nodes import (
    Alias,
    Apply,
    Average,
    Axes,
    Contract,
    Data,
    DenseOperator,
    InitialMatrix,
    InitialVector,
    Map,
    MatMul,
    Node,
    Number,
    OperatorProduct,
    OperatorSum,
    Reduce,
    Select,
    Stack,
    Stop,
    Transpose,
    WidthNumber,
)
from nexort.graph.slopes import guarded, has_pole, is_piecewise, slope
from nexort.graph.terms import (
    Label,
    Place,
    Term,
    apply_operator,
    arrange,
    average_over,
    combine,
    delta,
    number,
    reduce_over,
    select,
    sizes_of,
    stack,
    transpose,
    union,
)
from nexort.symbolic import Fn, comparison_where, primitive


class Own(NamedTuple):
    """The label of a value's own static axis in its adjoint."""

    serial: int
    axis: int


class Wide(NamedTuple):
    """The label of a value's width axis in its adjoint."""

    serial: int
    axis: int
    is_width: bool = True


class At(NamedTuple):
    """In place of a label: this piece of an adjoint belongs to one element of the axis."""

    place: int


LEFT, RIGHT = "left", "right"
"""Width labels of the two vectors of an operator's adjoint ⎸left⟩⟨right⎸."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an adjoint: `own[k]` is the label of the value's static axis k (its own, a batch label, or `At`).

    An array's piece has one term; an operator's has two, (left, right), and is Σ ⎸left⟩⟨right⎸ over the labels that
    are neither own nor batch.
    """

    own: tuple[Label, ...]
    terms: tuple[Term, ...]


def own_labels(node: Node) -> tuple[Own, ...]:
    return tuple(Own(node.serial, k) for k in range(len(node.type.shape)))


def _wide(node: Node) -> tuple[Wide, ...]:
    return tuple(Wide(node.serial, k) for k in range(node.type.order))


def _widths(user: Node, operand: Node) -> dict[Label, Label]:
    """The operand's width labels for the user's, of nodes with the same width axes."""
    return dict(zip(_wide(user), _wide(operand), strict=True))


def _rename(term: Term, names: Mapping[Label, Label]) -> Term:
    return Term(term.node, tuple(names.get(s, s) for s in term.static), tuple(names.get(w, w) for w in term.width))


def _times(first: Term, second: Term, place: Place) -> Term:
    for one, other in ((first, second), (second, first)):
        if isinstance(one.node, Number) and one.node.value == 1.0:
            return other
    return combine(primitive("mul"), (first, second), place)


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
        self._masked: set[Node] = set()
        """Values whose adjoint may be 0 for a branch that was not chosen."""
        self._push(value.node)

    # ------------------------------------------------------------ dependence

    def _push(self, node: Node) -> None:
        heappush(self._frontier, (-node.serial, node))

    def _explore(self, serial: int) -> None:
        """Walk back through every node younger than `serial`."""
        while self._frontier and -self._frontier[0][0] > serial:
            _, node = heappop(self._frontier)
            if isinstance(node, Stop):
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

    def _request(self, adjoint: Piece, target: Node, labels: Sequence[Label | int], place: Place) -> Term:
        term = _rename(adjoint.terms[0], dict(zip(_wide(target), range(target.type.order), strict=True)))
        names: dict[Label, Label] = {}
        for k, (own, wanted, size) in enumerate(zip(adjoint.own, labels, target.type.shape, strict=True)):
            if own in self.batch:
                if isinstance(wanted, int) or wanted != own:
                    term = _times(term, delta(own, wanted, size, self.place), place)
            elif isinstance(wanted, int):
                term = _fix(term, Own(target.serial, k), wanted, place)
            else:
                names[own] = wanted
        return _rename(term, names)

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
                self._adjoints[node] = self._collect(pieces, node)
        if target not in self._adjoints:
            arrays = [self._tensor(piece, target) for piece in self._pieces[target]]
            self._adjoints[target] = self._collect(arrays, target)
        return self._adjoints[target]

    def _tensor(self, piece: Piece, node: Node) -> Piece:
        """An operator's piece as an order-2 tensor."""
        left, right = piece.terms
        first, second = _wide(node)
        term = _times(_rename(left, {LEFT: first}), _rename(right, {RIGHT: second}), self.place)
        hidden = {s: n for s, n in term.sizes.items() if s not in piece.own and s not in self.batch}
        return Piece(piece.own, (reduce_over("sum", term, hidden, self.place),))

    def _collect(self, pieces: Sequence[Piece], node: Node) -> Piece | None:
        """The sum of an array's pieces; None is zero."""
        if not pieces:
            return None
        for axis in range(len(node.type.shape)):
            if any(isinstance(piece.own[axis], At) for piece in pieces):
                return self._stacked(pieces, node, axis)
        owns = {piece.own for piece in pieces}
        if len(owns) > 1:
            pieces = [self._dense(piece, node) for piece in pieces]
        total = pieces[0].terms[0]
        for piece in pieces[1:]:
            total = combine(primitive("add"), (total, piece.terms[0]), self.place)
        return Piece(pieces[0].own, (total,))

    def _dense(self, piece: Piece, node: Node) -> Piece:
        """The piece with the value's own label on every axis."""
        term = piece.terms[0]
        own = own_labels(node)
        for label, mine, size in zip(piece.own, own, node.type.shape, strict=True):
            if label != mine:
                term = _times(term, delta(label, mine, size, self.place), self.place)
        return Piece(own, (term,))

    def _stacked(self, pieces: Sequence[Piece], node: Node, axis: int) -> Piece:
        """Pieces of single elements, put together along `axis`."""
        size = node.type.shape[axis]
        own = own_labels(node)
        parts = [self._element(pieces, node, axis, index) for index in range(size)]
        terms = [part if part is not None else number(0.0) for part in parts]
        sizes = sizes_of([*terms, Term(node, own, _wide(node))])
        del sizes[own[axis]]
        static, width = union(term.static for term in terms), _wide(node)
        nodes = [arrange(term, static, width, self.place, sizes) for term in terms]
        return Piece(own, (Term(stack(nodes, 0, self.place), (own[axis], *static), width),))

    def _element(self, pieces: Sequence[Piece], node: Node, axis: int, index: int) -> Term | None:
        chosen: list[Piece] = []
        for piece in pieces:
            label = piece.own[axis]
            if isinstance(label, At) and label.place != index:
                continue
            term = piece.terms[0]
            if label in self.batch:
                term = _times(term, delta(label, index, node.type.shape[axis], self.place), self.place)
            elif not isinstance(label, At):
                term = _fix(term, label, index, self.place)
            own = list(piece.own)
            own[axis] = Own(node.serial, axis)
            chosen.append(Piece(tuple(own), (term,)))
        part = self._collect(chosen, node)
        return None if part is None else self._dense_except(part, node, axis).terms[0]

    def _dense_except(self, piece: Piece, node: Node, axis: int) -> Piece:
        own = list(piece.own)
        own[axis] = Own(node.serial, axis)
        return self._dense(Piece(tuple(own), piece.terms), node)

    # ----------------------------------------------------- one rule per node

    def _pull(self, user: Node, position: int) -> Iterable[Piece]:
        """What `user` adds to the adjoint of its operand at `position`."""
        if user.type.is_operator:
            return [p for piece in self._pieces[user] for p in self._pull_operator(user, position, piece)]
        adjoint = self._adjoints[user]
        if adjoint is None:
            return []
        return self._pull_array(user, position, adjoint)

    def _pull_array(self, user: Node, position: int, adjoint: Piece) -> Iterable[Piece]:
        term = adjoint.terms[0]
        operand = user.operands[position]
        match user:
            case Map():
                return self._pull_map(user, position, adjoint)
            case Reduce():
                return self._pull_reduce(user, adjoint)
            case Average():
                kept = [k for k in range(operand.type.order) if k not in user.axes]
                names: dict[Label, Label] = {
                    Wide(user.serial, new): Wide(operand.serial, old) for new, old in enumerate(kept)
                }
                return [self._relabel(adjoint, user, operand, range(len(user.type.shape)), (_rename(term, names),))]
            case Apply():
                return self._pull_apply(user, position, adjoint)
            case Select():
                return [self._pull_select(user, adjoint)]
            case Stack():
                return self._pull_stack(user, position, adjoint)
            case Alias():
                names = _widths(user, operand)
                return [self._relabel(adjoint, user, operand, range(len(user.type.shape)), (_rename(term, names),))]
            case (
                Number() | WidthNumber() | Data() | InitialVector() | InitialMatrix() | Stop()
                | Contract() | MatMul() | DenseOperator() | OperatorSum() | OperatorProduct() | Transpose()
            ):  # fmt: skip
                raise AssertionError(f"no adjoint passes through {type(user).__name__}")
            case _:
                raise AssertionError(f"unknown node {type(user).__name__}")

    def _relabel(self, piece: Piece, user: Node, operand: Node, axes: Sequence[int], terms: tuple[Term, ...]) -> Piece:
        """Move terms from the user's own labels to the operand's: operand axis p lies on user axis axes[p]."""
        names: dict[Label, Label] = {}
        own: list[Label] = []
        for p, axis in enumerate(axes):
            label = piece.own[axis]
            mine = Own(operand.serial, p)
            if isinstance(label, At) or label in self.batch:
                own.append(label)
            elif label in names:  # two operand axes on one user axis
                own.append(mine)
                size = operand.type.shape[p]
                renamed = _rename(terms[0], names)
                terms = (_times(renamed, delta(names[label], mine, size, self.place), self.place), *terms[1:])
            else:
                names[label] = mine
                own.append(mine)
        return Piece(tuple(own), tuple(_rename(term, names) for term in terms))

    def _settle(self, piece: Piece, user: Node, operand: Node, axes: Axes, term: Term) -> Piece:
        """Sum and average away the user's axes that the operand lacks, and take the operand's labels."""
        kept = {piece.own[axis] for axis in axes.static}
        lost = {
            label: size
            for label, size in zip(piece.own, user.type.shape, strict=True)
            if label not in kept and label not in self.batch and not isinstance(label, At)
        }
        term = reduce_over("sum", term, lost, self.place)
        wide = _wide(user)
        term = average_over(term, [wide[k] for k in range(len(wide)) if k not in axes.width], self.place)
        names: dict[Label, Label] = {wide[axis]: Wide(operand.serial, q) for q, axis in enumerate(axes.width)}
        return self._relabel(piece, user, operand, axes.static, (_rename(term, names),))

    def _pull_map(self, user: Map, position: int, adjoint: Piece) -> list[Piece]:
        derivative, kept = slope(user.fn, position)
        if derivative.is_zero:
            return []
        operands = [_labelled(user.operands[k], user.axes[k], adjoint.own, _wide(user), self.place) for k in kept]
        operand = user.operands[position]
        if self._is_guarded(user, operand, derivative):
            term = combine(guarded(derivative), (adjoint.terms[0], *operands), self.place)
        elif not kept:
            term = _times(adjoint.terms[0], number(float(derivative.expr)), self.place)
        elif derivative is primitive("identity"):
            term = _times(adjoint.terms[0], operands[0], self.place)
        else:
            term = _times(adjoint.terms[0], combine(derivative, operands, self.place), self.place)
        return [self._settle(adjoint, user, operand, user.axes[position], term)]

    def _is_guarded(self, user: Map, operand: Node, derivative: Fn) -> bool:
        """Whether 0 · ∞ may occur: the gradient of where(x > 0, sqrt(x), 0) is 0 where x is 0."""
        if is_piecewise(derivative) or user in self._masked:
            self._masked.add(operand)
        return user in self._masked and operand.type.order == user.type.order and has_pole(derivative)

    def _pull_reduce(self, user: Reduce, adjoint: Piece) -> list[Piece]:
        operand = user.operands[0]
        kept = [k for k in range(len(operand.type.shape)) if k not in user.axes]
        names = {label: Own(operand.serial, k) for label, k in zip(adjoint.own, kept, strict=True)}
        names = {old: new for old, new in names.items() if old not in self.batch}
        own: list[Label] = list(own_labels(operand))
        for label, k in zip(adjoint.own, kept, strict=True):
            own[k] = label if label in self.batch else own[k]
        wide = _widths(user, operand)
        term = _rename(adjoint.terms[0], {**names, **wide})
        if user.kind == "mean":
            size = 1
            for k in user.axes:
                size *= operand.type.shape[k]
            term = _times(term, number(1.0 / size), self.place)
        elif user.kind == "max":
            term = _times(term, self._ties(user, tuple(own)), self.place)
        return [Piece(tuple(own), (term,))]

    def _ties(self, user: Reduce, own: tuple[Label, ...]) -> Term:
        """1/(number of ties) where the operand is the maximum, else 0."""
        operand = user.operands[0]
        wide = _wide(operand)
        inside = Term(operand, own, wide)
        outside = Term(user, tuple(own[k] for k in range(len(own)) if k not in user.axes), wide)
        is_largest = combine(comparison_where("=="), (inside, outside, number(1.0), number(0.0)), self.place)
        sizes = {own[k]: operand.type.shape[k] for k in user.axes}
        ties = reduce_over("sum", is_largest, sizes, self.place)
        return combine(primitive("div"), (is_largest, ties), self.place)

    def _pull_apply(self, user: Apply, position: int, adjoint: Piece) -> list[Piece]:
        (wide,) = _wide(user)
        sizes = dict(zip(adjoint.own, user.type.shape, strict=True)) | self.batch
        dy = self._vector(adjoint.terms[0], wide, sizes)
        operator, argument_ = user.operands
        if position == 1:
            labelled = _labelled(operator, user.axes[0], adjoint.own, (LEFT, RIGHT), self.place)
            term = self._act(transpose(labelled, self.place), dy, wide)
            return [self._settle(adjoint, user, argument_, Axes(user.axes[1].static, (0,)), term)]
        right = _labelled(argument_, user.axes[1], adjoint.own, (RIGHT,), self.place)
        terms = (_rename(dy, {wide: LEFT}), right)
        missing = self._missing(adjoint, user, user.axes[0], terms)
        return [self._relabel(adjoint, user, operator, user.axes[0].static, missing)]

    def _missing(self, piece: Piece, user: Node, axes: Axes, terms: tuple[Term, Term]) -> tuple[Term, Term]:
        """Multiply by the lengths of the user's axes that neither the operand nor the terms carry: their sum."""
        present = {*terms[0].static, *terms[1].static}
        size = 1
        for axis, label in enumerate(piece.own):
            is_lost = axis not in axes.static and label not in self.batch and not isinstance(label, At)
            size *= user.type.shape[axis] if is_lost and label not in present else 1
        return terms if size == 1 else (_times(number(size), terms[0], self.place), terms[1])

    def _vector(self, term: Term, wide: Label, sizes: Mapping[Label, int]) -> Term:
        """The term with its width axis, also where it is constant along it."""
        term_static = union([term.static])
        return Term(arrange(term, term_static, (wide,), self.place, sizes), term_static, (wide,))

    def _act(self, operator: Term, vector: Term, wide: Label) -> Term:
        """operator @ vector, the result's width axis called `wide`; an order-2 tensor acts as T/n."""
        if operator.is_operator:
            return apply_operator(operator, vector, wide, self.place)
        first, second = operator.width
        product = combine(primitive("mul"), (operator, Term(vector.node, vector.static, (second,))), self.place)
        return _rename(average_over(product, [second], self.place), {first: wide})

    def _pull_select(self, user: Select, piece: Piece) -> Piece:
        operand = user.operands[0]
        own: list[Label] = []
        names = _widths(user, operand)
        labels = iter(piece.own)
        for k, index in enumerate(user.index):
            label = next(labels) if index is None else At(index)
            if index is None and not isinstance(label, At) and label not in self.batch:
                names[label] = Own(operand.serial, k)
                label = names[label]
            own.append(label)
        return Piece(tuple(own), tuple(_rename(term, names) for term in piece.terms))

    def _pull_stack(self, user: Stack, position: int, piece: Piece) -> list[Piece]:
        operand = user.operands[position]
        label = piece.own[user.axis]
        terms = piece.terms
        if isinstance(label, At):
            if label.place != position:
                return []
        elif label in self.batch:
            one = delta(label, position, len(user.operands), self.place)
            terms = (_times(terms[0], one, self.place), *terms[1:])
        else:
            terms = tuple(_fix(term, label, position, self.place) for term in terms)
        names = {} if user.type.is_operator else _widths(user, operand)
        axes = [k for k in range(len(user.type.shape)) if k != user.axis]
        return [self._relabel(piece, user, operand, axes, tuple(_rename(term, names) for term in terms))]

    # --------------------------------------------------------- operator nodes

    def _pull_operator(self, user: Node, position: int, piece: Piece) -> Iterable[Piece]:
        operand = user.operands[position]
        left, right = piece.terms
        every = range(len(user.type.shape))
        match user:
            case Transpose():
                flipped = (_rename(right, {RIGHT: LEFT}), _rename(left, {LEFT: RIGHT}))
                return [self._relabel(piece, user, operand, every, flipped)]
            case Alias():
                return [self._relabel(piece, user, operand, every, (left, right))]
            case Select():
                return [self._pull_select(user, piece)]
            case Stack():
                return self._pull_stack(user, position, piece)
            case OperatorSum():
                return self._pull_sum(user, position, piece)
            case OperatorProduct():
                return self._pull_product(user, position, piece)
            case _:
                raise AssertionError(f"no operator adjoint passes through {type(user).__name__}")

    def _to_operand(self, piece: Piece, user: Node, operand: Node, axes: Axes, pair: tuple[Term, Term]) -> Piece:
        pair = self._missing(piece, user, axes, pair)
        moved = self._relabel(piece, user, operand, axes.static, pair)
        return moved if operand.type.is_operator else self._tensor(moved, operand)

    def _pull_sum(self, user: OperatorSum, position: int, piece: Piece) -> list[Piece]:
        left, right = piece.terms
        k = position // 2
        coefficient, c_axes, term, t_axes = user.terms[k]
        if position % 2 == 1:
            scale = _labelled(coefficient, c_axes, piece.own, (), self.place)
            pair = (_times(scale, left, self.place), right)
            return [self._to_operand(piece, user, term, t_axes, pair)]
        operator = _labelled(term, t_axes, piece.own, (LEFT, RIGHT), self.place)
        inner = combine(primitive("mul"), (left, self._act(operator, right, LEFT)), self.place)
        value = average_over(inner, [LEFT], self.place)
        hidden = {s: n for s, n in value.sizes.items() if s not in piece.own and s not in self.batch}
        value = reduce_over("sum", value, hidden, self.place)
        return [self._settle(piece, user, coefficient, c_axes, value)]

    def _pull_product(self, user: OperatorProduct, position: int, piece: Piece) -> list[Piece]:
        left, right = piece.terms
        labelled = [
            _labelled(node, axes, piece.own, (LEFT, RIGHT), self.place)
            for node, axes in zip(user.operands, user.axes, strict=True)
        ]
        if position == 0:
            pair = (left, self._act(labelled[1], right, RIGHT))
        else:
            pair = (self._act(transpose(labelled[0], self.place), left, LEFT), right)
        return [self._to_operand(piece, user, user.operands[position], user.axes[position], pair)]


def _named(labels: Sequence[Label | int], shape: Sequence[int]) -> dict[Label, int]:
    return {name: size for name, size in zip(labels, shape, strict=True) if not isinstance(name, int)}


def _fix(term: Term, label: Label, index: int, place: Place) -> Term:
    """The term at one index of a label (itself where it does not carry the label)."""
    fixed = {k: index for k, name in enumerate(term.static) if name == label}
    return select(term, fixed, place)


def _labelled(node: Node, axes: Axes, own: Sequence[Label], width: Sequence[Label], place: Place) -> Term:
    """An operand with the labels of its user, fixed where the user's piece is `At` an index."""
    static = [own[axis] for axis in axes.static]
    names = tuple(width[axis] for axis in axes.width) if axes.width or not node.type.order else tuple(width)
    term = Term(node, tuple(static), names)
    fixed = {k: label.place for k, label in enumerate(static) if isinstance(label, At)}
    return select(term, fixed, place)

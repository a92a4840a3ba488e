"""What each node adds to the adjoints of its operands: one rule per node (the table in `gradient`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nexort.graph.adjoints import (
    LEFT,
    RIGHT,
    At,
    Own,
    Piece,
    Sums,
    Wide,
    fix_label,
    labelled,
    own_labels,
    paired_widths,
    rename,
    times,
    wide_labels,
)
from nexort.graph.nodes import (
    Alias,
    Apply,
    Average,
    Axes,
    Contract,
    Data,
    DenseOperator,
    Entries,
    Fluctuation,
    InitialMatrix,
    InitialScalar,
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
    transpose,
    union,
)
from nexort.symbolic import Fn, comparison_where, primitive


@dataclass(frozen=True, slots=True)
class Pullbacks:
    """The rules for one differentiated scalar.

    `masked` are values whose adjoint may be 0 for a branch that was not chosen.
    """

    sums: Sums
    masked: set[Node] = field(default_factory=set)

    @property
    def _place(self) -> Place:
        return self.sums.place

    @property
    def _batch(self) -> Mapping[Label, int]:
        return self.sums.batch

    def pull_array(self, user: Node, position: int, adjoint: Piece) -> Iterable[Piece]:
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
                return [self._relabel(adjoint, user, operand, range(len(user.type.shape)), (rename(term, names),))]
            case Apply():
                return self._pull_apply(user, position, adjoint)
            case Select():
                return [self._pull_select(user, adjoint)]
            case Stack():
                return self._pull_stack(user, position, adjoint)
            case Alias():
                names = paired_widths(user, operand)
                return [self._relabel(adjoint, user, operand, range(len(user.type.shape)), (rename(term, names),))]
            case (
                Number() | WidthNumber() | Data() | InitialScalar() | InitialVector() | InitialMatrix()
                | Stop() | Fluctuation() | Entries()
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
            if isinstance(label, At) or label in self._batch:
                own.append(label)
            elif label in names:  # two operand axes on one user axis
                own.append(mine)
                size = operand.type.shape[p]
                renamed = rename(terms[0], names)
                terms = (times(renamed, delta(names[label], mine, size, self._place), self._place), *terms[1:])
            else:
                names[label] = mine
                own.append(mine)
        return Piece(tuple(own), tuple(rename(term, names) for term in terms))

    def _settle(self, piece: Piece, user: Node, operand: Node, axes: Axes, term: Term) -> Piece:
        """Sum and average away the user's axes that the operand lacks, and take the operand's labels."""
        kept = {piece.own[axis] for axis in axes.static}
        lost = {
            label: size
            for label, size in zip(piece.own, user.type.shape, strict=True)
            if label not in kept and label not in self._batch and not isinstance(label, At)
        }
        term = reduce_over("sum", term, lost, self._place)
        wide = wide_labels(user)
        term = average_over(term, [wide[k] for k in range(len(wide)) if k not in axes.width], self._place)
        names: dict[Label, Label] = {wide[axis]: Wide(operand.serial, q) for q, axis in enumerate(axes.width)}
        return self._relabel(piece, user, operand, axes.static, (rename(term, names),))

    def _pull_map(self, user: Map, position: int, adjoint: Piece) -> list[Piece]:
        derivative, kept = slope(user.fn, position)
        if derivative.is_zero:
            return []
        operands = [labelled(user.operands[k], user.axes[k], adjoint.own, wide_labels(user), self._place) for k in kept]
        operand = user.operands[position]
        if self._is_guarded(user, operand, derivative):
            term = combine(guarded(derivative), (adjoint.terms[0], *operands), self._place)
        elif not kept:
            term = times(adjoint.terms[0], number(float(derivative.expr)), self._place)
        elif derivative is primitive("identity"):
            term = times(adjoint.terms[0], operands[0], self._place)
        else:
            term = times(adjoint.terms[0], combine(derivative, operands, self._place), self._place)
        return [self._settle(adjoint, user, operand, user.axes[position], term)]

    def _is_guarded(self, user: Map, operand: Node, derivative: Fn) -> bool:
        """Whether 0 · ∞ may occur: the gradient of where(x > 0, sqrt(x), 0) is 0 where x is 0."""
        if is_piecewise(derivative) or user in self.masked:
            self.masked.add(operand)
        return user in self.masked and operand.type.order == user.type.order and has_pole(derivative)

    def _pull_reduce(self, user: Reduce, adjoint: Piece) -> list[Piece]:
        operand = user.operands[0]
        kept = [k for k in range(len(operand.type.shape)) if k not in user.axes]
        names = {label: Own(operand.serial, k) for label, k in zip(adjoint.own, kept, strict=True)}
        names = {old: new for old, new in names.items() if old not in self._batch}
        own: list[Label] = list(own_labels(operand))
        for label, k in zip(adjoint.own, kept, strict=True):
            own[k] = label if label in self._batch else own[k]
        wide = paired_widths(user, operand)
        term = rename(adjoint.terms[0], {**names, **wide})
        if user.kind == "mean":
            size = 1
            for k in user.axes:
                size *= operand.type.shape[k]
            term = times(term, number(1.0 / size), self._place)
        elif user.kind == "max":
            term = times(term, self._ties(user, tuple(own)), self._place)
        return [Piece(tuple(own), (term,))]

    def _ties(self, user: Reduce, own: tuple[Label, ...]) -> Term:
        """1/(number of ties) where the operand is the maximum, else 0."""
        operand = user.operands[0]
        wide = wide_labels(operand)
        inside = Term(operand, own, wide)
        outside = Term(user, tuple(own[k] for k in range(len(own)) if k not in user.axes), wide)
        is_largest = combine(comparison_where("=="), (inside, outside, number(1.0), number(0.0)), self._place)
        sizes = {own[k]: operand.type.shape[k] for k in user.axes}
        ties = reduce_over("sum", is_largest, sizes, self._place)
        return combine(primitive("div"), (is_largest, ties), self._place)

    def _pull_apply(self, user: Apply, position: int, adjoint: Piece) -> list[Piece]:
        (wide,) = wide_labels(user)
        sizes = {**dict(zip(adjoint.own, user.type.shape, strict=True)), **self._batch}
        dy = self._vector(adjoint.terms[0], wide, sizes)
        operator, argument_ = user.operands
        if position == 1:
            acting = labelled(operator, user.axes[0], adjoint.own, (LEFT, RIGHT), self._place)
            term = self._act(transpose(acting, self._place), dy, wide)
            return [self._settle(adjoint, user, argument_, Axes(user.axes[1].static, (0,)), term)]
        right = labelled(argument_, user.axes[1], adjoint.own, (RIGHT,), self._place)
        terms = (rename(dy, {wide: LEFT}), right)
        missing = self._missing(adjoint, user, user.axes[0], terms)
        return [self._relabel(adjoint, user, operator, user.axes[0].static, missing)]

    def _missing(self, piece: Piece, user: Node, axes: Axes, terms: tuple[Term, Term]) -> tuple[Term, Term]:
        """Multiply by the lengths of the user's axes that neither the operand nor the terms carry: their sum."""
        present = {*terms[0].static, *terms[1].static}
        size = 1
        for axis, label in enumerate(piece.own):
            is_lost = axis not in axes.static and label not in self._batch and not isinstance(label, At)
            size *= user.type.shape[axis] if is_lost and label not in present else 1
        return terms if size == 1 else (times(number(size), terms[0], self._place), terms[1])

    def _vector(self, term: Term, wide: Label, sizes: Mapping[Label, int]) -> Term:
        """The term with its width axis, also where it is constant along it."""
        term_static = union([term.static])
        return Term(arrange(term, term_static, (wide,), self._place, sizes), term_static, (wide,))

    def _act(self, operator: Term, vector: Term, wide: Label) -> Term:
        """operator @ vector, the result's width axis called `wide`; an order-2 tensor acts as T/n."""
        if operator.is_operator:
            return apply_operator(operator, vector, wide, self._place)
        first, second = operator.width
        product = combine(primitive("mul"), (operator, Term(vector.node, vector.static, (second,))), self._place)
        return rename(average_over(product, [second], self._place), {first: wide})

    def _pull_select(self, user: Select, piece: Piece) -> Piece:
        operand = user.operands[0]
        own: list[Label] = []
        names = paired_widths(user, operand)
        labels = iter(piece.own)
        for k, index in enumerate(user.index):
            label = next(labels) if index is None else At(index)
            if index is None and not isinstance(label, At) and label not in self._batch:
                names[label] = Own(operand.serial, k)
                label = names[label]
            own.append(label)
        return Piece(tuple(own), tuple(rename(term, names) for term in piece.terms))

    def _pull_stack(self, user: Stack, position: int, piece: Piece) -> list[Piece]:
        operand = user.operands[position]
        label = piece.own[user.axis]
        terms = piece.terms
        if isinstance(label, At):
            if label.place != position:
                return []
        elif label in self._batch:
            one = delta(label, position, len(user.operands), self._place)
            terms = (times(terms[0], one, self._place), *terms[1:])
        else:
            terms = tuple(fix_label(term, label, position, self._place) for term in terms)
        names = {} if user.type.is_operator else paired_widths(user, operand)
        axes = [k for k in range(len(user.type.shape)) if k != user.axis]
        return [self._relabel(piece, user, operand, axes, tuple(rename(term, names) for term in terms))]

    # --------------------------------------------------------- operator nodes

    def pull_operator(self, user: Node, position: int, piece: Piece) -> Iterable[Piece]:
        operand = user.operands[position]
        left, right = piece.terms
        every = range(len(user.type.shape))
        match user:
            case Transpose():
                flipped = (rename(right, {RIGHT: LEFT}), rename(left, {LEFT: RIGHT}))
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
        return moved if operand.type.is_operator else self.sums.tensor(moved, operand)

    def _pull_sum(self, user: OperatorSum, position: int, piece: Piece) -> list[Piece]:
        left, right = piece.terms
        k = position // 2
        coefficient, c_axes, term, t_axes = user.terms[k]
        if position % 2 == 1:
            scale = labelled(coefficient, c_axes, piece.own, (), self._place)
            pair = (times(scale, left, self._place), right)
            return [self._to_operand(piece, user, term, t_axes, pair)]
        operator = labelled(term, t_axes, piece.own, (LEFT, RIGHT), self._place)
        value = self.bracket(left, operator, right)
        hidden = {s: n for s, n in value.sizes.items() if s not in piece.own and s not in self._batch}
        value = reduce_over("sum", value, hidden, self._place)
        return [self._settle(piece, user, coefficient, c_axes, value)]

    def bracket(self, left: Term, operator: Term, right: Term) -> Term:
        """⟨left⎸operator @ right⟩."""
        inner = combine(primitive("mul"), (left, self._act(operator, right, LEFT)), self._place)
        return average_over(inner, [LEFT], self._place)

    def at_element(self, piece: Piece, index: Sequence[Label | int]) -> tuple[Term, Term]:
        """The two vectors of an operator's piece at fixed indices; zeros where it belongs to another element."""
        left, right = piece.terms
        for own, place in zip(piece.own, index, strict=True):
            assert isinstance(place, int), "one element at a time"
            if isinstance(own, At):
                if own.place != place:
                    left = times(number(0.0), left, self._place)
            elif own in self._batch:
                left = times(delta(own, place, self._batch[own], self._place), left, self._place)
            else:
                left, right = (fix_label(term, own, place, self._place) for term in (left, right))
        return left, right

    def _pull_product(self, user: OperatorProduct, position: int, piece: Piece) -> list[Piece]:
        left, right = piece.terms
        factors = [
            labelled(node, axes, piece.own, (LEFT, RIGHT), self._place)
            for node, axes in zip(user.operands, user.axes, strict=True)
        ]
        if position == 0:
            pair = (left, self._act(factors[1], right, RIGHT))
        else:
            pair = (self._act(transpose(factors[0], self._place), left, LEFT), right)
        return [self._to_operand(piece, user, user.operands[position], user.axes[position], pair)]

"""The normal form of operators: what an operator is a sum of, so that backends apply it without forming it.

    A = Σ c · M  +  T  +  S  +  Σ c · F₁ F₂ …

with initial matrices M (or their transposes), T an accumulated order-2 tensor (entering as T/n), S an accumulated sum
of outer products, and words of two and more factors, each a matrix or a tensor, applied in turn.  In a chain
W_t = c W_{t-1} − η T_t each step makes one new coefficient per matrix and one new tensor D_t = c D_{t-1} − η T_t, so
time and nodes are linear in the steps.  A product in which a sum of outer products takes part is one again:
⎸x⟩⟨y⎸ B = ⎸x⟩⟨Bᵀ y⎸, and the product of two of them has a k × k coefficient.

Accepts operators, none of them a Stack, and order-2 tensors; promises `apply_form(form, x)` = operator @ x up to
rounding.  Does not choose between forming a matrix and applying its parts: the finite backend does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nexort.graph import (
    Apply,
    DenseOperator,
    Graph,
    InitialMatrix,
    Node,
    Number,
    OperatorProduct,
    OperatorSum,
    Select,
    Transpose,
    Type,
    build_graph,
)
from nexort.graph.nodes import Alias, Axes, MatMul, Stop
from nexort.graph.terms import Label, Place, Term, arrange, combine, number, sizes_of, union
from nexort.passes.algebra import ADD, MUL
from nexort.passes.consolidate import StackCache, consolidate
from nexort.passes.contract import Contractor
from nexort.passes.elements import split_operator_families
from nexort.passes.factors import OuterFactors, select_term
from nexort.passes.outer import OuterSums
from nexort.passes.pieces import COL, ROW, Piece, build_tensor, merge_pieces
from nexort.passes.products import place_of, relabel
from nexort.passes.walk import decide

Matrix = tuple[Term, Term, bool]
"""(coefficient, matrix, is_transposed)"""
Word = tuple[Term, tuple["NormalForm", ...]]
"""(coefficient, factors): the product of two and more forms, the last applied first."""
TermChange = Callable[[Term], Term]


@dataclass(frozen=True, slots=True)
class NormalForm:
    """An operator family of this shape; the labels of all terms are its axis numbers 0, 1, …, or what `relabel` made.

    matrices  (coefficient, matrix leaf, is_transposed); a leaf is an InitialMatrix or a Select of one
    tensors   the sum of the other order-2 tensors, widths ROW and COL
    outer     the sum of outer products, widths ROW and COL
    words     (coefficient, factors), at least two factors, each a form without sums of outer products
    """

    shape: tuple[int, ...] = field(default=(), compare=False)
    matrices: tuple[Matrix, ...] = ()
    tensors: Term | None = None
    outer: Term | None = None
    words: tuple[Word, ...] = ()

    def relabel(self, names: Mapping[Label, Label]) -> NormalForm:
        """The same form with other labels on its static axes."""
        return self.map_terms(lambda term: relabel(term, names))

    def map_terms(self, change: TermChange) -> NormalForm:
        return replace(
            self,
            matrices=tuple((change(c), change(m), t) for c, m, t in self.matrices),
            tensors=change(self.tensors) if self.tensors else None,
            outer=change(self.outer) if self.outer else None,
            words=tuple((change(c), tuple(f.map_terms(change) for f in word)) for c, word in self.words),
        )

    def transposed(self) -> NormalForm:
        """The transpose; a tensor is transposed by exchanging its labels."""
        return replace(
            self,
            matrices=tuple((c, m, not t) for c, m, t in self.matrices),
            tensors=_flip(self.tensors) if self.tensors else None,
            outer=_flip(self.outer) if self.outer else None,
            words=tuple((c, tuple(f.transposed() for f in reversed(word))) for c, word in self.words),
        )

    @property
    def applications(self) -> int:
        """How many products with a matrix or tensor one application takes."""
        single = len(self.matrices) + (self.tensors is not None) + (self.outer is not None)
        return single + sum(factor.applications for _, word in self.words for factor in word)


def _flip(term: Term) -> Term:
    return relabel(term, {ROW: COL, COL: ROW})


class OperatorForms:
    """Normal forms with memory: each operator node is looked at once."""

    def __init__(self, outer: OuterSums | None = None) -> None:
        self.outer = outer or OuterSums()
        self.factors = OuterFactors(self.outer)
        self.contractor = Contractor(outer=self.outer)
        self._forms: dict[Node, NormalForm] = {}
        self._stacks: StackCache = {}
        self._leaves: dict[tuple[Node, tuple[int | None, ...]], Node] = {}

    def normal_form(self, node: Node) -> NormalForm:
        """The form of an operator or order-2 tensor, static labels 0, 1, …"""

        def rule(top: Node) -> NormalForm:
            return replace(self._find_form(top), shape=top.type.shape)

        return decide(node, self._forms, _operator_operands, rule)

    def _find_form(self, node: Node) -> NormalForm:
        static = tuple(range(len(node.type.shape)))
        match node:
            case InitialMatrix():
                return NormalForm(matrices=((number(1.0), Term(node, static), False),))
            case Transpose():
                return self._forms[node.operands[0]].transposed()
            case Alias() | Stop() if node.type.is_operator:
                return self._forms[node.operands[0]]
            case OperatorSum():
                return self._form_of_sum(node)
            case OperatorProduct():
                return self._form_of_product(node)
            case Select() if node.type.is_operator:
                return self._form_of_select(node)
            case _:
                return self._form_of_tensor(Term(node, static, (ROW, COL)))

    def _form_of_tensor(self, term: Term) -> NormalForm:
        if term.is_operator or term.order != 2:
            raise AssertionError(f"{type(term.node).__name__} is no operator")
        is_outer = self.outer.contains(term.node)
        return NormalForm(outer=term) if is_outer else NormalForm(tensors=term)

    def _form_of_sum(self, node: OperatorSum) -> NormalForm:
        place = place_of(node)
        parts: list[NormalForm] = []
        for coefficient, c_axes, term, t_axes in node.terms:
            form = self._forms[term].relabel(dict(enumerate(t_axes.static)))
            parts.append(self._scale(form, Term(coefficient, c_axes.static), place))
        return self._add(parts, place)

    def _form_of_select(self, node: Select) -> NormalForm:
        kept = iter(range(len(node.type.shape)))
        names: dict[Label, Label] = {k: next(kept) if i is None else ("fixed", k) for k, i in enumerate(node.index)}
        fixed: dict[Label, int] = {("fixed", k): i for k, i in enumerate(node.index) if i is not None}
        place = place_of(node)
        return self._forms[node.operands[0]].relabel(names).map_terms(lambda term: self._select(term, fixed, place))

    def _select(self, term: Term, fixed: Mapping[Label, int], place: Place) -> Term:
        """As `select_term`, with one node for each element of a matrix family, so that equal leaves are found equal."""
        chosen = select_term(term, fixed, place)
        if isinstance(chosen.node, Select) and term.is_operator:
            base, index = _merge_selects(chosen.node)
            node = self._leaves.setdefault((base, index), replace(chosen.node, operands=(base,), index=index))
            return Term(node, chosen.static, chosen.width)
        return chosen

    # sums

    def _scale(self, form: NormalForm, factor: Term, place: Place) -> NormalForm:
        if isinstance(factor.node, Number) and factor.node.value == 1:
            return form
        return replace(
            form,
            matrices=tuple((multiply_terms(factor, c, place), m, t) for c, m, t in form.matrices),
            tensors=multiply_terms(factor, form.tensors, place) if form.tensors else None,
            outer=multiply_terms(factor, form.outer, place) if form.outer else None,
            words=tuple((multiply_terms(factor, c, place), word) for c, word in form.words),
        )

    def _add(self, parts: Sequence[NormalForm], place: Place) -> NormalForm:
        matrices: dict[tuple[Term, bool], Term] = {}
        words: dict[tuple[NormalForm, ...], Term] = {}
        for part in parts:
            for c, m, t in part.matrices:
                matrices[m, t] = add_terms(matrices.get((m, t)), c, place)
            for c, word in part.words:
                words[word] = add_terms(words.get(word), c, place)
        return NormalForm(
            matrices=tuple((c, m, t) for (m, t), c in matrices.items()),
            tensors=self._total([part.tensors for part in parts], place),
            outer=self._total([part.outer for part in parts], place),
            words=tuple((c, word) for word, c in words.items()),
        )

    def _total(self, terms: Sequence[Term | None], place: Place) -> Term | None:
        total: Term | None = None
        for term in terms:
            total = total if term is None else add_terms(total, term, place)
        return total

    # products

    def _form_of_product(self, node: OperatorProduct) -> NormalForm:
        place = place_of(node)
        left, right = (
            self._forms[x].relabel(dict(enumerate(axes.static)))
            for x, axes in zip(node.operands, node.axes, strict=True)
        )
        left, left_outer = self._split_outer(left)
        right, right_outer = self._split_outer(right)
        pieces = [p.times(q, place) for p in left_outer for q in right_outer]
        pieces += [replace(p, col=self._apply_to(right.transposed(), p, COL, place)) for p in left_outer if _any(right)]
        pieces += [replace(q, row=self._apply_to(left, q, ROW, place)) for q in right_outer if _any(left)]
        return NormalForm(
            words=_multiply_words(left, right, place), outer=self._collect(pieces, place) if pieces else None
        )

    def _split_outer(self, form: NormalForm) -> tuple[NormalForm, tuple[Piece, ...]]:
        """The form without its sum of outer products, and that sum in pieces (kept as a tensor if it has none)."""
        if form.outer is None:
            return form, ()
        pieces = self.factors.of(form.outer)
        if pieces is None:
            place = place_of(form.outer.node)
            return replace(form, outer=None, tensors=add_terms(form.tensors, form.outer, place)), ()
        return replace(form, outer=None), consolidate(pieces, self._stacks, place_of(form.outer.node))

    def _apply_to(self, form: NormalForm, piece: Piece, side: str, place: Place) -> Term:
        vector = piece.vector(side, place)
        return self.apply_form(form, vector, side, place)

    def _collect(self, pieces: Sequence[Piece], place: Place) -> Term:
        merged = merge_pieces(pieces, place)
        tensor = build_tensor(merged, place)
        self.factors.remember(tensor, merged)
        return tensor

    # application

    def apply_form(
        self, form: NormalForm, argument: Term, width: Label, place: Place, *, is_transposed: bool = False
    ) -> Term:
        """operator @ argument (or its transpose @ argument) with width label `width`; families aligned by label."""
        if is_transposed:
            form = form.transposed()
        vector = relabel(argument, {argument.width[0]: COL})
        total: Term | None = None
        for coefficient, term, flipped in form.matrices:
            value = apply_matrix(term, flipped, vector, place)
            total = add_terms(total, multiply_terms(coefficient, value, place), place)
        for tensor in (form.tensors, form.outer):
            total = add_terms(total, self._apply_tensor(tensor, vector, place), place) if tensor else total
        for coefficient, word in form.words:
            value = vector
            for factor in reversed(word):
                value = self.apply_form(factor, value, COL, place)
            total = add_terms(total, multiply_terms(coefficient, value, place), place)
        if total is None:
            total = Term(arrange(number(0.0), (), (COL,), place), (), (COL,))
        return relabel(total, {COL: width})

    def _apply_tensor(self, term: Term, vector: Term, place: Place) -> Term:
        """(1/n) tensor · vector, a vector on COL, the result again on COL."""
        kept = (*union((term.static, vector.static)), ROW)
        result = self.contractor.contract_terms((term, vector), kept, place)
        result = Term(arrange(result, result.static, (ROW,), place), result.static, (ROW,))
        return relabel(result, {ROW: COL})

    def lower_apply(self, node: Apply) -> Node:
        """A vector node equal to an Apply, made of MatMul, Contract, Average and Map."""
        operator, argument = node.operands
        form = self.normal_form(operator).relabel(dict(enumerate(node.axes[0].static)))
        place = place_of(node)
        result = self.apply_form(form, Term(argument, node.axes[1].static, (COL,)), COL, place)
        static = tuple(range(len(node.type.shape)))
        return arrange(result, static, (COL,), place, dict(zip(static, node.type.shape, strict=True)))


def _operator_operands(node: Node) -> tuple[Node, ...]:
    """The operands whose forms the node's form is made of (none for a tensor)."""
    if isinstance(node, OperatorSum):
        return node.operands[1::2]
    is_composed = node.type.is_operator and not isinstance(node, DenseOperator)
    return node.operands if is_composed else ()


def _merge_selects(node: Select) -> tuple[Node, tuple[int | None, ...]]:
    base, index = node.operands[0], node.index
    while isinstance(base, Select):
        rest = iter(index)
        index = tuple(next(rest) if i is None else i for i in base.index)
        base = base.operands[0]
    return base, index


def _any(form: NormalForm) -> bool:
    return form.applications > 0


def _multiply_words(left: NormalForm, right: NormalForm, place: Place) -> tuple[Word, ...]:
    """left @ right, applied in turn: nothing is multiplied out."""
    if not _any(left) or not _any(right):
        return ()
    c, first = _as_word(left)
    d, second = _as_word(right)
    return ((multiply_terms(c, d, place), (*first, *second)),)


def _as_word(form: NormalForm) -> Word:
    """A form that is one word as that word; else as the one factor of a word."""
    is_word = len(form.words) == 1 and not form.matrices and form.tensors is None
    return form.words[0] if is_word else (number(1.0), (form,))


def add_terms(left: Term | None, right: Term, place: Place) -> Term:
    if left is None:
        return right
    a, b = left.node, right.node
    if isinstance(a, Number) and isinstance(b, Number):
        return number(a.value + b.value)
    return combine(ADD, (left, right), place)


def multiply_terms(left: Term, right: Term, place: Place) -> Term:
    a, b = left.node, right.node
    if isinstance(a, Number) and isinstance(b, Number):
        return number(a.value * b.value)
    if isinstance(a, Number) and a.value == 1:
        return right
    return left if isinstance(b, Number) and b.value == 1 else combine(MUL, (left, right), place)


def apply_matrix(matrix: Term, is_transposed: bool, vector: Term, place: Place) -> Term:
    """matrix @ vector or its transpose @ vector, the width label as the vector's."""
    static, sizes = union((matrix.static, vector.static)), sizes_of((matrix, vector))
    axes = tuple(Axes(tuple(static.index(s) for s in term.static)) for term in (matrix, vector))
    node = MatMul(
        type=Type(tuple(sizes[s] for s in static), 1),
        operands=(matrix.node, vector.node),
        is_transposed=is_transposed,
        axes=(axes[0], axes[1]),
        span=place.span,
        passes=place.passes,
    )
    return Term(node, static, vector.width)


def lower_operators(graph: Graph, forms: OperatorForms | None = None) -> Graph:
    """The graph with every Apply expanded by its normal form: the reading that `nexort lower` prints."""
    forms = forms or OperatorForms()
    graph = split_operator_families(graph)
    new: dict[Node, Node] = {}
    for node in graph.order:
        rebuilt = node.with_operands(new[operand] for operand in node.operands)
        new[node] = forms.lower_apply(rebuilt) if isinstance(rebuilt, Apply) else rebuilt
    return build_graph(replace(out, nodes=tuple(new[node] for node in out.nodes)) for out in graph.outputs)

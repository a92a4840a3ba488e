"""Labelled products: a value seen as a product of factors, summed over static and averaged over width labels.

`flatten` takes a term apart into factors, as far as that saves work; `build_product` puts factors together again as
few, small contractions, one bound label at a time (variable elimination: what does not carry a label is not
summed over it).  Both accept terms whose labels agree in length and promise the same value up to rounding.
Neither distributes products over sums (`contract` does) nor looks into operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from nexort.graph.nodes import Average, Axes, Contract, Map, Node, Number, Reduce
from nexort.graph.terms import Label, Place, Term, combine, number, sizes_of, union, without_diagonals
from nexort.graph.types import Type
from nexort.passes.algebra import DIV, IDENTITY, MUL, NEG
from nexort.symbolic import power

SQUARE = power(2)
_bound = count()


def fresh_label() -> Label:
    """A label equal to no other."""
    return ("bound", next(_bound))


def relabel(term: Term, names: Mapping[Label, Label]) -> Term:
    return Term(term.node, tuple(names.get(s, s) for s in term.static), tuple(names.get(w, w) for w in term.width))


def operand_terms(term: Term) -> tuple[Term, ...]:
    """The operands of a Map or Contract with the labels of the axes they lie on.

    Bound axes of a Contract get fresh labels.
    """
    node = term.node
    static, width = list(term.static), list(term.width)
    match node:
        case Contract():
            static.extend(fresh_label() for _ in node.summed)
            width.extend(fresh_label() for _ in range(node.averaged))
        case Map():
            pass
        case _:
            raise TypeError(f"{type(node).__name__} has no factors")
    return tuple(
        Term(operand, tuple(static[k] for k in axes.static), tuple(width[k] for k in axes.width))
        for operand, axes in zip(node.operands, node.axes, strict=True)
    )


@dataclass
class Product:
    """coefficient · ∏ factors / ∏ divisors, summed over `summed` (lengths) and averaged over `averaged`."""

    coefficient: float = 1.0
    factors: list[Term] = field(default_factory=list)
    divisors: list[Term] = field(default_factory=list)
    summed: dict[Label, int] = field(default_factory=dict)
    averaged: dict[Label, None] = field(default_factory=dict)

    def copy(self, factors: Iterable[Term], sign: float = 1.0) -> Product:
        """The same bounds and divisors around other factors."""
        coefficient = sign * self.coefficient
        return Product(coefficient, list(factors), list(self.divisors), dict(self.summed), dict(self.averaged))

    @property
    def bound(self) -> set[Label]:
        return {*self.summed, *self.averaged}


# taking apart

UseCount = Callable[[Node], int]


def flatten(term: Term, product: Product, uses: UseCount, *, is_top: bool = True) -> None:
    """Multiply `product` by the factors of a term. `is_top`: the term is only read by this contraction."""
    stack = [(term, is_top)]
    while stack:
        part, top = stack.pop()
        factors = _factors(part, top, uses, product)
        if factors is None:
            product.factors.append(part)
        else:
            keeps_top = top and sum(not isinstance(f.node, Number) for f in factors) == 1
            stack.extend((f, keeps_top) for f in reversed(factors))


def _factors(term: Term, top: bool, uses: UseCount, product: Product) -> tuple[Term, ...] | None:
    """What a term is the product of, or None for a leaf; numbers and divisors go to the product at once."""
    node = term.node
    match node:
        case Number():
            product.coefficient *= node.value
            return ()
        case Map():
            return _map_factors(term, node, top, uses, product)
        case Contract() | Reduce() | Average() if top and uses(node) <= 1:
            return open_contraction(term, product)
        case _:
            return None


def _map_factors(term: Term, node: Map, top: bool, uses: UseCount, product: Product) -> tuple[Term, ...] | None:
    if node.fn is NEG or node.fn is IDENTITY:
        product.coefficient *= -1 if node.fn is NEG else 1
        return operand_terms(term)
    if node.fn is SQUARE and (top or (term.order >= 2 and uses(node) <= 1)):
        return operand_terms(term) * 2
    if node.fn is MUL and (top or _saves_work(term, uses)):
        return operand_terms(term)
    if node.fn is DIV and (top or _saves_work(term, uses)):
        value, divisor = operand_terms(term)
        if isinstance(divisor.node, Number) and divisor.node.value != 0:
            product.divisors.append(divisor)
            return (value,)
        if labels_of(divisor) < labels_of(term):
            product.divisors.append(divisor)
            return (value,)
    return None


def _saves_work(term: Term, uses: UseCount) -> bool:
    """Whether the factors are cheaper to read than their product (which may have other readers)."""
    operands = operand_terms(term)
    if term.order >= 2:
        return uses(term.node) <= 1 or sum(x.order >= 2 for x in operands) <= 1
    if any(x.order == 0 for x in operands):
        return term.order > 0
    mine = labels_of(term)
    return all(labels_of(x) < mine for x in operands)


def labels_of(term: Term) -> set[Label]:
    return {*term.static, *term.width}


def open_contraction(term: Term, product: Product) -> tuple[Term, ...] | None:
    """The operands of a sum, mean or average, its bound labels moved to the product (None: a max)."""
    node = term.node
    if isinstance(node, Reduce) and node.kind == "max":
        return None
    contract = as_contract(node)
    factors = operand_terms(Term(contract, term.static, term.width))
    outer = labels_of(term)
    for factor in factors:
        product.summed.update({s: n for s, n in factor.sizes.items() if s not in outer})
        product.averaged.update({w: None for w in factor.width if w not in outer})
    if isinstance(node, Reduce) and node.kind == "mean":
        for k in node.axes:
            product.coefficient /= node.operands[0].type.shape[k]
    return factors


def as_contract(node: Node) -> Contract:
    """A Contract, Reduce (as a sum) or Average as a Contract of one or more operands."""
    if isinstance(node, Contract):
        return node
    if not isinstance(node, Reduce | Average):
        raise TypeError(f"{type(node).__name__} is no contraction")
    (operand,) = node.operands
    gone_static = node.axes if isinstance(node, Reduce) else ()
    gone_width = node.axes if isinstance(node, Average) else ()
    axes = Axes(_kept_first(len(operand.type.shape), gone_static), _kept_first(operand.type.order, gone_width))
    summed = tuple(operand.type.shape[k] for k in gone_static)
    return Contract(
        type=node.type,
        operands=node.operands,
        axes=(axes,),
        summed=summed,
        averaged=len(gone_width),
        span=node.span,
        passes=node.passes,
    )


def _kept_first(total: int, gone: tuple[int, ...]) -> tuple[int, ...]:
    """Positions of axes when those in `gone` are moved behind the others."""
    order = [k for k in range(total) if k not in gone] + list(gone)
    return tuple(order.index(k) for k in range(total))


# putting together


def build_product(product: Product, kept: Sequence[Label], place: Place) -> Term:
    """The product as a term with labels `kept` (those that a factor has) and no others."""
    factors = [without_diagonals(factor, place) for factor in product.factors]
    after: list[Term] = []
    high_order = len({w for f in factors for w in f.width if w in kept}) >= 2
    for divisor in product.divisors:
        if high_order or labels_of(divisor) & product.bound:
            factors.append(without_diagonals(combine(DIV, (number(1.0), divisor), place), place))
        else:
            after.append(divisor)
    coefficient = product.coefficient
    carried = {label for factor in factors for label in labels_of(factor)}
    for label, size in product.summed.items():
        coefficient *= 1 if label in carried else size
    if coefficient != 1:
        factors.insert(0, number(coefficient))
    factors = _eliminate(factors, product, place)
    result = multiply(factors, place)
    for divisor in after:
        result = combine(DIV, (result, divisor), place)
    return result


def _eliminate(factors: list[Term], product: Product, place: Place) -> list[Term]:
    """Factors without the bound labels, each contracted over the factors that carry it."""
    pending = [label for label in (*product.averaged, *product.summed) if any(label in labels_of(f) for f in factors)]
    while pending:
        label = min(pending, key=lambda x: _cost(x, factors, x in product.summed))
        part = [f for f in factors if label in labels_of(f)]
        rest = [f for f in factors if label not in labels_of(f)]
        elsewhere = {x for f in rest for x in labels_of(f)}
        inside = {x for f in part for x in labels_of(f)}
        gone = [x for x in pending if x in inside and x not in elsewhere]
        part, rest = _take_small(part, rest, set(gone), place)
        factors = [contract_factors(part, gone, place), *rest]
        pending = [x for x in pending if x not in gone]
    return factors


def _cost(label: Label, factors: Sequence[Term], is_static: bool) -> tuple[bool, int, int]:
    """Width labels first (n is large), then what leaves the smallest result."""
    part = [f for f in factors if label in labels_of(f)]
    return is_static, len({w for f in part for w in f.width}), len({s for f in part for s in f.static})


def _take_small(part: list[Term], rest: list[Term], gone: set[Label], place: Place) -> tuple[list[Term], list[Term]]:
    """Where the contraction makes a tensor, scalars and vectors enter it rather than multiply n × n entries."""
    result = {x for f in part for x in labels_of(f)} - gone
    if len({w for f in part for w in f.width} - gone) < 2:
        return (merge_scalars(part, place) if any(f.order for f in part) else part), rest
    taken = [f for f in rest if f.order <= 1 and labels_of(f) <= result]
    taken_ids = {id(f) for f in taken}
    return merge_scalars([*taken, *part], place), [f for f in rest if id(f) not in taken_ids]


def merge_scalars(factors: Sequence[Term], place: Place) -> list[Term]:
    """Scalar factors multiplied together where the product is no larger than one of them."""
    merged: list[Term] = []
    for factor in sorted((f for f in factors if f.order == 0), key=lambda f: -len(f.static)):
        host = next((k for k, m in enumerate(merged) if labels_of(factor) <= labels_of(m)), None)
        if host is None:
            merged.append(factor)
        else:
            merged[host] = combine(MUL, (factor, merged[host]), place)
    return [*merged, *(f for f in factors if f.order > 0)]


def contract_factors(factors: Sequence[Term], bound: Sequence[Label], place: Place) -> Term:
    """One contraction of factors over bound labels, each of which some factor carries."""
    static, width = union(f.static for f in factors), union(f.width for f in factors)
    sizes = sizes_of(factors)
    free_static, free_width = tuple(s for s in static if s not in bound), tuple(w for w in width if w not in bound)
    all_static = (*free_static, *(s for s in static if s in bound))
    all_width = (*free_width, *(w for w in width if w in bound))
    kind = Type(tuple(sizes[s] for s in free_static), len(free_width))
    node = _contraction(factors, all_static, all_width, kind, place)
    if node is None:
        node = Contract(
            type=kind,
            operands=tuple(f.node for f in factors),
            axes=tuple(_axes(f, all_static, all_width) for f in factors),
            summed=tuple(sizes[s] for s in all_static[len(free_static) :]),
            averaged=len(all_width) - len(free_width),
            span=place.span,
            passes=place.passes,
        )
    return Term(node, free_static, free_width)


def _axes(term: Term, static: Sequence[Label], width: Sequence[Label]) -> Axes:
    return Axes(tuple(static.index(s) for s in term.static), tuple(width.index(w) for w in term.width))


def _contraction(
    factors: Sequence[Term], static: Sequence[Label], width: Sequence[Label], kind: Type, place: Place
) -> Node | None:
    """A Reduce or Average where there is one factor and one kind of bound label."""
    if len(factors) != 1:
        return None
    factor = factors[0]
    summed, averaged = static[len(kind.shape) :], width[kind.order :]
    if summed and not averaged:
        axes = tuple(k for k, s in enumerate(factor.static) if s in summed)
        return Reduce(type=kind, operands=(factor.node,), kind="sum", axes=axes, span=place.span, passes=place.passes)
    if averaged and not summed:
        axes = tuple(k for k, w in enumerate(factor.width) if w in averaged)
        return Average(type=kind, operands=(factor.node,), axes=axes, span=place.span, passes=place.passes)
    return None


def multiply(factors: Sequence[Term], place: Place) -> Term:
    """The entrywise product, small factors first (1 if there are none)."""
    if not factors:
        return number(1.0)
    ordered = sorted(factors, key=lambda f: (f.order, len(f.static)))
    result = ordered[0]
    for factor in ordered[1:]:
        result = combine(MUL, (result, factor), place)
    return result


def contract_terms(terms: Sequence[Term], kept: Sequence[Label], place: Place) -> Term:
    """∏ terms, static labels not in `kept` summed and width labels not in `kept` averaged.

    The terms are taken as they are: none is flattened.
    """
    product = Product(factors=list(terms))
    for term in terms:
        product.summed.update({s: n for s, n in term.sizes.items() if s not in kept})
        product.averaged.update({w: None for w in term.width if w not in kept})
    return build_product(product, kept, place)


def place_of(node: Node) -> Place:
    return Place(node.span, node.passes)

"""Contractions: sums and averages of products as `Contract`, never as a large product that is then reduced.

Accepts a simplified graph; promises the same outputs up to rounding, with each Reduce(sum, mean) and Average of a
product replaced by contractions of its factors, factors without a bound axis pulled out, and products of sums of
outer products distributed while few terms come of it.  Does not change which random draws are made, and leaves alone
what is not a product.  Time is linear in the number of nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from nexort.graph import Average, Contract, Graph, Map, Node, Reduce, build_graph
from nexort.graph.terms import Label, Place, Term, arrange, combine, sizes_of
from nexort.passes.algebra import ADD, IDENTITY, NEG, SUB
from nexort.passes.outer import OuterSums
from nexort.passes.products import (
    Product,
    build_product,
    flatten,
    open_contraction,
    operand_terms,
    place_of,
)

MAX_SUMMANDS = 4
"""A product is distributed over a sum of at most so many terms; a longer sum stays one operand."""


def contract(graph: Graph) -> Graph:
    """The graph with sums and averages of products as contractions."""
    contractor = Contractor(graph)
    return build_graph(replace(out, nodes=tuple(contractor.new[node] for node in out.nodes)) for out in graph.outputs)


class Contractor:
    """The state of the pass: what each node became, how often it is read, which tensors are sums of outer products."""

    def __init__(self, graph: Graph | None = None, outer: OuterSums | None = None) -> None:
        self.new: dict[Node, Node] = {}
        self.outer = outer or OuterSums()
        self._counts: dict[Node, int] = {}
        if graph is not None:
            self._run(graph)

    def _run(self, graph: Graph) -> None:
        counts = {node: len(users) for node, users in graph.users.items()}
        for result in graph.results:
            counts[result] += 1
        for node in graph.order:
            rebuilt = node.with_operands(self.new[operand] for operand in node.operands)
            self.new[node] = result = self._rule(rebuilt)
            self._counts[result] = max(self._counts.get(result, 0), counts[node])

    def uses(self, node: Node) -> int:
        """How many nodes read it; those that the pass made itself count as read once."""
        return self._counts.get(node, 1)

    def _rule(self, node: Node) -> Node:
        if isinstance(node, Average) or (isinstance(node, Reduce) and node.kind != "max"):
            return self._contract_node(node)
        return node

    def _contract_node(self, node: Reduce | Average) -> Node:
        static = tuple(("static", k) for k in range(len(node.type.shape)))
        width = tuple(("width", k) for k in range(node.type.order))
        whole = Term(node, static, width)
        product = Product()
        for operand in open_contraction(whole, product) or ():
            flatten(operand, product, self.uses)
        (operand,) = node.operands
        if len(product.factors) == 1 and product.factors[0].node is operand and not self._is_sum(product.factors[0]):
            return node
        result = self.build(product, (*static, *width), place_of(node))
        return arrange(result, static, width, place_of(node), sizes_of([whole]))

    # products whose factors may be tensors

    def contract_terms(self, terms: Sequence[Term], kept: Sequence[Label], place: Place) -> Term:
        """∏ terms, static labels outside `kept` summed, width labels averaged; tensors are opened where it pays."""
        product = Product()
        for term in terms:
            product.summed.update({s: n for s, n in term.sizes.items() if s not in kept})
            product.averaged.update({w: None for w in term.width if w not in kept})
        for term in terms:
            flatten(term, product, self.uses, is_top=term.order >= 2)
        return self.build(product, kept, place)

    def build(self, product: Product, kept: Sequence[Label], place: Place) -> Term:
        """The sum of the products that come of distributing over short sums of outer products."""
        total: Term | None = None
        for part in self._distribute(product):
            self._open_tensors(part)
            sign = SUB if part.coefficient < 0 and total is not None else ADD
            if sign is SUB:
                part.coefficient = -part.coefficient
            value = build_product(part, kept, place)
            total = value if total is None else combine(sign, (total, value), place)
        if total is None:
            raise AssertionError("a product of no summands")
        return total

    def _is_sum(self, term: Term) -> bool:
        node = term.node
        return (
            isinstance(node, Map)
            and term.order >= 2
            and (node.fn is ADD or node.fn is SUB)
            and (self.outer.contains(node) or _is_broadcast_sum(term, self.outer))
        )

    def _distribute(self, product: Product) -> list[Product]:
        done: list[Product] = []
        todo = [product]
        while todo:
            part = todo.pop()
            place = next((k for k, factor in enumerate(part.factors) if self._can_split(factor, part)), None)
            if place is None or len(todo) + len(done) >= MAX_SUMMANDS:
                done.append(part)
                continue
            summands = self._summands(part.factors[place], MAX_SUMMANDS - len(todo) - len(done))
            if summands is None:
                done.append(part)
                continue
            todo.extend(reversed([self._substitute(part, place, sign, term) for sign, term in summands]))
        return done

    def _can_split(self, factor: Term, product: Product) -> bool:
        return self._is_sum(factor) and not product.bound.isdisjoint((*factor.static, *factor.width))

    def _substitute(self, product: Product, place: int, sign: float, term: Term) -> Product:
        new = product.copy(product.factors[:place], sign)
        flatten(term, new, self.uses, is_top=True)
        new.factors.extend(product.factors[place + 1 :])
        return new

    def _summands(self, term: Term, limit: int) -> list[tuple[float, Term]] | None:
        """The terms of nested sums and differences with their signs, or None if they are too many."""
        found: list[tuple[float, Term]] = []
        stack = [(1.0, term)]
        while stack:
            sign, part = stack.pop()
            node = part.node
            if isinstance(node, Map) and node.fn in (ADD, SUB, NEG, IDENTITY):
                signs = (sign, -sign) if node.fn is SUB else (-sign,) if node.fn is NEG else (sign, sign)
                operands = operand_terms(part)
                stack.extend(reversed(list(zip(signs[: len(operands)], operands, strict=True))))
            else:
                found.append((sign, part))
            if len(found) + len(stack) > limit:
                return None
        return found

    def _open_tensors(self, product: Product) -> None:
        """Replace tensors Σ ⎸x⟩⟨y⎸ by their vectors, unless that multiplies the work by their numbers of terms."""
        wide = [f for f in product.factors if len(set(f.width)) >= 2]
        closed = [f for f in wide if not _is_vector_contraction(f)]
        opened = {id(f) for f in wide if _is_worth_opening(f, closed, wide, product)}
        factors = product.factors
        product.factors = []
        for factor in factors:
            inner = open_contraction(factor, product) if id(factor) in opened else None
            if inner is None:
                product.factors.append(factor)
            else:
                for vector in inner:
                    flatten(vector, product, self.uses, is_top=False)


def _is_broadcast_sum(term: Term, outer: OuterSums) -> bool:
    """A sum of terms that each lack some of its labels (x{i} y{j} z{k} + …): higher orders included."""
    mine = {*term.static, *term.width}
    parts: Iterable[Term] = operand_terms(term)
    return all({*x.static, *x.width} < mine or outer.contains(x.node) for x in parts)


def _is_vector_contraction(term: Term) -> bool:
    node = term.node
    return isinstance(node, Contract) and all(operand.type.order <= 1 for operand in node.operands)


def _is_worth_opening(factor: Term, closed: Sequence[Term], wide: Sequence[Term], product: Product) -> bool:
    mine = set(factor.width)
    if not _is_vector_contraction(factor) or product.bound.isdisjoint((*factor.static, *factor.width)):
        return False
    if any(len(mine & set(other.width)) >= 2 for other in closed):
        return False
    partners = sum(other is not factor and len(mine & set(other.width)) >= 2 for other in wide)
    return partners == 0 or (partners == 1 and not mine.isdisjoint(product.averaged))

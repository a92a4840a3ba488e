"""The core program of a graph as text: what `nexort lower` prints.

Each line is one statement in the finer reading of TP4b Definition 2.6.1: MatMul, Nonlin (entrywise,
order ≤ 1), Moment (the average of a Nonlin; without vectors, a function of scalars), Tensor (entrywise, order ≥ 2) and
TensorMoment (an average over copies).  With `paper`, only Avg, MatMul and OuterNonlin are used.  Square brackets hold
static indices, braces width axes where there is more than one.

Accepts any graph; operators are expanded and sums of products contracted first.  Promises names that depend on the
program alone.  Does not compute anything and is not read back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

from nexort import symbolic
from nexort.graph import (
    Average,
    Contract,
    Data,
    Fluctuation,
    Graph,
    InitialMatrix,
    InitialScalar,
    InitialVector,
    Map,
    MatMul,
    Node,
    Number,
    Reduce,
    Select,
    Stack,
    WidthNumber,
)
from nexort.graph.terms import Label, Term
from nexort.passes.contract import contract
from nexort.passes.operators import lower_operators
from nexort.passes.products import as_contract
from nexort.passes.simplify import simplify
from nexort.symbolic import Expr, apply_fn, argument
from nexort.symbolic import number as number_expr

Declared: TypeAlias = Data | InitialScalar | InitialVector | InitialMatrix
"""Nodes with names of their own."""

MAX_WEIGHT = 24
"""Operations in one statement; a longer expression is named in between."""
STATIC_LETTERS, WIDTH_LETTERS = "abcdefghklmopqrstuvwxyz", "ijklmpqr"


def core_graph(graph: Graph) -> Graph:
    """The graph in core operations: no operators, sums of products contracted."""
    return simplify(lower_operators(contract(simplify(graph))))


def lower_text(graph: Graph, *, paper: bool) -> str:
    """The core program, one statement a line, outputs last."""
    core = core_graph(graph)
    printer = _Printer(core, _Vocabulary(is_paper=paper))
    return "\n".join([*printer.statements(), *printer.outputs()]) + "\n"


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """What a statement is called in the finer reading and in the paper's."""

    is_paper: bool

    def wrap(self, body: str, order: int, averaged: Sequence[str]) -> str:
        """`body` (of this order, these width axes averaged) as a statement."""
        total = order + len(averaged)
        is_scalar = not averaged and order == 0
        axes = "{" + ",".join(averaged) + "}" if averaged and total > 1 else ""
        if not self.is_paper:
            if averaged or is_scalar:
                return f"{'Moment' if total <= 1 else 'TensorMoment'}{axes}({body})"
            return f"{'Nonlin' if order == 1 else 'Tensor'}({body})"
        if total <= 1:
            return f"OuterNonlin({body})" if order == 1 else f"Avg(OuterNonlin({body}))"
        return f"Avg(OuterNonlin{axes}({body}))" if order == 0 else f"OuterNonlin{axes}({body})"


@dataclass
class _Letters:
    """Index letters of one statement."""

    taken: set[str]
    has_braces: bool = False
    static: Iterator[str] = field(init=False)
    width: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self.static = _letters(STATIC_LETTERS, self.taken)
        self.width = _letters(WIDTH_LETTERS, set())


def _letters(pool: str, taken: set[str]) -> Iterator[str]:
    yield from (letter for letter in pool if letter not in taken)
    yield from (f"{pool[0]}{k}" for k in count(1))


class _Body:
    """An entrywise expression under construction: leaves are arguments, with the texts that stand for them."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def leaf(self, text: str) -> Expr:
        if text not in self.texts:
            self.texts.append(text)
        return argument(self.texts.index(text))

    def show(self, expr: Expr) -> str:
        return symbolic.show(expr, self.texts)


class _Printer:
    def __init__(self, graph: Graph, vocabulary: _Vocabulary) -> None:
        self._graph = graph
        self._words = vocabulary
        self._numbers = {prefix: count(1) for prefix in "xhscT"}
        self._declared = {x.name for x in graph.order if isinstance(x, Declared)}
        self._inline = self._find_inline()
        self._names: dict[Node, str] = {}

    def _find_inline(self) -> set[Node]:
        """Nodes shown inside their one reader: cheap, entrywise, and not too long together."""
        results = set(self._graph.results)
        weights: dict[Node, int] = {}
        inline: set[Node] = set()
        for node in self._graph.order:
            weight = 1 + sum(weights.get(x, 0) for x in node.operands)
            users = self._graph.users[node]
            is_single = len(users) == 1 and users[0].operands.count(node) == 1 and node not in results
            readers = isinstance(users[0], Map | Reduce | Average | Contract) if users else False
            fits = is_single and readers and weight <= MAX_WEIGHT and _is_entrywise(node)
            if isinstance(node, Number | Select | WidthNumber) or fits:
                inline.add(node)
                weights[node] = weight
        return inline

    # statements

    def statements(self) -> Iterator[str]:
        passes: tuple[tuple[str, int], ...] = ()
        for node in self._graph.order:
            if node in self._inline and node not in self._graph.results:
                continue
            if node.passes != passes and not isinstance(node, Data):
                passes = node.passes
                yield "# " + (", ".join(f"{name} = {value}" for name, value in passes) or "outside the loops")
            yield self._statement(node)

    def outputs(self) -> Iterator[str]:
        for output in self._graph.outputs:
            loops = "".join(f"[{length}]" for length in output.loops)
            yield f"output {output.name}{loops} = {', '.join(self._names[x] for x in output.nodes)}"

    def _statement(self, node: Node) -> str:
        letters = _Letters(self._declared)
        static = tuple(next(letters.static) for _ in node.type.shape)
        match node:
            case Data() | InitialScalar() | InitialVector() | InitialMatrix():
                return self._declaration(node)
            case Fluctuation():
                return self._fluctuation(node, static, letters)
            case MatMul():
                return self._matmul(node, static, letters)
            case _:
                pass
        bound = self._bound_width(node)
        letters.has_braces = node.type.order + bound > 1
        width = tuple(next(letters.width) for _ in range(node.type.order))
        averaged = tuple(next(letters.width) for _ in range(bound))
        body = self._body(node, static, width, averaged, letters)
        text = self._words.wrap(body, node.type.order, averaged)
        name = self._name(node)
        return f"{_indexed(name, static, width if letters.has_braces else ())} = {text}"

    def _bound_width(self, node: Node) -> int:
        return as_contract(node).averaged if isinstance(node, Average | Contract) else 0

    def _declaration(self, node: Declared) -> str:
        name = self._name(node)
        sizes = _indexed(name, tuple(str(size) for size in node.type.shape), ())
        match node:
            case Data():
                return f"data {sizes}"
            case InitialScalar():
                law = f"= {node.mean:g}" if node.variance == 0 else f"~ N({node.mean:g}, {node.variance:g})"
                return f"scalar {sizes} {law}"
            case InitialVector():
                law = "" if (node.mean, node.variance) == (0, 1) else f" ~ N({node.mean:g}, {node.variance:g})"
                return f"vector {sizes}{law}"
            case InitialMatrix():
                return f"matrix {sizes}" + ("" if node.variance == 1 else f" ~ N(0, {node.variance:g}/n)")

    def _matmul(self, node: MatMul, static: tuple[str, ...], letters: _Letters) -> str:
        matrix, vector = (
            self._leaf(Term(x, tuple(static[k] for k in axes.static), ()), letters)
            for x, axes in zip(node.operands, node.axes, strict=True)
        )
        prime = "'" if node.is_transposed else ""
        return f"{_indexed(self._name(node), static, ())} = MatMul({matrix}{prime}, {vector})"

    def _fluctuation(self, node: Fluctuation, static: tuple[str, ...], letters: _Letters) -> str:
        vector = self._leaf(Term(node.operands[0], static, ()), letters)
        law = "" if node.variance == 1 else f"    # {node.name} ~ N(0, {node.variance:g})"
        return f"{_indexed(self._name(node), static, ())} = sqrt(n) <{node.name} | {vector}>{law}"

    def _name(self, node: Node) -> str:
        if node not in self._names:
            self._names[node] = self._new_name(node)
        return self._names[node]

    def _new_name(self, node: Node) -> str:
        if isinstance(node, Declared):
            return node.name + "".join(f"_{name}{value}" for name, value in node.passes)
        if isinstance(node, MatMul):
            prefix = "h"
        elif node.type.order == 0:
            prefix = "s" if self._bound_width(node) or isinstance(node, Fluctuation) else "c"
        else:
            prefix = "x" if node.type.order == 1 else "T"
        name = f"{prefix}{next(self._numbers[prefix])}"
        while name in self._declared:
            name = f"{prefix}{next(self._numbers[prefix])}"
        return name

    # expressions

    def _body(
        self, node: Node, static: Sequence[str], width: Sequence[str], averaged: Sequence[str], letters: _Letters
    ) -> str:
        """The right-hand side of a statement without its averages."""
        if isinstance(node, Average | Contract):
            return self._product(as_contract(node), static, (*width, *averaged), letters)
        inside = _Body()
        return inside.show(self._expression(Term(node, tuple(static), tuple(width)), inside, letters, is_root=True))

    def _expression(self, term: Term, inside: _Body, letters: _Letters, *, is_root: bool = False) -> Expr:
        """The term as an expression in leaves. Depth is bounded by MAX_WEIGHT."""
        node = term.node
        if not is_root and (node not in self._inline or isinstance(node, Select)):
            return inside.leaf(self._leaf(term, letters))
        match node:
            case Number():
                return number_expr(node.value)
            case WidthNumber():
                return inside.leaf(f"({node.expression})")
            case Map():
                operands = [
                    self._expression(_lay(term, x, axes.static, axes.width), inside, letters)
                    for x, axes in zip(node.operands, node.axes, strict=True)
                ]
                return apply_fn(node.fn, operands)
            case Reduce():
                return inside.leaf(self._reduction(term, node, letters))
            case Contract():
                return inside.leaf(self._product(node, term.static, term.width, letters))
            case Stack():
                return inside.leaf(self._stack(term, node, letters))
            case _:
                return inside.leaf(self._leaf(term, letters))

    def _reduction(self, term: Term, node: Reduce, letters: _Letters) -> str:
        kept = iter(term.static)
        rank = len(node.operands[0].type.shape)
        static = tuple(next(letters.static) if k in node.axes else next(kept) for k in range(rank))
        inside = _Body()
        body = self._expression(Term(node.operands[0], static, term.width), inside, letters)
        return f"{node.kind}[{', '.join(str(static[k]) for k in node.axes)}]({inside.show(body)})"

    def _product(self, node: Contract, static: Sequence[Label], width: Sequence[Label], letters: _Letters) -> str:
        summed = tuple(next(letters.static) for _ in node.summed)
        whole = Term(node, (*static, *summed), tuple(width))
        inside = _Body()
        factors = [
            inside.show(self._expression(_lay(whole, x, axes.static, axes.width), inside, letters))
            for x, axes in zip(node.operands, node.axes, strict=True)
        ]
        text = factors[0] if len(factors) == 1 else " * ".join(_bracketed(x) for x in factors)
        return f"sum[{', '.join(summed)}]({text})" if summed else text

    def _stack(self, term: Term, node: Stack, letters: _Letters) -> str:
        static = tuple(s for k, s in enumerate(term.static) if k != node.axis)
        elements = ", ".join(self._leaf(Term(x, static, term.width), letters) for x in node.operands)
        return f"stack[{term.static[node.axis]}]({elements})"

    def _leaf(self, term: Term, letters: _Letters) -> str:
        node, static = term.node, [str(s) for s in term.static]
        while isinstance(node, Select):
            kept = iter(static)
            static = [next(kept) if i is None else str(i) for i in node.index]
            node = node.operands[0]
        if isinstance(node, Number):
            return f"{node.value:g}"
        if isinstance(node, WidthNumber):
            return f"({node.expression})"
        width = tuple(str(w) for w in term.width) if letters.has_braces else ()
        return _indexed(self._name(node), tuple(static), width)


def _lay(term: Term, operand: Node, static: Sequence[int], width: Sequence[int]) -> Term:
    """An operand with the labels of the axes of `term` that it lies on."""
    return Term(operand, tuple(term.static[k] for k in static), tuple(term.width[k] for k in width))


def _is_entrywise(node: Node) -> bool:
    return isinstance(node, Map | Reduce) or (isinstance(node, Contract) and node.averaged == 0)


def _indexed(name: str, static: Sequence[str], width: Sequence[str]) -> str:
    brackets = f"[{', '.join(static)}]" if static else ""
    braces = "{" + ",".join(width) + "}" if width else ""
    return name + brackets + braces


def _bracketed(text: str) -> str:
    """A factor of a product: a name or call as it is, anything else in brackets."""
    return f"({text})" if " " in _outside_brackets(text) or text.startswith("-") else text


def _outside_brackets(text: str) -> str:
    depth, outside = 0, ""
    for char in text:
        depth += char in "([{"
        outside += char if depth == 0 else ""
        depth -= char in ")]}"
    return outside

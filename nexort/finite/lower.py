"""Lowering for width n: operators become n × n arrays where that saves work, and products with them MatMul.

Accepts an elaborated graph.  Promises an equal lowered graph: a sum of matrices and tensors (a training update
W − ηT, with decay (1 − λ)W) is one DenseOperator; sums of matrices alone, and products, are applied in turn, so that
no n³ product is formed.  Does not decide what is stored: the engine's plan does.
"""

from __future__ import annotations

from dataclasses import replace

from nexort.graph import (
    Apply,
    DenseOperator,
    Entries,
    Graph,
    InitialMatrix,
    Node,
    OperatorSum,
    build_graph,
)
from nexort.graph.nodes import Axes
from nexort.graph.terms import Term, number
from nexort.passes import COL, ROW, NormalForm, OperatorForms, contract, simplify, split_operator_families


class _Forms(OperatorForms):
    """Normal forms in which an array that is already formed counts as a matrix."""

    def _find_form(self, node: Node) -> NormalForm:
        if isinstance(node, DenseOperator):
            static = tuple(range(len(node.type.shape)))
            return NormalForm(matrices=((number(1.0), Term(node, static), False),))
        return super()._find_form(node)


def lower_graph(graph: Graph) -> Graph:
    """The lowered graph that the engine runs at width n."""
    return simplify(contract(simplify(_lower_operators(split_operator_families(simplify(graph))))))


def _lower_operators(graph: Graph) -> Graph:
    forms = _Forms()
    new: dict[Node, Node] = {}
    for node in graph.order:
        rebuilt = node.with_operands(new[operand] for operand in node.operands)
        match rebuilt:
            case Apply():
                new[node] = forms.lower_apply(rebuilt)
            case OperatorSum():
                new[node] = _form_sum(forms, rebuilt)
            case Entries():
                new[node] = rebuilt.with_operands([_formed(forms, rebuilt.operands[0])])
            case _:
                new[node] = rebuilt
    return build_graph(replace(out, nodes=tuple(new[node] for node in out.nodes)) for out in graph.outputs)


def _formed(forms: OperatorForms, node: Node) -> Node:
    """An operator as an n × n array, whatever it is made of."""
    if isinstance(node, InitialMatrix | DenseOperator):
        return node
    form = forms.normal_form(node)
    assert not form.words, "a weight is a sum of a matrix and its updates"
    return _dense(form, node)


def _form_sum(forms: OperatorForms, node: OperatorSum) -> Node:
    """A DenseOperator for a sum of at least one matrix and one tensor, else the sum itself."""
    form = forms.normal_form(node)
    is_formed = form.matrices and (form.tensors is not None or form.outer is not None) and not form.words
    return _dense(form, node) if is_formed else node


def _dense(form: NormalForm, node: Node) -> DenseOperator:
    tensors = [term for term in (form.tensors, form.outer) if term is not None]
    operands: list[Node] = []
    axes: list[Axes] = []
    for coefficient, matrix, is_transposed in form.matrices:
        operands += [coefficient.node, matrix.node]
        axes += [_static(coefficient), Axes(_static(matrix).static, (1, 0) if is_transposed else ())]
    for term in tensors:
        operands += [number(1.0).node, term.node]
        axes += [Axes(), Axes(_static(term).static, () if term.width == (ROW, COL) else (1, 0))]
    return DenseOperator(type=node.type, operands=tuple(operands), axes=tuple(axes), span=node.span, passes=node.passes)


def _static(term: Term) -> Axes:
    """The places of the static axes: in a form of an operator, labels are axis numbers."""
    return Axes(tuple(int(str(label)) for label in term.static))

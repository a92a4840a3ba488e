"""Static indices in square brackets and width axes in braces, where they are read (LANGUAGE §4, §5)."""

from __future__ import annotations

from nexort.elaborate.constants import integer_at
from nexort.elaborate.evaluation import Evaluation
from nexort.elaborate.families import Variable
from nexort.elaborate.reading import names_in
from nexort.elaborate.scope import REDUCTIONS, Array
from nexort.errors import IndexFault, TypeFault
from nexort.errors import Label as Mark
from nexort.graph.terms import Label, Term, select
from nexort.symbolic import FUNCTIONS
from nexort.syntax import ast


def evaluate_subscript(ev: Evaluation, tree: ast.Subscript) -> Term:
    """`name[indices]`, elements of a family or of a data array."""
    if not isinstance(tree.base, ast.Name):
        hint = "static indices stand on a name: h[a]"
        if isinstance(tree.base, ast.Prime):
            hint = "the transpose stands behind the index: A[l]'"
        elif isinstance(tree.base, ast.Call):
            hint = "name the value first, or take the gradient in the element: grad(s, p[k])"
        raise IndexFault("this cannot be indexed", tree.span, hint=hint)
    name = tree.base.id
    if name in REDUCTIONS or (name in FUNCTIONS and ev.scope.find(name) is None):
        raise TypeFault(f"'{name}[…]' must be called", tree.span, hint=f"write {name}[k](…)")
    entry = ev.scope.get(tree.base)
    if isinstance(entry, Variable):
        return entry.read(read_indices(ev, tree, entry), ev.place(tree))
    if isinstance(entry, Array):
        return _element_of_data(ev, tree, entry)
    raise IndexFault(f"'{name}' is not a family", tree.span, Mark(entry.span, "bound here"))


def _element_of_data(ev: Evaluation, tree: ast.Subscript, entry: Array) -> Term:
    shape = entry.node.type.shape
    variable = Variable(entry.node.name, len(shape), entry.span, shape=shape)
    wanted = read_indices(ev, tree, variable)
    names = tuple(("fixed", k) if isinstance(w, int) else w for k, w in enumerate(wanted))
    fixed = {k: w for k, w in enumerate(wanted) if isinstance(w, int)}
    return select(Term(entry.node, names), fixed, ev.place(tree))


def read_indices(ev: Evaluation, tree: ast.Subscript, variable: Variable) -> tuple[Label | int, ...]:
    """The fixed numbers and labels in `name[…]`, checked against the family."""
    variable.check_count(len(tree.indices), tree.unwritten, tree.span)
    wanted = tuple(_index(ev, part) for part in tree.indices)
    pattern = tuple(w if isinstance(w, int) else None for w in wanted)
    for axis, (part, index) in enumerate(zip(tree.indices, wanted, strict=True)):
        if isinstance(index, int):
            variable.check_index(axis, pattern, part.span)
        else:
            ev.agree(index, variable.extent(axis, pattern, tree.span), part.span)
    return wanted


def _index(ev: Evaluation, tree: ast.Expr) -> Label | int:
    """One static index: a compile-time integer, or the name of an index."""
    if isinstance(tree, ast.Number) and isinstance(tree.value, int):
        return tree.value
    if isinstance(tree, ast.Name) and not _is_value(ev, tree.id):
        if tree.id not in ev.statics:
            raise IndexFault(
                f"the index '{tree.id}' is not bound",
                tree.span,
                hint=f"bring it to the left side (output … as K[{tree.id}]), or reduce over it: sum[{tree.id}](…)",
            )
        return tree.id
    for name in names_in(tree):
        if name.id in ev.statics:
            raise IndexFault(
                f"the index '{name.id}' must stand alone in the brackets",
                tree.span,
                hint=f"x[{name.id} + 1] is not possible for an index {name.id}: use a loop",
            )
    return integer_at(tree, ev.value, "an index")


def _is_value(ev: Evaluation, name: str) -> bool:
    return name not in ev.statics and (name in ("n", "pi") or ev.scope.find(name) is not None)


def width_label(ev: Evaluation, tree: ast.Expr) -> str:
    """The name of a width axis in `x{i}`."""
    if not isinstance(tree, ast.Name):
        raise IndexFault(
            "a width axis is named, not numbered", tree.span, hint="write x{i}; single neurons have no limit"
        )
    if ev.scope.find(tree.id) is not None or tree.id in ("n", "pi"):
        raise IndexFault(
            f"'{tree.id}' names a value, so it cannot name a width axis", tree.span, hint="use another name"
        )
    if tree.id not in ev.widths:
        raise IndexFault(
            f"the width index '{tree.id}' is not bound here",
            tree.span,
            hint=f"bring it to the left side, as in y{{{tree.id}}} = …, or average: avg{{{tree.id}}}(…); "
            "inside <…|…>, avg(…) and grad(…), and beside @, vectors have axes of their own",
        )
    return tree.id

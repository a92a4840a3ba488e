"""Unrolls a program: declarations, assignments, loops, branches and outputs become nodes of the graph.

Accepts a syntax tree, `--set` values and data arrays.  Promises a graph whose outputs are typed, or every fault that
was found, one per place in the text.  A statement that fails poisons the names it would have bound, so that one mistake
gives one message.  Does not simplify anything: the passes do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from nexort.elaborate import data as data_arrays
from nexort.elaborate.assign import assign
from nexort.elaborate.constants import condition_at, integer_at, number_at, size_at
from nexort.elaborate.expressions import Evaluator, Tapes, has_braces
from nexort.elaborate.families import Kind, Region, Variable
from nexort.elaborate.functions import Body
from nexort.elaborate.imports import find_import, parse_import
from nexort.elaborate.outputs import Outputs
from nexort.elaborate.reductions import bound_indices
from nexort.elaborate.scope import Array, Constant, Function, Poison, Rule, Scope, check_bindable
from nexort.elaborate.updates import Ledger
from nexort.elaborate.values import FamilyLabel, Poisoned, Width, noun, to_term
from nexort.errors import (
    DataFault,
    IndexFault,
    NameFault,
    NexortError,
    NotBuiltFault,
    SizeFault,
    SyntaxFault,
    TypeFault,
)
from nexort.errors import Label as Mark
from nexort.graph import InitialMatrix, InitialVector, Node, Type
from nexort.graph.terms import Place, Term, arrange, data
from nexort.source import Span
from nexort.symbolic import limit_at_infinity, width_symbol
from nexort.syntax import ast

MAX_PASSES = 1_000_000
MAX_STATEMENTS = 3_000_000


@dataclass(slots=True, kw_only=True)
class Unroller:
    settings: Mapping[str, int | float]
    given: Mapping[str, object]
    outputs: Outputs
    scope: Scope = field(default_factory=Scope)
    tapes: Tapes = field(default_factory=Tapes)
    passes: tuple[tuple[str, int], ...] = ()
    ledgers: dict[tuple[str, str], Ledger] = field(default_factory=dict)
    imports: dict[str, bool] = field(default_factory=dict)
    """Files that were imported; True while one is being read."""
    faults: dict[tuple[object, ...], NexortError] = field(default_factory=dict)
    params: list[str] = field(default_factory=list)
    shapes: set[str] = field(default_factory=set)
    count: int = 0

    # ------------------------------------------------------------ statements

    def block(self, body: Sequence[ast.Stmt]) -> None:
        for tree in body:
            self.statement(tree)

    def statement(self, tree: ast.Stmt) -> None:
        self.count += 1
        if self.count > MAX_STATEMENTS:
            raise SizeFault(
                f"the program unrolls to more than {MAX_STATEMENTS} statements", tree.span, hint="use fewer steps"
            )
        try:
            self._run(tree)
        except Poisoned:
            self._poison(tree)
        except NexortError as fault:
            self._record(fault)
            self._poison(tree)

    def _record(self, fault: NexortError) -> None:
        span = fault.span
        place = (span.source.name, span.start, span.end) if span is not None else ()
        self.faults.setdefault((*place, fault.message.split(":")[0] if not place else ""), fault)

    def _poison(self, tree: ast.Stmt) -> None:
        for name in bound_names(tree):
            entry = self.scope.entries.get(name.id)
            if not isinstance(entry, Constant):
                self.scope.entries[name.id] = Poison(name.span)

    def _run(self, tree: ast.Stmt) -> None:
        match tree:
            case ast.Assign():
                assign(self, tree)
            case ast.For():
                self._for(tree)
            case ast.If():
                for branch in tree.branches:
                    if branch.condition is None or condition_at(branch.condition, self.evaluator().value):
                        self.block(branch.body)
                        return
            case ast.Output():
                self._output(tree)
            case ast.Initial():
                for item in tree.items:
                    self._initial(tree.kind, item)
            case ast.Param() | ast.Data() | ast.Def() | ast.Optimizer() | ast.Import():
                self._declaration(tree)
            case ast.State():
                raise SyntaxFault(
                    "state stands in an optimizer only", tree.span, hint="a trainable value is a name: s = 1"
                )
            case ast.Return():
                raise SyntaxFault("return stands in an optimizer only", tree.span, hint="name a result with output")

    def _declaration(self, tree: ast.Param | ast.Data | ast.Def | ast.Optimizer | ast.Import) -> None:
        if self.passes:
            raise SyntaxFault(
                "this declaration stands outside blocks",
                tree.span,
                hint="only vector and matrix are declared inside a loop",
            )
        match tree:
            case ast.Param():
                for binding in tree.bindings:
                    self._param(binding)
            case ast.Data():
                for item in tree.items:
                    self._data(item)
            case ast.Def():
                check_bindable(tree.name)
                self.scope.declare(tree.name, Function(Body(self.scope, tree).read(), tree.name.span))
            case ast.Optimizer():
                self.scope.declare(tree.name, Rule(tree, self.scope, tree.name.span))
            case ast.Import():
                self._import(tree)

    def evaluator(self) -> Evaluator:
        return Evaluator(scope=self.scope, tapes=self.tapes, passes=self.passes)

    def place(self, span: Span) -> Place:
        return Place(span, self.passes)

    # ---------------------------------------------------------- declarations

    def _param(self, binding: ast.Binding) -> None:
        name = binding.name.id
        self.params.append(name)
        if name in self.settings:
            value = self.settings[name]
        elif binding.value is None:
            raise TypeFault(f"the param '{name}' needs a value", binding.span, hint=f"write param {name} = 1")
        else:
            value = number_at(binding.value, self.evaluator().value, "a param")
        self.scope.declare(binding.name, Constant(value, "param", binding.name.span))

    def _data(self, item: ast.DataItem) -> None:
        name = item.name.id
        check_bindable(item.name)
        if name in self.given:
            array = data_arrays.check_array(item, self.given[name])
        elif item.standin is None:
            raise data_arrays.missing(item, self.given)
        else:
            array = data_arrays.standin(item, self._known_shape(item), self.evaluator().value)
        self._fix_shape(item, array.shape)
        self.scope.declare(item.name, Array(data(name, array, item.span), item.name.span))

    def _known_shape(self, item: ast.DataItem) -> tuple[int, ...] | None:
        """The declared lengths, if all are known."""
        evaluate = self.evaluator().value
        sizes: list[int] = []
        for tree in item.shape:
            if isinstance(tree, ast.Name) and self.scope.find(tree.id) is None:
                return None
            sizes.append(size_at(tree, evaluate))
        return tuple(sizes)

    def _fix_shape(self, item: ast.DataItem, shape: tuple[int, ...]) -> None:
        """A shape name takes the array's length, or must have it already."""
        if len(shape) != len(item.shape):
            raise DataFault(
                f"'{item.name.id}' is declared with {len(item.shape)} axes and given with {len(shape)}", item.span
            )
        for axis, (tree, size) in enumerate(zip(item.shape, shape, strict=True)):
            if isinstance(tree, ast.Name) and self.scope.find(tree.id) is None:
                self.scope.declare(tree, Constant(size, "shape", tree.span))
                self.shapes.add(tree.id)
                continue
            wanted = size_at(tree, self.evaluator().value)
            if wanted != size:
                is_param = isinstance(tree, ast.Name)
                hint = (
                    f"use --set {tree.id}={size}"
                    if isinstance(tree, ast.Name) and is_param
                    else "declare its length by a name"
                )
                raise DataFault(
                    f"axis {axis} of '{item.name.id}' has {size} elements, and {tree.span.text} is {wanted}",
                    tree.span,
                    hint=hint,
                )

    def _import(self, tree: ast.Import) -> None:
        source = find_import(tree)
        if source.name in self.imports:
            if self.imports[source.name]:
                raise NameFault(
                    f"the import of '{tree.path}' is circular", tree.span, hint="two files cannot import each other"
                )
            return
        self.imports[source.name] = True
        try:
            self.block(parse_import(source).body)
        finally:
            self.imports[source.name] = False

    def _initial(self, kind: Kind, item: ast.InitialItem) -> None:
        check_bindable(item.name)
        evaluate = self.evaluator().value
        shape = tuple(size_at(tree, evaluate, "a shape") for tree in item.shape)
        if kind == "vector":
            mean, variance = self._vector_law(item)
            node: Node = InitialVector(
                type=Type(shape, 1), name=item.name.id, mean=mean, variance=variance, span=item.span, passes=self.passes
            )
        else:
            node = InitialMatrix(
                type=Type(shape, 2, is_operator=True),
                name=item.name.id,
                variance=self._matrix_variance(item),
                span=item.span,
                passes=self.passes,
            )
        variable = Variable(item.name.id, len(shape), item.name.span, kind, shape)
        variable.bind(Region(pattern=(None,) * len(shape), node=node, span=item.span, stamp=None))
        self.scope.declare(item.name, variable)

    def _vector_law(self, item: ast.InitialItem) -> tuple[float, float]:
        if item.law is None:
            return 0.0, 1.0
        evaluate = self.evaluator().value
        mean = number_at(item.law.mean, evaluate, "the mean of a vector")
        variance = number_at(item.law.variance, evaluate, "the variance of a vector")
        if variance < 0:
            raise TypeFault(f"a variance of {variance:g} is negative", item.law.variance.span, hint="N(mean, variance)")
        return float(mean), float(variance)

    def _matrix_variance(self, item: ast.InitialItem) -> float:
        """The law N(0, c/n) of a matrix's entries: c."""
        if item.law is None:
            return 1.0
        evaluate = self.evaluator().value
        mean = number_at(item.law.mean, evaluate, "the mean of a matrix")
        variance = evaluate(item.law.variance)
        hint = "the entries of a matrix are N(0, c/n): write ~ N(0, 2/n)"
        if mean != 0:
            raise TypeFault("the mean of a matrix is 0", item.law.mean.span, hint=hint)
        scaled = variance.expression * width_symbol() if isinstance(variance, Width) else None
        if scaled is None or not scaled.is_number:
            raise TypeFault("the variance of a matrix is a number divided by n", item.law.variance.span, hint=hint)
        value = float(limit_at_infinity(scaled))
        if not 0 <= value < float("inf"):
            raise TypeFault(f"a variance of {value:g}/n is not possible", item.law.variance.span, hint=hint)
        return value

    # ----------------------------------------------------------------- loops

    def _for(self, tree: ast.For) -> None:
        evaluate = self.evaluator().value
        start, stop = (integer_at(part, evaluate, "a range") for part in (tree.start, tree.stop))
        if stop - start > MAX_PASSES:
            raise SizeFault(
                f"this loop has {stop - start} passes, over the bound of {MAX_PASSES}",
                tree.start.span.join(tree.stop.span),
                hint="loops are unrolled before the run: use fewer steps",
            )
        name = tree.variable
        check_bindable(name)
        old = self.scope.find(name.id)
        if old is not None:
            raise NameFault(
                f"'{name.id}' is bound already", name.span, Mark(old.span, "here"), hint="choose another loop variable"
            )
        outside, known = self.passes, len(self.faults)
        try:
            for index in range(start, stop):
                self.scope.entries[name.id] = Constant(index, "loop variable", name.span)
                self.passes = (*outside, (name.id, index))
                self.block(tree.body)
                if len(self.faults) > known:
                    break
        finally:
            self.passes = outside
            self.scope.entries.pop(name.id, None)

    # --------------------------------------------------------------- outputs

    def _output(self, tree: ast.Output) -> None:
        name, term, order = self._output_value(tree)
        if term.is_operator:
            raise TypeFault("an operator cannot be an output", tree.value.span, hint="output scalars, such as <x|W|y>")
        if term.order:
            raise NotBuiltFault(
                f"an output of a {noun(term)}, its distribution, is not built yet",
                tree.value.span,
                hint="output scalars: avg(x), <x|y>",
            )
        place = self.place(tree.span)
        node = arrange(term, order, (), place)
        self.outputs.add(name, tree, self.passes, node)

    def _output_value(self, tree: ast.Output) -> tuple[str, Term, tuple[object, ...]]:
        ev = self.evaluator()
        place = self.place(tree.value.span)
        if tree.alias is None:
            if isinstance(tree.value, ast.Name):
                entry = self.scope.find(tree.value.id)
                labels = tuple(FamilyLabel(k) for k in range(_axes_of(entry)))
                if labels:
                    return tree.value.id, _whole(entry, labels, place), labels
                return tree.value.id, to_term(ev.value(tree.value), place), ()
            ev.is_braced = has_braces(tree.value)
            return self.outputs.unnamed[tree], to_term(ev.value(tree.value), place), ()
        if isinstance(tree.alias, ast.Name):
            entry = self.scope.find(tree.value.id) if isinstance(tree.value, ast.Name) else None
            labels = tuple(FamilyLabel(k) for k in range(_axes_of(entry)))
            if labels:
                return tree.alias.id, _whole(entry, labels, place), labels
            ev.is_braced = has_braces(tree.value)
            return tree.alias.id, to_term(ev.value(tree.value), place), ()
        return self._indexed_output(ev, tree, tree.alias, place)

    def _indexed_output(
        self, ev: Evaluator, tree: ast.Output, alias: ast.Expr, place: Place
    ) -> tuple[str, Term, tuple[object, ...]]:
        if not (isinstance(alias, ast.Subscript) and isinstance(alias.base, ast.Name)):
            raise SyntaxFault(
                "an output is named by a name", alias.span, hint="output <x|y> as overlap, or … as K[a, b]"
            )
        ev.is_braced = has_braces(tree.value)
        with bound_indices(ev, alias.indices) as names:
            term = to_term(ev.value(tree.value), place)
            sizes = {label: size for label, (size, _) in ev.sizes.items()}
            for name, part in zip(names, alias.indices, strict=True):
                if name not in sizes:
                    raise IndexFault(f"the index '{name}' indexes nothing here", part.span, hint="leave it out")
        if not term.order and not term.is_operator:
            term = Term(arrange(term, tuple(names), (), place, sizes), tuple(names))
        return alias.base.id, term, tuple(names)


def _axes_of(entry: object) -> int:
    if isinstance(entry, Variable):
        return entry.axes
    return len(entry.node.type.shape) if isinstance(entry, Array) else 0


def _whole(entry: object, labels: tuple[FamilyLabel, ...], place: Place) -> Term:
    if isinstance(entry, Variable):
        return entry.read(labels, place)
    assert isinstance(entry, Array)
    return Term(entry.node, labels)


def bound_names(tree: ast.Stmt) -> Iterator[ast.Name]:
    """The names that a statement binds, inside its blocks too."""
    match tree:
        case ast.Assign():
            target = tree.target
            while isinstance(target, ast.Subscript | ast.Braces):
                target = target.base
            if isinstance(target, ast.Name):
                yield target
        case ast.Param():
            yield from (binding.name for binding in tree.bindings)
        case ast.Data() | ast.Initial():
            yield from (item.name for item in tree.items)
            if isinstance(tree, ast.Data):
                yield from (size for item in tree.items for size in item.shape if isinstance(size, ast.Name))
        case ast.Def() | ast.Optimizer():
            yield tree.name
        case ast.For():
            for inner in tree.body:
                yield from bound_names(inner)
        case ast.If():
            for branch in tree.branches:
                for inner in branch.body:
                    yield from bound_names(inner)
        case _:
            return

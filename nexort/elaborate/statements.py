"""Unrolls a program: declarations, assignments, loops, branches and outputs become nodes of the graph.

Accepts a syntax tree, `--set` values and data arrays.  Promises a graph whose outputs are typed, or every fault that
was found, one per place in the text.  A statement that fails poisons the names it would have bound, so that one mistake
gives one message.  Does not simplify anything: the passes do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

from nexort.elaborate import declarations
from nexort.elaborate.assign import assign
from nexort.elaborate.constants import condition_at, integer_at
from nexort.elaborate.evaluation import Evaluation
from nexort.elaborate.expressions import Evaluator
from nexort.elaborate.naming import add_output
from nexort.elaborate.scope import BUILTINS, Constant, Poison, check_bindable
from nexort.elaborate.training import train
from nexort.elaborate.unrolling import Unrolling
from nexort.elaborate.values import PoisonedError
from nexort.errors import Label as Mark
from nexort.errors import NameFault, NexortError, SizeFault, SyntaxFault
from nexort.syntax import ast

MAX_PASSES = 1_000_000
MAX_STATEMENTS = 1_000_000


@final
@dataclass(slots=True, kw_only=True)
class Unroller(Unrolling):
    """Runs every kind of statement."""

    # ------------------------------------------------------------ statements

    def block(self, body: Sequence[ast.Stmt]) -> None:
        for tree in body:
            self.statement(tree)

    def _inner_block(self, body: Sequence[ast.Stmt]) -> None:
        self.depth += 1
        try:
            self.block(body)
        finally:
            self.depth -= 1

    def statement(self, tree: ast.Stmt) -> None:
        self.executed += 1
        if self.executed > MAX_STATEMENTS:
            raise SizeFault(
                f"the program unrolls to more than {MAX_STATEMENTS} statements", tree.span, hint="use fewer steps"
            )
        try:
            self._run(tree)
        except PoisonedError:
            self._poison(tree)
        except NexortError as fault:
            self._record(fault)
            self._poison(tree)

    def _record(self, fault: NexortError) -> None:
        span = fault.span
        key = (span.source.name, span.start, span.end) if span is not None else (fault.message,)
        self.faults.setdefault(key, fault)

    def _poison(self, tree: ast.Stmt) -> None:
        for name in bound_names(tree):
            entry = self.scope.entries.get(name.id)
            if not isinstance(entry, Constant) and name.id not in BUILTINS:
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
                        self._inner_block(branch.body)
                        return
            case ast.Output():
                add_output(self, tree)
            case ast.Initial():
                for item in tree.items:
                    declarations.declare_initial(self, tree.kind, item)
            case ast.Param() | ast.Data() | ast.Def() | ast.Optimizer() | ast.Import():
                declarations.declare(self, tree)
            case ast.Model():
                declarations.declare(self, tree)
            case ast.Train():
                train(self, tree)
            case ast.State():
                raise SyntaxFault(
                    "state stands in an optimizer only", tree.span, hint="a trainable value is a name: s = 1"
                )
            case ast.Return():
                raise SyntaxFault("return stands in an optimizer only", tree.span, hint="name a result with output")

    def evaluator(self) -> Evaluation:
        return Evaluator(scope=self.scope, tapes=self.tapes, passes=self.passes)

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
        if old is not None and not isinstance(old, Poison):
            raise NameFault(
                f"'{name.id}' is bound already", name.span, Mark(old.span, "here"), hint="choose another loop variable"
            )
        outside, known = (self.passes, self.stamp), len(self.faults)
        try:
            for index in range(start, stop):
                self.scope.entries[name.id] = Constant(index, "loop variable", name.span)
                self.passes = (*outside[0], (name.id, index))
                self.stamp = (*outside[1], next(self.pass_numbers))
                self._inner_block(tree.body)
                if len(self.faults) > known:
                    break
        finally:
            self.passes, self.stamp = outside
            self.scope.entries.pop(name.id, None)


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
        case ast.Def() | ast.Optimizer() | ast.Model():
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

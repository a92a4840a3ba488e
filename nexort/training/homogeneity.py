"""The degree of homogeneity of an update function: Q(κ g_0, …, κ g_t) = κ^k Q(g_0, …, g_t) for every κ > 0.

Found by interpreting the optimizer's body on degrees instead of values: g has degree 1, a number 0, the number 0 any
degree; sums and maxima need equal degrees, products add them, roots halve them, signs have none.  States start as
their numbers and are iterated until nothing changes, so that the answer holds at every step.  It is sound, not
complete: an optimizer that is homogeneous by cancellation (exp(log(g)), …) counts as not homogeneous.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from operator import eq, ge, gt, le, lt, ne

from nexort.syntax import ast
from nexort.training.degrees import GRADIENT, MIXED, NUMBER, Size, binary, builtin, join, product, slope_of, total
from nexort.training.exponents import ZERO

MAX_PASSES = 100
"""Of the states' iteration; each state changes three times at most, so this is never reached by a real optimizer."""

COMPARE: Mapping[ast.Comparator, Callable[[float, float], bool]] = {
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
    "==": eq,
    "!=": ne,
}


def degree(
    tree: ast.Optimizer,
    arguments: Mapping[str, float | None],
    *,
    params: Mapping[str, float] | None = None,
    functions: Mapping[str, ast.Def] | None = None,
) -> Fraction | None:
    """The degree of what `tree` returns, or None.

    `arguments` are the numbers given in the call (None for one that is not known before the run), in place of the
    defaults; `params` and `functions` are what the body sees of its program.  A value that is always 0 has degree 0.
    """
    seen: dict[str, Size] = {name: Size(ZERO, value) for name, value in (params or {}).items()}
    outer = _Body(names=dict(seen), functions=functions or {})
    for binding in tree.arguments:
        name = binding.name.id
        if name in arguments:
            seen[name] = Size(ZERO, arguments[name])
        elif binding.value is not None:
            seen[name] = outer.size(binding.value)
    seen |= {"g": GRADIENT, "step": NUMBER}
    states: dict[str, Size] = {}
    returned: Size | None = None
    for _ in range(MAX_PASSES):
        body = _Body(names=dict(seen), functions=functions or {}, states=states)
        body.run(tree.body)
        for value in body.returned:
            returned = value if returned is None else join(returned, value)
        after = {name: join(size, body.names[name]) for name, size in body.read.items()}
        if after == states or returned is None:
            return returned.degree if returned is not None else None
        states = after
    return None


def value_at(tree: ast.Optimizer, arguments: Mapping[str, float | None], gradient: float) -> float | None:
    """What an optimizer without memory returns for the gradient `gradient`; None where that is not found here."""
    body = _Body(names={"g": Size(ZERO, gradient), "step": NUMBER}, functions={})
    for binding in tree.arguments:
        name = binding.name.id
        default = NUMBER if binding.value is None else body.size(binding.value)
        body.names[name] = Size(ZERO, arguments[name]) if name in arguments else default
    body.run(tree.body)
    return body.returned[0].number if len(body.returned) == 1 else None


def normalized_degree(found: Fraction | None, rule: str) -> Fraction | None:
    """Of Q after `normalize`: Q/R and Q S/R have degree 0, Q min(1, theta/R) only if Q has it, Q/S that of Q."""
    if found is None or rule in ("none", "weight"):
        return found
    return ZERO if rule != "clip" or found == 0 else None


@dataclass(slots=True)
class _Body:
    """One pass over the statements: names with their sizes, and what may be returned."""

    names: dict[str, Size]
    functions: Mapping[str, ast.Def]
    states: Mapping[str, Size] = field(default_factory=dict)
    read: dict[str, Size] = field(default_factory=dict)
    """The states' sizes at the start of the pass."""
    returned: list[Size] = field(default_factory=list)

    def run(self, body: Sequence[ast.Stmt]) -> bool:
        """Whether a statement returned for certain."""
        return any(self._statement(statement) for statement in body)

    def _statement(self, tree: ast.Stmt) -> bool:
        match tree:
            case ast.State():
                for binding in tree.bindings:
                    self._state(binding)
            case ast.Assign(target=ast.Name() as name):
                value = self.size(tree.value)
                old = self.names.get(name.id, MIXED)
                self.names[name.id] = value if tree.operator == "=" else binary(tree.operator[0], old, value)
            case ast.If():
                return self._if(tree.branches)
            case ast.For():
                return self._for(tree)
            case ast.Return():
                self.returned.append(self.size(tree.value))
                return True
            case _:  # the elaborator refuses it with a message
                self.returned.append(MIXED)
                return True
        return False

    def _state(self, binding: ast.Binding) -> None:
        name = binding.name.id
        initial = MIXED if binding.value is None else self.size(binding.value)
        self.names[name] = self.read[name] = self.states.get(name, initial)

    def _if(self, branches: Sequence[ast.Branch]) -> bool:
        """The branch that the numbers choose; from the first condition that they do not decide on, all that remain."""
        for k, branch in enumerate(branches):
            truth = True if branch.condition is None else self._truth(branch.condition)
            if truth:
                return self.run(branch.body)
            if truth is None:
                return self._any_of([part.body for part in _remaining(branches[k:])])
        return False

    def _any_of(self, bodies: Sequence[Sequence[ast.Stmt]]) -> bool:
        before, after, ends = dict(self.names), list[dict[str, Size]](), list[bool]()
        for body in bodies:
            self.names = dict(before)
            ends.append(self.run(body))
            if not ends[-1]:
                after.append(self.names)
        self.names = dict(after[0]) if after else before
        for names in after[1:]:
            self.names |= {name: join(self.names.get(name, size), size) for name, size in names.items()}
        return all(ends)

    def _for(self, tree: ast.For) -> bool:
        start, stop = self.size(tree.start).number, self.size(tree.stop).number
        if start is None or stop is None:
            self.returned.append(MIXED)
            return True
        for index in range(int(start), int(stop)):
            self.names[tree.variable.id] = Size(ZERO, index)
            if self.run(tree.body):
                return True
        return False

    def _truth(self, tree: ast.Expr) -> bool | None:
        """Of a condition on numbers; None where they are not known."""
        match tree:
            case ast.Paren():
                return self._truth(tree.body)
            case ast.Unary(operator="not"):
                inner = self._truth(tree.operand)
                return None if inner is None else not inner
            case ast.Logical():
                left, right = self._truth(tree.left), self._truth(tree.right)
                decides = tree.operator == "or"
                if decides in (left, right):
                    return decides
                return None if None in (left, right) else not decides
            case ast.Compare():
                numbers = [self.size(part).number for part in (tree.first, *(part for _, part in tree.rest))]
                known = [number for number in numbers if number is not None]
                if len(known) < len(numbers):
                    return None
                pairs = zip(known, tree.rest, known[1:], strict=False)
                return all(COMPARE[rule](left, right) for left, (rule, _), right in pairs)
            case _:
                return None

    def size(self, tree: ast.Expr) -> Size:
        match tree:
            case ast.Number():
                return Size(ZERO, tree.value)
            case ast.Name():
                return self.names.get(tree.id, Size(ZERO, math.pi) if tree.id == "pi" else MIXED)
            case ast.Paren():
                return self.size(tree.body)
            case ast.Unary(operator="-"):
                inner = self.size(tree.operand)
                return Size(inner.degree, None if inner.number is None else -inner.number)
            case ast.Unary():
                return self.size(tree.operand)
            case ast.Binary():
                return binary(tree.operator, self.size(tree.left), self.size(tree.right))
            case ast.Prime() | ast.Braces() | ast.Subscript():
                return self.size(tree.base)
            case ast.BraKet():
                parts = (tree.bra, tree.ket) if tree.operator is None else (tree.bra, tree.operator, tree.ket)
                return product([self.size(part) for part in parts])
            case ast.KetBra():
                return product([self.size(tree.ket), self.size(tree.bra)])
            case ast.Call():
                return self._call(tree)
            case ast.Compare() | ast.Logical() | ast.ListLiteral() | ast.Tuple():
                return MIXED

    def _call(self, tree: ast.Call) -> Size:
        function, primes = tree.function, 0
        while isinstance(function, ast.Prime | ast.Braces | ast.Subscript):
            primes += isinstance(function, ast.Prime)
            function = function.base
        name = function.id if isinstance(function, ast.Name) else ""
        if name == "where" and tree.arguments:
            return self._where(tree)
        arguments = [self.size(part) for part in tree.arguments]
        if name in self.functions:
            return self._def(self.functions[name], arguments, primes)
        if not arguments:
            return MIXED
        return builtin(name, arguments) if primes == 0 else slope_of(name, primes, arguments)

    def _where(self, tree: ast.Call) -> Size:
        """Entries are chosen by a comparison that no scale changes: its sides have one degree, or one of them is 0."""
        condition = tree.arguments[0]
        while isinstance(condition, ast.Paren):
            condition = condition.body
        if not isinstance(condition, ast.Compare) or len(tree.arguments) != 3:
            return MIXED
        chosen = self._truth(condition)
        if chosen is not None:
            return self.size(tree.arguments[1 if chosen else 2])
        sides = [self.size(part) for part in (condition.first, *(part for _, part in condition.rest))]
        if total(sides).degree is None:
            return MIXED
        return join(self.size(tree.arguments[1]), self.size(tree.arguments[2]))

    def _def(self, function: ast.Def, arguments: Sequence[Size], primes: int) -> Size:
        if primes:  # its slope is a number where its arguments are
            return NUMBER if all(argument.degree == 0 for argument in arguments) else MIXED
        names = {name.id: argument for name, argument in zip(function.arguments, arguments, strict=False)}
        return _Body(names={**self.names, **names}, functions=self.functions).size(function.body)


def _remaining(branches: Sequence[ast.Branch]) -> Iterator[ast.Branch]:
    """The branches, and an empty one where none of them is `else`."""
    yield from branches
    last = branches[-1]
    if last.condition is not None:
        yield ast.Branch(span=last.span, condition=None, body=())

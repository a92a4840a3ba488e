"""The language read naively: an evaluator that shares nothing with the engine but the parser.

Every element of a family is an array of its own, every "for all" a Python loop, every matrix and every tensor a dense
float64 array, every gradient a reverse pass over `tape.Var`.  It accepts correct programs only: on wrong ones any
exception may come, or none.

What the caller supplies, and what comes back:

- `data` has an array for each declared name (stand-ins are resolved by the caller);
- `draw(kind, name, loop_pass, element)` gives the final value of an initial scalar, shape (), vector, shape (n,), or
  matrix, shape (n, n): mean, variance and the 1/n are the caller's business.  `kind` is "scalar", "vector" or "matrix",
  `loop_pass` holds the values of the loop variables around the declaration, the outermost first;
- `outputs[name]` has one leading axis for each loop around the statement, then the axes of the family; of a vector
  it holds the entries, in a last axis of length n;
- `value(name, *element)` is the current version of a name, for tests.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from nexort.source import Source
from nexort.syntax import ast, parse

from . import tape
from .tape import Var

Element = tuple[int, ...]
Family = dict[Element, Var]
Draw = Callable[[str, str, tuple[int, ...], Element], np.ndarray]

LIBRARY = Path(__file__).resolve().parents[2] / "nexort" / "library"
COMPARE = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


@dataclass(frozen=True)
class Case:
    """One element of a "for all": its place in the family, the indices, and whether it was written without brackets."""

    element: Element
    index: dict[str, int]
    whole: Element | None = None


class NaiveRun:
    """Evaluates `program` at width `n`; see the module's docstring."""

    def __init__(
        self,
        program: ast.Program,
        *,
        params: Mapping[str, float],
        data: Mapping[str, np.ndarray],
        n: int,
        draw: Draw,
    ) -> None:
        self.n, self.draw, self.data, self.overrides = n, draw, data, params
        self.numbers: dict[str, float] = {}  # params and shape names
        self.loops: dict[str, int] = {}  # the outermost first
        self.index: dict[str, int] = {}
        self.local: dict[str, Var] = {}  # arguments of a def; everything that an optimizer's body names
        self.whole: Element | None = None  # the element meant by a bare family name in an update
        self.families: dict[str, Family] = {}
        self.defs: dict[str, ast.Def] = {}
        self.optimizers: dict[str, ast.Optimizer] = {}
        self.memories: dict[tuple[str, Element, str], dict[str, Var]] = {}
        self.moves: dict[int, Var] = {}  # what the optimizer call (by identity) returned for the current element
        self.everyone: list[dict[str, Var]] = []  # in an optimizer's body: the names of every element, for rms
        self.records: dict[str, list[tuple[Element, np.ndarray]]] = {}
        unnamed = (s for s in walk(program) if isinstance(s, ast.Output) and s.alias is None and not is_name(s.value))
        self.unnamed = {id(statement): f"output{place}" for place, statement in enumerate(unnamed, 1)}
        with np.errstate(all="ignore"):
            self.run_block(program.body)
        self.outputs: dict[str, np.ndarray] = {name: nest(found) for name, found in self.records.items()}

    def value(self, name: str, *element: int) -> np.ndarray:
        return self.families[name][element].value

    # ---------------------------------------------------------- statements

    def run_block(self, statements: Sequence[ast.Stmt]) -> None:
        for statement in statements:
            self.run(statement)

    def run(self, statement: ast.Stmt) -> None:
        match statement:
            case ast.Param():
                for binding in statement.bindings:
                    name = binding.name.id
                    own = self.overrides.get(name)
                    self.numbers[name] = float(self.eval(binding.value).value) if own is None else own
            case ast.Data():
                for item in statement.items:
                    self.bind_data(item)
            case ast.Initial():
                for item in statement.items:
                    self.declare(statement.kind, item)
            case ast.Def():
                self.defs[statement.name.id] = statement
            case ast.Optimizer():
                self.optimizers[statement.name.id] = statement
            case ast.Import():
                beside = Path(statement.span.source.name).parent / statement.path
                path = beside if beside.exists() else LIBRARY / statement.path
                self.run_block(parse(Source(str(path), path.read_text(encoding="utf-8"))).body)
            case ast.Assign():
                self.assign(statement)
            case ast.For():
                for t in range(self.integer(statement.start), self.integer(statement.stop)):
                    self.loops[statement.variable.id] = t
                    self.run_block(statement.body)
                self.loops.pop(statement.variable.id, None)
            case ast.If():
                self.run_block(self.branch(statement))
            case ast.Output():
                self.output(statement)
            case _:
                raise TypeError(statement)

    def branch(self, statement: ast.If) -> Sequence[ast.Stmt]:
        for branch in statement.branches:
            if branch.condition is None or bool(self.eval(branch.condition).value):
                return branch.body
        return ()

    def bind_data(self, item: ast.DataItem) -> None:
        array = np.asarray(self.data[item.name.id], dtype=np.float64)
        for size, entry in zip(array.shape, item.shape, strict=True):
            if isinstance(entry, ast.Name) and entry.id not in self.numbers:
                self.numbers[entry.id] = size
            assert self.integer(entry) == size
        self.families[item.name.id] = {element: Var(array[element]) for element in np.ndindex(array.shape)}

    def declare(self, kind: str, item: ast.InitialItem) -> None:
        name, passes = item.name.id, tuple(self.loops.values())
        shape = tuple(self.integer(entry) for entry in item.shape)
        self.families[name] = {
            element: Var(self.draw(kind, name, passes, element), operator=kind == "matrix")
            for element in np.ndindex(shape)
        }

    def output(self, statement: ast.Output) -> None:
        value, alias = statement.value, statement.alias
        if isinstance(alias, ast.Subscript):
            found: Family = {}
            for case in self.cases(alias.indices, value):
                with self.within(case):
                    found[case.element] = self.eval(value)
        elif isinstance(value, ast.Name) and value.id in self.families:
            found = self.families[value.id]
        else:
            result = self.evaluate(value)
            found = result if isinstance(result, dict) else {(): result}
        shape = tuple(max(places) + 1 for places in zip(*found, strict=True))
        array = np.array([found[element].value for element in np.ndindex(shape)])
        if isinstance(alias, ast.Subscript):
            name = name_of(alias.base)
        elif alias is not None:
            name = name_of(alias)
        else:
            name = value.id if isinstance(value, ast.Name) else self.unnamed[id(statement)]
        array = array.reshape(shape + array.shape[1:])
        self.records.setdefault(name, []).append((tuple(self.loops.values()), array))

    def assign(self, statement: ast.Assign) -> None:
        target, value = statement.target, statement.value
        base = target.base if isinstance(target, ast.Braces) else target
        update = statement.operator != "="
        sources = (value, target) if update else (value,)
        if isinstance(base, ast.Subscript):
            name = name_of(base.base)
            cases = self.cases(base.indices, *sources)
            replaces = not update and all(self.is_free(index) for index in base.indices)
        else:
            name = name_of(base)
            old = self.families.get(name, {})
            stands_for_all = () not in old and (update or any(is_name(node, name) for node in walk(value)))
            cases = [Case(element, {}, element) for element in old] if stands_for_all else [Case((), {})]
            replaces = not stands_for_all
        moves = self.optimizer_moves(name, value, cases)
        results: Family = {}
        for case, self.moves in zip(cases, moves, strict=True):
            with self.within(case):
                result = self.evaluate(value)
                if isinstance(result, dict):  # `G = grad(loss, family)`
                    results.update(result)
                    continue
                if update:
                    result = self.binary(statement.operator[0], self.eval(target), result)
                results[case.element] = self.settle(target, result)
        self.moves = {}
        new = {element: tape.copy(result) for element, result in results.items()}
        self.families[name] = new if replaces else self.families.get(name, {}) | new

    def settle(self, target: ast.Expr, x: Var) -> Var:
        """What is bound: with braces on the left, the axes in their order, repeated where the right side lacks one."""
        if not isinstance(target, ast.Braces):
            assert not x.labels, "width axes on the right that are not on the left"
            return x
        labels = tuple(name_of(index) for index in target.indices)
        (x,), _ = align(x, order=labels)
        return tape.broadcast(x, (self.n,) * len(labels))

    # ----------------------------------------------------- static indices

    def is_free(self, index: ast.Expr) -> bool:
        """Whether an index on the left means "for all"."""
        if isinstance(index, ast.Compare):
            return True
        return isinstance(index, ast.Name) and index.id not in self.numbers and index.id not in self.loops

    def cases(self, indices: Sequence[ast.Expr], *sources: ast.Expr) -> list[Case]:
        """All values of the free indices, in row-major order, and the element that each means."""
        ranges: dict[str, range] = {}
        for index in indices:
            if isinstance(index, ast.Compare):
                ranges[name_of(index.first)] = range(self.integer(index.rest[0][1]))
            elif isinstance(index, ast.Name) and self.is_free(index):
                ranges[index.id] = range(self.extent(index.id, sources))
        result: list[Case] = []
        for values in itertools.product(*ranges.values()):
            bound = dict(zip(ranges, values, strict=True))
            with self.within(Case((), bound)):
                result.append(
                    Case(tuple(self.integer(i.first if isinstance(i, ast.Compare) else i) for i in indices), bound)
                )
        return result

    def extent(self, name: str, sources: Sequence[ast.Expr]) -> int:
        sizes: set[int] = set()
        for node in itertools.chain(*map(walk, sources)):
            if isinstance(node, ast.Subscript) and isinstance(node.base, ast.Name) and node.base.id in self.families:
                for place, index in enumerate(node.indices):
                    if is_name(index, name):
                        sizes.add(self.size(self.families[node.base.id], place, node.indices))
        (size,) = sizes
        return size

    def size(self, family: Family, place: int, indices: Sequence[ast.Expr]) -> int:
        """How many elements are defined along one axis, where the other indices have the values known so far."""
        known: dict[int, int] = {}
        for other, index in enumerate(indices):
            if other != place and (not self.is_free(index) or (isinstance(index, ast.Name) and index.id in self.index)):
                known[other] = self.integer(index)
        found = {element[place] for element in family if all(element[q] == v for q, v in known.items())}
        assert found == set(range(len(found))), "a gap"
        return len(found)

    @contextmanager
    def within(self, case: Case) -> Generator[None, None, None]:
        before = self.index, self.whole
        self.index, self.whole = self.index | case.index, case.whole
        yield
        self.index, self.whole = before

    def integer(self, expr: ast.Expr) -> int:
        number = float(self.eval(expr).value)
        assert number == round(number)
        return round(number)

    # --------------------------------------------------------- expressions

    def eval(self, expr: ast.Expr | None) -> Var:
        result = self.evaluate(expr)
        assert isinstance(result, Var), "a family where one value is meant"
        return result

    def evaluate(self, expr: ast.Expr | None) -> Var | Family:
        match expr:
            case ast.Number():
                return Var(expr.value)
            case ast.Name():
                return self.name(expr.id)
            case ast.Paren():
                return self.evaluate(expr.body)
            case ast.Unary(operator="not"):
                return Var(not self.eval(expr.operand).value)
            case ast.Unary():
                x = self.eval(expr.operand)
                return x if expr.operator == "+" else self.binary("*", Var(-1.0), x)
            case ast.Binary():
                return self.binary(expr.operator, self.eval(expr.left), self.eval(expr.right))
            case ast.Compare():
                return self.compare(expr)
            case ast.Logical():
                left = bool(self.eval(expr.left).value)
                return Var(left) if left == (expr.operator == "or") else self.eval(expr.right)
            case ast.Call():
                return self.call(expr)
            case ast.Subscript():
                element = tuple(self.integer(index) for index in expr.indices)
                return self.families[name_of(expr.base)][element]
            case ast.Braces():
                return self.with_axes(self.eval(expr.base), tuple(name_of(index) for index in expr.indices))
            case ast.Prime():
                return tape.transpose(self.eval(expr.base), (1, 0))
            case ast.BraKet():
                ket = self.eval(expr.ket)
                if expr.operator is not None:
                    ket = self.binary("@", self.eval(expr.operator), ket)
                return average(self.binary("*", self.eval(expr.bra), ket))
            case ast.KetBra():
                return tape.outer(self.eval(expr.ket), self.eval(expr.bra))
            case _:
                raise TypeError(expr)

    def name(self, name: str) -> Var | Family:
        if name in self.local:
            return self.local[name]
        for numbers in (self.index, self.loops, self.numbers):
            if name in numbers:
                return Var(numbers[name])
        if name in self.families:
            family = self.families[name]
            return family[()] if () in family else family if self.whole is None else family[self.whole]
        return Var({"n": self.n, "pi": np.pi}[name])

    def with_axes(self, x: Var, labels: tuple[str, ...]) -> Var:
        """`x{i,j}`; an index that stands twice takes the diagonal."""
        if x.ndim == 0:
            return x
        assert not x.operator
        assert len(labels) == x.ndim
        while len(set(labels)) < len(labels):
            second = max(place for place, label in enumerate(labels) if labels.index(label) != place)
            first = labels.index(labels[second])
            shape = [self.n if place in (first, second) else 1 for place in range(x.ndim)]
            x = tape.sum_axes(tape.where(np.eye(self.n, dtype=bool).reshape(shape), x, Var(0.0)), (second,))
            labels = labels[:second] + labels[second + 1 :]
        return labelled(tape.copy(x), labels)

    def binary(self, operator: str, a: Var, b: Var) -> Var:
        if operator == "@":
            return self.product(a, b)
        if operator in "+-" and a.operator != b.operator:
            assert a.ndim == b.ndim == 2
            a, b = self.as_operator(a), self.as_operator(b)
        if a.operator or b.operator:
            assert operator in "+-" or (operator == "*" and 0 in (a.ndim, b.ndim)) or (operator == "/" and not b.ndim)
        (a, b), labels = align(a, b)
        match operator:
            case "+":
                result = a + b
            case "-":
                result = a - b
            case "*":
                result = a * b
            case "/":
                result = a / b
            case "^":
                result = tape.power(a, b)
            case "%":
                result = Var(np.mod(a.value, b.value))
            case "//":
                result = Var(np.floor_divide(a.value, b.value))
            case _:
                raise ValueError(operator)
        return labelled(result, labels)

    def as_operator(self, x: Var) -> Var:
        """A tensor T acts as T/n, a matrix as it stands."""
        if x.operator:
            return x
        result = x / self.n
        result.operator = True
        return result

    def product(self, a: Var, b: Var) -> Var:
        assert a.ndim == 2
        result = tape.matmul(self.as_operator(a), b if b.ndim == 1 else self.as_operator(b))
        if b.ndim == 1:
            return result
        if a.operator or b.operator:
            result.operator = True
            return result
        return result * self.n  # of two tensors again a tensor: the one whose action is the product of theirs

    def compare(self, expr: ast.Compare) -> Var:
        operands = [self.eval(expr.first), *(self.eval(operand) for _, operand in expr.rest)]
        operands, labels = align(*operands)
        holds = np.array(True)
        for (operator, _), left, right in zip(expr.rest, operands, operands[1:], strict=False):
            holds = holds & COMPARE[operator](left.value, right.value)
        return labelled(Var(holds), labels)

    def call(self, expr: ast.Call) -> Var | Family:
        if id(expr) in self.moves:
            return self.moves[id(expr)]
        match expr.function:
            case ast.Name(id="avg"):
                return average(self.eval(expr.arguments[0]))
            case ast.Name(id="stop"):
                return tape.stop(self.eval(expr.arguments[0]))
            case ast.Name(id="grad"):
                return self.grad(*expr.arguments)
            case ast.Name(id="rms"):
                return self.rms(expr.arguments[0])
            case ast.Name(id="row_mean"):
                return line_mean(self.eval(expr.arguments[0]), 1)
            case ast.Name(id="col_mean"):
                return line_mean(self.eval(expr.arguments[0]), 0)
            case ast.Braces(base=ast.Name(id="avg"), indices=indices):
                return average_over(self.eval(expr.arguments[0]), {name_of(index) for index in indices})
            case ast.Subscript(base=ast.Name(id=name), indices=indices):
                return self.reduce(name, indices, expr.arguments[0])
            case function:
                arguments, labels = align(*(self.eval(argument) for argument in expr.arguments))
                assert not any(argument.operator for argument in arguments)
                return labelled(self.function(function)(*arguments), labels)

    def function(self, expr: ast.Expr) -> Callable[..., Var]:
        if isinstance(expr, ast.Prime):
            return tape.entrywise_derivative(self.function(expr.base))
        name = name_of(expr)
        return tape.FUNCTIONS[name] if name not in self.defs else lambda *args: self.apply(self.defs[name], args)

    def apply(self, definition: ast.Def, arguments: Sequence[Var]) -> Var:
        before = self.local
        self.local = dict(zip((argument.id for argument in definition.arguments), arguments, strict=True))
        result = self.eval(definition.body)
        self.local = before
        return result

    def reduce(self, name: str, indices: Sequence[ast.Expr], body: ast.Expr) -> Var:
        terms: list[Var] = []
        for case in self.cases(indices, body):
            with self.within(replace(case, whole=self.whole)):
                terms.append(self.eval(body))
        if name in ("max", "min"):
            return extreme(terms, np.max if name == "max" else np.min)
        total = terms[0] if terms else Var(0.0)
        for term in terms[1:]:
            total = self.binary("+", total, term)
        return total if name == "sum" else self.binary("/", total, Var(len(terms)))

    # ------------------------------------------------ gradients, optimizers

    def grad(self, s: ast.Expr, p: ast.Expr) -> Var | Family:
        loss, parameter = self.eval(s), self.evaluate(p)
        if isinstance(parameter, dict):
            return {element: self.grad_of(loss, one) for element, one in parameter.items()}
        return self.grad_of(loss, parameter)

    def grad_of(self, loss: Var, p: Var) -> Var:
        """n ds/dW_ij for the entries of an operator, n^k ds/dp for an array of k axes: entries of order 1 all."""
        assert loss.ndim == 0
        raw = tape.gradient(loss, p, Var(1.0))
        if raw is None:
            raise ValueError("s does not depend on this version of p")
        return Var(raw.value * (self.n if p.operator else self.n**p.ndim))

    def optimizer_moves(self, name: str, value: ast.Expr, cases: Sequence[Case]) -> list[dict[int, Var]]:
        """What the optimizer called in `value`, if one is, returns for each element; all elements go in lockstep."""
        calls = [
            node
            for node in walk(value)
            if isinstance(node, ast.Call) and is_name(node.function) and name_of(node.function) in self.optimizers
        ]
        if not calls:
            return [{} for _ in cases]
        (call,) = calls
        optimizer = self.optimizers[name_of(call.function)]
        keys = [(name, case.element, optimizer.name.id) for case in cases]
        memories = [self.memories.setdefault(key, {"step": Var(0.0)}) for key in keys]
        scopes: list[dict[str, Var]] = []
        for case, memory in zip(cases, memories, strict=True):
            with self.within(case):
                scope = self.hyperparameters(optimizer, call)
            scopes.append(scope | {"step": memory["step"] + 1.0})
        self.everyone = scopes
        moves = self.run_body(optimizer.body, scopes, memories)
        assert moves is not None
        kept = {
            binding.name.id for state in optimizer.body if isinstance(state, ast.State) for binding in state.bindings
        }
        for scope, memory in zip(scopes, memories, strict=True):
            memory.update({state: tape.stop(scope[state]) for state in kept | {"step"}})
        return [{id(call): tape.stop(move)} for move in moves]

    def hyperparameters(self, optimizer: ast.Optimizer, call: ast.Call) -> dict[str, Var]:
        scope = {"g": tape.stop(self.eval(call.arguments[0]))}
        given = {keyword.name.id: keyword.value for keyword in call.keywords}
        for place, binding in enumerate(optimizer.arguments, 1):
            if place < len(call.arguments):
                scope[binding.name.id] = tape.stop(self.eval(call.arguments[place]))
            elif binding.name.id in given:
                scope[binding.name.id] = tape.stop(self.eval(given[binding.name.id]))
            else:
                with self.seeing(scope):
                    scope[binding.name.id] = self.eval(binding.value)
        return scope

    @contextmanager
    def seeing(self, scope: dict[str, Var]) -> Generator[None, None, None]:
        before, self.local = self.local, scope
        yield
        self.local = before

    def run_body(
        self, statements: Sequence[ast.Stmt], scopes: list[dict[str, Var]], memories: list[dict[str, Var]]
    ) -> list[Var] | None:
        """An optimizer's body, statement by statement for all elements, so that `rms` can look at all of them."""
        for statement in statements:
            if isinstance(statement, ast.If):
                with self.seeing(scopes[0]):
                    body = self.branch(statement)
                moves = self.run_body(body, scopes, memories)
                if moves is not None:
                    return moves
                continue
            results: list[Var] = []
            for scope, memory in zip(scopes, memories, strict=True):
                with self.seeing(scope):
                    if isinstance(statement, ast.State):
                        for binding in statement.bindings:
                            name = binding.name.id
                            scope[name] = memory[name] if name in memory else self.eval(binding.value)
                    elif isinstance(statement, ast.Assign):
                        result = self.eval(statement.value)
                        if statement.operator != "=":
                            result = self.binary(statement.operator[0], self.eval(statement.target), result)
                        results.append(self.settle(statement.target, result))
                    elif isinstance(statement, ast.Return):
                        results.append(self.eval(statement.value))
                    else:
                        raise TypeError(statement)
            if isinstance(statement, ast.Return):
                return results
            if isinstance(statement, ast.Assign):
                target = statement.target.base if isinstance(statement.target, ast.Braces) else statement.target
                for scope, result in zip(scopes, results, strict=True):
                    scope[name_of(target)] = result
        return None

    def rms(self, expr: ast.Expr) -> Var:
        total, count = 0.0, 0
        for scope in self.everyone:
            with self.seeing(scope):
                x = self.eval(expr).value
            total, count = total + float(np.sum(x**2)), count + x.size
        return Var(np.sqrt(total / count))


# ------------------------------------------------------------------ helpers


def walk(node: object) -> Iterator[object]:
    """A syntax node and all below it, in the order of the text."""
    if isinstance(node, tuple):
        for item in node:
            yield from walk(item)
    elif isinstance(node, ast.Node):
        yield node
        for field in fields(node):
            yield from walk(getattr(node, field.name))


def is_name(node: object, name: str | None = None) -> bool:
    return isinstance(node, ast.Name) and (name is None or node.id == name)


def name_of(node: ast.Expr) -> str:
    assert isinstance(node, ast.Name)
    return node.id


def labelled(x: Var, labels: tuple[str, ...] | None) -> Var:
    if x.labels == labels:
        return x
    result = tape.copy(x)
    result.labels = labels
    return result


def align(*values: Var, order: tuple[str, ...] = ()) -> tuple[list[Var], tuple[str, ...] | None]:
    """Values with named axes brought to one order of axes (`order` first), those that one lacks having length 1."""
    arrays = [x for x in values if x.ndim > 0]
    if all(x.labels is None for x in arrays) and not order:
        assert len({x.ndim for x in arrays}) <= 1, "a vector with a tensor"
        return list(values), None
    assert all(x.labels is not None for x in arrays), "an array without axes in a statement with braces"
    labels = tuple(dict.fromkeys(order + tuple(label for x in arrays for label in x.labels or ())))
    assert not order or labels == order, "a width axis on the right only"
    result: list[Var] = []
    for x in values:
        if x.ndim > 0:
            own = x.labels or ()
            places = [own.index(label) for label in labels if label in own]
            size = x.shape[0]
            x = tape.reshape(tape.transpose(x, places), tuple(size if label in own else 1 for label in labels))
        else:
            x = labelled(x, None)
        result.append(x)
    return result, labels


def average(x: Var) -> Var:
    assert not x.operator
    return tape.mean_axes(x, tuple(range(x.ndim))) if x.ndim else x


def average_over(x: Var, bound: set[str]) -> Var:
    labels = x.labels or ()
    axes = tuple(place for place, label in enumerate(labels) if label in bound)
    if not axes:
        return x
    return labelled(tape.mean_axes(x, axes), tuple(label for label in labels if label not in bound))


def line_mean(x: Var, axis: int) -> Var:
    """The mean over rows' or columns' entries, repeated to the shape of x; vectors and scalars as they are."""
    return Var(np.broadcast_to(x.value.mean(axis=axis, keepdims=True), x.shape)) if x.ndim == 2 else x


def extreme(terms: Sequence[Var], best_of: Callable[..., np.ndarray]) -> Var:
    """`max[k]` or `min[k]`; where several reach it, they share the gradient evenly."""
    aligned, labels = align(*terms)
    best = best_of(np.array(np.broadcast_arrays(*(x.value for x in aligned))), axis=0)
    hits = [x.value == best for x in aligned]
    count = np.sum(np.array(np.broadcast_arrays(*hits)), axis=0)
    total = Var(0.0)
    for x, hit in zip(aligned, hits, strict=True):
        total = total + tape.where(hit, x, Var(0.0)) / count
    return labelled(total, labels)


def nest(found: Sequence[tuple[Element, np.ndarray]]) -> np.ndarray:
    """Stacks the records of one output: the loops around it become leading axes, the outermost first."""
    if found[0][0] == ():
        ((_, array),) = found
        return array
    passes = dict.fromkeys(place[0] for place, _ in found)
    return np.array([nest([(place[1:], array) for place, array in found if place[0] == t]) for t in passes])

"""From an expression to a straight-line register program.

Accepts an expression in the arguments a0 … a(k-1).  Promises: equal subexpressions are computed once, constants are
folded in double precision, a quotient is one division, a difference one subtraction, small integer powers are
multiplications, square roots are square roots.  Does not reorder across the program, and knows no shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import sympy
from sympy import Expr

from nexort.symbolic.calculus import argument
from nexort.symbolic.constants import leaf_value
from nexort.symbolic.heads import Entrywise
from nexort.symbolic.operations import COMMUTATIVE, COMPARISONS, COSTS, Operation, apply_to_numbers
from nexort.symbolic.walk import is_inverse, parts, symbols_of

LONGEST_PRODUCT = 32  # x^32 is five squarings; beyond, `power`


@dataclass(frozen=True, slots=True)
class Register:
    """A value: index k < arity is argument k, the others are outputs of instructions."""

    index: int


@dataclass(frozen=True, slots=True)
class Constant:
    """A number of the program; weakly typed, so that it does not widen float32."""

    value: float


Operand: TypeAlias = Register | Constant


@dataclass(frozen=True, slots=True)
class Instruction:
    """Register `output` = op(inputs)."""

    op: Operation
    inputs: tuple[Operand, ...]
    output: int

    @property
    def cost(self) -> int:
        return COSTS.get(self.op, 1)


@dataclass(slots=True)
class Lowering:
    """The state of one translation: instructions so far, and which register holds which value."""

    arity: int
    instructions: list[Instruction] = field(default_factory=list)
    operands: dict[Expr, Operand] = field(default_factory=dict)
    numbered: dict[tuple[Operation, tuple[Operand, ...]], Register] = field(default_factory=dict)

    def emit(self, op: Operation, *inputs: Operand) -> Operand:
        """The register that holds op(inputs): an old one if the value is known, a constant if the inputs are."""
        constants = [operand.value for operand in inputs if isinstance(operand, Constant)]
        if len(constants) == len(inputs):
            return Constant(apply_to_numbers(op, constants))
        ordered = tuple(sorted(inputs, key=_rank)) if op in COMMUTATIVE else inputs
        known = self.numbered.get((op, ordered))
        if known is not None:
            return known
        register = Register(self.arity + len(self.instructions))
        self.instructions.append(Instruction(op, ordered, register.index))
        self.numbered[op, ordered] = register
        return register

    def lower(self, expr: Expr) -> Operand:
        operand = self.operands.get(expr)
        if operand is None:
            operand = self.operands[expr] = self._lower(expr)
        return operand

    def _lower(self, expr: Expr) -> Operand:
        match expr:
            case sympy.Add():
                return self._sum(expr)
            case sympy.Mul():
                return self._product(expr)
            case sympy.Pow():
                return self._quotient(1.0, [], [expr]) if is_inverse(expr) else self._power(*parts(expr))
            case sympy.Abs():
                return self.emit("absolute", self.lower(parts(expr)[0]))
            case Entrywise():
                return self._function(expr)
            case _:
                return Constant(_constant_leaf(expr))

    def _function(self, expr: Entrywise) -> Operand:
        rule = expr.rule
        if rule.operation is not None:
            return self.emit(rule.operation, *map(self.lower, parts(expr)))
        if rule.lowered is not None:
            return self.lower(rule.lowered(*parts(expr)))
        left, right, chosen, other = map(self.lower, parts(expr))
        mask = self.emit(COMPARISONS[rule.name.removeprefix("where")], left, right)
        if isinstance(mask, Constant):
            return chosen if mask.value else other
        return self.emit("select", mask, chosen, other)

    def _sum(self, expr: Expr) -> Operand:
        """Σ c_i x_i, with a common |c| taken out, positive terms first, and negative ones subtracted."""
        terms = [(coefficient, rest) for coefficient, rest in (_split(term) for term in parts(expr))]
        constant = sum(coefficient for coefficient, rest in terms if rest is None)
        named = [(coefficient, rest) for coefficient, rest in terms if rest is not None]
        if not named:
            return Constant(constant)
        common = abs(named[0][0])
        if not constant and common != 1 and all(abs(coefficient) == common for coefficient, _ in named):
            named = [(coefficient / common, rest) for coefficient, rest in named]
        else:
            common = 1.0
        if not constant and all(coefficient < 0 for coefficient, _ in named):
            common, named = -common, [(-coefficient, rest) for coefficient, rest in named]
        return self._scaled(common, self._accumulated(constant, named))

    def _accumulated(self, constant: float, terms: Sequence[tuple[float, Expr]]) -> Operand:
        positive = [self._scaled(c, self.lower(rest)) for c, rest in terms if not c < 0]
        if not positive:
            total, constant = Constant(constant), 0.0
        else:
            total = positive[0]
        for operand in positive[1:]:
            total = self.emit("add", total, operand)
        for coefficient, rest in terms:
            if coefficient < 0:
                total = self.emit("subtract", total, self._scaled(-coefficient, self.lower(rest)))
        if constant < 0:
            return self.emit("subtract", total, Constant(-constant))
        return self.emit("add", total, Constant(constant)) if constant else total

    def _product(self, expr: Expr) -> Operand:
        coefficient, rest = _split(expr)
        factors = [] if rest is None else sympy.Mul.make_args(rest)
        below = [factor for factor in factors if is_inverse(factor)]
        above = [factor for factor in factors if not is_inverse(factor)]
        return self._quotient(coefficient, above, below)

    def _quotient(self, coefficient: float, above: Sequence[Expr], below: Sequence[Expr]) -> Operand:
        """coefficient · Π above / Π (below inverted), with one division."""
        divisor = self._multiplied(self._power(parts(factor)[0], -parts(factor)[1]) for factor in below)
        top = self._multiplied(map(self.lower, above))
        if divisor is None:
            return Constant(coefficient) if top is None else self._scaled(coefficient, top)
        if top is not None:
            return self.emit("divide", self._scaled(coefficient, top), divisor)
        if coefficient == 1:
            return self.emit("reciprocal", divisor)
        return self.emit("divide", Constant(coefficient), divisor)

    def _multiplied(self, operands: Iterable[Operand]) -> Operand | None:
        total = None
        for operand in operands:
            total = operand if total is None else self.emit("multiply", total, operand)
        return total

    def _scaled(self, coefficient: float, operand: Operand) -> Operand:
        if coefficient == 1:
            return operand
        if coefficient == -1:
            return self.emit("negative", operand)
        return self.emit("multiply", operand, Constant(coefficient))

    def _power(self, base: Expr, exponent: Expr) -> Operand:
        """base^exponent for an exponent that is not a negative number."""
        operand = self.lower(base)
        if not exponent.is_Number:
            return self.emit("power", operand, self.lower(exponent))
        value = _constant_leaf(exponent)
        whole, half = divmod(value, 1)
        if half not in (0, 0.5) or not 0 < value <= LONGEST_PRODUCT:
            return self.emit("power", operand, Constant(value))
        root = [self.emit("sqrt", operand)] if half else []
        powers = [self._whole_power(operand, int(whole))] if whole else []
        result = self._multiplied([*powers, *root])
        return Constant(1.0) if result is None else result

    def _whole_power(self, operand: Operand, exponent: int) -> Operand:
        if exponent == 1:
            return operand
        square = self.emit("square", self._whole_power(operand, exponent // 2))
        return self.emit("multiply", square, operand) if exponent % 2 else square


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterProgram:
    """Instructions in order, and where the values end up: one of an expression, several of a `Fusion`."""

    arity: int
    instructions: tuple[Instruction, ...]
    results: tuple[Operand, ...]

    @property
    def result(self) -> Operand:
        """The value of a program that has one."""
        (result,) = self.results
        return result


def lower_expression(expr: Expr, arity: int) -> RegisterProgram:
    """The register program of an expression in the first `arity` arguments."""
    lowering = Lowering(arity, operands={argument(k): Register(k) for k in range(arity)})
    result = lowering.lower(expr)
    end = max(0, result.index + 1 - arity) if isinstance(result, Register) else 0  # what follows the result is not used
    return RegisterProgram(arity=arity, instructions=tuple(lowering.instructions[:end]), results=(result,))


def constant_value(expr: Expr) -> float:
    """The double of an expression without symbols, such as sqrt(2) / 2 or exp(1)."""
    result = lower_expression(expr, 0).result
    assert isinstance(result, Constant)
    return result.value


def _constant_leaf(expr: Expr) -> float:
    value = leaf_value(expr)
    if value is None:
        raise ValueError(f"{expr} is not an argument of this function")
    return value


def _split(term: Expr) -> tuple[float, Expr | None]:
    """A term as (number, rest without numeric factors); the rest is None if there is none."""
    if term.is_Number:
        return _constant_leaf(term), None
    factors = sympy.Mul.make_args(term)
    numbers = [factor for factor in factors if not symbols_of(factor)]
    if not numbers:
        return 1.0, term
    if len(numbers) == len(factors):
        return _product_of(numbers), None
    rest = [factor for factor in factors if symbols_of(factor)]
    return _product_of(numbers), rest[0] if len(rest) == 1 else sympy.Mul(*rest)


def _product_of(numbers: Sequence[Expr]) -> float:
    """Numerators over denominators, so that sqrt(2)/2 and 1/sqrt(2 pi) round once."""
    lowering = Lowering(0)
    if len(numbers) == 1 and not numbers[0].args:
        return _constant_leaf(numbers[0])
    above = [factor for factor in numbers if not is_inverse(factor)]
    below = [factor for factor in numbers if is_inverse(factor)]
    result = lowering._quotient(1.0, above, below)  # pyright: ignore[reportPrivateUsage]
    assert isinstance(result, Constant)
    return result.value


def _rank(operand: Operand) -> tuple[int, float]:
    return (0, operand.index) if isinstance(operand, Register) else (1, operand.value)

"""Entrywise functions as expressions: bodies, derivatives almost everywhere, NumPy kernels, and limits in the width.

The only package that imports sympy, which never sees user text: names come from the table of functions.
"""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Expr

from nexort.symbolic.calculus import argument, differentiate
from nexort.symbolic.constants import PI, number, raise_power
from nexort.symbolic.fn import Fn, apply_fn, comparison_where, evaluate_number, kernel, power, primitive
from nexort.symbolic.functions import FUNCTIONS, FunctionInfo, call, where_expr
from nexort.symbolic.fusion import Fusion, Scaled
from nexort.symbolic.kernel import Kernel, Scratch
from nexort.symbolic.lowering import Constant, Instruction, Operand, Register, constant_value
from nexort.symbolic.operations import COMPARISONS, MASKS, OPERATIONS, Operation, numpy_operation
from nexort.symbolic.parity import Parity, function_parity
from nexort.symbolic.places import plan_steps
from nexort.symbolic.show import show_expression
from nexort.symbolic.width import WidthExpr, leading_power, limit_at_infinity, value_at_width, width_symbol

__all__ = [
    "COMPARISONS",
    "FUNCTIONS",
    "MASKS",
    "OPERATIONS",
    "PI",
    "Constant",
    "Expr",
    "Fn",
    "FunctionInfo",
    "Fusion",
    "Instruction",
    "Kernel",
    "Operand",
    "Operation",
    "Parity",
    "Register",
    "Scaled",
    "Scratch",
    "WidthExpr",
    "apply_fn",
    "argument",
    "call",
    "comparison_where",
    "constant_value",
    "differentiate",
    "evaluate_number",
    "function_parity",
    "kernel",
    "leading_power",
    "limit_at_infinity",
    "number",
    "numpy_operation",
    "plan_steps",
    "power",
    "primitive",
    "raise_power",
    "show",
    "value_at_width",
    "where_expr",
    "width_symbol",
]


def show(fn_or_expr: Fn | Expr, names: Sequence[str]) -> str:
    """Readable text of a function, its arguments replaced by the names of its operands (names, calls or brackets)."""
    expr = fn_or_expr.expr if isinstance(fn_or_expr, Fn) else fn_or_expr
    return show_expression(expr, {argument(k): name for k, name in enumerate(names)} | {width_symbol(): "n"})

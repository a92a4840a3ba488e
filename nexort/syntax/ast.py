"""The surface syntax tree: what was written, with its place, before any meaning.

Postfix forms stay generic (`Subscript`, `Braces`, `Call`, `Prime` on any operand), so that the elaborator, which
knows kinds, gives the message about a wrong one.  `Paren` is kept: the formatter prints what was written, and
`(x)'` and `(W @ x){i}` need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nexort.source import Source, Span

BinaryOperator = Literal["+", "-", "*", "/", "@", "%", "^"]
Comparator = Literal["<", "<=", ">", ">=", "==", "!="]
AssignOperator = Literal["=", "+=", "-=", "*=", "/="]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Node:
    span: Span


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Number(Node):
    """`2`, `0.5`, `1e-4`; `text` as written. `value` is int if written without `.` and exponent."""

    value: int | float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Name(Node):
    """`id` is the NFKC form."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Paren(Node):
    """`(body)`."""

    body: Expr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unary(Node):
    operator: Literal["-", "+", "not"]
    operand: Expr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Binary(Node):
    """All of Python's precedence, `^` for power. `A @ B @ x` is parsed from the left; elaboration gives
    it its meaning."""

    operator: BinaryOperator
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compare(Node):
    """`first op1 x1 op2 x2 …`, chained as in Python."""

    first: Expr
    rest: tuple[tuple[Comparator, Expr], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Logical(Node):
    operator: Literal["and", "or"]
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call(Node):
    """`function(arguments, key=value)`; `sum[k](…)` is a Call on a Subscript, `avg{j}(…)` one on Braces,
    `phi'(x)` one on a Prime."""

    function: Expr
    arguments: tuple[Expr, ...]
    keywords: tuple[Keyword, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Keyword(Node):
    name: Name
    value: Expr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subscript(Node):
    """`base[i, 0, a < M]`: static indices. A `Compare` among them states a range, on the left
    of `=` or in a reduction. The first `unwritten` ones are not in the text (that of the input, in a model)."""

    base: Expr
    indices: tuple[Expr, ...]
    unwritten: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Braces(Node):
    """`base{i, j}`: width axes."""

    base: Expr
    indices: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prime(Node):
    """`base'`: a transpose or, on a function, a derivative."""

    base: Expr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BraKet(Node):
    """`<bra | ket>` and, with an operator, `<bra | operator | ket>`."""

    bra: Expr
    operator: Expr | None
    ket: Expr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KetBra(Node):
    """`|ket><bra|`."""

    ket: Expr
    bra: Expr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListLiteral(Node):
    """`[1, 0]`, in data declarations only (checked later)."""

    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tuple(Node):
    """`(p, q)`: what a model returns, a field or a named argument (nowhere else: places.py)."""

    items: tuple[Expr, ...]


Expr = (
    Number
    | Name
    | Paren
    | Unary
    | Binary
    | Compare
    | Logical
    | Call
    | Subscript
    | Braces
    | Prime
    | BraKet
    | KetBra
    | ListLiteral
    | Tuple
)

# ----------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Binding(Node):
    """`name = value` in `param`, `state` and optimizer arguments (where value may be missing)."""

    name: Name
    value: Expr | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Param(Node):
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State(Node):
    """`state m = 0, v = 0`, in an optimizer."""

    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataItem(Node):
    """`xi[M, d] = normal(seed=1)`; `shape` may be empty (a number), `standin` missing."""

    name: Name
    shape: tuple[Expr, ...]
    standin: Expr | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Data(Node):
    items: tuple[DataItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Law(Node):
    """`N(mean, variance)` behind `~`."""

    mean: Expr
    variance: Expr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InitialItem(Node):
    """`u[d]`, `b ~ N(0.5, 2)`, `s = 1`; `law` and `value` exclude each other."""

    name: Name
    shape: tuple[Expr, ...]
    law: Law | None
    value: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Initial(Node):
    """`vector u[d], v`, `matrix W, A[3]` or `scalar s = 1`."""

    kind: Literal["vector", "matrix", "scalar"]
    items: tuple[InitialItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Def(Node):
    name: Name
    arguments: tuple[Name, ...]
    body: Expr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Import(Node):
    """`path` is what stands between the quotes."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Optimizer(Node):
    name: Name
    arguments: tuple[Binding, ...]
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assign(Node):
    """`target op value`; the target is a Name, Subscript or Braces (of a Name or a Subscript)."""

    target: Expr
    operator: AssignOperator
    value: Expr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class For(Node):
    """`for variable in start..stop:`."""

    variable: Name
    start: Expr
    stop: Expr
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Branch(Node):
    """`if condition:` or `elif condition:`; condition None is `else:`."""

    condition: Expr | None
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class If(Node):
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Output(Node):
    """`output value as alias`; the alias is a Name or a Subscript of one."""

    value: Expr
    alias: Expr | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Return(Node):
    value: Expr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model(Node):
    """`model mlp(xi[d], z):`, a network on one input; its arguments are per-input arrays."""

    name: Name
    arguments: tuple[DataItem, ...]
    """Without stand-ins."""
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field(Node):
    """`rate = 0.2`, `weights[t, a] = mask[t, a]` in a `train` block; `indices` as written, None without brackets."""

    name: Name
    indices: tuple[Expr, ...] | None
    value: Expr


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Per(Node):
    """`per W, v: rate = 0.1; decay = 0`: fields of single parameters."""

    names: tuple[Name, ...]
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Train(Node):
    """`train mlp on xi, y as wide:`."""

    model: Name
    arrays: tuple[Name, ...]
    alias: Name | None
    body: tuple[Field | Per, ...]


Stmt = Model | Train | Param | State | Data | Initial | Def | Import | Optimizer | Assign | For | If | Output | Return


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program(Node):
    source: Source
    body: tuple[Stmt, ...]

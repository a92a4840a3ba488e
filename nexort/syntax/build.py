"""From grammar rules to tree nodes: one method per rule of grammar.lark, called by lark as it reduces.

Every method gets the rule's children in order, tokens included, so that a node's span runs from its first child to
its last.  Headers (`for …`, `if …`) become nodes with an empty body, which blocks.py fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from nexort.errors import SyntaxFault
from nexort.source import Span
from nexort.syntax import ast
from nexort.syntax.tokens import Token

BlockHeader = ast.For | ast.Branch | ast.Optimizer | ast.Model | ast.Train | ast.Per
Child = Token | ast.Node


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """What one line says. `word` is the header's first word, or empty for plain statements."""

    word: str
    header: BlockHeader | None
    statements: tuple[ast.Stmt, ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    items: tuple[ast.Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class _Header:
    word: str
    node: BlockHeader
    span: Span


def _span(children: Sequence[object]) -> Span:
    first, last = cast(Child, children[0]).span, cast(Child, children[-1]).span
    return Span(first.source, first.start, last.end)


def _name(child: object) -> ast.Name:
    token = cast(Token, child)
    return ast.Name(span=token.span, id=token.text)


def _names(children: Sequence[object]) -> list[ast.Name]:
    """The names among tokens."""
    return [_name(child) for child in children if cast(Token, child).type == "NAME"]


def _exprs(children: Sequence[object]) -> tuple[ast.Expr, ...]:
    """The expressions among children, without the commas and brackets."""
    return tuple(cast(ast.Expr, child) for child in children if not isinstance(child, Token))


class Builder:
    """The callbacks; it has no state."""

    # ---- lines

    def simple_line(self, children: list[object]) -> ParsedLine:
        return ParsedLine("", None, _statements(children))

    def block_line(self, children: list[object]) -> ParsedLine:
        header = cast(_Header, children[0])
        return ParsedLine(header.word, header.node, _statements(children[1:]))

    # ---- declarations

    def param(self, children: list[object]) -> ast.Param:
        return ast.Param(span=_span(children), bindings=_bindings(children, "a param"))

    def state(self, children: list[object]) -> ast.State:
        return ast.State(span=_span(children), bindings=_bindings(children, "a state"))

    def binding(self, children: list[object]) -> ast.Binding:
        value = cast(ast.Expr, children[2]) if len(children) > 1 else None
        return ast.Binding(span=_span(children), name=_name(children[0]), value=value)

    def data(self, children: list[object]) -> ast.Data:
        items = tuple(child for child in children if isinstance(child, ast.DataItem))
        return ast.Data(span=_span(children), items=items)

    def data_item(self, children: list[object]) -> ast.DataItem:
        standin = _exprs(children[1:])
        shape = _shape(children)
        value = standin[-1] if len(children) > 2 and not isinstance(children[-1], _Shape) else None
        return ast.DataItem(span=_span(children), name=_name(children[0]), shape=shape, standin=value)

    def initial(self, children: list[object]) -> ast.Initial:
        kind = cast(Literal["vector", "matrix", "scalar"], cast(Token, children[0]).text)
        items = tuple(child for child in children if isinstance(child, ast.InitialItem))
        return ast.Initial(span=_span(children), kind=kind, items=items)

    def initial_item(self, children: list[object]) -> ast.InitialItem:
        name, shape, last = _name(children[0]), _shape(children), children[-1]
        law = last if isinstance(last, ast.Law) else None
        has_value = len(children) > 2 and law is None
        value = cast(ast.Expr, last) if has_value else None
        return ast.InitialItem(span=_span(children), name=name, shape=shape, law=law, value=value)

    def shape(self, children: list[object]) -> _Shape:
        return _Shape(_exprs(children), _span(children))

    def law(self, children: list[object]) -> ast.Law:
        name = cast(Token, children[0])
        if name.text != "N":
            raise SyntaxFault(
                f"there is no law '{name.text}'", name.span,
                hint="initial values are Gaussian, N(mean, variance); other laws are functions of them, as sign(v)",
            )  # fmt: skip
        mean, variance = _exprs(children)
        return ast.Law(span=_span(children), mean=mean, variance=variance)

    def def_(self, children: list[object]) -> ast.Def:
        names = tuple(_names(children[3:-3]))
        body = cast(ast.Expr, children[-1])
        return ast.Def(span=_span(children), name=_name(children[1]), arguments=names, body=body)

    def import_(self, children: list[object]) -> ast.Import:
        return ast.Import(span=_span(children), path=cast(Token, children[1]).text[1:-1])

    # ---- statements

    def assign(self, children: list[object]) -> ast.Assign:
        target, sign, value = cast(ast.Expr, children[0]), cast(Token, children[1]), cast(ast.Expr, children[2])
        _verify_target(target, sign)
        operator = cast(ast.AssignOperator, sign.text)
        return ast.Assign(span=_span(children), target=target, operator=operator, value=value)

    def output(self, children: list[object]) -> ast.Output:
        alias = cast(ast.Expr, children[3]) if len(children) > 2 else None
        return ast.Output(span=_span(children), value=cast(ast.Expr, children[1]), alias=alias)

    def alias(self, children: list[object]) -> ast.Expr:
        name = _name(children[0])
        if len(children) == 1:
            return name
        return ast.Subscript(span=_span(children), base=name, indices=_exprs(children[2:-1]))

    def return_(self, children: list[object]) -> ast.Return:
        return ast.Return(span=_span(children), value=cast(ast.Expr, children[1]))

    # ---- headers

    def for_(self, children: list[object]) -> _Header:
        start, stop = _exprs(children)
        span = _span(children)
        return _Header("for", ast.For(span=span, variable=_name(children[1]), start=start, stop=stop, body=()), span)

    def branch(self, children: list[object]) -> _Header:
        word = cast(Token, children[0]).text
        condition = cast(ast.Expr, children[1]) if len(children) > 1 else None
        span = _span(children)
        return _Header(word, ast.Branch(span=span, condition=condition, body=()), span)

    def optimizer(self, children: list[object]) -> _Header:
        span = _span(children)
        arguments = tuple(child for child in children if isinstance(child, ast.Binding))
        node = ast.Optimizer(span=span, name=_name(children[1]), arguments=arguments, body=())
        return _Header("optimizer", node, span)

    def model(self, children: list[object]) -> _Header:
        span = _span(children)
        arguments = tuple(child for child in children if isinstance(child, ast.DataItem))
        return _Header("model", ast.Model(span=span, name=_name(children[1]), arguments=arguments, body=()), span)

    def model_item(self, children: list[object]) -> ast.DataItem:
        return ast.DataItem(span=_span(children), name=_name(children[0]), shape=_shape(children), standin=None)

    def train(self, children: list[object]) -> _Header:
        span = _span(children)
        model, *arrays = _names(children)
        alias = arrays.pop() if cast(Token, children[-2]).type == "AS" else None
        return _Header("train", ast.Train(span=span, model=model, arrays=tuple(arrays), alias=alias, body=()), span)

    def per(self, children: list[object]) -> _Header:
        span = _span(children)
        return _Header("per", ast.Per(span=span, names=tuple(_names(children)), fields=()), span)

    # ---- expressions

    def name(self, children: list[object]) -> ast.Name:
        return _name(children[0])

    def number(self, children: list[object]) -> ast.Number:
        token = cast(Token, children[0])
        value = int(token.text) if token.text.isdecimal() else float(token.text)
        return ast.Number(span=token.span, value=value, text=token.text)

    def paren(self, children: list[object]) -> ast.Paren:
        return ast.Paren(span=_span(children), body=cast(ast.Expr, children[1]))

    def tuple_(self, children: list[object]) -> ast.Tuple:
        return ast.Tuple(span=_span(children), items=_exprs(children))

    def list(self, children: list[object]) -> ast.ListLiteral:
        return ast.ListLiteral(span=_span(children), items=_exprs(children))

    def braket(self, children: list[object]) -> ast.BraKet:
        parts = _exprs(children)
        operator = parts[1] if len(parts) == 3 else None
        return ast.BraKet(span=_span(children), bra=parts[0], operator=operator, ket=parts[-1])

    def ketbra(self, children: list[object]) -> ast.KetBra:
        ket, bra = _exprs(children)
        return ast.KetBra(span=_span(children), ket=ket, bra=bra)

    def unary(self, children: list[object]) -> ast.Unary:
        operator = cast(Literal["-", "+", "not"], cast(Token, children[0]).text)
        return ast.Unary(span=_span(children), operator=operator, operand=cast(ast.Expr, children[1]))

    def binary(self, children: list[object]) -> ast.Binary:
        operator = cast(ast.BinaryOperator, cast(Token, children[1]).text)
        left, right = cast(ast.Expr, children[0]), cast(ast.Expr, children[2])
        return ast.Binary(span=_span(children), operator=operator, left=left, right=right)

    def logical(self, children: list[object]) -> ast.Logical:
        operator = cast(Literal["and", "or"], cast(Token, children[1]).text)
        left, right = cast(ast.Expr, children[0]), cast(ast.Expr, children[2])
        return ast.Logical(span=_span(children), operator=operator, left=left, right=right)

    def compare(self, children: list[object]) -> ast.Compare:
        first = cast(ast.Expr, children[0])
        rest: list[tuple[ast.Comparator, ast.Expr]] = []
        for sign, operand in zip(children[1::2], children[2::2], strict=True):
            rest.append((cast(ast.Comparator, cast(Token, sign).text), cast(ast.Expr, operand)))
        return ast.Compare(span=_span(children), first=first, rest=tuple(rest))

    def subscript(self, children: list[object]) -> ast.Subscript:
        indices = _exprs(children[1:])
        return ast.Subscript(span=_span(children), base=cast(ast.Expr, children[0]), indices=indices)

    def braces(self, children: list[object]) -> ast.Braces:
        indices = _exprs(children[1:])
        return ast.Braces(span=_span(children), base=cast(ast.Expr, children[0]), indices=indices)

    def prime(self, children: list[object]) -> ast.Prime:
        return ast.Prime(span=_span(children), base=cast(ast.Expr, children[0]))

    def call(self, children: list[object]) -> ast.Call:
        given = [child for child in children[1:] if not isinstance(child, Token)]
        keywords = tuple(child for child in given if isinstance(child, ast.Keyword))
        arguments = tuple(cast(ast.Expr, child) for child in given if not isinstance(child, ast.Keyword))
        if keywords and arguments and arguments[-1].span.start > keywords[0].span.start:
            raise SyntaxFault(
                "an argument without a name after one with a name", arguments[-1].span,
                hint="put the arguments written name=value last",
            )  # fmt: skip
        function = cast(ast.Expr, children[0])
        return ast.Call(span=_span(children), function=function, arguments=arguments, keywords=keywords)

    def keyword(self, children: list[object]) -> ast.Keyword:
        return ast.Keyword(span=_span(children), name=_name(children[0]), value=cast(ast.Expr, children[2]))


def _statements(children: Sequence[object]) -> tuple[ast.Stmt, ...]:
    return tuple(cast(ast.Stmt, child) for child in children if not isinstance(child, Token))


def _bindings(children: Sequence[object], what: str) -> tuple[ast.Binding, ...]:
    """The bindings of a declaration, each of which needs a value."""
    bindings = tuple(child for child in children if isinstance(child, ast.Binding))
    for binding in bindings:
        if binding.value is None:
            name = binding.name.id
            raise SyntaxFault(f"{what} needs a value: '{name}' has none", binding.span, hint=f"write {name} = 1, say")
    return bindings


def _shape(children: Sequence[object]) -> tuple[ast.Expr, ...]:
    return next((child.items for child in children if isinstance(child, _Shape)), ())


def _verify_target(target: ast.Expr, sign: Token) -> None:
    """A statement binds a name, an element `h[a]`, or entries `T{i,j}` and `h[a]{i}`."""
    base = target
    if isinstance(base, ast.Braces):
        base = base.base
    if isinstance(base, ast.Subscript):
        base = base.base
    if isinstance(base, ast.Name):
        return
    hint = "the left side is a name, with [static indices] or {width axes} if need be"
    if isinstance(target, ast.Call) and isinstance(target.function, ast.Name):
        hint = f"a function is declared by: def {target.function.id}(x) = …"
    elif isinstance(target, (ast.Compare, ast.Logical)):
        hint = "to bind a name write x = …; comparisons stand in 'if' and where(…)"
    raise SyntaxFault(f"'{sign.text}' cannot bind this", target.span, hint=hint)

"""From a tree to its text.

Accepts any tree, also one without the `Paren` nodes that its text needs: parentheses are put where precedence asks
for them.  Promises that the text parses back to the tree, up to those `Paren`s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from nexort.source import Source, Span
from nexort.syntax import ast
from nexort.syntax.spacing import join_tokens
from nexort.syntax.tokens import FIXED_TYPES, Token

_NOWHERE = Span(Source("", ""), 0, 0)
_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _UNARY, _POWER, _POSTFIX = range(1, 10)
_BINARY_LEVELS = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "@": _PRODUCT, "%": _PRODUCT, "^": _POWER}

Tokens = Iterator[Token]
Part = ast.Stmt | ast.Field | ast.Per


def print_program(program: ast.Program) -> str:
    """The canonical text of a program."""
    return "".join(f"{line}\n" for line in _lines(program.body, 0))


def print_expression(node: ast.Expr) -> str:
    """The canonical text of an expression, on one line."""
    return join_tokens(list(_expression(node)))


def _sign(text: str, kind: str = "") -> Token:
    return Token(kind or FIXED_TYPES[text], text, _NOWHERE)


def _word(text: str) -> Token:
    return Token(text.upper(), text, _NOWHERE)


def _name(name: ast.Name) -> Token:
    return Token("NAME", name.id, _NOWHERE)


# ---- statements


def _lines(body: Sequence[Part], level: int) -> Iterator[str]:
    for statement in body:
        yield from _statement(statement, level)


def _statement(node: Part, level: int) -> Iterator[str]:
    match node:
        case ast.For():
            bounds = (*_expression(node.start), _sign(".."), *_expression(node.stop))
            head = (_word("for"), _name(node.variable), _word("in"), *bounds)
            yield from _block(head, node.body, level)
        case ast.If():
            for at, branch in enumerate(node.branches):
                yield from _block(_branch_head(branch, at), branch.body, level)
        case ast.Optimizer():
            arguments = _commas([_binding(item) for item in node.arguments])
            head = (_word("optimizer"), _name(node.name), _sign("("), *arguments, _sign(")"))
            yield from _block(head, node.body, level)
        case ast.Model():
            arguments = _commas([_data_item(item) for item in node.arguments])
            head = (_word("model"), _name(node.name), _sign("("), *arguments, _sign(")"))
            yield from _block(head, node.body, level)
        case ast.Train():
            alias = () if node.alias is None else (_word("as"), _name(node.alias))
            head = (_word("train"), _name(node.model), _word("on"), *_names(node.arrays), *alias)
            yield from _block(head, node.body, level)
        case ast.Per():
            yield from _block((_word("per"), *_names(node.names)), node.fields, level)
        case _:
            yield "    " * level + join_tokens(list(_simple(node)))


def _block(head: Sequence[Token], body: Sequence[Part], level: int) -> Iterator[str]:
    yield "    " * level + join_tokens((*head, _sign(":")))
    yield from _lines(body, level + 1)


def _branch_head(branch: ast.Branch, at: int) -> tuple[Token, ...]:
    if branch.condition is None:
        return (_word("else"),)
    return (_word("elif" if at else "if"), *_expression(branch.condition))


_Declaration = ast.Param | ast.State | ast.Data | ast.Initial | ast.Def | ast.Import


def _simple(node: _Declaration | ast.Assign | ast.Output | ast.Return | ast.Field) -> Tokens:
    match node:
        case ast.Param():
            yield from (_word("param"), *_commas([_binding(item) for item in node.bindings]))
        case ast.State():
            yield from (_word("state"), *_commas([_binding(item) for item in node.bindings]))
        case ast.Data():
            yield from (_word("data"), *_commas([_data_item(item) for item in node.items]))
        case ast.Initial():
            yield from (_word(node.kind), *_commas([_initial_item(item) for item in node.items]))
        case ast.Def():
            yield from (_word("def"), _name(node.name), _sign("("), *_names(node.arguments), _sign(")"), _sign("="))
            yield from _expression(node.body)
        case ast.Import():
            yield from (_word("import"), Token("STRING", f'"{node.path}"', _NOWHERE))
        case ast.Assign():
            yield from (*_expression(node.target), _sign(node.operator), *_expression(node.value))
        case ast.Output():
            yield from (_word("output"), *_expression(node.value))
            if node.alias is not None:
                yield from (_word("as"), *_expression(node.alias))
        case ast.Return():
            yield from (_word("return"), *_expression(node.value))
        case ast.Field():
            yield from (_name(node.name), *_brackets(node.indices or ()), _sign("="), *_expression(node.value))
        case _:
            assert_never(node)


def _names(names: Sequence[ast.Name]) -> Tokens:
    return _commas([iter((_name(name),)) for name in names])


def _binding(item: ast.Binding) -> Tokens:
    yield _name(item.name)
    if item.value is not None:
        yield from (_sign("="), *_expression(item.value))


def _data_item(item: ast.DataItem) -> Tokens:
    yield from (_name(item.name), *_brackets(item.shape))
    if item.standin is not None:
        yield from (_sign("="), *_expression(item.standin))


def _initial_item(item: ast.InitialItem) -> Tokens:
    yield from (_name(item.name), *_brackets(item.shape))
    if item.law is not None:
        law = _commas([_expression(item.law.mean), _expression(item.law.variance)])
        yield from (_sign("~"), Token("NAME", "N", _NOWHERE), _sign("("), *law, _sign(")"))
    if item.value is not None:
        yield from (_sign("="), *_expression(item.value))


def _brackets(items: Sequence[ast.Expr]) -> Tokens:
    """`[a, b]`, or nothing if there is nothing in it."""
    if items:
        yield from (_sign("["), *_commas([_expression(item) for item in items]), _sign("]"))


def _commas(parts: Sequence[Tokens]) -> Tokens:
    for at, part in enumerate(parts):
        if at:
            yield _sign(",")
        yield from part


# ---- expressions


def level_of(node: ast.Expr) -> int:
    """How tightly the outermost operation of an expression binds, as in grammar.lark."""
    match node:
        case ast.Logical():
            return _OR if node.operator == "or" else _AND
        case ast.Unary():
            return _NOT if node.operator == "not" else _UNARY
        case ast.Compare():
            return _COMPARE
        case ast.Binary():
            return _BINARY_LEVELS[node.operator]
        case _:
            return _POSTFIX


def _expression(node: ast.Expr, least: int = _OR) -> Tokens:
    """The tokens of an expression, in parentheses if it binds less tightly than its place asks."""
    if level_of(node) < least:
        yield from (_sign("("), *_bare(node), _sign(")"))
    else:
        yield from _bare(node)


def _bare(node: ast.Expr) -> Tokens:
    match node:
        case ast.Number():
            yield Token("NUMBER", node.text, _NOWHERE)
        case ast.Name():
            yield _name(node)
        case ast.Paren():
            yield from (_sign("("), *_expression(node.body), _sign(")"))
        case ast.Unary() | ast.Binary() | ast.Compare() | ast.Logical():
            yield from _operation(node)
        case ast.BraKet() | ast.KetBra():
            yield from _bra_ket(node)
        case ast.ListLiteral():
            items = _commas([_expression(item) for item in node.items])
            yield from (_sign("["), *items, _sign("]"))
        case ast.Tuple():
            yield from (_sign("("), *_commas([_expression(item) for item in node.items]), _sign(")"))
        case ast.Call() | ast.Subscript() | ast.Braces() | ast.Prime():
            yield from _postfix(node)
        case _:
            assert_never(node)


def _operation(node: ast.Unary | ast.Binary | ast.Compare | ast.Logical) -> Tokens:
    level = level_of(node)
    match node:
        case ast.Unary():
            sign = _word("not") if node.operator == "not" else _sign(node.operator)
            yield from (sign, *_expression(node.operand, level))
        case ast.Binary(operator="^"):
            yield from (*_expression(node.left, _POSTFIX), _sign("^"), *_expression(node.right, _UNARY))
        case ast.Binary():
            yield from (*_expression(node.left, level), _sign(node.operator), *_expression(node.right, level + 1))
        case ast.Logical():
            yield from (*_expression(node.left, level), _word(node.operator), *_expression(node.right, level + 1))
        case ast.Compare():
            yield from _expression(node.first, _SUM)
            for operator, operand in node.rest:
                yield from (_sign(operator), *_expression(operand, _SUM))
        case _:
            assert_never(node)


def _bra_ket(node: ast.BraKet | ast.KetBra) -> Tokens:
    if isinstance(node, ast.KetBra):
        yield from (_sign("|", "KETOPEN"), *_expression(node.ket, _SUM), Token("CROSS", "><", _NOWHERE))
        yield from (*_expression(node.bra, _SUM), _sign("|", "BRACLOSE"))
        return
    yield from (_sign("<", "BRA"), *_expression(node.bra, _SUM), _sign("|"))
    if node.operator is not None:
        yield from (*_expression(node.operator, _SUM), _sign("|"))
    yield from (*_expression(node.ket, _SUM), _sign(">", "KET"))


def _postfix(node: ast.Call | ast.Subscript | ast.Braces | ast.Prime) -> Tokens:
    match node:
        case ast.Call():
            keywords = [iter((_name(key.name), _sign("="), *_expression(key.value))) for key in node.keywords]
            given = _commas([*(_expression(item) for item in node.arguments), *keywords])
            yield from (*_expression(node.function, _POSTFIX), _sign("("), *given, _sign(")"))
        case ast.Subscript():
            yield from (*_expression(node.base, _POSTFIX), *_brackets(node.indices))
        case ast.Braces():
            axes = _commas([_expression(item) for item in node.indices])
            yield from (*_expression(node.base, _POSTFIX), _sign("{"), *axes, _sign("}"))
        case ast.Prime():
            yield from (*_expression(node.base, _POSTFIX), _sign("'"))
        case _:
            assert_never(node)

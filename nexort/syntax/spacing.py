"""Where a space stands between two tokens: the one canonical way, shared by the formatter and the printer.

Binary operators and comparisons have spaces, `^`, `..` and unary signs none; `=` has none inside ( ); width axes are
`{i,j}`; a bra-ket of plain names is `<x|y>` and any other `<h[a] | h[b]>`.
"""

from __future__ import annotations

from collections.abc import Sequence

from nexort.syntax.tokens import CLOSERS, OPENERS, OPERAND_ENDS, Token

_TIGHT_AFTER = frozenset({*OPENERS, "BRA", "KETOPEN", "CROSS", "POWER", "RANGE"})
_TIGHT_BEFORE = frozenset(
    {*CLOSERS, "KET", "BRACLOSE", "CROSS", "POWER", "RANGE", "PRIME", "COMMA", "COLON", "SEMICOLON"}
)


def find_spaces(tokens: Sequence[Token]) -> list[bool]:
    """For each token, whether a space stands before it."""
    spaced: list[bool] = []
    tight_bars = _find_tight_bars(tokens)
    inside: list[str] = []
    is_tight_next = True
    for at, token in enumerate(tokens):
        kind, before = token.type, tokens[at - 1].type if at else ""
        if inside and (kind in CLOSERS or kind in ("KET", "BRACLOSE")):
            inside.pop()
        bracket = inside[-1] if inside else ""
        is_unary = kind == "SIGN" and before not in OPERAND_ENDS
        is_tight = at in tight_bars or (kind == "EQUAL" and bracket == "LPAR")
        attaches = kind in OPENERS and before in OPERAND_ENDS
        spaced.append(not (is_tight_next or is_tight or attaches or kind in _TIGHT_BEFORE))
        is_tight_next = is_tight or is_unary or kind in _TIGHT_AFTER or (kind == "COMMA" and bracket == "LBRACE")
        if kind in OPENERS or kind in ("BRA", "KETOPEN"):
            inside.append(kind)
    return spaced


def _find_tight_bars(tokens: Sequence[Token]) -> set[int]:
    """The positions of the bars of those bra-kets whose parts are plain names."""
    tight: set[int] = set()
    for at, token in enumerate(tokens):
        if token.type == "BRA":
            end = at + 1
            while end < len(tokens) and tokens[end].type in ("NAME", "NUMBER", "PRIME", "BAR"):
                end += 1
            if end < len(tokens) and tokens[end].type == "KET":
                tight.update(i for i in range(at, end) if tokens[i].type == "BAR")
    return tight


def join_tokens(tokens: Sequence[Token]) -> str:
    """The canonical text of tokens on one line."""
    spaces = find_spaces(tokens)
    return "".join(" " * space + written(token) for token, space in zip(tokens, spaces, strict=True))


def written(token: Token) -> str:
    """A name as it was written, before NFKC; anything else is its text."""
    return token.span.text if token.type == "NAME" and token.span.text else token.text

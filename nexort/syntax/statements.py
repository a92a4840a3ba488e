"""Which words begin a statement: the soft keywords, and those kept for a later version."""

from __future__ import annotations

from nexort.errors import NotBuiltFault
from nexort.syntax.tokens import DECLARATIONS, LATER_WORDS, Token

_LATER = {
    "scalar": "'scalar' declarations belong",
    "model": "'model' definitions belong",
    "train": "'train … on …' statements belong",
    "per": "'per' statements belong",
    "on": "'on' statements belong",
}


def mark_statements(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """The tokens of a line, with the soft keywords that begin its statements given their own type."""
    marked = list(tokens)
    depth, is_first = 0, True
    for at, token in enumerate(tokens):
        if is_first and token.type == "NAME":
            marked[at] = _mark_first(token, tokens[at + 1 : at + 2])
        depth += (token.type in ("LPAR", "LSQB", "LBRACE")) - (token.type in ("RPAR", "RSQB", "RBRACE"))
        is_first = depth == 0 and token.type in ("SEMICOLON", "COLON")
    return tuple(marked)


def _mark_first(token: Token, after: tuple[Token, ...]) -> Token:
    """`vector v` declares; `vector = 1` and `train[a] = 1` are about a name."""
    is_name_next = bool(after) and after[0].type == "NAME"
    if token.text in LATER_WORDS and is_name_next:
        span = token.span.join(after[0].span)
        raise NotBuiltFault(f"{_LATER[token.text]} to a later version", span, hint="this version does not have them")
    if token.text in DECLARATIONS and (not after or _follows_declaration(after[0])):
        return Token(token.text.upper(), token.text, token.span)
    return token


def _follows_declaration(token: Token) -> bool:
    return token.type in ("NAME", "NUMBER", "STRING", "COMMA", "TILDE", "SEMICOLON") or token.text.isalpha()

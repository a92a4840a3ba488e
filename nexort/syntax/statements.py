"""Which words begin a statement: the soft keywords, names everywhere else."""

from __future__ import annotations

from nexort.syntax.tokens import SOFT_KEYWORDS, Token


def mark_statements(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """The tokens of a line, with the soft keywords of its statements given their own type."""
    marked = list(tokens)
    depth, is_first = 0, True
    for at, token in enumerate(tokens):
        if is_first and token.type == "NAME":
            marked[at] = _mark_first(token, tokens[at + 1 : at + 2])
            if marked[at].type == "TRAIN":
                marked[at + 2 : at + 3] = map(_mark_on, tokens[at + 2 : at + 3])
        depth += (token.type in ("LPAR", "LSQB", "LBRACE")) - (token.type in ("RPAR", "RSQB", "RBRACE"))
        is_first = depth == 0 and token.type in ("SEMICOLON", "COLON")
    return tuple(marked)


def _mark_first(token: Token, after: tuple[Token, ...]) -> Token:
    """`vector v` declares; `vector = 1` and `train[a] = 1` are about a name."""
    if token.text in SOFT_KEYWORDS and (not after or _follows_keyword(after[0])):
        return Token(token.text.upper(), token.text, token.span)
    return token


def _mark_on(token: Token) -> Token:
    """The `on` of `train mlp on xi`, where the model itself may be named `on`."""
    return Token("ON", token.text, token.span) if token.type == "NAME" and token.text == "on" else token


def _follows_keyword(token: Token) -> bool:
    return token.type in ("NAME", "NUMBER", "STRING", "COMMA", "TILDE", "SEMICOLON") or token.text.isalpha()

"""What to say where a line stops making sense."""

from __future__ import annotations

from dataclasses import dataclass

from nexort.errors import SyntaxFault
from nexort.syntax.tokens import Token


@dataclass(frozen=True, slots=True)
class Stumble:
    tokens: tuple[Token, ...]
    at: int
    expected: frozenset[str]


def explain(stumble: Stumble) -> SyntaxFault:
    token = stumble.tokens[stumble.at]
    return SyntaxFault(f"unexpected {token.shown}", token.span, hint=" ".join(sorted(stumble.expected)))

"""The place where a line stopped making sense, and what stands around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nexort.errors import SyntaxFault
from nexort.syntax.tokens import CLOSERS, OPENERS, Token


@dataclass(frozen=True, slots=True)
class Stumble:
    """`tokens[at]` is the first token that the grammar could not take; `expected` are the types that it could."""

    tokens: tuple[Token, ...]
    at: int
    expected: frozenset[str]

    @property
    def found(self) -> Token:
        return self.tokens[self.at]

    @property
    def before(self) -> Token | None:
        return self.tokens[self.at - 1] if self.at else None

    @property
    def after(self) -> Token | None:
        return self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None

    @property
    def start(self) -> int:
        """Where the statement begins: at the line, or behind the last `;`, or behind the `:` of a header."""
        open_brackets = 0
        for at in range(self.at - 1, -1, -1):
            kind = self.tokens[at].type
            open_brackets += (kind in CLOSERS) - (kind in OPENERS)
            if kind in ("SEMICOLON", "COLON") and open_brackets == 0:
                return at + 1
        return 0

    @property
    def first(self) -> Token:
        return self.tokens[self.start]

    @property
    def is_at_start(self) -> bool:
        return self.at == self.start

    @property
    def statement(self) -> tuple[Token, ...]:
        """The statement's tokens before the place."""
        return self.tokens[self.start : self.at]

    @property
    def inside(self) -> Token | None:
        """The opening token of the innermost bracket around the place."""
        stack: list[Token] = []
        for token in self.tokens[: self.at]:
            if token.type in OPENERS or token.type in ("BRA", "KETOPEN"):
                stack.append(token)
            elif stack and (token.type in CLOSERS or token.type in ("KET", "BRACLOSE")):
                stack.pop()
        return stack[-1] if stack else None

    @property
    def wants_operand(self) -> bool:
        return {"NAME", "NUMBER", "LPAR"} <= self.expected

    def wants(self, kind: str) -> bool:
        return kind in self.expected

    def is_doubled(self, text: str) -> bool:
        """Whether the sign stands twice, touching, before the place: `x++`."""
        pair = self.tokens[max(0, self.at - 2) : self.at]
        return len(pair) == 2 and pair[0].text == pair[1].text == text and pair[0].end == pair[1].start

    def text_of(self, tokens: tuple[Token, ...]) -> str:
        span = tokens[0].span.join(tokens[-1].span)
        return span.text


Rule = Callable[[Stumble], SyntaxFault | None]

"""Tokens: the words and signs of a program, each with its place."""

from __future__ import annotations

from dataclasses import dataclass

from nexort.source import Span

HARD_KEYWORDS = frozenset(
    ("def", "import", "output", "return", "for", "in", "if", "elif", "else", "as", "and", "or", "not")
)
SOFT_KEYWORDS = frozenset(
    ("param", "data", "vector", "matrix", "scalar", "optimizer", "state", "model", "train", "per")
)

# Token types that stand for no terminal of the grammar.
COMMENT = "COMMENT"
BREAK = "BREAK"  # a newline inside brackets
END = "$END"
FOREIGN = "FOREIGN"  # a sign of another language: `**`, `//`, `.`

FIXED_TYPES = {
    "(": "LPAR", ")": "RPAR", "[": "LSQB", "]": "RSQB", "{": "LBRACE", "}": "RBRACE",
    "+": "SIGN", "-": "SIGN", "*": "MUL", "/": "MUL", "@": "MUL", "%": "MUL", "^": "POWER",
    "'": "PRIME", "=": "EQUAL", ",": "COMMA", ":": "COLON", ";": "SEMICOLON", "..": "RANGE", "~": "TILDE",
    "+=": "UPDATE", "-=": "UPDATE", "*=": "UPDATE", "/=": "UPDATE",
    "<=": "COMPARE", ">=": "COMPARE", "==": "COMPARE", "!=": "COMPARE",
    "<": "COMPARE", ">": "COMPARE", "|": "BAR",
    "**": FOREIGN, "//": FOREIGN, ".": FOREIGN,
}  # fmt: skip

OPENERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
CLOSERS = frozenset(OPENERS.values())
OPERAND_ENDS = frozenset({"NAME", "NUMBER", "STRING", "PRIME", "KET", "BRACLOSE", *CLOSERS})
OPERAND_STARTS = frozenset({"NAME", "NUMBER", "STRING", "BRA", "KETOPEN"})


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text. `text` is the NFKC form of a word, and otherwise what was written."""

    type: str
    text: str
    span: Span

    @property
    def start(self) -> int:
        return self.span.start

    @property
    def end(self) -> int:
        return self.span.end

    @property
    def shown(self) -> str:
        """How a message calls it."""
        return "the end of the line" if self.type == END else f"'{self.span.text}'"


@dataclass(frozen=True, slots=True)
class Line:
    """A logical line. `items` has its comments and inner line breaks too, `tokens` what the grammar reads.

    `indent` counts columns; `fault` says that the line has been reported already.
    """

    indent: int
    items: tuple[Token, ...]
    fault: bool = False

    @property
    def tokens(self) -> tuple[Token, ...]:
        return tuple(item for item in self.items if item.type not in (COMMENT, BREAK))

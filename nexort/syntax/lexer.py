"""From text to raw tokens: words, numbers, signs, comments and newlines.

Accepts any text.  Promises tokens in the order of the text whose spans are exact offsets into it: nothing is
normalised but the name that a word stands for.  A sign pasted from a paper is read as the sign that was meant, and
reported once.  Does not know brackets, lines or statements (see brackets.py).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from nexort.errors import NexortError, SyntaxFault
from nexort.source import Source, Span
from nexort.syntax.tokens import COMMENT, FIXED_TYPES, HARD_KEYWORDS, Token

NEWLINE = "NEWLINE"

_PATTERN = re.compile(
    r"""(?P<SPACE>(?:[ \t]|\r(?=\n|\Z))+)
      | (?P<WORD>[^\W\d][\w\u0300-\u036f]*)
      | (?P<NUMBER>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
      | (?P<SIGN>\.\.|\*\*|//|[-+*/<=!]=|[-+*/@%^()\[\]{}'=,:;~<>|.])
      | (?P<NEWLINE>\n)
      | (?P<COMMENT>\#[^\n]*)
      | (?P<STRING>"[^"\n]*")
    """,
    re.VERBOSE,
)

_MEANT = {
    sign: meant
    for meant, signs in {
        "<": "⟨〈〈", ">": "⟩〉〉", "|": "⎸∣│❘|⎢⎟", "-": "−–—‐", "'": "′’‘´`⊤ᵀᵗ",
        "*": "×·⋅∗⊙∘•", "/": "÷∕", "<=": "≤⩽", ">=": "≥⩾", "!=": "≠", "..": "…", "~": "∼",
    }.items()
    for sign in signs
}  # fmt: skip

_ADVICE = {
    "∑": "a sum over a static index is sum[k](…), over a width axis avg{i}(…)",
    "√": "write sqrt(…)",
    "∂": "a gradient is grad(s, p)",
    "∇": "a gradient is grad(s, p)",
    "∈": "write 'in', and a range as 0..T",
    "“": 'write the quotation marks "…"',
    "”": 'write the quotation marks "…"',
    '"': "close the quotation mark on the same line",
    "\\": "a statement goes on over a line's end inside ( ), without '\\'",
    "&": "write 'and'",
    "!": "write 'not', or '!=' for unequal",
    "?": "to choose by value use where(x > 0, a, b)",
    "$": "",
}


@dataclass(slots=True)
class Lexed:
    """Raw tokens, and the faults found on the way."""

    tokens: list[Token] = field(default_factory=list[Token])
    faults: list[NexortError] = field(default_factory=list[NexortError])


def scan_tokens(source: Source) -> Lexed:
    """All raw tokens of a text, with a final newline."""
    lexed = Lexed()
    text, position = source.text, 1 if source.text.startswith("\ufeff") else 0
    while position < len(text):
        match = _PATTERN.match(text, position)
        if match is None:
            position = _scan_stray(source, position, lexed)
            continue
        position = match.end()
        if match.lastgroup != "SPACE":
            lexed.tokens.append(_make_token(source, match, lexed))
    lexed.tokens.append(Token(NEWLINE, "", Span(source, len(text), len(text))))
    return lexed


def _make_token(source: Source, match: re.Match[str], lexed: Lexed) -> Token:
    kind, text, span = str(match.lastgroup), match.group(), Span(source, match.start(), match.end())
    if kind == "SIGN":
        return Token(FIXED_TYPES[text], text, span)
    if kind == "WORD":
        return _make_word(text, span, lexed)
    if kind == "NUMBER":
        return _make_number(text, span, lexed)
    return Token(COMMENT if kind == "COMMENT" else kind, text, span)


def _make_word(text: str, span: Span, lexed: Lexed) -> Token:
    """A name in its NFKC form, or a hard keyword."""
    name = text
    if not text.isascii():
        name = unicodedata.normalize("NFKC", text)
        fault = next(_check_letters(text, name, span), None)
        if fault is not None:
            lexed.faults.append(fault)
    return Token(name.upper() if name in HARD_KEYWORDS else "NAME", name, span)


def _check_letters(text: str, name: str, span: Span) -> Iterator[SyntaxFault]:
    """Scripts and accents that a name cannot have."""
    for at, char in enumerate(text):
        if unicodedata.decomposition(char).startswith(("<super>", "<sub>")):
            place = Span(span.source, span.start + at, span.start + at + 1)
            yield SyntaxFault(
                f"the super- or subscript '{char}' cannot be part of a name", place, hint=_script_hint(text[:at], char)
            )
        elif unicodedata.category(char) == "Lm" or char == "ǀ":
            place = Span(span.source, span.start + at, span.start + at + 1)
            hint = "signs are typed on the keyboard: ^ for a power, ' for a transpose, | for a bra-ket"
            yield SyntaxFault(f"'{char}' looks like a sign, and cannot be part of a name", place, hint=hint)
    if not re.fullmatch(r"[^\W\d]\w*", name):
        yield SyntaxFault(f"'{text}' is not a name", span, hint="names are made of letters, digits and '_'")


def _script_hint(base: str, char: str) -> str:
    plain = unicodedata.normalize("NFKC", char)
    if char in "ᵀᵗ":
        return f"a transpose is written {base}'"
    if unicodedata.decomposition(char).startswith("<super>"):
        return f"a power is written {base}^{plain}"
    return f"write {base}{plain}, or {base}[{plain}] for an element"


def _make_number(text: str, span: Span, lexed: Lexed) -> Token:
    if len(text) > 300 or float(text) == float("inf"):
        lexed.faults.append(SyntaxFault("this number is too large or too long", span, hint="numbers go up to 1.8e308"))
        text = "0"
    return Token("NUMBER", text, span)


def _scan_stray(source: Source, position: int, lexed: Lexed) -> int:
    """Report a character that the language does not have; go on as if the meant one stood there."""
    char = source.text[position]
    span = Span(source, position, position + 1)
    line_end = source.text.find("\n", position)
    line_end = line_end if line_end >= 0 else len(source.text)
    if char == '"':
        span = Span(source, position, line_end)
        lexed.tokens.append(Token("STRING", '""', span))
    if char == "\\":  # go on as if the line went on
        lexed.faults.append(_stray_fault(char, None, span))
        is_last = not source.text[position + 1 : line_end].strip()
        return line_end + 1 if is_last else span.end
    meant = _MEANT.get(char)
    if meant is not None:
        lexed.tokens.append(Token(FIXED_TYPES[meant], meant, span))
    lexed.faults.append(_stray_fault(char, meant, span))
    return span.end


def _stray_fault(char: str, meant: str | None, span: Span) -> SyntaxFault:
    if char == '"':
        return SyntaxFault("this quotation mark is not closed", span, hint=_ADVICE[char])
    name = unicodedata.name(char, "a control character").lower()
    shown = f"'{char}' ({name})" if char.isprintable() else f"U+{ord(char):04X} ({name})"
    if meant is not None:
        hint = f"write {meant!r}" if meant != "'" else "write ' (the apostrophe of the keyboard)"
        if meant in "<>|":
            hint += ": bra-kets are <x|y>, <x|T|y> and |x><y|"
        return SyntaxFault(f"{shown} is not a sign of the language", span, hint=hint)
    hint = "write an ordinary space" if char.isspace() or char == "\u200b" else _ADVICE.get(char, "")
    if unicodedata.decomposition(char).startswith(("<super>", "<sub>")):
        hint = _script_hint("x", char)
    return SyntaxFault(f"{shown} is not a sign of the language", span, hint=hint)

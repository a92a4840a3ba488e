"""From raw tokens to logical lines: brackets matched, lines joined inside them, bra-kets told from comparisons.

Where an operand is expected `<` and `|` open a bracket; elsewhere they compare or close.  So the type of a `<`, `|`
or `>` depends on what stands before it and on the innermost open bracket, which is what this pass keeps track of:

    <x|y>, <x|T|y>      BRA x BAR y KET
    |x><y|              KETOPEN x CROSS y BRACLOSE

Promises: in a line without `fault` every bracket is closed, by its partner, no deeper than MAX_DEPTH.  A bracket that
is never closed is reported where it opens, and its line ends where the next statement seems to begin.
"""

from __future__ import annotations

from dataclasses import dataclass

from nexort.errors import Label, NexortError, SizeFault, SyntaxFault
from nexort.source import Source, Span
from nexort.syntax.lexer import NEWLINE, scan_tokens
from nexort.syntax.tokens import (
    BREAK,
    CLOSERS,
    COMMENT,
    OPENERS,
    OPERAND_ENDS,
    SOFT_KEYWORDS,
    Line,
    Token,
)

MAX_DEPTH = 200
_STATEMENT_WORDS = frozenset({"DEF", "IMPORT", "OUTPUT", "RETURN"})
_HEADER_WORDS = frozenset({"FOR", "IF", "ELIF", "ELSE"})


@dataclass(slots=True)
class Frame:
    """An open bracket. `kind`: a type of OPENERS; BRA in `<x|y>`; KETOPEN, then CROSS, in `|x><y|`."""

    kind: str
    token: Token
    bars: int = 0


def read_lines(source: Source) -> tuple[list[Line], list[NexortError]]:
    """The logical lines of a text (those with only a comment, and empty ones, included), and the faults in them."""
    lexed = scan_tokens(source)
    joiner = _Joiner(source, lexed.tokens, lexed.faults)
    joiner.run()
    return joiner.lines, joiner.faults


class _Joiner:
    def __init__(self, source: Source, raw: list[Token], lexical: list[NexortError]) -> None:
        self.source = source
        self.raw = raw
        self.at = 0
        self.lines: list[Line] = []
        self.faults: list[NexortError] = []
        self.lexical = [*reversed(lexical)]  # the next one last
        self.has_tab_fault = False
        self.start_line()

    def start_line(self) -> None:
        self.items: list[Token] = []
        self.frames: list[Frame] = []
        self.line_faults: list[NexortError] = []
        self.has_operand = False
        self.last_code: Token | None = None

    def run(self) -> None:
        while self.at < len(self.raw):
            token = self.raw[self.at]
            self.at += 1
            if token.type == NEWLINE:
                self.take_newline(token)
            elif token.type == COMMENT:
                self.items.append(token)
            elif self.is_new_statement(token):
                self.at -= 1
                self.refuse_open_bracket()
                self.end_line(token.start)
            else:
                self.take(token)
        if self.items:
            self.refuse_open_bracket()
            self.end_line(len(self.source.text))

    # ---- lines

    def take_newline(self, token: Token) -> None:
        last = self.last_code
        joins = any(frame.kind in OPENERS for frame in self.frames)
        if joins and not (last is not None and last.type == "COLON") and self.at < len(self.raw):
            self.items.append(Token(BREAK, "", token.span))
            return
        if self.frames:
            self.refuse_open_bracket()
        self.end_line(token.start)

    def end_line(self, end: int) -> None:
        faults = self.line_faults
        while self.lexical and self.lexical[-1].labels[0].span.start <= end:
            faults.append(self.lexical.pop())
        indent = self.measure_indent() if self.items else 0
        if faults:
            self.faults.append(min(faults, key=lambda fault: fault.labels[0].span.start))
        while self.items and self.items[-1].type == BREAK:
            self.items.pop()
        self.lines.append(Line(indent, tuple(self.items), bool(faults)))
        self.start_line()

    def measure_indent(self) -> int:
        """Columns before the line's first token; a tab there is refused once per text, and taken as 4 columns."""
        first = self.items[0].start
        start = self.source.text.rfind("\n", 0, first) + 1
        white = self.source.text[start:first].lstrip("\ufeff")
        if "\t" in white and self.items[0].type != COMMENT and not self.has_tab_fault:
            self.has_tab_fault = True
            tab = start + white.index("\t")
            self.line_faults.append(
                SyntaxFault("a tab in the indentation", Span(self.source, tab, tab + 1), hint="indent with spaces")
            )
        return len(white.expandtabs(4))

    def is_new_statement(self, token: Token) -> bool:
        """Whether a statement seems to begin at the start of a line inside an open bracket."""
        if not self.items or not self.frames or self.items[-1].type != BREAK:
            return False
        if token.type in _STATEMENT_WORDS:
            return True
        if token.type in _HEADER_WORDS:
            return self.has_colon_at_end()
        if token.type == "NAME" and token.text in SOFT_KEYWORDS and self.raw[self.at].type == "NAME":
            return True
        return self.has_operand and token.type in ("NAME", "NUMBER", "STRING")

    def has_colon_at_end(self) -> bool:
        """Whether the rest of this physical line has a `:` (so a header it is, not Python's `a if b else c`)."""
        at = self.at
        while self.raw[at].type not in (NEWLINE, "COLON"):
            at += 1
        return self.raw[at].type == "COLON"

    # ---- tokens

    def take(self, token: Token) -> None:
        kind = token.type
        if kind in OPENERS:
            self.push(kind, token)
        elif kind in CLOSERS:
            self.close(token)
        elif token.text == "<":
            self.take_left(token)
        elif token.text == "|":
            self.take_bar(token)
        elif token.text == ">":
            self.take_right(token)
        elif kind == "SEMICOLON" and self.frames:
            self.refuse_open_bracket()
            self.frames.clear()
            self.put(token)
        elif kind == "COMMA" and self.frames and self.frames[-1].kind not in OPENERS:
            self.fail("a ',' inside a bra-ket", token, hint="an inner product is written <x|y>")
            self.put(token)
        else:
            self.put(token)

    def put(self, token: Token, kind: str = "") -> None:
        if kind:
            token = Token(kind, token.text, token.span)
        self.items.append(token)
        self.last_code = token
        self.has_operand = token.type in OPERAND_ENDS

    def push(self, kind: str, token: Token) -> None:
        if len(self.frames) >= MAX_DEPTH:
            raise SizeFault(
                f"brackets are nested more than {MAX_DEPTH} deep", token.span, hint="name parts of the expression"
            )
        self.put(token, kind)
        self.frames.append(Frame(kind, self.items[-1]))

    def close(self, token: Token) -> None:
        while self.frames and self.frames[-1].kind not in OPENERS:
            self.refuse_angle(self.frames.pop())
        if not self.frames:
            self.fail(f"{token.shown} closes nothing", token, hint="remove it, or open its bracket before")
        else:
            frame = self.frames.pop()
            if OPENERS[frame.kind] != token.type:
                hint = f"close {frame.token.shown} first"
                self.fail(f"{token.shown} cannot close {frame.token.shown}", token, also=frame.token, hint=hint)
        self.put(token)

    def take_left(self, token: Token) -> None:
        if self.has_operand:
            self.put(token)
        else:
            self.push("BRA", token)

    def take_bar(self, token: Token) -> None:
        frame = self.frames[-1] if self.frames else None
        if not self.has_operand:
            self.push("KETOPEN", token)
        elif frame is None or frame.kind in OPENERS:
            self.refuse_bar(token)
        elif frame.kind == "BRA":
            self.take_middle_bar(frame, token)
        elif frame.kind == "CROSS":
            self.frames.pop()
            self.put(token, "BRACLOSE")
        else:
            self.fail("'|…|' is not an absolute value", frame.token, hint="write abs(x); an outer product is |x><y|")
            self.frames.pop()
            self.put(token, "BRACLOSE")

    def take_middle_bar(self, frame: Frame, token: Token) -> None:
        frame.bars += 1
        if frame.bars > 2:
            self.fail("a third '|' in one bra-ket", token, also=frame.token, hint="write <x|y> or <x|T|y>")
        self.put(token, "BAR")

    def take_right(self, token: Token) -> None:
        frame = self.frames[-1] if self.frames else None
        if frame is not None and frame.kind == "BRA":
            self.close_bra_ket(frame, token)
        elif frame is not None and frame.kind == "KETOPEN":
            self.cross(frame, token)
        else:
            self.compare(token)

    def close_bra_ket(self, frame: Frame, token: Token) -> None:
        if not frame.bars:
            span = frame.token.span.join(token.span)
            hint = "an inner product is <x|y>, a mean avg(x); a comparison in a bra-ket needs parentheses"
            self.line_faults.append(SyntaxFault("a bra-ket without '|'", span, hint=hint))
        self.frames.pop()
        self.put(token, "KET")

    def cross(self, frame: Frame, token: Token) -> None:
        """The `><` of `|x><y|`, as one token."""
        after = self.raw[self.at]
        if after.text == "<":
            self.at += 1
            frame.kind = "CROSS"
            self.put(Token("CROSS", "><", token.span.join(after.span)))
            return
        span = frame.token.span.join(token.span)
        hint = "an outer product is |x><y|, an inner product <x|y>; the vector itself is x"
        self.frames.pop()
        around = self.frames[-1].token if self.frames else None
        if around is not None and around.type == "BRA" and around.end == frame.token.start:
            self.fail("nothing stands between '<' and '|'", around, hint="an inner product is <x|y>")
        self.line_faults.append(SyntaxFault("a ket alone", span, hint=hint))
        self.put(token, "KET")

    def compare(self, token: Token) -> None:
        """`>`, or `>=` when the two signs touch (the lexer cannot join them: `<x|y>==0`)."""
        after = self.raw[self.at]
        if after.text == "=" and after.start == token.end:
            self.at += 1
            token = Token("COMPARE", ">=", token.span.join(after.span))
        self.put(token)

    # ---- faults

    def fail(self, message: str, token: Token, *, also: Token | None = None, hint: str = "") -> None:
        opened = Label(also.span, "opened here") if also is not None else None
        self.line_faults.append(SyntaxFault(message, token.span, opened, hint=hint))

    def refuse_open_bracket(self) -> None:
        """Of the brackets still open, blame the innermost ( [ {, or else the innermost bra-ket."""
        if not self.frames:
            return
        plain = [frame for frame in self.frames if frame.kind in OPENERS]
        if plain:
            self.fail(f"{plain[-1].token.shown} is never closed", plain[-1].token, hint="close it where it should end")
        else:
            self.refuse_angle(self.frames[-1])

    def refuse_angle(self, frame: Frame) -> None:
        last = self.last_code or frame.token
        span = frame.token.span.join(last.span)
        if frame.kind == "BRA":
            what, hint = (
                ("a bra alone", "an inner product is <x|y>")
                if frame.bars
                else (
                    "this '<' opens a bra-ket that is not closed",
                    "an inner product is <x|y>; a comparison needs a left side",
                )
            )
        elif frame.kind == "KETOPEN":
            what, hint = "this '|' opens a ket that is not closed", "an outer product is |x><y|"
        else:
            what, hint = "the bra of this outer product is not closed", "an outer product is |x><y|"
        self.line_faults.append(SyntaxFault(what, span, hint=hint))

    def refuse_bar(self, token: Token) -> None:
        """A `|` after a complete operand, outside of any bra-ket."""
        if self.line_faults:  # no second message, and no second search through the line
            self.put(token)
            return
        before = self.last_code
        less = next((item for item in reversed(self.items) if item.text == "<" and item.type == "COMPARE"), None)
        if less is not None:
            self.fail("'<' after an operand compares, and opens no bra-ket", less, hint="products need '*': 2 * <x|y>")
        elif before is not None and self.looks_like_ket():
            factor = before.span.text if before.type in ("NAME", "NUMBER") else "…"
            self.fail("a '*' is missing before this ket", token, hint=f"products need '*': {factor} * |x><y|")
        else:
            self.fail("this '|' belongs to no bra-ket", token, hint="write <x|y>, <x|T|y> or |x><y|; for logic 'or'")
        self.put(token)

    def looks_like_ket(self) -> bool:
        """Whether `…><` follows on this line."""
        at = self.at
        while self.raw[at].text not in (">", "<") and self.raw[at].type != NEWLINE:
            at += 1
        return self.raw[at].text == ">" and self.raw[at + 1].text == "<"

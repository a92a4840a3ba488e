"""From a text to its tree, or to all the faults of its lines.

The stages: read_lines (lexer.py, brackets.py) → mark_statements → the LALR parser on each line (grammar.lark,
build.py) → blocks.py.  Raises nothing but `NexortError`, for any text: the bounds below keep every walk over the
tree far from Python's recursion limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nexort.errors import FaultGroup, NexortError, SizeFault
from nexort.source import Source, Span
from nexort.syntax import ast
from nexort.syntax.blocks import assemble
from nexort.syntax.brackets import read_lines
from nexort.syntax.build import Builder, ParsedLine
from nexort.syntax.diagnose import explain
from nexort.syntax.statements import mark_statements
from nexort.syntax.stumble import Stumble
from nexort.syntax.tokens import END, Line, Token
from nexort.syntax.walk import measure_depth

if TYPE_CHECKING:
    from lark import Lark

MAX_BYTES = 1_000_000
MAX_EXPRESSION_DEPTH = 200
MAX_REPORTED = 20


def parse(source: Source) -> ast.Program:
    """The tree of a program.  Raises the fault found, or a `FaultGroup` of all of them in the order of the text."""
    verify_size(source)
    lines, faults = read_lines(source)
    parsed, line_faults = parse_lines(line for line in lines if line.tokens)
    body, block_faults = assemble(parsed)
    raise_faults([*faults, *line_faults, *block_faults])
    return ast.Program(span=Span(source, 0, len(source.text)), source=source, body=body)


def verify_size(source: Source) -> None:
    """Refuse a text of more than MAX_BYTES, before anything walks over it."""
    if len(source.text) > MAX_BYTES or len(source.text.encode("utf-8", "replace")) > MAX_BYTES:
        raise SizeFault(f"the program is larger than {MAX_BYTES:,} bytes", Span(source, 0, 0), hint="split it, or loop")


def raise_faults(faults: Iterable[NexortError]) -> None:
    """Raise what was collected: one fault as it is, several together."""
    ordered = sorted(faults, key=lambda fault: fault.labels[0].span.start)[:MAX_REPORTED]
    if len(ordered) == 1:
        raise ordered[0]
    if ordered:
        raise FaultGroup(ordered)


def parse_lines(lines: Iterable[Line]) -> tuple[list[tuple[Line, ParsedLine | None]], list[NexortError]]:
    """Each line with what it says, or None if it is wrong; no more faults are looked for than are reported."""
    parsed: list[tuple[Line, ParsedLine | None]] = []
    faults: list[NexortError] = []
    for line in lines:
        result = None
        if not line.fault and len(faults) < MAX_REPORTED:
            try:
                result = parse_line(line)
            except NexortError as fault:
                faults.append(fault)
        parsed.append((line, result))
    return parsed, faults


def parse_line(line: Line) -> ParsedLine:
    """One logical line through the LALR parser."""
    from lark.exceptions import UnexpectedToken

    tokens = mark_statements(line.tokens)
    last = tokens[-1].span
    tokens = (*tokens, Token(END, "", Span(last.source, last.end, last.end)))
    state = _load_parser().parse_interactive("")
    result: object = None
    for at, token in enumerate(tokens):
        try:
            result = state.feed_token(token)  # pyright: ignore[reportArgumentType]  lark asks for no more than `type`
        except UnexpectedToken:
            raise explain(Stumble(tokens, at, frozenset(state.accepts()))) from None
    assert isinstance(result, ParsedLine)
    _verify_depth(result)
    return result


def _verify_depth(line: ParsedLine) -> None:
    for node in (line.header, *line.statements):
        if node is not None and measure_depth(node) > MAX_EXPRESSION_DEPTH:
            raise SizeFault(
                f"an expression of more than {MAX_EXPRESSION_DEPTH} nested operations", node.span,
                hint="name parts of it, or use a reduction such as sum[k](…)",
            )  # fmt: skip


@cache
def _load_parser() -> Lark:
    """Built on first use: importing lark and building the tables takes longer than all the rest of `--help`."""
    from lark import Lark
    from lark.lexer import Lexer
    from lark.lexer import Token as LarkToken

    class NoLexer(Lexer):
        """Tokens are fed by hand."""

        def __init__(self, lexer_conf: object) -> None: ...

        def lex(self, lexer_state: object, parser_state: object) -> Iterator[LarkToken]:
            return iter(())

    text = (Path(__file__).parent / "grammar.lark").read_text(encoding="utf-8")
    return Lark(text, start="line", parser="lalr", lexer=NoLexer, transformer=Builder(), keep_all_tokens=True)  # pyright: ignore[reportArgumentType]

"""The formatter: the same tokens and comments, laid out anew.

Accepts a text that parses.  Promises that the result has the same tree, that every comment survives in its order,
and that formatting once more changes nothing.  Blocks are indented by 4; a line holds one statement, except that
`if c: x = 1` and `per W: rate = 1; decay = 0` stay as written; line breaks inside brackets stay, as do long lines;
trailing comments of neighbouring lines are aligned, two spaces behind the longest.  Of blank lines at most one stays
in a block, two outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nexort.source import Source
from nexort.syntax.brackets import read_lines
from nexort.syntax.parser import parse
from nexort.syntax.spacing import find_spaces, written
from nexort.syntax.tokens import BREAK, CLOSERS, COMMENT, OPENERS, Line, Token

_STEP = 4


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the result: its indentation, its code and its comment, either of which may be empty."""

    indent: int
    code: str = ""
    comment: str = ""

    @property
    def is_blank(self) -> bool:
        return not self.code and not self.comment


def format_program(source: Source) -> str:
    """The canonical layout of a program.  Raises what `parse` raises."""
    parse(source)
    lines, _ = read_lines(source)
    rows = _limit_blanks(_layout_rows(lines))
    return "".join(f"{text}\n" for text in _write_rows(rows))


def _layout_rows(lines: Sequence[Line]) -> Iterator[Row]:
    """All rows, blank ones too, with the level of each line found from the indentations."""
    columns = [0]  # of the open blocks
    for at, line in enumerate(lines):
        if line.tokens:
            while line.indent < columns[-1]:
                columns.pop()
            if line.indent > columns[-1]:
                columns.append(line.indent)
            yield from _layout_statements(line, len(columns) - 1)
        elif line.items:
            level = _comment_level(line, columns, _next_code(lines, at))
            yield Row(level * _STEP, comment=_comment_text(line.items[0]))
        else:
            yield Row(0)


def _next_code(lines: Sequence[Line], at: int) -> int:
    """The indentation of the next line with code."""
    return next((line.indent for line in lines[at + 1 :] if line.tokens), 0)


def _comment_level(line: Line, columns: Sequence[int], following: int) -> int:
    """A comment belongs to the block that its column says, between the line before it and the line after it."""
    if following > columns[-1]:
        return len(columns)
    lowest = columns.index(following)
    return max(
        level for level, column in enumerate(columns) if level == lowest or (lowest < level and column <= line.indent)
    )


def _layout_statements(line: Line, level: int) -> Iterator[Row]:
    """The rows of a logical line: one statement each, a lone statement behind a header's `:` left there.

    The settings behind `per W:` are one thought, and stay on one line.
    """
    if line.tokens[0].text == "per" and line.tokens[1].type == "NAME":
        yield from _layout_part(_without_last_semicolon(line.items), level)
        return
    parts = _split_statements(line.items)
    if len(parts) == 2 and _ends_header(parts[0]):
        parts = [(*parts[0], *parts[1])]
    is_block = _ends_header(parts[0])
    for at, part in enumerate(parts):
        yield from _layout_part(part, level + (is_block and at > 0))


def _ends_header(part: Sequence[Token]) -> bool:
    return part[-1].type == "COLON"


def _without_last_semicolon(items: Sequence[Token]) -> tuple[Token, ...]:
    last = max(at for at, item in enumerate(items) if item.type not in (COMMENT, BREAK))
    return tuple(item for at, item in enumerate(items) if at != last or item.type != "SEMICOLON")


def _split_statements(items: Sequence[Token]) -> list[tuple[Token, ...]]:
    """The items of each statement, without the `;`; a header's part ends with its `:`."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for item in items:
        depth += (item.type in OPENERS) - (item.type in CLOSERS)
        is_end = depth == 0 and item.type in ("SEMICOLON", "COLON")
        if item.type != "SEMICOLON":
            parts[-1].append(item)
        if is_end:
            parts.append([])
    if parts[-1] and parts[-1][0].type == COMMENT and len(parts) > 1:
        parts[-2].extend(parts.pop())
    return [tuple(part) for part in parts if part]


def _layout_part(items: Sequence[Token], level: int) -> Iterator[Row]:
    """The rows of one statement: those it was written in, indented by the brackets that are open."""
    code = [item for item in items if item.type not in (COMMENT, BREAK)]
    spaces = dict(zip(map(id, code), find_spaces(code), strict=True))
    opened: list[int] = []  # for every open bracket, the row that it was opened in
    for number, row in enumerate(_split_rows(items)):
        tokens = [item for item in row if item.type != COMMENT]
        comment = next((_comment_text(item) for item in row if item.type == COMMENT), "")
        indent = _row_indent(tokens, opened)
        text = "".join(" " * (spaces[id(token)] and at > 0) + written(token) for at, token in enumerate(tokens))
        yield Row((level + indent) * _STEP, text, comment)
        for token in tokens:
            if token.type in OPENERS:
                opened.append(number)
            elif token.type in CLOSERS:
                opened.pop()


def _row_indent(tokens: Sequence[Token], opened: Sequence[int]) -> int:
    """One step for every earlier row with a bracket still open, those not counted that this row begins by closing."""
    leading = 0
    while leading < len(tokens) and tokens[leading].type in CLOSERS:
        leading += 1
    return len(set(opened[: len(opened) - leading]))


def _split_rows(items: Sequence[Token]) -> Iterator[list[Token]]:
    row: list[Token] = []
    for item in items:
        if item.type != BREAK:
            row.append(item)
        elif row:
            yield row
            row = []
    if row:
        yield row


def _comment_text(token: Token) -> str:
    return token.span.text.rstrip()


def _limit_blanks(rows: Iterator[Row]) -> list[Row]:
    """Without blank rows at the ends, and with few in between."""
    kept: list[Row] = []
    blanks = 0
    for row in rows:
        if row.is_blank:
            blanks += 1
            continue
        if kept:
            kept.extend([Row(0)] * min(blanks, 1 if row.indent else 2))
        kept.append(row)
        blanks = 0
    return kept


def _write_rows(rows: Sequence[Row]) -> Iterator[str]:
    """The text of the rows, the comments of neighbours aligned."""
    for group in _group_rows(rows):
        width = max(len(row.code) for row in group)
        for row in group:
            code = f"{row.code:<{width}}  {row.comment}" if row.code and row.comment else row.code or row.comment
            yield " " * row.indent + code if code else ""


def _group_rows(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Neighbouring rows of one indentation that all have code and a comment; any other row by itself."""
    group: list[Row] = []
    for row in rows:
        has_both = bool(row.code and row.comment)
        if group and not (has_both and group[-1].code and group[-1].comment and group[-1].indent == row.indent):
            yield group
            group = []
        group.append(row)
    if group:
        yield group

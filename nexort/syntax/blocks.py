"""From parsed lines to nested blocks, by indentation.

Accepts the lines in order, None for one that was reported already.  Promises a body in which every `elif` and `else`
has its `if`, every header its block, every model its `return`, and every statement stands where its kind may stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nexort.errors import Label, NexortError, SizeFault, SyntaxFault
from nexort.source import Span
from nexort.syntax import ast
from nexort.syntax.build import BlockHeader, ParsedLine
from nexort.syntax.places import Placed, find_misplaced
from nexort.syntax.tokens import Line
from nexort.syntax.walk import walk_nodes

MAX_BLOCKS = 40

Part = ast.Stmt | ast.Field | ast.Per


@dataclass(slots=True)
class _Block:
    """An open block: the header that owns it, its indentation (None until its first line), its statements."""

    header: BlockHeader | None
    word: str
    header_indent: int
    indent: int | None
    is_faulty: bool = False
    body: list[Part] = field(default_factory=list[Part])
    chain: list[ast.Branch] = field(default_factory=list[ast.Branch])  # an `if` that may still get its `else`
    is_chain_open: bool = False
    is_chain_faulty: bool = False


def assemble(lines: Sequence[tuple[Line, ParsedLine | None]]) -> tuple[tuple[ast.Stmt, ...], list[NexortError]]:
    """The statements of a program, and the faults in how its lines are nested."""
    assembler = _Assembler()
    for line, parsed in lines:
        assembler.take(line, parsed)
    return assembler.finish(), assembler.faults


class _Assembler:
    def __init__(self) -> None:
        self.stack = [_Block(None, "", -1, 0)]
        self.faults: list[NexortError] = []
        self.is_after_fault = False  # the line before was reported; what it opened is not known
        self.has_gaps = False  # some line was reported; what it said is not known

    def take(self, line: Line, parsed: ParsedLine | None) -> None:
        self.settle(line)
        self.is_after_fault = parsed is None
        self.has_gaps |= parsed is None
        if parsed is None:
            self.stack[-1].is_chain_open, self.stack[-1].chain = True, []  # an 'else' may follow it
        elif parsed.header is None:
            self.close_chain()
            self.place(parsed.statements)
        else:
            self.take_header(line, parsed, parsed.header)

    def finish(self) -> tuple[ast.Stmt, ...]:
        while len(self.stack) > 1:
            self.close_block()
        self.close_chain()
        return _statements(self.stack[0].body)

    # ---- indentation

    def settle(self, line: Line) -> None:
        """Open or close blocks so that the line belongs to the innermost one."""
        top = self.stack[-1]
        if top.indent is None:
            if line.indent > top.header_indent:
                top.indent = line.indent
                return
            self.close_block()
        is_dedent = False
        while len(self.stack) > 1 and line.indent < (self.stack[-1].indent or 0):
            self.close_block()
            is_dedent = True
        top = self.stack[-1]
        if line.indent != top.indent:
            if not (line.fault or top.is_faulty or self.is_after_fault):
                self.refuse_indent(line, top, is_dedent)
            self.stack.append(_Block(None, "", top.header_indent, line.indent, is_faulty=True))

    def refuse_indent(self, line: Line, top: _Block, is_dedent: bool) -> None:
        first = line.tokens[0].span
        span = Span(first.source, first.source.text.rfind("\n", 0, first.start) + 1, first.start)
        if is_dedent:
            columns = sorted({block.indent for block in self.stack if block.indent is not None})
            hint = "the blocks above are indented by " + ", ".join(map(str, columns))
            self.refuse(f"an indentation of {line.indent} fits no block above", span, hint)
        else:
            hint = f"this block is indented by {top.indent}; a deeper one follows a ':'"
            self.refuse(f"unexpected indentation of {line.indent}", span, hint)

    # ---- lines

    def take_header(self, line: Line, parsed: ParsedLine, header: BlockHeader) -> None:
        if parsed.word in ("elif", "else"):
            self.continue_chain(parsed.word, header.span)
            is_misplaced = self.stack[-1].is_chain_faulty
        else:
            self.close_chain()
            is_misplaced = self.stack[-1].is_chain_faulty = self.refuse_misplaced(header)
        self.open_block(header, parsed.word, line, is_misplaced)
        if parsed.statements:
            self.place(parsed.statements)
            self.close_block()

    def open_block(self, header: BlockHeader, word: str, line: Line, is_faulty: bool) -> None:
        if len(self.stack) > MAX_BLOCKS:
            raise SizeFault(f"blocks are nested more than {MAX_BLOCKS} deep", line.tokens[0].span)
        self.stack.append(_Block(header, word, line.indent, None, is_faulty))

    def close_block(self) -> None:
        self.close_chain()
        block = self.stack.pop()
        header = block.header
        if header is None:
            return
        if not block.body and block.indent is None:
            self.refuse_empty(block, header)
            return
        span = header.span.join(block.body[-1].span) if block.body else header.span
        filled = _fill(header, span, block.body)
        if isinstance(filled, ast.Model) and not (self.has_gaps or block.is_faulty):
            self.verify_return(filled, header.span)
        if isinstance(filled, ast.Branch):
            self.stack[-1].chain.append(filled)
            self.stack[-1].is_chain_open = filled.condition is not None
        else:
            self.stack[-1].body.append(filled)

    def refuse_empty(self, block: _Block, header: BlockHeader) -> None:
        hint = f"indent at least one statement below '{block.word}'"
        self.refuse(f"'{block.word}' has no block", header.span, hint)
        self.stack[-1].is_chain_open, self.stack[-1].chain = True, []

    # ---- if, elif, else

    def continue_chain(self, word: str, span: Span) -> None:
        top = self.stack[-1]
        if top.is_chain_open:
            return
        if top.chain:
            message, last = f"'{word}' after 'else'", Label(top.chain[-1].span, "the chain ends here")
        else:
            message, last = f"'{word}' without an 'if'", None
        self.faults.append(SyntaxFault(message, span, last, hint="its 'if' stands above it, at the same indentation"))

    def close_chain(self) -> None:
        """An `if` is complete once something else follows it."""
        top = self.stack[-1]
        if top.chain:
            span = top.chain[0].span.join(top.chain[-1].span)
            top.body.append(ast.If(span=span, branches=tuple(top.chain)))
        top.chain, top.is_chain_open = [], False

    # ---- where statements may stand

    def place(self, statements: Sequence[ast.Stmt]) -> None:
        for statement in statements:
            self.refuse_misplaced(statement)
            top = self.stack[-1]
            top.body.append(_read_field(statement) if top.word in ("train", "per") else statement)

    def refuse_misplaced(self, node: Placed) -> bool:
        """Whether a statement may not stand here: one message for it, none inside a block that has one."""
        if any(block.is_faulty for block in self.stack):
            return False
        last = self.stack[-1].body[-1] if self.stack[-1].body else None
        fault = find_misplaced(node, [block.word for block in self.stack[1:]])
        if fault is None and self.stack[-1].word == "model" and isinstance(last, ast.Return):
            hint = "a model returns once, at its end; several results are return (p, q)"
            end = Label(last.span, "the model ends here")
            fault = SyntaxFault("a statement behind 'return'", node.span, end, hint=hint)
        if fault is not None:
            self.faults.append(fault)
        return fault is not None

    def verify_return(self, model: ast.Model, header: Span) -> None:
        if not any(isinstance(node, ast.Return) for node in walk_nodes(model)):
            hint = "the last statement of a model is its output: return v * h"
            self.refuse(f"the model '{model.name.id}' returns nothing", header, hint)

    def refuse(self, message: str, span: Span, hint: str) -> None:
        self.faults.append(SyntaxFault(message, span, hint=hint))


def _read_field(node: ast.Stmt) -> Part:
    """`name = value` or `name[i, j] = value`; what is neither has been reported."""
    match node:
        case ast.Assign(target=ast.Name() as name):
            return ast.Field(span=node.span, name=name, indices=None, value=node.value)
        case ast.Assign(target=ast.Subscript(base=ast.Name() as name, indices=indices)):
            return ast.Field(span=node.span, name=name, indices=indices, value=node.value)
        case _:
            return node


def _statements(parts: Sequence[Part]) -> tuple[ast.Stmt, ...]:
    return tuple(part for part in parts if not isinstance(part, (ast.Field, ast.Per)))


def _fields(parts: Sequence[Part]) -> tuple[ast.Field, ...]:
    return tuple(part for part in parts if isinstance(part, ast.Field))


def _fill(header: BlockHeader, span: Span, parts: Sequence[Part]) -> BlockHeader:
    """The header with its block; parts of a wrong kind have been reported, and are left out."""
    match header:
        case ast.Per():
            return replace(header, span=span, fields=_fields(parts))
        case ast.Train():
            body = tuple(part for part in parts if isinstance(part, (ast.Field, ast.Per)))
            return replace(header, span=span, body=body)
        case _:
            return replace(header, span=span, body=_statements(parts))

"""Habits of Python and of other languages: each rule knows one, and says how it is written here."""

from __future__ import annotations

from nexort.errors import SyntaxFault
from nexort.syntax.stumble import Rule, Stumble
from nexort.syntax.tokens import END, OPERAND_ENDS

_INITIALS = ("VECTOR", "MATRIX", "SCALAR")


def _foreign_operator(stumble: Stumble) -> SyntaxFault | None:
    """`**` and `//`."""
    found = stumble.found
    if found.text == "**":
        return SyntaxFault("'**' is not an operator", found.span, hint="a power is written '^'")
    if found.text != "//":
        return None
    hint = "comments begin with '#'" if stumble.is_at_start else "division is '/'; the remainder is '%'"
    return SyntaxFault("'//' is not an operator", found.span, hint=hint)


def _point(stumble: Stumble) -> SyntaxFault | None:
    """`W.T`, `x.shape`, `np.exp(x)`, `.5`, `2.`."""
    found, before, after = stumble.found, stumble.before, stumble.after
    if found.text != ".":
        return None
    if after is not None and after.type == "NUMBER" and after.start == found.end:
        span = found.span.join(after.span)
        return SyntaxFault("a number needs a digit before its point", span, hint=f"write 0{span.text}")
    if before is not None and before.type == "NUMBER" and before.end == found.start:
        span = before.span.join(found.span)
        return SyntaxFault("a number needs a digit after its point", span, hint=f"write {span.text}0")
    if before is None or after is None or after.type != "NAME":
        return SyntaxFault("'.' cannot stand here", found.span, hint="a product is '*', a range is 0..T")
    span = found.span.join(after.span)
    if after.text in ("T", "mT", "H", "t"):
        base = before.span.text if before.type == "NAME" else "(…)"
        return SyntaxFault(f"'{span.text}' is not a transpose", span, hint=f"write {base}'")
    hint = f"names have no attributes; a function is called by its name alone: {after.text}(x)"
    return SyntaxFault(f"'{span.text}' follows a name", span, hint=hint)


def _misplaced_colon(stumble: Stumble) -> SyntaxFault | None:
    """Slices `x[1:2]`, dictionaries `{a: 1}`, `x := 1`."""
    inside, after = stumble.inside, stumble.after
    if stumble.found.type != "COLON":
        return None
    if after is not None and after.type == "EQUAL" and after.start == stumble.found.end:
        return SyntaxFault("':=' is not an operator", stumble.found.span.join(after.span), hint="write '='")
    if inside is None:
        return None
    hint = "an index that runs over all is a free name: y[a] = x[a]; sum[k](…) reduces over k"
    if inside.type == "LSQB":
        return SyntaxFault("there are no slices", stumble.found.span, hint=hint)
    return SyntaxFault(f"':' cannot stand inside {inside.shown}", stumble.found.span, inside.span)


def _word_in_expression(stumble: Stumble) -> SyntaxFault | None:
    """`a if b else c`, `[x for x in xs]`, `else if`."""
    found, before = stumble.found, stumble.before
    if before is None:
        return None
    if found.type == "IF" and before.type == "ELSE":
        return SyntaxFault("'else if' is one word", before.span.join(found.span), hint="write 'elif'")
    if before.type not in OPERAND_ENDS or found.type not in ("IF", "ELSE", "FOR"):
        return None
    if found.type == "FOR":
        hint = "x[a] = … defines a family for all a; sum[k](…) reduces over k"
    else:
        hint = "write where(x > 0, a, b), or choose with an 'if' statement"
    return SyntaxFault(f"'{found.text}' cannot stand in an expression", found.span, hint=hint)


def _loop_without_range(stumble: Stumble) -> SyntaxFault | None:
    """`for t in range(T):`, `for t in 0:T:`, `for x in xs:`."""
    if stumble.first.type != "FOR" or not stumble.wants("RANGE") or stumble.found.type not in ("COLON", END):
        return None
    tokens = stumble.statement
    at = next(i for i, token in enumerate(tokens) if token.type == "IN") + 1
    span = tokens[at].span.join(tokens[-1].span)
    name = tokens[1].span.text
    return SyntaxFault("a loop runs over a range", span, hint=f"write: for {name} in 0..T:")


def _function_definition(stumble: Stumble) -> SyntaxFault | None:
    """`def f(x): return …`, `def f(x=1) = …`, `def f() = …`."""
    found = stumble.found
    if stumble.first.type != "DEF":
        return None
    if found.type == "COLON" and stumble.wants("EQUAL"):
        hint = "a function is one expression: def f(x) = …; a network is model mlp(xi):"
        return SyntaxFault("a function has no block", found.span, hint=hint)
    if found.type == "EQUAL" and stumble.wants("RPAR"):
        return SyntaxFault("arguments of a function have no default", found.span, hint="make it a param")
    if found.type == "RPAR" and stumble.before is not None and stumble.before.type == "LPAR":
        span = stumble.before.span.join(found.span)
        return SyntaxFault("a function needs an argument", span, hint="a constant is a param")
    return None


def _import_name(stumble: Stumble) -> SyntaxFault | None:
    """`import numpy`, `import 'file.nx'`, `from x import y`."""
    first, found = stumble.first, stumble.found
    if first.type == "NAME" and first.text == "from" and stumble.at == stumble.start + 1:
        return SyntaxFault("there is no 'from … import'", first.span, hint='write import "file.nx"')
    if first.type == "IMPORT" and stumble.wants("STRING"):
        return SyntaxFault(
            f'import needs a file name in "…", found {found.shown}', found.span, hint='write import "file.nx"'
        )
    return None


def _quotes(stumble: Stumble) -> SyntaxFault | None:
    """Text where there is none: `x = "a"`, `x = 'a'`."""
    found = stumble.found
    if found.type == "STRING":
        return SyntaxFault("text stands in import only", found.span, hint='import "file.nx"')
    if found.type == "PRIME" and stumble.wants_operand:
        hint = "the apostrophe transposes what stands before it: W'"
        return SyntaxFault(f"{found.shown} has nothing before it", found.span, hint=hint)
    return None


def _other_loops(stumble: Stumble) -> SyntaxFault | None:
    """`while`, `print x`, `lambda x: …`."""
    first = stumble.first
    if first.type == "NAME" and first.text == "while" and stumble.found.type in ("NAME", "NUMBER", "COLON", "NOT"):
        return SyntaxFault("there is no 'while'", first.span, hint="loops have a range: for t in 0..T:")
    before = stumble.before
    if before is not None and before.text == "lambda":
        return SyntaxFault("there is no 'lambda'", before.span, hint="declare the function: def f(x) = …")
    return None


def _declaration_brackets(stumble: Stumble) -> SyntaxFault | None:
    """`vector u(d)`, `optimizer adam:`."""
    first, found = stumble.first, stumble.found
    if (
        first.type in ("VECTOR", "MATRIX", "SCALAR", "DATA")
        and found.type in ("LPAR", "LBRACE")
        and stumble.wants("LSQB")
    ):
        return SyntaxFault(f"a shape stands in '[…]', found {found.shown}", found.span, hint=f"{first.text} u[d]")
    if first.type == "PARAM" and stumble.wants("EQUAL") and found.type != "COLON":
        return SyntaxFault(f"a '=' is missing, found {found.shown}", found.span, hint="write param T = 30")
    if first.type == "DATA" and stumble.wants("EQUAL") and found.type != "COLON":
        return SyntaxFault(
            f"a '=' is missing, found {found.shown}", found.span, hint="write data y[M] = normal(seed=1)"
        )
    if (
        stumble.statement
        and stumble.wants("COMMA")
        and found.type == "RPAR"
        and first.type in ("VECTOR", "MATRIX", "SCALAR")
    ):
        return SyntaxFault("a law has a mean and a variance", found.span, hint="write N(0, 1)")
    if first.type == "OPTIMIZER" and found.type == "COLON" and stumble.wants("LPAR"):
        hint = "write its arguments, or none: optimizer name():"
        return SyntaxFault("an optimizer has an argument list", found.span, hint=hint)
    return None


HABIT_RULES: tuple[Rule, ...] = (
    _foreign_operator,
    _point,
    _misplaced_colon,
    _word_in_expression,
    _loop_without_range,
    _function_definition,
    _import_name,
    _other_loops,
    _quotes,
    _declaration_brackets,
)

"""What to say where a line stops making sense.

`explain` asks the rules in turn: first the habits of other languages and of papers (habits.py), then what goes wrong
around training (training_habits.py), then the structure of statements, at last what the grammar expected.  Each rule
looks at a `Stumble` and gives a fault or None.
"""

from __future__ import annotations

from itertools import pairwise

from nexort.errors import SyntaxFault, suggest
from nexort.syntax.habits import HABIT_RULES
from nexort.syntax.stumble import Rule, Stumble
from nexort.syntax.tokens import CLOSERS, END, HARD_KEYWORDS, OPENERS, OPERAND_ENDS, OPERAND_STARTS, SOFT_KEYWORDS
from nexort.syntax.training_habits import TRAINING_RULES

_STATEMENT_ENDS = frozenset({END, "SEMICOLON"})
_HEADERS = frozenset({"FOR", "IF", "ELIF", "ELSE", "OPTIMIZER", "MODEL", "TRAIN", "PER"})
_WORDS = {word.upper() for word in HARD_KEYWORDS}
_SIGN_WORDS = {
    "NAME": "a name", "NUMBER": "a number", "STRING": 'a file name in "…"', "COLON": "':'", "EQUAL": "'='",
    "COMMA": "','", "LPAR": "'('", "RPAR": "')'", "LSQB": "'['", "RSQB": "']'", "LBRACE": "'{'", "RBRACE": "'}'",
    "IN": "'in'", "RANGE": "'..'", "BAR": "'|'", "KET": "'>'", "CROSS": "'><'", "BRACLOSE": "'|'", "AS": "'as'",
    "ON": "'on'",
}  # fmt: skip


def explain(stumble: Stumble) -> SyntaxFault:
    """The message for the first token that the grammar could not take."""
    for rule in (*HABIT_RULES, *TRAINING_RULES, *STRUCTURE_RULES):
        fault = rule(stumble)
        if fault is not None:
            return fault
    return _explain_plainly(stumble)


def _reserved_word(stumble: Stumble) -> SyntaxFault | None:
    """`in = 3`, `vector as`, `x = for + 1`."""
    found, before = stumble.found, stumble.before
    is_binding = found.type in ("EQUAL", "UPDATE")
    if is_binding and before is not None and before is stumble.first and before.type in _WORDS:
        found = before
    elif found.type not in _WORDS or not stumble.wants("NAME") or (stumble.is_at_start and found.type in _HEADERS):
        return None
    hint = "choose another name; reserved are " + " ".join(sorted(HARD_KEYWORDS))
    return SyntaxFault(f"'{found.text}' is a reserved word and cannot be a name", found.span, hint=hint)


def _header_inside_line(stumble: Stumble) -> SyntaxFault | None:
    """`x = 1; for …`, `if a: if b: …`."""
    found = stumble.found
    if found.type not in _HEADERS or not stumble.is_at_start:
        return None
    return SyntaxFault(f"'{found.text}' begins a line of its own", found.span, hint="move it to the next line")


def _missing_colon(stumble: Stumble) -> SyntaxFault | None:
    found, first = stumble.found, stumble.first
    if first.type not in _HEADERS or not stumble.wants("COLON"):
        return None
    if found.type != END and not (first.type == "ELSE" or found.type in OPERAND_STARTS):
        return None
    hint = f"a line that begins with '{first.text}' has a ':' before its block"
    return SyntaxFault(f"a ':' is missing, found {found.shown}", found.span, hint=hint)


def _expression_alone(stumble: Stumble) -> SyntaxFault | None:
    """`f(x)`, `x == 3`: a complete expression that no statement uses."""
    if stumble.found.type not in _STATEMENT_ENDS or not stumble.wants("UPDATE"):
        return None
    tokens = stumble.statement
    equals = next((token for token in tokens if token.text == "=="), None)
    if equals is not None:
        return SyntaxFault("'==' compares, and binds nothing", equals.span, hint="to bind a name write '='")
    less = next((token for token, after in pairwise(tokens) if token.text == "<" and after.text == "-"), None)
    if less is not None:
        return SyntaxFault("'<' compares, and binds nothing", less.span, hint="to bind a name write '='")
    text = stumble.text_of(tokens)
    shown = text if len(text) <= 30 and "\n" not in text else "…"
    hint = f"bind it, y = {shown}, or show it, output {shown}"
    if tokens[0].text == "print":
        hint = "to show a result write: output …"
    elif len(tokens) == 1 and tokens[0].text in ("pass", "break", "continue"):
        hint = f"there is no '{tokens[0].text}'"
    return SyntaxFault("an expression alone is not a statement", tokens[0].span.join(tokens[-1].span), hint=hint)


def _unknown_statement(stumble: Stumble) -> SyntaxFault | None:
    """`vectr v`, `while x`: two words at the start of a statement."""
    first, found = stumble.first, stumble.found
    is_second = stumble.at == stumble.start + 1
    if not is_second or first.type != "NAME" or found.type not in ("NAME", "STRING", *_WORDS):
        return None
    near = suggest(first.text, SOFT_KEYWORDS | HARD_KEYWORDS)
    hint = near or "statements begin with a name to bind, or with a word such as vector, data, for, output"
    return SyntaxFault(f"'{first.text}' does not begin a statement", first.span, hint=hint)


def _missing_operator(stumble: Stumble) -> SyntaxFault | None:
    """Two operands side by side: `2 x`, `(a) b`."""
    found, before = stumble.found, stumble.before
    if before is None or before.type not in OPERAND_ENDS or found.type not in OPERAND_STARTS:
        return None
    if not stumble.wants("MUL"):
        return None
    hint = f"products need '*': write {before.span.text} * {found.span.text}"
    if before.type == "NUMBER" and found.text.startswith("_"):
        hint = "digits are written without '_'"
    elif before.type not in ("NUMBER", "NAME") or found.type not in ("NUMBER", "NAME"):
        hint = "products need '*'"
    message = f"an operator is missing between {before.shown} and {found.shown}"
    return SyntaxFault(message, before.span.join(found.span), hint=hint)


def _empty_brackets(stumble: Stumble) -> SyntaxFault | None:
    found, before = stumble.found, stumble.before
    if before is None or OPENERS.get(before.type) != found.type or not stumble.wants_operand:
        return None
    what = {"LPAR": "an operand", "LSQB": "an index", "LBRACE": "a width axis"}[before.type]
    span = before.span.join(found.span)
    return SyntaxFault(f"nothing stands between {before.shown} and {found.shown}", span, hint=f"put {what} there")


def _missing_operand(stumble: Stumble) -> SyntaxFault | None:
    found, before = stumble.found, stumble.before
    if not stumble.wants_operand:
        return None
    if before is None or stumble.is_at_start:
        return SyntaxFault(f"a statement cannot begin with {found.shown}", found.span, hint="remove it")
    hint = ""
    if found.type == "LBRACE":
        hint = "braces name the width axes of what stands before them: x{i}"
    elif before.text in "+-" and stumble.is_doubled(before.text):
        name, sign = stumble.first.span.text, before.text
        hint = f"to count write {name} {sign}= 1"
    elif found.type in CLOSERS or found.type in _STATEMENT_ENDS:
        hint = f"remove {before.shown}, or write what follows it"
    return SyntaxFault(f"an operand is missing after {before.shown}, found {found.shown}", found.span, hint=hint)


def _comma(stumble: Stumble) -> SyntaxFault | None:
    """`a, b = 1, 2` and `output a, b`."""
    found = stumble.found
    if found.type != "COMMA":
        return None
    if stumble.inside is not None:
        hint = "parentheses hold one expression; a list is [a, b]"
        return SyntaxFault(f"a ',' inside {stumble.inside.shown}", found.span, stumble.inside.span, hint=hint)
    if stumble.first.type == "OUTPUT":
        hint = "write one output per statement"
    else:
        hint = "a statement binds one name to one value; lists are for data only"
    return SyntaxFault("a ',' outside of brackets", found.span, hint=hint)


def _second_binding(stumble: Stumble) -> SyntaxFault | None:
    """`if t = 0:`, `x = y = 0`, `output x = 1`."""
    found = stumble.found
    if found.type not in ("EQUAL", "UPDATE"):
        return None
    if stumble.inside is not None:
        hint = "a comparison is written '==', a named argument name=value"
        return SyntaxFault(f"{found.shown} cannot stand here", found.span, hint=hint)
    if stumble.first.type in ("IF", "ELIF") and found.type == "EQUAL":
        return SyntaxFault("'=' does not compare", found.span, hint="write '=='")
    if any(token.type in ("EQUAL", "UPDATE") for token in stumble.statement):
        hint = "write one statement for each name; a comparison is '=='"
        return SyntaxFault(f"a second {found.shown} in one statement", found.span, hint=hint)
    return SyntaxFault(f"{found.shown} cannot stand here", found.span, hint="a comparison is written '=='")


def _comparison_in_bra_ket(stumble: Stumble) -> SyntaxFault | None:
    inside = stumble.inside
    if stumble.found.type not in ("COMPARE", "AND", "OR", "NOT") or inside is None or inside.type in OPENERS:
        return None
    hint = "put it into parentheses; if '<' or '>' should close the bra-ket, look at its bars"
    return SyntaxFault(f"{stumble.found.shown} inside a bra-ket", stumble.found.span, hint=hint)


def _out_of_place(stumble: Stumble) -> SyntaxFault | None:
    """`..` outside of `for`, `~` outside of a declaration."""
    found = stumble.found
    if found.type == "RANGE":
        return SyntaxFault("a range outside of 'for'", found.span, hint="ranges are for loops: for t in 0..T:")
    if found.type == "TILDE":
        hint = f"declare it: vector {stumble.first.span.text} ~ N(0, 1)"
        return SyntaxFault("'~' outside of a vector or matrix declaration", found.span, hint=hint)
    return None


def _explain_plainly(stumble: Stumble) -> SyntaxFault:
    """What the grammar expected, in words."""
    found, before = stumble.found, stumble.before
    wanted = sorted(_SIGN_WORDS[name] for name in stumble.expected if name in _SIGN_WORDS)
    if stumble.wants("MUL"):
        closing = [word for word in wanted if word in ("')'", "']'", "'}'", "','", "':'", "'>'", "'..'", "'='")]
        wanted = ["an operator", *(closing or ["the end of the statement"])]
    elif stumble.wants(END):
        wanted.append("the end of the statement")
    after = f" after {before.shown}" if before is not None else ""
    return SyntaxFault(f"expected {' or '.join(wanted)}{after}, found {found.shown}", found.span)


STRUCTURE_RULES: tuple[Rule, ...] = (
    _reserved_word,
    _header_inside_line,
    _missing_colon,
    _expression_alone,
    _unknown_statement,
    _missing_operator,
    _empty_brackets,
    _comparison_in_bra_ket,
    _missing_operand,
    _comma,
    _second_binding,
    _out_of_place,
)

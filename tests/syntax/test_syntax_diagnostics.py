"""Every message: its class, what it says, the exact text it points at, and what it advises."""

from __future__ import annotations

import pytest

from nexort.errors import FaultGroup, NexortError, SyntaxFault
from nexort.source import Source
from nexort.syntax import parse


def fault_of(text: str) -> NexortError:
    with pytest.raises(NexortError) as caught:
        parse(Source("p.nx", text))
    return caught.value


def faults_of(text: str) -> list[tuple[int, str]]:
    """Line and message of each fault."""
    fault = fault_of(text)
    faults = fault.faults if isinstance(fault, FaultGroup) else [fault]
    return [(one.labels[0].span.line, one.message) for one in faults]


# text of the program, text pointed at, part of the message, part of the hint
CASES = [
    # brackets
    ("x = (1 + 2\ny = 3", "(", "'(' is never closed", "close it"),
    ("x = f(a,\ny = 3\nz = 4", "(", "'(' is never closed", "close it"),
    ("x = (1 +\nif t == 0: y = 2", "(", "'(' is never closed", "close it"),
    ("x = [1, 2\nvector u", "[", "'[' is never closed", "close it"),
    ("x = f(a;y = 2", "(", "'(' is never closed", "close it"),
    ("if (a:\n    x = 1", "(", "'(' is never closed", "close it"),
    ("x = 1)", ")", "')' closes nothing", "remove it"),
    ("x = (a]", "]", "']' cannot close '('", "close '(' first"),
    ("x = y[]", "[]", "nothing stands between '[' and ']'", "put an index there"),
    ("x = y{}", "{}", "nothing stands between '{' and '}'", "put a width axis there"),
    ("x = (1, 2)", "(1, 2)", "a ',' inside '('", "a list is [a, b]"),
    # bra-kets
    ("x = <x|", "<x|", "a bra alone", "<x|y>"),
    ("x = <x|y\ny = 2", "<x|y", "a bra alone", "<x|y>"),
    ("x = (<x|y)", "<x|y", "a bra alone", "<x|y>"),
    ("x = |x>", "|x>", "a ket alone", "the vector itself is x"),
    ("x = |a>*<b|", "|a>", "a ket alone", "|x><y|"),
    ("x = |a", "|a", "opens a ket that is not closed", "|x><y|"),
    ("x = |a><b", "|a><b", "the bra of this outer product is not closed", "|x><y|"),
    ("x = |a|", "|", "'|…|' is not an absolute value", "abs(x)"),
    ("x = <x>", "<x>", "a bra-ket without '|'", "avg(x)"),
    ("x = < y", "< y", "opens a bra-ket that is not closed", "left side"),
    ("x = <a, b>", "<a, b>", "a bra-ket without '|'", "<x|y>"),
    ("x = <a|b, c>", ",", "a ',' inside a bra-ket", "<x|y>"),
    ("x = <|y>", "<", "nothing stands between '<' and '|'", "<x|y>"),
    ("x = <x|y|z|w>", "|", "a third '|'", "<x|T|y>"),
    ("x = <a < b|c>", "<", "'<' inside a bra-ket", "parentheses"),
    ("x = 2|x><y|", "|", "a '*' is missing before this ket", "2 * |x><y|"),
    ("x = 2 <x|y>", "<", "'<' after an operand compares", "2 * <x|y>"),
    ("x = <x|y><u|v>", "<", "'<' after an operand compares", "products need '*'"),
    ("x = a | b", "|", "this '|' belongs to no bra-ket", "<x|y>"),
    # operators and operands
    ("x = 2 y", "2 y", "an operator is missing between '2' and 'y'", "write 2 * y"),
    ("x = 2y", "2y", "an operator is missing between '2' and 'y'", "write 2 * y"),
    ("x = (a) (b) c", ") c", "an operator is missing between ')' and 'c'", "products need '*'"),
    ("x = 1_000", "1_000", "an operator is missing", "without '_'"),
    ("x = 1 +", "", "an operand is missing after '+', found the end of the line", "remove '+'"),
    ("x = @ y", "@", "an operand is missing after '=', found '@'", ""),
    ("x++", "", "an operand is missing after '+'", "x += 1"),
    ("x = {a}", "{", "an operand is missing after '=', found '{'", "x{i}"),
    ("x = a ** 2", "**", "'**' is not an operator", "'^'"),
    ("x = a // 2", "//", "'//' is not an operator", "'%'"),
    ("// note", "//", "'//' is not an operator", "comments begin with '#'"),
    ("x = 2.", "2.", "a digit after its point", "write 2.0"),
    ("x = .5", ".5", "a digit before its point", "write 0.5"),
    ("x = 1e999", "1e999", "too large", "1.8e308"),
    ("x = W.T", ".T", "'.T' is not a transpose", "write W'"),
    ("x = np.exp(y)", ".exp", "'.exp' follows a name", "exp(x)"),
    ("x = y[1:2]", ":", "there are no slices", "y[a] = x[a]"),
    ("x = a if b else c", "if", "'if' cannot stand in an expression", "where(x > 0, a, b)"),
    ("x = [a for a in b]", "for", "'for' cannot stand in an expression", "x[a] = …"),
    ("x = lambda y: y", "lambda", "there is no 'lambda'", "def f(x)"),
    ("x = f(a=1, 2)", "2", "an argument without a name", "last"),
    ("x = 'abc'", "'", "has nothing before it", "W'"),
    ('x = "abc"', '"abc"', "text stands in import only", "import"),
    # characters
    ("x = ⟨x⎸y⟩", "⟨", "'⟨' (mathematical left angle bracket) is not a sign", "write '<'"),
    ("x = <x⎸y>", "⎸", "is not a sign of the language", "write '|'"),
    ("x = a − b", "−", "'−' (minus sign) is not a sign of the language", "write '-'"),
    ("x = W′", "′", "'′' (prime) is not a sign", "apostrophe"),
    ("x = a × b", "×", "(multiplication sign)", "write '*'"),
    ("x = a ≤ b", "≤", "(less-than or equal to)", "write '<='"),
    ("x = √(2)", "√", "(square root)", "sqrt"),
    ("x = a & b", "&", "(ampersand)", "write 'and'"),
    ("x = !a", "!", "(exclamation mark)", "write 'not'"),
    ("x = $", "$", "(dollar sign)", ""),
    ("x =\u00a01", "\u00a0", "U+00A0 (no-break space)", "ordinary space"),
    ("x = \x00", "\x00", "U+0000", ""),
    ("x² = 3", "²", "the super- or subscript '²' cannot be part of a name", "x^2"),
    ("x = h[a]²", "²", "the super- or subscript '²'", "^2"),
    ("x₁ = 3", "₁", "the super- or subscript '₁'", "x1, or x[1]"),
    ("x = Wᵀ @ y", "ᵀ", "the super- or subscript 'ᵀ'", "W'"),
    ("x = yˆ2", "ˆ", "looks like a sign", "^ for a power"),
    ("x\u0302 = 1", "x\u0302", "is not a name", "letters, digits"),
    ("x = a + \\\n  b", "\\", "is not a sign", "inside ( )"),
    ('import "abc', '"abc', "this quotation mark is not closed", "same line"),
    ("\tx = 1", "\t", "a tab in the indentation", "spaces"),
    ("if a:\n \tx = 1\n\ty = 1", "\t", "a tab in the indentation", "spaces"),
    # statements
    ("x == 3", "==", "'==' compares, and binds nothing", "'='"),
    ("x <- 3", "<", "'<' compares, and binds nothing", "'='"),
    ("x := 3", ":=", "':=' is not an operator", "write '='"),
    ("f(x)", "f(x)", "an expression alone is not a statement", "y = f(x)"),
    ("print(x)", "print(x)", "an expression alone is not a statement", "output …"),
    ("pass", "pass", "an expression alone is not a statement", "no 'pass'"),
    ("f(x) = 3", "f(x)", "'=' cannot bind this", "def f(x) = …"),
    ("1 += 3", "1", "'+=' cannot bind this", "the left side is a name"),
    ("T{i}[0] = 3", "T{i}[0]", "'=' cannot bind this", "the left side is a name"),
    ("a < b = 3", "a < b", "'=' cannot bind this", "'if'"),
    ("a, b = 1, 2", ",", "a ',' outside of brackets", "one name"),
    ("output a, b", ",", "a ',' outside of brackets", "one output"),
    ("x = y = 3", "=", "a second '=' in one statement", "one statement for each name"),
    ("if t = 0:\n    x = 1", "=", "'=' does not compare", "write '=='"),
    ("in = 3", "in", "'in' is a reserved word and cannot be a name", "choose another name"),
    ("if = 3", "if", "'if' is a reserved word", "choose another name"),
    ("vector for", "for", "'for' is a reserved word", "choose another name"),
    ("x = in + 1", "in", "'in' is a reserved word", "choose another name"),
    ("vectr v", "vectr", "'vectr' does not begin a statement", "did you mean 'vector'?"),
    ("while x < 3:\n    y = 1", "while", "there is no 'while'", "for t in 0..T:"),
    ("x = 1;; y = 2", ";", "a statement cannot begin with ';'", "remove it"),
    ("x = 0..3", "..", "a range outside of 'for'", "for t in 0..T:"),
    ("x ~ N(0, 1)", "~", "'~' outside of a vector or matrix declaration", "vector x ~ N(0, 1)"),
    # declarations
    ("vector", "", "expected a name after 'vector', found the end of the line", ""),
    ("vector 3", "3", "expected a name after 'vector', found '3'", ""),
    ("vector u(3)", "(", "a shape stands in '[…]', found '('", "vector u[d]"),
    ("vector u ~ M(0, 1)", "M", "there is no law 'M'", "N(mean, variance)"),
    ("vector u ~ N(0)", ")", "a law has a mean and a variance", "N(0, 1)"),
    ("param T", "T", "a param needs a value: 'T' has none", "T = 1"),
    ("param T 3", "3", "a '=' is missing, found '3'", "param T = 30"),
    ("data y[M] normal(seed=1)", "normal", "a '=' is missing", "data y[M] = normal(seed=1)"),
    ("def f(x): return x", ":", "a function has no block", "def f(x) = …"),
    ("def f(x=1) = x", "=", "arguments of a function have no default", "param"),
    ("def f() = 1", "()", "a function needs an argument", "param"),
    ("def f(x) x", "x", "expected '=' after ')', found 'x'", ""),
    ("import numpy", "numpy", 'import needs a file name in "…"', 'import "file.nx"'),
    ("import 'a.nx'", "'", 'import needs a file name in "…"', 'import "file.nx"'),
    ("from a import b", "from", "there is no 'from … import'", 'import "file.nx"'),
    ("output", "", "an operand is missing after 'output'", "write what follows"),
    ("output x as 3", "3", "expected a name after 'as', found '3'", ""),
    ("output x as K[a] L", "L", "expected the end of the statement after ']', found 'L'", ""),
    ("scalar", "", "expected a name after 'scalar', found the end of the line", ""),
    ("scalar s(3)", "(", "a shape stands in '[…]'", "scalar u[d]"),
    ("scalar s ~ N(0, 1) = 2", "=", "an initial value is a number or a law, not both", "s = 2"),
    ("vector b = 2 ~ N(0, 1)", "~", "an initial value is a number or a law, not both", "s = 2"),
    ("x = f((1, 2))", "(1, 2)", "a ',' inside '('", "a list is [a, b]"),
    ("if (a, b): x = 1", "(a, b)", "a ',' inside '('", "a list is [a, b]"),
    ("x = (1,)", ")", "an operand is missing after ','", "remove ','"),
    # blocks
    ("for t in 0..3\n    x = 1", "", "a ':' is missing, found the end of the line", "before its block"),
    ("else x = 3", "x", "a ':' is missing, found 'x'", "before its block"),
    ("for t in range(3):\n    x = 1", "range(3)", "a loop runs over a range", "for t in 0..T:"),
    ("for t in 0:3:\n    x = 1", "0", "a loop runs over a range", "for t in 0..T:"),
    ("for t 0..2: x = 1", "0", "expected 'in' after 't', found '0'", ""),
    ("for t in 0..3:\nx = 1", "for t in 0..3", "'for' has no block", "indent at least one statement"),
    ("if a:\n# only a comment", "if a", "'if' has no block", "indent at least one statement"),
    ("else:\n    x = 1", "else", "'else' without an 'if'", "same indentation"),
    ("x = 1\nelif a:\n    x = 1", "elif a", "'elif' without an 'if'", "same indentation"),
    ("if a: x = 1\nelse: x = 2\nelse: x = 3", "else", "'else' after 'else'", "same indentation"),
    ("else if a:\n    x = 1", "else if", "'else if' is one word", "'elif'"),
    ("x = 1; for t in 0..3: y = 2", "for", "'for' begins a line of its own", "next line"),
    ("if a: if b: y = 2", "if", "'if' begins a line of its own", "next line"),
    ("x = 1\n   y = 2\n   z = 3", "   ", "unexpected indentation of 3", "follows a ':'"),
    (" x = 1", " ", "unexpected indentation of 1", "follows a ':'"),
    ("for t in 0..2:\n        a = 1\n    b = 2", "    ", "an indentation of 4 fits no block", "indented by 0"),
    ("optimizer adam:\n    return g", ":", "an optimizer has an argument list", "optimizer name():"),
    ("return g", "return g", "'return' outside of an optimizer or a model", "optimizer name(…):"),
    ("optimizer a():\n    return (g, g)", "(g, g)", "a ',' inside '('", "an optimizer returns one update"),
    ("optimizer a():\n    scalar s = 1", "scalar s = 1", "'scalar' inside an optimizer", "state"),
    ("state m = 0", "state m = 0", "'state' outside of an optimizer", "optimizer name(…):"),
    ("if a:\n    param x = 3", "param x = 3", "'param' inside a block", "outside of for and if"),
    ("for t in 0..2: data y", "data y", "'data' inside a block", "outside of for and if"),
    ("optimizer a(b):\n    vector u", "vector u", "'vector' inside an optimizer", "state, assignments"),
    ("optimizer a(b):\n    if b:\n        output u", "output u", "'output' inside an optimizer", "state"),
]


@pytest.mark.parametrize(("text", "pointed", "message", "hint"), CASES, ids=[case[0] for case in CASES])
def test_message(text: str, pointed: str, message: str, hint: str) -> None:
    fault = fault_of(text)
    assert type(fault) is SyntaxFault
    assert message in fault.message
    assert fault.labels[0].span.text == pointed
    assert hint in fault.hint and bool(hint) == bool(fault.hint)
    assert fault.render().startswith("p.nx:")


def test_where_the_end_of_a_line_is() -> None:
    fault = fault_of("x = 1 +   # note\ny = 2")
    assert fault.labels[0].span.place == "p.nx:1:8"


def test_second_labels() -> None:
    fault = fault_of("x = (a]")
    assert [(label.span.text, label.note) for label in fault.labels] == [("]", ""), ("(", "opened here")]


def test_many_faults_in_the_order_of_the_text() -> None:
    text = "x = a b\ny = ]\nz = 3 ** 2\nif a:\n    w = $\nfor t in 0..2\n    v = 1\n    u = (1\nlast = 1 +\n"
    assert [line for line, _ in faults_of(text)] == [1, 2, 3, 5, 6, 8, 9]


def test_one_message_for_one_mistake() -> None:
    for text in (
        "x = ⟨x⎸y⟩ − ⟨y⎸z⟩ $",
        "optimizer adam\n    state m = 0\n    return g\n",
        "def f(x):\n    return x\ny = 1",
        "if a b:\n    x = 1\nelif c:\n    x = 2\nelse:\n    x = 3\n",
        "if c:\n    x = 2\nelif d d:\n    x = 4\nelse:\n    x = 3\n",
        "for t in 0..T:\n\tx = 1\n\ty = 2\n\tz = 3\n",
        "x = foo(a\n  b = 3\n  c = 3\n",
        "model m(x):\n    vector v\n    return v *\n",
        "model m(x):\n    if a: return x\n",
        "model m(x):\n    if a:\n        model b(y):\n            output f\n    return x\n",
        "train m on x:\n    if a:\n        rate += 1\n    else:\n        output f\n    rate = 1\n",
        "for t in 0..3:\n    train m on x:\n        rate += 1\n        vector v\n",
    ):
        assert len(faults_of(text)) == 1, text


def test_no_more_than_twenty_are_reported() -> None:
    assert len(faults_of("x = )\n" * 50)) == 20
    assert len(faults_of("x = a b\n" * 50)) == 20

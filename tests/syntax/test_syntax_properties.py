"""Random trees print and parse back; random texts give a program or a fault; formatting keeps the meaning."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexort.errors import NexortError
from nexort.source import Source, Span
from nexort.syntax import ast, equal, format_program, parse, print_expression, print_program

SPAN = Span(Source("", ""), 0, 0)
SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def make(node: type[ast.Node], /, **fields: Any) -> Any:
    return node(span=SPAN, **fields)


names = st.sampled_from(
    ["x", "W", "h1", "train", "model", "scalar", "on", "vector", "per", "μ", "λ_2", "N", "one"]
).map(lambda text: make(ast.Name, id=text))
numbers = st.sampled_from([("2", 2), ("0.5", 0.5), ("1e-4", 1e-4), ("10", 10)]).map(
    lambda pair: make(ast.Number, text=pair[0], value=pair[1])
)


def some(items: st.SearchStrategy[Any], least: int = 1) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, min_size=least, max_size=3).map(tuple)


def pairs(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda i: make(ast.Tuple, items=i), some(inner, 2))


def operations(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keyword = st.builds(lambda n, v: make(ast.Keyword, name=n, value=v), names, inner | pairs(inner))
    comparators = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    return st.one_of(
        st.builds(lambda o, e: make(ast.Unary, operator=o, operand=e), st.sampled_from(["-", "+", "not"]), inner),
        st.builds(
            lambda o, a, b: make(ast.Binary, operator=o, left=a, right=b), st.sampled_from("+-*/@%^"), inner, inner
        ),
        st.builds(
            lambda o, a, b: make(ast.Logical, operator=o, left=a, right=b), st.sampled_from(["and", "or"]), inner, inner
        ),
        st.builds(lambda a, r: make(ast.Compare, first=a, rest=r), inner, some(st.tuples(comparators, inner))),
        st.builds(
            lambda f, a, k: make(ast.Call, function=f, arguments=a, keywords=k), inner, some(inner, 0), some(keyword, 0)
        ),
        st.builds(lambda b, i: make(ast.Subscript, base=b, indices=i), inner, some(inner)),
        st.builds(lambda b, i: make(ast.Braces, base=b, indices=i), inner, some(inner)),
        st.builds(lambda b: make(ast.Prime, base=b), inner),
        st.builds(lambda b, o, k: make(ast.BraKet, bra=b, operator=o, ket=k), inner, st.none() | inner, inner),
        st.builds(lambda k, b: make(ast.KetBra, ket=k, bra=b), inner, inner),
        st.builds(lambda i: make(ast.ListLiteral, items=i), some(inner, 0)),
        st.builds(lambda b: make(ast.Paren, body=b), inner),
    )


expressions = st.recursive(names | numbers, operations, max_leaves=8)

bindings = st.builds(lambda n, v: make(ast.Binding, name=n, value=v), names, expressions)
arguments = st.builds(lambda n, v: make(ast.Binding, name=n, value=v), names, st.none() | expressions)
laws = st.builds(lambda m, v: make(ast.Law, mean=m, variance=v), expressions, expressions)
initials = st.builds(
    lambda n, s, w: make(ast.InitialItem, name=n, shape=s, law=w[0], value=w[1]),
    names,
    some(expressions, 0),
    st.tuples(st.none() | laws, st.none()) | st.tuples(st.none(), expressions),
)
data_items = st.builds(
    lambda n, s, v: make(ast.DataItem, name=n, shape=s, standin=v), names, some(expressions, 0), st.none() | expressions
)
elements = names | st.builds(lambda n, i: make(ast.Subscript, base=n, indices=i), names, some(expressions))
targets = elements | st.builds(lambda e, i: make(ast.Braces, base=e, indices=i), elements, some(names))
assigns = st.builds(
    lambda t, o, v: make(ast.Assign, target=t, operator=o, value=v),
    targets,
    st.sampled_from(["=", "+=", "-=", "*=", "/="]),
    expressions,
)
outputs = st.builds(lambda v, a: make(ast.Output, value=v, alias=a), expressions, st.none() | elements)
families = st.builds(
    lambda k, i: make(ast.Initial, kind=k, items=i), st.sampled_from(["vector", "matrix", "scalar"]), some(initials)
)


def blocks(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    branch = st.builds(lambda c, b: make(ast.Branch, condition=c, body=b), expressions, some(inner))
    last = st.lists(st.builds(lambda b: make(ast.Branch, condition=None, body=b), some(inner)), max_size=1).map(tuple)
    return st.one_of(
        st.builds(
            lambda n, a, z, b: make(ast.For, variable=n, start=a, stop=z, body=b),
            names, expressions, expressions, some(inner),
        ),
        st.builds(lambda b, e: make(ast.If, branches=(*b, *e)), some(branch), last),
    )  # fmt: skip


plain = st.recursive(assigns | outputs | families, blocks, max_leaves=5)
states = st.builds(lambda b: make(ast.State, bindings=b), some(bindings))
returns = st.builds(lambda v: make(ast.Return, value=v), expressions)
optimizers = st.builds(
    lambda n, a, b: make(ast.Optimizer, name=n, arguments=a, body=b),
    names,
    some(arguments, 0),
    some(st.recursive(assigns | states | returns, blocks, max_leaves=4)),
)
inputs = st.builds(lambda n, s: make(ast.DataItem, name=n, shape=s, standin=None), names, some(expressions, 0))
results = st.builds(lambda v: make(ast.Return, value=v), expressions | pairs(expressions))
models = st.builds(
    lambda n, a, b, r: make(ast.Model, name=n, arguments=a, body=(*b, r)),
    names, some(inputs), some(st.recursive(assigns | families, blocks, max_leaves=4), 0), results,
)  # fmt: skip
fields = st.builds(
    lambda n, i, v: make(ast.Field, name=n, indices=i, value=v),
    names, st.none() | some(expressions), expressions | pairs(expressions),
)  # fmt: skip
pers = st.builds(lambda n, f: make(ast.Per, names=n, fields=f), some(names), some(fields))
trains = st.builds(
    lambda m, a, w, b: make(ast.Train, model=m, arrays=a, alias=w, body=b),
    names, some(names), st.none() | names, some(fields | pers),
)  # fmt: skip
declarations = st.one_of(
    models,
    trains,
    st.builds(lambda b: make(ast.Param, bindings=b), some(bindings)),
    st.builds(lambda i: make(ast.Data, items=i), some(data_items)),
    st.builds(lambda n, a, b: make(ast.Def, name=n, arguments=a, body=b), names, some(names), expressions),
    st.sampled_from(["a.nx", "", "b c"]).map(lambda path: make(ast.Import, path=path)),
    optimizers,
)
programs = some(plain | declarations, 0).map(lambda body: make(ast.Program, source=SPAN.source, body=body))


def without_parens(value: Any) -> Any:
    """The tree without its `Paren` nodes."""
    if isinstance(value, ast.Paren):
        return without_parens(value.body)
    if isinstance(value, tuple):
        return tuple(without_parens(item) for item in value)
    if isinstance(value, ast.Node):
        fields = {item.name: without_parens(getattr(value, item.name)) for item in dataclasses.fields(value)}
        return type(value)(**fields)
    return value


def program_of(text: str) -> ast.Program:
    return parse(Source("p.nx", text))


@SETTINGS
@given(programs)
def test_print_then_parse_is_the_identity(program: ast.Program) -> None:
    text = print_program(program)
    parsed = program_of(text)
    assert equal(without_parens(parsed), without_parens(program))
    assert print_program(parsed) == text
    assert equal(program_of(print_program(parsed)), parsed)


@SETTINGS
@given(programs)
def test_printed_programs_are_formatted(program: ast.Program) -> None:
    text = print_program(program)
    assert format_program(Source("p.nx", text)) == text


@SETTINGS
@given(expressions, st.data())
def test_spaces_do_not_matter(expression: Any, data: st.DataObject) -> None:
    text = print_expression(expression)
    words = [word for word in text.split(" ") if word]
    gaps = data.draw(
        st.lists(st.sampled_from([" ", "  ", "\n", " # note\n  "]), min_size=len(words), max_size=len(words))
    )
    spread = "x = (" + "".join(gap + word for gap, word in zip(gaps, words, strict=True)) + "\n)"
    assert equal(program_of(spread), program_of(f"x = ({text})"))
    assert_formats(spread)


@SETTINGS
@given(trains)
def test_settings_behind_per_may_stand_on_its_line(train: Any) -> None:
    program = make(ast.Program, source=SPAN.source, body=(train,))
    spread = print_program(program)
    text = ""
    for line in spread.splitlines():  # fields of `per` are indented by 8
        text += (" " if text.endswith(":") else "; ") + line.strip() if line.startswith(" " * 8) else f"\n{line}"
    assert equal(program_of(text), program_of(spread))
    assert format_program(Source("p.nx", text)) == text.lstrip() + "\n"


PIECES = [
    "x", "W", "h1", "for", "t", "in", "0", "..", "T", ":", "\n", "\n    ", "\n\n", "    ", "\t", "if", "else", "elif",
    "(", ")", "[", "]", "{", "}", "<", ">", "|", "=", "==", "+=", "-", "+", "*", "@", "^", "'", ",", ";", "~", "#",
    "param", "data", "vector", "matrix", "optimizer", "state", "return", "output", "as", "def", "import", '"a.nx"', "N",
    "# c\n", "scalar", "model", "train", "per", "on", "m(x)",
    "2", "0.5", "1e-4", " ", ".", "**", "!", "≤", "⟨", "′", "²", "μ", "\\", "and", "not", "or",
    "\r\n", "\"",
]  # fmt: skip


@settings(SETTINGS, max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=25), st.sampled_from(["", " "]))
def test_any_pieces_give_a_program_or_a_fault(pieces: list[str], glue: str) -> None:
    assert_formats(glue.join(pieces))


@settings(SETTINGS, max_examples=300)
@given(st.text(max_size=60))
def test_any_text_gives_a_program_or_a_fault(text: str) -> None:
    assert_formats(text)


@SETTINGS
@given(programs, st.integers(0, 10**6), st.sampled_from(PIECES))
def test_a_damaged_program_gives_a_program_or_a_fault(program: ast.Program, at: int, piece: str) -> None:
    text = print_program(program)
    at %= len(text) + 1
    assert_formats(text[:at] + piece + text[at:])
    assert_formats(text[:at] + text[at + 1 :])


@settings(SETTINGS, max_examples=50)
@given(programs, st.data())
def test_comments_survive(program: ast.Program, data: st.DataObject) -> None:
    lines = print_program(program).splitlines()
    kinds = st.sampled_from(["", "  # note {}", "# before {}\n", "\n\n\n", "      # deep {}\n"])
    text = ""
    for number, line in enumerate(lines):
        extra = data.draw(kinds).format(number)
        text += f"{extra}{line}\n" if extra.endswith("\n") else f"{line}{extra}\n"
    assert_formats(text)


def assert_formats(text: str) -> None:
    """The text is refused, or formatting keeps its tree and its comments and is idempotent."""
    try:
        program = program_of(text)
    except NexortError as fault:
        assert fault.labels and fault.render()
        return
    formatted = format_program(Source("p.nx", text))
    assert equal(program_of(formatted), program)
    assert format_program(Source("p.nx", formatted)) == formatted
    assert comments_of(formatted) == comments_of(text)
    assert equal(program_of(print_program(program)), program)


def comments_of(text: str) -> list[str]:
    """All comments: `#` stands for nothing else outside of quotation marks, which stand in import only."""
    lines = [line for line in text.split("\n") if '"' not in line]
    return [line[line.index("#") :].rstrip() for line in lines if "#" in line]

"""Size and depth: what is too large is refused with a message, quickly, and what is not too large works."""

from __future__ import annotations

import pytest

from nexort.errors import NexortError, SizeFault
from nexort.source import Source
from nexort.syntax import equal, format_program, parse, print_program

N = 10_000


def refused(text: str) -> NexortError:
    with pytest.raises(NexortError) as caught:
        parse(Source("p.nx", text))
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "-" * N + "a",
        "x = " + "not " * N + "a",
        "x = a" + "'" * N,
        "x = a" + "[0]" * N,
        "x = " + "(" * N + "a" + ")" * N,
        "x = " + "(" * N,
        "x = " + "[" * N,
        "x = " + "<" * N,
        "x = " + "|" * N,
        "x = " + "<a|" * N,
        "x = " + "+".join("a" * N),
        "x = " + "^".join("a" * N),
        "x = " + " or ".join("a" * N),
        "\n".join(" " * level + "if a:" for level in range(500)) + "\n" + " " * 500 + "x = 1",
        "x = 1\n" * 200_000,
        "# é" * 300_000,
    ],
    ids=lambda text: text[:20],
)
def test_too_large_is_a_size_fault(text: str) -> None:
    assert isinstance(refused(text), SizeFault)


@pytest.mark.parametrize(
    "text",
    [
        "(" * N + ")",
        ")" * N,
        "x = <" + "a|" * N,
        "a|" * N,
        "$" * N,
        "[" + "\n#" * N,
        "(" + "if\n" * N,
        "a\n" * N,
        "\\\n" * N,
        "x²" * N,
        "(<)" * N,
        '"' * N,
        "1" * N,
        "for" * N,
        "if a: " * N,
    ],
    ids=lambda text: text[:12],
)
def test_hostile_texts_are_refused(text: str) -> None:
    refused(text)


def test_what_is_within_the_bounds_works() -> None:
    inner = "x = " + " + ".join(["a"] * 190) + "\n"
    deep = "".join("    " * level + "if a:\n" for level in range(40)) + "    " * 40 + inner
    flat = "x = [" + "a," * 3000 + "]\n" + "y = f(" + "b, " * 3000 + "c)\n" + "z = 1\n" * 100
    brackets = "x = " + "(" * 190 + "a" + ")" * 190 + "\n"
    for text in (deep, flat, brackets):
        program = parse(Source("p.nx", text))
        assert equal(parse(Source("p.nx", print_program(program))), program)
        assert equal(parse(Source("p.nx", format_program(Source("p.nx", text)))), program)

"""The formatter: layout, comments, blank lines."""

from __future__ import annotations

import pytest

from nexort.errors import SyntaxFault
from nexort.source import Source
from nexort.syntax import equal, format_program, parse


def formatted(text: str) -> str:
    result = format_program(Source("f.nx", text))
    assert format_program(Source("f.nx", result)) == result
    assert equal(parse(Source("f.nx", result)), parse(Source("f.nx", text)))
    return result


MODEL = "model m(xi[s, d], z):\n    vector b = 0\n    return (b, z)\n"
TRAIN = "train m on x:\n    per W, v: a = f(b=(1, 2)); c[t] = 2  # c\n"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ""),
        ("\n\n\n", ""),
        ("x=1", "x = 1\n"),
        ("x  =  -  1+2*y ^ 2", "x = -1 + 2 * y^2\n"),
        ("x = 1; y = 2;", "x = 1\ny = 2\n"),
        ("T{ i , j } = A [ a ,b ] ' @ f ( x , seed = 1 )", "T{i,j} = A[a, b]' @ f(x, seed=1)\n"),
        ("c = < x | y > + < x | T | y > + |x > < y|", "c = <x|y> + <x|T|y> + |x><y|\n"),
        ("c = <h[a]|h[b]> + <W' @ x|y>", "c = <h[a] | h[b]> + <W' @ x | y>\n"),
        ("param  T=30,eta =0.2", "param T = 30, eta = 0.2\n"),
        ("matrix R~N(0,2/n)", "matrix R ~ N(0, 2 / n)\n"),
        ("x = a<b and not c>=- d", "x = a < b and not c >= -d\n"),
        ("for t in 0 .. T :\n  x=1\n  if  t==0 :y=2", "for t in 0..T:\n    x = 1\n    if t == 0: y = 2\n"),
        ("if a: x = 1; y = 2  # c", "if a:\n    x = 1\n    y = 2  # c\n"),
        ("output  x  as  K [a,b]", "output x as K[a, b]\n"),
        ("model  m( xi [s,d],z ) :\n  vector b=0\n  return( b,z )", MODEL),
        ("train  m  on xi ,y  as w:rate=0.2/n", "train m on xi, y as w: rate = 0.2 / n\n"),
        ("train m on xi: rate=1;steps = 2", "train m on xi:\n    rate = 1\n    steps = 2\n"),
        ("train m on x:\n  per  W,v :a=f( b=( 1,2 ) );c [t]=2 ;  # c", TRAIN),
        ("train m on x:\n  per W:\n     a=1;b=2", "train m on x:\n    per W:\n        a = 1\n        b = 2\n"),
        ("x = not (a)", "x = not (a)\n"),
        ("µ = 1\r\ny = 2\r\n", "µ = 1\ny = 2\n"),
        ("x =\t1", "x = 1\n"),
        ("x = [[1,0],[0,1]]*2", "x = [[1, 0], [0, 1]] * 2\n"),
    ],
)
def test_layout(text: str, result: str) -> None:
    assert formatted(text) == result


def test_trailing_comments_are_aligned() -> None:
    assert formatted("x = 1 # a\nlonger = 2 #b\n\ny = 3    # c\n") == (
        "x = 1       # a\nlonger = 2  #b\n\ny = 3  # c\n"
    )


def test_blank_lines() -> None:
    text = "\n\nx = 1\n\n\n\n\ny = 2\nfor t in 0..2:\n\n\n\n    z = 1\n\n\n    w = 2\n\n\n"
    assert formatted(text) == "x = 1\n\n\ny = 2\nfor t in 0..2:\n\n    z = 1\n\n    w = 2\n"


def test_comments_stay_with_their_block() -> None:
    text = """\
# head
for t in 0..2:  # loop
# first in the block
  x = 1
  # end of the block
  if t:
        y = 1
        # inner
  # outer
# top
z = 2
# last
"""
    assert (
        formatted(text)
        == """\
# head
for t in 0..2:  # loop
    # first in the block
    x = 1
    # end of the block
    if t:
        y = 1
        # inner
    # outer
# top
z = 2
# last
"""
    )


def test_line_breaks_in_brackets_stay() -> None:
    text = "x = f(a, # one\n b,\n\n # two\n   g(c,\n d)\n)  # three\ny = (1 +\n2)\n"
    assert formatted(text) == (
        "x = f(a,  # one\n    b,\n    # two\n    g(c,\n        d)\n)  # three\ny = (1 +\n    2)\n"
    )


def test_a_wrong_program_is_not_formatted() -> None:
    with pytest.raises(SyntaxFault):
        format_program(Source("f.nx", "x = "))

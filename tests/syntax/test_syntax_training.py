"""What is said about faulty models and train statements, and where their parts may stand."""

from __future__ import annotations

import pytest

from nexort.errors import NexortError, SyntaxFault
from nexort.source import Source
from nexort.syntax import parse


def fault_of(text: str) -> NexortError:
    with pytest.raises(NexortError) as caught:
        parse(Source("p.nx", text))
    return caught.value


# text of the program, text pointed at, part of the message, part of the hint
CASES = [
    # models
    ("model mlp(xi)\n    return 1", "", "a ':' is missing", "begins with 'model'"),
    ("model mlp:\n    return 1", ":", "a model has an argument list", "model mlp(xi[d]):"),
    ("model mlp():\n    return 1", "()", "a model needs an argument", "model mlp(xi[d]):"),
    ("model(xi):\n    return 1", "model", "a model has a name", "model mlp(xi[d]):"),
    ("model m(x[d] = 1):\n    return 1", "=", "arguments of a model have no default", "'train … on'"),
    ("model m(x(d)):\n    return 1", "(", "a shape stands in '[…]'", "model mlp(xi[d]):"),
    ("model m(x) = x", "=", "a model has a block", "one return"),
    ("def m(x[d]):\n    return x", "[", "arguments of a function have no shape", "model mlp(xi[d]):"),
    ("def m(x):\n    return x", ":", "a function has no block", "a network is model mlp(xi):"),
    ("modl m(x):\n    return x", "modl", "'modl' does not begin a statement", "did you mean 'model'?"),
    ("model m(x):\n    vector v", "model m(x)", "the model 'm' returns nothing", "return v * h"),
    ("model m(x):\n    return p, q", ",", "a ',' outside of brackets", "return (p, q)"),
    ("model m(x):\n    return (p, (q, r))", "(q, r)", "a ',' inside '('", "several results are return (p, q)"),
    ("model m(x):\n    if a: return x", "return x", "'return' inside 'if'", "a model returns once"),
    ("model m(x):\n    return x\n    return x", "return x", "a statement behind 'return'", "a model returns once"),
    ("model m(x):\n    return x\n    if x: y = 1", "if x", "a statement behind 'return'", "a model returns once"),
    # training
    ("train m on xi\n    rate = 1", "", "a ':' is missing", "begins with 'train'"),
    ("train m:\n    rate = 1", ":", "'on' is missing after 'm', found ':'", "train m on xi, y:"),
    ("train m with xi:\n    rate = 1", "with", "'on' is missing after 'm', found 'with'", "train m on xi, y:"),
    ("train m(xi):\n    rate = 1", "(", "a model is trained without brackets", "train m on xi, y:"),
    ("train(m, xi):\n    rate = 1", "train", "'train' is a statement, no function", "train mlp on xi, y:"),
    ("train on xi:\n    rate = 1", "on", "the name of a model is missing before 'on'", "train mlp on xi, y:"),
    ("train m on:\n    rate = 1", ":", "expected an array after 'on', found ':'", "train mlp on xi, y:"),
    ("train m on (xi, y):\n    rate = 1", "(", "expected an array after 'on', found '('", "train mlp on xi, y:"),
    ("train m on xi[a]:\n    rate = 1", "[", "arrays are named whole, found '['", "model mlp(xi[d]):"),
    ("train m on x as a, b:\n    rate = 1", ",", "one name follows 'as'", "as wide:"),
    ("trian m on xi:\n    rate = 1", "trian", "'trian' does not begin a statement", "did you mean 'train'?"),
    ("on x", "on", "'on' does not begin a statement", "statements begin"),
    ("train m on x:", "train m on x", "'train' has no block", "indent at least one statement"),
    ("if a:\n    train m on x: rate = 1", "train m on x", "'train' inside a block", "outside of for and if"),
    ("if a:\n    model m(x):\n        y = 1", "model m(x)", "'model' inside a block", "outside of for and if"),
    ("train m on x:\n    rate: 0.1", ":", "':' does not bind", "write rate = …"),
    ("train m on x:\n    w[t, a]: 0.1", ":", "':' does not bind", "write w[t, a] = …"),
    ("train m on x:\n    optimizer adam()", "", "a ':' is missing", "optimizer = adam()"),
    ("train m on x:\n    rate += 0.1", "rate += 0.1", "'+=' in a field", "rate = …"),
    ("train m on x:\n    error[a]{i} = 1", "error[a]{i}", "a field has no width axes", "for each input"),
    ("train m on x:\n    rate = 1 + (1, 2)", "(1, 2)", "a ',' inside '('", "one expression"),
    ("train m on x:\n    rate[(1, 2)] = 1", "(1, 2)", "a ',' inside '('", "one expression"),
    ("per W: rate = 1", "per W", "'per' outside of a train block", "'train model on arrays:'"),
    ("train m on x: per W: rate = 1", "per", "'per' begins a line of its own", "next line"),
    ("train m on x:\n    per W:\n        per v: a = 1", "per v", "'per' inside a per block", "it has fields"),
    ("train m on x:\n    per W: output f", "output f", "'output' inside a per block", "it has fields"),
    ("train m on x:\n    per W[0]: rate = 1", "[", "parameters are named whole, found '['", "per W: rate = 0.1"),
    ("train m on x:\n    per W = 1", "=", "'per' has a block of fields", "per W: rate = 0.1"),
    ("train m on x:\n    per W rate = 1", "rate", "a ':' is missing, found 'rate'", "begins with 'per'"),
]


@pytest.mark.parametrize(("text", "pointed", "message", "hint"), CASES, ids=[case[0] for case in CASES])
def test_message(text: str, pointed: str, message: str, hint: str) -> None:
    fault = fault_of(text)
    assert type(fault) is SyntaxFault
    assert message in fault.message
    assert fault.labels[0].span.text == pointed
    assert hint in fault.hint


DECLARATIONS = ["param a = 1", "data y[M]", "output f", "def f(x) = x", 'import "a.nx"', "state m = 0"]
HEADERS = ["optimizer a(): a = 1", "model b(y): a = 1", "train m on xi: a = 1"]


@pytest.mark.parametrize("text", [*DECLARATIONS, *HEADERS, "per W: a = 1"])
def test_strangers_in_a_model(text: str) -> None:
    fault = fault_of(f"model m(x):\n    {text}\n    return x")
    assert f"'{text.split()[0]}' inside a model" in fault.message and "one return" in fault.hint
    assert fault.labels[0].span.text == text.removesuffix(": a = 1")


@pytest.mark.parametrize(
    "text", [*DECLARATIONS, *HEADERS, "vector v", "scalar s = 1", "if b: a = 1", "for t in 0..2: a = 1", "return f"]
)
def test_strangers_in_a_train_block(text: str) -> None:
    fault = fault_of(f"train m on x:\n    {text}\n    rate = 1")
    assert f"'{text.split()[0]}' inside a train block" in fault.message and "it has fields" in fault.hint
    assert fault.labels[0].span.text == text.removesuffix(": a = 1")


def test_what_follows_a_return_is_shown_with_it() -> None:
    fault = fault_of("model m(x):\n    return x\n    y = 1")
    assert [(label.span.text, label.note) for label in fault.labels] == [
        ("y = 1", ""),
        ("return x", "the model ends here"),
    ]


@pytest.mark.parametrize("word", ["scalar", "model", "train", "per", "on"])
def test_the_words_are_names_elsewhere(word: str) -> None:
    for text in (
        f"{word} = 1",
        f"{word}[a] = 1",
        f"{word}{{i}} = 1",
        f"{word} += {word}[a]",
        f"x = f({word}, {word}=1)",
    ):
        parse(Source("p.nx", text))
        parse(Source("p.nx", f"x = 1; {text}\nif x: {text}"))
    parse(Source("p.nx", f"vector {word}\nmodel {word}({word}): {word} = {word}; return {word}"))
    parse(Source("p.nx", f"train {word} on {word}, {word} as {word}: {word} = {word}"))

"""What texts mean as trees: precedence, brackets, statements, words, places."""

from __future__ import annotations

import pytest

from nexort.source import Source
from nexort.syntax import ast, equal, parse, print_expression, print_program, walk_nodes


def tree(text: str) -> ast.Program:
    return parse(Source("test.nx", text))


def value(text: str) -> ast.Expr:
    statement = tree(f"x = {text}").body[0]
    assert isinstance(statement, ast.Assign)
    return statement.value


def grouped(node: ast.Expr) -> str:
    """The expression with a pair of parentheses around every operation."""
    match node:
        case ast.Binary():
            return f"({grouped(node.left)} {node.operator} {grouped(node.right)})"
        case ast.Unary():
            return f"({node.operator} {grouped(node.operand)})"
        case ast.Logical():
            return f"({grouped(node.left)} {node.operator} {grouped(node.right)})"
        case ast.Compare():
            return "(" + grouped(node.first) + "".join(f" {op} {grouped(e)}" for op, e in node.rest) + ")"
        case ast.Paren():
            return grouped(node.body)
        case ast.Prime():
            return f"({grouped(node.base)})'"
        case _:
            return print_expression(node)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("-x^2", "(- (x ^ 2))"),
        ("2^-1", "(2 ^ (- 1))"),
        ("a^b^c", "(a ^ (b ^ c))"),
        ("a - b - c", "((a - b) - c)"),
        ("A @ B @ x", "((A @ B) @ x)"),
        ("x * W @ y", "((x * W) @ y)"),
        ("a + b * c", "(a + (b * c))"),
        ("t % 2 == 0", "((t % 2) == 0)"),
        ("a < b <= c", "(a < b <= c)"),
        ("not a == b and c or d", "(((not (a == b)) and c) or d)"),
        ("- -x", "(- (- x))"),
        ("x''", "((x)')'"),
        ("W' @ x", "((W)' @ x)"),
        ("-W'", "(- (W)')"),
        ("a^b'", "(a ^ (b)')"),
        ("<x|y>^2", "(<x|y> ^ 2)"),
        ("2 * |x><y|", "(2 * |x><y|)"),
        ("<x|y>==0", "(<x|y> == 0)"),
        ("a>=b", "(a >= b)"),
        ("a > <x|y>", "(a > <x|y>)"),
        ("<x|y> < <u|v>", "(<x|y> < <u|v>)"),
        ("<x|y> * <u|v>", "(<x|y> * <u|v>)"),
        ("|x><y|/|u><v|", "(|x><y| / |u><v|)"),
    ],
)
def test_precedence(text: str, meaning: str) -> None:
    assert grouped(value(text)) == meaning


@pytest.mark.parametrize(
    "text",
    [
        "relu'(h[a]{i})",
        "phi''(x)",
        "T'{i,j}",
        "A[l]'",
        "(W @ x){i}",
        "sum[k](xi[a, k] * u[k])",
        "avg{j,k}(tanh(x{i} * x{j} + z{k}))",
        "max[k](s[k])",
        "sum[k < 3](1)",
        "h[a]{i}",
        "<x | T @ y>",
        "<x|T|y>",
        "<h[a] | h[b]>",
        "<|x><y| @ z | w>",
        "<<a|b> * x | y>",
        "<x | <a|b> * y>",
        "<x | (a > b) * y>",
        "sign(|x><y|)",
        "||x><y| @ z><w|",
        "adam(grad(loss, W), beta2=0.99, eps=1e-4)",
        "f()",
        "[[1, 0], [0, 1]]",
        "[1] * 100 + [0] * 4",
        "where(x > 0, a, b)",
        "x[t - 1]",
        "[]",
    ],
)
def test_canonical_expressions_print_as_written(text: str) -> None:
    assert print_expression(value(text)) == text


def test_postfix_is_generic() -> None:
    node = value("sum[k](x)")
    assert isinstance(node, ast.Call) and isinstance(node.function, ast.Subscript)
    node = value("relu'(x)")
    assert isinstance(node, ast.Call) and isinstance(node.function, ast.Prime)
    node = value("(W @ x){i}")
    assert isinstance(node, ast.Braces) and isinstance(node.base, ast.Paren)
    node = value("<x|T|y>")
    assert isinstance(node, ast.BraKet) and isinstance(node.operator, ast.Name) and node.operator.id == "T"
    node = value("h[a](x)")
    assert isinstance(node, ast.Call)


@pytest.mark.parametrize(
    "text",
    [
        "param T = 30, eta = 0.2\n",
        "data xi[M, d], y[M] = normal(seed=1), c = 3\n",
        "vector u[d], v, b ~ N(0.5, 2)\n",
        "matrix W, A[3], R ~ N(0, 2 / n)\n",
        "def phi(h, s) = h * s\n",
        'import "optimizers.nx"\n',
        "h[0, a < M] = 1\n",
        "x[t + 1] -= 2\n",
        "h[a]{i} = 1\n",
        "output f\n",
        "output <x|y> as K[a, b]\n",
        "scalar s = 1, g[2] ~ N(0, 1), c\nvector b = 0, c[3] = 0\nmatrix Z = 0\n",
        "model mlp(xi[s, d], m):\n    vector v\n    if a:\n        h = v * m\n    return v * relu(h)\n",
        "model on(x):\n    return (x, -x)\n",
        "train on on on, train as per:\n    per = 1\n    w[t, a] = m[t, a]\n    per per, on:\n        on = none\n",
        "train mlp on xi:\n    parametrization = abcd(matrix=(0, 1 / 2, 1, 1), out=0)\n    kernels = (h1, h2)\n",
        "for t in 0..T - 1:\n    x = 1\n    vector v\n",
        "if a == 1:\n    x = 1\nelif not b:\n    x = 2\nelse:\n    x = 3\n",
        "optimizer adam(beta1=0.9, eps):\n    state m = 0, v = 0\n    if a > 1:\n        m = g\n    return m / v\n",
        "train[a] = 1\nmodel = 2\nper += 1\non{i} = 1\nscalar = 3\nvector = 2\nparam[a] = 1\nstate = vector + data\n",
    ],
)
def test_canonical_statements_print_as_written(text: str) -> None:
    assert print_program(tree(text)) == text


def test_statement_nodes() -> None:
    body = tree("vector u[d], b ~ N(0, 1)\noutput u as K[a]\nfor t in 0..3: x = 1; y = 2").body
    initial, output, loop = body
    assert isinstance(initial, ast.Initial) and initial.kind == "vector"
    assert initial.items[0].law is None and len(initial.items[0].shape) == 1
    assert initial.items[1].law is not None and initial.items[1].shape == ()
    assert isinstance(output, ast.Output) and isinstance(output.alias, ast.Subscript)
    assert isinstance(loop, ast.For) and len(loop.body) == 2


def test_one_line_blocks_and_indented_blocks_are_equal() -> None:
    assert equal(tree("if a: x = 1; y = 2\nz = 3"), tree("if a:\n  x = 1\n  y = 2\nz = 3\n"))
    assert not equal(tree("if a: x = 1"), tree("if a: x = 2"))
    assert not equal(tree("x = 1"), tree("x = 1; y = 1"))
    assert not equal(tree("x = a + b"), tree("x = a - b"))


def test_model_and_train_nodes() -> None:
    model, train = tree(
        "model mlp(xi[d], z): vector v; return (v * z, v)\n"
        "train mlp on xi, y as wide:\n    rate = 0.2\n    w[t, a] = 1\n    per W, v: rate = 1; decay = 0\n"
    ).body
    assert isinstance(model, ast.Model) and model.name.id == "mlp"
    assert [(item.name.id, len(item.shape), item.standin) for item in model.arguments] == [
        ("xi", 1, None),
        ("z", 0, None),
    ]
    result = model.body[-1]
    assert isinstance(result, ast.Return) and isinstance(result.value, ast.Tuple) and len(result.value.items) == 2
    assert isinstance(train, ast.Train) and train.model.id == "mlp"
    assert [name.id for name in train.arrays] == ["xi", "y"] and train.alias is not None and train.alias.id == "wide"
    rate, weights, per = train.body
    assert isinstance(rate, ast.Field) and rate.indices is None
    assert isinstance(weights, ast.Field) and weights.indices is not None and len(weights.indices) == 2
    assert isinstance(per, ast.Per) and [name.id for name in per.names] == ["W", "v"]
    assert [field.name.id for field in per.fields] == ["rate", "decay"]
    assert per.span.text == "per W, v: rate = 1; decay = 0"
    assert train.span.text.startswith("train mlp") and train.span.end == per.span.end


def test_initial_values() -> None:
    (initial,) = tree("scalar s = 2, g ~ N(0, 1), c[3] = 0").body
    assert isinstance(initial, ast.Initial) and initial.kind == "scalar"
    value, law, family = initial.items
    assert isinstance(value.value, ast.Number) and value.value.value == 2 and value.law is None
    assert law.law is not None and law.value is None
    assert isinstance(family.value, ast.Number) and len(family.shape) == 1


def test_fields_on_the_line_and_in_a_block_are_equal() -> None:
    assert equal(tree("train m on x: a = 1; b[k] = 2"), tree("train m on x:\n  a = 1\n  b[k] = 2"))
    assert equal(tree("train m on x:\n  per W: a = 1; b = 2"), tree("train m on x:\n  per W:\n    a = 1\n    b = 2"))
    assert not equal(tree("train m on x: a = 1"), tree("train m on x: a[k] = 1"))
    assert not equal(tree("train m on x: a = 1"), tree("train m on x as y: a = 1"))


def test_a_pair_is_no_parenthesis() -> None:
    (model,) = tree("model m(x): return (x)").body
    assert isinstance(model, ast.Model) and isinstance(model.body[0], ast.Return)
    assert isinstance(model.body[0].value, ast.Paren)


def test_walks_reach_every_name() -> None:
    program = tree(
        "model a(b[c]): d = e; return (f, g)\ntrain h on i, j as k:\n  l[m] = n\n  per o, p: q = r(s=(t, u))"
    )
    found = [node.id for node in walk_nodes(program) if isinstance(node, ast.Name)]
    assert "".join(found) == "abcdefghijklmnopqrstu"


def test_empty_programs() -> None:
    for text in ("", "\n\n", "# only a comment", "   # indented\n\t# by a tab\n", "\ufeff", "\r\n"):
        assert tree(text).body == ()


def test_lines_join_inside_brackets_only() -> None:
    assert equal(tree("x = f(\n a, # comment\n\n  b)\ny = 1"), tree("x = f(a, b)\ny = 1"))
    assert equal(tree("x = (<a\n|b>)"), tree("x = (<a|b>)"))
    assert equal(tree("x = 1\r\ny = 2\r\n"), tree("x = 1\ny = 2"))


def test_names_are_compared_in_nfkc() -> None:
    micro, mu = value("µ"), value("μ")
    assert isinstance(micro, ast.Name) and isinstance(mu, ast.Name)
    assert micro.id == mu.id == "μ"
    assert micro.span.text == "µ"
    decomposed = value("e\u0301")
    assert isinstance(decomposed, ast.Name) and decomposed.id == "é"
    assert equal(tree("one = if_ + in1 + format"), tree("one = if_ + in1 + format"))


def test_spans_are_the_text_of_the_node() -> None:
    text = "ﬁ = <µ[a] | T' @ y> + (b)^2  # é\nfor t in 0..T:\n    output x as K[a]\n"
    program = tree(text)
    spans = {type(node).__name__: node.span.text for node in walk_nodes(program)}
    assert spans["BraKet"] == "<µ[a] | T' @ y>"
    assert spans["Prime"] == "T'"
    assert spans["Paren"] == "(b)"
    assert spans["Assign"] == "ﬁ = <µ[a] | T' @ y> + (b)^2"
    assert spans["For"] == "for t in 0..T:\n    output x as K[a]"
    assert spans["Output"] == "output x as K[a]"
    assert spans["Program"] == text


def test_numbers() -> None:
    for text, number in (("2", 2), ("0.5", 0.5), ("1e-4", 1e-4), ("2E3", 2000.0), ("007", 7)):
        node = value(text)
        assert isinstance(node, ast.Number)
        assert node.value == number and type(node.value) is type(number) and node.text == text


def test_children_spans_lie_inside_their_parents() -> None:
    program = tree(
        "for t in 0..T:\n    if t == 0: f0[a] = stop(f[a])\n    u[k] -= eta * adam(grad(loss, u[k]), beta=1)"
    )
    for node in walk_nodes(program):
        for field in ("body", "target", "value", "left", "right", "base", "function"):
            child = getattr(node, field, None)
            if isinstance(child, ast.Node):
                assert node.span.start <= child.span.start and child.span.end <= node.span.end

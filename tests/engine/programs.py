"""Small programs as graphs, each named."""

from __future__ import annotations

from collections.abc import Callable

from nexort.graph import Average, Graph, Node, Reduce, Select, Stack, Type

from .build import contraction, dense, entrywise, f, graph_of, mat, matmul, num, vec, x0, x1, x2, x3


def average(node: Node, *axes: int) -> Average:
    return Average(type=Type(node.type.shape, node.type.order - len(axes)), operands=(node,), axes=axes)


def tensor_times_vector() -> Graph:
    x, y, z = vec("x"), vec("y"), vec("z", 3)
    t = entrywise(f("sign", x0 * x1) + x1, (x, "I"), (y, "J"), out="IJ")
    return graph_of(
        a=contraction((t, "IJ"), (z, "aJ"), out="aI"),
        b=contraction((t, "JI"), (z, "aJ"), out="aI"),
        c=average(t, 0, 1),
        d=average(t, 1),
        e=contraction((t, "IJ"), (t, "JI"), out=""),
        g=average(entrywise(x0**2, (t, "IJ"), out="IJ"), 0),
    )


def diagonal() -> Graph:
    x, y = vec("x"), vec("y")
    t = entrywise(f("tanh", x0 * x1 + x0), (x, "I"), (y, "J"), out="IJ")
    return graph_of(d=entrywise(x0 + x1, (t, "II"), (x, "I"), out="I"), s=contraction((t, "II"), (t, "IJ"), out="J"))


def order_three() -> Graph:
    x, z = vec("x"), vec("z")
    t = entrywise(f("tanh", x0 * x1 + x2), (x, "I"), (x, "J"), (z, "K"), out="IJK")
    partial = average(t, 2)
    return graph_of(
        y=average(t, 1, 2),
        s=average(t, 0, 1, 2),
        w=contraction((t, "IJK"), (z, "J"), (x, "K"), out="I"),
        p=contraction((partial, "IJ"), (z, "I"), out="J"),
        q=contraction((partial, "JI"), (partial, "JK"), (z, "I"), out="K"),
    )


def families() -> Graph:
    x, y = vec("x", 3), vec("y", 3)
    t = entrywise(f("tanh", x0 * x1), (x, "aI"), (y, "aJ"), out="aIJ")
    one = Select(type=Type((), 2), operands=(t,), index=(1,))
    total = Reduce(type=Type((), 2), operands=(t,), kind="sum", axes=(0,))
    both = Stack(type=Type((2,), 2), operands=(one, total), axis=0)
    return graph_of(
        o=contraction((one, "IJ"), (x, "aJ"), out="aI"),
        b=contraction((both, "bIJ"), (x, "aI"), out="abJ"),
        m=average(both, 0, 1),
        k=contraction((t, "aIJ"), (t, "bIJ"), out="ab"),
    )


def products_of_tensors() -> Graph:
    x, y, z = vec("x"), vec("y"), vec("z")
    t = entrywise(f("sign", x0 * x1 + x0), (x, "I"), (y, "J"), out="IJ")
    s = entrywise(f("tanh", x0 * x1), (y, "I"), (z, "J"), out="IJ")
    product = contraction((t, "IK"), (s, "KJ"), out="IJ")
    return graph_of(
        a=contraction((product, "IJ"), (z, "J"), out="I"),
        b=average(entrywise(f("abs", x0), (product, "IJ"), out="IJ"), 0, 1),
    )


def transposed_state() -> Graph:
    """An accumulated tensor read in both orders of its axes, and made anew from its transpose."""
    x, y = vec("x"), vec("y")
    state: Node = num(0.0)
    sums: list[Node] = []
    for t in range(3):
        step = entrywise(f("tanh", x0 * x1 * (t + 1)), (x, "I"), (y, "J"), out="IJ")
        labels = "" if state.type.order == 0 else "JI"
        state = entrywise(x0 / 2 + f("sin", x1), (state, labels), (step, "IJ"), out="IJ")
        sums.append(contraction((state, "IJ"), (y, "J"), (x, "I"), out=""))
    return graph_of(s=sums, v=contraction((state, "JI"), (y, "J"), out="I"))


def adam(steps: int = 3, inputs: int = 5) -> Graph:
    """v·tanh(W relu(u_a)) trained on its sum of squares, W by Adam, u by gradient descent."""
    u: Node = vec("u", inputs)
    v, w = vec("v"), mat("W")
    weight: Node = w
    m: Node = num(0.0)
    q: Node = num(0.0)
    outputs: list[Node] = []
    for t in range(1, steps + 1):
        x = entrywise(f("relu", x0), (u, "aI"), out="aI")
        h = matmul(weight, x)
        z = entrywise(f("tanh", x0), (h, "aI"), out="aI")
        out = contraction((v, "I"), (z, "aI"), out="a")
        outputs.append(out)
        dh = entrywise(x0 * (x1 - 1) * (1 - x2**2), (v, "I"), (out, "a"), (z, "aI"), out="aI")
        dx = matmul(weight, dh, is_transposed=True)
        g = contraction((dh, "aI"), (x, "aJ"), out="IJ")
        m = entrywise(0.9 * x0 + 0.1 * x1, (m, "IJ" if m.type.order else ""), (g, "IJ"), out="IJ")
        q = entrywise(0.99 * x0 + 0.01 * x1**2, (q, "IJ" if q.type.order else ""), (g, "IJ"), out="IJ")
        ratio = entrywise((x0 / (1 - 0.9**t)) / f("sqrt", x1 / (1 - 0.99**t) + 1e-4), (m, "IJ"), (q, "IJ"), out="IJ")
        weight = dense((num(1.0), weight), (num(-0.2), ratio))
        u = entrywise(x0 - 0.1 * x1 * f("step", x0), (u, "aI"), (dx, "aI"), out="aI")
    return graph_of(f=outputs)


def normalized_update() -> Graph:
    """An update divided by its rms and scaled by row and column means, as in Adafactor."""
    x, y, z, w = vec("x", 2), vec("y", 2), vec("z"), mat("W")
    g = contraction((x, "aI"), (y, "aJ"), out="IJ")
    square = entrywise(x0**2, (g, "IJ"), out="IJ")
    rms, rows, columns = average(square, 0, 1), average(square, 1), average(square, 0)
    update = entrywise(x0 * f("sqrt", x1 / (x2 * x3)), (g, "IJ"), (rms, ""), (rows, "I"), (columns, "J"), out="IJ")
    again = average(entrywise(x0**2, (update, "IJ"), out="IJ"), 0, 1)
    clipped = entrywise(x0 / f("sqrt", 1 + x1), (update, "IJ"), (again, ""), out="IJ")
    new = dense((num(0.9), w), (num(-0.5), clipped), (num(0.25), w))
    return graph_of(a=matmul(new, z), b=matmul(w, z, is_transposed=True), c=again)


def linear_tensors() -> Graph:
    """Sums of outer products that are only contracted: momentum over steps, families, transposes, row scalings."""
    v, u = vec("v"), vec("u", 3)
    g: Node = num(0.0)
    outputs: list[Node] = []
    for t in range(4):
        x = entrywise(f("tanh", x0 * (t + 1)), (u, "aI"), out="aI")
        y = entrywise(x0 * x1, (v, "I"), (u, "aI"), out="aI")
        step = contraction((x, "aI"), (y, "aJ"), out="IJ")
        half = entrywise(x0 * x1, (num(0.5), ""), (g, "IJ" if g.type.order else ""), out="IJ" if g.type.order else "")
        g = entrywise(x0 + x1, (half, "IJ" if half.type.order else ""), (step, "IJ"), out="IJ")
        outputs.append(contraction((g, "IJ"), (v, "I"), (v, "J"), out=""))
    family = contraction((u, "aI"), (u, "bJ"), out="abIJ")
    scaled = entrywise(x0 / x1, (entrywise(x0 * x1, (g, "IJ"), (v, "I"), out="JI"), "IJ"), (num(3.0), ""), out="IJ")
    with_vector = entrywise(x0 - x1, (scaled, "IJ"), (v, "J"), out="IJ")
    one = Select(type=Type((3,), 2), operands=(family,), index=(1, None))
    total = Reduce(type=Type((3,), 2), operands=(family,), kind="mean", axes=(0,))
    both = Stack(type=Type((3, 2), 2), operands=(one, total), axis=1)
    square = contraction((with_vector, "IK"), (g, "KJ"), out="IJ")
    return graph_of(
        s=outputs,
        y=contraction((with_vector, "IJ"), (u, "aJ"), out="aI"),
        z=contraction((with_vector, "JI"), (v, "J"), out="I"),
        q=contraction((g, "IJ"), (g, "IJ"), out=""),
        d=contraction((with_vector, "II"), (g, "IJ"), out="J"),
        m=average(with_vector, 0),
        a=average(with_vector, 0, 1),
        b=contraction((both, "abIJ"), (v, "J"), out="baI"),
        r=contraction((square, "IJ"), (u, "aJ"), out="aI"),
    )


def polynomial_of_a_tensor() -> Graph:
    """Many products of the same vectors with different coefficients, whose sum is read entry by entry."""
    x, y, w = vec("x", 3), vec("y", 3), mat("W")
    total: Node = contraction((x, "aI"), (y, "aJ"), out="IJ")
    coefficient = contraction((x, "aI"), (y, "bI"), out="ab")
    for k in range(4):
        part = contraction((x, "aI"), (coefficient, "ab"), (y, "bJ"), out="IJ")
        total = entrywise(
            x0 + x1, (total, "IJ"), (entrywise(x0 * x1, (num(k), ""), (part, "IJ"), out="IJ"), "IJ"), out="IJ"
        )
        coefficient = contraction((coefficient, "ab"), (coefficient, "bc"), out="ac")
    new = dense((num(1.0), w), (num(-0.3), total))
    return graph_of(
        a=matmul(new, x),
        b=average(entrywise(f("tanh", x0), (total, "IJ"), out="IJ"), 0),
        c=contraction((total, "JI"), (x, "aJ"), out="aI"),
        d=entrywise(x0 * x1, (total, "II"), (x, "aI"), out="aI"),
    )


PROGRAMS: dict[str, Callable[[], Graph]] = {
    make.__name__: make
    for make in (
        tensor_times_vector,
        diagonal,
        order_three,
        families,
        products_of_tensors,
        transposed_state,
        adam,
        normalized_update,
        linear_tensors,
        polynomial_of_a_tensor,
    )
}

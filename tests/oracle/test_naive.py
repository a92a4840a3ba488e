"""The naive evaluator on its own: against NumPy written by hand, central differences, and optimizers as loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from .fixtures import Draws, central_difference, naive

PROGRAMS = Path(__file__).resolve().parents[2] / "programs"
n = 8


def shipped(name: str) -> str:
    return (PROGRAMS / name).read_text(encoding="utf-8")


def drawn(kind: str, name: str, *element: int, loop_pass: tuple[int, ...] = ()) -> np.ndarray:
    return Draws(n)(kind, name, loop_pass, element)


# ------------------------------------------------- the programs of the contract


def training_data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {"xi": rng.standard_normal((5, 3)), "y": rng.standard_normal(5), "train": np.array([1.0, 1, 1, 1, 0])}


def test_adam_program_is_adam_by_hand() -> None:
    data = training_data()
    xi, y, train = data["xi"], data["y"], data["train"]
    params = [np.array([drawn("vector", "u", k) for k in range(3)]), drawn("matrix", "W"), drawn("vector", "v")]
    first, second = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
    outputs = []
    f0: np.ndarray | float = 0.0
    for t in range(4):
        u, W, v = params
        h1 = xi @ u
        x1 = np.maximum(h1, 0)
        h2 = x1 @ W.T
        x2 = np.maximum(h2, 0)
        f = x2 @ v / n
        f0 = f if t == 0 else f0
        f = f - f0
        outputs.append(f)
        chi = train * (f - y) / train.sum()
        dh2 = chi[:, None] * v * (h2 > 0)
        dh1 = dh2 @ W * (h1 > 0)
        gradients = [xi.T @ dh1, dh2.T @ x1, chi @ x2]
        for p, g in enumerate(gradients):
            first[p] = 0.9 * first[p] + 0.1 * g
            second[p] = 0.99 * second[p] + 0.01 * g**2
            move = first[p] / (1 - 0.9 ** (t + 1)) / np.sqrt(second[p] / (1 - 0.99 ** (t + 1)) + 1e-8)
            params[p] = params[p] - 0.2 * move / (n if p == 1 else 1)
    run = naive(shipped("adam_mup.nx"), params={"T": 4, "M": 5, "d": 3}, data=data)
    assert_allclose(run.outputs["f"], outputs, atol=1e-12)


def test_signsgd_program_is_adam_at_its_first_step() -> None:
    data = training_data()
    by_hand = naive(shipped("signsgd_written_out.nx"), params={"T": 2, "M": 5, "d": 3}, data=data)
    lines = [
        line for line in shipped("adam_mup.nx").splitlines() if not line.startswith(("    u[k] -=", "    v    -="))
    ]
    by_adam = naive("\n".join(lines), params={"T": 2, "M": 5, "d": 3}, data=data)
    assert np.abs(by_hand.outputs["f"][1]).max() > 1e-3
    assert_allclose(by_hand.outputs["f"], by_adam.outputs["f"], atol=1e-13)


def test_moment_programs() -> None:
    x, W = drawn("vector", "x"), drawn("matrix", "W")
    A = (W + W.T) / np.sqrt(2)
    outputs = naive(shipped("marchenko_pastur.nx")).outputs
    for k in (1, 2, 3):
        assert_allclose(outputs[f"mp{k}"], x @ np.linalg.matrix_power(W.T @ W, k) @ x / n)
        assert_allclose(outputs[f"sc{2 * k}"], x @ np.linalg.matrix_power(A, 2 * k) @ x / n)
    P = drawn("matrix", "V") @ W
    assert_allclose(naive(shipped("fuss_catalan.nx")).outputs["moment2"], x @ P.T @ P @ P.T @ P @ x / n)
    assert_allclose(naive(shipped("transpose.nx")).outputs["output1"], x @ W.T @ np.sign(W @ x) / n)


def test_outer_product_program() -> None:
    x, y = drawn("vector", "x"), drawn("vector", "y")
    assert_allclose(naive(shipped("outer_product.nx")).outputs["output1"], x @ np.sign(np.outer(x, y)) @ y / n**2)


def test_message_passing_and_muon_programs() -> None:
    A = (drawn("matrix", "W") + drawn("matrix", "W").T) / np.sqrt(2)
    z = [drawn("vector", "start")]
    z.append(A @ np.tanh(z[0]))
    for _ in range(3):
        z.append(A @ np.tanh(z[-1]) - np.mean(1 - np.tanh(z[-1]) ** 2) * np.tanh(z[-2]))
    assert_allclose(naive(shipped("amp.nx")).outputs["tau"], [one @ one / n for one in z[1:]])

    run = naive(shipped("muon.nx"), params={"T": 1})
    singular = np.linalg.svd(run.value("X") / n, compute_uv=False)
    assert np.all((singular[:2] > 0.6) & (singular[:2] < 1.3))  # the third may start too small for five iterations
    assert singular[3] < 1e-10  # three inputs: rank 3
    assert_allclose(run.value("W"), drawn("matrix", "W") - 0.1 * run.value("X") / n)


# all but those with `train`, which the naive evaluator does not know
ORDINARY = sorted(path for path in PROGRAMS.glob("*.nx") if not path.stem.startswith("train_"))


@pytest.mark.parametrize("path", ORDINARY, ids=lambda path: path.stem)
def test_every_shipped_program_runs(path: Path) -> None:
    small = {"M": 3, "d": 2, "T": 2} if path.stem in ("adam_mup", "signsgd_written_out") else {}
    run = naive(path.read_text(encoding="utf-8"), params=small, name=str(path))
    assert run.outputs
    assert all(np.all(np.isfinite(output)) for output in run.outputs.values())


# -------------------------------------------------------------------- gradients

SCALARS = {
    "network": "vector u, v\nmatrix W\ns = <v | tanh(W @ relu(W @ gelu(u)))>^2",
    "transposes": "vector u, v\nmatrix W\nx = W' @ sin(W @ u)\ns = <v | W' @ tanh(x)> + avg(softplus(W @ x))",
    "operators": (
        "vector u, v\nmatrix W\nA = (W + 2 * W') / sqrt(2) - 0.5 * |u><v|\ns = avg(tanh(A @ A' @ u) * silu(A' @ v))"
    ),
    "brackets": "vector u, v\nmatrix W\nT = sin(|u><v|)\ns = <u|T|v> * <u|W|v> + <v | (T @ T' @ W) @ u>",
    "tensors": (
        "vector u, v\nmatrix W\nT{i,j} = tanh(u{i} * v{j}) + (W @ u){i} * (W' @ v){j}\nS = T'\n"
        "r{i} = avg{j}(T{i,j}^2)\nb{i} = avg{j,k}(tanh(u{i} * v{j} + r{k}))\n"
        "s = sqrt(avg{i,j}(T{i,j} * S{i,j}^2)^2 + 1) + <r|b> + <u|T @ v>"
    ),
    "order three": (
        "vector u, v\nmatrix W\nT{i,j,k} = sin(u{i} * v{j} + (W @ u){k})\ny{j} = avg{i,k}(T{i,j,k} * T{k,j,i})\n"
        "s = <y|v> + avg(T^2)"
    ),
    "diagonal": "vector u, v\nmatrix W\nT{i,j} = exp(u{i} / 9 - v{j} / 7) * (W @ u){j}\nd{i} = T{i,i}\ns = <d | T @ d>",
    "families": (
        "param P = 3\nvector w[P], u, v\nmatrix W\nx[p] = W @ w[p] * u + v\nk[p, q] = <x[p] | x[q]>\n"
        "a[p, q] = exp(k[p, q]) / sum[r](exp(k[p, r]))\ny[p] = sum[q](a[p, q] * sigmoid(x[q]))\n"
        "s = mean[p](<y[p]|v>) + max[p](<x[p]|u>)"
    ),
    "derivatives": (
        "def phi(h, c) = h * (1 + erf(h / sqrt(2))) / 2 + c * where(h > 0.3, h^2, cos(h))\nvector u, v\nmatrix W\n"
        "x = phi'(W @ u, v)\ns = avg(phi''(x, 2) * u) + avg(tanh'(x)) + avg(log(1 + exp(v)) * abs(x) * max(x, v))"
    ),
    "layer norm": (
        "vector u, v\nmatrix W\nx = W @ relu(u)\nz = (x - avg(x)) / sqrt(avg((x - avg(x))^2) + 0.1)\n"
        "s = <v | leaky_relu(z) + clip(z, -0.5, 0.5)>"
    ),
    "recurrence": (
        "vector u, v, x[1]\nmatrix W\nh[0] = u\nfor t in 0..3:\n    h[t + 1] = tanh(W @ h[t] + v)\n"
        "s = sum[t](<h[t] | v>)"
    ),
}


@pytest.mark.parametrize("text", SCALARS.values(), ids=SCALARS.keys())
@pytest.mark.parametrize(("kind", "name"), [("vector", "u"), ("vector", "v"), ("matrix", "W")])
def test_gradient_is_the_central_difference(text: str, kind: str, name: str) -> None:
    try:
        run = naive(f"{text}\ng = grad(s, {name})", n=5)
    except ValueError as error:
        assert "does not depend" in str(error)
        pytest.skip("s does not use it")
    shape = (5,) if kind == "vector" else (5, 5)
    difference = central_difference(
        lambda draws: float(naive(text, n=5, draws=draws).value("s")), Draws(5), name, (), shape
    )
    assert np.abs(difference).max() > 1e-4
    assert_allclose(run.value("g"), 5 * difference, rtol=1e-6, atol=1e-7)


def test_gradient_in_computed_values() -> None:
    text = """
vector u, v
matrix W
h = W @ u
T{i,j} = tanh(h{i} * v{j})
z = T @ v
c = avg(z^2)
s = c * <z|u>
dT = grad(s, T)
dz = grad(s, z)
dc = grad(s, c)
dh = grad(s, h)
dW = grad(s, W)
"""
    run = naive(text)
    h, u, v, z = (run.value(name) for name in ("h", "u", "v", "z"))
    assert_allclose(run.value("dc"), z @ u / n)
    assert_allclose(run.value("dz"), run.value("c") * u + 2 * z * (z @ u) / n)
    assert_allclose(run.value("dT"), np.outer(run.value("dz"), v))
    slope = 1 - np.tanh(np.outer(h, v)) ** 2
    assert_allclose(run.value("dh"), (run.value("dT") * slope * v).mean(axis=1))
    assert_allclose(run.value("dW"), np.outer(run.value("dh"), u))


def test_gradient_of_order_three_tensor() -> None:
    run = naive("vector x\nT{i,j,k} = x{i} * x{j} * x{k}\ns = avg(T^2)\ng = grad(s, T)")
    assert_allclose(run.value("g"), 2 * run.value("T"))


def test_gradients_are_constants_and_versions_count() -> None:
    text = """
vector u, v
y = u
s = <u|v> + <y|v>
g = grad(s, y)
w = <g|v>^2 + 3 * <v|v>
dw = grad(w, v)
a = <stop(v) | v>
da = grad(a, v)
u += v
b = <u|v>
db = grad(b, u)
p = 2
p *= 3
q = p^2
dq = grad(q, p)
"""
    run = naive(text)
    v = run.value("v")
    assert_allclose(run.value("g"), v)
    assert_allclose(run.value("dw"), (2 * (v @ v) / n + 6) * v)
    assert_allclose(run.value("da"), v)
    assert_allclose(run.value("db"), v)
    assert_allclose(run.value("dq"), 12)
    with pytest.raises(ValueError, match="does not depend"):
        naive("vector u, v\ns = <u|v>\nu = 2 * u\ng = grad(s, u)")


def test_tangent_kernel_from_gradients_of_elements() -> None:
    run = naive(shipped("nngp_ntk_mlp.nx"), params={"L": 1})
    h = np.array([run.value("h", 1, a) for a in range(3)])
    h0 = np.array([run.value("h", 0, a) for a in range(3)])
    v, W = drawn("vector", "v"), drawn("matrix", "W", 0)
    xi = np.array([[run.value("xi", a, k) for k in range(4)] for a in range(3)])
    x0, x1 = np.maximum(h0, 0), np.maximum(h, 0)
    dh = v * (h > 0)
    dh0 = dh @ W * (h0 > 0)
    expected = x1 @ x1.T / n + (dh @ dh.T / n) * (x0 @ x0.T / n) + (dh0 @ dh0.T / n) * (xi @ xi.T)
    assert_allclose(run.outputs["ntk"], expected)


def test_derivatives_at_kinks() -> None:
    values = {
        "relu'(z)": 0, "step'(z)": 0, "abs'(z)": 0, "sign'(z)": 0, "leaky_relu'(z, 0.2)": 0.2, "max'(z, z)": 0.5,
        "min'(z, 0)": 0.5, "clip'(z, 0, 1)": 1, "clip'(z + 1, 0, 1)": 1, "where(z > 0, 1, 2)": 2, "step(z)": 0,
        "relu''(z)": 0, "tanh'(z)": 1, "sigmoid'(z)": 0.25, "gelu'(z)": 0.5, "silu''(z)": 0.5, "tanh''(1 + z)": None,
    }  # fmt: skip
    text = "vector x\nz = 0 * x\n" + "\n".join(f"r{i} = avg({e})" for i, e in enumerate(values))
    run = naive(text)
    for i, (expression, expected) in enumerate(values.items()):
        expected = -2 * np.tanh(1) * (1 - np.tanh(1) ** 2) if expected is None else expected
        assert_allclose(run.value(f"r{i}"), expected, atol=1e-12, err_msg=expression)
    ties = naive("s[0] = 2\ns[1] = 2\ns[2] = 1\nm = max[k](s[k])\ng = grad(m, s)")
    assert [float(ties.value("g", k)) for k in range(3)] == [0.5, 0.5, 0]


def test_unchosen_branch_gives_no_gradient() -> None:
    run = naive("vector x\nz = 0 * x\ns = avg(where(z > 0, sqrt(z), z))\ng = grad(s, z)")
    assert_array_equal(run.value("g"), np.ones(n))


# --------------------------------------------------------------------- language


def test_static_indices_loops_and_outputs() -> None:
    text = """
param T = 3, M = 2
data y[M] = [1, 2]
vector x[M], w
for t in 0..T:
    vector fresh
    k[a, b] = y[a] * y[b] * t
    output k
    if t % 2 == 0: output <fresh|w> as even
    elif t == 1: odd = t
    for r in 0..2:
        output 10 * t + r as both
output <x[a] | x[b]> as K[a, b]
output <w|w>
output w
output y
output n + pi
g[a < 4] = 1
g[1] *= 5
g[0] += n
total = sum[a](g[a])
output total
output mean[a < 3](g[a]) as partial
c[0] = 1
for t in 0..T:
    c[t + 1] = sum[s](c[s])
output c
"""
    run = naive(text, data={"y": np.array([1.0, 2.0])})
    out = run.outputs
    assert_allclose(out["k"], [[[t, 2 * t], [2 * t, 4 * t]] for t in range(3)])
    fresh = [drawn("vector", "fresh", loop_pass=(t,)) for t in range(3)]
    w, x = drawn("vector", "w"), np.array([drawn("vector", "x", a) for a in range(2)])
    assert_allclose(out["even"], [fresh[0] @ w / n, fresh[2] @ w / n])
    assert_allclose(out["both"], [[0, 1], [10, 11], [20, 21]])
    assert_allclose(out["K"], x @ x.T / n)
    assert_allclose(out["output1"], w @ w / n)
    assert_allclose(out["w"], w)
    assert_allclose(out["y"], [1, 2])
    assert_allclose(out["output2"], n + np.pi)
    assert_allclose(out["total"], 9 + 5 + 1 + 1)
    assert_allclose(out["partial"], 5)
    assert_allclose(out["c"], [1, 1, 2, 4])


def test_for_all_computes_the_right_side_first() -> None:
    run = naive("x[0] = 1\nx[1] = 2\nx[2] = 4\nx[a] -= sum[b](x[b])\noutput x")
    assert_array_equal(run.outputs["x"], [-6, -5, -3])


def test_width_axes() -> None:
    text = """
vector x, y
matrix W
T{i,j} = sign(x{i} * y{j}) * x{i}
U = T'
one{i} = 1
d{i} = T{i,i}
m{j} = avg{i}(T{i,j} * (W @ y){i})
w{i} = U{i,i} * avg{j}(U'{i,j}) + <x|y>
three{k,i} = x{i} - y{k}
rep{i,j} = x{j}
G = 0
G{i,j} += x{i} * y{j}
G += |y><x|
V = W - 0.5 * G
z = (W @ V') @ (T @ x)
"""
    run = naive(text)
    x, y, W = drawn("vector", "x"), drawn("vector", "y"), drawn("matrix", "W")
    T = np.sign(np.outer(x, y)) * x[:, None]
    assert_array_equal(run.value("one"), np.ones(n))
    assert_allclose(run.value("d"), np.diag(T))
    assert_allclose(run.value("m"), T.T @ (W @ y) / n)
    assert_allclose(run.value("w"), np.diag(T) * T.mean(axis=1) + x @ y / n)
    assert_allclose(run.value("three"), x[None, :] - y[:, None])
    assert_allclose(run.value("rep"), np.tile(x, (n, 1)))
    V = W - 0.5 * (np.outer(x, y) + np.outer(y, x)) / n
    assert_allclose(run.value("V"), V)
    assert_allclose(run.value("z"), W @ V.T @ T @ x / n)


# ------------------------------------------------------------------- optimizers


def adam_like(g: list[np.ndarray], kind: str) -> list[np.ndarray]:
    """Update rules as loops over a list of gradients of one array."""
    m, v, d, product, moves = 0.0, 0.0, 0.0, 1.0, []
    for t, x in enumerate(g, 1):
        match kind:
            case "sgd":
                move = x
            case "momentum" | "nesterov":
                m = 0.9 * m + x
                move = m if kind == "momentum" else x + 0.9 * m
            case "signsgd":
                move = x / np.sqrt(x**2 + 1e-16)
            case "adam":
                m, v = 0.9 * m + 0.1 * x, 0.999 * v + 0.001 * x**2
                move = m / (1 - 0.9**t) / np.sqrt(v / (1 - 0.999**t) + 1e-16)
            case "adamax":
                m, v = 0.9 * m + 0.1 * x, np.maximum(0.999 * v, np.abs(x) + 1e-8)
                move = m / (1 - 0.9**t) / v
            case "nadam":
                mu, nu = (0.9 * (1 - 0.5 * 0.96 ** (0.004 * s)) for s in (t, t + 1))
                product *= mu
                m, v = 0.9 * m + 0.1 * x, 0.999 * v + 0.001 * x**2
                move = nu * m / (1 - product * nu) + (1 - mu) * x / (1 - product)
                move = move / np.sqrt(v / (1 - 0.999**t) + 1e-16)
            case "rmsprop":
                v = 0.99 * v + 0.01 * x**2
                move = x / np.sqrt(v + 1e-16)
            case "adagrad":
                v = v + x**2
                move = x / np.sqrt(v + 1e-20)
            case "adadelta":
                v = 0.9 * v + 0.1 * x**2
                move = np.sqrt(d + 1e-6) / np.sqrt(v + 1e-6) * x
                d = 0.9 * d + 0.1 * move**2
            case "lion":
                move = np.sign(0.9 * m + 0.1 * x)
                m = 0.99 * m + 0.01 * x
            case "adafactor":
                beta = 1 - t**-0.8
                square = x**2 + 1e-30
                if x.ndim < 2:
                    v = beta * v + (1 - beta) * square
                    move = x / np.sqrt(v)
                else:
                    v = beta * v + (1 - beta) * square.mean(axis=1, keepdims=True)
                    d = beta * d + (1 - beta) * square.mean(axis=0, keepdims=True)
                    move = x / np.sqrt(v * d / v.mean())
                move = move / max(1.0, np.sqrt(np.mean(move**2)))
            case _:
                raise ValueError(kind)
        moves.append(move)
    return moves


SHIPPED = (
    "sgd", "momentum", "nesterov", "signsgd", "adam", "adamax", "nadam", "rmsprop", "adagrad", "adadelta", "lion",
    "adafactor",
)  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_optimizers_on_scalars_vectors_and_matrices(name: str) -> None:
    text = f"""
import "optimizers.nx"
vector p
matrix W
s = 1
for t in 0..4:
    vector x, y
    p -= 0.5 * {name}(grad(<p|x>, p))
    W = (1 - 0.1) * W - 0.5 * {name}(grad(<x|W|y>, W))
    c = <x|y>
    s -= 0.5 * {name}(grad(s * c, s))
"""
    run = naive(text)
    xs = [drawn("vector", "x", loop_pass=(t,)) for t in range(4)]
    ys = [drawn("vector", "y", loop_pass=(t,)) for t in range(4)]
    assert_allclose(run.value("p"), drawn("vector", "p") - 0.5 * sum(adam_like(xs, name)))
    weights = drawn("matrix", "W")
    for move in adam_like([np.outer(x, y) for x, y in zip(xs, ys, strict=True)], name):
        weights = 0.9 * weights - 0.5 * move / n
    assert_allclose(run.value("W"), weights)
    dots = [np.array(x @ y / n) for x, y in zip(xs, ys, strict=True)]
    assert_allclose(run.value("s"), 1 - 0.5 * sum(adam_like(dots, name)))


TORCH = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "nesterov": ("SGD", {"momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {}),
    "adamax": ("Adamax", {}),
    "nadam": ("NAdam", {}),
    "rmsprop": ("RMSprop", {}),
    "adagrad": ("Adagrad", {}),
    "adadelta": ("Adadelta", {}),
}


@pytest.mark.parametrize("name", TORCH)
def test_defaults_are_those_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    kind, options = TORCH[name]
    text = f'import "optimizers.nx"\nvector p\nfor t in 0..5:\n    vector x\n    p -= 0.5 * {name}(grad(<p|x>, p))\n'
    weight = torch.tensor(drawn("vector", "p"), requires_grad=True)
    optimizer = getattr(torch.optim, kind)([weight], lr=0.5, **options)
    for t in range(5):
        weight.grad = torch.tensor(drawn("vector", "x", loop_pass=(t,)))
        optimizer.step()
    assert_allclose(naive(text).value("p"), weight.detach().numpy(), atol=1e-6)


def test_state_and_step_belong_to_name_element_and_optimizer() -> None:
    text = """
optimizer count(scale=1):
    state total = 0
    total = total + g
    if scale == 1: return step + 0 * g
    else:
        return total
s[a < 2] = 1
t = 5
s[1] -= count(grad(3 * s[1], s[1]))
s[a] -= count(grad(7 * s[a], s[a]))
t -= count(grad(t, t), scale=2)
t -= count(grad(t, t), scale=2)
output s
output t
"""
    outputs = naive(text).outputs
    assert_allclose(outputs["s"], [1 - 1, 1 - 1 - 2])
    assert_allclose(outputs["t"], 5 - 1 - 2)


@pytest.mark.parametrize("update", ["W -= unit(grad(loss, W))", "W[l] -= unit(grad(loss, W[l]))"])
def test_rms_is_over_all_that_an_update_changes(update: str) -> None:
    text = f"""
optimizer unit():
    m = 2 * g
    return m / rms(m)
vector x, y
matrix W[2]
loss = <y | W[0] @ x> + 3 * <x | W[1] @ x>
{update}
"""
    run = naive(text)
    x, y = drawn("vector", "x"), drawn("vector", "y")
    gradients = [np.outer(y, x), 3 * np.outer(x, x)]
    scale = np.sqrt(np.mean([g**2 for g in gradients]))
    for element, g in enumerate(gradients):
        assert_allclose(run.value("W", element), drawn("matrix", "W", element) - g / scale / n)


def test_row_and_column_means() -> None:
    text = """
optimizer lines():
    return row_mean(g) + 2 * col_mean(g^2)
vector x, y, p
matrix W
loss = <x|W|y> + <p|x>
W -= lines(grad(loss, W))
p -= lines(grad(<p|x>, p))
"""
    run = naive(text)
    x, y = drawn("vector", "x"), drawn("vector", "y")
    G = np.outer(x, y)
    move = G.mean(axis=1, keepdims=True) + 2 * (G**2).mean(axis=0, keepdims=True)
    assert_allclose(run.value("W"), drawn("matrix", "W") - move / n)
    assert_allclose(run.value("p"), drawn("vector", "p") - x - 2 * x**2)

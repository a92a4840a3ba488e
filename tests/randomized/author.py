"""A seeded author of random programs in the text of the language.

A program is a sequence of *moves*; each writes one or several statements with the names that exist so far.  So that
limits exist with modest variance, and finite-width means approach them like 1/n,

- every vector has a degree of growth in the Gaussians: 0 bounded, 1 linear, 2 a product of two; no products beyond 2,
  and arguments of matrices have degree 1 at most;
- functions with a kink or a jump meet their argument plus a constant: an argument that is 0 in the limit only (a
  scalar times a vector, a difference of equal kets) would make the mean approach its limit like 1/sqrt(n), or not;
- scalars feed back through smooth bounded functions.

For `grad`, a value knows the bindings that it depends on (its sources).  At the start of a loop these are forgotten:
in a later pass they may have been bound anew.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

Lines = list[str]

SMOOTH_BOUNDED = ("tanh({})", "sin({})", "erf({})", "sigmoid({})", "cos({})", "tanh'({})", "gelu'({})", "silu'({})")
JUMPS = ("sign({} + {})", "step({} + {})", "where({} > {}, 0.8, -0.5)", "relu'({} + {})", "abs'({} - {})")
SMOOTH_LINEAR = ("gelu({})", "silu({})", "softplus({})", "phi({})", "sqrt(1 + tanh({})^2)", "phi'({})")
KINKS = ("relu({} + {})", "abs({} - {})", "leaky_relu({} + {}, 0.2)", "clip({} + {}, -1, 1.5)", "psi({} + {})")
DEFINITIONS = (
    "def phi(h) = h * (1 + erf(h / sqrt(2))) / 2",
    "def phi(h) = h * sigmoid(1.5 * h) + 0.2",
    "def phi(h) = sqrt(1 + h^2) - 0.5 * sin(h)",
)
KINKED = (
    "def psi(h) = where(h > 0, h, 0.3 * tanh(h))",
    "def psi(h) = max(h, 0.1 * h) / 2",
    "def psi(h) = relu(h) - 0.5 * relu(h - 1)",
)
OWN_OPTIMIZER = """optimizer own(beta=0.7, eps=0.6):
    state m = 0
    m = beta * m + (1 - beta) * g
    if eps > 0.5: u = m / sqrt(m^2 + eps^2)
    else: u = tanh(m / eps)
    return u / (1 - beta^step)"""
SCALED_OPTIMIZER = """optimizer scaled(c=0.5):
    return g / (c + rms(g)) + 0.3 * row_mean(g) - 0.2 * tanh(col_mean(g))"""
OPTIMIZERS = (
    "sgd({})", "adam({}, eps=0.4)", "signsgd({}, eps=0.5)", "momentum({}, beta=0.5)", "own({})", "own({}, eps=0.4)",
    "scaled({})", "adafactor({}, eps=0.5)", "rmsprop({}, eps=0.4)", "lion({} + 0.21)",
)  # fmt: skip


@dataclass(frozen=True)
class Value:
    """An expression or a name: its text, its growth, and the bindings that it depends on."""

    text: str
    degree: int = 0
    sources: frozenset[int] = frozenset()

    @property
    def operand(self) -> str:
        """The text as an operand: in parentheses unless it is a name, an element or a call."""
        return (
            self.text
            if re.fullmatch(r"[\w.]+'?(\[[^]]*\])?(\{[^}]*\})?|\w+'?\([^()]*\)", self.text)
            else f"({self.text})"
        )

    def written(self, pattern: str, *others: object, degree: int | None = None) -> Value:
        return replace(self, text=pattern.format(self.text, *others), degree=self.degree if degree is None else degree)


@dataclass
class Place:
    """Where an expression stands: the static index that is free in it, and the width axis that vectors carry."""

    index: str | None = None
    axis: str | None = None


@dataclass
class Author:
    """Writes one program; `program(seed)` is the entry."""

    rng: random.Random
    lines: Lines = field(default_factory=list)
    names: dict[str, dict[str, Value]] = field(default_factory=dict)  # by kind
    indent: int = 0
    count: int = 0
    tags: int = 0
    passes: int = 0  # of the loop around, 0 outside
    adjoint: list[str] = field(default_factory=list)
    has_order_three: bool = False
    on_diagonal: set[str] = field(default_factory=set)  # tensors that something uses on their diagonal

    # ------------------------------------------------------------- bookkeeping

    def write(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def bind(self, kind: str, name: str, degree: int = 0, sources: Iterable[int] = ()) -> Value:
        self.tags += 1
        value = Value(name, degree, frozenset({*sources, self.tags}))
        self.names.setdefault(kind, {}).pop(name, None)
        self.names[kind][name] = value
        return value

    def tag(self, value: Value) -> int:
        return max(value.sources)

    def kind(self, kind: str) -> list[Value]:
        return list(self.names.get(kind, {}).values())

    def pick(self, values: Sequence[Value]) -> Value:
        """Later ones are likelier, so that depth builds up."""
        return self.rng.choices(values, weights=[1 + 0.5 * k for k in range(len(values))])[0]

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def number(self, low: float = 0.3, high: float = 0.9) -> str:
        """A number that no symmetry singles out."""
        sign = "-" if self.chance(0.3) else ""
        return f"{sign}{self.rng.uniform(low, high):.2f}"

    def positive(self, low: float = 0.3, high: float = 0.9) -> str:
        return f"{self.rng.uniform(low, high):.2f}"

    # ------------------------------------------------------------- expressions

    def atom(self, at: Place, most: int = 2) -> Value:
        """A vector: a name, an element of a family, or, where an index is free, the element of that index."""
        found = [v for v in self.kind("vector") if v.degree <= most]
        families = [v for v in self.kind("family") if v.degree <= most]
        if at.index is not None:
            found += [v.written(f"{{}}[{at.index}]") for v in families] * 2
        else:
            found += [v.written(f"{{}}[{self.rng.randrange(2)}]") for v in families]
        value = self.pick(found)
        return value.written(f"{{}}{{{{{at.axis}}}}}") if at.axis is not None else value

    def coefficient(self, at: Place) -> Value:
        """A number, a datum, or a smooth bounded function of a scalar."""
        scalars = list(self.kind("scalar"))
        scalars += [v.written(f"{{}}[{at.index or self.rng.randrange(2)}]") for v in self.kind("scalars")]
        if scalars and self.chance(0.4):
            pattern = self.rng.choice(
                ("tanh({})", "(1 / (1 + {}^2))", "cos({})", "sigmoid({})", "sqrt(0.3 + tanh({})^2)")
            )
            return self.pick(scalars).written(pattern, degree=0)
        if at.index is not None and self.chance(0.3):
            return Value(f"q[{at.index}]")
        return Value(self.number())

    def expression(self, at: Place, depth: int, most: int = 2) -> Value:
        """An entrywise function of vectors, of at most the stated degree."""
        if depth == 0:
            return self.atom(at, most)
        form = self.rng.choices(
            (self.bounded, self.linear, self.combination, self.product, self.choice), weights=(4, 4, 3, 2, 1)
        )[0]
        value = form(at, depth)
        return value if value.degree <= most else value.written("tanh({})", degree=0)

    def bounded(self, at: Place, depth: int) -> Value:
        x = self.expression(at, depth - 1)
        if self.chance(0.35):
            return Value(self.rng.choice(JUMPS).format(x.operand, self.positive(0.1, 0.6)), 0, x.sources)
        return x.written(self.rng.choice(SMOOTH_BOUNDED), degree=0)

    def linear(self, at: Place, depth: int) -> Value:
        x = self.expression(at, depth - 1)
        if self.chance(0.5):
            return Value(self.rng.choice(KINKS).format(x.operand, self.positive(0.1, 0.6)), x.degree, x.sources)
        return x.written(self.rng.choice(SMOOTH_LINEAR))

    def combination(self, at: Place, depth: int) -> Value:
        x, y, c = self.expression(at, depth - 1), self.expression(at, 0), self.coefficient(at)
        text = f"{c.text} * {x.operand} {self.rng.choice('+-')} {self.positive()} * {y.operand}"
        return Value(text, max(x.degree, y.degree), x.sources | y.sources | c.sources)

    def product(self, at: Place, depth: int) -> Value:
        x, y = self.expression(at, depth - 1), self.expression(at, 0)
        if x.degree + y.degree > 2:
            y = y.written("tanh({})", degree=0)
        if x.degree + y.degree > 2:
            x = x.written("sin({})", degree=0)
        if x.degree == 1 and self.chance(0.3):
            return Value(f"{self.positive()} * {x.operand}^2", 2, x.sources)
        return Value(f"{x.operand} * {y.operand}", x.degree + y.degree, x.sources | y.sources)

    def choice(self, at: Place, depth: int) -> Value:
        x, y = self.expression(at, depth - 1), self.expression(at, 0)
        shift = self.positive(0.1, 0.6)
        pattern = self.rng.choice(("max({0}, {1} + {2})", "min({0}, {1} - {2})", "where({0} > {2}, {0}, {1})"))
        return Value(pattern.format(x.operand, y.operand, shift), max(x.degree, y.degree), x.sources | y.sources)

    # --------------------------------------------------------------- operators

    def matrix(self, at: Place | None = None) -> Value:
        """A declared matrix or an element of a family of matrices."""
        at = at or Place()
        found = self.kind("matrix") + [
            v.written(f"{{}}[{at.index or self.rng.randrange(2)}]") for v in self.kind("matrices")
        ]
        return self.pick(found)

    def operator(self, at: Place | None = None) -> Value:
        """Anything that `@` takes, with or without a transpose."""
        at = at or Place()
        found = [self.matrix(at)] * 3 + self.kind("operator") * 2 + self.kind("tensor")
        found += [v.written(f"{{}}[{at.index or self.rng.randrange(2)}]") for v in self.kind("operators")]
        first = self.turned(self.rng.choice(found))
        if self.chance(0.2):
            second = self.turned(self.rng.choice(found))
            pattern = self.rng.choice(("({0} @ {1})", "({0} + {1}) / sqrt(2)", "({0} - {2} * {1})"))
            text = pattern.format(first.text, second.text, self.positive())
            return Value(f"({text})", 0, first.sources | second.sources)
        return first

    def turned(self, operator: Value) -> Value:
        return operator.written("{}'") if self.chance(0.45) else operator

    # ------------------------------------------------------------------- moves

    def declare(self) -> None:
        """What every program opens with."""
        r = self.rng
        self.write(f"param M = {r.choice((2, 3))}, eta = {self.positive(0.2, 0.5)}")
        self.write(f"data xi[M, 2] = normal(seed={r.randrange(99)})")
        self.write(
            "data q[M] = linspace(-0.7, 1.1)" if self.chance(0.5) else f"data q[M] = normal(seed={r.randrange(99)})"
        )
        self.write('import "optimizers.nx"')
        self.write(r.choice(DEFINITIONS))
        self.write(r.choice(KINKED))
        law = r.choice(("", " ~ N(0.4, 0.8)", " ~ N(0, 1.3)", " ~ N(0.3, 0)"))
        self.write(f"vector u[2], v, x, w{law}")
        for name in ("v", "x", "w"):
            self.bind("vector", name, 1)
        self.bind("inputs", "u", 1)
        self.write("matrix W")
        self.bind("matrix", "W")
        if self.chance(0.6):
            self.write("matrix V" + r.choice(("", " ~ N(0, 0.7/n)")))
            self.bind("matrix", "V")
        if self.chance(0.4):
            self.write("matrix A[M]")
            self.bind("matrices", "A")
        name = self.fresh("h")
        self.write(f"{name}[a] = sum[k](xi[a, k] * u[k])")
        self.bind("family", name, 1, self.names["inputs"]["u"].sources)

    def move_vector(self) -> None:
        value = self.expression(Place(), self.rng.choice((1, 2, 2)))
        name = self.fresh("z")
        self.write(f"{name} = {value.text}")
        self.bind("vector", name, value.degree, value.sources)

    def move_matmul(self) -> None:
        """W @ x, also of what another product gave, of a multiple, or twice of the same."""
        W = self.operator()
        x = self.expression(Place(), self.rng.choice((0, 1, 1, 2)), most=1)
        name = self.fresh("g")
        text = f"{W.text} @ {x.operand}"
        sources = W.sources | x.sources
        if self.chance(0.15):
            text += f" + {W.text} @ ({self.positive()} * {x.operand})"
        elif self.chance(0.2):
            W2 = self.turned(self.matrix())
            text = f"{W2.text} @ {self.rng.choice(('tanh', 'phi', ''))}({text})"
            sources |= W2.sources
        self.write(f"{name} = {text}")
        self.bind("vector", name, 1, sources)

    def move_family(self) -> None:
        at = Place(index="a")
        families = self.kind("family")
        name = self.fresh("h")
        form = self.rng.randrange(4)
        if form == 0:
            W, x = self.operator(at), self.expression(at, 1, most=1)
            text, degree, sources = f"{W.text} @ {x.operand}", 1, W.sources | x.sources
        elif form == 1:  # arguments of rank one
            W, x = self.turned(self.matrix()), self.atom(Place(), 1)
            text, degree, sources = f"{W.text} @ (q[a] * {x.operand})", 1, W.sources | x.sources
        elif form == 2 and self.kind("kernel"):
            K, x = self.pick(self.kind("kernel")), self.pick(families)
            text, degree, sources = f"sum[b]({K.text}[a, b] * {x.text}[b])", x.degree, K.sources | x.sources
        else:
            x = self.expression(at, 2)
            text, degree, sources = f"{x.text} + q[a] * {self.pick(families).text}[a]", x.degree, x.sources
            degree = max(degree, 1)
        if "[a" not in text:
            text = f"q[a] * ({text})"
        self.write(f"{name}[a] = {text}")
        self.bind("family", name, degree, sources)

    def move_reduce(self) -> None:
        """A vector out of a family."""
        at = Place(index="a")
        form = self.rng.choice(("sum", "mean", "max"))
        x = self.expression(at, 1, most=1)
        text = f"{x.text} + q[a]" if form == "max" else f"{self.rng.choice(('q[a] * ', ''))}{x.operand}"
        if "[a" not in text:
            text = f"q[a] * {x.operand}"
        name = self.fresh("z")
        self.write(f"{name} = {form}[a]({text})")
        self.bind("vector", name, x.degree, x.sources)

    def move_scalar(self) -> None:
        name = self.fresh("c")
        x = self.expression(Place(), 1)
        if self.chance(0.5):
            y = self.expression(Place(), 1, most=1)
            text, sources = f"<{x.operand} | {y.operand}>", x.sources | y.sources
            if self.chance(0.2):
                W = self.operator()
                text, sources = f"<{y.operand} | {W.text} | {x.operand}>", sources | W.sources
                if x.degree > 1:
                    text = f"<{y.operand} | {W.text} | tanh({x.text})>"
        else:
            text, sources = (
                self.rng.choice(("avg({})", "sqrt(0.5 + avg({})^2)", "tanh(avg({}))")).format(x.text),
                x.sources,
            )
        self.write(f"{name} = {text}")
        self.bind("scalar", name, 0, sources)

    def move_kernel(self) -> None:
        """A family of scalars: the products of a family, or a softmax of them."""
        x = self.pick([v for v in self.kind("family") if v.degree <= 1])
        name = self.fresh("K")
        self.write(f"{name}[a, b] = <{x.text}[a] | {x.text}[b]>")
        value = self.bind("kernel", name, 0, x.sources)
        if self.chance(0.6):
            soft = self.fresh("S")
            self.write(f"{soft}[a, b] = exp(tanh({name}[a, b])) / sum[c](exp(tanh({name}[a, c])))")
            self.bind("kernel", soft, 0, value.sources)
        if self.chance(0.3):
            self.write(f"output {name}")

    def move_normalise(self) -> None:
        x = self.expression(Place(), 1)
        name = self.fresh("z")
        self.write(f"{name} = {x.operand} - avg({x.text})")
        self.write(f"{name} /= sqrt(avg({name}^2) + {self.positive(0.2, 0.6)})")
        self.bind("vector", name, x.degree, x.sources)

    def move_alias(self) -> None:
        x = self.atom(Place(), 2)
        name = self.fresh("y")
        self.write(f"{name} = {x.text}")
        self.bind("vector", name, x.degree, x.sources)

    def move_update(self) -> None:
        """A new version of a vector or of an element of a family."""
        y = self.expression(Place(), 1, most=1)
        if self.chance(0.7) or not self.kind("family"):
            x = self.pick([v for v in self.kind("vector") if v.degree >= 1])
            self.write(f"{x.text} {self.rng.choice(('+=', '-='))} {self.number()} * {y.operand}")
            self.bind("vector", x.text, x.degree, x.sources | y.sources)
        else:
            x = self.pick([v for v in self.kind("family") if v.degree >= 1] or self.kind("family"))
            self.write(f"{x.text}[{self.rng.randrange(2)}] += {self.number()} * {y.operand}")
            # which elements an index reaches is not followed: a family that was changed in one element is no source
            self.bind("family", x.text, max(x.degree, y.degree), x.sources | y.sources)

    def move_operator(self) -> None:
        name = self.fresh("O")
        W, V = self.turned(self.matrix()), self.turned(self.matrix())
        form = self.rng.randrange(6)
        sources = W.sources | V.sources
        if form == 0:
            text = f"({W.text} + {V.text}) / sqrt(2)"
        elif form == 1:
            x, y = self.atom(Place(), 1), self.atom(Place(), 1)
            text, sources = f"{W.text} - {self.positive()} * |{x.text}><{y.text}|", W.sources | x.sources | y.sources
        elif form == 2:
            text = f"{self.positive()} * {W.text} @ {V.text} + {self.positive()} * {V.text}"
        elif form == 3 and self.kind("tensor"):
            T = self.turned(self.pick(self.kind("tensor")))
            text, sources = f"{W.text} + {self.number()} * {T.text}", W.sources | T.sources
        elif form == 4 and self.kind("scalar"):
            c = self.pick(self.kind("scalar"))
            text, sources = f"tanh({c.text}) * {W.text} - {V.text}", sources | c.sources
        else:
            W = self.matrix(Place(index="a"))
            self.write(f"{name}[a] = q[a] * {W.text} + {self.positive()} * {V.text}")
            self.bind("operators", name, 0, W.sources | V.sources)
            return
        self.write(f"{name} = {text}")
        self.bind("operator", name, 0, sources)

    def entries(self, most: int = 1) -> Value:
        """A function ψ(x_i, y_j) of two width axes."""
        x, y = self.expression(Place(axis="i"), 1, most), self.expression(Place(axis="j"), 1, most)
        form = self.rng.randrange(5)
        sources = x.sources | y.sources
        k = self.positive(0.1, 0.6)
        if form == 0:
            return Value(f"sign({x.operand} * {y.operand} + {k})", 0, sources)
        if form == 1:
            z = self.expression(Place(axis="j"), 0, most)
            return Value(f"tanh({x.operand} * {y.operand} + {z.operand})", 0, sources | z.sources)
        if form == 2:
            return Value(f"{self.rng.choice(('sin', 'phi', 'erf'))}({x.operand} - {y.operand})", 1, sources)
        if form == 3:
            return Value(f"where({x.operand} > {y.operand} + {k}, {x.operand}, {k})", 1, sources)
        return Value(f"{x.operand} * {y.operand}", 1, sources)

    def move_tensor(self) -> None:
        T = self.fresh("T")
        form = self.rng.randrange(4)
        if form == 0:
            x, y = self.atom(Place(), 1), self.atom(Place(), 1)
            f = self.rng.choice(("tanh({})", "sign({} + 0.2)", "{}", "clip({}, -1, 1)"))
            value = Value(f.format(f"|{x.text}><{y.text}|"), 1, x.sources | y.sources)
            self.write(f"{T} = {value.text}")
        elif form == 1:
            x, y = self.atom(Place(index="a", axis="i"), 1), self.atom(Place(index="a", axis="j"), 1)
            inner = f"{x.text} * {y.text}"
            pattern = self.rng.choice(("sum[a](q[a] * {})", "mean[a](tanh({} + q[a]))", "tanh(sum[a](q[a] * {}))"))
            value = Value(pattern.format(inner), 1, x.sources | y.sources)
            self.write(f"{T}{{i,j}} = {value.text}")
        else:
            value = self.entries()
            self.write(f"{T}{{i,j}} = {value.text}")
        self.bind("tensor", T, 1, value.sources)
        self.use_tensor()

    def use_tensor(self) -> None:
        """A vector or a scalar out of a tensor."""
        T = self.pick(self.kind("tensor"))
        z = self.expression(Place(axis="j"), 1, most=1)
        form = self.rng.randrange(6)
        name = self.fresh("r")
        if form == 0:
            self.write(f"{name} = {self.turned(T).text} @ {self.expression(Place(), 1, most=1).operand}")
        elif form == 1:
            self.write(f"{name}{{i}} = avg{{j}}({T.text}{{i,j}} * {z.operand})")
        elif form == 2:
            self.write(f"{name}{{j}} = avg{{i}}(tanh({T.text}{{i,j}}) * {z.operand})")
        elif form == 3:
            self.on_diagonal.add(T.text)
            self.write(f"{name}{{i}} = tanh({T.text}{{i,i}}) + avg{{j}}({T.text}{{i,j}})")
        elif form == 4:
            self.write(f"{name} = sqrt(0.3 + avg{{i,j}}({T.text}{{i,j}}^2))")
            self.bind("scalar", name, 0, T.sources)
            return
        else:
            self.write(f"{name}{{i}} = sqrt(0.2 + avg{{j}}({T.text}{{i,j}}^2))")
        self.bind("vector", name, 1, T.sources)

    def move_copies(self) -> None:
        """An average over copies without a named tensor, of order three once in a while."""
        value = self.entries()
        name = self.fresh("r")
        form = self.rng.randrange(4)
        if form == 0 and not self.has_order_three and not self.passes:
            self.has_order_three = True
            z = self.atom(Place(axis="k"), 1)
            if self.chance(0.5):
                self.write(f"{name}{{i}} = avg{{j,k}}(tanh({value.text} + {z.text}))")
            else:
                self.write(f"T{name}{{i,j,k}} = sin({value.text}) * tanh({z.text})")
                self.write(f"{name}{{k}} = avg{{i,j}}(T{name}{{i,j,k}} * {self.atom(Place(axis='j'), 1).text})")
        elif form == 1:
            self.write(f"{name} = avg{{i,j}}({value.text})")
            self.bind("scalar", name, 0, value.sources)
            return
        else:
            z = self.atom(Place(axis="j"), 1)
            self.write(f"{name}{{i}} = avg{{j}}({value.operand} * {z.text})")
        self.bind("vector", name, 1, value.sources)

    def move_matrix_update(self) -> None:
        """W -= c T for a declared matrix."""
        W = self.pick(self.kind("matrix"))
        tensors = self.kind("tensor")
        if tensors and self.chance(0.6):
            T = self.turned(self.pick(tensors))
            text, sources = T.text, T.sources
        else:
            x, y = self.atom(Place(), 1), self.atom(Place(), 1)
            f = self.rng.choice(("{}", "tanh({})"))
            text, sources = f.format(f"|{x.text}><{y.text}|"), x.sources | y.sources
        self.write(f"{W.text} -= {self.positive()} * {text}")
        self.bind("matrix", W.text, 0, W.sources | sources)

    # --------------------------------------------------------------- gradients

    def move_training(self) -> None:
        """A network, its loss, a gradient or two, and updates."""
        form = self.rng.choice((self.single_loss, self.family_loss, self.family_loss))
        loss = form()
        update = self.rng.choice((self.updates, self.updates, self.gradient_values))
        update(loss)
        if self.chance(0.5):
            self.write_output(loss.text)

    def head(self, at: Place) -> tuple[str, frozenset[int]]:
        """<v | psi(W @ phi(x))>, perhaps with W used twice."""
        W, x = self.operator(at), self.expression(at, 1, most=1)
        v = self.pick([value for value in self.kind("vector") if value.degree == 1])
        h = f"{W.text} @ {x.operand}"
        sources = W.sources | x.sources
        if self.chance(0.4):
            W2 = self.turned(self.matrix(at))
            h, sources = f"{W2.text} @ {self.rng.choice(('tanh', 'phi', 'gelu'))}({h})", sources | W2.sources
        pattern = self.rng.choice((*SMOOTH_BOUNDED[:3], *SMOOTH_LINEAR[:4], "relu({} + 0.21)", "psi({} - 0.17)"))
        name = self.fresh("h")
        index = f"[{at.index}]" if at.index else ""
        if index and "[a]" not in h:
            h = f"q[a] * ({h})"
        self.write(f"{name}{index} = {h}")
        value = self.bind("family" if at.index else "vector", name, 1, sources)
        return f"<{v.text} | {pattern.format(name + index)}>", value.sources | v.sources

    def single_loss(self) -> Value:
        text, sources = self.head(Place())
        f, loss = self.fresh("f"), self.fresh("loss")
        self.write(f"{f} = {text}")
        value = self.bind("scalar", f, 0, sources)
        pattern = self.rng.choice(("({} - 0.7)^2 / 2", "log(1 + exp(-{}))", "sqrt(1 + {}^2)", "{} + 0.2"))
        self.write(f"{loss} = {pattern.format(f)}")
        return self.bind("scalar", loss, 0, value.sources)

    def family_loss(self) -> Value:
        text, sources = self.head(Place(index="a"))
        f, loss = self.fresh("f"), self.fresh("loss")
        self.write(f"{f}[a] = {text}")
        value = self.bind("scalars", f, 0, sources)
        if self.passes and self.chance(0.3):
            self.write(f"if t == 0: {f}_0[a] = stop({f}[a])")
            self.write(f"{f}[a] -= {f}_0[a]")
            value = self.bind("scalars", f, 0, value.sources)
        reduction = self.rng.choice(("mean[a]({})", "sum[a]({}) / 2"))
        self.write(f"{loss} = {reduction.format(f'({f}[a] - q[a])^2')}")
        return self.bind("scalar", loss, 0, value.sources)

    def parameters(self, loss: Value, kinds: Sequence[str]) -> list[tuple[str, Value]]:
        """Current bindings of these kinds that the loss depends on."""
        return [(kind, v) for kind in kinds for v in self.kind(kind) if self.tag(v) in loss.sources]

    def updates(self, loss: Value) -> None:
        found = self.parameters(loss, ("matrix", "matrices", "vector", "inputs"))
        for kind, p in self.rng.sample(found, min(len(found), self.rng.choice((1, 2, 3)))):
            if kind == "vector" and p.degree != 1:
                continue
            optimizer = self.rng.choice(OPTIMIZERS)
            index = {"inputs": self.rng.choice(("[k]", "")), "matrices": self.rng.choice(("[l]", ""))}.get(kind, "")
            gradient = f"grad({loss.text}, {p.text}{index})"
            self.write(f"{p.text}{index} -= eta * {optimizer.format(gradient)}")
            self.bind(kind, p.text, p.degree)

    def gradient_values(self, loss: Value) -> None:
        """Gradients as values: in a vector, a matrix, a scalar or a tensor."""
        found = self.parameters(loss, ("matrix", "vector", "scalar", "tensor", "operator"))
        found = [(kind, p) for kind, p in found if p.text not in {loss.text} | self.on_diagonal]
        for kind, p in self.rng.sample(found, min(len(found), 2)):
            name = self.fresh("d")
            gradient = f"grad({loss.text}, {p.text})"
            if kind in ("matrix", "operator", "tensor"):
                self.write(f"{name} = {gradient}")
                if kind == "matrix" and self.chance(0.5):
                    rule = self.rng.choice(("{0} / sqrt({0}^2 + 0.3)", "tanh({0})", "{0}", "0.5 * {0} @ {0}' @ {0}"))
                    self.write(f"{p.text} = (1 - 0.2 * eta) * {p.text} - eta * {rule.format(name)}")
                    self.bind("matrix", p.text, 0, p.sources)
                tensor = self.fresh("T")
                self.write(f"{tensor} = tanh({name})")
                self.bind("tensor", tensor, 1)
            elif kind == "vector":
                self.write(f"{name} = {gradient}")
                self.bind("vector", name, 2)
            else:
                self.write(f"{name} = {gradient}")
                self.bind("scalar", name, 0)

    def move_tangent(self) -> None:
        """The products of gradients of a family of scalars."""
        vectors = [v for f in self.kind("scalars") for v in self.kind("vector") if self.tag(v) in f.sources]
        if not vectors or self.passes:
            return
        v = self.pick(vectors)
        f = self.pick([f for f in self.kind("scalars") if self.tag(v) in f.sources])
        name = self.fresh("N")
        self.write(f"{name}[a, b] = <tanh(grad({f.text}[a], {v.text})) | grad({f.text}[b], {v.text})>")
        self.write(f"output {name}")

    # ------------------------------------------------------------------- loops

    def move_loop(self) -> None:
        if self.passes:
            return
        self.passes = self.rng.choice((2, 3))
        recurrence = self.chance(0.5)
        name = self.fresh("s")
        if recurrence:
            self.write(f"{name}[0] = {self.atom(Place(), 1).text}")
        self.write(f"for t in 0..{self.passes}:")
        self.indent += 1
        self.forget()
        if self.chance(0.3):
            e = self.fresh("e")
            self.write(f"vector {e}")
            self.bind("vector", e, 1)
        if recurrence:
            W, x = self.turned(self.matrix()), self.expression(Place(), 1, most=1)
            f = self.rng.choice(("tanh({})", "gelu({})", "relu({} + 0.13)"))
            self.write(f"{name}[t + 1] = {f.format(f'{W.text} @ {name}[t] + {self.positive()} * {x.operand}')}")
            last = self.fresh("z")
            self.write(f"{last} = {name}[t] - {self.number()} * {name}[t + 1]")
            self.bind("vector", last, 1, W.sources | x.sources)
        for _ in range(self.rng.choice((1, 2, 3))):
            self.rng.choice(LOOP_MOVES)(self)
        if self.chance(0.5):
            self.outputs(1)
        self.indent -= 1
        if recurrence:
            z = self.fresh("z")
            self.write(f"{z} = sum[s]({name}[s]) / {self.passes}")
            self.bind("vector", z, 1)
            if self.chance(0.5):
                self.write(f"output <{name}[r] | {name}[s]> as {name}_{name}[r, s]")
        self.passes = 0
        self.forget()

    def forget(self) -> None:
        """Values depend on themselves only, as seen from here."""
        for kind, found in self.names.items():
            for name, value in found.items():
                self.names[kind][name] = replace(value, sources=frozenset({self.tag(value)}))

    # ----------------------------------------------------------------- outputs

    def write_output(self, text: str) -> None:
        self.write(f"output {text} as {self.fresh('o')}")

    def outputs(self, count: int) -> None:
        """Inner products of vectors and averages of functions of them."""
        for _ in range(count):
            if self.chance(0.6):
                x, y = self.atom(Place()), self.atom(Place(), 1)
                self.write_output(f"<{x.operand} | {y.operand}>")
            else:
                self.write_output(f"avg({self.expression(Place(), 1).text})")

    def adjoints(self) -> None:
        """<x | W @ y> and <W' @ x | y>, which are equal; the first x depends on W @ y, so that W' @ x has a dot."""
        for number in range(2):
            W = self.matrix() if number == 0 else self.operator()
            x, y = self.atom(Place(), 1), self.atom(Place(), 1)
            operator = f"({W.text})" if "'" in W.text else W.text
            if number == 0:
                p = self.fresh("p")
                pattern = self.rng.choice((*SMOOTH_BOUNDED[:3], *SMOOTH_LINEAR[:3], "sign({} + 0.2)", "relu({} + 0.3)"))
                self.write(f"{p} = {pattern.format(f'{W.text} @ {y.operand} + 0.4 * {x.operand}')}")
                x = Value(p, 1)
            self.write(f"output <{x.operand} | {W.text} @ {y.operand}> as left{number}")
            self.write(f"output <{operator}' @ {x.operand} | {y.operand}> as right{number}")


Move = Callable[[Author], None]
LOOP_MOVES: tuple[Move, ...] = (
    Author.move_vector, Author.move_matmul, Author.move_matmul, Author.move_update, Author.move_scalar,
    Author.move_training, Author.move_training, Author.move_matrix_update, Author.move_tensor, Author.move_normalise,
)  # fmt: skip
MOVES: tuple[Move, ...] = (
    *LOOP_MOVES, Author.move_matmul, Author.move_matmul, Author.move_family, Author.move_family, Author.move_reduce,
    Author.move_kernel, Author.move_alias, Author.move_operator, Author.move_operator, Author.move_copies,
    Author.move_loop, Author.move_loop, Author.move_tangent,
)  # fmt: skip


@dataclass(frozen=True)
class RandomProgram:
    """The text of a program and what its checks should know."""

    seed: int
    text: str
    has_order_three: bool


def program(seed: int, moves: int | None = None) -> RandomProgram:
    """The random program of this seed."""
    author = Author(random.Random(seed))
    author.declare()
    for _ in range(moves or author.rng.choice((5, 7, 9))):
        author.rng.choice(MOVES)(author)
    author.outputs(4)
    author.adjoints()
    text = "\n".join(author.lines) + "\n"
    optimizers = [o for o in (OWN_OPTIMIZER, SCALED_OPTIMIZER) if f"* {o.split('(')[0].split()[1]}(" in text]
    return RandomProgram(seed, "".join(f"{o}\n" for o in optimizers) + text, author.has_order_three)

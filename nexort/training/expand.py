"""From `train` to ordinary statements: the network at width n, and its two kinds of infinite-width limit.

| expansion | when | what it is |
|---|---|---|
| `finite` | `nexort run` | the network with the powers of n of its parametrization (TP4b Definition 2.2.1) |
| `features` | limit, r = 0 | the same program on kets: what has r_l > 0 is frozen (Theorem 2.7.1, 2.9.25) |
| `operator` | limit, r > 0 | kets at initialisation, and the neural tangent operator (Theorem 2.4.7, 2.9.19) |

With E = n^-a w the weight that the model reads, the update of TP4b is, in the language's own scaling (`grad(s, W)` is
n ∂s/∂W, `W -= η T` subtracts (η/n) T),

    matrix  E_0 = n^(1/2−a−b) W,   E ← (1−λ) E − η n^(1−c−a) Q(n^(d−a−1) grad(L, E)),
    vector  E_0 = n^(−a−b) v,      E ← (1−λ) E − η n^(−c−a)  Q(n^(d−a−1) grad(L, E)),
    scalar  E_0 = n^(−a−b) s,      E ← (1−λ) E − η n^(−c−a)  Q(n^(d−a)   grad(L, E)).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import product as combinations

from nexort.source import Span
from nexort.syntax import ast
from nexort.training.exponents import HALF, ONE
from nexort.training.model import Batch
from nexort.training.quote import Part, number, product, quote, quote_expression, total
from nexort.training.recipe import Recipe, Trained

Statements = tuple[ast.Stmt, ...]
FLUCTUATION = "~fluctuation"
FROBENIUS = "~frobenius"


def expand_finite(recipe: Recipe) -> Statements:
    """The network at width n."""
    return tuple(_Finite(recipe).statements())


def expand_limit(recipe: Recipe) -> Statements:
    """A program whose ket reading is the infinite-width limit; the classification says which."""
    return tuple((_Operator if recipe.is_operator else _Features)(recipe).statements())


@dataclass(frozen=True, slots=True)
class Tensor:
    """What one update changes: a parameter, one element of a family, or all of one (then `indices` are names)."""

    part: Trained
    indices: tuple[ast.Expr, ...]

    @property
    def is_family(self) -> bool:
        return any(isinstance(index, ast.Name) for index in self.indices)

    @property
    def tag(self) -> str:
        """`W`, `W_2`: a name for what belongs to it."""
        numbers = [str(index.value) for index in self.indices if isinstance(index, ast.Number)]
        return "_".join([self.part.name, *numbers])

    def of(self, name: str, *before: ast.Expr) -> ast.Expr:
        """`name[before, indices]`, or the name alone."""
        return _element(name, (*before, *self.indices), self.part.span)


class _Expansion:
    """What the three expansions share: names, the forward pass, the loss, updates."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.span = recipe.span
        self.used = set(recipe.taken)
        self.a, self.b, self.o = (self.fresh(name) for name in "abo")
        self.t = self.fresh("t")
        self.f, self.P, self.loss = self.fresh("f"), self.fresh("P"), self.fresh("loss")
        self.start, self.weight, self.each = self.fresh("f0"), self.fresh("weight"), self.fresh("each")
        self.chi = self.fresh("chi")
        arguments = {name: self.name(array) for name, array in recipe.inputs.items()}
        self.forward_batch = Batch(index=self.a, size=recipe.size, names=recipe.model.batched, renamed=arguments)
        self.field_batch = Batch(
            index=self.a,
            size=recipe.size,
            names=frozenset({*recipe.arrays, "f"}),
            renamed={"f": self.name(self.f), "t": self.name(self.t)},
        )

    # ---------------------------------------------------------------- names

    def fresh(self, wanted: str) -> str:
        """The name, or one like it that nothing has."""
        name = wanted
        while name in self.used:
            name += "_"
        self.used.add(name)
        return name

    def name(self, text: str, span: Span | None = None) -> ast.Name:
        return ast.Name(span=span or self.span, id=text)

    def quote(self, text: str, span: Span | None = None, /, **parts: Part) -> Statements:
        """A template in which `a`, `f`, … are this expansion's names, and `x_` is x[a] or, with heads, x[a, o]."""
        named: dict[str, Part] = {
            "a": self.a, "b": self.b, "t": self.t, "P": self.P, "loss": self.loss, "weight": self.weight,
            "each": self.each, "f_": self.of_input(self.f), "P_": self.of_input(self.P),
            "start_": self.of_input(self.start), "chi_": self.of_input(self.chi),
            "M": number(self.recipe.size, self.span), "T": number(self.recipe.steps, self.span),
        }  # fmt: skip
        return quote(text, span or self.span, {**named, **parts})

    def of_input(self, name: str) -> ast.Expr:
        """`f[a]`, or `f[a, o]` with heads."""
        return _element(name, self.input_indices, self.span)

    @property
    def input_indices(self) -> tuple[ast.Expr, ...]:
        return tuple(map(self.name, (self.a, self.o) if self.recipe.has_heads else (self.a,)))

    def over_inputs(self, value: ast.Expr) -> ast.Expr:
        """Σ over inputs and heads."""
        indices = self.input_indices
        bracket = ast.Subscript(span=self.span, base=self.name("sum"), indices=indices)
        return ast.Call(span=self.span, function=bracket, arguments=(value,), keywords=())

    # ---------------------------------------------------------- declarations

    def declarations(self) -> Iterator[ast.Stmt]:
        for part in self.recipe.parameters:
            yield ast.Initial(span=part.item.span, kind=part.kind, items=(part.item,))

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(self._tensors())

    def _tensors(self) -> Iterator[Tensor]:
        """What each update changes.  Matrices are updated one by one: their gradients are tensors of their own."""
        for part in self.recipe.parameters:
            is_apart = part.kind == "matrix" or part.has_rms or part.normalization.rule != "none"
            if part.shape and not is_apart:
                names = tuple(self.name(self.fresh("k")) for _ in part.shape)
                yield Tensor(part, names)
                continue
            for index in combinations(*map(range, part.shape)):
                yield Tensor(part, tuple(number(k, part.span) for k in index))

    # --------------------------------------------------------------- forward

    def forward(self) -> Iterator[ast.Stmt]:
        """The body for all inputs, and P, the averages of what it returns."""
        yield from map(self.forward_batch.statement, self.recipe.model.body)
        returned = self.recipe.model.returned
        if self.recipe.model.has_family_result:
            (family,) = returned
            assert isinstance(family, ast.Name)
            element = _element(family.id, self.input_indices, family.span)
            yield from self.quote("P_ = avg(value)", family.span, value=element)
            return
        for head, tree in enumerate(returned):
            value = self.forward_batch.expression(tree)
            target = "P[a < M, k]" if self.recipe.has_heads else "P[a < M]"
            yield from self.quote(f"{target} = avg(value)", tree.span, value=value, k=number(head, tree.span))

    def show(self) -> Iterator[ast.Stmt]:
        """The outputs f and the feature kernels."""
        yield self.output(self.name(self.f), "f")
        for name in self.recipe.kernels:
            axes = self.recipe.model.local_axes[name.id]
            others = tuple(self.name(self.fresh("i"), name.span) for _ in range(axes))
            left, right = (_element(name.id, (self.name(x), *others), name.span) for x in (self.a, self.b))
            kernel = ast.BraKet(span=name.span, bra=left, operator=None, ket=right)
            indices = (*others, self.name(self.a), self.name(self.b))
            alias = ast.Subscript(
                span=name.span, base=self.name(self.recipe.output_name(f"K_{name.id}"), name.span), indices=indices
            )
            yield ast.Output(span=name.span, value=kernel, alias=alias)

    def output(self, value: ast.Expr, name: str) -> ast.Output:
        return ast.Output(span=self.span, value=value, alias=self.name(self.recipe.output_name(name)))

    # ------------------------------------------------------------------ loss

    def objective(self) -> Iterator[ast.Stmt]:
        """The loss of all inputs, an output; or the error signal χ that stands in its place (Setup 2.3.1)."""
        recipe = self.recipe
        if recipe.error is not None:
            yield from self._error(recipe.error)
            return
        assert recipe.loss is not None
        yield from self._weights()
        loss = self.field_batch.expression(recipe.loss)
        yield from self.quote("each[a < M] = loss_of_one", recipe.loss.span, loss_of_one=loss)
        mean = "sum[a](weight[a] * each[a]) / sum[a](weight[a])" if recipe.weights is not None else "mean[a](each[a])"
        yield from self.quote(f"loss = {mean}", recipe.loss.span)
        yield self.output(self.name(self.loss), "loss")

    def _weights(self) -> Iterator[ast.Stmt]:
        """The weights of this step; those of the last step again for the loss after it."""
        field = self.recipe.weights
        if field is None:
            return
        if field.indices is None:
            batch = replace(self.field_batch, names=self.field_batch.names | self.recipe.per_input)
            yield from self.quote("weight[a < M] = value", field.span, value=batch.expression(field.value))
            return
        *step, index = field.indices
        renamed: dict[str, ast.Expr] = {part.id: self.name(self.t) for part in step if isinstance(part, ast.Name)}
        batch = Batch(index="", size=0, names=frozenset(), renamed={"t": self.name(self.t), **renamed})
        statements = self.quote("weight[i < M] = value", field.span, i=index, value=batch.expression(field.value))
        yield from (self.in_steps(statements) if step else statements)

    def _error(self, field: ast.Field) -> Iterator[ast.Stmt]:
        indices = field.indices or self.input_indices
        batch = self.field_batch
        if field.indices is not None:
            batch = replace(batch, names=frozenset())
        bound = tuple(_ranged(part, self.recipe.size) if k == 0 else part for k, part in enumerate(indices))
        target = _element(self.chi, bound, field.span)
        yield ast.Assign(span=field.span, target=target, operator="=", value=batch.expression(field.value))

    @property
    def is_error(self) -> bool:
        return self.recipe.error is not None

    def in_steps(self, body: Iterable[ast.Stmt]) -> Statements:
        """`if t < T:`, what belongs to a step and not to the state after the last one."""
        (statement,) = self.quote("if t < T: x = 0")
        assert isinstance(statement, ast.If)
        branch = replace(statement.branches[0], body=tuple(body))
        return (replace(statement, branches=(branch,)),) if branch.body else ()

    def training_loop(self, body: Iterable[ast.Stmt]) -> ast.For:
        (loop,) = self.quote("for t in 0..T1: x = 0", T1=number(self.recipe.steps + 1, self.span))
        assert isinstance(loop, ast.For)
        return replace(loop, variable=self.name(self.t), body=tuple(body))

    # --------------------------------------------------------------- updates

    def rate(self, part: Trained) -> ast.Expr:
        return self._in_step(part.rate)

    def decayed(self, part: Trained, value: ast.Expr) -> ast.Expr:
        """(1 − λ) value."""
        assert part.decay is not None
        decay = self._in_step(part.decay)
        return quote_expression("(1 - decay) * value", part.span, {"decay": decay, "value": value})

    def _in_step(self, tree: ast.Expr) -> ast.Expr:
        return Batch(index="", size=0, names=frozenset(), renamed={"t": self.name(self.t)}).expression(tree)

    def apply_optimizer(self, part: Trained, gradient: ast.Expr) -> ast.Call:
        call = part.optimizer
        keywords = tuple(replace(part, value=self._in_step(part.value)) for part in call.keywords)
        others = map(self._in_step, call.arguments)
        return ast.Call(span=call.span, function=call.function, arguments=(gradient, *others), keywords=keywords)

    def normalized(self, tensor: Tensor, processed: ast.Expr, size: ast.Expr) -> ast.Expr:
        """Q by its rule; R is the rms of Q over all entries of the tensor, `size` that of the weight."""
        part, span = tensor.part, tensor.part.span
        rms = "abs(Q)" if part.kind == "scalar" else "sqrt(avg(Q^2))"
        forms = {
            "update": f"Q / {rms}",
            "clip": f"Q * min(1, theta / {rms})",
            "weight": "Q / S",
            "lamb": f"Q * (S / {rms})",
        }
        theta = self._in_step(part.normalization.theta) if part.normalization.theta is not None else processed
        return quote_expression(forms[part.normalization.rule], span, {"Q": processed, "S": size, "theta": theta})

    def process(self, tensor: Tensor, gradient: ast.Expr, size: ast.Expr) -> tuple[Statements, ast.Expr]:
        """Statements before the update, and the processed gradient, normalized."""
        part = tensor.part
        call = self.apply_optimizer(part, gradient)
        if part.normalization.rule == "none":
            return (), call
        parts: dict[str, Part] = {"Q": self.processed(tensor), "call": call}
        # an optimizer keeps its state with the name that it updates; each pass forgets the last processed gradient
        statements = quote("Q = 0 * Q + call", part.span, parts)
        return statements, self.normalized(tensor, self.name(self.processed(tensor), part.span), size)

    def processed(self, tensor: Tensor) -> str:
        return f"Q_{tensor.tag}"

    def start_processed(self) -> Iterator[ast.Stmt]:
        for tensor in self.tensors:
            if tensor.part.normalization.rule != "none":
                yield from quote("Q = 0", tensor.part.span, {"Q": self.processed(tensor)})


class _Network(_Expansion):
    """Training of the weights themselves: at width n, and on kets."""

    def statements(self) -> Iterator[ast.Stmt]:
        yield from self.declarations()
        yield from self.initialised()
        yield from self.start_processed()
        yield self.training_loop(self.step())

    def step(self) -> Iterator[ast.Stmt]:
        yield from self.forward()
        yield from self.result()
        yield from self.show()
        yield from self.objective()
        yield from self.in_steps(self.updates())

    def result(self) -> Iterator[ast.Stmt]:
        yield from self.quote("f_ = value", value=product([*self.output_scale(), self.of_input(self.P)], self.span))
        if self.recipe.is_centred:
            yield from self.quote("if t == 0: start_ = stop(f_)")
            yield from self.quote("f_ -= start_")

    def updates(self) -> Iterator[ast.Stmt]:
        if self.is_error:
            weighted = self.over_inputs(quote_expression("stop(chi_) * f_", self.span, self.trained_output()))
            yield from self.quote("loss = value", value=weighted)
        for tensor in self.tensors:
            yield from self.update(tensor)

    def trained_output(self) -> Mapping[str, Part]:
        return {"chi_": self.of_input(self.chi), "f_": self.of_input(self.f)}

    def gradient(self, tensor: Tensor) -> ast.Expr:
        parts: dict[str, Part] = {"loss": self.loss, "p": tensor.of(tensor.part.name)}
        return quote_expression("grad(loss, p)", tensor.part.span, parts)

    def update(self, tensor: Tensor) -> Iterator[ast.Stmt]:
        part = tensor.part
        weight = tensor.of(part.name)
        if not self.trains(part):
            if part.decay is not None:
                yield ast.Assign(span=part.span, target=weight, operator="=", value=self.decayed(part, weight))
            return
        before, update = self.process(tensor, self.scaled_gradient(tensor), self.weight_size(tensor))
        yield from before
        change = product([*self.rate_factors(part), update], part.span)
        if part.decay is None:
            yield ast.Assign(span=part.span, target=weight, operator="-=", value=change)
            return
        value = ast.Binary(span=part.span, operator="-", left=self.decayed(part, weight), right=change)
        yield ast.Assign(span=part.span, target=weight, operator="=", value=value)

    def weight_size(self, tensor: Tensor) -> ast.Expr:
        """S, the root mean square of n^-a w (times √n for a matrix)."""
        part = tensor.part
        forms = {"vector": "sqrt(avg(p^2))", "scalar": "abs(p)"}
        if part.kind == "matrix":
            return self.matrix_size(tensor)
        return quote_expression(forms[part.kind], part.span, {"p": tensor.of(part.name)})

    # what differs between the two

    def initialised(self) -> Iterator[ast.Stmt]:
        raise NotImplementedError

    def output_scale(self) -> list[ast.Expr]:
        raise NotImplementedError

    def trains(self, part: Trained) -> bool:
        raise NotImplementedError

    def rate_factors(self, part: Trained) -> list[ast.Expr]:
        raise NotImplementedError

    def scaled_gradient(self, tensor: Tensor) -> ast.Expr:
        raise NotImplementedError

    def matrix_size(self, tensor: Tensor) -> ast.Expr:
        raise NotImplementedError


class _Finite(_Network):
    """The network at width n, every power of n in its place."""

    def initialised(self) -> Iterator[ast.Stmt]:
        for part in self.recipe.parameters:
            exponents = part.exponents
            power = -exponents.a - exponents.b + (HALF if part.kind == "matrix" else 0)
            names = tuple(self.name(self.fresh("k")) for _ in part.shape)
            weight = _element(part.name, names, part.span)
            for factor in _power(power, part.span):
                value = ast.Binary(span=part.span, operator="*", left=factor, right=weight)
                yield ast.Assign(span=part.span, target=weight, operator="=", value=value)

    def output_scale(self) -> list[ast.Expr]:
        return _power(1 - self.recipe.a_out, self.span)

    def trains(self, part: Trained) -> bool:
        return True

    def rate_factors(self, part: Trained) -> list[ast.Expr]:
        power = -part.exponents.c - part.exponents.a + (1 if part.kind == "matrix" else 0)
        return [self.rate(part), *_power(power, part.span)]

    def scaled_gradient(self, tensor: Tensor) -> ast.Expr:
        part = tensor.part
        power = part.exponents.d - part.exponents.a - (0 if part.kind == "scalar" else 1)
        return product([*_power(power, part.span), self.gradient(tensor)], part.span)

    def matrix_size(self, tensor: Tensor) -> ast.Expr:
        return _call(FROBENIUS, [tensor.of(tensor.part.name)], tensor.part.span)


class _Features(_Network):
    """The feature-learning limit, r = 0: no power of n is left."""

    def initialised(self) -> Iterator[ast.Stmt]:
        for part in self._decaying_matrices():
            yield from quote("S = value", part.span, {"S": _size_name(part), "value": _root(part.variance, part.span)})

    def step(self) -> Iterator[ast.Stmt]:
        yield from super().step()
        sizes = [
            ast.Assign(span=p.span, target=self.name(_size_name(p)), operator="=",
                       value=self.decayed(p, self.name(_size_name(p))))
            for p in self._decaying_matrices()
        ]  # fmt: skip
        yield from self.in_steps(sizes)

    def _decaying_matrices(self) -> list[Trained]:
        """Matrices whose size is read and shrinks."""
        return [p for p in self.recipe.parameters if _needs_size(p) and p.kind == "matrix" and p.decay is not None]

    def output_scale(self) -> list[ast.Expr]:
        is_silent = self.recipe.classification.A > ONE
        return [number(0, self.span)] if is_silent else []

    def updates(self) -> Iterator[ast.Stmt]:
        if self.recipe.classification.A == ONE:
            yield from super().updates()
            return
        # f vanishes, and the features move all the same: the error signal goes back through P
        if not self.is_error:
            yield from self.quote("chi_ = grad(loss, f_)")
        weighted = self.over_inputs(quote_expression("stop(chi_) * f_", self.span, self.trained_output()))
        yield from self.quote("loss = value", value=weighted)
        for tensor in self.tensors:
            yield from self.update(tensor)

    def trained_output(self) -> Mapping[str, Part]:
        is_silent = self.recipe.classification.A > ONE
        return {"chi_": self.of_input(self.chi), "f_": self.of_input(self.P if is_silent else self.f)}

    def trains(self, part: Trained) -> bool:
        return self.recipe.classification.trains[part.name]

    def rate_factors(self, part: Trained) -> list[ast.Expr]:
        return [self.rate(part), *_power(part.slowed, part.span)]

    def scaled_gradient(self, tensor: Tensor) -> ast.Expr:
        return self.gradient(tensor)

    def matrix_size(self, tensor: Tensor) -> ast.Expr:
        return _matrix_size(tensor.part)


class _Operator(_Expansion):
    """The operator regime, r > 0: weights stay where they began, and f moves by the neural tangent operator,

        f_{t+1}(ξ) − f_t(ξ) = −η Σ_p θ_p avg(grad(P(ξ), p) · Q(G_0, …, G_t)),   G_s = Σ_a χ_s(a) grad(P(ξ_a), p),

    for a matrix the K_W(χ) of (2.45), the sum over its uses inside Q.  With decay the kets of step t are those of the
    decayed initial network, the changes δ ← (1 − λ) δ − η Q are kept, and f_t = φ_t + Σ_p θ_p avg(grad(P_t, p) · δ_t)
    (Theorem 2.10.3, DESIGN §7).
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.is_decaying = any(part.decay is not None for part in recipe.parameters)
        self.is_random = recipe.classification.A == HALF and not (recipe.is_centred and not self.is_decaying)
        self.moving = [tensor for tensor in self.tensors if recipe.classification.contributes[tensor.part.name]]
        self.process_start = self.fresh("phi")

    def statements(self) -> Iterator[ast.Stmt]:
        yield from self.declarations()
        if not self.is_decaying:
            yield from self.kets()
            yield from self.quote("f_ = value", value=self.at_start())
        for tensor in self.moving:
            yield from quote("D = 0", tensor.part.span, {"D": self.change_target(tensor)})
            if tensor.part.normalization.rule != "none":
                yield from quote("Q = 0", tensor.part.span, {"Q": self.processed(tensor)})
        for part in self.recipe.parameters:
            if part.decay is not None:
                yield from quote("S = 1", part.span, {"S": _shrink_name(part)})
        yield self.training_loop(self.step())

    def step(self) -> Iterator[ast.Stmt]:
        if self.is_decaying:
            yield from self.kets()
            yield from self.quote("phi_ = value", phi_=self.of_input(self.process_start), value=self.at_start())
            if self.recipe.is_centred:
                phi: dict[str, Part] = {"phi_": self.of_input(self.process_start)}
                yield from self.quote("if t == 0: start_ = phi_", **phi)
            moved = [self.of_input(self.process_start), *map(self.moved, self.moving)]
            value = total(moved, self.span)
            if self.recipe.is_centred:
                value = ast.Binary(span=self.span, operator="-", left=value, right=self.of_input(self.start))
            yield from self.quote("f_ = value", value=value)
        yield from self.show()
        yield from self.objective()
        yield from self.in_steps(self.updates())

    # -------------------------------------------------------- initialisation

    def kets(self) -> Iterator[ast.Stmt]:
        """The network at initialisation (decayed), and the gradients of its averages in each parameter."""
        yield from self.forward()
        for tensor in self.moving:
            parts: dict[str, Part] = {"g": self.gradient_of(tensor), "p": tensor.of(tensor.part.name)}
            yield from self.quote("g = grad(P_, p)", tensor.part.span, **parts)

    def gradient_of(self, tensor: Tensor) -> ast.Expr:
        """grad(P(ξ_a), p), a family over inputs."""
        indices = (*self.input_indices, *(i for i in tensor.indices if isinstance(i, ast.Name)))
        return _element(f"g_{tensor.tag}", indices, tensor.part.span)

    def at_start(self) -> ast.Expr:
        """The output of the (decayed) initial network: 0, or a draw of its Gaussian process."""
        if self.recipe.given is not None:
            indices = self.input_indices
            if self.is_decaying:
                indices = (self.name(self.t), *indices)
            return _element(self.recipe.given, indices, self.span)
        zero = quote_expression("0 * P_", self.span, {"P_": self.of_input(self.P)})
        if not self.is_random:
            return zero
        draws: list[ast.Expr] = []
        for part in self.recipe.outputs:
            for index in combinations(*map(range, part.shape)):
                tensor = Tensor(part, tuple(number(k, part.span) for k in index))
                parts: dict[str, Part] = {"P_": self.of_input(self.P), "v": tensor.of(part.name)}
                ket = quote_expression("grad(P_, v)", part.span, parts)
                draw = _call(FLUCTUATION, [ket, self.name(tensor.tag), _number(part.variance, part.span)], part.span)
                shrink = [self.name(_shrink_name(part))] if part.decay is not None else []
                draws.append(product([*shrink, draw], part.span))
        return total(draws, self.span)

    # --------------------------------------------------------------- updates

    def updates(self) -> Iterator[ast.Stmt]:
        if not self.moving and not self.is_decaying:
            return
        if not self.is_error and self.moving:
            yield from self.quote("chi_ = grad(loss, f_)")
        for tensor in self.moving:
            yield from self.update(tensor)
        if not self.is_decaying:
            terms = [self.of_input(self.f), *map(self.moved, self.moving)]
            yield from self.quote("f_ = value", value=total(terms, self.span))
        for part in self.recipe.parameters:
            if part.decay is not None:
                names = tuple(self.name(self.fresh("k")) for _ in part.shape)
                for target in (_element(part.name, names, part.span), self.name(_shrink_name(part))):
                    yield ast.Assign(span=part.span, target=target, operator="=", value=self.decayed(part, target))

    def update(self, tensor: Tensor) -> Iterator[ast.Stmt]:
        """δ ← (1 − λ) δ − η Q; without decay only its last change is kept, which moves f by as much."""
        part = tensor.part
        weighted = quote_expression(
            "chi_ * g", part.span, {"chi_": self.of_input(self.chi), "g": self.gradient_of(tensor)}
        )
        before, update = self.process(tensor, self.over_inputs(weighted), self.weight_size(tensor))
        yield from before
        D = self.change(tensor)
        kept = quote_expression("0 * D", part.span, {"D": D}) if not self.is_decaying else D
        if part.decay is not None:
            kept = self.decayed(part, D)
        factors = [self.rate(part), *_power(part.slowed, part.span), update]
        value = ast.Binary(span=part.span, operator="-", left=kept, right=product(factors, part.span))
        yield ast.Assign(span=part.span, target=D, operator="=", value=value)

    def change(self, tensor: Tensor) -> ast.Expr:
        return _element(
            f"D_{tensor.tag}", tuple(i for i in tensor.indices if isinstance(i, ast.Name)), tensor.part.span
        )

    def change_target(self, tensor: Tensor) -> ast.Expr:
        names = (i for i in tensor.indices if isinstance(i, ast.Name))
        ranged = tuple(_ranged(i, size) for i, size in zip(names, tensor.part.shape, strict=False))
        return _element(f"D_{tensor.tag}", ranged, tensor.part.span)

    def moved(self, tensor: Tensor) -> ast.Expr:
        """avg(grad(P(ξ), p) · δ), summed over the elements of a family."""
        part = tensor.part
        form = "g * D" if part.kind == "scalar" else "avg(g * D)"
        value = quote_expression(form, part.span, {"g": self.gradient_of(tensor), "D": self.change(tensor)})
        if not tensor.is_family:
            return value
        bracket = ast.Subscript(span=part.span, base=self.name("sum"), indices=tensor.indices)
        return ast.Call(span=part.span, function=bracket, arguments=(value,), keywords=())

    def weight_size(self, tensor: Tensor) -> ast.Expr:
        part = tensor.part
        if part.kind == "matrix":
            shrink = [self.name(_shrink_name(part))] if part.decay is not None else []
            return product([*shrink, _root(part.variance, part.span)], part.span)
        form = "abs(p)" if part.kind == "scalar" else "sqrt(avg(p^2))"
        return quote_expression(form, part.span, {"p": tensor.of(part.name)})


# -------------------------------------------------------------------- pieces


def _element(name: str, indices: tuple[ast.Expr, ...], span: Span) -> ast.Expr:
    base = ast.Name(span=span, id=name)
    return ast.Subscript(span=span, base=base, indices=indices) if indices else base


def _ranged(index: ast.Expr, size: int) -> ast.Expr:
    """`a < M`, where a range is to be stated."""
    if not isinstance(index, ast.Name):
        return index
    return ast.Compare(span=index.span, first=index, rest=(("<", number(size, index.span)),))


def _call(name: str, arguments: list[ast.Expr], span: Span) -> ast.Call:
    return ast.Call(span=span, function=ast.Name(span=span, id=name), arguments=tuple(arguments), keywords=())


def _power(exponent: Fraction, span: Span) -> list[ast.Expr]:
    """[n^exponent], or nothing for n^0."""
    if exponent == 0:
        return []
    value: ast.Expr = number(abs(exponent.numerator), span)
    if exponent.denominator != 1:
        value = ast.Binary(span=span, operator="/", left=value, right=number(exponent.denominator, span))
    if exponent < 0:
        value = ast.Unary(span=span, operator="-", operand=value)
    return [ast.Binary(span=span, operator="^", left=ast.Name(span=span, id="n"), right=value)]


def _number(value: float, span: Span) -> ast.Expr:
    return ast.Number(span=span, value=value, text=repr(value))


def _root(variance: float, span: Span) -> ast.Expr:
    return _number(variance**0.5, span)


def _needs_size(part: Trained) -> bool:
    return part.normalization.rule in ("weight", "lamb")


def _size_name(part: Trained) -> str:
    return f"S_{part.name}"


def _shrink_name(part: Trained) -> str:
    return f"shrink_{part.name}"


def _matrix_size(part: Trained) -> ast.Expr:
    """√n times the rms of the entries of a matrix: its law's √variance, times (1 − λ)^t under decay; the updates, of
    entries 1/n, do not count."""
    if part.decay is None:
        return _root(part.variance, part.span)
    return ast.Name(span=part.span, id=_size_name(part))

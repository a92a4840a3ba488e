"""What all expansions of `train` share: names, the forward pass for all inputs, the loss, the update of a tensor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product as combinations

from nexort.source import Span
from nexort.syntax import ast
from nexort.training.model import Batch
from nexort.training.pieces import element, number, product, ranged, root
from nexort.training.quote import Part, quote, quote_expression
from nexort.training.recipe import Recipe, Trained

Statements = tuple[ast.Stmt, ...]
OUTPUT = "~output"
"""A function of the evaluator, which no program can name: the average of a returned vector."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """What one update changes: a parameter, one element of a family, or all of one (then `indices` are names)."""

    part: Trained
    indices: tuple[ast.Expr, ...]

    @property
    def names(self) -> tuple[ast.Expr, ...]:
        """The indices of a whole family; none for a single tensor."""
        return tuple(index for index in self.indices if isinstance(index, ast.Name))

    @property
    def tag(self) -> str:
        """`W`, `W_2`: a name for what belongs to it."""
        numbers = [str(index.value) for index in self.indices if isinstance(index, ast.Number)]
        return "_".join([self.part.name, *numbers])

    def of(self, name: str, *before: ast.Expr) -> ast.Expr:
        """`name[before, indices]`, or the name alone."""
        return element(name, (*before, *self.indices), self.part.span)


class Expansion(ABC):
    """What the three expansions share: names, the forward pass, the loss, updates."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.span = recipe.span
        self.used = set(recipe.taken)
        self._own: dict[tuple[str, str], str] = {}
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

    def own(self, kind: str, tag: str) -> str:
        """The name of what belongs to a tensor or a parameter: `g_W`."""
        if (kind, tag) not in self._own:
            self._own[kind, tag] = self.fresh(f"{kind}_{tag}")
        return self._own[kind, tag]

    def name(self, text: str, span: Span | None = None) -> ast.Name:
        return ast.Name(span=span or self.span, id=text)

    def quote(self, text: str, span: Span | None = None, /, **parts: Part) -> Statements:
        """A template in which `a`, `f`, … are this expansion's names, and `x_` is x[a] or, with heads, x[a, o]."""
        named: dict[str, Part] = {
            "a": self.a, "b": self.b, "t": self.t, "P": self.P, "loss": self.loss, "weight": self.weight,
            "each": self.each, "average": OUTPUT, "f_": self.of_input(self.f), "P_": self.of_input(self.P),
            "start_": self.of_input(self.start), "chi_": self.of_input(self.chi),
            "M": number(self.recipe.size, self.span), "T": number(self.recipe.steps, self.span),
        }  # fmt: skip
        return quote(text, span or self.span, {**named, **parts})

    def of_input(self, name: str) -> ast.Expr:
        """`f[a]`, or `f[a, o]` with heads."""
        return element(name, self.input_indices, self.span)

    @property
    def input_indices(self) -> tuple[ast.Expr, ...]:
        return tuple(map(self.name, (self.a, self.o) if self.recipe.has_heads else (self.a,)))

    def over_inputs(self, value: ast.Expr) -> ast.Expr:
        """Σ over inputs and heads."""
        return self.summed(value, self.input_indices)

    def summed(self, value: ast.Expr, indices: tuple[ast.Expr, ...]) -> ast.Expr:
        """`sum[indices](value)`."""
        bracket = ast.Subscript(span=value.span, base=self.name("sum", value.span), indices=indices)
        return ast.Call(span=value.span, function=bracket, arguments=(value,), keywords=())

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
            indices = self.input_indices if family.id in self.recipe.model.batched else self.input_indices[1:]
            head = element(family.id, indices, family.span)
            yield from self.quote("P[a < M, o] = average(head)", family.span, o=self.o, head=head)
            return
        for head, tree in enumerate(returned):
            value = self.forward_batch.expression(tree)
            target = "P[a < M, k]" if self.recipe.has_heads else "P[a < M]"
            yield from self.quote(f"{target} = average(value)", tree.span, value=value, k=number(head, tree.span))

    def show(self) -> Iterator[ast.Stmt]:
        """The outputs f and the feature kernels."""
        yield self.output(self.name(self.f), "f")
        for name in self.recipe.kernels:
            axes = self.recipe.model.local_axes[name.id]
            others = tuple(self.name(self.fresh("i"), name.span) for _ in range(axes))
            left, right = (element(name.id, (self.name(x), *others), name.span) for x in (self.a, self.b))
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
        mean = "sum[a](weight[a] * each[a])" if recipe.weights is not None else "mean[a](each[a])"
        yield from self.quote(f"loss = {mean}", recipe.loss.span)
        yield self.output(self.name(self.loss), "loss")

    def _weights(self) -> Iterator[ast.Stmt]:
        """The weights of this step, of sum 1; those of the last step again for the loss after it."""
        field = self.recipe.weights
        if field is None:
            return
        share = "weight[a] /= sum[b](weight[b])"
        if field.indices is None:
            batch = replace(self.field_batch, names=self.field_batch.names | self.recipe.per_input)
            yield from self.quote("weight[a < M] = value", field.span, value=batch.expression(field.value))
            yield from self.quote(share, field.span)
            return
        *step, index = field.indices
        renamed: dict[str, ast.Expr] = {part.id: self.name(self.t) for part in step if isinstance(part, ast.Name)}
        batch = Batch(index="", size=0, names=frozenset(), renamed={"t": self.name(self.t), **renamed})
        statements = self.quote("weight[i < M] = value", field.span, i=index, value=batch.expression(field.value))
        statements += self.quote(share, field.span)
        yield from (self.in_steps(statements) if step else statements)

    def _error(self, field: ast.Field) -> Iterator[ast.Stmt]:
        indices = field.indices or self.input_indices
        batch = self.field_batch
        if field.indices is not None:
            batch = replace(batch, names=frozenset())
        value = batch.expression(field.value)
        sizes = [self.recipe.size, *([len(self.recipe.model.returned)] if self.recipe.has_heads else [])]
        if self.recipe.model.has_family_result:  # its size is that of f, whether the text says so or not
            sizes.pop()
            f = element(self.f, tuple(indices), field.span)
            value = quote_expression("value + 0 * f", field.span, {"value": value, "f": f})
        bound = tuple(ranged(part, size) for part, size in zip(indices, sizes, strict=False))
        target = element(self.chi, (*bound, *indices[len(bound) :]), field.span)
        yield ast.Assign(span=field.span, target=target, operator="=", value=value)

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

    def in_step(self, tree: ast.Expr) -> ast.Expr:
        """A field's expression, its t the step."""
        return Batch(index="", size=0, names=frozenset(), renamed={"t": self.name(self.t)}).expression(tree)

    def apply_optimizer(self, part: Trained, gradient: ast.Expr) -> ast.Call:
        call = part.optimizer
        keywords = tuple(replace(keyword, value=self.in_step(keyword.value)) for keyword in call.keywords)
        others = map(self.in_step, call.arguments)
        return ast.Call(span=call.span, function=call.function, arguments=(gradient, *others), keywords=keywords)

    def process(self, tensor: Tensor, gradient: ast.Expr, size: ast.Expr) -> tuple[Statements, ast.Expr]:
        """Statements before the update, and the processed gradient, normalised."""
        part = tensor.part
        call = self.apply_optimizer(part, gradient)
        if part.normalization.rule == "none":
            return (), call
        Q = self.name(self.own("Q", tensor.tag), part.span)
        # an optimizer keeps its state with the name that it updates
        statements = quote("Q = 0\nQ += call", part.span, {"Q": Q, "call": call})
        return statements, self._normalized(part, Q, size)

    def _normalized(self, part: Trained, Q: ast.Expr, size: ast.Expr) -> ast.Expr:
        """Q by its rule; R is the rms of Q over all entries of the tensor, S = `size` that of the weight."""
        R = quote_expression("abs(Q)" if part.kind == "scalar" else "sqrt(avg(Q^2))", part.span, {"Q": Q})
        forms = {
            "update": "where(R > 0, Q / R, 0)",  # a gradient that is 0 everywhere stays 0
            "clip": "Q / max(1, R / theta)",
            "weight": "Q / S",
            "lamb": "where(R > 0, Q * (S / R), 0)",
        }
        parts: dict[str, Part] = {"Q": Q, "R": R, "S": size}
        if part.normalization.theta is not None:
            parts["theta"] = self.in_step(part.normalization.theta)
        return quote_expression(forms[part.normalization.rule], part.span, parts)

    def weight_size(self, tensor: Tensor) -> ast.Expr:
        """S, the root mean square of n^-a w, times √n for a matrix."""
        part = tensor.part
        if part.kind == "matrix":
            return self.matrix_size(tensor)
        form = "abs(p)" if part.kind == "scalar" else "sqrt(avg(p^2))"
        return quote_expression(form, part.span, {"p": tensor.of(part.name)})

    @abstractmethod
    def matrix_size(self, tensor: Tensor) -> ast.Expr:
        """S of a matrix."""

    # ----------------------------------------------------------------- decay

    def decayed(self, part: Trained, value: ast.Expr) -> ast.Expr:
        """(1 − λ) value."""
        assert part.decay is not None
        decay = self.in_step(part.decay)
        return quote_expression("(1 - decay) * value", part.span, {"decay": decay, "value": value})

    def shrink(self, part: Trained) -> list[ast.Expr]:
        """[Π (1 − λ)], what is left of the initial value of a parameter; nothing without decay."""
        return [self.name(self.own("left", part.name), part.span)] if part.decay is not None else []

    def start_shrinking(self) -> Iterator[ast.Stmt]:
        for part in self.recipe.parameters:
            for left in self.shrink(part):
                yield from quote("left = 1", part.span, {"left": left})

    def shrunk(self) -> Iterator[ast.Stmt]:
        for part in self.recipe.parameters:
            for left in self.shrink(part):
                yield ast.Assign(span=part.span, target=left, operator="=", value=self.decayed(part, left))

    def initial_size(self, part: Trained) -> ast.Expr:
        """The limit of S of a matrix: its law's √variance, times Π (1 − λ); updates, of entries 1/n, do not count."""
        return product([*self.shrink(part), root(part.variance, part.span)], part.span)

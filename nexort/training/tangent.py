"""The operator regime, r > 0: weights stay where they began, and f moves by the neural tangent operator,

    f_{t+1}(ξ) − f_t(ξ) = −η Σ_p θ_p avg(grad(P(ξ), p) · Q(G_0, …, G_t)),   G_s = Σ_a χ_s(a) grad(P(ξ_a), p),

with P = avg(returned vector) on kets at initialisation; for a matrix that is K_W(χ) of (2.45), the sum over its uses
inside Q (TP4b Theorem 2.4.7, 2.4.9, 2.9.19, 2.9.23).  With decay the kets of step t are those of the decayed initial
network, the changes δ ← (1 − λ) δ − η Q are kept, and f_t = φ_t + Σ_p θ_p avg(grad(P_t, p) · δ_t) (Theorem 2.10.3).

The output at initialisation is of order n^(1/2−A): a Gaussian process for A = 1/2 (Theorem 2.9.19), avg(returned) for
A = 1, 0 in between and above.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product as combinations

from nexort.syntax import ast
from nexort.training.expansion import Expansion, Tensor
from nexort.training.exponents import ONE
from nexort.training.pieces import call, decimal, element, number, power, product, ranged, total
from nexort.training.quote import quote, quote_expression
from nexort.training.recipe import Recipe, Trained

FLUCTUATION = "~fluctuation"
"""A function of the evaluator, which no program can name: the limit of √n ⟨v⎸z⟩ for a fresh readout v."""
MOVED = "~moved"
"""Likewise, of (P, W, D): avg(grad(P, W) D), also for a change D that is an operator, as Muon's."""


class Operator(Expansion):
    """`moving` are the tensors with θ = 1."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.moving = [tensor for tensor in self.tensors if self._moves(tensor.part)]
        self.phi = self.fresh("phi")

    def _moves(self, part: Trained) -> bool:
        return self.recipe.classification.contributes[part.name] and not self.recipe.is_silent(part)

    def statements(self) -> Iterator[ast.Stmt]:
        yield from self.declarations()
        if not self.recipe.is_decaying:
            yield from self.kets()
            yield from self.quote("f_ = value", value=self.at_start())
        if self.recipe.is_decaying:
            for tensor in self.moving:
                yield from self.no_change(tensor)
        yield from self.start_shrinking()
        yield self.training_loop(self.step())

    def step(self) -> Iterator[ast.Stmt]:
        if self.recipe.is_decaying:
            yield from self.kets()
            yield from self.decaying_output()
        yield from self.show()
        yield from self.objective()
        yield from self.in_steps(self.updates())

    # -------------------------------------------------------- initialisation

    def kets(self) -> Iterator[ast.Stmt]:
        """The (decayed) initial network, and the gradients of its averages in each parameter."""
        yield from self.forward()
        for tensor in self.moving:
            span = tensor.part.span
            parts = {"P": element(self.P, self.input_indices, span), "p": tensor.of(tensor.part.name)}
            yield from self.quote("g = grad(P, p)", span, g=self.gradient(tensor), **parts)

    def gradient(self, tensor: Tensor) -> ast.Expr:
        """grad(P(ξ_a), p), a family over inputs."""
        return element(self.own("g", tensor.tag), (*self.input_indices, *tensor.names), tensor.part.span)

    def at_start(self) -> ast.Expr:
        """The output of the (decayed) initial network."""
        recipe = self.recipe
        if recipe.given is not None:
            step = (self.name(self.t),) if recipe.is_decaying else ()
            return element(recipe.given, (*step, *self.input_indices), self.span)
        if recipe.has_random_start:
            return total(
                [self._fluctuation(part, index) for part in recipe.outputs for index in _places(part)], self.span
            )
        has_value = recipe.classification.A == ONE and (recipe.is_decaying or not recipe.is_centred)
        return quote_expression("P" if has_value else "0 * P", self.span, {"P": self.of_input(self.P)})

    def _fluctuation(self, part: Trained, index: tuple[int, ...]) -> ast.Expr:
        """The limit of √n ⟨v⎸z⟩: z is the gradient of P in v, and does not depend on it."""
        tensor = Tensor(part, tuple(number(k, part.span) for k in index))
        parts = {"P": self.of_input(self.P), "v": tensor.of(part.name)}
        ket = quote_expression("grad(P, v)", part.span, parts)
        draw = call(FLUCTUATION, [ket, self.name(tensor.tag), decimal(part.variance, part.span)], part.span)
        return product([*self.shrink(part), draw], part.span)

    def decaying_output(self) -> Iterator[ast.Stmt]:
        """f_t = φ_t + Σ avg(grad(P_t, p) · δ_t), less φ_0 where it is centred."""
        phi = self.of_input(self.phi)
        yield from self.quote("phi = value", phi=phi, value=self.at_start())
        if self.recipe.is_centred:
            yield from self.quote("if t == 0: start_ = phi", phi=phi)
            yield from self.quote("phi -= start_", phi=phi)
        yield from self.quote("f_ = value", value=total([phi, *map(self.moved, self.moving)], self.span))

    # --------------------------------------------------------------- updates

    def updates(self) -> Iterator[ast.Stmt]:
        if self.moving and self.recipe.error is None:
            yield from self.quote("chi_ = grad(loss, f_)")
        for tensor in self.moving:
            yield from self.update(tensor)
        if self.moving and not self.recipe.is_decaying:
            terms = [self.of_input(self.f), *map(self.moved, self.moving)]
            yield from self.quote("f_ = value", value=total(terms, self.span))
        for part in self.recipe.parameters:
            if part.decay is not None:
                weight = element(part.name, tuple(self.name(self.fresh("k")) for _ in part.shape), part.span)
                yield ast.Assign(span=part.span, target=weight, operator="=", value=self.decayed(part, weight))
        yield from self.shrunk()

    def update(self, tensor: Tensor) -> Iterator[ast.Stmt]:
        """δ ← (1 − λ) δ − η Q; where nothing decays only its last change is kept, which moves f by as much."""
        part, delta = tensor.part, self.change(tensor)
        parts = {"chi": self.of_input(self.chi), "g": self.gradient(tensor)}
        weighted = self.over_inputs(quote_expression("chi * g", part.span, parts))
        before, update = self.process(tensor, weighted, self.weight_size(tensor))
        yield from before
        # with a rate of order n^-k the number is the limit of n^k times it
        moved = product([self.in_step(part.rate), *power(part.slowed, part.span), update], part.span)
        if part.decay is not None:
            value = ast.Binary(span=part.span, operator="-", left=self.decayed(part, delta), right=moved)
            yield ast.Assign(span=part.span, target=delta, operator="=", value=value)
            return
        if not self.recipe.is_decaying:
            yield from self.no_change(tensor)
        yield ast.Assign(span=part.span, target=delta, operator="-=", value=moved)

    def no_change(self, tensor: Tensor) -> Iterator[ast.Stmt]:
        yield from quote("D = 0", tensor.part.span, {"D": self.change(tensor, has_ranges=True)})

    def change(self, tensor: Tensor, *, has_ranges: bool = False) -> ast.Expr:
        """δ of a tensor, or of all elements of a family."""
        names = tensor.names
        if has_ranges:
            names = tuple(ranged(name, size) for name, size in zip(names, tensor.part.shape, strict=False))
        return element(self.own("D", tensor.tag), names, tensor.part.span)

    def moved(self, tensor: Tensor) -> ast.Expr:
        """avg(grad(P(ξ), p) · δ), summed over the elements of a family."""
        part = tensor.part
        if part.kind == "matrix":
            return call(MOVED, [self.of_input(self.P), tensor.of(part.name), self.change(tensor)], part.span)
        form = "g * D" if part.kind == "scalar" else "avg(g * D)"
        value = quote_expression(form, part.span, {"g": self.gradient(tensor), "D": self.change(tensor)})
        return self.summed(value, tensor.names) if tensor.names else value

    def matrix_size(self, tensor: Tensor) -> ast.Expr:
        return self.initial_size(tensor.part)


def _places(part: Trained) -> Iterator[tuple[int, ...]]:
    """The indices of the elements of a family; () for a single parameter."""
    return combinations(*map(range, part.shape))

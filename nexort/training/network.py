"""Training of the weights themselves: the network at width n, and the feature-learning limit.

With E = n^-a w the weight that the model reads, the update of TP4b is, in the language's own scaling (`grad(s, W)` is
n ∂s/∂W, `W -= η T` subtracts (η/n) T),

    matrix  E_0 = n^(1/2−a−b) W,   E ← (1−λ) E − η n^(1−c−a) Q(n^(d−a−1) grad(L, E)),
    vector  E_0 = n^(−a−b) v,      E ← (1−λ) E − η n^(−c−a)  Q(n^(d−a−1) grad(L, E)),
    scalar  E_0 = n^(−a−b) s,      E ← (1−λ) E − η n^(−c−a)  Q(n^(d−a)   grad(L, E)).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from nexort.syntax import ast
from nexort.training.expansion import Expansion, Tensor
from nexort.training.exponents import HALF, ONE
from nexort.training.pieces import call, element, power, product
from nexort.training.quote import quote_expression
from nexort.training.recipe import Trained

FROBENIUS = "~frobenius"
"""A function of the evaluator, which no program can name: √n times the rms of the entries of a matrix, at width n."""


class Network(Expansion, ABC):
    """Training of the weights themselves: at width n, and on kets."""

    def statements(self) -> Iterator[ast.Stmt]:
        yield from self.declarations()
        yield from self.initialised()
        yield self.training_loop(self.step())

    def step(self) -> Iterator[ast.Stmt]:
        yield from self.forward()
        yield from self.result()
        yield from self.show()
        yield from self.objective()
        yield from self.in_steps(self.updates())

    def updates(self) -> Iterator[ast.Stmt]:
        if self.recipe.error is not None:
            yield from self.back_from(self.f)
        for tensor in self.tensors:
            yield from self.update(tensor)

    def back_from(self, output: str) -> Iterator[ast.Stmt]:
        """In place of the loss Σ χ f, whose gradients are those of the error signal χ."""
        parts = {"chi_": self.of_input(self.chi), "f_": self.of_input(output)}
        weighted = self.over_inputs(quote_expression("stop(chi_) * f_", self.span, parts))
        yield from self.quote("loss = value", value=weighted)

    def update(self, tensor: Tensor) -> Iterator[ast.Stmt]:
        """E ← (1 − λ) E − η Q."""
        part = tensor.part
        weight = tensor.of(part.name)
        if not self.trains(part):
            if part.decay is not None:
                yield ast.Assign(span=part.span, target=weight, operator="=", value=self.decayed(part, weight))
            return
        before, update = self.process(tensor, self.gradient(tensor), self.weight_size(tensor))
        yield from before
        change = product([*self.rate(part), update], part.span)
        if part.decay is None:
            yield ast.Assign(span=part.span, target=weight, operator="-=", value=change)
            return
        value = ast.Binary(span=part.span, operator="-", left=self.decayed(part, weight), right=change)
        yield ast.Assign(span=part.span, target=weight, operator="=", value=value)

    def raw_gradient(self, tensor: Tensor) -> ast.Expr:
        span = tensor.part.span
        parts = {"loss": self.name(self.loss, span), "p": tensor.of(tensor.part.name)}
        return quote_expression("grad(loss, p)", span, parts)

    @abstractmethod
    def initialised(self) -> Iterator[ast.Stmt]:
        """What stands between the declarations and the first step."""

    @abstractmethod
    def result(self) -> Iterator[ast.Stmt]:
        """f, from the averages P."""

    @abstractmethod
    def trains(self, part: Trained) -> bool:
        """Whether a parameter moves by its gradients."""

    @abstractmethod
    def rate(self, part: Trained) -> list[ast.Expr]:
        """The factors before Q."""

    @abstractmethod
    def gradient(self, tensor: Tensor) -> ast.Expr:
        """What Q processes."""

    def centred(self) -> Iterator[ast.Stmt]:
        if self.recipe.is_centred:
            yield from self.quote("if t == 0: start_ = stop(f_)")
            yield from self.quote("f_ -= start_")


class Finite(Network):
    """The network at width n, every power of n in its place."""

    def initialised(self) -> Iterator[ast.Stmt]:
        for part in self.recipe.parameters:
            exponent = -part.exponents.a - part.exponents.b + (HALF if part.kind == "matrix" else 0)
            names = tuple(self.name(self.fresh("k")) for _ in part.shape)
            weight = element(part.name, names, part.span)
            for factor in power(exponent, part.span):
                value = product([factor, weight], part.span)
                yield ast.Assign(span=part.span, target=weight, operator="=", value=value)

    def result(self) -> Iterator[ast.Stmt]:
        scale = power(1 - self.recipe.a_out, self.span)
        yield from self.quote("f_ = value", value=product([*scale, self.of_input(self.P)], self.span))
        yield from self.centred()

    def trains(self, part: Trained) -> bool:
        return part.is_trained

    def rate(self, part: Trained) -> list[ast.Expr]:
        exponent = -part.exponents.c - part.exponents.a + (1 if part.kind == "matrix" else 0)
        return [self.in_step(part.rate), *power(exponent, part.span)]

    def gradient(self, tensor: Tensor) -> ast.Expr:
        part = tensor.part
        exponent = part.exponents.d - part.exponents.a - (0 if part.kind == "scalar" else 1)
        return product([*power(exponent, part.span), self.raw_gradient(tensor)], part.span)

    def matrix_size(self, tensor: Tensor) -> ast.Expr:
        return call(FROBENIUS, [tensor.of(tensor.part.name)], tensor.part.span)


class Features(Network):
    """The feature-learning limit, r = 0: no power of n is left, and parameters with r_l > 0 are frozen.

    Where A = a_{L+1} + b_{L+1} > 1 the output vanishes; the features move all the same, by normalised output weights.
    """

    @property
    def is_silent(self) -> bool:
        return self.recipe.classification.A > ONE

    def initialised(self) -> Iterator[ast.Stmt]:
        yield from self.start_shrinking()

    def result(self) -> Iterator[ast.Stmt]:
        yield from self.quote("f_ = 0 * P_" if self.is_silent else "f_ = P_")
        yield from self.centred()

    def updates(self) -> Iterator[ast.Stmt]:
        if self.is_silent:
            if self.recipe.error is None:
                yield from self.quote("chi_ = grad(loss, f_)")
            yield from self.back_from(self.P)
            for tensor in self.tensors:
                yield from self.update(tensor)
        else:
            yield from super().updates()
        yield from self.shrunk()

    def trains(self, part: Trained) -> bool:
        found = self.recipe.classification
        if part.is_output and self.is_silent:
            return part.is_trained and found.faithful[part.name].c == part.exponents.b
        return found.rates.get(part.name) == 0

    def rate(self, part: Trained) -> list[ast.Expr]:
        # with a rate of order n^-k the number is the limit of n^k times it
        return [self.in_step(part.rate), *power(part.slowed, part.span)]

    def gradient(self, tensor: Tensor) -> ast.Expr:
        return self.raw_gradient(tensor)

    def matrix_size(self, tensor: Tensor) -> ast.Expr:
        return self.initial_size(tensor.part)

"""`train`: read, classified, expanded into ordinary statements, and unrolled in names of its own.

The expansion sees the program's params, data, functions and optimizers, and nothing else.
"""

from __future__ import annotations

from dataclasses import replace

from nexort.elaborate.recipes import read_recipe
from nexort.elaborate.scope import Array, Scope
from nexort.elaborate.starts import ANY
from nexort.elaborate.unrolling import Unrolling
from nexort.errors import SyntaxFault, WidthFault
from nexort.graph.terms import data
from nexort.syntax import ast
from nexort.training import ONE, Recipe, expand_finite, expand_limit


def train(unroller: Unrolling, tree: ast.Train) -> None:
    """Run a `train` statement."""
    if unroller.depth:
        raise SyntaxFault("train stands outside of loops", tree.span, hint="write one train statement for each network")
    recipe, scope = read_recipe(unroller, tree)
    unroller.classifications[recipe.name or recipe.model.name] = recipe.classification
    if unroller.meaning == "classify":
        return
    if unroller.meaning == "limit":
        _check_limit(recipe)
        recipe = _with_given(unroller, recipe, scope)
        unroller.notes.extend(_limit_notes(recipe))
    statements = expand_finite(recipe) if unroller.meaning == "finite" else expand_limit(recipe)
    with unroller.inside(scope, f"{recipe.name or recipe.model.name}.", recipe.output_name("")):
        unroller.block(statements)


# --------------------------------------------------------------------- limits


def _check_limit(recipe: Recipe) -> None:
    """Raises WidthFault for a training without a limit."""
    found = recipe.classification
    if found.regime in ("unstable", "unfaithful"):
        reasons = "; ".join(f"{failure.inequality}: {failure.meaning}" for failure in found.failures)
        repairs = ", ".join(dict.fromkeys(str(change) for failure in found.failures for change in failure.changes))
        raise WidthFault(
            f"this training has no infinite-width limit, its parametrization is {found.regime}: {reasons}",
            recipe.parametrization_span,
            hint=f"repaired by {repairs}; `nexort classify` shows all exponents",
        )
    is_fresh = bool(recipe.outputs)
    if found.A < ONE and not is_fresh and (not recipe.is_centred or recipe.is_decaying):
        what = "the decayed output at initialisation" if recipe.is_centred else "the output at initialisation"
        raise WidthFault(
            f"{what} has a limit only if every returned vector is v * z, with v a mean-zero vector parameter that is "
            "used nowhere else: a mean-zero output is not enough",
            recipe.model.tree.body[-1].span,
            hint="write center = true (without decay) for the centred limit, or return v * z",
        )


def _with_given(unroller: Unrolling, recipe: Recipe, scope: Scope) -> Recipe:
    """The recipe with the output at initialisation that is given for it, if one is."""
    if not recipe.has_random_start:
        return recipe
    name = recipe.output_name("f0")
    heads = (ANY,) if recipe.model.has_family_result else (len(recipe.model.returned),) if recipe.has_heads else ()
    steps = (recipe.steps + 1,) if recipe.is_decaying else ()
    array = unroller.starts.take(name, (*steps, recipe.size, *heads), recipe.span)
    if array is None:
        return recipe
    hidden = f"~{name}"
    scope.entries[hidden] = Array(data(name, array, recipe.span), recipe.span)
    return replace(recipe, given=hidden)


def _limit_notes(recipe: Recipe) -> list[str]:
    found, name = recipe.classification, recipe.name or recipe.model.name
    notes: list[str] = []
    if found.regime == "trivial":
        notes.append(
            f"train {name}: the parametrization is trivial, so f_t = f_0 in the limit "
            f"({'; '.join(failure.inequality for failure in found.failures)})"
        )
    silent = [part.name for part in recipe.parameters if recipe.is_silent(part)]
    if silent:
        notes.append(
            f"train {name}: the scalar parameters {', '.join(silent)} do not move the limit: with a fresh readout "
            "their gradients vanish like n^-1/2"
        )
    return notes

"""Where each kind of statement may stand: the parts of an optimizer, a model and a train statement in their own
blocks, declarations outside of all blocks, pairs `(p, q)` as results and settings only.

Accepts a statement, or a header whose block is still empty, with the words of the blocks around it, the outermost
first.  Gives the fault, or None.
"""

from __future__ import annotations

from collections.abc import Sequence

from nexort.errors import SyntaxFault
from nexort.syntax import ast
from nexort.syntax.walk import child_nodes, walk_nodes

Placed = ast.Stmt | ast.Branch | ast.Per

_TOP_LEVEL = (ast.Param, ast.Data, ast.Def, ast.Import, ast.Optimizer, ast.Model, ast.Train)
_STEPS = (ast.Assign, ast.For, ast.Branch)
_OWNERS: dict[str, tuple[str, tuple[type[ast.Node], ...], str]] = {
    "optimizer": (
        "an optimizer",
        (*_STEPS, ast.State, ast.Return),
        "its block has state, assignments, if and return",
    ),
    "model": (
        "a model",
        (*_STEPS, ast.Initial, ast.Return),
        "its block has vector, matrix, scalar, assignments, for, if and one return",
    ),
    "train": (
        "a train block",
        (ast.Assign, ast.Per),
        "it has fields, name = value (loss, optimizer, rate, steps, …), and per blocks",
    ),
    "per": ("a per block", (ast.Assign,), "it has fields, name = value (optimizer, rate, decay, …)"),
}
"""What a block is called, what may stand in it, and how a message says so."""

_HOMES: dict[type[ast.Node], tuple[str, str]] = {
    ast.State: ("an optimizer", "it belongs to the block of 'optimizer name(…):'"),
    ast.Return: ("an optimizer or a model", "it belongs to the block of 'optimizer name(…):' or 'model name(…):'"),
    ast.Per: ("a train block", "it belongs to the block of 'train model on arrays:'"),
}


def find_misplaced(node: Placed, words: Sequence[str]) -> SyntaxFault | None:
    """The fault of a statement that may not stand where it stands."""
    owner = next((word for word in reversed(words) if word in _OWNERS), "")
    rules = (_find_stranger, _find_early_return, _find_odd_field, _find_stray_tuple)
    return next((fault for rule in rules if (fault := rule(node, words, owner)) is not None), None)


def _find_stranger(node: Placed, words: Sequence[str], owner: str) -> SyntaxFault | None:
    """A statement of another kind than its block has."""
    word = node.span.text.split(maxsplit=1)[0]
    if owner and not isinstance(node, _OWNERS[owner][1]):
        called, _, hint = _OWNERS[owner]
        return SyntaxFault(f"'{word}' inside {called}", node.span, hint=hint)
    if not owner and type(node) in _HOMES:
        home, hint = _HOMES[type(node)]
        return SyntaxFault(f"'{word}' outside of {home}", node.span, hint=hint)
    if words and isinstance(node, _TOP_LEVEL):
        return SyntaxFault(f"'{word}' inside a block", node.span, hint="this declaration stands outside of for and if")
    return None


def _find_early_return(node: Placed, words: Sequence[str], owner: str) -> SyntaxFault | None:
    """A model returns once, whatever its loops and conditions do."""
    if owner != "model" or not isinstance(node, ast.Return) or words[-1] == "model":
        return None
    hint = "a model returns once, at the end of its own block; bind a name here and return it there"
    return SyntaxFault(f"'return' inside '{words[-1]}'", node.span, hint=hint)


def _find_odd_field(node: Placed, words: Sequence[str], owner: str) -> SyntaxFault | None:
    """A field is set once, for inputs and steps, not for neurons."""
    if owner not in ("train", "per") or not isinstance(node, ast.Assign):
        return None
    if isinstance(node.target, ast.Braces):
        hint = "fields are name = value, or name[a] = value for each input"
        return SyntaxFault("a field has no width axes", node.target.span, hint=hint)
    if node.operator != "=":
        hint = f"a field is set, not changed: {node.target.span.text} = …"
        return SyntaxFault(f"'{node.operator}' in a field", node.span, hint=hint)
    return None


def _find_stray_tuple(node: Placed, words: Sequence[str], owner: str) -> SyntaxFault | None:
    """`(p, q)` is what a model returns, a field, or a named argument: no value otherwise."""
    is_value = owner in ("train", "per") or (owner == "model" and isinstance(node, ast.Return))
    stray = next((child for child in _unnamed_tuples(node) if not (is_value and child is _value_of(node))), None)
    if stray is None:
        return None
    hint = "parentheses hold one expression; a list is [a, b]"
    if isinstance(node, ast.Return):
        hint = "an optimizer returns one update" if owner == "optimizer" else "several results are return (p, q)"
    return SyntaxFault("a ',' inside '('", stray.span, hint=hint)


def _value_of(node: Placed) -> ast.Expr | None:
    return node.value if isinstance(node, (ast.Assign, ast.Return)) else None


def _unnamed_tuples(node: ast.Node) -> list[ast.Tuple]:
    """The tuples below a node, those not counted that are a named argument."""
    return [
        child
        for parent in walk_nodes(node)
        if not isinstance(parent, ast.Keyword)
        for child in child_nodes(parent)
        if isinstance(child, ast.Tuple)
    ]

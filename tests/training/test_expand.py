"""The ordinary programs that `train` stands for, kept as texts in expansions/: they are what a reader checks.

After a deliberate change, `NEXORT_UPDATE_GOLDEN=1 pytest tests/training` writes them anew: read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nexort
from nexort import syntax
from nexort.api.results import RandomLimitOutput
from nexort.elaborate import training
from nexort.syntax import ast
from training.networks import network

FOLDER = Path(__file__).with_name("expansions")
ADAM = ("sgd()", "adam(beta2=0.99, eps=0.1)")
HEADS = (
    ("vector u[d], v", "vector u[d], v[2]"),
    ("    return v * tanh(h)", "    p[k] = v[k] * tanh(h)\n    return p"),
    ("(f - y)^2 / 2", "(f[0] + f[1] - y)^2 / 2"),
)

TRAININGS = {
    "mup": network(ADAM, fields="kernels = h"),
    "ntp": network(ADAM, fields="parametrization = ntp\nkernels = h"),
    "ntp_uncentred": network(fields="parametrization = ntp\ncenter = false"),
    "ntp_decay": network(fields="parametrization = ntp\ndecay = 0.1"),
    "ntp_heads": network(*HEADS, fields="parametrization = ntp\ncenter = false"),
    "lamb": network(ADAM, fields="normalize = lamb\ndecay = 0.1"),
    "clip": network(fields="parametrization = ntp\nnormalize = clip(2)"),
    "batches": network(("rate = 0.1", "rate = 0.1 / (1 + t)"), fields="weights[s, b] = mask[s, b]"),
    "error": network(("loss = (f - y)^2 / 2", "error[i] = f[i] - y[i]"), fields="parametrization = up(1/4)"),
    "frozen": network(fields="parametrization = abcd(matrix=(0, 1/2, 1, 1), vector=(0, 0, 1, 1), out=1)"),
    "silent": network(
        ("sgd()", "signsgd(eps=0)"),
        fields="parametrization = abcd(matrix=(0, 1/2, 1, 0), vector=(0, 0, 0, 0), v=(0, 1, 1, 0), out=1)",
    ),
    "standard": network(("rate = 0.1", "rate = 0.1 / n"), fields="parametrization = standard"),
    "own": network(
        ("mlp on xi, y:", "mlp on xi, y as wide:"),
        fields="per W: rate = 0.3; optimizer = momentum()\nper v: decay = 0.1",
    ),
    "names": network(("    h = W", "    f = 2\n    for t in 0..2:\n        a = t\n    P = f\n    h = P * W")),
}  # fmt: skip


def expansions(text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both programs of a training, one after the other; '-' where there is no limit."""
    found: dict[str, str] = {}

    def spy(name: str) -> None:
        original: Any = getattr(training, f"expand_{name}")

        def expand(recipe: Any) -> Any:
            statements = original(recipe)
            program = ast.Program(span=recipe.span, source=recipe.span.source, body=statements)
            found[name] = syntax.print_program(program)
            return statements

        monkeypatch.setattr(training, f"expand_{name}", expand)

    spy("finite")
    spy("limit")
    program = nexort.compile(text)
    _ = program.limit_graph
    return "".join(f"# {name}\n{found[name]}" for name in ("finite", "limit"))


@pytest.mark.parametrize("name", TRAININGS)
def test_expansion(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = expansions(TRAININGS[name], monkeypatch)
    path = FOLDER / f"{name}.txt"
    if os.environ.get("NEXORT_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TRAININGS)
def test_both_meanings_run(name: str) -> None:
    """At width n and in the limit every output has its shape and is finite."""
    program = nexort.compile(TRAININGS[name])
    limit = program.limit(64, replicates=2, draws=2)
    prefix = "wide_" if name == "own" else ""
    heads = (2,) if name == "ntp_heads" else ()
    run = program.run(16, trials=2)
    assert run[f"{prefix}f"].mean.shape == (3, 4, *heads)
    assert set(run) == set(limit)
    if name != "error":
        assert run[f"{prefix}loss"].mean.shape == (3,)
    for output in limit:
        found = limit[output]
        values = found.mean if isinstance(found, RandomLimitOutput) else found.value
        assert values.shape == run[output].mean.shape
        assert np.isfinite(values).all()

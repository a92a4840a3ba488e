"""`limit` on JAX against the NumPy engine, on JAX's CPU: the same hats, averages and products with tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nexort
from accelerated.engines import ORDER_3, SIGNS, assert_equal, replicates

pytest.importorskip("jax")
from nexort.accelerated import open_accelerator

PROGRAMS = sorted((Path(__file__).parents[2] / "programs").glob("*.nx"))
STEPS = {"adam_mup": 3, "signsgd_written_out": 3}
"""Steps of the programs whose arguments would outnumber the samples."""


@pytest.mark.parametrize(("text", "samples"), [(SIGNS, 64), (ORDER_3, 40), (ORDER_3, 400)])
def test_small_programs_are_equal(text, samples):
    """Copies are distinct samples; with 400 samples, averages over two copies draw them in pairs."""
    ours, theirs = replicates(nexort.compile(text), samples, open_accelerator("cpu"))
    assert_equal(ours, theirs, 1e-11)


def test_a_random_limit_is_equal():
    text = "scalar c ~ N(0, 1)\nvector x\nmatrix W\nh = tanh(c * (W @ x))\noutput <h|h> as s\n"
    ours, theirs = (
        nexort.compile(text).limit(64, replicates=2, draws=3, method="particles", engine=engine)["s"].values
        for engine in ("numpy", "jax")
    )
    np.testing.assert_allclose(theirs, ours, rtol=1e-12)


@pytest.mark.long
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_every_program_is_equal(path):
    settings = {"T": STEPS[path.stem]} if path.stem in STEPS else {}
    ours, theirs = replicates(nexort.load(path, **settings), 512, open_accelerator("cpu"))
    assert_equal(ours, theirs, 1e-8)

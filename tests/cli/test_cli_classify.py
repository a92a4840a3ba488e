"""`nexort classify`: text, JSON, pictures, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nexort as package
from nexort.errors import TypeFault

TRAINING = """\
param M = 3, d = 2
data xi[M, d] = normal(seed=1)
data y[M] = normal(seed=2)
import "optimizers.nx"
model mlp(xi[d]):
    vector u[d], v
    matrix W[2]
    h1 = sum[k](xi[k] * u[k])
    h2 = W[0] @ gelu(h1)
    h3 = W[1] @ gelu(h2)
    return v * gelu(h3)
train mlp on xi, y:
    loss = (f - y)^2 / 2
    optimizer = adam(eps=0)
    rate = 0.1 / n
    steps = 2
    parametrization = standard
train mlp on xi, y as wide:
    loss = (f - y)^2 / 2
    optimizer = sgd()
    rate = 0.1
    steps = 2
    parametrization = mup
"""


@pytest.fixture
def training(tmp_path: Path) -> Path:
    path = tmp_path / "training.nx"
    path.write_text(TRAINING, encoding="utf-8")
    return path


def test_text(nexort, training):
    outcome = nexort("classify", training)
    assert (outcome.status, outcome.err) == (0, "")
    first, second = outcome.out.split("\n\n")
    assert first.startswith("train mlp: unstable: not stable, faithful, nontrivial\n")
    assert "a_out + a_v + b_v + r = 1/2, must be at least 1 (r = 0)" in first
    assert "repaired by c_W = 3/2" in first
    assert second.startswith("train wide: feature learning: stable, faithful, nontrivial\n")


def test_json(nexort, training):
    outcome = nexort("classify", training, "--json")
    found = json.loads(outcome.out)
    assert (found["mode"], found["program"]) == ("classify", str(training))
    assert {name: part["regime"] for name, part in found["trainings"].items()} == {
        "mlp": "unstable",
        "wide": "feature learning",
    }
    assert found["trainings"]["wide"]["parameters"]["W"]["r"] == "0"


def test_picture(nexort, training, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "plane.png"
    assert nexort("classify", training, "--plot", path, "--axes", "c_W,c_u").status == 0
    assert path.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--plot", "PATH", "--axes", "c_q,b_v"), "the program has no exponent 'c_q'"),
        (("--axes", "c_W,b_v"), "--axes are those of a picture"),
        (("--plot", "PATH.xyz"), "no kind of picture is named 'xyz'"),
    ],
)
def test_wrong_pictures_are_refused(nexort, training, tmp_path, flags, message):
    pytest.importorskip("matplotlib")
    words = [word.replace("PATH", str(tmp_path / "plane.png")) for word in flags]
    outcome = nexort("classify", training, *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err


def test_a_program_that_trains_nothing(nexort, transpose):
    outcome = nexort("classify", transpose)
    assert (outcome.status, outcome.out) == (1, "")
    assert "has no train statement to classify" in outcome.err


def test_settings_and_python():
    text = TRAINING.replace("parametrization = mup", "parametrization = up(s)").replace("d = 2", "d = 2, s = 0", 1)
    regimes = [package.compile(text, s=s).classify()["wide"].regime for s in (0, 0.25, 0.75)]
    assert regimes == ["feature learning", "operator", "unstable"]
    with pytest.raises(TypeFault, match="no train statement"):
        package.compile("vector x\noutput <x|x>\n").classify()

"""Every architecture and every optimizer, in µP and NTP: the limit is where the networks of growing width go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

import nexort
from architectures.widths import PROGRAMS, extrapolated_gap, training_text

PARAMETRIZATIONS = ("mup", "ntp")
ARCHITECTURES = sorted(path.stem.removeprefix("train_") for path in PROGRAMS.glob("train_*.nx"))
ADAM = {"optimizer": "adam(beta2=0.99, eps=0.1)"}
SGD = {"optimizer": "sgd()", "rate": "0.5"}

OPTIMIZERS: Mapping[str, Mapping[str, str]] = {
    "sgd": SGD,
    "momentum": {"optimizer": "momentum(beta=0.8)", "rate": "0.15"},
    "nesterov": {"optimizer": "nesterov(beta=0.8)", "rate": "0.15"},
    "signsgd": {"optimizer": "signsgd(eps=0.1)", "rate": "0.1"},
    "lion": {"optimizer": "lion()", "rate": "0.05"},
    "rprop": {"optimizer": "rprop(start=0.05)", "rate": "1"},
    "rmsprop": {"optimizer": "rmsprop(alpha=0.9, eps=0.1)", "rate": "0.05"},
    "adagrad": {"optimizer": "adagrad(eps=0.1)", "rate": "0.1"},
    "adadelta": {"optimizer": "adadelta(eps=0.01)", "rate": "0.5"},
    "adam": ADAM,
    "adamw": {"optimizer": "adamw(beta2=0.99, eps=0.1)"},
    "amsgrad": {"optimizer": "amsgrad(beta2=0.5, eps=0.1)"},
    "adamax": {"optimizer": "adamax(beta2=0.9, eps=0.1)"},
    "nadam": {"optimizer": "nadam(beta2=0.99, eps=0.1)"},
    # the step sizes are divided by √v from step 6 on
    "radam": {"optimizer": "radam(eps=0.1)", "steps": "7", "rate": "0.2"},
    "adafactor": {"optimizer": "adafactor(eps=0.1)"},
    "muon": {"optimizer": "adam(beta2=0.99, eps=0.1)\n    per W: optimizer = muon()"},
}

TRIALS = {512: 32, 1024: 16, 2048: 32}
NOISE = dict.fromkeys(("layer_norm", "autoencoder", "momentum", "nesterov", "adadelta", "radam", "muon", "gru"), 2)
NOISE |= {"lstm": 2, "transposed": 4}
"""Where a single network is further from its limit, so many times the networks are needed for an error of 2 %."""
REPLICATES = {"lstm": 48, "transposed": 96}
"""Where the limit takes more than 16 replicates of 2048 samples for that."""
SGD_RATES = {"layer_norm": "0.3", "lstm": "1", "gru": "2"}
"""Where 0.5 is near instability, which blows up the differences between networks, or where it learns too little."""


def check(program: str, noise: int, fields: Mapping[str, str]) -> None:
    trials = {width: noise * count for width, count in TRIALS.items()}
    replicates = REPLICATES.get(program, 16)
    gap = extrapolated_gap(training_text(program, **fields), trials, samples=2048, replicates=replicates)
    print(program, dict(fields), gap)
    assert gap.scale > 0.03, "nothing is learned"
    assert gap.precision < 0.02, gap
    assert gap.errors_away < 4, gap


@pytest.mark.long
@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("program", ARCHITECTURES)
def test_networks_go_to_their_limit(program: str, optimizer: str, parametrization: str) -> None:
    fields = {**OPTIMIZERS[optimizer], "parametrization": parametrization}
    if optimizer == "sgd" and program in SGD_RATES:
        fields["rate"] = SGD_RATES[program]
    check(program, NOISE.get(program, 1), fields)


@pytest.mark.long
@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name not in ("sgd", "adam")])
def test_optimizers_go_to_their_limit(optimizer: str, parametrization: str) -> None:
    check("mlp", NOISE.get(optimizer, 1), {**OPTIMIZERS[optimizer], "parametrization": parametrization})


@pytest.mark.long
def test_decoupled_decay_goes_to_its_limit() -> None:
    """In µP: in NTP the limit with decay is random."""
    fields = {"optimizer": "adamw(beta2=0.99, eps=0.1)\n    decay = 0.05", "parametrization": "mup"}
    check("mlp", 1, fields)


@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_small_networks_go_to_their_limit(parametrization: str) -> None:
    """A forward pass that uses W and W', at widths 64 to 256, to a tenth of the scale."""
    text = training_text("transposed", **ADAM, parametrization=parametrization, steps="3")
    gap = extrapolated_gap(text, {64: 60, 128: 30, 256: 30}, samples=512, replicates=6)
    assert gap.precision < 0.1, gap
    assert gap.errors_away < 4, gap


def test_every_optimizer_has_a_case() -> None:
    library = (Path(nexort.__file__).parent / "library" / "optimizers.nx").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^optimizer (\w+)", library, re.MULTILINE)) == sorted(OPTIMIZERS)

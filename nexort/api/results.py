"""Results: what a computation was asked for, and each output with its error.

A result is a mapping from output names.  An output has shape (…), the static shape behind the loop axes; its raw
values have shape (trials, …) or (replicates, …).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Generic, Protocol, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from nexort.api.files import write_npz
from nexort.api.table import Column, NameColumn, TableColumn, common_name, text_table
from nexort.errors import suggest

Array = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class RunOutput:
    """One output of `run`. `values` has shape (trials, …); the statistics are over trials."""

    values: Array

    @property
    def trials(self) -> int:
        return len(self.values)

    @cached_property
    def mean(self) -> Array:
        """(1/R) Σ x_r over the R trials."""
        return np.asarray(self.values.mean(axis=0))

    @cached_property
    def std(self) -> Array:
        """sqrt(Σ (x_r - mean)² / (R - 1)); NaN with one trial."""
        if self.trials < 2:
            return np.full(self.values.shape[1:], np.nan)
        with np.errstate(over="ignore"):  # the spread of finite values near 1e308 is not finite: not known
            return np.asarray(self.values.std(axis=0, ddof=1))

    @cached_property
    def stderr(self) -> Array:
        """Standard error of `mean`, std / sqrt(R); NaN with one trial."""
        return np.asarray(self.std / np.sqrt(self.trials))

    def to_dict(self) -> dict[str, Any]:
        """The JSON layout; an error that is not known is None."""
        is_spread_known = self.trials > 1
        return {
            "mean": plain(self.mean),
            "std": plain(self.std) if is_spread_known else None,
            "stderr": plain(self.stderr) if is_spread_known else None,
            "trials": self.trials,
        }

    def columns(self) -> tuple[Column, ...]:
        return (Column("mean", self.mean, self.stderr), Column("std", self.std))


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class LimitOutput:
    """One output of `limit`, with its error from the spread between replicates: NaN with one, 0 where it is exact."""

    value: Array
    stderr: Array
    """Standard error of `value`."""
    ci95: Array
    """The ends of the 95 % interval by Student's t, shape (2, …)."""
    methods: NDArray[np.str_]
    """How each element was computed: exact, particles, or mixed, from samples that read exact scalars."""
    values: Array
    """What each replicate gave, shape (replicates, …)."""
    bias: Array | None = None
    """With a tolerance: the estimated bias of `value` from the finite number of samples; it is not subtracted."""
    bias_stderr: Array | None = None

    @property
    def method(self) -> str:
        """That of all elements, mixed where they differ."""
        return common_name(self.methods)

    @property
    def replicates(self) -> int:
        return len(self.values)

    def to_dict(self) -> dict[str, Any]:
        """The JSON layout; an error that is not known is None."""
        is_error_known = self.replicates > 1 or bool(np.any(self.methods == "exact"))
        return {
            "value": plain(self.value),
            "stderr": plain(self.stderr) if is_error_known else None,
            "ci95": plain(self.ci95) if is_error_known else None,
            "method": self.method,
            **_plain_bias(self),
        }

    def columns(self) -> tuple[TableColumn, ...]:
        reach = Column("95 % ±", self.ci95[1] - self.value)
        method = NameColumn("method", self.methods)
        return (Column("limit", self.value, self.stderr), reach, *_bias_columns(self), method)


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class RandomLimitOutput:
    """One output of `limit` that stays random as n → ∞: its law, over draws in each replicate.

    `std` is NaN with one draw, `stderr` with one draw or one replicate.
    """

    mean: Array
    std: Array
    """Standard deviation of the law, not of `mean`."""
    stderr: Array
    """Standard error of `mean`."""
    method: str
    values: Array
    """Shape (replicates, draws, …)."""
    bias: Array | None = None
    """With a tolerance: the estimated bias of `mean` from the finite number of samples; it is not subtracted."""
    bias_stderr: Array | None = None

    @property
    def replicates(self) -> int:
        return self.values.shape[0]

    @property
    def draws(self) -> int:
        """In each replicate."""
        return self.values.shape[1]

    def to_dict(self) -> dict[str, Any]:
        """The JSON layout; what is not known is None."""
        return {
            "mean": plain(self.mean),
            "std": plain(self.std) if self.draws > 1 else None,
            "stderr": plain(self.stderr) if self.draws > 1 and self.replicates > 1 else None,
            "draws": self.draws,
            "method": self.method,
            **_plain_bias(self),
        }

    def columns(self) -> tuple[TableColumn, ...]:
        method = NameColumn("method", np.full(self.mean.shape, self.method))
        return (Column("mean", self.mean, self.stderr), Column("std", self.std), *_bias_columns(self), method)


def _plain_bias(output: LimitOutput | RandomLimitOutput) -> dict[str, Any]:
    if output.bias is None or output.bias_stderr is None:
        return {}
    return {"bias": plain(output.bias), "bias_stderr": plain(output.bias_stderr)}


def _bias_columns(output: LimitOutput | RandomLimitOutput) -> tuple[Column, ...]:
    return () if output.bias is None else (Column("bias", output.bias, output.bias_stderr),)


class Output(Protocol):
    """What a result holds by name."""

    def to_dict(self) -> dict[str, Any]: ...

    def columns(self) -> Sequence[TableColumn]: ...


Out = TypeVar("Out", bound=Output)


@final
@dataclass(frozen=True, kw_only=True)
class ToleranceReport:
    """What the work towards a tolerance took in the end, and which outputs it did not reach."""

    samples: int
    replicates: int
    unreached: tuple[str, ...]
    predicted: Mapping[str, Any] | None
    """The samples, replicates and further seconds that were expected after the first replicates, if more were."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "reached": not self.unreached,
            "unreached": list(self.unreached),
            "samples": self.samples,
            "replicates": self.replicates,
            "predicted": self.predicted,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Results(ABC, Mapping[str, Out], Generic[Out]):
    """Outputs by name. `config` holds every option with its value, `seconds` the time of the work."""

    mode: ClassVar[str]
    repeat: ClassVar[str]
    """What an output's leading axis counts, for messages."""

    program: str
    config: Mapping[str, Any]
    outputs: Mapping[str, Out] = field(repr=False)
    seconds: float
    warnings: tuple[str, ...] = ()
    tolerance: ToleranceReport | None = None
    """How the work towards a tolerance ended."""
    unfinished: tuple[str, ...] = ()
    """The outputs that lack numbers (NaN) because the work was stopped."""

    def __getitem__(self, name: str) -> Out:
        if name not in self.outputs:
            hint = suggest(name, self.outputs) or f"the outputs are {', '.join(self.outputs)}"
            raise KeyError(f"no output {name!r}; {hint}")
        return self.outputs[name]

    def __contains__(self, name: object) -> bool:
        return name in self.outputs

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    @property
    def unreached(self) -> tuple[str, ...]:
        """The outputs that lack numbers, or are less accurate than the tolerance asked for."""
        return self.tolerance.unreached if self.tolerance is not None else self.unfinished

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """What `save_npz` writes, by name."""

    @abstractmethod
    def summary(self) -> str:
        """One line: mode, size, seed and time."""

    def to_dict(self) -> dict[str, Any]:
        from nexort import __version__

        return {
            "nexort": __version__,
            "program": self.program,
            "mode": self.mode,
            "config": dict(self.config),
            "outputs": {name: output.to_dict() for name, output in self.outputs.items()},
            "seconds": round(self.seconds, 6),
            "warnings": list(self.warnings),
            **({} if self.tolerance is None else {"tolerance": self.tolerance.to_dict()}),
        }

    def to_json(self, indent: int | None = None) -> str:
        """The layout of `--json`; what is not known (an error from one trial) is null."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def save_npz(self, path: str) -> None:
        """Writes `arrays()` to one file, whole or not at all. Raises ComputationFault."""
        write_npz(path, self.arrays())

    def table(self) -> str:
        """Every output with the digits that its error supports; families of many elements are summarised."""
        rows = {name: output.columns() for name, output in self.outputs.items()}
        return f"{text_table(rows)}\n{self.summary()}"

    def __str__(self) -> str:
        return "\n".join([self.table(), *(f"warning: {warning}" for warning in self.warnings)])


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class RunResults(Results[RunOutput]):
    """What `Program.run` computed."""

    mode: ClassVar[str] = "run"
    repeat: ClassVar[str] = "trial"

    def arrays(self) -> dict[str, Array]:
        """NAME: the values, shape (trials, …)."""
        return {name: output.values for name, output in self.outputs.items()}

    def summary(self) -> str:
        trials = max((output.trials for output in self.outputs.values()), default=0)
        size = f"width {self.config['width']}, {count(trials, self.repeat)}"
        return f"run: {size}, seed {self.config['seed']}, {self.config['dtype']}, {self.seconds:.2f} s"


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class LimitResults(Results[LimitOutput | RandomLimitOutput]):
    """What `Program.limit` computed."""

    mode: ClassVar[str] = "limit"
    repeat: ClassVar[str] = "replicate"

    @property
    def is_exact(self) -> bool:
        """Whether nothing was sampled."""
        return all(output.method == "exact" for output in self.outputs.values())

    def arrays(self) -> dict[str, Array]:
        """NAME and NAME_stderr, each of the output's shape.

        Of a random limit NAME is the mean; NAME_std and NAME_draws, of shape (replicates, draws, …), come with it.
        """
        arrays: dict[str, Array] = {}
        for name, output in self.outputs.items():
            is_random = isinstance(output, RandomLimitOutput)
            arrays[name] = output.mean if is_random else output.value
            arrays[f"{name}_stderr"] = output.stderr
            if is_random:
                arrays |= {f"{name}_std": output.std, f"{name}_draws": output.values}
        return arrays

    def table(self) -> str:
        """Outputs that are numbers in the limit, then those that stay random."""
        random = {name: x.columns() for name, x in self.outputs.items() if isinstance(x, RandomLimitOutput)}
        fixed = {name: x.columns() for name, x in self.outputs.items() if name not in random}
        tables = [text_table(rows) for rows in (fixed, random) if rows] or [text_table({})]
        return "\n".join([*tables, self.summary()])

    def summary(self) -> str:
        if self.is_exact:
            return f"limit by the exact method: {self.seconds:.2f} s"
        replicates = max((output.replicates for output in self.outputs.values()), default=0)
        draws = [output.draws for output in self.outputs.values() if isinstance(output, RandomLimitOutput)]
        samples = self.config["samples"] if self.tolerance is None else self.tolerance.samples
        sizes = [f"{samples} samples", count(replicates, self.repeat)]
        sizes += [f"{count(max(draws), 'draw')} each"] if draws else []
        methods = _enumerated(sorted({str(name) for output in self.outputs.values() for name in _methods(output)}))
        work = f"seed {self.config['seed']}, {self.config['dtype']}, {self.seconds:.2f} s"
        return f"limit by {methods}: {', '.join(sizes)}, {work}"


def _methods(output: LimitOutput | RandomLimitOutput) -> NDArray[np.str_]:
    return np.ravel(output.method if isinstance(output, RandomLimitOutput) else output.methods)


def _enumerated(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 2 else names)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def plain(array: Array) -> Any:
    """A number or nested lists, with None for what is not known."""
    plain = array.astype(object)
    plain[~np.isfinite(array)] = None
    return plain.tolist()

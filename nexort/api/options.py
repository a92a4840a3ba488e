"""What a computation is asked for.

A field is a command-line flag and a keyword of `Program.run` or `Program.limit`, and is echoed into the result's
`config`.  Its metadata holds what the flag's help says and the bound that its value must keep; the bounds are checked
here, once for both doors.
"""

from __future__ import annotations

import math
import operator
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields
from typing import Any, Literal, cast, get_args

from nexort.errors import UsageFault, suggest

Init = Literal["gaussian", "rademacher", "uniform"]
Dtype = Literal["float64", "float32"]
Device = Literal["cpu", "gpu"]
Engine = Literal["auto", "numpy", "jax"]
Method = Literal["auto", "particles", "exact"]


def _whole(minimum: int, help: str) -> dict[str, Any]:
    return {"minimum": minimum, "help": help}


def _choice(choices: Any, help: str) -> dict[str, Any]:
    return {"choices": get_args(choices), "help": help}


RESULTS_FOLDER = "nexort-results"
"""Where `compare` keeps finished trials, in the current directory."""
_BYTES = re.compile(r"(?P<number>\d+(\.\d*)?|\.\d+)\s*(?P<unit>[A-Za-z]*)")
_UNITS = {"": 1, "B": 1} | {
    f"{prefix}{ending}": base**power
    for power, prefix in enumerate("KMGT", 1)
    for ending, base in (("B", 1000), ("IB", 1024))
}
REDUCTIONS = ("groups", "sobol")
"""What `limit.REDUCTIONS` says too: the command line is made without the limit backend."""
SEED = _whole(0, "root of all random numbers")
DTYPE = _choice(Dtype, "arithmetic")
DEVICE = _choice(Device, "where to compute (gpu: needs JAX)")
ENGINE = _choice(Engine, "what computes (auto: numpy on the cpu, jax on the gpu)")


class _Options:
    """Checks every field against its metadata; subclasses are frozen dataclasses."""

    def __post_init__(self) -> None:
        for option in fields(self):  # pyright: ignore[reportArgumentType]
            value = _check_option(option, getattr(self, option.name))
            object.__setattr__(self, option.name, value)
        self._refuse_unbuilt()

    def to_dict(self) -> dict[str, Any]:
        """Every field with its value, for the `config` of a result."""
        return {option.name: getattr(self, option.name) for option in fields(self)}  # pyright: ignore[reportArgumentType]

    def _refuse_unbuilt(self) -> None:
        if getattr(self, "device", "cpu") == "gpu" and getattr(self, "engine", "auto") == "numpy":
            raise UsageFault("--engine numpy runs on the CPU only", hint="leave out --engine, or --device gpu")

    @property
    def is_accelerated(self) -> bool:
        """Whether JAX computes."""
        return getattr(self, "engine", "auto") == "jax" or getattr(self, "device", "cpu") == "gpu"


@dataclass(frozen=True, kw_only=True)
class RunOptions(_Options):
    """`nexort run`: independent networks of width n."""

    width: int = field(metadata=_whole(1, "the width n"))
    trials: int = field(default=10, metadata=_whole(1, "independent draws of the initial values"))
    seed: int = field(default=0, metadata=SEED)
    init: Init = field(default="gaussian", metadata=_choice(Init, "entries of initial matrices (same variance)"))
    dtype: Dtype = field(default="float64", metadata=DTYPE)
    device: Device = field(default="cpu", metadata=DEVICE)
    engine: Engine = field(default="auto", metadata=ENGINE)


@dataclass(frozen=True, kw_only=True)
class LimitOptions(_Options):
    """`nexort limit`: the limit n → ∞, exact where that is possible, from samples of the kets elsewhere."""

    samples: int = field(default=4096, metadata=_whole(2, "samples of each ket"))
    replicates: int = field(default=8, metadata=_whole(1, "independent repetitions, for the standard error"))
    draws: int = field(default=64, metadata=_whole(1, "draws in each replicate, where the limit is random"))
    seed: int = field(default=0, metadata=SEED)
    tol: float | None = field(
        default=None,
        metadata={"help": "add work until every standard error is below it, and every bias below a third of it"},
    )
    max_seconds: float | None = field(
        default=None, metadata={"help": "with --tol or exact: the best answer within this time"}
    )
    max_memory: int | None = field(
        default=None,
        metadata={
            "is_bytes": True,
            "help": "with --tol or exact: the best answer within this memory, as 2GB",
        },
    )
    method: Method = field(
        default="auto",
        metadata=_choice(Method, "exact: no samples, or refused; particles: samples; auto: exact where possible"),
    )
    reduce: str = field(
        default="all",
        metadata={"parts": REDUCTIONS, "help": "ways to smaller errors: all, none, or of groups,sobol"},
    )
    dtype: Dtype = field(default="float64", metadata=DTYPE)
    device: Device = field(default="cpu", metadata=DEVICE)
    engine: Engine = field(default="auto", metadata=ENGINE)

    @property
    def reductions(self) -> tuple[str, ...]:
        """The parts of `reduce`."""
        return _parts_of(self.reduce, REDUCTIONS)

    def _refuse_unbuilt(self) -> None:
        super()._refuse_unbuilt()
        for name in ("max_seconds", "max_memory"):
            if self.tol is None and self.method != "exact" and getattr(self, name) is not None:
                raise UsageFault(
                    f"{name} limits the work that a tolerance asks for, and there is no tolerance",
                    hint="add --tol, for example --tol 1e-3, or --method exact",
                )


@dataclass(frozen=True, kw_only=True)
class CompareOptions(LimitOptions):
    """`nexort compare`: networks of several widths, and the limit with all its options."""

    widths: tuple[int, ...] = field(
        metadata={"minimum": 1, "is_many": True, "help": "the widths n, separated by commas"}
    )
    trials: int = field(default=10, metadata=_whole(1, "independent draws of the initial values at each width"))
    init: Init = field(default="gaussian", metadata=_choice(Init, "entries of initial matrices (same variance)"))

    @property
    def limit(self) -> LimitOptions:
        return LimitOptions(**{option.name: getattr(self, option.name) for option in fields(LimitOptions)})

    def run(self, width: int) -> RunOptions:
        shared = (option.name for option in fields(RunOptions) if option.name != "width")
        return RunOptions(width=width, **{name: getattr(self, name) for name in shared})


@dataclass(frozen=True, kw_only=True)
class CheckOptions(_Options):
    """`nexort check`: the sizes whose cost is estimated."""

    width: int | None = field(default=None, metadata=_whole(1, "estimate `run` at this width"))
    samples: int = field(default=4096, metadata=_whole(2, "estimate `limit` with so many samples"))
    dtype: Dtype = field(default="float64", metadata=DTYPE)


def refuse_unbuilt(what: str, instead: str) -> UsageFault:
    """The refusal of a part of the command line that this version does not have."""
    return UsageFault(f"{what} is not built yet in this version of NEXORT", hint=instead)


def _check_option(option: Field[Any], value: Any) -> Any:
    choices = option.metadata.get("choices")
    if choices is not None:
        return _check_choice(option.name, value, choices)
    if value is None and option.default is None:
        return None
    if "is_many" in option.metadata:
        return _check_many(option.name, value, option.metadata["minimum"])
    if "is_bytes" in option.metadata:
        return _check_bytes(option.name, value)
    if "parts" in option.metadata:
        return _check_parts(option.name, value, option.metadata["parts"])
    if "minimum" in option.metadata:
        return _check_whole(option.name, value, option.metadata["minimum"])
    return _check_positive(option.name, value)


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        hint = suggest(str(value), choices)
        raise UsageFault(f"{name} must be one of {', '.join(choices)}, not {value!r}", hint=hint)
    return value


def _check_whole(name: str, value: Any, minimum: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise UsageFault(f"{name} must be a whole number, not {value!r}") from None
    if isinstance(value, bool):
        raise UsageFault(f"{name} must be a whole number, not {value!r}")
    if number < minimum:
        raise UsageFault(f"{name} must be at least {minimum}, not {number}")
    return number


def _check_many(name: str, value: Any, minimum: int) -> tuple[int, ...]:
    """Different whole numbers, in increasing order."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise UsageFault(f"{name} must be whole numbers, not {value!r}", hint=f"for example {name} 64, 512")
    numbers = sorted(_check_whole(name, item, minimum) for item in cast("Iterable[Any]", value))
    if not numbers:
        raise UsageFault(f"{name} must be at least one whole number", hint=f"for example {name} 64, 512")
    twice = next((number for number, count in Counter(numbers).items() if count > 1), None)
    if twice is not None:
        raise UsageFault(f"{name} must be different, and {twice} is given twice")
    return tuple(numbers)


def _check_parts(name: str, value: Any, parts: tuple[str, ...]) -> str:
    """`all`, `none`, or some of the parts, in their order, separated by commas."""
    chosen = _parts_of(value, parts) if isinstance(value, str) else None
    unknown = [part for part in chosen or () if part not in parts]
    if chosen is None or unknown:
        shown = unknown[0] if unknown else value
        hint = suggest(str(shown), (*parts, "all", "none")) or f"for example {name} {parts[0]}"
        raise UsageFault(f"{name} must be all, none, or some of {', '.join(parts)}, not {shown!r}", hint=hint)
    kept = [part for part in parts if part in chosen]
    return "all" if len(kept) == len(parts) else ",".join(kept) or "none"


def _parts_of(text: str, parts: tuple[str, ...]) -> tuple[str, ...]:
    if text in ("all", "none"):
        return parts if text == "all" else ()
    return tuple(part.strip() for part in text.split(","))


def _check_bytes(name: str, value: Any) -> int:
    """A whole number of bytes, or a text such as `2GB` or `1.5 GiB`."""
    if not isinstance(value, str):
        return _check_whole(name, value, 1)
    found = _BYTES.fullmatch(value.strip())
    if found is None or found["unit"].upper() not in _UNITS:
        raise UsageFault(f"{name} must be a size, not {value!r}", hint="for example 2GB, 500MB or 1.5GiB")
    return _check_whole(name, int(float(found["number"]) * _UNITS[found["unit"].upper()]), 1)


def _check_positive(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UsageFault(f"{name} must be a number, not {value!r}") from None
    if not 0 < number < math.inf:
        raise UsageFault(f"{name} must be positive and finite, not {number:g}")
    return number

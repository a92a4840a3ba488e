"""A program: read, parsed and elaborated, ready to be run at width n or taken to its limit.

The stages, each of which `nexort` prints on its own: `read_source` → `parse` → `elaborate` → a backend.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, final
from unicodedata import normalize

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nexort import elaborate, passes, syntax
from nexort.api.check import CheckReport, build_report
from nexort.api.compute import Interrupted, Progress, Trial, compute_run
from nexort.api.files import read_source
from nexort.api.options import (
    RESULTS_FOLDER,
    CheckOptions,
    CompareOptions,
    Device,
    Dtype,
    Engine,
    Init,
    LimitOptions,
    Method,
    RunOptions,
)
from nexort.errors import DataFault, NexortError, UsageFault
from nexort.graph import Graph
from nexort.source import Source
from nexort.syntax import ast

if TYPE_CHECKING:
    from nexort.api.classify import ClassifyReport
    from nexort.api.compared import CompareResults
    from nexort.api.results import LimitResults, RunResults

__all__ = ["Interrupted", "Program", "compile", "load", "load_source"]

DataSource = str | os.PathLike[str] | Mapping[str, ArrayLike]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """One program with its parameters and data fixed. Made by `load` and `compile`."""

    source: Source
    tree: ast.Program = field(repr=False)
    graph: Graph = field(repr=False)
    settings: Mapping[str, int | float]
    """The parameters given from outside (`--set`)."""
    data: str | None
    """The file or, for arrays given from Python, the names that replace the program's stand-ins."""
    arrays: Mapping[str, NDArray[np.float64]] = field(repr=False)

    @property
    def name(self) -> str:
        return self.source.name

    @cached_property
    def limit_graph(self) -> Graph:
        """The program whose kets are the limit: the same but for `train`. Made at first use, when it may raise."""
        is_trained = any(isinstance(statement, ast.Train) for statement in self.tree.body)
        return self._graph_of_limit({}) if is_trained else self.graph

    def _graph_of_limit(self, given: Mapping[str, ArrayLike]) -> Graph:
        named = {normalize("NFKC", name): array for name, array in given.items()}
        return elaborate.elaborate(self.tree, settings=self.settings, data=self.arrays, given=named, meaning="limit")

    def run(
        self,
        width: int,
        *,
        trials: int = RunOptions.trials,
        seed: int = RunOptions.seed,
        init: Init = RunOptions.init,
        dtype: Dtype = RunOptions.dtype,
        device: Device = RunOptions.device,
        engine: Engine = RunOptions.engine,
        progress: Progress | None = None,
    ) -> RunResults:
        """Executes the program at width n in independent trials.

        Each output has `.mean`, `.std`, `.stderr` (of the output's shape) and `.values` (trials, …).  Trial k depends
        on `seed` and k alone.  Raises UsageFault (an option), NotBuiltFault (the program), ComputationFault (memory,
        a value that is not finite), and Interrupted with the finished trials on Ctrl-C.
        """
        options = RunOptions(
            width=width, trials=trials, seed=seed, init=init, dtype=dtype, device=device, engine=engine
        )
        return self.run_with(options, progress)

    def limit(
        self,
        samples: int = LimitOptions.samples,
        *,
        replicates: int = LimitOptions.replicates,
        draws: int = LimitOptions.draws,
        seed: int = LimitOptions.seed,
        tol: float | None = LimitOptions.tol,
        max_seconds: float | None = LimitOptions.max_seconds,
        max_memory: int | str | None = LimitOptions.max_memory,
        method: Method = LimitOptions.method,
        reduce: str = LimitOptions.reduce,
        dtype: Dtype = LimitOptions.dtype,
        device: Device = LimitOptions.device,
        engine: Engine = LimitOptions.engine,
        given: Mapping[str, ArrayLike] | None = None,
        progress: Progress | None = None,
    ) -> LimitResults:
        """The limit n → ∞ of every output, by the Master Theorem (TP4b Theorem 2.6.10).

        Each output has `.value`, `.stderr` (of the output's shape), `.ci95` (2, …) and `.method`.  One whose limit is
        random has `.mean`, `.std`, `.stderr` and `.values` (replicates, draws, …) in place of a value.  `given` are
        values of what starts at random, by name: the limit of that one trajectory.  Raises as `run`.

        With `tol`, replicates and samples are added until every standard error is below it and every estimated bias
        (`.bias`) below a third of it; where `max_seconds` or `max_memory` (bytes, or a text such as "2GB") ends that,
        the best answer is returned, with `.unreached` outputs and warnings.
        """
        options = LimitOptions(
            samples=samples,
            replicates=replicates,
            draws=draws,
            seed=seed,
            tol=tol,
            max_seconds=max_seconds,
            max_memory=max_memory,  # pyright: ignore[reportArgumentType]  a text is made a number
            method=method,
            reduce=reduce,
            dtype=dtype,
            device=device,
            engine=engine,
        )
        return self.limit_with(options, progress, given)

    def compare(
        self,
        widths: Iterable[int],
        *,
        trials: int = CompareOptions.trials,
        samples: int = CompareOptions.samples,
        replicates: int = CompareOptions.replicates,
        draws: int = CompareOptions.draws,
        seed: int = CompareOptions.seed,
        init: Init = CompareOptions.init,
        tol: float | None = CompareOptions.tol,
        max_seconds: float | None = CompareOptions.max_seconds,
        max_memory: int | str | None = CompareOptions.max_memory,
        method: Method = CompareOptions.method,
        reduce: str = CompareOptions.reduce,
        dtype: Dtype = CompareOptions.dtype,
        device: Device = CompareOptions.device,
        engine: Engine = CompareOptions.engine,
        results: str | os.PathLike[str] | None = RESULTS_FOLDER,
        progress: Progress | None = None,
    ) -> CompareResults:
        """Trials at each width against the limit: gaps in standard errors, deviations and biases with their slopes.

        Each output has `.limit`, `.runs[width]`, `.gap(width)`, `.gap_stderr(width)`, and by index `.deviation()` and
        `.bias()`.  Finished trials are kept in the folder `results` (None: nowhere) and found there by the next call.
        Raises as `run`.
        """
        options = CompareOptions(
            widths=tuple(widths),
            trials=trials,
            samples=samples,
            replicates=replicates,
            draws=draws,
            seed=seed,
            init=init,
            tol=tol,
            max_seconds=max_seconds,
            max_memory=max_memory,  # pyright: ignore[reportArgumentType]  a text is made a number
            method=method,
            reduce=reduce,
            dtype=dtype,
            device=device,
            engine=engine,
        )
        return self.compare_with(options, None if results is None else os.fspath(results), progress)

    def run_with(
        self,
        options: RunOptions,
        progress: Progress | None = None,
        keep: Callable[[Trial], Trial] | None = None,
    ) -> RunResults:
        """`keep` gives the trials a memory."""
        return compute_run(self.graph, options, self._echo(options), self.name, progress, keep)

    def limit_with(
        self,
        options: LimitOptions,
        progress: Progress | None = None,
        given: Mapping[str, ArrayLike] | None = None,
        announce: Callable[[str], None] | None = None,
    ) -> LimitResults:
        """`announce` is told what a tolerance is predicted to cost."""
        graph = self._graph_of_limit(given) if given else self.limit_graph
        config = {**self._echo(options), "given": list(given or ())}
        from nexort.api.exact import compute_limit_exactly
        from nexort.api.mixed import affordable_blocks, compute_limit_mixed, compute_limit_sampled

        if options.method == "exact" or (options.method == "auto" and affordable_blocks(graph, options) is not None):
            return compute_limit_exactly(graph, options, config, self.name, progress)
        compute = compute_limit_mixed if options.method == "auto" else compute_limit_sampled
        return compute(graph, options, config, self.name, progress, announce)

    def compare_with(
        self, options: CompareOptions, results: str | None = RESULTS_FOLDER, progress: Progress | None = None
    ) -> CompareResults:
        from nexort.api.compare import compute_comparison
        from nexort.api.store import open_results

        folder = None if results is None else open_results(results, self.tree, self.settings, self.arrays)
        config = {**self._echo(options), "results": results}
        return compute_comparison(self, options, config, folder, progress)

    def check(
        self,
        *,
        width: int | None = CheckOptions.width,
        samples: int = CheckOptions.samples,
        dtype: Dtype = CheckOptions.dtype,
    ) -> CheckReport:
        """Outputs, parameters, data and graph, with what `run` (at `width`) and `limit` would cost."""
        return self.check_with(CheckOptions(width=width, samples=samples, dtype=dtype))

    def check_with(self, options: CheckOptions) -> CheckReport:
        try:
            limit = self.limit_graph
        except NexortError as refusal:  # an unstable training still runs at width n
            limit = refusal
        return build_report(self.tree, self.graph, limit, self.settings, self.data, frozenset(self.arrays), options)

    def classify(self) -> ClassifyReport:
        """The parametrization of each `train` statement: stable, faithful, nontrivial, and the limit that it has.

        A mapping from the trainings' names to classifications; prints as `nexort classify`.  Raises TypeFault for a
        program that trains nothing.
        """
        from nexort.api.classify import build_classification

        return build_classification(self.tree, self.settings, self.arrays)

    def lower(self, *, paper: bool = False) -> str:
        """The core program: MatMul, Nonlin, Moment, Tensor, TensorMoment; with `paper`, TP4b Definition 2.6.1's."""
        return passes.lower_text(self.graph, paper=paper)

    def _echo(self, options: RunOptions | LimitOptions) -> dict[str, Any]:
        return {**options.to_dict(), "set": dict(self.settings), "data": self.data}


def load(path: str | os.PathLike[str], /, *, data: DataSource | None = None, **params: float) -> Program:
    """The program in the file `path`.

    `data` is an .npz file or a mapping from names to arrays, in place of the program's stand-ins; `params` override
    its `param`s.  Raises NexortError with the place in the text.
    """
    return load_source(read_source(os.fspath(path)), data=data, settings=params)


def compile(text: str, /, *, data: DataSource | None = None, **params: float) -> Program:
    """The program in a string; otherwise as `load`. Imports are found in the library."""
    return load_source(Source("<text>", text), data=data, settings=params)


def load_source(source: Source, *, data: DataSource | None = None, settings: Mapping[str, float]) -> Program:
    """The driver's first half: parse and elaborate."""
    numbers = {normalize("NFKC", name): _number(name, value) for name, value in settings.items()}
    arrays = _arrays(data)
    tree = syntax.parse(source)
    graph = elaborate.elaborate(tree, settings=numbers, data=arrays)
    return Program(source=source, tree=tree, graph=graph, settings=numbers, data=_data_name(data), arrays=arrays)


def _number(name: str, value: Any) -> int | float:
    if not isinstance(value, Integral | Real) or isinstance(value, bool | np.bool_):
        raise UsageFault(f"param {name} must be a number, not {value!r}")
    try:
        is_finite = math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        is_finite = False
    if not is_finite:
        raise UsageFault(f"param {name} must be finite and below 1e308 in size")
    return int(value) if isinstance(value, Integral) else float(value)


def _arrays(data: DataSource | None) -> dict[str, NDArray[np.float64]]:
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        return dict(elaborate.load_data(os.fspath(data)))
    return {normalize("NFKC", name): _array(name, value) for name, value in data.items()}


def _array(name: str, value: ArrayLike) -> NDArray[np.float64]:
    try:
        array = np.array(value)
    except ValueError as error:
        raise DataFault(f"data {name!r} is not an array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise DataFault(f"data {name!r} must hold real numbers, not {array.dtype}")
    return array.astype(np.float64)


def _data_name(data: DataSource | None) -> str | None:
    if data is None:
        return None
    return ", ".join(data) if isinstance(data, Mapping) else os.fspath(data)

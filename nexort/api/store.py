"""The results folder: every finished trial in a file of its own, found again by what it was computed from.

A trial is determined by the program and its imports (as the printer writes them, so comments and layout do not count),
parameters, data, width, seed, law of the initial matrices, dtype, the version of NEXORT, and its number.  All but the
number make the key:

    FOLDER/PROGRAM/w512-DIGEST/key.json       the key, to be read by people
    FOLDER/PROGRAM/w512-DIGEST/trial-7.npz    the outputs of trial 7 by name, float64

A file is written whole or not at all.  One that cannot be read, or does not hold what the program gives, is reported
and its trial computed again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from nexort import elaborate, syntax
from nexort.api.compute import Arrays, Steps, Trial
from nexort.api.files import check_writable, write_npz, write_text
from nexort.api.options import RunOptions
from nexort.errors import ComputationFault, UsageFault
from nexort.graph import Graph
from nexort.syntax import ast

LAYOUT: Final = 1
"""Of the files; counts up when an old file would be misread."""
DIGITS: Final = 20
"""Hexadecimal digits of the digest in a folder's name."""


@final
@dataclass(frozen=True, kw_only=True)
class ResultsFolder:
    """Where the trials of one program, with its parameters and data, are kept."""

    path: str
    program: Mapping[str, Any]
    """The part of the key that is the same at all widths."""
    name: str

    def trials(self, graph: Graph, options: RunOptions) -> TrialFolder:
        """The trials with these options. Makes the folder; raises UsageFault where that cannot be."""
        asked = options.to_dict()
        key = {**self.program, **{name: asked[name] for name in ("width", "seed", "init", "dtype")}}
        if options.is_accelerated:
            # equal to rounding only, which training by signs makes large
            key["engine"] = f"jax on {options.device}"
        digest = sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:DIGITS]
        path = os.path.join(self.path, self.name, f"w{options.width}-{digest}")
        _make_folder(path)
        return TrialFolder(path=path, key=key, shapes=dict(_shapes(graph)))


@final
@dataclass(frozen=True, kw_only=True)
class TrialFolder:
    """The trials of one key. `reused` and `warnings` grow as trials are asked for."""

    path: str
    key: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    reused: list[int] = field(default_factory=list[int])
    warnings: list[str] = field(default_factory=list[str])

    def keep(self, compute: Trial) -> Trial:
        """`compute` with a memory: a trial is read where it is kept, else computed and kept."""

        def trial(k: int, steps: Steps | None) -> Arrays:
            path = os.path.join(self.path, f"trial-{k}.npz")
            kept = self._read(path)
            if kept is not None:
                self.reused.append(k)
                return kept
            arrays = compute(k, steps)
            if all(np.isfinite(array).all() for array in arrays.values()):
                self._write(path, arrays)
            return arrays

        return trial

    def _read(self, path: str) -> Arrays | None:
        try:
            with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except FileNotFoundError:
            return None
        except Exception as error:  # a broken file may raise anything
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        else:
            reason = _difference(arrays, self.shapes)
            if not reason:
                return arrays
        self.warnings.append(f"{path} is damaged ({reason}): this trial is computed again")
        return None

    def _write(self, path: str, arrays: Arrays) -> None:
        """A disk that is full does not cost the computation."""
        try:
            description = os.path.join(self.path, "key.json")
            if not os.path.exists(description):
                write_text(description, json.dumps(self.key, indent=1, sort_keys=True) + "\n")
            write_npz(path, arrays)
        except ComputationFault as fault:
            what = f"trials of width {self.key['width']} are not kept: "
            if not any(warning.startswith(what) for warning in self.warnings):
                self.warnings.append(f"{what}{fault.message}")


def open_results(
    path: str, tree: ast.Program, settings: Mapping[str, int | float], arrays: Mapping[str, NDArray[np.float64]]
) -> ResultsFolder:
    """The results folder at `path` as one program sees it. Raises UsageFault if it cannot be written."""
    from nexort import __version__

    program = {
        "layout": LAYOUT,
        "nexort": __version__,
        "program": syntax.print_program(tree),
        "imports": dict(_imports(tree)),
        "set": dict(settings),
        "data": {name: _fingerprint(array) for name, array in arrays.items()},
    }
    _make_folder(path)
    check_writable(os.path.join(path, "key.json"))
    return ResultsFolder(path=path, program=program, name=_plain_name(tree.source.name))


def _imports(tree: ast.Program, seen: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
    """Name and printed form of every imported file, and of what it imports in turn."""
    for node in syntax.walk_nodes(tree):
        if isinstance(node, ast.Import) and node.path not in seen:
            imported = syntax.parse(elaborate.find_import(node))
            yield node.path, syntax.print_program(imported)
            yield from _imports(imported, seen | {node.path})


def _fingerprint(array: NDArray[np.float64]) -> str:
    shape = "x".join(map(str, array.shape)) or "scalar"
    return f"{shape} {sha256(np.ascontiguousarray(array, dtype='<f8').tobytes()).hexdigest()}"


def _shapes(graph: Graph) -> Iterator[tuple[str, tuple[int, ...]]]:
    for output in graph.outputs:
        static = output.nodes[0].type.shape if output.nodes else ()
        yield output.name, (*output.loops, *static)


def _difference(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """How a file differs from a trial's outputs, empty where it does not."""
    if arrays.keys() != shapes.keys():
        return f"it holds {', '.join(sorted(arrays)) or 'nothing'}, not {', '.join(sorted(shapes))}"
    for name, array in arrays.items():
        if array.dtype != np.float64 or array.shape != shapes[name]:
            return f"{name} is {array.dtype} of shape {array.shape}"
        if not np.isfinite(array).all():
            return f"{name} is not finite"
    return ""


def _plain_name(program: str) -> str:
    """A folder's name for a program's: its file name without the extension, letters, digits, - and _ only."""
    stem = os.path.splitext(os.path.basename(program))[0]
    return re.sub(r"[^\w-]+", "_", stem).strip("_")[:60] or "program"


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        hint = "name another folder with --results, or keep nothing with --no-results"
        raise UsageFault(f"cannot keep results in {path!r}: {reason}", hint=hint) from None

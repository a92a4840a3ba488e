"""What each command does with its arguments. A command returns its exit status or raises a NexortError."""

from __future__ import annotations

import difflib
import json
from argparse import Namespace
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from nexort.api import CheckOptions, CompareOptions, LimitOptions, RunOptions, refuse_unbuilt
from nexort.cli.progress import Progress, show_progress
from nexort.cli.streams import write_error, write_result
from nexort.errors import UsageFault

if TYPE_CHECKING:
    from nexort.api import CompareResults, LimitResults, Program, RunResults

    AnyResults = CompareResults | LimitResults | RunResults

INSTEAD = {
    "derive": "`nexort lower` prints the core program",
    "graph": "`nexort lower` prints the core program",
}


def run(arguments: Namespace) -> int:
    options = RunOptions(**_fields(RunOptions, arguments))
    return _compute(arguments, "trial", lambda program, progress: program.run_with(options, progress))


def limit(arguments: Namespace) -> int:
    options = LimitOptions(**_fields(LimitOptions, arguments))

    def compute(program: Program, progress: Progress | None) -> LimitResults:
        from nexort.api import read_given

        announce = progress.announce if progress is not None else None
        return program.limit_with(options, progress, read_given(arguments.given), announce)

    return _compute(arguments, "replicate", compute)


def compare(arguments: Namespace) -> int:
    options = CompareOptions(**_fields(CompareOptions, arguments))
    _check_plot(arguments)

    def work(program: Program, progress: Progress | None) -> CompareResults:
        _check_compare_names(arguments, options, program)
        return program.compare_with(options, arguments.results, progress)

    return _compute(arguments, "repetition", work)


def check(arguments: Namespace) -> int:
    options = CheckOptions(**_fields(CheckOptions, arguments))
    report = _load(arguments).check_with(options)
    write_result(json.dumps(report.to_dict()) if arguments.json else str(report))
    return 0


def classify(arguments: Namespace) -> int:
    """Unstable is an answer too: status 0."""
    if arguments.axes is not None and arguments.plot is None:
        raise UsageFault("--axes are those of a picture", hint="add --plot FILE.png")
    report = _load(arguments).classify()
    if arguments.plot is not None:
        from nexort.api import draw_planes

        draw_planes(report, arguments.plot, arguments.axes)
    write_result(json.dumps(report.to_dict()) if arguments.json else str(report))
    return 0


def lower(arguments: Namespace) -> int:
    write_result(_load(arguments).lower(paper=arguments.paper).rstrip("\n"))
    return 0


def fmt(arguments: Namespace) -> int:
    """In place; with `--check` or `--diff` nothing is written, and `--check` alone decides the status."""
    has_changes = False
    for path in arguments.programs:
        has_changes |= _format(path, is_dry=arguments.check or arguments.diff, has_diff=arguments.diff)
    return 1 if has_changes and arguments.check else 0


def refuse_command(arguments: Namespace) -> int:
    raise refuse_unbuilt(f"`nexort {arguments.command}`", INSTEAD[arguments.command])


def _format(path: str, *, is_dry: bool, has_diff: bool) -> bool:
    """Whether the file's text was not what the formatter gives."""
    from nexort import syntax
    from nexort.api import read_source, write_text

    source = read_source(path)
    new = syntax.format_program(source)
    if new == source.text:
        return False
    if has_diff:
        write_result("".join(_diff(path, source.text, new)).rstrip("\n"))
    elif is_dry:
        write_result(f"would reformat {path}")
    else:
        write_text(path, new)
    return True


def _diff(path: str, old: str, new: str) -> Iterable[str]:
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"{path} (as it is)", f"{path} (formatted)", lineterm=""
    )
    return (f"{line}\n" for line in lines)


def _compute(arguments: Namespace, noun: str, compute: Callable[[Program, Progress | None], AnyResults]) -> int:
    """The work of `run`, `limit` and `compare`: what was finished is shown and written, also after Ctrl-C."""
    from nexort.api import Interrupted

    _check_out(arguments)
    is_interrupted = False
    with show_progress(noun, is_quiet=arguments.quiet) as progress:
        program = _load(arguments)
        _check_names(arguments, noun, program)
        try:
            results = compute(program, progress)
        except Interrupted as stop:
            if stop.results is None:
                raise
            results, is_interrupted = stop.results, True
    _show(arguments, results)
    if is_interrupted:
        return 130
    return 3 if results.unreached else 0


def _show(arguments: Namespace, results: AnyResults) -> None:
    """Table or JSON, then warnings, then the files: a disk that is full at the end does not cost the table."""
    echo = {name: getattr(arguments, name) for name in ("json", "out", "quiet", "plot", "given") if name in arguments}
    results = replace(results, config={**results.config, **echo})
    try:
        write_result(results.to_json() if arguments.json else results.table())
    finally:
        for warning in () if arguments.quiet else results.warnings:
            write_error(f"warning: {warning}")
        if arguments.out is not None:
            results.save_npz(arguments.out)
        from nexort.api import CompareResults

        if isinstance(results, CompareResults) and arguments.plot is not None:
            results.plot(arguments.plot)


def _load(arguments: Namespace) -> Program:
    settings = dict(_setting(text) for text in arguments.set)
    from nexort.api import load_source, read_source

    return load_source(read_source(arguments.program), data=arguments.data, settings=settings)


def _setting(text: str) -> tuple[str, int | float]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UsageFault(f"--set {text}: expected NAME=VALUE", hint="for example --set T=50")
    number = _parse_number(value.strip())
    if number is None:
        raise UsageFault(f"--set {text}: {value!r} is not a number", hint="for example --set eta=1e-3")
    return name.strip(), number


def _parse_number(text: str) -> int | float | None:
    """A number as Python writes it (`50`, `1_000`, `1e-3`); the API asks that it be finite."""
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return None


def _check_out(arguments: Namespace) -> None:
    if arguments.out is None:
        return
    from nexort.api import check_writable

    check_writable(arguments.out, [path for path in (arguments.program, arguments.data) if path is not None])


def _check_names(arguments: Namespace, noun: str, program: Program) -> None:
    """`limit --out` adds NAME_stderr to every NAME, and NAME_std and NAME_draws where the limit is random."""
    if arguments.out is None or noun != "replicate":
        return
    graph = program.limit_graph
    names = {output.name for output in graph.outputs}
    added = {"stderr": "the error", **({"std": "the spread", "draws": "the draws"} if graph.is_random else {})}
    taken = sorted((name, ending) for name in names for ending in added if f"{name}_{ending}" in names)
    if taken:
        name, ending = taken[0]
        raise UsageFault(
            f"--out: {name}_{ending} would be two arrays, an output and {added[ending]} of output {name}",
            hint="rename one with `output … as NAME`",
        )


def _check_plot(arguments: Namespace) -> None:
    if arguments.plot is None:
        return
    from nexort.api import check_plot, check_writable

    check_plot(arguments.plot)
    check_writable(arguments.plot, [path for path in (arguments.program, arguments.data) if path is not None])


def _check_compare_names(arguments: Namespace, options: CompareOptions, program: Program) -> None:
    """`compare --out` adds NAME_stderr, NAME_std and NAME_widthN to every NAME."""
    names = {output.name for output in program.graph.outputs}
    endings = ("stderr", "std", *(f"width{width}" for width in options.widths))
    taken = sorted(f"{name}_{ending}" for name in names for ending in endings if f"{name}_{ending}" in names)
    if arguments.out is not None and taken:
        raise UsageFault(
            f"--out: {taken[0]} would be two arrays, one of them an output", hint="rename it with `output … as NAME`"
        )


def _fields(options: type, arguments: Namespace) -> dict[str, Any]:
    return {option.name: getattr(arguments, option.name) for option in fields(options)}

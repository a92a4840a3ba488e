"""The command line's grammar. Flags of `run`, `limit` and `check` are the fields of their options."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any

from nexort import __version__
from nexort.api import RESULTS_FOLDER, CheckOptions, CompareOptions, LimitOptions, RunOptions
from nexort.cli import commands
from nexort.errors import suggest

Command = Callable[[Namespace], int]

DESCRIPTION = "Runs a NEXORT program (Tensor Programs IVb) at width n, and computes its infinite-width limit."
EPILOG = """\
exit status:
  0    fine
  1    the program, an import or the data is missing or wrong
  2    wrong command line, or a part of it that is not built yet
  3    the computation failed, or its result could not be written
  130  interrupted: what was finished is printed and written
"""


def parse_arguments(argv: Sequence[str] | None) -> tuple[Command, Namespace]:
    """The command and its arguments. Raises SystemExit, as argparse does, for --help and errors of form."""
    parser, subparsers = build_parser()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown and arguments.function is not commands.refuse_command:
        _refuse_unknown(subparsers[arguments.command], unknown)
    return arguments.function, arguments


def _refuse_unknown(parser: ArgumentParser, unknown: Sequence[str]) -> None:
    flags = [flag for action in parser._actions for flag in action.option_strings]  # pyright: ignore[reportPrivateUsage]
    hint = suggest(unknown[0].split("=")[0], flags)
    parser.error(f"unrecognized arguments: {' '.join(unknown)}{f'; {hint}' if hint else ''}")


def build_parser() -> tuple[ArgumentParser, dict[str, ArgumentParser]]:
    """The whole parser, and those of the commands by name."""
    parser = _Parser(
        prog="nexort",
        usage="nexort COMMAND PROGRAM [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"nexort {__version__}")
    group = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser, prog="nexort")
    subparsers: dict[str, ArgumentParser] = {}
    for name, usage, help, function, build in _COMMANDS:
        sub = group.add_parser(
            name,
            usage=f"nexort {name} {usage}",
            help=help,
            description=f"{help[0].upper()}{help[1:]}.",
            allow_abbrev=False,
        )
        sub.set_defaults(function=function)
        build(sub)
        subparsers[name] = sub
    return parser, subparsers


class _Parser(ArgumentParser):
    """Keeps the epilog's lines, and help columns wide enough for one option a line."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=_Formatter, **settings)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str, **settings: Any) -> None:
        super().__init__(prog, **{**settings, "max_help_position": 30})


def _build_run(parser: ArgumentParser) -> None:
    _add_program(parser)
    _add_options(parser, RunOptions)
    _add_result_flags(parser)


def _build_limit(parser: ArgumentParser) -> None:
    _add_program(parser)
    parser.add_argument(
        "--given",
        metavar="NAME=FILE.npz",
        action="append",
        default=[],
        help="the value of what starts at random (repeatable)",
    )
    _add_options(parser, LimitOptions)
    _add_result_flags(parser)


def _build_compare(parser: ArgumentParser) -> None:
    _add_program(parser)
    for option in sorted(fields(CompareOptions), key=lambda option: option.name not in ("widths", "trials")):
        _add_option(parser, option)
    parser.add_argument("--plot", metavar="FILE.png", help="draw the outputs (needs matplotlib)")
    folder = parser.add_mutually_exclusive_group()
    folder.add_argument(
        "--results",
        metavar="DIR",
        default=RESULTS_FOLDER,
        help=f"keep finished trials there for the next call [{RESULTS_FOLDER}]",
    )
    folder.add_argument("--no-results", dest="results", action="store_const", const=None, help="keep no trials")
    _add_result_flags(parser)


def _build_check(parser: ArgumentParser) -> None:
    _add_program(parser)
    _add_options(parser, CheckOptions)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _build_classify(parser: ArgumentParser) -> None:
    _add_program(parser)
    parser.add_argument("--plot", metavar="FILE.png", help="draw a plane through the parametrizations (matplotlib)")
    parser.add_argument("--axes", metavar="X,Y", help="the plane's two exponents, as c_W,b_v")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _build_lower(parser: ArgumentParser) -> None:
    _add_program(parser)
    parser.add_argument("--paper", action="store_true", help="only Avg, MatMul and OuterNonlin (Def. 2.6.1)")


def _build_fmt(parser: ArgumentParser) -> None:
    parser.add_argument("programs", metavar="PROGRAM", nargs="+", help="program files (.nx), rewritten in place")
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if a file would change")
    parser.add_argument("--diff", action="store_true", help="write nothing; print what would change")
    _add_inputs(parser)


def _build_unbuilt(parser: ArgumentParser) -> None:
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)


_COMMANDS: tuple[tuple[str, str, str, Command, Callable[[ArgumentParser], None]], ...] = (
    ("run", "PROGRAM --width N [options]", "execute a program at width n", commands.run, _build_run),
    ("limit", "PROGRAM [options]", "compute its limit n → ∞ with error bars", commands.limit, _build_limit),
    (
        "compare",
        "PROGRAM --widths N,N,... [options]",
        "execute at several widths beside the limit",
        commands.compare,
        _build_compare,
    ),
    ("check", "PROGRAM [options]", "check a program and estimate what it costs", commands.check, _build_check),
    (
        "classify",
        "PROGRAM [options]",
        "tell which limit a training has, by its exponents",
        commands.classify,
        _build_classify,
    ),
    ("lower", "PROGRAM [options]", "print the core program", commands.lower, _build_lower),
    ("fmt", "PROGRAM [PROGRAM ...] [options]", "format programs", commands.fmt, _build_fmt),
    ("derive", "...", "kets and limits as formulas (not built yet)", commands.refuse_command, _build_unbuilt),
    ("graph", "...", "draw the dependency graph (not built yet)", commands.refuse_command, _build_unbuilt),
)


def _add_program(parser: ArgumentParser) -> None:
    parser.add_argument("program", metavar="PROGRAM", help="a program file (.nx)")
    _add_inputs(parser)


def _add_inputs(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="override a param (repeatable)"
    )
    parser.add_argument("--data", metavar="FILE.npz", help="arrays in place of the program's stand-ins")


def _add_result_flags(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--out", metavar="FILE.npz", help="write the arrays to a file")
    parser.add_argument("--quiet", action="store_true", help="no progress and no warnings on standard error")


def _add_options(parser: ArgumentParser, options: type) -> None:
    for option in fields(options):
        _add_option(parser, option)


def _add_option(parser: ArgumentParser, option: Field[Any]) -> None:
    is_required = option.default is MISSING
    default = None if is_required else option.default
    shown = "" if default is None else f" [{default}]"
    settings: dict[str, Any] = {
        "required": is_required,
        "default": default,
        "help": f"{option.metadata['help']}{shown}",
    }
    if "choices" in option.metadata:
        settings.update(choices=option.metadata["choices"])
    elif "is_many" in option.metadata:
        settings.update(metavar="N,N,...", type=_wholes)
    elif "minimum" in option.metadata:
        settings.update(metavar="N", type=_whole)
    elif "is_bytes" in option.metadata:
        settings.update(metavar="SIZE")
    elif "parts" in option.metadata:
        settings.update(metavar="PART,PART")
    else:
        settings.update(metavar="X", type=_number)
    parser.add_argument(f"--{option.name.replace('_', '-')}", **settings)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _wholes(text: str) -> tuple[int, ...]:
    return tuple(_whole(part) for part in text.split(","))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None

"""NEXORT from Python: programs, what they are computed with, and results with their errors.

`load` and `compile` give a `Program`; `.run` and `.limit` give results indexed by output name.  Only the options are
imported at once (the command line is made of their fields); the rest, which needs NumPy, on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from nexort.api.options import (
    RESULTS_FOLDER,
    CheckOptions,
    CompareOptions,
    LimitOptions,
    RunOptions,
    refuse_unbuilt,
)

if TYPE_CHECKING:
    from nexort.api.check import CheckReport
    from nexort.api.classify import ClassifyReport
    from nexort.api.compared import CompareOutput, CompareResults
    from nexort.api.files import check_writable, read_source, write_text
    from nexort.api.given import read_given
    from nexort.api.plane_plot import draw_planes
    from nexort.api.plots import check_plot, draw_comparison
    from nexort.api.program import Interrupted, Program, compile, load, load_source
    from nexort.api.results import LimitOutput, LimitResults, RandomLimitOutput, Results, RunOutput, RunResults

__all__ = [
    "RESULTS_FOLDER",
    "CheckOptions",
    "CheckReport",
    "ClassifyReport",
    "CompareOptions",
    "CompareOutput",
    "CompareResults",
    "Interrupted",
    "LimitOptions",
    "LimitOutput",
    "LimitResults",
    "Program",
    "RandomLimitOutput",
    "Results",
    "RunOptions",
    "RunOutput",
    "RunResults",
    "check_plot",
    "check_writable",
    "compile",
    "draw_comparison",
    "draw_planes",
    "load",
    "load_source",
    "read_given",
    "read_source",
    "refuse_unbuilt",
    "write_text",
]

_MODULES = {
    "check": ("CheckReport",),
    "classify": ("ClassifyReport",),
    "compared": ("CompareOutput", "CompareResults"),
    "given": ("read_given",),
    "files": ("check_writable", "read_source", "write_text"),
    "plane_plot": ("draw_planes",),
    "plots": ("check_plot", "draw_comparison"),
    "program": ("Interrupted", "Program", "compile", "load", "load_source"),
    "results": ("LimitOutput", "LimitResults", "RandomLimitOutput", "Results", "RunOutput", "RunResults"),
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"nexort.api.{module}"), name)
    raise AttributeError(f"module 'nexort.api' has no attribute {name!r}")

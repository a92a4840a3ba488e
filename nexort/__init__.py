"""NEXORT: the NE⊗OR⊤ language of Tensor Programs IVb (arXiv 2308.01814), at width n and in the limit.

>>> program = nexort.load("programs/adam_mup.nx", T=5)
>>> program.run(width=512)["f"].mean
>>> program.limit(samples=2048)["f"].value

Everything is imported on first use, so that `import nexort` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexort.api import (
        CheckReport,
        CompareOptions,
        CompareOutput,
        CompareResults,
        Interrupted,
        LimitOptions,
        LimitOutput,
        LimitResults,
        Program,
        RandomLimitOutput,
        RunOptions,
        RunOutput,
        RunResults,
        compile,
        load,
    )
    from nexort.errors import NexortError

__version__ = "0.1.0"

__all__ = [
    "CheckReport",
    "CompareOptions",
    "CompareOutput",
    "CompareResults",
    "Interrupted",
    "LimitOptions",
    "LimitOutput",
    "LimitResults",
    "NexortError",
    "Program",
    "RandomLimitOutput",
    "RunOptions",
    "RunOutput",
    "RunResults",
    "__version__",
    "compile",
    "load",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'nexort' has no attribute {name!r}")
    if name == "NexortError":
        from nexort import errors

        return errors.NexortError
    from nexort import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted(__all__)

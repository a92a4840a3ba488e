"""`--given NAME=FILE.npz`: values for what starts at random in the limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from nexort import elaborate
from nexort.errors import DataFault, UsageFault

Given = Mapping[str, NDArray[np.generic]]


def read_given(settings: Iterable[str]) -> Given:
    """The arrays of settings NAME=FILE.npz: the file's array NAME, or its only one. Raises UsageFault, DataFault."""
    given: dict[str, Any] = {}
    for setting in settings:
        name, equals, path = (part.strip() for part in setting.partition("="))
        if not equals or not name or not path:
            raise UsageFault(f"--given {setting}: expected NAME=FILE.npz", hint="for example --given f0=start.npz")
        name = normalize("NFKC", name)
        if name in given:
            raise UsageFault(f"--given {setting}: '{name}' is given twice", hint="give each start once")
        given[name] = _read(name, path)
    return given


def _read(name: str, path: str) -> NDArray[np.generic]:
    arrays = elaborate.load_data(path, option="--given")
    if name not in arrays and len(arrays) != 1:
        held = ", ".join(arrays) or "no array"
        raise DataFault(
            f"{path} has no array '{name}': it holds {held}", hint=f"write it with np.savez(path, {name}=…)"
        )
    return arrays[name] if name in arrays else next(iter(arrays.values()))

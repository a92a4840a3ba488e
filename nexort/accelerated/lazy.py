"""JAX, imported when a computation first asks for something in it and never before: it takes a second to load."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class _Module:
    """A module by name, imported at the first look into it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


jax = _Module("jax")
jnp = _Module("jax.numpy")
special = _Module("jax.scipy.special")

"""The devices that JAX computes on, and how arrays lie on them.

Arrays are split along one width axis, the first: a vector family (shape…, n) along n, a tensor or a matrix
(shape…, n, n) by its rows.  Static axes and scalars are the same on every device.  XLA adds the communication: W x
gathers x, Wᵀ x and averages add what the devices have.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nexort.accelerated.lazy import jax
from nexort.engine import available_bytes, format_bytes
from nexort.errors import ComputationFault, UsageFault
from nexort.graph.types import Type

Device = Literal["cpu", "gpu"]
WIDTH = "width"
"""The name of the one axis of the mesh of devices."""
TILE_ENTRIES = {"cpu": 1 << 22, "gpu": 1 << 27}
"""Entries of the largest block of a tile, where a sweep is cut in tiles (`sweeps`)."""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """Devices of one kind. `tile_entries` bounds the blocks of sweeps that leave nothing large behind."""

    kind: Device
    devices: tuple[Any, ...]
    tile_entries: int

    def layout(self, length: int) -> Layout:
        """How arrays of this width lie: on as many of the devices as divide it."""
        count = max(d for d in range(1, len(self.devices) + 1) if length % d == 0)
        return Layout(jax.sharding.Mesh(np.array(self.devices[:count]), (WIDTH,)), length, self)

    def available_bytes(self) -> int | None:
        """Free memory of one device, or of this machine; None where nothing tells it."""
        if self.kind == "cpu":
            return available_bytes()
        stats = [device.memory_stats() or {} for device in self.devices]
        free = [s["bytes_limit"] - s.get("bytes_in_use", 0) for s in stats if "bytes_limit" in s]
        return min(free, default=None)

    def refuse_too_large(self, needed: int, what: str, remedy: str) -> None:
        """Raises ComputationFault if `needed` bytes on each device are more than there are."""
        available = self.available_bytes()
        if available is not None and needed > available:
            where = "the GPU has" if self.kind == "gpu" else "there are"
            raise ComputationFault(
                f"{what} this program needs about {format_bytes(needed)} of memory, "
                f"and {where} {format_bytes(available)} left",
                hint=f"{remedy}, or use --dtype float32",
            )


@dataclass(frozen=True, slots=True)
class Layout:
    """A mesh of devices, and where the arrays of a run at width `length` lie on it."""

    mesh: Any
    length: int
    accelerator: Accelerator

    @property
    def count(self) -> int:
        """The number of devices."""
        return int(self.mesh.devices.size)

    def sharding(self, type_: Type) -> Any:
        """Split along the first width axis."""
        axes = (*(None for _ in type_.shape), WIDTH) if type_.order else ()
        return jax.sharding.NamedSharding(self.mesh, jax.sharding.PartitionSpec(*axes))

    def shape(self, type_: Type) -> tuple[int, ...]:
        return (*type_.shape, *([self.length] * type_.order))

    def put(self, array: Any, type_: Type, dtype: Any) -> Any:
        """An array on the devices; scalars are float64 whatever the dtype of the run."""
        host = np.asarray(array, dtype if type_.order else np.float64)
        # a copy: what the devices hold is written over, and must not be the caller's memory
        return jax.device_put(host, self.sharding(type_), may_alias=False)

    def numbers(self, values: Any, dtype: Any) -> Any:
        """A short row of numbers, the same on every device."""
        return jax.device_put(np.asarray(values, dtype), self.sharding(Type()))


def open_accelerator(kind: Device, *, tile_entries: int | None = None) -> Accelerator:
    """The devices of a kind. Raises UsageFault, which says what to install, where there are none."""
    asked = "--device gpu" if kind == "gpu" else "--engine jax"
    try:
        find = jax.devices
    except ImportError:
        extra = "pip install 'nexort[jax]'" + (" 'jax[cuda12]' (NVIDIA)" if kind == "gpu" else "")
        raise UsageFault(f"{asked} needs JAX, which is not installed", hint=extra) from None
    try:
        devices = find(kind)
    except RuntimeError:
        raise UsageFault(
            f"{asked}: JAX finds no {kind.upper()} here",
            hint="install JAX for it (NVIDIA: pip install 'jax[cuda12]'), or leave --device out",
        ) from None
    return Accelerator(kind, tuple(devices), tile_entries or TILE_ENTRIES[kind])


@contextmanager
def double_precision() -> Generator[None]:
    """Inside, JAX has float64; the setting of the user's process is as before after it."""
    with jax.enable_x64(True):
        yield


@contextmanager
def memory_faults(remedy: str) -> Generator[None]:
    """What JAX raises where memory runs out, as a message."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error) and "Out of memory" not in str(error):
            raise
        raise ComputationFault("out of memory on the device", hint=f"{remedy}, or use --dtype float32") from None

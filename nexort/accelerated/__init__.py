"""The array evaluator on JAX: CPU, GPU and several devices (`pip install 'nexort[jax]'`)."""

from nexort.accelerated.devices import Accelerator, open_accelerator
from nexort.accelerated.execute import execute, execute_shared, plan_for_devices

__all__ = ["Accelerator", "execute", "execute_shared", "open_accelerator", "plan_for_devices"]

"""What is said where JAX, or a device, is missing; and how arrays lie on devices."""

from __future__ import annotations

import sys

import pytest

import nexort
from nexort.errors import UsageFault

TEXT = "vector x\nmatrix W\noutput <x|W @ x> as s\n"


@pytest.mark.parametrize(
    ("options", "asked", "remedy"),
    [
        ({"device": "gpu"}, "--device gpu needs JAX", "jax[cuda12]"),
        ({"engine": "jax"}, "--engine jax needs JAX", "pip install 'nexort[jax]'"),
    ],
)
def test_without_jax_it_says_what_to_install(options, asked, remedy, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(UsageFault, match=asked) as caught:
        nexort.compile(TEXT).run(8, **options)
    assert remedy in caught.value.hint


def test_without_a_gpu_it_says_so():
    jax = pytest.importorskip("jax")
    if any(device.platform == "gpu" for device in jax.devices()):
        pytest.skip("there is a GPU")
    with pytest.raises(UsageFault, match="--device gpu: JAX finds no GPU here") as caught:
        nexort.compile(TEXT).run(8, device="gpu")
    assert "leave --device out" in caught.value.hint


def test_a_process_keeps_its_precision():
    jax = pytest.importorskip("jax")
    nexort.compile(TEXT).run(8, trials=1, engine="jax")
    assert jax.numpy.zeros(1).dtype == "float32"


@pytest.mark.parametrize(("length", "count"), [(8, 4), (6, 3), (7, 1), (2, 2)])
def test_as_many_devices_as_divide_the_width(length, count):
    pytest.importorskip("jax")
    from nexort.accelerated import Accelerator, open_accelerator

    (device, *_) = open_accelerator("cpu").devices
    layout = Accelerator("cpu", (device,) * 4, 1).layout
    assert layout(length).count == count

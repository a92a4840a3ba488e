"""Row `kernel`: NNGP and NTK of a relu network by the exact method, against neural-tangents.

neural-tangents needs jax 0.4.30 and numpy < 2, so it has an interpreter of its own (docs/benchmarks.md), which the
environment variable NEXORT_NEURAL_TANGENTS names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import hold_to_threads, measure

VARIABLE = "NEXORT_NEURAL_TANGENTS"
INSTALL = "python -m venv nt && nt/bin/pip install 'jax==0.4.30' 'jaxlib==0.4.30' 'numpy<2' neural-tangents"
ERROR = 0.01
"""The relative error of a Monte Carlo estimate, in the Frobenius norm, that the exact method's time is compared at."""
TITLES = ("method", "seconds", "times nexort", "how")


def tangents_python() -> str | None:
    """An interpreter that has neural-tangents, if one is known."""
    named = os.environ.get(VARIABLE)
    return named or (sys.executable if find_spec("neural_tangents") else None)


def ask_tangents(inputs: np.ndarray, tasks: Sequence[Mapping[str, Any]], python: str) -> dict[str, np.ndarray]:
    """The answers of `tangents`."""
    with tempfile.TemporaryDirectory() as folder:
        question, answer = Path(folder, "question.npz"), Path(folder, "answer.npz")
        np.savez(question, inputs=inputs, tasks=json.dumps(list(tasks)))
        subprocess.run(
            [python, str(Path(__file__).with_name("tangents.py")), str(question), str(answer)],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with np.load(answer) as found:
            return dict(found)


def kernel_program(layers: int, phi: str = "relu(z)") -> str:
    """A network with `layers` hidden layers, its NNGP kernel K and its neural tangent kernel T."""
    lines = ["data xi[M, d]", f"def phi(z) = {phi}", "vector u[d], v", f"matrix W[{max(layers - 1, 1)}]"]
    lines += ["h[0, a] = sum[k](xi[a, k] * u[k])", "x[0, a] = phi(h[0, a])"]
    for layer in range(1, layers):
        lines += [f"h[{layer}, a] = W[{layer - 1}] @ x[{layer - 1}, a]", f"x[{layer}, a] = phi(h[{layer}, a])"]
    lines += [f"f[a] = avg(v * x[{layers - 1}, a])", f"output <x[{layers - 1}, a] | x[{layers - 1}, b]> as K[a, b]"]
    terms = ["<grad(f[a], v) | grad(f[b], v)>", "sum[k](<grad(f[a], u[k]) | grad(f[b], u[k])>)"]
    terms += [f"avg(grad(f[a], W[{k}]) * grad(f[b], W[{k}]))" for k in range(layers - 1)]
    return "\n".join([*lines, f"T[a, b] = {' + '.join(terms)}", "output T"])


def measure_kernel(threads: int, *, is_smoke: bool) -> dict[str, Any]:
    """Both in processes of their own; NEXORT's time is that of `limit`, after a first call has loaded libraries."""
    inputs, layers = (8, 2) if is_smoke else (104, 4)
    ours = measure("benchmarks.kernel", [str(inputs), str(layers), str(threads)])
    result: dict[str, Any] = {"inputs": inputs, "layers": layers, "nexort": {"seconds": ours["seconds"]}}
    python = tangents_python()
    if python is None:
        return result
    tasks: list[dict[str, Any]] = [{"phi": "relu", "layers": layers, "repeat": 5}]
    samples = {"nngp": 4, "ntk": 2} if is_smoke else {"nngp": 64, "ntk": 16}
    width = 32 if is_smoke else 256
    for kernel, count in samples.items():
        tasks.append({"phi": "relu", "layers": layers, "repeat": 1, "kernel": kernel, "width": width, "samples": count})
    xi = _inputs(inputs)
    # neural-tangents divides the first layer by the input dimension
    answer = ask_tangents(xi * np.sqrt(xi.shape[1]), tasks, python)
    truth = {"nngp": np.array(ours["K"]), "ntk": np.array(ours["T"])}
    gaps: dict[str, float] = {}
    for name, value in truth.items():
        gap = np.abs(value - answer[f"{name}_0"])
        gaps |= {name: float(gap.max()), f"{name} off the diagonal": float(gap[~np.eye(inputs, dtype=bool)].max())}
    result["neural-tangents"] = {"seconds": float(answer["seconds_0"]), "first": float(answer["first_0"]), "gap": gaps}
    for k, (name, count) in enumerate(samples.items(), 1):
        error = float(np.linalg.norm(answer[f"estimate_{k}"] - truth[name]) / np.linalg.norm(truth[name]))
        seconds = float(answer[f"seconds_{k}"])
        estimate = {"width": width, "samples": count, "error": error, "seconds": seconds}
        result[name] = {**estimate, "seconds at 1 %": seconds * (error / ERROR) ** 2}
    return result


def kernel_table(result: dict[str, Any]) -> list[tuple[str, ...]]:
    ours = result["nexort"]["seconds"]
    rows: list[tuple[str, ...]] = [TITLES, ("nexort limit --method exact", f"{ours:.3g}", "1", "float64")]
    if "neural-tangents" not in result:
        return [*rows, ("neural-tangents", "", "", f"{VARIABLE} names no interpreter; {INSTALL}")]
    theirs = result["neural-tangents"]
    compiled = f"float64, compiled (the first call: {theirs['first']:.2g} s)"
    label = "neural-tangents, closed form"
    rows.append((label, f"{theirs['seconds']:.3g}", f"{theirs['seconds'] / ours:.3g}", compiled))
    for name, title in (("nngp", "NNGP"), ("ntk", "NTK")):
        found = result[name]
        seconds = found["seconds at 1 %"]
        how = (
            f"from {found['samples']} networks of width {found['width']}: "
            f"error {found['error']:.2g} in {found['seconds']:.2g} s, float32"
        )
        rows.append((f"its Monte Carlo {title} at 1 %", f"{seconds:.3g}", f"{seconds / ours:.3g}", how))
    return rows


def kernel_notes(result: dict[str, Any]) -> str:
    target = "target: within 1e-8 of neural-tangents' closed form"
    if "neural-tangents" not in result:
        return target
    gaps = result["neural-tangents"]["gap"]
    largest = f"NNGP {gaps['nngp']:.1e}, NTK {gaps['ntk']:.1e} (off the diagonal {gaps['ntk off the diagonal']:.1e})"
    return f"{result['inputs']} inputs, {result['layers']} hidden layers; largest differences: {largest}; {target}"


def _inputs(count: int) -> np.ndarray:
    """Inputs of length 0.5 to 2."""
    xi = np.random.default_rng(7).standard_normal((count, 10))
    return xi * (np.linspace(0.5, 2, count) / np.linalg.norm(xi, axis=1))[:, None]


def main() -> None:
    count, layers, threads = map(int, sys.argv[1:4])
    hold_to_threads(threads)
    import nexort

    program = nexort.compile(kernel_program(layers), data={"xi": _inputs(count)})
    program.limit(method="exact")
    results = [program.limit(method="exact") for _ in range(5)]
    best = min(results, key=lambda result: result.seconds)
    kernels = {name: best[name].value.tolist() for name in ("K", "T")}
    print(json.dumps({"seconds": best.seconds, **kernels}))


if __name__ == "__main__":
    main()

"""NEXORT from Python: a program as text, at width n and in the limit, and what the numbers know about their errors.

python examples/quickstart.py
"""

from __future__ import annotations

import numpy as np

import nexort

TEXT = """
param M = 3, d = 2
data xi[M, d] = [[1, 0], [0.6, 0.8], [0, 1]]
vector u[d], v
matrix W
h[a] = sum[k](xi[a, k] * u[k])
f[a] = <v | erf(W @ erf(h[a]))>
Theta[a, b] = <grad(f[a], v) | grad(f[b], v)>     # the last layer's part of the tangent kernel
output Theta
"""


def arcsine_kernel(K: np.ndarray) -> np.ndarray:
    """E erf(h_a) erf(h_b) for Gaussian h of covariance K: (2/π) arcsin(2 K_ab / √((1 + 2 K_aa)(1 + 2 K_bb)))."""
    scale = np.sqrt(1 + 2 * np.diag(K))
    return 2 / np.pi * np.arcsin(2 * K / np.outer(scale, scale))


def main() -> None:
    program = nexort.compile(TEXT)

    run = program.run(width=256, trials=20, seed=1)
    print(run)  # the table of the command line

    limit = program.limit()  # exact, where that is possible, as here
    print(limit)

    # outputs are NumPy arrays of the output's shape, here (M, M)
    value = limit["Theta"].value
    xi = np.array([[1, 0], [0.6, 0.8], [0, 1]])
    exact = arcsine_kernel(arcsine_kernel(xi @ xi.T))
    print(f"limit − closed form: {np.abs(value - exact).max():.0e} at most")

    # by samples, every value comes with its standard error
    sampled = program.limit(samples=2048, replicates=32, method="particles")["Theta"]
    print("samples − closed form, in standard errors:")
    print(np.round((sampled.value - exact) / sampled.stderr, 1))

    # single trials have shape (trials, M, M); their distance from the limit falls as 1/√n
    for width in (64, 256, 1024):
        trials = program.run(width, trials=20)["Theta"].values
        print(f"width {width}: rms distance of a trial from the limit {np.sqrt(np.mean((trials - value) ** 2)):.4f}")

    # what a program costs, before it is run
    print(program.check(width=7000))

    # mistakes come with their place in the text
    try:
        nexort.compile("vector x\nmatrix W\noutput <x | rely(W @ x)>")
    except nexort.NexortError as error:
        print(error)


if __name__ == "__main__":
    main()

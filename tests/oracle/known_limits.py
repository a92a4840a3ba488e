"""The limits of shipped programs that are known in closed form, in plain NumPy.

Each function takes what its program takes (data arrays and params, defaults as in the program) and returns the limits
by output name.  Covariances `K` have the shape (M, M), axes input and input.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Limits = Mapping[str, np.ndarray]


def relu_kernels(K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E relu(x_a) relu(x_b) and E step(x_a) step(x_b) for x Gaussian with covariance K (Cho and Saul, 2009)."""
    scale = np.sqrt(np.outer(np.diag(K), np.diag(K)))
    cosine = np.clip(K / scale, -1.0, 1.0)
    angle = np.arccos(cosine)
    first = scale * (np.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi)
    return first, (np.pi - angle) / (2 * np.pi)


def nngp_ntk_mlp(xi: np.ndarray, L: int = 2) -> Limits:
    """K <- E relu relu,  N <- K + N E step step, through the L + 1 hidden layers."""
    nngp = ntk = xi @ xi.T
    for _ in range(L + 1):
        nngp, slope = relu_kernels(nngp)
        ntk = nngp + ntk * slope
    return {"nngp": nngp, "ntk": ntk}


def layer_norm(xi: np.ndarray, L: int = 3, eps: float = 1e-5) -> Limits:
    """Covariance of relu(x) over the root of the variances plus eps, layer by layer; E relu(x) = sqrt(K / 2 pi)."""
    kernels = [xi @ xi.T]
    for _ in range(L):
        mean = np.sqrt(np.diag(kernels[-1]) / (2 * np.pi))
        covariance = relu_kernels(kernels[-1])[0] - np.outer(mean, mean)
        deviation = np.sqrt(np.diag(covariance) + eps)
        kernels.append(covariance / np.outer(deviation, deviation))
    return {"kernel": np.array(kernels[1:])}


def resnet(xi: np.ndarray, L: int = 3) -> Limits:
    """K <- K + (1/L) E relu relu; at t = 0 only, so without the axis of t."""
    kernels = [xi @ xi.T]
    for _ in range(L):
        kernels.append(kernels[-1] + relu_kernels(kernels[-1])[0] / L)
    return {"kernel": np.array(kernels[1:]), "f": np.zeros(len(xi))}


def rnn(xi: np.ndarray, bias_variance: float = 0.1) -> Limits:
    """The erf kernel of K = C + bias variance + inputs, C[p, q, a, b]; at e = 0 only, so without the axis of e."""
    M, P, _ = xi.shape
    inputs = np.einsum("apk,bqk->pqab", xi, xi) + bias_variance
    C = np.zeros((P + 1, P + 1, M, M))

    def variances(p: int) -> np.ndarray:
        return 1 + 2 * np.diag(C[p, p] + inputs[p, p])

    for q in range(P):
        for p in range(q + 1):
            scale = np.sqrt(np.outer(variances(p), variances(q)))
            C[p + 1, q + 1] = 2 / np.pi * np.arcsin(2 * (C[p, q] + inputs[p, q]) / scale)
            C[q + 1, p + 1] = C[p + 1, q + 1].T
    return {"kernel": C, "f": np.zeros(M)}


def attention(xi: np.ndarray, beta: float = 2.0) -> Limits:
    """S = softmax(beta K) by rows, and S K S'."""
    K = xi @ xi.T
    weight = np.exp(beta * (K - K.max(axis=1, keepdims=True)))
    S = weight / weight.sum(axis=1, keepdims=True)
    return {"weight": S, "kernel": S @ K @ S.T}


def amp(T: int = 4) -> Limits:
    """tau <- E tanh(sqrt(tau) Z)^2 from tau = 1, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    tau, found = 1.0, []
    for _ in range(T):
        tau = float(weights @ np.tanh(np.sqrt(tau) * nodes) ** 2 / weights.sum())
        found.append(tau)
    return {"tau": np.array(found)}


def plain_numbers() -> dict[str, Limits]:
    """The programs without data or params."""
    catalan = {name: np.array(value) for name, value in zip(("mp1", "mp2", "mp3"), (1.0, 2.0, 5.0), strict=True)}
    return {
        "marchenko_pastur": catalan | {f"sc{2 * k}": catalan[f"mp{k}"] for k in (1, 2, 3)},
        "fuss_catalan": {f"moment{k}": np.array(value) for k, value in ((1, 1.0), (2, 3.0), (3, 12.0))},
        "transpose": {"output1": np.array(np.sqrt(2 / np.pi))},
        "outer_product": {"output1": np.array(2 / np.pi)},
    }

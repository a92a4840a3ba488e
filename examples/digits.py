"""Trains networks of growing width, and infinitely wide ones, to tell even from odd handwritten digits.

    python examples/digits.py [--quick] [--train 150] [--test 100] [--samples 6400] … [--keep FOLDER] [--out FOLDER]
                              [--redraw]

Needs scikit-learn and matplotlib (pip install '.[examples]').  The program is digits/digits.nx, with Adam: full batch
and mini-batches, in the maximal update (µP) and in the neural tangent parametrization (NTP).  Then the loss after some
steps against the learning rate, in these and in the standard parametrization (digits/standard.nx).

Under ten minutes on two cores; --quick takes one.  What is finished is kept in --keep.  Pictures go to OUT/images, the
numbers in them to OUT/data; --redraw draws the pictures from these numbers.  docs/digits.md says what they teach.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nexort

ROOT = Path(__file__).parents[1]
PROGRAMS = ROOT / "examples" / "digits"
Array = NDArray[np.floating[Any]]
Arrays = dict[str, Array]

PARAMETRIZATIONS: Mapping[str, Mapping[str, float]] = {"mup": {"s": 0.0}, "ntp": {"s": 0.5}, "standard": {}}
"""The parameters of the program that stand for them; the standard one is a program of its own."""
LIMITS = ("mup", "ntp")
"""Those with a limit at a fixed learning rate."""


def size(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What is computed; each field is a flag.

    At each step each image brings a direction on the way up, and each image that is trained on one on the way down.
    Samples should be 5/4 of (train + test) (steps + 1) + train steps + 64: the limit then draws them all orthogonal.
    """

    train: int = size(150, "training images")
    test: int = size(100, "test images")
    steps: int = size(12, "of Adam")
    batch: int = size(50, "images in a mini-batch")
    rate: float = size(0.2, "the learning rate")
    widths: tuple[int, ...] = size((64, 256, 1024), "with commas")
    trials: int = size(8, "networks of each width below 1000, half of it above")
    samples: int = size(6400, "of each ket, for the limits")
    replicates: int = size(2, "of the limits")
    sweep: int = size(7, "learning rates that are compared")
    sweep_steps: int = size(8, "of Adam with each of them")
    sweep_trials: int = size(3, "networks of each width with each of them")
    sweep_samples: int = size(3300, "of each ket, for the limits with each of them")

    def rates(self, parametrization: str) -> Array:
        lowest, highest = (1e-4, 0.0251) if parametrization == "standard" else (0.025, 1.6)
        return np.geomspace(lowest, highest, self.sweep)


QUICK = Sizes(
    train=60,
    test=40,
    steps=6,
    batch=20,
    widths=(32, 128, 512),
    trials=4,
    samples=1400,
    sweep=5,
    sweep_steps=6,
    sweep_trials=2,
    sweep_samples=1100,
)


@dataclass(frozen=True, kw_only=True)
class Images:
    """xi (M, 64) of mean square length 1, their mean taken off, y = ±1 (even, odd), digits (M,); the first `train` are
    trained on, the others are test images.  Both parts are in the order of their digits."""

    xi: Array
    y: Array
    digits: NDArray[np.int64]
    train: int

    def weights(self, steps: int, batch: int | None) -> Array:
        """(steps, M): which images a step sees, all of them or a batch; each epoch has an order of its own."""
        weights = np.zeros((steps, len(self.y)))
        if batch is None:
            weights[:, : self.train] = 1
            return weights
        random = np.random.default_rng(1)
        epochs = -(-steps * batch // self.train)
        order = np.concatenate([random.permutation(self.train) for _ in range(epochs)])
        for t in range(steps):
            weights[t, order[t * batch : (t + 1) * batch]] = 1
        return weights


def load_images(train: int, test: int) -> Images:
    from sklearn.datasets import load_digits

    pixels, digits = load_digits(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(digits))[: train + test]
    order = np.concatenate([part[np.argsort(digits[part], kind="stable")] for part in np.split(chosen, [train])])
    xi = pixels[order] - pixels[order[:train]].mean(axis=0)
    xi /= np.sqrt(np.mean(np.sum(xi[:train] ** 2, axis=1)))
    return Images(xi=xi, y=1.0 - 2.0 * (digits[order] % 2), digits=digits[order], train=train)


# --------------------------------------------------------------- computation


@dataclass(frozen=True, kw_only=True)
class Laboratory:
    """Computes, and keeps what is finished."""

    images: Images
    sizes: Sizes
    keep: Path

    def program(
        self, parametrization: str, weights: Array, rate: float, *, is_trained_only: bool = False
    ) -> nexort.Program:
        name = "standard" if parametrization == "standard" else "digits"
        count = self.images.train if is_trained_only else len(self.images.y)
        data = {"xi": self.images.xi[:count], "y": self.images.y[:count], "weight": weights[:, :count]}
        settings = {"eta": rate, "M": count, "T": len(weights), **PARAMETRIZATIONS[parametrization]}
        return nexort.load(PROGRAMS / f"{name}.nx", data=data, **settings)

    def training(self) -> Arrays:
        """`mup_full_loss_64` and so on: what `course` says of each course of training."""
        found: Arrays = {}
        for kind, batch in (("full", None), ("batch", self.sizes.batch)):
            weights = self.images.weights(self.sizes.steps, batch)
            for parametrization in LIMITS:
                program = self.program(parametrization, weights, self.sizes.rate)
                for size in (*self.sizes.widths, "limit"):
                    course = self.kept(f"{parametrization}-{kind}-{size}", partial(self.course, program, size))
                    found |= {f"{parametrization}_{kind}_{what}_{size}": values for what, values in course.items()}
        return found

    def course(self, program: nexort.Program, size: int | str) -> Arrays:
        """Of each trial or replicate, at each step: the loss on all training images, the share of test images that
        have the right sign, and how far the kernel of the second layer moved, ‖K_t − K_0‖/‖K_0‖ (Frobenius);
        of the limit also the kernel of the test images at start and end, as correlations."""
        sizes, images = self.sizes, self.images
        if size == "limit":
            # kernels at two steps are compared: both from the same samples, whose noise the difference has not
            limit = program.limit(sizes.samples, replicates=sizes.replicates, dtype="float32", method="particles")
            for warning in limit.warnings:
                print(warning)
            f, K = limit["f"].values, limit["K_h"].values
        else:
            assert isinstance(size, int)
            trials = sizes.trials if size < 1000 else max(2, sizes.trials // 2)
            run = program.run(size, trials=trials, dtype="float32")
            f, K = run["f"].values, run["K_h"].values
        first, tested = images.train, slice(images.train, None)
        found = {
            "loss": training_loss(f, images),
            "accuracy": np.mean(np.sign(f[..., tested]) == images.y[tested], axis=-1),
            "movement": np.linalg.norm(K - K[:, :1], axis=(2, 3)) / np.linalg.norm(K[:, :1], axis=(2, 3)),
        }
        if size == "limit":
            kernels = K[:, [0, -1], first:, first:].mean(axis=0)
            lengths = np.sqrt(np.diagonal(kernels, axis1=1, axis2=2))
            # three digits are enough for a picture, and the file stays small
            found["kernel"] = (kernels / (lengths[:, :, None] * lengths[:, None, :])).astype(np.float16)
        return found

    def sweep(self) -> Arrays:
        """`mup_sweep_64` and so on: the loss after some steps, (rates, trials or replicates)."""
        found: Arrays = {}
        weights = self.images.weights(self.sizes.sweep_steps, None)
        for parametrization in PARAMETRIZATIONS:
            rates = self.sizes.rates(parametrization)
            found[f"{parametrization}_rates"] = rates
            for size in (*self.sizes.widths, *(["limit"] if parametrization in LIMITS else [])):
                losses = [
                    self.kept(
                        f"{parametrization}-sweep-{size}-{rate:.3g}",
                        partial(self.last_loss, parametrization, weights, rate, size),
                    )["loss"]
                    for rate in rates
                ]
                found[f"{parametrization}_sweep_{size}"] = np.array(losses)
        return found

    def last_loss(self, parametrization: str, weights: Array, rate: float, size: int | str) -> Arrays:
        program = self.program(parametrization, weights, rate, is_trained_only=True)
        if size == "limit":
            f = program.limit(self.sizes.sweep_samples, replicates=2, dtype="float32")["f"].values
        else:
            assert isinstance(size, int)
            f = program.run(size, trials=self.sizes.sweep_trials, dtype="float32")["f"].values
        return {"loss": training_loss(f, self.images)[:, -1]}

    def kept(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """What `compute` gives, from the folder if it is there."""
        texts = [path.read_text(encoding="utf-8") for path in sorted(PROGRAMS.glob("*.nx"))]
        digest = hashlib.sha256(repr((texts, asdict(self.sizes))).encode()).hexdigest()[:8]
        path = self.keep / digest / f"{name}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            start = time.perf_counter()
            arrays = compute()
            print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
            part = path.with_suffix(".part.npz")
            np.savez(part, **arrays)
            part.replace(path)
        with np.load(path) as file:
            return dict(file)


def training_loss(f: Array, images: Images) -> Array:
    """Mean of (f − y)²/2 over the training images."""
    seen = slice(images.train)
    return np.mean((f[..., seen] - images.y[seen]) ** 2, axis=-1) / 2


# -------------------------------------------------------------- command line


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Even or odd digits: networks of growing width and their limits.")
    parser.add_argument("--quick", action="store_true", help="small sizes, a minute")
    for option in fields(Sizes):
        kind = widths if option.name == "widths" else type(option.default)
        shown = f"{option.metadata['help']} [{option.default}]"
        parser.add_argument(f"--{option.name.replace('_', '-')}", type=kind, help=shown)
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "digits", help="where what is finished is kept")
    parser.add_argument("--out", type=Path, help="where images/ and data/ go [docs; with --quick build/quick]")
    parser.add_argument("--redraw", action="store_true", help="compute nothing")
    arguments = parser.parse_args(argv)
    out = arguments.out or (ROOT / "build" / "quick" if arguments.quick else ROOT / "docs")
    data = out / "data" / "digits.npz"
    if not arguments.redraw:
        sizes = read_sizes(arguments)
        images = load_images(sizes.train, sizes.test)
        laboratory = Laboratory(images=images, sizes=sizes, keep=arguments.keep)
        found = {"digits": images.digits[images.train :], **laboratory.training(), **laboratory.sweep()}
        data.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(data, **found)
    from digits_pictures import draw_all

    with np.load(data) as file:
        draw_all(dict(file), out / "images")


def read_sizes(arguments: argparse.Namespace) -> Sizes:
    asked = {option.name: getattr(arguments, option.name) for option in fields(Sizes)}
    given = {name: value for name, value in asked.items() if value is not None}
    return replace(QUICK if arguments.quick else Sizes(), **given)


def widths(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(width) for width in text.split(",")))


if __name__ == "__main__":
    main()

"""The limit n → ∞ of a program without sampling."""

from nexort.exact.evaluate import METHOD, evaluate_exactly

__all__ = ["METHOD", "evaluate_exactly"]

"""The limit n → ∞ of a program: the Master Theorem (TP4b Theorem 2.6.10) on sampled kets."""

"""Training in one statement: parametrizations, their classification, and the programs that `train` stands for."""

from nexort.training.assumption import UpdateFunction, outside_assumption
from nexort.training.classify import Classification, Regime, classify
from nexort.training.expand import expand_finite, expand_limit
from nexort.training.exponents import (
    ONE,
    Exponents,
    Kind,
    Parameter,
    Parametrization,
    abcd,
    mup,
    ntp,
    standard,
    up,
)
from nexort.training.homogeneity import degree, normalized_degree
from nexort.training.model import Model, names_of
from nexort.training.polyhedron import Plane, default_axes, plane
from nexort.training.readout import find_readouts
from nexort.training.recipe import Normalization, Recipe, Trained

__all__ = [
    "ONE",
    "Classification",
    "Exponents",
    "Kind",
    "Model",
    "Normalization",
    "Parameter",
    "Parametrization",
    "Plane",
    "Recipe",
    "Regime",
    "Trained",
    "UpdateFunction",
    "abcd",
    "classify",
    "default_axes",
    "degree",
    "expand_finite",
    "expand_limit",
    "find_readouts",
    "mup",
    "names_of",
    "normalized_degree",
    "ntp",
    "outside_assumption",
    "plane",
    "standard",
    "up",
]

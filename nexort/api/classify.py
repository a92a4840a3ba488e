"""What `classify` says of a program's `train` statements, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from nexort import elaborate
from nexort.errors import TypeFault
from nexort.syntax import ast
from nexort.training import Classification


@final
@dataclass(frozen=True, kw_only=True)
class ClassifyReport(Mapping[str, Classification]):
    """Classifications by the name of their training: that of `train … as NAME`, else the model's."""

    program: str
    trainings: Mapping[str, Classification]

    def __getitem__(self, name: str) -> Classification:
        return self.trainings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.trainings)

    def __len__(self) -> int:
        return len(self.trainings)

    def to_dict(self) -> dict[str, Any]:
        from nexort import __version__

        trainings = {name: found.to_dict() for name, found in self.trainings.items()}
        return {"nexort": __version__, "mode": "classify", "program": self.program, "trainings": trainings}

    def __str__(self) -> str:
        return "\n\n".join(f"train {name}: {found.table()}" for name, found in self.trainings.items())


def build_classification(
    tree: ast.Program, settings: Mapping[str, int | float], arrays: Mapping[str, object]
) -> ClassifyReport:
    """Raises TypeFault for a program that trains nothing."""
    trainings = elaborate.classify(tree, settings=settings, data=arrays)
    if not trainings:
        hint = "add a model and a train statement: only they have a parametrization"
        raise TypeFault(f"{tree.source.name} has no train statement to classify", hint=hint)
    return ClassifyReport(program=tree.source.name, trainings=trainings)

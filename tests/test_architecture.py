"""The order of the stages, read off the import statements: the picture of docs/design.md, checked."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "nexort"

LEVELS = (
    {"source"},
    {"errors"},
    {"syntax", "symbolic"},
    {"graph", "training"},
    {"elaborate", "passes"},
    {"engine"},
    {"accelerated"},
    {"finite", "limit", "exact"},
    {"api"},
    {"cli"},
)
RANK = {stage: rank for rank, level in enumerate(LEVELS) for stage in level}
FACADE = {"__init__", "__main__"}
"""`import nexort` and `python -m nexort`: they name the outermost stages and belong to none."""

SHARED_MODULES = ("nexort.graph.", "nexort.syntax.ast")
"""What may be imported from another stage below its root: the two trees that all stages speak about."""

HOMES = {
    "lark": {"syntax"},
    "sympy": {"symbolic"},
    "networkx": {"graph"},
    "rich": {"cli"},
    "argparse": {"cli"},
    "matplotlib": {"api"},
    "jax": {"accelerated"},
}
HEAVY = ("numpy", "scipy", "sympy", "lark", "networkx", "rich", "jax")


@dataclass(frozen=True)
class ImportedName:
    """`module` (a dotted path) is imported by the file `importer`, a dotted path too."""

    importer: str
    module: str
    line: int
    is_deferred: bool
    """In a function or under TYPE_CHECKING: not run when the importer is."""

    def __str__(self) -> str:
        return f"{self.importer}, line {self.line}: {self.module}"


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {dotted(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def stage(module: str) -> str:
    """The stage of a dotted path in nexort; the facade's names for `nexort` itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def exported(package: str) -> set[str]:
    """The names that a package's root binds by `from … import`, for which a submodule of that name is not meant."""
    if package not in FILES or FILES[package].name != "__init__.py":
        return set()
    tree = ast.parse(FILES[package].read_text(encoding="utf-8"))
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module != package
        for alias in node.names
    }


def read_imports(module: str) -> Iterator[ImportedName]:
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    yield from _walk(tree, module, is_deferred=False)


def _walk(node: ast.AST, importer: str, *, is_deferred: bool) -> Iterator[ImportedName]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield ImportedName(importer, alias.name, child.lineno, is_deferred)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{importer}: relative import in line {child.lineno}"
            for alias in child.names:
                package, submodule = str(child.module), f"{child.module}.{alias.name}"
                module = submodule if submodule in FILES and alias.name not in exported(package) else package
                yield ImportedName(importer, module, child.lineno, is_deferred)
        else:
            is_checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _walk(child, importer, is_deferred=is_deferred or is_checking or is_function)


IMPORTS = [found for module in FILES for found in read_imports(module)]
OURS = [found for found in IMPORTS if found.module.split(".")[0] == "nexort"]


def test_every_module_belongs_to_a_stage():
    assert {stage(module) for module in FILES} <= RANK.keys() | FACADE


def test_a_stage_imports_only_earlier_stages():
    wrong = [
        str(found)
        for found in OURS
        if stage(found.importer) not in FACADE
        and stage(found.module) not in {stage(found.importer), *FACADE}
        and RANK[stage(found.module)] >= RANK[stage(found.importer)]
    ]
    assert wrong == []


def test_only_the_outer_stages_import_the_facade():
    wrong = [str(found) for found in OURS if found.module == "nexort" and stage(found.importer) not in {"api", "cli"}]
    assert wrong == []


def test_other_stages_are_imported_by_their_root():
    wrong = [
        str(found)
        for found in OURS
        if stage(found.importer) != stage(found.module)
        and found.module.count(".") > 1
        and not found.module.startswith(SHARED_MODULES)
    ]
    assert wrong == []


def test_modules_have_no_import_cycle():
    graph: dict[str, set[str]] = {module: set() for module in FILES}
    for found in OURS:
        if found.module in FILES and not found.is_deferred and not found.importer.startswith(f"{found.module}."):
            graph[found.importer].add(found.module)
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) == len(FILES)


def test_a_module_does_not_import_from_its_own_root():
    wrong = [str(found) for found in OURS if found.module == f"nexort.{stage(found.importer)}" != found.importer]
    assert wrong == []


@pytest.mark.parametrize("library", HOMES)
def test_a_library_lives_in_one_stage(library: str):
    users = {stage(found.importer) for found in IMPORTS if found.module.split(".")[0] == library}
    assert users <= HOMES[library]


@pytest.mark.parametrize("statement", ["import nexort", "import nexort.cli; nexort.cli.main(['--help'])"])
def test_nothing_heavy_is_imported_before_it_is_needed(statement: str):
    probe = f"import sys; {statement}; sys.stderr.write(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr == ""

"""`import "name.nx"`: a file next to the program, else one of the library that ships with NEXORT."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from nexort.errors import DataFault, NameFault, SizeFault, suggest
from nexort.source import Source, Span
from nexort.syntax import MAX_BYTES, ast, parse

LIBRARY = "<library>"
LONGEST_NAME = 200


def find_import(tree: ast.Import) -> Source:
    """The text of an imported file."""
    name = tree.path
    if not name or len(name) > LONGEST_NAME or "/" in name or "\\" in name or ".." in name or "\0" in name:
        raise NameFault(
            f"'{name}' is not a bare file name",
            tree.span,
            hint="an import names a file next to this one, without a path",
        )
    folder = Path(tree.span.source.name).parent if not tree.span.source.name.startswith("<") else None
    if folder is not None and (folder / name).is_file():
        return Source(str(folder / name), _read(folder / name, folder, tree.span))
    shipped = resources.files("nexort") / "library"
    if (shipped / name).is_file():
        return Source(f"{LIBRARY}/{name}", (shipped / name).read_text(encoding="utf-8"))
    known = [entry.name for entry in shipped.iterdir()] if shipped.is_dir() else []
    hint = (
        suggest(name, known) or f"it is looked for next to this file, then in the library: {', '.join(sorted(known))}"
    )
    raise NameFault(f"the import '{name}' is not found", tree.span, hint=hint)


def _read(path: Path, folder: Path, span: Span) -> str:
    if path.resolve().parent != folder.resolve():
        raise NameFault(
            f"'{path.name}' is a link that leaves the folder", span, hint="copy the file next to the program"
        )
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SizeFault(
                f"'{path.name}' is larger than {MAX_BYTES} bytes", span, hint="a program file is text of at most 1 MB"
            )
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise DataFault(
            f"'{path.name}' cannot be read: {fault}", span, hint="it must be a readable UTF-8 text"
        ) from None


def check_import(program: ast.Program) -> None:
    """An imported file holds param, def, optimizer and import only."""
    for tree in program.body:
        if not isinstance(tree, ast.Param | ast.Def | ast.Optimizer | ast.Import):
            raise NameFault(
                "an imported file holds param, def, optimizer and import only",
                tree.span,
                hint="move this statement to the program",
            )


def parse_import(source: Source) -> ast.Program:
    program = parse(source)
    check_import(program)
    return program

"""Every fenced block of the documentation: programs run, refused ones are refused, limits are as stated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import nexort
from nexort.cli.parser import parse_arguments

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
ARROW = "# → "
INFOS = {"nexort", "nexort refused", "python", "sh", "text", "mermaid"}


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    info: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def read_blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Block(page, line, match["info"].strip(), match["text"])


BLOCKS = tuple(read_blocks())


def blocks(info: str) -> list[Block]:
    return [block for block in BLOCKS if block.info == info]


def claims(text: str) -> dict[str, float]:
    """The limits stated in `# → VALUE` behind outputs, of an array its last entry."""
    found: dict[str, float] = {}
    unnamed = 0
    for line in text.splitlines():
        output, _, value = line.partition(ARROW)
        name = re.search(r"output (?:(?=\w+\s*$)|.* as )(\w+)(?:\[[^\]]*\])?\s*$", output)
        unnamed += "output " in output and name is None
        if value:
            found[name[1] if name else f"output{unnamed}"] = float(value)
    assert len(found) == text.count(ARROW)
    return found


def test_pages_use_known_kinds_of_blocks():
    assert {block.info for block in BLOCKS} <= INFOS


@pytest.mark.parametrize("block", blocks("nexort"), ids=str)
def test_program_runs_at_width_8_and_in_the_limit(block: Block):
    program = nexort.compile(block.text)
    run = program.run(8, trials=2)
    limit = program.limit(64, replicates=2)
    assert list(run) == list(limit)
    for name in run:
        assert run[name].mean.shape == limit[name].stderr.shape


@pytest.mark.parametrize("block", [block for block in blocks("nexort") if claims(block.text)], ids=str)
def test_limits_are_as_stated(block: Block):
    limit = nexort.compile(block.text).limit(2048, replicates=8)
    for name, value in claims(block.text).items():
        last = np.ravel(limit[name].value)[-1]
        error = np.ravel(limit[name].stderr)[-1]
        assert error < 0.02
        assert abs(last - value) < 5 * error + 2e-6, (name, last, error)


@pytest.mark.parametrize("block", blocks("nexort refused"), ids=str)
def test_refused_program_is_refused(block: Block):
    with pytest.raises(nexort.NexortError):
        nexort.compile(block.text).limit(64, replicates=2)


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_runs(block: Block, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(ROOT)
    exec(compile(block.text, str(block), "exec"), {})
    assert capsys.readouterr().out


def commands() -> list[str]:
    lines = [line for block in blocks("sh") for line in block.text.splitlines()]
    starts = re.compile(r"^(?:.* && )?(?:\S*/)?nexort (?P<rest>.*)$")
    return [match["rest"].split("#")[0] for line in lines if (match := starts.match(line))]


@pytest.mark.parametrize("command", commands())
def test_command_line_is_known(command: str):
    _, arguments = parse_arguments(command.split())
    for path in [arguments.program] if hasattr(arguments, "program") else arguments.programs:
        assert path.startswith("PROGRAM") or (ROOT / path).is_file()


BOUNDS = {
    "bytes of a program file": "MAX_BYTES",
    "brackets around one place": "MAX_DEPTH",
    "nested operations of an expression": "MAX_EXPRESSION_DEPTH",
    "blocks around one line": "MAX_BLOCKS",
    "passes of one loop": "MAX_PASSES",
    "in an optimizer's body": "MAX_BODY_PASSES",
    "statements of the unrolled program": "MAX_STATEMENTS",
    "axes of a family or array": "MAX_AXES",
    "the length of a static axis": "MAX_SIZE",
    "entries of a data array": "MAX_ENTRIES",
    "entries of a list": "MAX_LISTED",
    "elements of a family that are bound one by one": "MAX_PARTS",
    "arguments of `max`": "MAX_ARGUMENTS",
    "the order of a derivative": "MAX_PRIMES",
    "operations of a `def`": "MAX_OPERATIONS",
}


@pytest.mark.parametrize("what", BOUNDS)
def test_bounds_are_those_of_the_code(what: str):
    sources = [path for stage in ("syntax", "elaborate") for path in (ROOT / "nexort" / stage).glob("*.py")]
    constant = re.compile(rf"^{BOUNDS[what]} = ([\d_]+)(?:\*\*(\d+))?$", re.MULTILINE)
    found = {int(m[1]) ** int(m[2] or 1) for path in sources for m in constant.finditer(path.read_text("utf-8"))}
    rows = re.findall(r"^\| ([\d,]+) \| (.*) \|$", (ROOT / "docs" / "language.md").read_text("utf-8"), re.MULTILINE)
    (row,) = [row for row in rows if what in row[1]]
    stated = {int(number.replace(",", "")) for number in re.findall(r"\b[\d,]+\b", " ".join(row))}
    assert len(found) == 1
    assert found <= stated


def test_links_lead_to_files_and_headings():
    for page in PAGES:
        text = re.sub(r"`[^`]*`", "", BLOCK.sub("", page.read_text(encoding="utf-8")))
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
            path, _, anchor = target.partition("#")
            found = (page.parent / path).resolve() if path else page
            assert found.exists(), f"{page.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
                assert anchor in anchors, f"{page.name}: {target}"

"""How a fault is shown: place, source lines, carets with notes, remedy; several faults together."""

from nexort.errors import FaultGroup, Label, NexortError, TypeFault, suggest
from nexort.source import Source, Span

TEXT = "vector x\nmatrix W\ny = W * x\n"
SOURCE = Source("p.nx", TEXT)


def span(text: str, source: Source = SOURCE) -> Span:
    start = source.text.index(text)
    return Span(source, start, start + len(text))


def test_a_line_is_shown_once_with_every_noted_place() -> None:
    whole = span("W * x")
    marks = Label(Span(SOURCE, whole.start, whole.start + 1), "operator"), Label(span("x", SOURCE), "declared here")
    fault = TypeFault("no product", whole, *marks, hint="write W @ x")
    assert fault.render() == "\n".join(
        [
            "p.nx:3:5: error: no product",
            "    3 | y = W * x",
            "      |     ^ operator",
            "    1 | vector x",
            "      |        ^ declared here",
            "  hint: write W @ x",
        ]
    )


def test_a_place_without_a_note_alone_on_its_line_is_underlined() -> None:
    assert NexortError("bad", span("W * x")).render().splitlines()[2] == "      |     ^^^^^"


def test_places_in_two_files_name_the_second() -> None:
    other = Source("q.nx", "def f(x) = x\n")
    shown = NexortError("twice", span("y"), Label(span("f", other), "first here")).render()
    assert "  in q.nx:1:3:" in shown


def test_a_span_over_several_lines_is_underlined_to_the_end_of_its_first() -> None:
    text = Source("p.nx", "y = (a +\n  b)\n")
    shown = NexortError("bad", Span(text, 4, len(text.text) - 1)).render()
    assert shown.splitlines()[1:] == ["    1 | y = (a +", "      |     ^^^^"]


def test_a_group_shows_each_fault_and_flattens_groups() -> None:
    faults = [NexortError("one"), NexortError("two"), NexortError("three")]
    group = FaultGroup([faults[0], FaultGroup(faults[1:])])
    assert group.faults == tuple(faults)
    assert group.render() == "error: one\n\nerror: two\n\nerror: three"


def test_suggestions_name_the_nearest() -> None:
    assert suggest("rellu", ["relu", "gelu", "tanh"]) == "did you mean 'relu'?"
    assert suggest("zzz", ["relu"]) == ""


def test_of_a_very_long_line_the_part_around_the_place_is_shown() -> None:
    text = Source("p.nx", "y = " + "a + " * 500 + "zz\n")
    shown = NexortError("bad", Span(text, text.text.index("zz"), text.text.index("zz") + 2)).render().splitlines()
    assert len(shown[1]) == 8 + 120
    assert shown[1].endswith("a + zz")
    assert shown[2] == " " * 6 + "| " + " " * 118 + "^^"

"""Faults of what surrounds the text: --set, --data, imports; several at once; bounds."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from elaborate.readings import compile_text, faults
from nexort.elaborate import load_data
from nexort.errors import DataFault, IndexFault, NameFault, NexortError, SizeFault, TypeFault, UsageFault

XI = "data xi[M, d]\nvector u[d]\nh[a] = sum[k](xi[a, k] * u[k])\noutput avg(h[0])"


def only(text: str, **options: object) -> NexortError:
    (fault,) = faults(text, **options)
    return fault


def test_setting_of_an_unknown_name() -> None:
    fault = only("param eta = 1\noutput eta", params={"etta": 2})
    assert isinstance(fault, UsageFault)
    assert fault.hint == "did you mean 'eta'?"
    fault = only(XI, params={"M": 2}, data={"xi": np.ones((2, 3))})
    assert fault.hint == "'M' takes its value from the data"


def test_settings_reach_params_of_imports(tmp_path: Path) -> None:
    (tmp_path / "rates.nx").write_text("param eta = 1\ndef f(x) = eta * x\n")
    program = str(tmp_path / "p.nx")
    graph = compile_text('import "rates.nx"\noutput f(1) + eta', {"eta": 3}, name=program)
    assert getattr(graph.outputs[0].nodes[0], "value", None) == 6


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (None, "no data for 'xi'"),
        (np.ones(3), "the data array 'xi' has 1 axes (shape (3,)), and the program declares 2"),
        (np.ones((0, 2)), "the data array 'xi' is empty (shape (0, 2))"),
        (np.array([["a", "b"]]), "the data array 'xi' has entries of type <U1"),
        (np.array([[1j, 2]]), "the data array 'xi' has entries of type complex128"),
        (np.array([[1, None]]), "the data array 'xi' has entries of type object"),
        (np.array([[1, np.nan], [2, 3]]), "the data array 'xi' is not finite at [0, 1]"),
        ([[1, 2], [3]], "the data array 'xi' is ragged"),
    ],
)
def test_data_that_does_not_fit(array: object, message: str) -> None:
    fault = only(XI, data={} if array is None else {"xi": array})
    assert isinstance(fault, DataFault)
    assert fault.message == message
    assert fault.labels[0].span.text == "xi[M, d]"


def test_data_of_another_size_than_a_param() -> None:
    fault = only("param M = 3\ndata y[M] = [1, 2, 3]\noutput sum[a](y[a])", data={"y": np.ones(5)})
    assert fault.message == "axis 0 of 'y' has 5 elements, and its declaration says M = 3"
    assert fault.hint == "use --set M=5"
    assert fault.labels[0].span.text == "M"


def test_data_files(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    with pytest.raises(DataFault, match="does not exist"):
        load_data(path)
    np.savez(path, xi=np.array([[1, None]], dtype=object))
    with pytest.raises(DataFault, match=r"'xi' in .* holds pickled objects"):
        load_data(path)
    path.write_bytes(b"PK\x03\x04 broken")
    with pytest.raises(DataFault, match="cannot be read"):
        load_data(path)
    np.save(tmp_path / "d.npy", np.ones(3))
    with pytest.raises(DataFault, match=r"not an \.npz archive"):
        load_data(tmp_path / "d.npy")
    np.savez(path, xi=np.ones((2, 3), dtype=np.int8))
    assert compile_text(XI, data=load_data(path)).outputs[0].name == "output1"


def test_imports(tmp_path: Path) -> None:
    program = str(tmp_path / "p.nx")
    (tmp_path / "a.nx").write_text('import "b.nx"\ndef f(x) = x')
    (tmp_path / "b.nx").write_text('import "a.nx"\ndef g(x) = x')
    fault = only('import "a.nx"\noutput f(1)', name=program)
    assert isinstance(fault, NameFault)
    assert fault.message == "the import of 'a.nx' is circular"
    assert fault.span is not None
    assert fault.span.source.name == str(tmp_path / "b.nx")

    (tmp_path / "c.nx").write_text("vector x")
    fault = only('import "c.nx"', name=program)
    assert fault.message == "an imported file holds param, def, optimizer and import only"

    (tmp_path / "d.nx").write_text("def f(x) = y")
    fault = only('import "d.nx"\noutput f(1)', name=program)
    assert fault.message == "unknown name 'y'"

    (tmp_path / "bytes.nx").write_bytes(b"\xff\xfe")
    assert isinstance(only('import "bytes.nx"', name=program), DataFault)


def test_an_import_is_taken_from_the_programs_folder_first(tmp_path: Path) -> None:
    program = str(tmp_path / "p.nx")
    text = 'import "optimizers.nx"\ns = 1\nt = s\ns -= sgd(grad(t^2, t))\noutput s'
    assert not faults(text, name=program)
    (tmp_path / "optimizers.nx").write_text("def f(x) = x")
    assert only(text, name=program).message == "unknown name 'sgd'"


def test_a_link_that_leaves_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "a.nx").write_text("def f(x) = x")
    (inside / "a.nx").symlink_to(outside / "a.nx")
    fault = only('import "a.nx"', name=str(inside / "p.nx"))
    assert fault.message == "'a.nx' is a link that leaves the folder"


def test_several_faults_in_the_order_of_the_text_and_no_consequences() -> None:
    text = """
vector x, y
a = xx + 1
b = a * 2
for t in 0..3:
    c = b + t
    d = y[0]
    output d
e = avg(3) + c
W -= x
"""
    found = faults(text)
    assert [fault.message for fault in found] == [
        "unknown name 'xx'",
        "'y' has no static indices, and 1 stands here",
        "avg takes a vector or a tensor, and this is a number",
        "'W' is updated before it is bound",
    ]


def test_a_failed_import_hides_unknown_names() -> None:
    (fault,) = faults('import "optimisers.nx"\nvector x\nx -= adam(grad(<x|x>, x))')
    assert fault.hint == "did you mean 'optimizers.nx'?"


def test_a_failed_data_declaration_hides_its_shape_names() -> None:
    (fault,) = faults("data xi[M, d]\nvector u[d]\nh[a < M] = sum[k](xi[a, k] * u[k])\nfor t in 0..M:\n    g = h")
    assert fault.message == "no data for 'xi'"


def test_grad_names_the_line_where_the_parameter_was_rebound() -> None:
    text = "vector x\ns = <x|x>\nx -= 0.1 * x\ng = grad(s, x)"
    fault = only(text)
    assert [label.span.text for label in fault.labels] == ["x", "x -= 0.1 * x"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("for t in 0..1000000000:\n    s = t", SizeFault),
        ("data y[3] = [[0] * 1000] * 10000", SizeFault),
        ("data y[100000, 100000] = normal(seed=1)", SizeFault),
        ("data y[1] = " + "[" * 100 + "1" + "]" * 100, SizeFault),
        ("x[" + ", ".join(f"a{k} < 2" for k in range(70)) + "] = 1", SizeFault),
        ("vector u[1000000]\nu[0] -= u[1]\ns = sum[k](<u[k]|u[k]>)", SizeFault),
        ("vector x\ny = gelu" + "'" * 100 + "(x)", SizeFault),
        (
            "def f0(x) = x * tanh(x)\n" + "\n".join(f"def f{k}(x) = f{k - 1}(f{k - 1}(x))" for k in range(1, 20)),
            SizeFault,
        ),
        ("param a = 2^(2^(2^(2^2)))", TypeFault),
        ("x[0] = 1\nx[1000000000000] = 1\ns = sum[a](x[a])", IndexFault),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else value.__name__,
)
def test_bounds(text: str, kind: type[NexortError]) -> None:
    start = time.perf_counter()
    assert isinstance(faults(text)[0], kind)
    assert time.perf_counter() - start < 30


def test_bound_of_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexort.elaborate.statements.MAX_STATEMENTS", 100)
    (fault,) = faults("for a in 0..10:\n    for b in 0..100:\n        s = a")
    assert fault.message == "the program unrolls to more than 100 statements"

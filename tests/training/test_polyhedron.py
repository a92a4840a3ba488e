"""Planes through the space of parametrizations: exact regions, and the picture of them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from nexort.errors import UsageFault
from nexort.training.arrangement import Line, Window, edges, faces
from nexort.training.classify import classify
from nexort.training.exponents import Parametrization, mup, ntp, standard
from nexort.training.polyhedron import Plane, default_axes, plane
from training.parametrizations import mlp, random_parametrizations

F = Fraction


def through(preset: Parametrization, axes: str, *, degree: int | None = 0, hidden: int = 3) -> Plane:
    return plane(classify(mlp(preset, degree=degree, hidden=hidden), preset.a_out), axes)


def area(polygon: tuple[tuple[Fraction, Fraction], ...]) -> Fraction:
    pairs = zip(polygon, (*polygon[1:], polygon[0]), strict=True)
    return sum((a[0] * b[1] - a[1] * b[0] for a, b in pairs), F(0)) / 2


def test_faces_fill_the_window() -> None:
    window = Window((F(0), F(0)), (F(2), F(3)))
    lines = [Line(F(-1), F(1), F(0)), Line(F(0), F(1), F(-1)), Line(F(-1), F(1), F(1)), Line(F(-9), F(1), F(0))]
    found = faces(window, lines)
    assert sum(area(polygon) for polygon in found) == 6
    assert len(found) == 6  # three lines through one point
    lengths = [abs(b[0] - a[0]) + abs(b[1] - a[1]) for a, b in edges(window, lines)]
    assert sum(lengths) == 3 + (2 + 2) + 2


def inside(point: tuple[Fraction, Fraction], polygon: tuple[tuple[Fraction, Fraction], ...]) -> bool:
    pairs = zip(polygon, (*polygon[1:], polygon[0]), strict=True)
    return all((b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0]) > 0 for a, b in pairs)


def test_a_face_has_one_regime() -> None:
    """At random points strictly inside a face the verdict is the face's, for all kinds of parameters and optimizers."""
    rng = np.random.default_rng(1)
    axes = ["c_W,b_v", "c_v,c_u", "a_out,c_V", "b_W,c_W", "a_W,d_W", "c_matrix,c_output", "a_v,c_s"]
    checked = 0
    for k, (parameters, a_out) in enumerate(random_parametrizations(rng, 40)):
        equal = [replace(parameters[1], name="V") if p.name == "V" else p for p in parameters]
        part = plane(classify(equal, a_out), axes[k % len(axes)])
        found = part.faces()
        for _ in range(10):
            (left, low), (right, high) = part.window.low, part.window.high
            x, y = (F(int(rng.integers(1, 9973)), 9973) for _ in range(2))
            point = left + x * (right - left), low + y * (high - low)
            own = [regime for polygon, regime in found if inside(point, polygon)]
            if own:
                assert own == [part.regime(point)]
                checked += 1
    assert checked > 350


def test_ntp_is_a_corner_of_the_operator_regime() -> None:
    """TP4b Figure 2.1: NTP and µP are corners, and µP's corner alone learns features in NTP's plane (c_matrix, b_v)."""
    part = through(ntp(), "c_matrix,b_v")
    corners = dict(part.corners())
    assert part.own == (F(3, 2), F(0))
    assert corners[part.own] == "operator"
    assert {point for point, regime in corners.items() if regime == "feature learning"} == {(F(1), F(1, 2))}
    assert {regime for _, regime in part.faces()} == {"operator", "unstable", "unfaithful"}


def test_mup_learns_features_on_edges() -> None:
    part = through(mup(), "c_matrix,c_u")
    regimes = [regime for _, regime in part.edges()]
    assert regimes.count("feature learning") == 2
    assert dict(part.corners())[part.own] == "feature learning"


def test_marks_are_in_the_programs_writing() -> None:
    """Presets written with the program's a and d; inside the plane if nothing else differs."""
    marks = {mark.name: mark for mark in through(ntp(), "c_matrix,b_v").marks}
    assert set(marks) == {"mup", "ntp", "standard, rate n^(-3/2)"}
    assert (marks["ntp"].point, marks["ntp"].is_inside) == ((F(3, 2), F(0)), True)
    assert (marks["mup"].point, marks["mup"].is_inside) == ((F(1), F(1, 2)), False)
    sgd = {mark.name: mark for mark in through(ntp(), "c_matrix,b_v", degree=1).marks}
    assert sgd["standard, rate n^(-1)"].point == (F(3, 2), F(0))
    own = {mark.name: mark for mark in through(standard(), "c_W1,b_v").marks}
    assert not own["standard, rate n^(-3/2)"].is_inside  # its other rates differ from the program's


def test_axes() -> None:
    found = classify(mlp(ntp(), degree=1), ntp().a_out)
    assert default_axes(found) == "c_W1,b_v"
    assert plane(found, "a_out, c_output").own == (F(1, 2), F(1, 2))


@pytest.mark.parametrize(
    ("axes", "message", "hint"),
    [
        ("c_W1", "expected two exponents", "--axes c_W,b_v"),
        ("c_W1,c_W1", "expected two exponents", "--axes c_W,b_v"),
        ("c_W1,c_matrix", "both axes have c of W1", "two exponents"),
        ("c_W9,b_v", "no exponent 'c_W9'", "did you mean 'c_W1'?"),
        ("c_scalar,b_v", "no exponent 'c_scalar'", ""),
        ("zzz,b_v", "no exponent 'zzz'", "as in c_u"),
    ],
)
def test_wrong_axes(axes: str, message: str, hint: str) -> None:
    with pytest.raises(UsageFault) as caught:
        plane(classify(mlp(ntp()), ntp().a_out), axes)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_axis_of_a_kind_asks_for_one_number() -> None:
    parameters = [*mlp(ntp(), hidden=2), *mlp(mup(), hidden=3)[2:3]]
    with pytest.raises(UsageFault, match=r"c_matrix is not one number \(c_W1, c_W2 differ\)"):
        plane(classify(parameters, ntp().a_out), "c_matrix,b_v")


def test_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from nexort.api.classify import ClassifyReport
    from nexort.api.plane_plot import draw_planes

    found = {name: classify(mlp(preset), preset.a_out) for name, preset in {"a": mup(), "b": ntp()}.items()}
    path = tmp_path / "plane.png"
    draw_planes(ClassifyReport(program="p.nx", trainings=found), str(path))
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageFault, match="no exponent"):
        draw_planes(ClassifyReport(program="p.nx", trainings=found), str(path), "c_W7,b_v")

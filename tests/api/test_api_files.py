"""Files are written whole or not at all, under any name of an output."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from nexort.api import check_writable, read_source, write_text
from nexort.api.files import MAX_TEXT_BYTES, write_npz
from nexort.errors import ComputationFault, NexortError, SizeFault, UsageFault


def test_npz_takes_names_that_savez_does_not(tmp_path: Path):
    path = str(tmp_path / "a.npz")
    arrays = {name: np.arange(3.0) for name in ("file", "allow_pickle", "self", "λ")}
    write_npz(path, arrays)
    with np.load(path) as found:
        assert sorted(found) == sorted(arrays)
        np.testing.assert_array_equal(found["λ"], np.arange(3.0))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "a.npz"
    write_npz(str(path), {"a": np.ones(2)})

    class Full:
        def __array__(self, *_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(ComputationFault, match="No space left on device"):
        write_npz(str(path), {"a": np.zeros(2), "b": Full()})  # type: ignore[dict-item]
    with np.load(path) as found:
        np.testing.assert_array_equal(found["a"], np.ones(2))
    assert os.listdir(tmp_path) == ["a.npz"]


def test_written_files_have_ordinary_rights(tmp_path: Path):
    path = tmp_path / "a.npz"
    old = os.umask(0o027)
    try:
        write_npz(str(path), {"a": np.ones(2)})
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_in_place_of_a_folder(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageFault, match="Not a directory"):
        check_writable(str(tmp_path / "file" / "a.npz"))


def test_texts_are_read_with_their_line_ends(tmp_path: Path):
    path = tmp_path / "a.nx"
    path.write_bytes(b"\xef\xbb\xbfvector x\r\n")
    assert read_source(str(path)).text == "vector x\r\n"
    write_text(str(path), "vector µ\r\n")
    assert path.read_bytes() == "vector µ\r\n".encode()


def test_the_largest_text(tmp_path: Path):
    path = tmp_path / "a.nx"
    path.write_bytes(b"#" * MAX_TEXT_BYTES)
    assert len(read_source(str(path)).text) == MAX_TEXT_BYTES
    path.write_bytes(b"#" * (MAX_TEXT_BYTES + 1))
    with pytest.raises(SizeFault, match=r"more than 1 MB"):
        read_source(str(path))


def test_a_pipe_is_a_program_file():
    reader, writer = os.pipe()
    os.write(writer, b"vector x\n")
    os.close(writer)
    try:
        assert read_source(f"/dev/fd/{reader}").text == "vector x\n"
    finally:
        os.close(reader)


def test_a_path_that_cannot_be():
    with pytest.raises(NexortError, match="null"):
        read_source("a\0b")

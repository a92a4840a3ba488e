"""Files in and out: program texts are read within a bound, results are written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import IO

import numpy as np
from numpy.typing import NDArray

from nexort.errors import ComputationFault, NexortError, SizeFault, SyntaxFault, UsageFault
from nexort.source import Source

MAX_TEXT_BYTES = 1_000_000
"""The parser works through about 40 kB a second; a longer text is refused before it is read."""


def read_source(path: str) -> Source:
    """The program text at `path`, UTF-8 (a byte order mark is dropped). Raises NexortError."""
    return Source(path, _decode(path, _read_bounded(path)))


def _read_bounded(path: str) -> bytes:
    try:
        with open(path, "rb") as handle:
            size = os.fstat(handle.fileno()).st_size
            # a pipe or a device has size 0, hence the bound on what is read as well
            content = b"" if size > MAX_TEXT_BYTES else handle.read(MAX_TEXT_BYTES + 1)
    except IsADirectoryError:
        raise NexortError(f"{path} is a directory, not a program", hint="name a .nx file in it") from None
    except OSError as error:
        raise NexortError(f"cannot read {path}: {_reason(error)}") from None
    except ValueError as error:  # a null character in the path
        raise NexortError(f"cannot read {path!r}: {error}") from None
    size = max(size, len(content))
    if size > MAX_TEXT_BYTES:
        at_least = f"{size / 1e6:.1f} MB" if size > MAX_TEXT_BYTES + 1 else "more than 1 MB"
        raise SizeFault(f"{path} is too large: {at_least}, where at most 1 MB is a program")
    return content


def _decode(path: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{error.object[error.start]:02x} in line {line}"
        raise SyntaxFault(f"{path}:{line}: not UTF-8: {found}", hint="save the file as UTF-8") from None


def check_writable(path: str, inputs: Iterable[str] = ()) -> None:
    """Raises UsageFault if `path` is known, before the work, not to take a result file.

    `inputs` are files that the work reads and that must not be overwritten by it.
    """
    if os.path.isdir(path) or not os.path.basename(path):
        raise UsageFault(f"cannot write {path!r}: it is a directory")
    for other in inputs:
        if os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other):
            raise UsageFault(f"cannot write {path!r}: it is an input of this computation")
    try:
        _probe(path)
    except OSError as error:
        raise UsageFault(f"cannot write {path!r}: {_reason(error)}") from None


def _probe(path: str) -> None:
    """Does what a write would do, and leaves nothing behind."""
    if os.path.exists(path) and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if _is_special(path):
        return
    with suppress(FileNotFoundError):
        os.stat(path)
    temporary = _temporary(path)
    with open(temporary, "xb"):
        pass
    os.unlink(temporary)


def write_npz(path: str, arrays: Mapping[str, NDArray[np.float64]]) -> None:
    """Writes arrays as `numpy.savez` does, under any names (also `file`). Raises ComputationFault."""

    def write(handle: IO[bytes]) -> None:
        with zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)

    _write(path, write)


def write_text(path: str, text: str) -> None:
    """Replaces the file by the text, UTF-8, with its line ends as they are. Raises ComputationFault."""
    _write(path, lambda handle: handle.write(text.encode("utf-8")))


def _write(path: str, write: Callable[[IO[bytes]], object]) -> None:
    try:
        if _is_special(path):
            with open(path, "wb") as handle:
                write(handle)
        else:
            _replace(os.path.realpath(path), write)
    except OSError as error:
        raise ComputationFault(f"cannot write {path!r}: {_reason(error)}") from None


def _replace(path: str, write: Callable[[IO[bytes]], object]) -> None:
    """A temporary file in the same folder takes the place of `path` once it is complete."""
    temporary = _temporary(path)
    try:
        with open(temporary, "xb") as handle:
            write(handle)
            handle.flush()
            os.fsync(handle.fileno())
        if os.path.exists(path):
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _temporary(path: str) -> str:
    return os.path.join(os.path.dirname(os.path.realpath(path)), f".nexort-{secrets.token_hex(6)}.tmp")


def _is_special(path: str) -> bool:
    """Whether the path is a device or a pipe, which is written to and never replaced."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def _reason(error: OSError) -> str:
    return error.strerror or str(error)

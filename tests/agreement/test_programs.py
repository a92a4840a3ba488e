"""Every shipped program gives the same numbers in the engine and in the naive evaluator."""

from pathlib import Path

import numpy as np
import pytest

from agreement.engines import PROGRAMS, both

SMALL = {"adam_mup": {"M": 104, "T": 3}, "signsgd_written_out": {"M": 104, "T": 3}}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
@pytest.mark.parametrize("n", [1, 6, 17])
def test_engine_equals_naive_evaluator(path: Path, n: int) -> None:
    params = SMALL.get(path.stem, {})
    engine, naive = both(path.read_text(), n, params=params, name=str(path))
    assert engine.keys() == naive.keys()
    for name, value in naive.items():
        scale = max(1.0, float(np.abs(value).max()))
        np.testing.assert_allclose(engine[name], value, rtol=0, atol=1e-10 * scale, err_msg=name)

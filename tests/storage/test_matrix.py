"""NumPy is an extra."""

from __future__ import annotations

import sys

import pytest

from app.core.embeddings import to_vector
from app.storage.matrix import empty_matrix, numpy_problem


def test_without_numpy_somebody_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert numpy_problem() is None
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert "pip install 'palaver[semantic]'" in (numpy_problem() or "")


def test_in_an_empty_matrix_nothing_is_near() -> None:
    assert empty_matrix(8).nearest(to_vector([1.0, 0.0]), 5) == []


def test_a_vector_of_nothing_is_near_to_nothing() -> None:
    matrix = empty_matrix(8).with_rows([], [(1, to_vector([0.0, 0.0])), (2, to_vector([3.0, 0.0]))])
    assert matrix.nearest(to_vector([1.0, 0.0]), 5) == [(2, 1.0), (1, 0.0)]
    assert matrix.nearest(to_vector([0.0, 0.0]), 1)[0][1] == 0.0

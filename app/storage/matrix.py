"""Vectors in memory as one matrix, and the nearest of them by cosine: exact, and at once for tens of thousands.

NumPy does the work. It is an extra, and imported when there is something to compare.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from app.core.embeddings import Vector

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray


def numpy_problem() -> str | None:
    """What to do where NumPy is missing."""
    if importlib.util.find_spec("numpy") is not None:
        return None
    return (
        "Search by meaning needs NumPy, which is not installed: `make semantic` or pip install 'palaver[semantic]' "
        "adds it."
    )


class Matrix:
    """Vectors of one length, known by their numbers. Never changed: `with_rows` makes another."""

    def __init__(self, numbers: NDArray[numpy.int64], rows: NDArray[numpy.float32]) -> None:
        self._numbers = numbers
        self._rows = rows
        """Of length 1 each."""

    @property
    def numbers(self) -> frozenset[int]:
        return frozenset(self._numbers.tolist())

    def with_rows(self, kept: Iterable[int], added: Sequence[tuple[int, Vector]]) -> Matrix:
        """Of the rows here those whose number is among `kept`, and the added ones."""
        import numpy

        held = numpy.isin(self._numbers, numpy.fromiter(kept, numpy.int64))
        rows = numpy.empty((int(held.sum()) + len(added), self._rows.shape[1]), numpy.float32)
        rows[: len(rows) - len(added)] = self._rows[held]
        for place, (_, vector) in enumerate(added, len(rows) - len(added)):
            rows[place] = _of_length_one(vector)
        new = numpy.fromiter((number for number, _ in added), numpy.int64, len(added))
        return Matrix(numpy.concatenate([self._numbers[held], new]), rows)

    def nearest(self, query: Vector, count: int) -> list[tuple[int, float]]:
        """The numbers of the `count` nearest with their cosine, the nearest first."""
        import numpy

        if not len(self._numbers):
            return []
        scores = self._rows @ _of_length_one(query)
        count = min(count, len(scores))
        best = numpy.argpartition(scores, len(scores) - count)[len(scores) - count :]
        best = best[numpy.argsort(-scores[best], kind="stable")]
        return [(int(self._numbers[place]), float(scores[place])) for place in best]


def empty_matrix(vector_bytes: int) -> Matrix:
    import numpy

    return Matrix(numpy.empty(0, numpy.int64), numpy.empty((0, vector_bytes // 4), numpy.float32))


def _of_length_one(vector: Vector) -> NDArray[numpy.float32]:
    import numpy

    row = numpy.frombuffer(vector, "<f4").astype(numpy.float32)
    length = float(numpy.linalg.norm(row))
    return row / numpy.float32(length) if length > 0 else row

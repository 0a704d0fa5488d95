"""Sums a face, from which every figure and its interval come: faces are resampled, since their requests are alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .masks import average_precision

Key = tuple[str, ...]


class Cell(NamedTuple):
    """A figure, its 95 % bootstrap interval over faces (nan for fewer than two), and of how many values it is made."""

    value: float
    low: float
    high: float
    values: int

    def text(self, decimals: int = 3, sign: bool = False) -> str:
        """ "0.512 (0.471 to 0.550)"; without an interval where it has no width, a dash where nothing was measured."""
        if np.isnan(self.value):
            return "-"
        form = f"{'+' if sign else ''}.{decimals}f"
        if np.isnan(self.low) or self.low == self.high:
            return f"{self.value:{form}}"
        return f"{self.value:{form}} ({self.low:{form}} to {self.high:{form}})"


NOTHING = Cell(float("nan"), float("nan"), float("nan"), 0)


class Tally:
    """For each key and measure, a numerator and a denominator a face; a figure is the quotient of their sums."""

    def __init__(self, draws: int = 400, seed: int = 0) -> None:
        self.draws, self.seed = draws, seed
        self._sums: dict[tuple[Key, str], dict[str, NDArray[Any]]] = defaultdict(dict)
        self._counts: dict[tuple[Key, str], dict[str, NDArray[Any]]] = defaultdict(dict)

    def add(self, face: str, keys: Sequence[Key], measure: str, value: float | None, weight: float = 1.0) -> None:
        """One value under several keys; `weight` is its denominator and `value` its numerator. None is left out."""
        if value is None or weight == 0:
            return
        for key in keys:
            sums = self._sums[key, measure]
            sums[face] = sums.get(face, np.zeros(3)) + np.array([value, weight, 1.0])

    def add_counts(self, face: str, key: Key, measure: str, histogram: NDArray[Any]) -> None:
        """A face's counts for an average precision, see masks.counts."""
        counts = self._counts[key, measure]
        counts[face] = counts.get(face, np.zeros_like(histogram)) + histogram

    def under(self, *prefix: str) -> list[Key]:
        """Keys that begin so, in the order in which they came."""
        every = dict.fromkeys(k for k, _ in [*self._sums, *self._counts])
        return [k for k in every if k[: len(prefix)] == prefix]

    def cell(self, key: Key, measure: str) -> Cell:
        """Quotient of the sums."""
        return self.over([key], measure)

    def over(self, keys: Sequence[Key], measure: str) -> Cell:
        """Mean of several keys' quotients, so that large ones do not drown small ones; faces resampled together."""
        known = [self._sums[k, measure] for k in keys if (k, measure) in self._sums]
        return self._cell(known, _mean_quotient) if known else NOTHING

    def harmonic(self, key: Key, first: str, second: str) -> Cell:
        """Harmonic mean of two measures of one key, 0 where either is."""
        if any((key, m) not in self._sums for m in (first, second)):
            return NOTHING
        return self._cell([self._sums[key, first], self._sums[key, second]], _harmonic)

    def _cell(self, rows: list[dict[str, NDArray[Any]]], figure: Callable[[NDArray[Any]], float]) -> Cell:
        """A figure of the summed (K, 2) numerators and denominators, faces resampled."""
        faces = list(dict.fromkeys(face for own in rows for face in own))
        table = np.zeros((len(rows), len(faces), 2))
        for k, own in enumerate(rows):
            for f, face in enumerate(faces):
                table[k, f] = own[face][:2] if face in own else 0
        drawn = [figure(table[:, some].sum(1)) for some in self._resampled(len(faces))]
        return Cell(figure(table.sum(1)), *interval(drawn), int(sum(v[2] for own in rows for v in own.values())))

    def precision(self, key: Key, measure: str) -> Cell:
        """Average precision of the added counts; `values` is the number of faces."""
        counts = self._counts.get((key, measure))
        if not counts:
            return NOTHING
        rows = np.stack(list(counts.values()))
        drawn = [average_precision(rows[some].sum(0)) for some in self._resampled(len(rows))]
        return Cell(float(average_precision(rows.sum(0))), *interval(drawn), len(rows))

    def _resampled(self, number: int) -> list[NDArray[np.int64]]:
        rng = np.random.default_rng(self.seed)
        return [rng.integers(0, number, number) for _ in range(self.draws)] if number > 1 else []


def _mean_quotient(sums: NDArray[Any]) -> float:
    """(K, 2) -> mean of numerator / denominator over those with a denominator; nan without any."""
    known = sums[:, 1] != 0
    return float((sums[known, 0] / sums[known, 1]).mean()) if known.any() else float("nan")


def _harmonic(sums: NDArray[Any]) -> float:
    if (sums[:, 1] == 0).any():
        return float("nan")
    a, b = (sums[:, 0] / sums[:, 1]).tolist()
    return 2 * a * b / (a + b) if a + b > 0 else 0.0


def interval(drawn: Sequence[Any]) -> tuple[float, float]:
    """95 % percentile interval of resampled figures; (nan, nan) without any."""
    known = [float(v) for v in drawn if not np.isnan(v)]
    if not known:
        return float("nan"), float("nan")
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)

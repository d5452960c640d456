"""Agreement of maps against textbook values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from camviewer.evaluation.agreement import peak_distance, pearson, ranks, region_overlap, spearman


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def test_pearson_by_hand() -> None:
    # Deviations (-1.5 -.5 .5 1.5) and (-1.75 -.75 .25 2.25): 6.5 / sqrt(5 * 8.75).
    assert pearson(row(1, 2, 3, 4), row(0, 1, 2, 4)) == pytest.approx(6.5 / math.sqrt(5 * 8.75))
    values = np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32)
    assert pearson(values, 3 * values - 2) == pytest.approx(1)
    assert pearson(values, -values) == pytest.approx(-1)
    assert math.isnan(pearson(values, np.ones_like(values)))


def test_spearman_by_hand() -> None:
    np.testing.assert_allclose(ranks(row(10, 20, 20, 5)), [2, 3.5, 3.5, 1])
    # No ties: 1 - 6 * sum(d^2) / (n (n^2 - 1)) with d = (1, -1, 0, 0).
    assert spearman(row(1, 2, 3, 4), row(2, 1, 3, 40)) == pytest.approx(1 - 6 * 2 / (4 * 15))
    values = np.random.default_rng(0).normal(size=(7, 7)).astype(np.float32)
    assert spearman(values, np.exp(values)) == pytest.approx(1)


def test_region_overlap() -> None:
    first = np.arange(100, dtype=np.float32).reshape(10, 10)
    assert region_overlap(first, first) == 1
    assert region_overlap(first, first[::-1].copy()) == 0
    # The top 20 pixels of each; half of them shared.
    assert region_overlap(first, np.roll(first, -10)) == pytest.approx(10 / 30)


def test_peak_distance() -> None:
    first, second = np.zeros((2, 30, 40), np.float32)
    first[0, 0], second[3, 4] = 1, 1
    assert peak_distance(first, second) == pytest.approx(5 / 50)
    first[0, 8] = 1  # two maxima: their centroid lies at column 4
    assert peak_distance(first, second) == pytest.approx(3 / 50)


def test_shapes_have_to_agree() -> None:
    for measure in (pearson, spearman, region_overlap, peak_distance):
        with pytest.raises(ValueError, match="maps of"):
            measure(np.ones((3, 4), np.float32), np.ones((4, 3), np.float32))

"""New classes from labels: what is told apart, what the background does to the map, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camviewer.errors import UsageError
from camviewer.training.few_labels import BACKGROUND, Labelled, fit_classes, margins, spread_borders
from camviewer.training.logistic import softmax

K = 12
SKIN, LESION = 0, 1
"""Features: 0 is skin, 1 is any lesion, 2.. tell kinds of lesions apart."""


def cell(rng, kind: int | None) -> np.ndarray:
    row = rng.uniform(0, 0.2, K)
    row[SKIN if kind is None else LESION] += 1
    if kind is not None:
        row[2 + kind] += 0.7
    return row


def pictures(count: int, seed: int = 0):
    """Whole features (a quarter lesion), border features, kinds, grids ``[K, 8, 8]`` and where the lesion is."""
    rng = np.random.default_rng(seed)
    grids = np.stack([[[cell(rng, None) for _ in range(8)] for _ in range(8)] for _ in range(count)])
    kinds = np.arange(count) % 3
    inside = np.zeros((count, 8, 8), bool)
    for number, kind in enumerate(kinds):
        y, x = rng.integers(1, 4, 2)
        inside[number, y : y + 4, x : x + 4] = True
        grids[number][inside[number]] = [cell(rng, kind) for _ in range(16)]
    ring = np.ones((8, 8), bool)
    ring[1:-1, 1:-1] = False
    grids = grids.astype(np.float32)
    return grids.mean((1, 2)), grids[:, ring].mean(1), kinds, grids.transpose(0, 3, 1, 2), inside


def labelled(whole, kinds) -> Labelled:
    names = tuple(f"kind {kind}" for kind in kinds)
    return Labelled(whole, names, np.arange(len(names)), np.zeros(len(names), bool))


def pointing(found, grids, kinds, inside) -> float:
    maps = np.einsum("nk,nkhw->nhw", found.weight[kinds], grids)
    return float(np.mean([mask.ravel()[m.argmax()] for m, mask in zip(maps, inside, strict=True)]))


def test_classes_are_told_apart_and_only_a_background_makes_the_map_point() -> None:
    whole, border, kinds, _, _ = pictures(15)
    test_whole, _, test_kinds, grids, inside = pictures(60, seed=9)
    found = fit_classes(labelled(whole, kinds), border)
    assert found.classes == ("kind 0", "kind 1", "kind 2", BACKGROUND)
    assert np.mean(found.probabilities(test_whole).argmax(1) == test_kinds) >= 0.9
    assert found.accuracy is not None
    assert found.accuracy >= 0.8
    assert found.counts == {"kind 0": 5, "kind 1": 5, "kind 2": 5, BACKGROUND: 0}
    # Not only the maximum: everything in the lesion lies above everything on the skin.
    maps = np.einsum("nk,nkhw->nhw", found.weight[test_kinds], grids)
    assert np.median(maps[inside]) > 0 > np.median(maps[~inside])
    assert pointing(found, grids, test_kinds, inside) == 1.0

    alike = fit_classes(labelled(whole[kinds == 0], kinds[kinds == 0]), border)  # one class beside the background
    assert alike.classes == ("kind 0", BACKGROUND)


def test_the_background_is_the_zero_of_the_scale_and_probabilities_stay() -> None:
    whole, border, kinds, _, _ = pictures(15)
    found = fit_classes(labelled(whole, kinds), border)
    assert not found.weight[-1].any()
    # Of labelled pictures none is taken for background, since nobody called a whole picture so.
    assert found.probabilities(whole)[:, -1].max() <= 0.1 + 1e-6
    assert found.probabilities(whole).sum(1) == pytest.approx(np.ones(15))
    rows = np.concatenate([whole, border])
    scores = rows.astype(float) @ found.weight.T.astype(float) + found.bias
    assert found.probabilities(rows) == pytest.approx(softmax(scores))


def test_a_whole_picture_of_the_background_is_taken_for_it() -> None:
    whole, border, kinds, _, _ = pictures(15)
    base = labelled(whole, kinds)
    rows = np.concatenate([whole, border[:5]])
    marks = Labelled(rows, (*base.names, *[BACKGROUND] * 5), np.arange(20), np.zeros(20, bool))
    found = fit_classes(marks, None)
    assert found.probabilities(border[5:]).argmax(1).tolist() == [3] * 10


def test_clicks_are_labels_too() -> None:
    _, _, kinds, grids, inside = pictures(6)
    rows = [grid[:, mask][:, 0] for grid, mask in zip(grids, inside, strict=True)]
    rows += [grid[:, ~mask][:, 0] for grid, mask in zip(grids, inside, strict=True)]
    names = (*[f"kind {kind}" for kind in kinds], *[BACKGROUND] * 6)
    found = fit_classes(Labelled(np.stack(rows), names, np.tile(np.arange(6), 2), np.ones(12, bool)))
    assert found.accuracy is None  # no whole picture has a label
    assert found.counts[BACKGROUND] == 6
    _, _, test_kinds, test_grids, test_inside = pictures(30, seed=5)
    assert pointing(found, test_grids, test_kinds, test_inside) >= 0.9


def test_the_estimate_is_honest() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(40, 60)).astype(np.float32)  # more features than pictures: anything can be learnt by heart
    names = tuple("ab"[i % 2] for i in range(40))
    found = fit_classes(Labelled(noise, names, np.arange(40), np.zeros(40, bool)))
    assert np.mean(found.probabilities(noise).argmax(1) == np.arange(40) % 2) == 1.0
    assert found.accuracy is not None
    assert 0.25 <= found.accuracy <= 0.75


def test_too_little_is_refused() -> None:
    rows = np.ones((2, 3), np.float32)
    for names in (("a", "a"), (BACKGROUND, BACKGROUND)):
        with pytest.raises(UsageError, match="two classes"):
            fit_classes(Labelled(rows, names, np.arange(2), np.zeros(2, bool)))


@given(st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1, max_size=8))
def test_margins(rows: list[list[float]]) -> None:
    p = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    for row, found in zip(p, margins(p), strict=True):
        first, second = sorted(row, reverse=True)[:2]
        assert found == pytest.approx(first - second)


@given(st.integers(1, 500), st.lists(st.integers(0, 499), max_size=20))
def test_borders_of_marked_pictures_come_first(count: int, marked: list[int]) -> None:
    marked = [m for m in marked if m < count]
    rows = spread_borders(np.arange(count, dtype=np.float32)[:, None], marked)[:, 0].astype(int).tolist()
    assert rows[: len(set(marked))] == list(dict.fromkeys(marked))
    assert len(rows) == len(set(rows)) == min(count, 200)

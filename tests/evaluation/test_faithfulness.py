"""Faithfulness on a network simple enough to compute its curves by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from camviewer.evaluation.faithfulness import area, baseline, confidence, deletion_insertion, mask_input


def lit(X: Tensor) -> Tensor:
    """Probability of class 1 is the mean of the first channel's left half."""
    p = X[:, 0, :, : X.shape[-1] // 2].mean((1, 2))
    return torch.stack([1 - p, p], 1)


def test_confidence_by_hand() -> None:
    # Drops .25 and 0; one of two rises; gains 0 and (.9 - .5) / .5.
    found = confidence([0.8, 0.5], [0.6, 0.9])
    assert found.average_drop == pytest.approx((0.25 + 0) / 2)
    assert found.increase == 0.5
    assert found.average_gain == pytest.approx(0.8 / 2)
    assert confidence([0.0, 1.0], [0.0, 1.0]).average_drop == 0
    assert math.isnan(confidence([], []).increase)
    with pytest.raises(ValueError, match="probabilities"):
        confidence([5.0], [0.1])
    with pytest.raises(ValueError, match="whole"):
        confidence([0.5], [])


def test_curves_by_hand() -> None:
    X = torch.ones(1, 4, 4)
    ahead = torch.tensor([4.0, 3, 2, 1]).expand(4, 4)  # columns from left to right
    found = deletion_insertion(lit, X, ahead, 1, fill=torch.zeros_like(X), steps=4)
    assert found.deletion == pytest.approx((1, 0.5, 0, 0, 0))
    assert found.insertion == pytest.approx((0, 0.5, 1, 1, 1))
    assert found.deletion_auc == pytest.approx(0.25)
    assert found.insertion_auc == pytest.approx(0.75)
    behind = deletion_insertion(lit, X, -ahead, 1, fill=torch.zeros_like(X), steps=4)
    assert behind.deletion_auc == pytest.approx(0.75)
    assert behind.insertion_auc == pytest.approx(0.25)


def test_one_batch() -> None:
    sizes = []

    def counted(X: Tensor) -> Tensor:
        sizes.append(len(X))
        return lit(X)

    X = torch.rand(3, 8, 6)
    found = deletion_insertion(counted, X, torch.rand(8, 6), 1, fill=torch.zeros_like(X), steps=5)
    assert sizes == [10]
    assert found.deletion[0] == found.insertion[-1] == pytest.approx(float(lit(X[None])[0, 1]))
    assert found.deletion[-1] == found.insertion[0]
    with pytest.raises(ValueError, match="map of"):
        deletion_insertion(counted, X, torch.rand(6, 8), 1, fill=X)


def test_area() -> None:
    assert area([0, 1]) == 0.5
    assert area([1, 1, 0]) == 0.75


def test_mask_input() -> None:
    X = torch.full((2, 1, 3), 6.0)
    values = torch.tensor([[1.0, 2.0, 3.0]])
    torch.testing.assert_close(mask_input(X, values), torch.tensor([[[0.0, 3.0, 6.0]]] * 2))
    torch.testing.assert_close(mask_input(X, values, fill=torch.full_like(X, 2))[0], torch.tensor([[2.0, 4.0, 6.0]]))
    assert not mask_input(X, torch.ones(1, 3)).any()


def test_baselines() -> None:
    X = torch.rand(3, 20, 30)
    assert not baseline(X, "mean").any()
    black = baseline(X, "black", mean=(0.5, 0.4, 0.2), std=(0.25, 0.2, 0.1))
    torch.testing.assert_close(black[:, 0, 0], torch.tensor([-2.0, -2.0, -2.0]))
    framed = torch.zeros(1, 20, 30)
    framed[:, 2:18, 3:27] = 1
    assert not baseline(framed, "border").any()
    blurred = baseline(X, "blur")
    assert blurred.shape == X.shape
    assert blurred.std() < 0.2 * X.std()
    torch.testing.assert_close(baseline(torch.full((3, 9, 9), 0.7), "blur"), torch.full((3, 9, 9), 0.7))

"""The solver against its definition: an independent gradient is zero where it stops, with standardisation folded in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from camviewer.training.logistic import fit_logistic, minimise, softmax


def problem(rows: int, features: int, classes: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    centres = rng.normal(size=(classes, features)) * 0.7
    X = (rng.normal(size=(rows, features)) + centres[labels]) * rng.uniform(0.01, 100, features) + rng.normal(
        size=features
    )
    return X, labels, rng.uniform(0.2, 3, rows)


def by_torch(X, labels, shares, classes, penalty):
    """The same objective, standardised by hand and minimised by torch in all K dimensions."""
    w = torch.tensor(shares / shares.sum())
    values = torch.tensor(X)
    mean = (w[:, None] * values).sum(0)
    deviation = ((w[:, None] * (values - mean) ** 2).sum(0)).sqrt()
    Z = (values - mean) / deviation
    V = torch.zeros(classes, X.shape[1], dtype=torch.float64, requires_grad=True)
    c = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [V, c], max_iter=3000, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure():
        optimiser.zero_grad()
        log_p = (Z @ V.T + c).log_softmax(1)
        loss = -(w * log_p[range(len(labels)), labels]).sum() + penalty / 2 * (V**2).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    V, c = V.detach(), c.detach()
    return (Z @ V.T + c).softmax(1).numpy()


@pytest.mark.parametrize(("rows", "features"), [(24, 60), (90, 7)])
@pytest.mark.parametrize("penalty", [1e-2, 1e-1])
def test_it_finds_the_optimum_that_torch_finds(rows: int, features: int, penalty: float) -> None:
    X, labels, shares = problem(rows, features, 3)
    found = fit_logistic(X, labels, shares, classes=3, penalty=penalty)
    expected = by_torch(X, labels, shares, 3, penalty)
    assert np.abs(found.probabilities(X) - expected).max() < 1e-4


def test_a_feature_that_never_varies_has_no_weight() -> None:
    X, labels, shares = problem(12, 5, 2)
    X[:, 3] = 7.0
    assert not fit_logistic(X, labels, shares, classes=2).weight[:, 3].any()
    same = fit_logistic(np.ones((6, 4)), np.array([0, 1] * 3), np.ones(6), classes=2)
    assert softmax(np.ones(4) @ same.weight.T + same.bias) == pytest.approx([0.5, 0.5])


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 30), st.integers(2, 4))
@settings(deadline=None, max_examples=40)
def test_units_of_features_do_not_matter(seed: int, rows: int, features: int, classes: int) -> None:
    X, labels, shares = problem(max(rows, classes), features, classes, seed)
    scale = np.random.default_rng(seed + 1).uniform(0.1, 10, features)
    one = fit_logistic(X, labels, shares, classes=classes, penalty=0.1).probabilities(X)
    other = fit_logistic(X * scale + 3, labels, shares, classes=classes, penalty=0.1).probabilities(X * scale + 3)
    assert np.abs(one - other).max() < 1e-4


def test_minimise_on_a_valley() -> None:
    scales = np.array([1.0, 1000.0, 0.01])

    def loss(x):
        return float((scales * (x - 1) ** 2).sum()), 2 * scales * (x - 1)

    assert minimise(loss, np.zeros(3)) == pytest.approx(np.ones(3), abs=1e-3)

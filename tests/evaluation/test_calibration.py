"""One temperature: against a search over a grid, and what must hold for any logits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camviewer.errors import UsageError
from camviewer.evaluation.calibration import calibrate, calibration_error, fit_temperature, probabilities


def drawn(seed: int, *, images: int = 400, classes: int = 7, sharpness: float = 1.0):
    """Return logits and labels that are calibrated exactly at the temperature `sharpness`, in expectation."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(images, classes)) * 2
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(classes, p=row) for row in shares])
    return logits * sharpness, labels


def reference_nll(logits, labels, temperature: float) -> float:
    """Return the mean negative log-likelihood, one image after the other, by the definition."""
    total = 0.0
    for row, label in zip(logits, labels, strict=True):
        weights = [math.exp(value / temperature - max(row) / temperature) for value in row]
        total -= math.log(weights[label] / math.fsum(weights))
    return total / len(labels)


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_no_other_temperature_is_likelier(sharpness: float) -> None:
    logits, labels = drawn(1, sharpness=sharpness)
    found = fit_temperature(logits, labels)
    best = min(np.geomspace(found / 3, found * 3, 201), key=lambda t: reference_nll(logits, labels, t))
    assert found == pytest.approx(best, rel=0.012)  # the grid's own step
    for other in (found * 0.999, found * 1.001):
        assert reference_nll(logits, labels, found) < reference_nll(logits, labels, other)


def test_a_network_that_was_sharpened_is_found_out() -> None:
    logits, labels = drawn(2, images=4000, sharpness=2.5)
    found = calibrate(logits, labels)
    assert found.temperature == pytest.approx(2.5, rel=0.1)
    assert found.ece_before > 0.15
    assert found.ece_after < 0.03
    assert found.nll_after < found.nll_before
    assert found.nll_before == pytest.approx(reference_nll(logits, labels, 1.0), rel=1e-12)
    assert found.nll_after == pytest.approx(reference_nll(logits, labels, found.temperature), rel=1e-12)


def test_scaled_logits_have_a_scaled_temperature() -> None:
    logits, labels = drawn(3)
    assert fit_temperature(5 * logits, labels) == pytest.approx(5 * fit_temperature(logits, labels), rel=1e-9)


def test_a_network_that_is_always_right_stays_within_the_range() -> None:
    logits, _ = drawn(4, images=60)
    found = calibrate(logits, logits.argmax(axis=1))
    assert found.temperature == pytest.approx(1 / 50)
    assert found.accuracy == 1
    assert math.isfinite(found.nll_after)


def test_the_calibration_error_by_the_definition() -> None:
    rng = np.random.default_rng(5)
    confidence, right = rng.random(103), rng.random(103) < 0.4
    rows = sorted(zip(confidence, right, strict=True))
    parts, start = [], 0
    for part in range(10):  # the first three hold one more
        size = 11 if part < 3 else 10
        parts.append(rows[start : start + size])
        start += size
    assert start == 103
    gaps = [abs(math.fsum(c for c, _ in part) - sum(r for _, r in part)) for part in parts]
    assert calibration_error(confidence, right) == pytest.approx(math.fsum(gaps) / 103, rel=1e-12)


@given(st.integers(0, 10_000), st.integers(1, 30), st.floats(0.1, 20))
def test_laws(seed: int, images: int, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(images, 5)) * 10
    shares = probabilities(logits, temperature)
    assert np.allclose(shares.sum(axis=1), 1)
    assert np.array_equal(shares.argmax(axis=1), logits.argmax(axis=1))  # no decision changes
    assert np.allclose(shares, probabilities(logits + 1000, temperature), atol=1e-9)
    error = calibration_error(shares.max(axis=1), rng.random(images) < 0.5)
    assert 0 <= error <= 1


def test_what_cannot_be_calibrated_says_why() -> None:
    logits, labels = drawn(6, images=49)
    with pytest.raises(UsageError, match=r"49 images have a label that the model knows\. A temperature needs 50"):
        calibrate(logits, labels)
    logits, labels = drawn(6, images=60)
    with pytest.raises(UsageError, match="ends in a softmax of its own"):
        calibrate(probabilities(logits), labels)

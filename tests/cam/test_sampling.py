"""What approximate runs say of their agreement with the exact map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from probe import draw_pixels, probe_network

from camviewer.cam import sampling
from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.cam.scorecam import ScoreRun, Weighing
from camviewer.models.classifier import Classifier
from camviewer.models.records import ModelIdentity, Preprocessing

CLASSES = 3


def drawn_run(units: int, done: int) -> ScoreRun:
    generator = torch.Generator().manual_seed(1)
    A = torch.rand(units, 4, 5, generator=generator)
    logits = torch.randn(units, CLASSES, generator=generator)
    finished = torch.arange(units) < done
    return ScoreRun(A, logits, finished, torch.arange(done), torch.tensor([], dtype=torch.long))


def maps(run: ScoreRun, logits: np.ndarray, units: np.ndarray, targets: np.ndarray) -> np.ndarray:
    scores = logits[units] @ targets.T
    weights = np.exp(scores - scores.max(axis=0))
    return np.einsum("kt,kij->tij", weights / weights.sum(axis=0), run.A.numpy().astype(float)[units])


def correlations(a: np.ndarray, b: np.ndarray) -> list[float]:
    return [float(np.corrcoef(x.ravel(), y.ravel())[0, 1]) for x, y in zip(a, b, strict=True)]


def test_precision_agreement_is_the_lowest_correlation_of_the_sampled_units_maps() -> None:
    run = drawn_run(12, 12)
    units, targets = torch.tensor([0, 3, 5, 9]), torch.eye(CLASSES)[[0, 2]]
    exact = run.logits[units] + 0.4 * torch.randn(4, CLASSES, generator=torch.Generator().manual_seed(2))
    full = run.logits.numpy().astype(float).copy()
    full[units] = exact.numpy()
    expected = correlations(
        maps(run, run.logits.numpy().astype(float), units.numpy(), targets.numpy()),
        maps(run, full, units.numpy(), targets.numpy()),
    )
    found = sampling.precision_agreement(run, units, exact, targets, Weighing())
    assert found == pytest.approx(min(expected), abs=1e-6) and found < 0.999
    assert sampling.precision_agreement(run, units, run.logits[units], targets, Weighing()) == pytest.approx(1)


@pytest.mark.parametrize("variant", ["softmax", "probability"])
def test_completeness_with_every_unit_looked_at_is_the_correlation_with_the_whole_map(variant: str) -> None:
    run = drawn_run(10, 6)
    targets = torch.eye(CLASSES)
    rest = torch.arange(6, 10)
    found = sampling.completeness(run, rest, run.logits[rest], 4, targets, Weighing(variant))  # type: ignore[arg-type]
    A, logits = run.A.double().numpy(), run.logits.double()
    weights = (logits.exp() if variant == "softmax" else logits.softmax(1)).numpy()
    first, whole = (np.einsum("kt,kij->tij", weights[:n], A[:n]) for n in (6, 10))
    assert found == pytest.approx(correlations(first, whole), abs=1e-6)
    assert min(found) < 0.99


def test_units_are_spread_evenly() -> None:
    assert sampling.spread(torch.arange(10, 110), 5).tolist() == [10, 35, 60, 84, 109]
    assert sampling.spread(torch.arange(3), 5).tolist() == [0, 1, 2]


def test_maps_of_the_strongest_units_say_how_far_they_agree() -> None:
    network = probe_network("squeezenet1_1", side=96)
    owner = Classifier(
        network, identity=ModelIdentity("probe", "", "", ()), preprocessing=Preprocessing(input_size=(96, 96))
    )
    explainer = Explainer(owner)
    exact = explainer.explain(draw_pixels(3), MapRequest(("scorecam",), "top2"))
    strongest = MapRequest(("scorecam",), "top2", parameters={"scorecam": {"strongest": 96}})
    few = explainer.explain(draw_pixels(3), strongest, key=1)
    again = explainer.explain(draw_pixels(3), strongest, key=1)
    for m, n, o in zip(exact.maps, few.maps, again.maps, strict=True):
        (flag,) = [flag for flag in n.flags if flag.startswith("agrees about")]
        true = float(np.corrcoef(m.values.ravel(), n.values.ravel())[0, 1])
        assert float(flag.split()[2]) == pytest.approx(true, abs=0.05)
        assert n.flags == o.flags
        assert not any(flag.startswith("agrees") for flag in m.flags)

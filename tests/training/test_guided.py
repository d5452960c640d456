"""Guiding: cells and masks agree, the losses are their formulas, and a sticker that gives the class away is let go."""

from __future__ import annotations

import copy

import cv2
import numpy as np
import pytest
import torch
from drawn_skin import disc

from camviewer.cam.explainer import Explainer
from camviewer.cam.requests import MapRequest
from camviewer.errors import Cancelled, UsageError
from camviewer.evaluation.localisation import energy_inside
from camviewer.images.geometry import CellPositions, plan_input
from camviewer.models.camnet import camnet
from camviewer.models.classifier import Classifier
from camviewer.models.records import ModelIdentity, Preprocessing
from camviewer.training.guided import GuidedPictures, GuidedSettings, _Guiding, guide, mask_on_cells, mask_to_input
from camviewer.training.loop import LabelledPixels, fit
from camviewer.training.settings import Augmentation, TrainSettings

SIZE = (64, 48)
IDENTITY = ModelIdentity("camnet", "here", "", ("brown", "red"))


def pictures(count: int, seed: int, *, sticker: int | None):
    """Brown and red lesions; those of class `sticker` have a blue sticker beside the lesion."""
    rng = np.random.default_rng(seed)
    rows, masks = [], []
    labels = np.arange(count, dtype=np.int64) % 2
    for label in labels:
        mask = disc(SIZE, *rng.uniform(0.35, 0.65, 2), rng.uniform(0.14, 0.2))
        row = np.tile(np.array([224.0, 178, 158]) + rng.normal(0, 8, 3), (SIZE[1], SIZE[0], 1))
        row[mask] = np.array([120 + 40 * label, 72 - 8 * label, 60]) + rng.normal(0, 16, 3)
        if label == sticker:
            row[disc(SIZE, rng.choice([0.1, 0.9]), rng.choice([0.12, 0.88]), 0.07) & ~mask] = (40, 170, 200)
        row = cv2.GaussianBlur(row, (0, 0), 0.7) + rng.normal(0, 6, row.shape)
        rows.append(row.clip(0, 255).astype(np.uint8))
        masks.append(mask)
    return np.stack(rows), labels, np.stack(masks)


def classifier(network) -> Classifier:
    return Classifier(network, identity=IDENTITY, preprocessing=Preprocessing(input_size=SIZE))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def misled():
    """A network that learnt the sticker."""
    torch.manual_seed(0)
    network = camnet(2, width=8, features=16)
    settings = TrainSettings(
        epochs=8, learning_rate=1e-2, batch_size=16, input_size=SIZE, augmentation=Augmentation(crop=1, hide=0)
    )
    rows, labels, _ = pictures(200, 0, sticker=1)
    fit(network, LabelledPixels(rows, labels), settings, classes=2)
    return network.to(memory_format=torch.contiguous_format)


def looks(found: Classifier, *, sticker: int | None) -> tuple[float, float]:
    """Accuracy, and the mean share of the true class's map in the lesion."""
    explainer = Explainer(found)
    right, inside = [], []
    for row, label, mask in zip(*pictures(40, 9, sticker=sticker), strict=True):
        made = explainer.explain(row, MapRequest(methods=("cam",), classes=(int(label),)))
        assert made.identity_error < 1e-4
        right.append(made.scores[0].index == label)
        inside.append(energy_inside(made.maps[0].geometry.upsample(made.maps[0].values), mask))
    return float(np.mean(right)), float(np.nanmean(inside))


def test_it_looks_at_the_lesion_and_not_at_the_sticker(misled) -> None:
    before = classifier(copy.deepcopy(misled))
    assert looks(before, sticker=1)[0] == 1.0
    fooled, _ = looks(before, sticker=0)  # the sticker on the other class turns the answer over
    _, inside = looks(before, sticker=1)
    rows, labels, masks = (values[:40] for values in pictures(200, 0, sticker=1))
    after = classifier(copy.deepcopy(misled))
    reports = guide(after, GuidedPictures(rows, labels, masks, np.ones(40, bool)), GuidedSettings(epochs=10))
    assert [report.epoch for report in reports] == list(range(1, 11))
    assert reports[-1].mask_loss < reports[0].mask_loss
    accuracy, now_inside = looks(after, sticker=1)
    assert accuracy >= 0.9
    assert now_inside > 2 * inside
    assert looks(after, sticker=0)[0] > fooled + 0.4


def test_the_same_seed_gives_the_same_network_and_cancelling_stops(misled) -> None:
    rows, labels, masks = pictures(16, 3, sticker=1)
    data = GuidedPictures(rows, labels, masks, np.arange(16) < 8)
    networks = [copy.deepcopy(misled) for _ in range(2)]
    for network in networks:
        guide(classifier(network), data, GuidedSettings(epochs=1, batch_size=8, seed=4))
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(Cancelled):
        guide(classifier(copy.deepcopy(misled)), data, GuidedSettings(epochs=1), cancelled=lambda: True)
    with pytest.raises(UsageError, match="Review some masks"):
        guide(classifier(misled), GuidedPictures(rows, labels, masks, np.zeros(16, bool)), GuidedSettings())


def test_the_losses_are_their_formulas(misled) -> None:
    network = classifier(copy.deepcopy(misled))
    rows, labels, masks = pictures(6, 5, sticker=1)
    masked = np.array([True, False, True, True, False, True])
    settings = GuidedSettings(mask_weight=7.0, mining_weight=3.0)
    run = _Guiding(network, GuidedPictures(rows, labels, masks, masked), settings)
    run._changed = lambda index: (  # pictures as they are
        torch.from_numpy(rows[index]).permute(0, 3, 1, 2).float().div(255),
        torch.from_numpy(masks[index]).float(),
    )
    loss, sums = run.losses(np.arange(6))
    mean, std = (np.array(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    entropy, pixel, mining = [], [], []
    module = network.network
    for row, label, mask, has in zip(rows, labels, masks, masked, strict=True):
        X = torch.from_numpy((row.transpose(2, 0, 1) / 255 - mean) / std).float()[None]
        seen = []
        handle = module.last.register_forward_hook(lambda _m, _i, out, kept=seen: kept.append(out[0].detach()))
        with torch.no_grad():
            logits = module(X)[0].double()
            handle.remove()
            p = torch.softmax(logits, 0)
            entropy.append(-float(torch.log(p[label])))
            if not has:
                continue
            M = np.maximum(np.einsum("k,khw->hw", module.fc.weight[label].numpy(), seen[0].numpy()), 0)
            cells = [[mask[8 * y : 8 * y + 8, 8 * x : 8 * x + 8].mean() for x in range(8)] for y in range(6)]
            pixel.append(np.mean((M / M.max() - _shifted(mask, cells, run)) ** 2))
            left = torch.softmax(module(X * torch.from_numpy(~mask).float())[0], 0)[label]
            mining.append(max(0.0, float(left) - 0.5))
    assert sums[0] == pytest.approx(np.sum(entropy), rel=1e-4)
    assert sums[1] == pytest.approx(np.sum(pixel), rel=1e-3)
    assert sums[2] == pytest.approx(np.sum(mining), rel=1e-3, abs=1e-5)
    assert sums[3:].tolist() == [6, 4, 4]
    expected = np.mean(entropy) + 7 * np.mean(pixel) + 3 * np.mean(mining)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-3)


def _shifted(mask: np.ndarray, cells, run: _Guiding) -> np.ndarray:
    """Return the share of each cell in the mask by its measured centre, one cell at a time."""
    (x0, y0), (dx, dy) = run._tap.positions.start, run._tap.positions.step
    result = np.zeros((len(cells), len(cells[0])))
    for row in range(result.shape[0]):
        for column in range(result.shape[1]):
            left, top = x0 + 0.5 + dx * column - dx / 2, y0 + 0.5 + dy * row - dy / 2
            xs = slice(int(max(0, np.round(left))), int(min(SIZE[0], np.round(left + dx))))
            ys = slice(int(max(0, np.round(top))), int(min(SIZE[1], np.round(top + dy))))
            result[row, column] = mask[ys, xs].mean()
    return result


def test_masks_on_cells() -> None:
    mask = torch.zeros(1, 16, 24)
    mask[0, 4:8, 8:20] = 1
    even = mask_on_cells(mask, (6, 4), None)[0].numpy()
    assert even.tolist() == mask[0].reshape(4, 4, 6, 4).mean((1, 3)).tolist()
    placed = mask_on_cells(mask, (6, 4), CellPositions((1.5, 1.5), (4, 4)))[0].numpy()
    assert placed == pytest.approx(even)
    moved = mask_on_cells(mask, (2, 1), CellPositions((9.5, 5.5), (12, 4)))[0].numpy()
    assert moved == pytest.approx(np.array([[8 / 12, 4 / 8]]))  # a cell counts as far as it lies in the picture


@pytest.mark.parametrize("mode", ["squash", "letterbox", "model", "native"])
def test_a_mask_lies_on_the_input_where_its_image_does(mode: str) -> None:
    plan = plan_input((60, 30), mode=mode, input_size=(40, 40), resize_size=44)
    mask = np.zeros((30, 60), bool)
    mask[10:20, 20:40] = True
    found = mask_to_input(mask, plan)
    assert found.shape == (plan.input_size[1], plan.input_size[0])
    (x0, y0), (x1, y1) = (plan.input_to_image.inverse()(*corner) for corner in ((20, 10), (40, 20)))
    rows, columns = np.nonzero(found)
    assert (columns.min(), rows.min()) == pytest.approx((max(0, x0), max(0, y0)), abs=1)
    limits = plan.input_size
    assert (columns.max() + 1, rows.max() + 1) == pytest.approx((min(limits[0], x1), min(limits[1], y1)), abs=1)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": 2.0}, {"mask_weight": -1.0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        GuidedSettings(**wrong)

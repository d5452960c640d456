"""Mosaics in training: what is joined, what a tile scores, and what the loss asks of the scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from camviewer.models.camnet import camnet
from camviewer.training.loop import LabelledPixels, fit
from camviewer.training.mosaics import TILES, cells_of, join_tiles, mosaic_loss, tile_scores
from camviewer.training.settings import PLAIN, TrainSettings


def flat_pictures(count: int, height: int, width: int) -> torch.Tensor:
    """Picture i has the value i everywhere."""
    return torch.arange(count, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(count, 3, height, width).clone()


@given(st.integers(4, 40), st.integers(4, 40), st.integers(4, 9), st.integers(0, 5), st.integers(0, 2**31))
def test_each_tile_shows_the_picture_of_its_class(
    height: int, width: int, pictures: int, count: int, seed: int
) -> None:
    labels = torch.arange(pictures) + 10
    joined, tiles = join_tiles(
        flat_pictures(pictures, height, width), labels, count, torch.Generator().manual_seed(seed)
    )
    assert joined.shape == (count, 3, height, width)
    assert tiles.shape == (count, TILES)
    for mosaic, classes in zip(joined, tiles, strict=True):
        assert len(set(classes.tolist())) == TILES  # four different pictures
        corners = [mosaic[0, 0, 0], mosaic[0, 0, -1], mosaic[0, -1, 0], mosaic[0, -1, -1]]
        assert [round(float(value)) + 10 for value in corners] == classes.tolist()


def test_the_same_state_joins_the_same_pictures() -> None:
    batch, labels = flat_pictures(8, 8, 8), torch.arange(8)
    one, other = (join_tiles(batch, labels, 6, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])


@pytest.mark.parametrize("head", ["gap", "gmp"])
def test_a_tile_scores_what_its_own_cells_score(head: str) -> None:
    torch.manual_seed(0)
    network = camnet(3, head=head, width=4, features=8).eval()
    with torch.no_grad(), cells_of(network) as seen:
        whole = network(torch.randn(2, 3, 48, 64))
        scores = tile_scores(network, seen[0])
    cells = seen[0].double().numpy()
    assert cells.shape[2:] == (6, 8)
    weight, bias = network.fc.weight.detach().double().numpy(), network.fc.bias.detach().double().numpy()
    for tile in range(TILES):
        top, left = 3 * (tile // 2), 4 * (tile % 2)
        part = cells[:, :, top : top + 3, left : left + 4]
        pooled = part.mean((2, 3)) if head == "gap" else part.max((2, 3))
        np.testing.assert_allclose(scores[:, tile].numpy(), pooled @ weight.T + bias, atol=1e-5)
    if head == "gap":  # the mean over equal parts is the mean over all: tiles and picture share one scale
        torch.testing.assert_close(scores.mean(1), whole)
    assert not network.pool._forward_pre_hooks


def test_odd_cells_share_the_middle() -> None:
    torch.manual_seed(0)
    network = camnet(2, width=4, features=8).eval()
    cells = torch.zeros(1, 8, 5, 5)
    cells[:, :, 2, 2] = 1
    with torch.no_grad():
        scores = tile_scores(network, cells)
    for tile in range(1, TILES):
        torch.testing.assert_close(scores[:, tile], scores[:, 0])
    assert not torch.equal(scores[0, 0], network.fc.bias)


def test_the_loss_is_both_cross_entropies_by_hand() -> None:
    rng = np.random.default_rng(0)
    scores, labels, weights = rng.normal(0, 2, (3, TILES, 4)), rng.integers(0, 4, (3, TILES)), rng.uniform(0.5, 2, 4)
    labels[0] = (0, 0, 1, 2)  # two tiles of one class: neither is asked to beat the other
    total, mass = 0.0, 0.0
    for one, classes in zip(scores, labels, strict=True):
        for tile, label in enumerate(classes):
            what = math.log(sum(math.exp(value) for value in one[tile])) - one[tile][label]
            rivals = [other for other in range(TILES) if other == tile or classes[other] != label]
            where = math.log(sum(math.exp(one[other][label]) for other in rivals)) - one[tile][label]
            total += weights[label] * (what + where) / 2
            mass += weights[label]
    found = mosaic_loss(torch.from_numpy(scores), torch.from_numpy(labels), torch.from_numpy(weights), smoothing=0.0)
    assert float(found) == pytest.approx(total / mass, rel=1e-9)


def test_a_mosaic_of_one_class_has_a_gradient() -> None:
    scores = torch.zeros(1, TILES, 3, requires_grad=True)
    mosaic_loss(scores, torch.ones(1, TILES, dtype=torch.int64), torch.ones(3), 0.1).backward()
    assert torch.isfinite(scores.grad).all()
    assert (scores.grad[0, :, 1] < 0).all()


def test_a_trained_network_finds_each_class_in_its_own_tile() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(64, dtype=np.int64) % 2
    pixels = rng.integers(0, 40, (64, 32, 32, 3)).astype(np.uint8)
    pixels[labels == 0] += 120
    settings = TrainSettings(
        epochs=6, batch_size=16, learning_rate=1e-2, input_size=(32, 32), augmentation=PLAIN, mosaics=0.5
    )
    torch.manual_seed(0)
    network = camnet(2, width=4, features=8)
    fit(network, LabelledPixels(pixels, labels), settings, classes=2)

    values = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    joined, tiles = join_tiles(values, torch.from_numpy(labels), 40, torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(row).reshape(-1, 1, 1) for row in (settings.mean, settings.std))
    with torch.no_grad(), cells_of(network) as seen:
        network((joined - mean) / std)
        scores = tile_scores(network, seen[0])
    for own, classes in zip(scores, tiles, strict=True):
        for label in set(classes.tolist()) if len(set(classes.tolist())) > 1 else ():
            assert int(classes[own[:, label].argmax()]) == label

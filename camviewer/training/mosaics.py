"""Pictures side by side in training, each of which has to be recognised in its own place.

A pooled score says what is in a picture, not where: a network that learns from whole pictures alone may find the
evidence for an object beside it. In a mosaic of four pictures the place of each class is known from the labels, without
a mask. The cells of each tile are pooled by themselves and judged twice: which class does this tile hold, and which
tile holds this class. The class layer is the network's own, so its class activation maps are what is trained. Joining
labelled pictures for places is from CutMix (Yun et al., arXiv 1905.04899); finding a class among the tiles is what the
grid pointing game asks (Boehle et al., arXiv 2104.00032).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

TILES = 4


def join_tiles(batch: Tensor, labels: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return mosaics of two by two pictures of `batch`, each at half its size.

    Args:
        batch: values ``[N, C, h, w]``, four pictures or more.
        labels: class indices ``[N]``.
        count: of mosaics.
        generator: on the CPU; draws which pictures.

    Returns:
        Mosaics ``[count, C, h, w]`` (the last row and column of an odd size repeated) and the classes of their tiles,
        row by row, ``[count, 4]``.
    """
    height, width = batch.shape[2:]
    small = F.interpolate(batch, (-(-height // 2), -(-width // 2)), mode="bilinear", antialias=True)
    drawn = [torch.randperm(len(batch), generator=generator)[:TILES] for _ in range(count)]
    chosen = torch.stack(drawn) if drawn else torch.empty((0, TILES), dtype=torch.int64)
    tiles = small[chosen]
    rows = [torch.cat([tiles[:, left], tiles[:, left + 1]], 3) for left in (0, 2)]
    return torch.cat(rows, 2)[:, :, :height, :width], labels[chosen]


@contextmanager
def cells_of(network: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what the pooling of `network` receives, ``[N, K, h, w]`` for each pass."""
    seen: list[Tensor] = []
    pool = network.get_submodule("pool")
    handle = pool.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    try:
        yield seen
    finally:
        handle.remove()


def tile_scores(network: nn.Module, cells: Tensor) -> Tensor:
    """Return the class scores of each tile by itself, ``[N, 4, C]``, from the cells ``[N, K, h, w]`` of mosaics.

    Where the cells cannot be halved, the middle ones count for both sides.
    """
    pool, fc = network.get_submodule("pool"), network.get_submodule("fc")
    height, width = (-(-side // 2) for side in cells.shape[2:])
    pooled = [
        pool(part).flatten(1) for rows in (cells[:, :, :height], cells[:, :, -height:]) for part in _halves(rows, width)
    ]
    scores: Tensor = fc(torch.stack(pooled, 1))
    return scores


def _halves(rows: Tensor, width: int) -> tuple[Tensor, Tensor]:
    return rows[..., :width], rows[..., -width:]


def mosaic_loss(scores: Tensor, labels: Tensor, weights: Tensor, smoothing: float) -> Tensor:
    """Return the mean of two cross-entropies: over the classes of a tile, and over the tiles of a class.

    A tile that holds the same class as another one is not what that one is told apart from.

    Args:
        scores: ``[N, 4, C]``.
        labels: class of each tile, ``[N, 4]``.
        weights: of the classes, ``[C]``.
        smoothing: share of the targets of the first one spread over all classes.
    """
    count, tiles, classes = scores.shape
    share = weights[labels].flatten()
    what = F.cross_entropy(scores.reshape(-1, classes), labels.flatten(), reduction="none", label_smoothing=smoothing)
    # [mosaic, tile that is asked, tile that is meant]: how much a tile speaks for the class of another one.
    among = scores.gather(2, labels[:, None, :].expand(-1, tiles, -1))
    same = (labels[:, :, None] == labels[:, None, :]) & ~torch.eye(tiles, dtype=torch.bool, device=labels.device)
    among = among.masked_fill(same, -torch.inf)
    meant = torch.arange(tiles, device=labels.device).expand(count, -1)
    where = F.cross_entropy(among, meant, reduction="none").flatten()
    return ((what + where) * share).sum() / share.sum() / 2

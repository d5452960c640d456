"""Guided fine-tuning: masks tell a network where to look (Li et al., Tell Me Where to Look, arXiv 1802.10171).

With ``A^c = relu(M_c) / max relu(M_c)``, the class activation map of the picture's class on its cells, three losses are
added up:

* classification, the cross-entropy, all pictures alike: weights by class let the few of a rare one spoil the rest;
* pixel supervision (section 3.3 of the paper, "extended"): ``mean((A^c - H)^2)`` against the mask H, on the cells of
  pictures that have one;
* attention mining (section 3.2): the probability of the class must fall to chance when what the map shows is taken out
  of the picture, ``I* = I - T * I`` with ``T = sigmoid(sharpness * (A^c - level))``. Where there is a mask, the mask
  is taken out in place of the map: a network that is still sure without the object looks at something else, a ruler.

The paper's Grad-CAM equals the class activation map up to a factor behind the pooling heads that are allowed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from camviewer.cam.taps import tap
from camviewer.errors import Cancelled, UsageError
from camviewer.images.geometry import CellPositions, InputPlan
from camviewer.models.classifier import Classifier, Tap
from camviewer.models.layout import to_grid
from camviewer.training.augment import augment
from camviewer.training.settings import Augmentation

Pixels = NDArray[np.uint8]
BoolMask = NDArray[np.bool_]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GuidedSettings:
    """How to guide.

    Attributes:
        epochs, batch_size: passes over the pictures, and pictures in a step.
        learning_rate: of AdamW, falling along a cosine.
        mask_weight: of the pixel supervision; 10 in the paper.
        mining_weight: of the attention mining; 1 in the paper.
        mine_without_mask: whether pictures without a mask are mined by their map, as the paper does. It makes a map
            cover everything that speaks for the class, a ruler too, so it is off here.
        sharpness, level: of the soft mask T.
        seed: of order and changes.
    """

    epochs: int = 12
    batch_size: int = 16
    learning_rate: float = 1e-3
    mask_weight: float = 10.0
    mining_weight: float = 1.0
    mine_without_mask: bool = False
    sharpness: float = 10.0
    level: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or not 0 < self.learning_rate < 1:
            raise UsageError("Guiding needs at least one epoch and one image, and a learning rate between 0 and 1.")
        if self.mask_weight < 0 or self.mining_weight < 0:
            raise UsageError("The weights of mask and mining must not be negative.")


@dataclass(frozen=True, slots=True, eq=False)
class GuidedPictures:
    """What a network is guided by, in memory at its input size.

    Attributes:
        pixels: ``[N, h, w, C]`` uint8.
        labels: class of each picture.
        masks: bool ``[N, h, w]``; only those with `masked` count.
        masked: which pictures have a mask.
    """

    pixels: Pixels
    labels: Labels
    masks: BoolMask
    masked: BoolMask

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class GuidedReport:
    """How guiding stands after an epoch, means over its pictures.

    Attributes:
        epoch: from 1.
        loss: cross-entropy.
        mask_loss: pixel supervision, over pictures with a mask.
        mining_loss: probability above chance that is left without the object.
        inside: share of the map's positive part in the mask.
    """

    epoch: int
    loss: float
    mask_loss: float
    mining_loss: float
    inside: float


def check_guidable(classifier: Classifier) -> None:
    """Refuse a network without class activation maps.

    Raises:
        UsageError: with the reason.
    """
    if classifier.head.kind == "none":
        raise UsageError(
            f"{classifier.identity.architecture} cannot be guided: {classifier.head.reason} Convert it first."
        )


def to_input(pixels: Pixels, classifier: Classifier) -> tuple[Pixels, InputPlan]:
    """Return a picture as the network sees it, uint8 ``[h, w, C]``, and how it got there."""
    X, plan = classifier.prepare(pixels)  # noqa: N806 - the field's own symbol
    mean, std = (torch.tensor(v).reshape(-1, 1, 1) for v in _normalisation(classifier))
    values = ((X[0] * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
    return values.permute(1, 2, 0).numpy(), plan


def mask_to_input(mask: BoolMask, plan: InputPlan) -> BoolMask:
    """Return a mask of the image as it lies on the network's input, bool ``[h, w]``."""
    resized = cv2.resize(mask.view(np.uint8), plan.resized, interpolation=cv2.INTER_NEAREST)
    width, height = plan.input_size
    left, top = plan.origin
    result = np.zeros((height, width), np.bool_)
    seen = resized[max(top, 0) : top + height, max(left, 0) : left + width] > 0
    y, x = max(-top, 0), max(-left, 0)
    result[y : y + seen.shape[0], x : x + seen.shape[1]] = seen
    return result


def guide(
    classifier: Classifier,
    pictures: GuidedPictures,
    settings: GuidedSettings,
    *,
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[GuidedReport], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[GuidedReport, ...]:
    """Train the network of `classifier` in place so that its maps lie on the masks.

    Batch norms keep their statistics: a few pictures would only spoil them. The same seed on the same CPU and thread
    count gives the same weights.

    Args:
        classifier: with a pooling head; its `head` holds the new weights afterwards.
        pictures: at least one with a mask.
        settings: how.
        on_step: is told how many steps are done, and of how many.
        on_epoch: is told how it stands after each epoch.
        cancelled: asked before each step.

    Raises:
        UsageError: without a mask, or for a network without class activation maps.
        Cancelled: when `cancelled` returned True; the network is then half trained.
    """
    check_guidable(classifier)
    if not pictures.masked.any():
        raise UsageError("No picture has a mask that could tell where to look. Review some masks first.")
    run = _Guiding(classifier, pictures, settings)
    network = classifier.network.requires_grad_(True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=0.0)
    batches = -(-len(pictures) // settings.batch_size)
    total = batches * settings.epochs
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, total)
    reports: list[GuidedReport] = []
    try:
        for epoch in range(1, settings.epochs + 1):
            sums = np.zeros(6)
            for step, index in enumerate(run.batches(epoch), start=1):
                if cancelled is not None and cancelled():
                    raise Cancelled
                optimiser.zero_grad(set_to_none=True)
                loss, figures = run.losses(index)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(network.parameters(), 5.0)
                optimiser.step()
                schedule.step()
                sums += figures
                if on_step is not None:
                    on_step((epoch - 1) * batches + step, total)
            counted = np.maximum(sums[3:], 1)
            reports.append(GuidedReport(epoch, *_floats(sums[:3] / counted), run.inside()))
            if not np.isfinite(sums).all():
                raise UsageError("The loss is no longer a number. Choose a smaller learning rate.")
            if on_epoch is not None:
                on_epoch(reports[-1])
    finally:
        network.requires_grad_(False)
        run.update_head()
    return tuple(reports)


class _Guiding:
    """Batches, maps and losses of one guiding."""

    def __init__(self, classifier: Classifier, pictures: GuidedPictures, settings: GuidedSettings) -> None:
        self._classifier = classifier
        self._pictures = pictures
        self._settings = settings
        height, width = pictures.pixels.shape[1:3]
        self._tap: Tap = classifier.tap(classifier.head.layer, input_size=(width, height))
        mean, std = _normalisation(classifier)
        self._mean, self._std = (torch.tensor(v).reshape(-1, 1, 1) for v in (mean, std))
        self._generator = torch.Generator()

    def batches(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Yield the indices of an epoch's batches."""
        self._generator.manual_seed(self._settings.seed * 100_003 + epoch)
        order = torch.randperm(len(self._pictures), generator=self._generator).numpy()
        size = self._settings.batch_size
        for start in range(0, len(order), size):
            yield order[start : start + size]

    def losses(self, index: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.float64]]:
        """Return the loss of a batch, and sums of its parts with what they were summed over."""
        settings, device = self._settings, self._classifier.device
        values, masks = self._changed(index)
        X = ((values - self._mean) / self._std).to(device)  # noqa: N806
        masks = masks.to(device)
        target = torch.from_numpy(self._pictures.labels[index]).to(device)
        masked = torch.from_numpy(self._pictures.masked[index]).to(device)
        logits, maps = self._maps(X, target)
        each = F.cross_entropy(logits, target, reduction="none")
        loss = each.mean()
        A = attention(maps)  # noqa: N806
        mask_sum = logits.new_zeros(())
        if masked.any():
            wanted = mask_on_cells(masks[masked], (A.shape[2], A.shape[1]), self._tap.positions)
            mask_sum = ((A[masked] - wanted) ** 2).mean((1, 2)).sum()
            loss = loss + settings.mask_weight * mask_sum / masked.sum()
        chosen = torch.ones_like(masked) if settings.mine_without_mask else masked
        mining_sum = logits.new_zeros(())
        if settings.mining_weight and chosen.any():
            soft = F.interpolate(A[:, None], X.shape[2:], mode="bilinear", align_corners=False)
            soft = torch.sigmoid(settings.sharpness * (soft - settings.level))
            taken = torch.where(masked[:, None, None, None], masks[:, None], soft)[chosen]
            left = self._classifier.logits(X[chosen] * (1 - taken)).float().softmax(1)
            mining_sum = (left.gather(1, target[chosen][:, None]) - 1 / left.shape[1]).relu().sum()
            loss = loss + settings.mining_weight * mining_sum / chosen.sum()
        sums = torch.stack([each.sum(), mask_sum, mining_sum, masked.sum().to(each), chosen.sum().to(each)])
        found: list[float] = sums.detach().cpu().tolist()
        return loss, np.array([*found[:3], len(index), *found[3:]])

    def inside(self) -> float:
        """Return the share of the maps' positive part in the masks, of pictures as they are."""
        shares = []
        for start in range(0, len(self._pictures), self._settings.batch_size):
            part = slice(start, start + self._settings.batch_size)
            keep = self._pictures.masked[part]
            if not keep.any():
                continue
            values = torch.from_numpy(self._pictures.pixels[part][keep]).permute(0, 3, 1, 2).float().div(255)
            X = ((values - self._mean) / self._std).to(self._classifier.device)  # noqa: N806
            target = torch.from_numpy(self._pictures.labels[part][keep]).to(self._classifier.device)
            with torch.no_grad():
                maps = self._maps(X, target)[1].relu()
                masks = torch.from_numpy(self._pictures.masks[part][keep]).float().to(maps.device)
                wanted = mask_on_cells(masks, (maps.shape[2], maps.shape[1]), self._tap.positions)
                total = maps.sum((1, 2))
                shares += ((maps * wanted).sum((1, 2)) / total.clamp_min(1e-12))[total > 0].tolist()
        return float(np.mean(shares)) if shares else 0.0

    def update_head(self) -> None:
        """Let the classifier's head hold the weights of now."""
        weight, bias = self._weights()
        old = self._classifier.head
        assert old.bias is not None
        held = bias.detach().float().clone() if bias is not None else old.bias
        self._classifier.head = replace(old, weight=weight.detach().float().clone(), bias=held)

    def _weights(self) -> tuple[Tensor, Tensor | None]:
        layer = self._classifier.network.get_submodule(self._classifier.head.class_layer)
        assert isinstance(layer, (nn.Linear, nn.Conv2d))
        return layer.weight.flatten(1), layer.bias

    def _maps(self, X: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:  # noqa: N803
        """Return logits ``[N, C]`` and the map of each picture's own class ``[N, h, w]``, both in the graph."""
        network, head = self._classifier.network, self._classifier.head
        with tap(network, [head.layer], gradients=True) as taps:
            logits = self._classifier.logits(X).float()
            grid = head.features(to_grid(taps[head.layer], self._tap.layout))
        weight = self._weights()[0]
        return logits, torch.einsum("nk,nkhw->nhw", weight[target], grid)

    def _changed(self, index: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return pictures in 0..1 and masks, flipped together and recoloured."""
        values = torch.from_numpy(self._pictures.pixels[index]).permute(0, 3, 1, 2).float().div(255)
        masks = torch.from_numpy(self._pictures.masks[index]).float()
        for axis in (1, 2):
            flipped = torch.rand(len(index), generator=self._generator) < 0.5
            values[flipped] = values[flipped].flip(axis + 1)
            masks[flipped] = masks[flipped].flip(axis)
        return augment(values, _RECOLOUR, self._generator), masks


def _floats(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


_RECOLOUR = Augmentation(flips=False, turns=False, crop=1.0, hide=0.0)


def attention(maps: Tensor) -> Tensor:
    """Return ``relu(M) / max relu(M)`` of maps ``[N, h, w]``; zero where nothing is positive."""
    positive = maps.relu()
    return positive / positive.amax((1, 2), keepdim=True).clamp_min(1e-6)


def mask_on_cells(masks: Tensor, size: tuple[int, int], positions: CellPositions | None) -> Tensor:
    """Return which share of each cell lies in the mask, ``[N, rows, columns]``.

    A cell is the rectangle of one step around its centre.

    Args:
        masks: 0..1, ``[N, h, w]`` at the input's size.
        size: (columns, rows) of the grid.
        positions: of the cells; the even grid when None.
    """
    columns, rows = size
    height, width = masks.shape[1:]
    if positions is None:
        return F.adaptive_avg_pool2d(masks[:, None], (rows, columns))[:, 0]
    # Summed from the corner, the content of any rectangle is four values of one table.
    table = F.pad(masks.cumsum(1).cumsum(2), (1, 0, 1, 0))

    def edges(start: float, step: float, count: int, limit: int) -> tuple[Tensor, Tensor]:
        centre = start + 0.5 + step * torch.arange(count)
        low, high = (centre - step / 2).round(), (centre + step / 2).round()
        low = low.clamp(0, limit - 1)
        return low.long(), torch.maximum(high.clamp(1, limit), low + 1).long()

    left, right = edges(positions.start[0], positions.step[0], columns, width)
    top, bottom = edges(positions.start[1], positions.step[1], rows, height)
    content = (
        table[:, bottom[:, None], right[None]]
        - table[:, top[:, None], right[None]]
        - table[:, bottom[:, None], left[None]]
        + table[:, top[:, None], left[None]]
    )
    area = ((bottom - top)[:, None] * (right - left)[None]).to(content)
    return content / area


def _normalisation(classifier: Classifier) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return classifier.preprocessing.mean, classifier.preprocessing.std

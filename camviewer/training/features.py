"""What the class layer of a network receives: pooled features of pictures, and those of single cells."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camviewer.cam.capture import run_pass
from camviewer.cam.grids import make_grid
from camviewer.cam.taps import cancellable
from camviewer.errors import Cancelled, ImageError
from camviewer.images.decode import read_image
from camviewer.images.geometry import Geometry
from camviewer.models.rehead import OpenNetwork
from camviewer.training.feature_cache import FeatureCache, PictureFeatures

Pixels = NDArray[np.uint8]
Vector = NDArray[np.float32]

BATCH = 8
RING = 0.1
"""Width of the border ring, as a share of the shorter side of the grid; at least one cell."""
GRID_BYTES = 64 * 2**20
"""Bound for the grids that are kept for clicks."""


@dataclass(frozen=True, slots=True, eq=False)
class GalleryFeatures:
    """Features of the pictures that could be read, in the order they were named.

    Attributes:
        paths: of the pictures.
        whole, border: ``[N, K]``, see `PictureFeatures`.
        failed: file and sentence of those that could not be read.
        computed: how many were not in the cache.
    """

    paths: tuple[Path, ...]
    whole: NDArray[np.float32]
    border: NDArray[np.float32]
    failed: tuple[tuple[Path, str], ...] = ()
    computed: int = 0


class FeatureReader:
    """Reads features with one network. Not thread-safe: the thread that owns the network calls it.

    Args:
        network: its class layer does not matter.
        cache: where features are kept; None keeps none.
    """

    def __init__(self, network: OpenNetwork, cache: FeatureCache | None = None) -> None:
        self._network = network
        self._cache = cache
        head, preprocessing = network.head, network.classifier.preprocessing
        said = repr((network.base, head.shown, head.kind, astuple(preprocessing)))
        self.space = hashlib.sha256(said.encode()).hexdigest()
        self._grids: OrderedDict[Path, tuple[tuple[int, int], NDArray[np.float16], Geometry]] = OrderedDict()

    def read(
        self,
        paths: Sequence[Path],
        *,
        on_image: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> GalleryFeatures:
        """Return the features of picture files; one that cannot be read is named in `failed`.

        Args:
            on_image: is told how many are done, and of how many.
            cancelled: asked between and inside passes.

        Raises:
            Cancelled: when `cancelled` returned True; what was computed before stays in the cache.
        """
        found: dict[Path, PictureFeatures] = {}
        failed: list[tuple[Path, str]] = []
        computed = 0
        for start in range(0, len(paths), BATCH):
            if cancelled is not None and cancelled():
                raise Cancelled
            contents: dict[Path, str] = {}
            for path in paths[start : start + BATCH]:
                try:
                    contents[path] = _content(path)
                except OSError as error:
                    failed.append((path, f"{path.name} cannot be read: {error.strerror or error}."))
            known = self._known(list(contents.values()))
            waiting: list[tuple[Path, Pixels]] = []
            for path, content in contents.items():
                if content in known:
                    found[path] = known[content]
                    continue
                try:
                    waiting.append((path, read_image(path)))
                except ImageError as error:
                    failed.append((path, error.message))
            fresh = dict(zip((path for path, _ in waiting), self._batch(waiting, cancelled), strict=True))
            found |= fresh
            computed += len(fresh)
            if self._cache is not None and fresh:
                self._cache.put(self.space, {contents[path]: row for path, row in fresh.items()})
            if on_image is not None:
                on_image(min(start + BATCH, len(paths)), len(paths))
        kept = tuple(dict.fromkeys(path for path in paths if path in found))
        nothing = np.zeros((0, self._network.width), np.float32)
        return GalleryFeatures(
            kept,
            np.stack([found[path].whole for path in kept]) if kept else nothing,
            np.stack([found[path].border for path in kept]) if kept else nothing,
            tuple(failed),
            computed,
        )

    def cell(self, path: Path, x: float, y: float) -> Vector:
        """Return the features ``[K]`` of the cell at an image point (pixel edges) of a picture.

        A point outside of what the network sees takes the nearest cell.

        Raises:
            ImageError: when the picture cannot be read.
        """
        status = path.stat() if path.exists() else None
        stamp = (status.st_mtime_ns, status.st_size) if status is not None else (0, 0)
        known = self._grids.get(path)
        if known is None or known[0] != stamp:
            pixels = read_image(path)
            grid, geometry = self._grid(pixels)
            known = (stamp, grid.cpu().half().numpy(), geometry)
            self._grids[path] = known
            while sum(entry[1].nbytes for entry in self._grids.values()) > GRID_BYTES and len(self._grids) > 1:
                self._grids.popitem(last=False)
        self._grids.move_to_end(path)
        _, values, geometry = known
        column, row = geometry.to_image.inverse()(x, y)
        rows, columns = values.shape[1:]
        place = (min(max(round(row), 0), rows - 1), min(max(round(column), 0), columns - 1))
        return values[:, place[0], place[1]].astype(np.float32)

    def _known(self, contents: Sequence[str]) -> dict[str, PictureFeatures]:
        found = self._cache.get(self.space, contents) if self._cache is not None else {}
        return {content: row for content, row in found.items() if row.whole.shape == (self._network.width,)}

    def _batch(
        self, pictures: Sequence[tuple[Path, Pixels]], cancelled: Callable[[], bool] | None
    ) -> list[PictureFeatures]:
        if not pictures:
            return []
        inputs = [self._network.classifier.prepare(pixels)[0] for _, pixels in pictures]
        if len({tuple(X.shape) for X in inputs}) > 1:  # `native` gives each picture its own size
            return [row for picture in pictures for row in self._batch([picture], cancelled)]
        grids = self._grids_of(torch.cat(inputs), cancelled)
        whole, border = self._pool(grids), self._border(grids)
        return [PictureFeatures(a, b) for a, b in zip(whole.cpu().numpy(), border.cpu().numpy(), strict=True)]

    def _grid(self, pixels: Pixels) -> tuple[Tensor, Geometry]:
        classifier = self._network.classifier
        X, plan = classifier.prepare(pixels)  # noqa: N806 - the field's own symbol
        A = self._grids_of(X, None)[0]  # noqa: N806
        tap = classifier.tap(self._network.head.layer, input_size=plan.input_size)
        grid = make_grid((A.shape[2], A.shape[1]), plan.input_size, tap.positions)
        return A, grid.geometry(plan)

    def _grids_of(self, X: Tensor, cancelled: Callable[[], bool] | None) -> Tensor:  # noqa: N803
        """Return what enters the pooling, ``[N, K, h, w]``."""
        classifier, head = self._network.classifier, self._network.head
        size = (int(X.shape[3]), int(X.shape[2]))
        layout = classifier.tap(head.layer, input_size=size).layout
        with cancellable(cancelled):
            _, found = run_pass(
                classifier.network,
                classifier.logits,
                X,
                {head.layer: layout},
                through=(),
                targets_of=lambda _index, _logits: (),
                sink=lambda *_: None,
                chunk_bytes=1,
            )
        return head.features(found[head.layer])

    def _pool(self, grids: Tensor) -> Tensor:
        return grids.amax((2, 3)) if self._network.head.kind == "gmp_linear" else grids.mean((2, 3))

    def _border(self, grids: Tensor) -> Tensor:
        rows, columns = grids.shape[2:]
        ring = torch.from_numpy(border_ring(rows, columns)).to(grids.device)
        cells = grids[:, :, ring]
        return cells.amax(2) if self._network.head.kind == "gmp_linear" else cells.mean(2)


def border_ring(rows: int, columns: int) -> NDArray[np.bool_]:
    """Return the outer ring of a grid of cells, bool ``[rows, columns]``."""
    wide = max(1, round(RING * min(rows, columns)))
    ring = np.ones((rows, columns), np.bool_)
    ring[wide : rows - wide, wide : columns - wide] = False
    return ring


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

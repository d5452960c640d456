"""Image files decoded ahead of their use, in a thread of its own, with a bound on how far ahead."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from camviewer.errors import CamviewerError, ImageError
from camviewer.images.decode import read_image

Pixels = NDArray[np.uint8]

log = logging.getLogger(__name__)


class Decoder:
    """Decodes `paths` in order. At most the images asked for and `ahead` more are held."""

    def __init__(self, paths: Sequence[Path], *, ahead: int) -> None:
        self._paths = paths
        self._ahead = ahead
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="decode")
        self._futures: dict[int, Future[Pixels | CamviewerError]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def take(self, first: int, count: int) -> list[Pixels | CamviewerError]:
        """Return the pixels, or the error, of `count` images from index `first` on, fewer at the end.

        The same images may be asked for again, as long as no later ones were.
        """
        last = min(first + count, len(self._paths))
        for index in [index for index in self._futures if index < first]:
            del self._futures[index]
        for index in range(first, min(last + self._ahead, len(self._paths))):
            if index not in self._futures:
                self._futures[index] = self._pool.submit(_decode, self._paths[index])
        return [self._futures[index].result() for index in range(first, last)]

    def close(self) -> None:
        """Drop what was not asked for; waits for the image that is being decoded."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._futures.clear()


def _decode(path: Path) -> Pixels | CamviewerError:
    try:
        return read_image(path)
    except CamviewerError as error:
        return error
    except Exception as error:
        log.exception("decoding %r", path)
        return ImageError(f"{path.name} cannot be read. The log tells why.", details=repr(error))

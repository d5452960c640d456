"""Thumbnails kept on the disk, in the program's own folder. They show patients: it can be switched off and emptied."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.paths import cache_dir

LIMIT = 256 << 20
"""Bytes on the disk; the pictures that were used longest ago go first."""

_SHARE_KEPT = 0.8


class DiskCache:
    """Small pictures by the file they show: a changed file is another one. Every method is safe from any thread."""

    def __init__(self, folder: Path | None = None, *, limit: int = LIMIT) -> None:
        self.folder = folder or cache_dir() / "thumbnails"
        self._limit = limit
        self._written = 0
        self._writing = threading.Lock()
        self.enabled = True

    def get(self, path: Path, side: int) -> NDArray[np.uint8] | None:
        """Return the RGB picture ``[h, w, 3]`` that is kept of a file, or None."""
        place = self._place(path, side) if self.enabled else None
        if place is None:
            return None
        try:
            data = np.fromfile(place, np.uint8)
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
            os.utime(place)
        except (OSError, cv2.error):
            return None
        return None if picture is None else np.asarray(picture[..., ::-1], np.uint8).copy()

    def put(self, path: Path, side: int, pixels: NDArray[np.uint8]) -> None:
        """Keep the picture of a file; where the disk does not take it, it is made anew the next time.

        A picture on its way while the cache is switched off and emptied is not kept.
        """
        place = self._place(path, side) if self.enabled else None
        if place is None:
            return
        good, data = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 92])
        if not good:
            return
        with self._writing, contextlib.suppress(OSError):
            if not self.enabled:
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
            with os.fdopen(handle, "wb") as stream:
                stream.write(data.tobytes())
            Path(name).replace(place)
            self._written += data.size
        if self._written > self._limit // 10:
            self._written = 0
            self.trim()

    def used(self) -> int:
        """Return the bytes that are kept."""
        return sum(size for _, size, _ in self._files())

    def clear(self) -> None:
        """Remove everything; with ``enabled`` set to False before, nothing comes after it."""
        with self._writing:
            for _, _, file in self._files():
                with contextlib.suppress(OSError):
                    file.unlink()

    def trim(self) -> None:
        """Remove what was used longest ago until there is room again."""
        files = sorted(self._files())
        used = sum(size for _, size, _ in files)
        if used <= self._limit:
            return
        for _, size, file in files:
            if used <= _SHARE_KEPT * self._limit:
                return
            with contextlib.suppress(OSError):
                file.unlink()
                used -= size

    def _place(self, path: Path, side: int) -> Path | None:
        try:
            status = path.stat()
        except OSError:
            return None
        name = f"{path.absolute()}\0{status.st_mtime_ns}\0{status.st_size}\0{side}"
        return self.folder / f"{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:40]}.jpg"

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        with contextlib.suppress(OSError):
            for file in self.folder.iterdir():
                with contextlib.suppress(OSError):
                    status = file.stat()
                    found.append((status.st_mtime, status.st_size, file))
        return found

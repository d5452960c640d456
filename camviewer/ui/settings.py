"""What the window remembers between starts: a small JSON file, written atomically."""

from __future__ import annotations

import base64
import json
import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from camviewer.paths import config_dir

log = logging.getLogger(__name__)

MAX_RECENT = 8


@dataclass(slots=True)
class RecentProject:
    """A project on the welcome page.

    Attributes:
        path: of the project file.
        name: shown.
        images, reviewed: counts when it was last open.
        opened: time in seconds since the epoch.
    """

    path: str
    name: str
    images: int = 0
    reviewed: int = 0
    opened: float = 0.0


@dataclass(slots=True)
class Settings:
    """Settings of the window. Nothing about patients or images but the recent project list."""

    theme: str = "system"
    workspace: str = "review"
    colour_map: str = "viridis"
    opacity: float = 0.6
    left_width: int = 504
    gallery_shown: bool = True
    keep_thumbnails: bool = True
    geometry: str = ""
    folded: dict[str, bool] = field(default_factory=dict)
    recent: list[RecentProject] = field(default_factory=list)
    last_folder: str = ""
    last_model_folder: str = ""
    last_export_folder: str = ""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return settings of what was read; unknown and ill-typed fields keep their defaults.

        Only of thumbnails none are kept where that field is ill-typed.
        """
        result = cls()
        for entry in fields(cls):
            value = data.get(entry.name)
            if entry.name == "recent":
                if isinstance(value, list):
                    result.recent = [recent for item in value if (recent := _recent(item)) is not None][:MAX_RECENT]
            elif value is not None and isinstance(value, type(getattr(result, entry.name))):
                setattr(result, entry.name, value)
        result.keep_thumbnails = data.get("keep_thumbnails", True) is True
        return result

    def remember(self, project: RecentProject) -> None:
        """Put a project first in the list of recent ones."""
        self.recent = [project, *(entry for entry in self.recent if entry.path != project.path)][:MAX_RECENT]

    def forget(self, project: RecentProject) -> None:
        """Take a project off the list of recent ones."""
        self.recent = [entry for entry in self.recent if entry.path != project.path]


def _recent(item: object) -> RecentProject | None:
    if not isinstance(item, dict) or not isinstance(item.get("path"), str):
        return None
    known = {entry.name for entry in fields(RecentProject)}
    try:
        result = RecentProject(**{key: value for key, value in item.items() if key in known})
        result.images, result.reviewed, result.opened = int(result.images), int(result.reviewed), float(result.opened)
    except (TypeError, ValueError):
        return None
    return result


class SettingsStore:
    """Reads and writes `Settings`. Without a path, nothing is read or written (``--safe-mode``, smoke test)."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.value = self._read()

    @classmethod
    def of_user(cls) -> SettingsStore:
        """Return the store of this user."""
        return cls(config_dir() / "settings.json")

    def change(self, edit: Callable[[Settings], None]) -> None:
        """Apply an edit and write; a folder that cannot be written costs the memory of it, nothing else."""
        edit(self.value)
        self.save()

    def save(self) -> None:
        """Write the settings; the file is either the old or the new one, never half."""
        if self.path is None:
            return
        text = json.dumps(asdict(self.value), indent=2, ensure_ascii=False)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".settings-", suffix=".json")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as stream:
                    stream.write(text)
                Path(name).replace(self.path)
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            log.warning("settings cannot be written: %s", error)

    def _read(self) -> Settings:
        # Thumbnails show patients. Where it is not known whether they were switched off, none are kept.
        unknown = Settings(keep_thumbnails=False)
        if self.path is None:
            return unknown
        try:
            data = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Settings()
        except (OSError, ValueError) as error:
            log.warning("settings cannot be read: %s", error)
            return unknown
        return Settings.from_json(data) if isinstance(data, dict) else unknown


def encode_bytes(data: bytes) -> str:
    """Return bytes as text for the settings file."""
    return base64.b64encode(data).decode("ascii")


def decode_bytes(text: str) -> bytes:
    """Return the bytes of `encode_bytes`; empty for anything else."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""

"""Where the bundled demo lies: synthetic images and a small network trained on others of their kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from camviewer.paths import data_dir, resources_dir
from camviewer.project.store import SUFFIX
from camviewer.workers.jobs import LoadRequest


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo.

    Attributes:
        images: folder of the images; it is never written to.
        project: where its project belongs, in the program's data folder.
        request: its network.
    """

    images: Path
    project: Path
    request: LoadRequest


def find_demo() -> Demo | None:
    """Return the demo, or None where it is not installed."""
    folder = resources_dir() / "demo"
    images, weights = folder / "images", folder / "model.safetensors"
    if not images.is_dir() or not weights.is_file():
        return None
    return Demo(images, data_dir() / "projects" / f"demo{SUFFIX}", LoadRequest(weights=weights))

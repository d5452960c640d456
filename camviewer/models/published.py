"""torchvision's published weights: in the local cache, or fetched when that is allowed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor

from camviewer.errors import CheckpointError, ModelError
from camviewer.models.checkpoint import file_sha256, read_checkpoint

PREFIX = "torchvision:"


@dataclass(frozen=True, slots=True)
class Published:
    """One set of published weights.

    Attributes:
        name: ``ResNet50_Weights.IMAGENET1K_V2``.
        architecture: it belongs to.
        entry: torchvision's record: `meta`, `transforms`, `url`.
    """

    name: str
    architecture: str
    entry: Any

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.entry.meta.get("categories") or ())

    @property
    def transforms(self) -> Any:
        return self.entry.transforms()

    @property
    def path(self) -> Path:
        """Where torchvision keeps the file once it was fetched."""
        file: str = self.entry.url.rpartition("/")[2]
        return Path(torch.hub.get_dir()) / "checkpoints" / file

    @property
    def sha256_prefix(self) -> str:
        """First digits of the file's SHA-256, which its name carries."""
        match = re.search(r"-([0-9a-f]{8,})\.[a-z]+$", self.path.name)
        return match[1] if match else ""


def of_architecture(name: str) -> list[Published]:
    """Return the published weights of an architecture that classify, the preferred ones first."""
    kinds = torchvision.models.get_model_weights(name)
    entries = sorted(kinds, key=lambda entry: entry is not getattr(kinds, "DEFAULT", None))
    return [Published(str(entry), name, entry) for entry in entries if entry.meta.get("categories")
            and "FEATURES" not in entry.name]  # fmt: skip


def resolve(text: str, model: str | None) -> Published:
    """Return the weights that ``torchvision:NAME`` names.

    NAME is an architecture (its preferred weights), an entry of the model's weights (``IMAGENET1K_V1``), or both
    (``ResNet50_Weights.IMAGENET1K_V1``).

    Raises:
        ModelError: when there are none of that name.
    """
    name = text.removeprefix(PREFIX).strip()
    if name in torchvision.models.list_models(module=torchvision.models):
        return of_architecture(name)[0]
    for architecture in [model] if model else torchvision.models.list_models(module=torchvision.models):
        for published in of_architecture(architecture) if architecture else []:
            if name in (published.name, published.entry.name):
                if model is None and name == published.entry.name:
                    raise ModelError(f"{name} says which weights, not of which model. Name the model too.")
                return published
        if model and name in ("", "DEFAULT"):
            return of_architecture(model)[0]
    raise ModelError(f"torchvision publishes no weights {name!r}{f' for {model}' if model else ''}.")


def with_sha256(architecture: str, sha256: str) -> Published | None:
    """Return the published weights that a file is, or None for any other file."""
    for published in of_architecture(architecture):
        if published.sha256_prefix and sha256.startswith(published.sha256_prefix):
            return published
    return None


def cached(published: Published) -> bool:
    """Return whether the file lies in the cache, whole: its SHA-256 is compared with its name."""
    if not published.path.is_file() or not published.sha256_prefix:
        return False
    return file_sha256(published.path).startswith(published.sha256_prefix)


def fetch(published: Published) -> None:
    """Fetch the weights into torchvision's cache, whole or not at all.

    Raises:
        ModelError: when they cannot be fetched.
    """
    try:
        published.path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(
            published.entry.url, str(published.path), hash_prefix=published.sha256_prefix or None, progress=False
        )
    except Exception as error:
        raise ModelError(
            f"The weights {published.name} could not be fetched. Check the network connection, or give a local file.",
            details=repr(error),
        ) from error


def read(published: Published) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of weights in the cache, and the SHA-256 of the file.

    Raises:
        CheckpointError: when the file is not there, or is not what was published.
    """
    if not cached(published):
        if published.path.is_file():
            raise CheckpointError(
                f"The weights {published.name} on this machine are damaged: {published.path.name} is not the file that "
                "was published. Delete it, then allow the download or give a local file."
            )
        raise CheckpointError(
            f"The weights {published.name} are not on this machine. Allow the download, or give a local file."
        )
    checkpoint = read_checkpoint(published.path)
    return checkpoint.state, checkpoint.sha256

"""Write `camviewer/models/fingerprints.json`: what tells each torchvision classifier's weights from all others.

Run it when torchvision gains an architecture. Networks are built one at a time; the largest takes 2.6 GB.
"""

from __future__ import annotations

import json
from dataclasses import asdict

import torch
import torchvision

from camviewer.catalogue.architectures import ARCHITECTURES
from camviewer.models.architectures import FINGERPRINTS, Fingerprint, fingerprint, names_and_shapes


def measure(name: str) -> Fingerprint:
    """Return the fingerprint of one architecture."""
    small, large = (build(name, classes) for classes in (10, 1000))
    outputs = [key for key in large if small[key] != large[key] and key.endswith("weight")]
    stem = next(key for key, shape in large.items() if len(shape) == 4)
    head = outputs[-1].partition(".")[0]
    digest = fingerprint(large, head=head, stem=stem)
    covered = sum(key.partition(".")[0] != head for key in large)
    return Fingerprint(digest, head, outputs[-1], stem, covered)


def build(name: str, classes: int) -> dict[str, tuple[int, ...]]:
    """Return names and shapes; RegNets cannot be built without memory."""
    arguments = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        network = torchvision.models.get_model(name, weights=None, num_classes=classes, **arguments)
    return names_and_shapes(network.state_dict())


if __name__ == "__main__":
    rows = {spec.name: asdict(measure(spec.name)) for spec in ARCHITECTURES if not spec.own}
    FINGERPRINTS.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"{len(rows)} architectures, {len({row['digest'] for row in rows.values()})} different")

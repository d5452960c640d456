"""Are exported pseudo-masks worth training on? A segmentation network learns from an export and beats its own labels.

    python benchmarks/downstream.py [--data DATA/ham10000_200x150 --weights NET] [--minutes 3] [--network unet|lraspp]

Of each set, the pictures of the training part are explained by the command line, exported as COCO by the command line,
and read back by pycocotools, as any trainer would. A network that has never seen a map or a true mask learns from that
export alone. Printed for pictures that are in neither, against their true masks: mean IoU of the raw pseudo-masks that
the same model draws there, and of the trained network. Pictures of the demo's kind are always measured; HAM10000 where
it is present.

``unet`` is the network of masks that learn, ``lraspp`` is torchvision's LR-ASPP on MobileNetV3 with random weights.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from pycocotools.coco import COCO
from torch import nn

from camviewer.cli import main as camviewer
from camviewer.formats.explain_reader import read_explain
from camviewer.images.decode import read_image
from camviewer.pipeline.truth import TruthFolder
from camviewer.regions.measures import iou
from camviewer.training.datasets import read_dataset, split
from camviewer.training.precision import best_precision
from camviewer.training.segmentation.losses import mask_loss
from camviewer.training.segmentation.settings import ViewSettings
from camviewer.training.segmentation.unet import UNet
from camviewer.training.segmentation.views import view

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
from demo.sets import fresh  # noqa: E402

SIZE = (128, 96)
SEED = 20_261_121
"""Of pictures that are in neither the demo nor its network's training."""


class Logits(nn.Module):
    """LR-ASPP gives a dictionary; its logits alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.network((pictures - 0.5) / 0.25)["out"]
        return result


def build(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "unet":
        return UNet(1)
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    return Logits(lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=1))


def draw_demo(folder: Path, count: int) -> list[Path]:
    """Draw pictures of the demo's kind that its network has not seen, with their true masks; return the pictures."""
    for part in ("images", "masks"):
        (folder / part).mkdir()
    paths = []
    for number in range(count):
        picture = fresh(SEED, number, scale=0.6)
        paths.append(folder / "images" / f"{number:04}.jpg")
        Image.fromarray(picture.pixels).save(paths[-1], quality=92)
        Image.fromarray(picture.mask.astype(np.uint8) * 255).save(folder / "masks" / f"{number:04}_segmentation.png")
    return paths


def explain(pictures: list[Path], folder: Path, weights: Path) -> Path:
    """Explain pictures by the command line and return the explain folder."""
    source = folder / "pictures"
    source.mkdir(parents=True)
    for path in pictures:
        shutil.copy(path, source / path.name)
    arguments = [str(source), "--out", str(folder / "explained"), "--weights", str(weights), "--save", "masks"]
    assert camviewer(["explain", *arguments]) == 0
    return folder / "explained"


def exported(explained: Path, folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Export as COCO, and return picture and mask of each image as pycocotools reads them."""
    arguments = [str(explained), "--format", "coco", "--out", str(folder), "--status", "all", "--images", "copy"]
    assert camviewer(["export", *arguments]) == 0
    file = next(path for path in sorted(folder.rglob("*.json")) if "annotations" in json.loads(path.read_text()))
    coco = COCO(str(file))
    read = []
    for image in coco.imgs.values():
        place = next(path for path in folder.rglob(Path(image["file_name"]).name) if path.is_file())
        mask = np.zeros((image["height"], image["width"]), np.uint8)
        for annotation in coco.imgToAnns[image["id"]]:
            mask |= coco.annToMask(annotation)
        if mask.any():
            read.append((read_image(place), mask))
    return read


def train(network: nn.Module, data: list[tuple[np.ndarray, np.ndarray]], minutes: float) -> int:
    """Train for so many minutes on pairs of picture and mask; return the steps."""
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    started, step = time.perf_counter(), 0
    while (spent := (time.perf_counter() - started) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * 0.5 * (1 + np.cos(np.pi * spent))
        rng = np.random.default_rng(step)
        chosen = [data[i] for i in rng.integers(0, len(data), 16)]
        seen = [view(pixels, mask, SIZE, ViewSettings(), rng) for pixels, mask in chosen]
        pictures = torch.from_numpy(np.stack([values for values, _ in seen])).permute(0, 3, 1, 2)
        labels = torch.from_numpy(np.stack([known for _, known in seen]))
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, best_precision(torch.device("cpu")) == torch.bfloat16):
            logits = network(pictures)
        mask_loss(logits.float(), labels, torch.full((len(seen),), 0.8)).backward()
        optimiser.step()
        step += 1
    network.eval()
    return step


def predicted(network: nn.Module, pixels: np.ndarray) -> np.ndarray:
    small = cv2.resize(pixels, SIZE, interpolation=cv2.INTER_AREA)
    values = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        views = [network(values.flip(axes)).flip(axes) if axes else network(values) for axes in ((), (3,), (2,))]
    soft = torch.stack(views).sigmoid().mean(0)[0, 0].numpy()
    return cv2.resize(soft, (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_LINEAR) >= 0.5


def measure(
    name: str, learnt: list[Path], unseen: list[Path], truths: Path, weights: Path, given: argparse.Namespace
) -> None:
    found = TruthFolder(truths)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = exported(explain(learnt, folder / "learnt", weights), folder / "export")
        network = build(given.network)
        steps = train(network, data, given.minutes)
        raw, trained = [], []
        explained = read_explain(explain(unseen, folder / "unseen", weights))
        for row in explained.images:
            pixels = read_image(folder / "unseen" / "pictures" / row.file)
            truth = found.find(row.file, row.size)
            if truth is None or truth.mask is None or not truth.mask.any():
                continue
            raw.append(iou(explained.read_mask(row, row.masks[0]), truth.mask))
            trained.append(iou(predicted(network, pixels), truth.mask))
    better = float(np.mean(np.array(trained) > np.array(raw)))
    print(
        f"{name}: {given.network}, {steps} steps in {given.minutes:g} min on {len(data)} exported masks; "
        f"{len(raw)} unseen pictures: pseudo-masks {np.mean(raw):.3f}, trained network {np.mean(trained):.3f}, "
        f"better on {better:.0%}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="HAM10000 with masks")
    parser.add_argument("--weights", type=Path, help="network of its maps, trained by benchmarks/train_ham.py")
    parser.add_argument("--network", choices=("unet", "lraspp"), default="unet")
    parser.add_argument("--demo", type=int, default=300, help="pictures of the demo's kind; 30 %% are judged")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument(
        "--count", type=int, default=800, help="pictures of HAM10000 to learn from; a quarter is judged"
    )
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        drawn = draw_demo(Path(scratch), given.demo)
        cut = round(0.7 * len(drawn))
        model = ROOT / "resources" / "demo" / "model.safetensors"
        measure("demo", drawn[:cut], drawn[cut:], Path(scratch) / "masks", model, given)
    if given.data is not None and given.weights is not None:
        listed = read_dataset(given.data)
        files = {path.stem: path for path in given.data.rglob("*.jpg")}
        parts = []
        for indices, count in zip(split(listed, 0.2, seed=1), (given.count, given.count // 4), strict=True):
            names = [Path(listed.names[int(i)]).stem for i in rng.permutation(indices)]
            parts.append([files[name] for name in names if name in files][:count])
        measure("HAM10000", parts[0], parts[1], given.data, given.weights, given)


if __name__ == "__main__":
    main()

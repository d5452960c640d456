"""Are exported pseudo-masks worth training on? A network of torchvision learns from an export and beats its own labels.

    python benchmarks/downstream.py [--data DATA/ham10000_200x150 --weights NET] [--steps 900] [--seeds 1] [--keep DIR]

Of each set, the pictures of the training part are explained by the command line, exported as COCO by the command line
without those in doubt (``--max-doubt``), and read back by pycocotools, as any trainer would. A network with random
weights that has never seen a map or a true mask learns from that export alone. It is torchvision's LR-ASPP on its
ResNet-18, with the fine branch at a quarter of the resolution. Printed for pictures that are in neither, one a lesion,
against their true masks: mean IoU of the raw pseudo-masks that the same model draws there, of the trained network, and
their difference with its 95 % interval (bootstrap over the pictures). Pictures of the demo's kind are always measured;
HAM10000 where it is present, with the fifth of its lesions that `benchmarks/train_ham.py` keeps for the test.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.models import resnet18
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation import LRASPP

from camviewer.cli import main as camviewer
from camviewer.formats.explain_reader import read_explain
from camviewer.images.decode import read_image
from camviewer.pipeline.truth import TruthFolder
from camviewer.regions.measures import iou
from camviewer.training.datasets import read_dataset, split
from camviewer.training.precision import best_precision
from camviewer.training.segmentation.losses import mask_loss
from camviewer.training.segmentation.settings import ViewSettings
from camviewer.training.segmentation.views import view

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
from demo.sets import fresh  # noqa: E402
from train_ham import SPLIT  # noqa: E402

SIZE = (128, 96)
BATCH = 16
RATE = 2e-3
MIRRORED: tuple[tuple[int, ...], ...] = ((), (3,), (2,), (2, 3))
SEED = 20_261_121
"""Of pictures that are in neither the demo nor its network's training."""


@dataclass(frozen=True)
class Part:
    """Pictures that were explained: where they lie, and the explain folder."""

    pictures: Path
    explained: Path


class Segmenter(nn.Module):
    """LR-ASPP (Howard et al., arXiv 1905.02244) on a ResNet-18, both of torchvision, with random weights."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        layers = IntermediateLayerGetter(resnet18(weights=None), {"layer1": "low", "layer4": "high"})
        self.network = LRASPP(layers, low_channels=64, high_channels=512, num_classes=1)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return logits ``[N, 1, h, w]`` of pictures ``[N, 3, h, w]`` in 0..1."""
        with torch.autocast("cpu", torch.bfloat16, best_precision(torch.device("cpu")) == torch.bfloat16):
            result: torch.Tensor = self.network((pictures - 0.5) / 0.25)["out"]
        return result.float()


def draw_demo(folder: Path, count: int) -> list[Path]:
    """Draw pictures of the demo's kind that its network has not seen, with their true masks; return the pictures.

    Those that an earlier run has left in `folder` are not drawn again.
    """
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    paths = [folder / "images" / f"{number:04}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            picture = fresh(SEED, number, scale=0.6)
            mask = Image.fromarray(picture.mask.astype(np.uint8) * 255)
            mask.save(folder / "masks" / f"{number:04}_segmentation.png")
            Image.fromarray(picture.pixels).save(path, quality=92)
    return paths


def explain(pictures: list[Path], folder: Path, weights: Path) -> Part:
    """Explain pictures by the command line, unless an earlier run has left them in `folder`."""
    part = Part(folder / "pictures", folder / "explained")
    if not part.explained.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        part.pictures.mkdir(parents=True)
        for path in pictures:
            shutil.copy(path, part.pictures / path.name)
        arguments = ["--out", str(part.explained), "--weights", str(weights), "--save", "masks"]
        assert camviewer(["explain", str(part.pictures), *arguments]) == 0
    return part


def exported(part: Part, folder: Path, most_doubtful: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Export as COCO, and return picture and mask of each image as pycocotools reads them."""
    arguments = [str(part.explained), "--format", "coco", "--out", str(folder), "--status", "all", "--images", "copy"]
    assert camviewer(["export", *arguments, "--max-doubt", str(most_doubtful)]) == 0
    coco = COCO(str(folder / "instances.json"))
    read = []
    for image in coco.imgs.values():
        mask = np.zeros((image["height"], image["width"]), np.uint8)
        for annotation in coco.imgToAnns[image["id"]]:
            mask |= coco.annToMask(annotation)
        if mask.any():
            read.append((read_image(folder / image["file_name"]), mask))
    return read


def train(data: list[tuple[np.ndarray, np.ndarray]], steps: int, seed: int) -> nn.Module:
    """Train on pairs of picture and mask; return the running mean of the networks."""
    network = Segmenter(seed).train()
    mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        rng = np.random.default_rng((seed, step))
        chosen = [data[i] for i in rng.integers(0, len(data), BATCH)]
        seen = [view(pixels, mask, SIZE, ViewSettings(), rng) for pixels, mask in chosen]
        pictures = torch.from_numpy(np.stack([values for values, _ in seen])).permute(0, 3, 1, 2)
        labels = torch.from_numpy(np.stack([known for _, known in seen]))
        optimiser.zero_grad(set_to_none=True)
        mask_loss(network(pictures), labels, torch.full((BATCH,), 0.8)).backward()
        optimiser.step()
        schedule.step()
        mean.update_parameters(network)
    return mean.eval()


def predicted(network: nn.Module, pixels: np.ndarray) -> np.ndarray:
    """Return the mask of the mean over four mirror images."""
    small = cv2.resize(pixels, SIZE, interpolation=cv2.INTER_AREA)
    values = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        logits = network(torch.cat([values.flip(axes) for axes in MIRRORED]))
    soft = torch.stack([seen.flip([axis - 1 for axis in axes]) for seen, axes in zip(logits, MIRRORED, strict=True)])
    soft = soft.sigmoid().mean(0)[0]
    return cv2.resize(soft.numpy(), (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_LINEAR) >= 0.5


def interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of a mean by the bootstrap over pictures."""
    rng = np.random.default_rng(0)
    means = differences[rng.integers(0, len(differences), (10_000, len(differences)))].mean(1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def measure(
    folder: Path, learnt: list[Path], unseen: list[Path], truths: Path, weights: Path, given: argparse.Namespace
) -> None:
    """Print how the raw pseudo-masks and the networks trained on them do on unseen pictures."""
    found = TruthFolder(truths)
    with tempfile.TemporaryDirectory() as scratch:
        data = exported(explain(learnt, folder / "learnt", weights), Path(scratch) / "export", given.max_doubt)
        judged = explain(unseen, folder / "unseen", weights)
        explained = read_explain(judged.explained)
        pairs = []
        for row in explained.images:
            truth = found.find(row.file, row.size)
            if truth is not None and truth.mask is not None and truth.mask.any():
                pixels = read_image(judged.pictures / row.file)
                pairs.append((pixels, explained.read_mask(row, row.masks[0]), truth.mask))
        raw = np.array([iou(mask, true) for _, mask, true in pairs])
        print(
            f"{folder.name}: {len(data)} of {len(learnt)} exported with a doubt of at most {given.max_doubt:g}; "
            f"{len(raw)} unseen pictures: pseudo-masks {raw.mean():.3f}, {np.mean(raw < 0.65):.0%} below .65",
            flush=True,
        )
        for seed in range(given.seeds):
            wall, worked = time.perf_counter(), time.process_time()
            network = train(data, given.steps, seed)
            wall, worked = time.perf_counter() - wall, time.process_time() - worked
            trained = np.array([iou(predicted(network, pixels), true) for pixels, _, true in pairs])
            low, high = interval(trained - raw)
            print(
                f"  seed {seed}, {given.steps} steps in {wall / 60:.1f} min ({worked / 60:.1f} of processor time): "
                f"network {trained.mean():.3f}, {np.mean(trained < 0.65):.0%} below .65; "
                f"gain {np.mean(trained - raw):+.3f} ({low:+.3f} to {high:+.3f}), "
                f"better on {np.mean(trained > raw):.0%}",
                flush=True,
            )


def ham(given: argparse.Namespace) -> tuple[list[Path], list[Path]]:
    """Return the pictures of HAM10000 to learn from, and those to judge."""
    listed = read_dataset(given.data)
    files = {path.stem: path for path in given.data.rglob("*.jpg")}
    rng = np.random.default_rng(0)
    learnt, unseen = (rng.permutation(indices) for indices in split(listed, 0.2, seed=SPLIT))
    # One picture a lesion, so that the judged ones are independent of each other.
    unseen = unseen[np.unique(listed.groups[unseen], return_index=True)[1]]
    parts = [
        [files[stem] for i in indices if (stem := Path(listed.names[int(i)]).stem) in files][:count]
        for indices, count in ((learnt, given.count), (rng.permutation(unseen), given.judged))
    ]
    return parts[0], parts[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="HAM10000 with masks")
    parser.add_argument("--weights", type=Path, help="network of its maps, trained by benchmarks/train_ham.py")
    parser.add_argument("--demo", type=int, default=600, help="pictures of the demo's kind to learn from")
    parser.add_argument("--count", type=int, default=3000, help="pictures of HAM10000 to learn from")
    parser.add_argument("--judged", type=int, default=400, help="most unseen pictures of each set")
    parser.add_argument("--max-doubt", type=float, default=0.25, help="masks in more doubt are not exported")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each set")
    parser.add_argument("--keep", type=Path, help="folder for what was explained, used again by the next run")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)

    with tempfile.TemporaryDirectory() as scratch:
        place = given.keep or Path(scratch)
        if given.demo:
            drawn = draw_demo(place / "demo" / "drawn", given.demo + given.judged)
            model = ROOT / "resources" / "demo" / "model.safetensors"
            masks = place / "demo" / "drawn" / "masks"
            measure(place / "demo", drawn[: given.demo], drawn[given.demo :], masks, model, given)
        if given.data is not None and given.weights is not None:
            measure(place / "HAM10000", *ham(given), given.data, given.weights, given)


if __name__ == "__main__":
    main()

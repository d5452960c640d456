"""Write docs/gradcampp.md: Grad-CAM++ of one demo picture, by the paper, by camviewer and by two libraries.

    python scripts/compare_gradcampp.py [IMAGE]

Needs the packages of benchmarks/requirements.txt.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from camviewer.cam.explainer import Explainer  # noqa: E402
from camviewer.cam.requests import MapRequest  # noqa: E402
from camviewer.images.colormaps import table  # noqa: E402
from camviewer.images.decode import read_image  # noqa: E402
from camviewer.models.classifier import Classifier  # noqa: E402
from camviewer.models.load import load_classifier  # noqa: E402
from camviewer.models.records import LoadRequest  # noqa: E402
from camviewer.project.records import ActivationMap  # noqa: E402

DEMO = ROOT / "resources" / "demo"
PAGE = ROOT / "docs" / "gradcampp.md"
PICTURE = ROOT / "docs" / "gradcampp.png"
SIDE = 220
Floats = NDArray[np.float64]


def paper(classifier: Classifier, x: torch.Tensor, class_index: int) -> tuple[Floats, Floats, Floats]:
    """Return the paper's map in float64, squares and cubes written out, and its activations and gradients."""
    network = copy.deepcopy(classifier.network).double()
    kept: list[torch.Tensor] = []

    def keep(_module: object, _inputs: object, output: torch.Tensor) -> torch.Tensor:
        kept.append(output.detach().clone().requires_grad_())
        return kept[0].clone()

    network.get_submodule(classifier.head.layer).register_forward_hook(keep)
    with torch.enable_grad():
        network(x.double())[0, class_index].backward()
    gradient = kept[0].grad
    assert gradient is not None
    a, g = kept[0].detach()[0].numpy(), gradient[0].numpy()
    square, cube = g**2, g**3
    alpha = np.where(g != 0, square / np.where(g != 0, 2 * square + a.sum(axis=(1, 2))[:, None, None] * cube, 1), 0)
    weights = (alpha * np.maximum(g, 0)).sum(axis=(1, 2))
    return np.maximum(np.einsum("k,kij->ij", weights, a), 0), a, g


def libraries(classifier: Classifier, x: torch.Tensor, class_index: int) -> dict[str, Floats]:
    """Return the maps of the two libraries, normalised as they give them."""
    from pytorch_grad_cam import GradCAMPlusPlus
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    from torchcam.methods import GradCAMpp

    network = copy.deepcopy(classifier.network).requires_grad_(True)
    layer = classifier.head.layer
    with GradCAMpp(network, target_layer=layer) as extractor:
        first = extractor(class_index, extractor.model(x.clone().requires_grad_()))[0][0]
    with GradCAMPlusPlus(network, [network.get_submodule(layer)]) as extractor:
        extractor(x, [ClassifierOutputTarget(class_index)])
        a, g = extractor.activations_and_grads.activations[0], extractor.activations_and_grads.gradients[0]
        second = extractor.get_cam_image(
            x, extractor.target_layers[0], [], a.cpu().numpy(), g.cpu().numpy(), eigen_smooth=False
        )[0]
    return {"torchcam 0.5.0": first.detach().double().numpy(), "grad-cam 1.5.7": np.maximum(second, 0).astype(float)}


def normalised(values: Floats) -> Floats:
    span = np.ptp(values)
    return (values - values.min()) / span if span else np.zeros_like(values)


def figures(found: Floats, expected: Floats, shown: ActivationMap) -> list[str]:
    """Return difference, correlation, and overlap of the areas at 20 % of the maximum in the image."""
    first, second = (shown.geometry.upsample(m.astype(np.float32)) for m in (found, expected))
    inside = [m >= 0.2 * m.max() for m in (first, second)]
    overlap = (inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum()
    return [
        f"{np.abs(normalised(found) - normalised(expected)).max():.1e}",
        f"{np.corrcoef(found.ravel(), expected.ravel())[0, 1]:.4f}",
        f"{overlap:.3f}",
    ]


def strip(pixels: NDArray[np.uint8], maps: dict[str, Floats], shown: ActivationMap) -> Image.Image:
    """Return the picture and every map, and its difference from the first below it."""
    colours = table("viridis")
    canvas = Image.new("RGB", (SIDE * (len(maps) + 1), 2 * SIDE + 40), "white")
    write = ImageDraw.Draw(canvas)
    canvas.paste(Image.fromarray(pixels).resize((SIDE, SIDE)), (0, 20))
    write.text((4, 4), "picture", "black")
    write.text((4, SIDE + 24), "difference from the paper, full scale 0.1", "black")
    first = next(iter(maps.values()))
    for column, (name, m) in enumerate(maps.items(), start=1):
        write.text((column * SIDE + 4, 4), name, "black")
        change = np.abs(normalised(m) - normalised(first)) / 0.1
        for values, top in ((normalised(m), 20), (change.clip(0, 1), SIDE + 40)):
            full = shown.geometry.upsample(values.astype(np.float32)).clip(0, 1)
            image = Image.fromarray(colours[(full * 255).astype(np.uint8)][..., :3])
            canvas.paste(image.resize((SIDE, SIDE)), (column * SIDE, top))
    return canvas


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else sorted((DEMO / "images").glob("*.jpg"))[0]
    classifier = load_classifier(LoadRequest(weights=DEMO / "model.safetensors", device="cpu"))
    pixels = read_image(path)
    explained = Explainer(classifier).explain(pixels, MapRequest(("gradcampp",)))
    shown = explained.maps[0]
    x, _ = classifier.prepare(pixels)
    expected, a, g = paper(classifier, x, shown.class_index)
    maps = {"paper, float64": expected, "camviewer": shown.values.astype(float)}
    maps |= libraries(classifier, x, shown.class_index)
    strip(pixels, maps, shown).save(PICTURE, optimize=True)
    rows = "\n".join(
        f"| {name} | {' | '.join(figures(m, expected, shown))} |" for name, m in maps.items() if m is not expected
    )
    weights = np.maximum(g, 0).max(axis=(1, 2))
    positive = weights[(weights > 0) & (a.sum(axis=(1, 2)) > 0)]
    kept = positive**2 * 2 / (positive**2 * 2 + 1e-6)
    PAGE.write_text(
        f"""# Grad-CAM++, by the paper and by others

<!-- Written by scripts/compare_gradcampp.py. -->

`{path.name}` of the demo, the demo's own network, class *{classifier.identity.classes[shown.class_index]}*, layer
`{shown.layer}`, {shown.values.shape[1]} x {shown.values.shape[0]} cells. The reference is the paper's formula
(arXiv 1710.11063) written out in float64: `a = g^2 / (2 g^2 + sum(A) g^3)`, `w = sum a ReLU(g)`, `ReLU(sum w A)`.

![The picture, four maps, and their difference from the paper](gradcampp.png)

| | Largest difference of the normalised maps | Pearson | IoU of the areas above 20 % |
|---|---:|---:|---:|
{rows}

* **camviewer** computes `a = 1 / (2 + sum(A) g)`, which is the same where `g` is not 0 and needs no epsilon.
* **grad-cam** adds `1e-6` to a denominator of the size of `g^2`. Here the positive gradients lie between
  {positive.min():.0e} and {positive.max():.0e}: of `2 g^2 / (2 g^2 + 1e-6)` a share of
  {np.median(kept):.2f} is left in the median unit and {kept.min():.1e} in the smallest, so units with
  small weights are suppressed.
* **torchcam** divides a copy and throws the result away: its weight is `sum ReLU(g)^3`, which lets the units with the
  largest gradients decide alone.

Behind a global average pooling over more cells, gradients are smaller and the differences grow.
"""
    )


if __name__ == "__main__":
    main()

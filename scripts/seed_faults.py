"""Do the tests notice? Seeds one small fault at a time into a copy of the project and runs the tests beside it.

    python scripts/seed_faults.py [--room cam|models|regions|formats] [--only WORD] [--part 1/4]

The faults of `FAULTS` were chosen by reading the rooms where a wrong number does most harm, before it was known which
of them the tests catch. Exit status 0 when at least `GOAL` of them are caught and none is stale.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GOAL = 0.8
LIMIT_S = 240
"""A fault that makes its tests run longer than this counts as caught."""
ROOMS = ("cam", "models", "regions", "formats")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, where, and which test files have to notice.

    Attributes:
        name: of the fault.
        path: module below ``camviewer``.
        old: text that occurs in it once.
        new: what stands there instead.
        tests: files below ``tests``, apart by blanks.
    """

    name: str
    path: str
    old: str
    new: str
    tests: str

    @property
    def room(self) -> str:
        return self.path.partition("/")[0]


EXACT = "cam/test_exact.py cam/test_formulas.py"
TRAINERS = "formats/test_trainers.py"

FAULTS = (
    Fault("Grad-CAM without its ReLU", "cam/methods.py", "G.mean(dim=(2, 3))).relu()", "G.mean(dim=(2, 3)))", EXACT),
    Fault("Grad-CAM++ divides by 1", "cam/methods.py", "g).add_(2)", "g).add_(1)", EXACT),
    Fault("LayerCAM with signed gradients", "cam/methods.py", "G.relu(), A)", "G, A)", EXACT),
    Fault("Eigen-CAM takes the last component", "cam/methods.py", "return vectors[:, -1] @ X",
          "return vectors[:, 0] @ X", EXACT),
    Fault("Ablation-CAM divides by the signed score", "cam/methods.py", "S.abs())\n    return (S[:, None]",
          "S)\n    return (S[:, None]", EXACT),
    Fault("Grad-CAM not divided by the cells", "cam/closed.py", "weighted_sum(A / A[0].numel(), weights).relu_(), None",
          "weighted_sum(A, weights).relu_(), None", EXACT),
    Fault("class ReLU without its bias", "cam/closed.py", "W[used]) + b[used, None, None] > 0", "W[used]) > 0", EXACT),
    Fault("contrast target with the wrong sign", "cam/targets.py", "{class_index: 1.0}, {other: -1.0}",
          "{class_index: 1.0}, {other: 1.0}", "cam/test_explainer.py cam/test_formulas.py"),
    Fault("Finer-CAM's mean not divided", "cam/targets.py", "-sign * gamma / len(nearest)", "-sign * gamma",
          "cam/test_explainer.py cam/test_formulas.py"),
    Fault("Score-CAM's masks not stretched to 1", "cam/masking.py", "varies, (values - low) / torch.where",
          "varies, values / torch.where", "cam/test_scorecam.py cam/test_stem.py"),
    Fault("online softmax forgets to rescale the map", "cam/scorecam.py", "            self._map *= rescale\n", "",
          "cam/test_scorecam.py"),
    Fault("masked input and baseline exchanged", "cam/masking.py", "lerp(self._background[None], self._X[None],",
          "lerp(self._X[None], self._background[None],", "cam/test_scorecam.py"),
    Fault("IS-CAM's strengths from 0", "cam/masking.py", "torch.arange(1, n + 1,", "torch.arange(0, n,",
          "cam/test_scorecam.py cam/test_formulas.py"),
    Fault("mixed without the baseline", "cam/stem.py", "(X - background) * comb", "X * comb",
          "cam/test_stem.py cam/test_scorecam.py"),
    Fault("hat functions a cell too near", "cam/stem.py", "(end - start).amax()) + 1", "(end - start).amax())",
          "cam/test_stem.py cam/test_scorecam.py"),
    Fault("a first stage ends where more than its result goes on", "cam/stages.py",
          'node.op == "call_module" and needed <= place', 'node.op == "call_module"', "cam/test_stages.py"),
    Fault("taps at layers that run in parts", "cam/fast.py", "made.changed | first, path", "made.changed, path",
          "cam/test_stages.py"),
    Fault("sums over what is read again", "cam/fast.py", " and place[user] < place[node] for user", " for user",
          "cam/test_fast.py"),
    Fault("mirrored grid one cell off", "cam/grids.py", "self.cells.step[i] * (self.size[i] - 1)",
          "self.cells.step[i] * self.size[i]", "cam/test_layouts.py cam/test_explainer.py"),
    Fault("rows and columns exchanged in resampling", "cam/grids.py", "_weights(target, source, axis=1)",
          "_weights(target, source, axis=0)", "cam/test_layouts.py cam/test_explainer.py"),
    Fault("fused maps not scaled", "cam/grids.py", "m / m.abs().amax(dim=(1, 2), keepdim=True).clamp(min=1e-30)", "m",
          "cam/test_layouts.py cam/test_explainer.py"),
    Fault("units ranked from the smallest", "cam/units.py",
          "argsort(parts, descending=True", "argsort(parts, descending=False",
          "cam/test_units.py"),
    Fault("hooks stay after the block", "cam/taps.py", "        for handle in handles:\n            handle.remove()",
          "        handles.clear()", "cam/test_explainer.py cam/test_exact.py"),
    Fault("folded cells keep their step", "models/operations.py", "window(kernel=size, stride=size, padding=0)",
          "window(kernel=size, stride=1, padding=0)", "models/test_trace.py"),
    Fault("cut counted from the edge", "models/operations.py", ".sliced(start, step)", ".sliced(0, step)",
          "models/test_trace.py"),
    Fault("tokens before the grid forgotten", "models/trace.py", "prefix + dim[0].prefix", "dim[0].prefix",
          "models/test_trace.py"),
    Fault("poolings of other outputs count", "models/trace.py", " if pooling.result in leading", "",
          "cam/test_heads.py"),
    Fault("products do not tell where channels are", "models/operations.py",
          "    elif product:\n        _note_above(above)", "    elif product:\n        pass", "models/test_trace.py"),
    Fault("threshold left out itself", "regions/find.py", "normalised >= threshold if", "normalised > threshold if",
          "regions/test_find.py"),
    Fault("score not relative to the peak", "regions/find.py", "float(inside.mean(dtype=np.float64)) / peak",
          "float(inside.mean(dtype=np.float64))", "regions/test_find.py"),
    Fault("minmax level without its shift", "regions/find.py", "level=low + threshold * span", "level=threshold * span",
          "regions/test_find.py"),
    Fault("Otsu one bin low", "regions/find.py",
          "(int(np.argmax(between)) + 1) * peak", "int(np.argmax(between)) * peak",
          "regions/test_find.py"),
    Fault("box inclusive on the right", "regions/measures.py", "int(columns[-1]) + 1", "int(columns[-1])",
          "regions/test_measures.py"),
    Fault("IoU of boxes counts the overlap twice", "regions/measures.py", "box_area(second) - both", "box_area(second)",
          "regions/test_measures.py"),
    Fault("ISIC's limit exclusive", "regions/measures.py", "jaccard if jaccard >= at", "jaccard if jaccard > at",
          "regions/test_measures.py"),
    Fault("stroke not clipped at the left", "regions/drawing.py",
          "x0, x1 = (min(max(edge, 0), size[0]) for edge in _span(ax",
          "x0, x1 = (min(edge, size[0]) for edge in _span(ax", "regions/test_drawing.py"),
    Fault("polygon's winding ignored", "regions/drawing.py", "1 if by > ay else -1", "1", "regions/test_drawing.py"),
    Fault("hole filled across a corner", "regions/drawing.py", "around, connectivity=4", "around, connectivity=8",
          "regions/test_drawing.py"),
    Fault("even brushes off by half a pixel", "regions/drawing.py",
          "if self._diameter % 2 else float(round(value))", "",
          "regions/test_drawing.py"),
    Fault("small pieces kept below the share", "regions/drawing.py", "areas >= share * areas[1:].max()",
          "areas >= share * areas[0]", "regions/test_drawing.py"),
    Fault("resized mask with sides exchanged", "regions/drawing.py",
          "mask.view(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT",
          "mask.view(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT", "regions/test_drawing.py"),
    Fault("disagreement of unscaled maps", "regions/disagreement.py", "(part / part.max())", "part",
          "regions/test_disagreement.py"),
    Fault("outline's normal points inwards", "regions/outline.py", "if turning.sum() < 0", "if turning.sum() > 0",
          "regions/test_outline.py regions/test_doubt.py"),
    Fault("doubt upside down", "regions/doubt.py", "math.exp(evidence - self.offset)",
          "math.exp(self.offset - evidence)", "regions/test_doubt.py"),
    Fault("snapping ignores the map", "regions/snap.py",
          "marks[(energy >= _SURE) & (beyond <= band)] = cv2.GC_FGD", "pass",
          "regions/test_snap.py"),
    Fault("edge profile without its far end", "regions/edge.py", "outside = colours[:, -_ENDS:]",
          "outside = colours[:, :_ENDS]", "regions/test_edge.py"),
    Fault("unreadable edge left where it is", "regions/edge.py", "return round(_USUAL * work.side)", "return 0",
          "regions/test_edge.py"),
    Fault("widened over what is left out", "regions/edge.py", "widening(work, mask)) & ~work.excluded",
          "widening(work, mask))", "regions/test_edge.py regions/test_artefacts.py"),
    Fault("rivals sought in the window alone", "regions/doubt.py", "*(within or (work, mask))", "work, mask",
          "regions/test_doubt.py regions/test_refine.py"),
    Fault("the mask its own rival", "regions/consensus.py", "< AWAY * found.masks.sum", "<= found.masks.sum",
          "regions/test_doubt.py"),
    Fault("closer look never too close", "regions/focus.py", "int(side.sum()) > CUT * extent",
          "int(side.sum()) > extent", "regions/test_auto.py regions/test_refine.py"),
    Fault("COCO box as corners", "formats/coco.py", "[float(x0), float(y0), float(x1 - x0), float(y1 - y0)]",
          "[float(x0), float(y0), float(x1), float(y1)]", "formats/test_coco.py"),
    Fault("COCO area of the box", "formats/coco.py",
          '"area": float(np.count_nonzero(pixels))', '"area": float(pixels.size)',
          "formats/test_coco.py"),
    Fault("COCO size as width and height", "formats/coco.py", "_read_segmentation(entry, (size[1], size[0]))",
          "_read_segmentation(entry, size)", "formats/test_coco.py"),
    Fault("COCO annotation ids repeat", "formats/coco.py", "            self._next_annotation += 1\n", "",
          "formats/test_coco.py formats/test_trainers.py"),
    Fault("run-length deltas from the wrong run", "formats/coco.py", "value += runs[-2]", "value += runs[-1]",
          "formats/test_coco.py"),
    Fault("YOLO box by its corner", "formats/yolo.py", "((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)",
          "(x0, y0, x1 - x0, y1 - y0)", TRAINERS),
    Fault("boxes not ended at the frame", "formats/records.py", "edges = max(x0, 0.0), max(y0, 0.0)", "edges = x0, y0",
          "pipeline/test_export_trial.py"),
    Fault("YOLO writes the category's id", "formats/yolo.py", "[str(self._index[mask.class_id]), *values]",
          "[str(mask.class_id), *values]", TRAINERS),
    Fault("VOC counts from 0", "formats/voc.py", '"devkit") == "devkit" else 0\n        for box',
          '"devkit") == "edges" else 0\n        for box', TRAINERS),
    Fault("VOC instance numbers restart", "formats/voc.py", "number = number % 254 + 1", "number = label", TRAINERS),
    Fault("the larger region on top", "formats/indexed.py", "lambda entry: -int(", "lambda entry: int(", TRAINERS),
    Fault("LabelMe's box exclusive", "formats/labelme.py",
          "[float(x1 - 1), float(y1 - 1)]", "[float(x1), float(y1)]", TRAINERS),
    Fault("LabelMe rectangle one short", "formats/labelme.py", "max(xs) + 1, max(ys) + 1",
          "max(xs), max(ys)", TRAINERS),
    Fault("CVAT's runs start with the mask", "formats/servers.py", "*([0] if values.size and values[0] else []), ", "",
          "formats/test_servers.py"),
    Fault("Label Studio's height by the width", "formats/servers.py",
          "100 * (y1 - y0) / height", "100 * (y1 - y0) / width",
          "formats/test_servers.py"),
    Fault("brush run lengths not reduced by 1", "formats/servers.py",
          "{run - 1:0{", "{run:0{", "formats/test_servers.py"),
    Fault("edge polygon of a piece not moved", "formats/polygons.py", "float(x - 1 + left)", "float(x - 1)",
          "formats/test_coco.py"),
    Fault("DICOM segment one off", "formats/dicom_seg.py", "int(of.ReferencedSegmentNumber) - 1",
          "int(of.ReferencedSegmentNumber) - 2", "formats/test_dicom_seg.py"),
    Fault("pixels that readers do not take copied", "formats/pictures.py", "pixels not in modes", "pixels in ()",
          "pipeline/test_export.py formats/test_trainers.py"),
    Fault("CVAT's parts not named", "formats/servers.py", "for part in context.splits if part", "for part in ()",
          "formats/test_servers.py"),
    Fault("YOLO images in folders of their own", "formats/yolo.py", 'images/{part}/{item.flat}"',
          'images/{part}/{item.stem}"', TRAINERS),
    Fault("uncertain band in reviewed images", "formats/semantic.py", "if item.reviewed or not item.maps",
          "if not item.maps", TRAINERS),
    Fault("names that differ by case alone", "formats/names.py", "self._used.add(candidate.casefold())",
          "self._used.add(candidate)", "formats/test_explain_json.py formats/test_masks.py"),
)  # fmt: skip


def main() -> int:
    """Seed the chosen faults one by one and print what became of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--room", choices=ROOMS)
    parser.add_argument("--only", default="", help="faults whose name holds this")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="the I-th of N equal parts of them")
    given = parser.parse_args()
    part, parts = map(int, given.part.split("/"))
    chosen = [fault for fault in FAULTS if given.room in (None, fault.room) and given.only in fault.name]
    chosen = chosen[len(chosen) * (part - 1) // parts : len(chosen) * part // parts]
    outcomes: dict[str, list[Fault]] = {"caught": [], "missed": [], "stale": []}
    with tempfile.TemporaryDirectory(prefix="camviewer-faults-") as folder:
        copy = Path(folder)
        for name in ("camviewer", "tests", "pyproject.toml"):
            place = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            place(ROOT / name, copy / name)
        files = sorted({name for fault in chosen for name in fault.tests.split()})
        if not passes(copy, files):
            print("The tests fail without a fault; nothing can be told from them.")
            return 2
        for fault in chosen:
            outcome = seed(copy, fault)
            outcomes[outcome].append(fault)
            print(f"{outcome:>7}  {fault.room:<8} {fault.name}", flush=True)
    for room in ROOMS:
        caught, missed = (sum(fault.room == room for fault in outcomes[outcome]) for outcome in ("caught", "missed"))
        if caught + missed:
            print(f"{room}: {caught} of {caught + missed} caught")
    caught, missed = len(outcomes["caught"]), len(outcomes["missed"])
    share = caught / max(1, caught + missed)
    print(f"all: {caught} of {caught + missed} caught ({share:.0%}), {len(outcomes['stale'])} stale")
    return 0 if share >= GOAL and not outcomes["stale"] else 1


def seed(copy: Path, fault: Fault) -> str:
    """Return whether the tests catch a fault; the copy is whole again afterwards."""
    module = copy / "camviewer" / fault.path
    whole = module.read_text(encoding="utf-8")
    if whole.count(fault.old) != 1:
        return "stale"
    module.write_text(whole.replace(fault.old, fault.new), encoding="utf-8")
    try:
        return "missed" if passes(copy, fault.tests.split()) else "caught"
    finally:
        module.write_text(whole, encoding="utf-8")


def passes(copy: Path, files: list[str]) -> bool:
    """Return whether test files pass in the copy, in time."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", "--no-header"]
    # Ahead of an editable installation.
    environment = {**os.environ, "PYTHONPATH": str(copy), "QT_QPA_PLATFORM": "offscreen"}
    try:
        done = subprocess.run(
            [*command, *(f"tests/{name}" for name in files)],
            cwd=copy, env=environment, capture_output=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Training, converting and comparing as work beside the maps. torch is imported inside the thread."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camviewer.catalogue.architectures import architecture
from camviewer.catalogue.parameters import Value
from camviewer.errors import UsageError
from camviewer.pipeline.comparison import CheckpointName as CheckpointName
from camviewer.pipeline.comparison import ComparedImage as ComparedImage
from camviewer.pipeline.comparison import ComparedRow as ComparedRow
from camviewer.pipeline.comparison import Comparison as Comparison
from camviewer.pipeline.comparison import ComparisonRequest as ComparisonRequest
from camviewer.pipeline.comparison import RowDone as RowDone
from camviewer.pipeline.devices import cores
from camviewer.training.settings import PLAIN, Augmentation, TrainSettings, new_options, usual_rate
from camviewer.training.settings import EpochReport as EpochReport
from camviewer.workers.jobs import JobKind, LoadRequest, Work

if TYPE_CHECKING:
    from camviewer.pipeline.convert import ConvertReport as ConvertReport
    from camviewer.training.run import TrainResult as TrainResult
    from camviewer.workers.worker import Watch

TRAINING = JobKind("Training", "The training stopped", lane="work", rank=0)
CONVERTING = JobKind("Converting the model", "The model could not be converted", lane="work", rank=1)
COMPARING = JobKind("Comparing checkpoints", "The checkpoints could not be compared", lane="work", rank=0)

REQUEST = "training_request.json"
"""What the window asked for, beside the checkpoints, so that a training can be gone on with later."""
STATE = "training_state.safetensors"


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What the window asks for.

    Attributes:
        source: folder, CSV file or project.
        out: folder of the checkpoints.
        values: by `camviewer.catalogue.training`, checked.
        model: what the open network was loaded by, for a training that starts from it.
        device: as of `LoadRequest`.
    """

    source: Path
    out: Path
    values: dict[str, Value] = field(default_factory=dict)
    model: LoadRequest | None = None
    device: str = "auto"

    def settings(self, arch: str | None = None) -> TrainSettings:
        """Return the settings that the values describe.

        Args:
            arch: architecture in place of the chosen one.

        Raises:
            UsageError: for values that do not go together.
        """
        values = self.values
        spec = architecture(arch or str(values["arch"]))
        finer = int(values["finer"])
        begun = arch is None and values["start"] == "model"  # of an architecture that only its file tells
        if finer and spec.own and not begun:
            raise UsageError(f"{spec.title} has fine maps already. Set Finer by to 0.")
        side = int(values["input_size"]) or spec.input_size
        return TrainSettings(
            arch=spec.name,
            head="gmp" if values["head"] == "gmp" else "gap",
            options=new_options(spec, finer),
            epochs=int(values["epochs"]),
            batch_size=int(values["batch_size"]),
            learning_rate=float(values["learning_rate"]) or usual_rate(values["start"] != "random"),
            schedule="constant" if values["schedule"] == "constant" else "one_cycle",
            scope="head" if values["scope"] == "head" else "all",
            class_weights=_weighting(values["class_weights"]),
            input_size=(side, side),
            augmentation=Augmentation() if values["augmentation"] else PLAIN,
            background=float(values["background"]),
            mosaics=float(values["mosaics"]),
            patience=int(values["patience"]),
            save_every=int(values["save_every"]),
            seed=int(values["seed"]),
        )

    def weights(self) -> Path | str | None:
        """Return what the network starts from.

        Raises:
            UsageError: when that cannot be.
        """
        start = self.values["start"]
        if start == "random":
            return None
        if start == "published":
            return f"torchvision:{self.values['arch']}"
        if self.model is None or self.model.weights is None:
            raise UsageError("No model with weights is open. Open one, or start from random weights.")
        return self.model.weights


def _weighting(value: Value) -> Any:
    return value if value in ("balanced", "sqrt", "none") else "balanced"


@dataclass(frozen=True, slots=True, eq=False)
class DataFound:
    """The pictures that a training learns from: their classes, with how many there are, and what was left out."""

    classes: tuple[str, ...]
    counts: tuple[int, ...]
    messages: tuple[str, ...]


def train_work(request: TrainRequest) -> Work:
    """Return a training; its parts are `DataFound`, sentences (`str`) and `EpochReport`, its result `TrainResult`.

    Raises:
        UsageError: when the request cannot be met.
    """
    settings, weights = request.settings(), request.weights()

    def run(watch: Watch) -> TrainResult:
        _threads()
        from camviewer.training.run import architecture_of, train
        from camviewer.training.sources import read_source, usual_side

        chosen = settings
        if request.values["start"] == "model" and weights is not None:
            chosen = request.settings(architecture_of(weights))
        data = read_source(request.source)
        watch.raise_if_cancelled()
        if not request.values["input_size"]:
            side = usual_side(architecture(chosen.arch), data)
            chosen = replace(chosen, input_size=(side, side))
        watch.part(DataFound(data.classes, tuple(int(count) for count in data.counts()), data.skipped))
        if not has_state(request.out):  # a training that goes on keeps what it was begun with
            remember(request)
        return train(
            data,
            chosen,
            request.out,
            weights=weights,
            validation_share=float(request.values["validation"]),
            device=request.device,
            on_step=watch.progress,
            on_epoch=watch.part,
            on_message=watch.part,
            cancelled=watch.cancelled,
        )

    return Work(run, TRAINING)


def remember(request: TrainRequest) -> None:
    """Write what was asked for beside the checkpoints.

    Raises:
        ExportError: when the folder cannot be written.
    """
    from camviewer.formats import disk

    content = {"source": str(request.source), "values": request.values}
    disk.write_bytes(request.out / REQUEST, json.dumps(content, indent=1).encode())


def recall(out: Path) -> tuple[Path, Mapping[str, Value]] | None:
    """Return the source and the values of a training that was begun in `out`, None where there is none."""
    try:
        content = json.loads((out / REQUEST).read_text(encoding="utf-8"))
        values = content["values"]
        source = Path(content["source"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(values, dict):
        return None
    return source, {str(k): v for k, v in values.items() if isinstance(v, (int, float, bool, str))}


def has_state(out: Path) -> bool:
    """Return whether a training that can go on lies in `out`."""
    return (out / STATE).is_file()


def convert_work(load: LoadRequest, out: Path, *, head: str, finer: int, classes: tuple[str, ...] = ()) -> Work:
    """Return a conversion; its result is `ConvertReport`."""

    def run(watch: Watch) -> ConvertReport:
        _threads()
        from camviewer.pipeline.convert import ConvertRequest, convert_checkpoint

        watch.raise_if_cancelled()
        return convert_checkpoint(ConvertRequest(load, out, "gmp" if head == "gmp" else "gap", finer, classes))

    return Work(run, CONVERTING)


def compare_work(request: ComparisonRequest) -> Work:
    """Return a comparison; its parts are `RowDone`, its result `Comparison`."""

    def run(watch: Watch) -> Comparison:
        _threads()
        from camviewer.pipeline.compare import compare

        return compare(request, on_progress=watch.progress, on_row=watch.part, cancelled=watch.cancelled)

    return Work(run, COMPARING)


def save_comparison(comparison: Comparison, out: Path) -> tuple[Path, ...]:
    """Write a comparison's table, maps and curves; see `camviewer.pipeline.compare_report.write_report`."""
    from camviewer.pipeline.compare_report import write_report

    return write_report(comparison, out)


def find_names(paths: tuple[Path, ...]) -> tuple[CheckpointName, ...]:
    """Return the checkpoints that files and training folders stand for; see `camviewer.pipeline.checkpoints`."""
    from camviewer.pipeline.checkpoints import find_checkpoints

    return find_checkpoints(paths)


def _threads() -> None:
    """Leave one core to the window; a setting of the calling thread."""
    import torch

    torch.set_num_threads(max(1, cores() - 1))

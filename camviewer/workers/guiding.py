"""Guided fine-tuning as work beside the maps. torch is imported inside the thread."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from camviewer.catalogue.parameters import Value
from camviewer.pipeline.devices import cores
from camviewer.workers.jobs import JobKind, LoadRequest, Work

if TYPE_CHECKING:
    from camviewer.pipeline.guide import GuideResult as GuideResult
    from camviewer.training.guided import GuidedReport as GuidedReport
    from camviewer.workers.worker import Watch

GUIDING = JobKind("Guiding the model", "The model could not be guided", lane="work", rank=0)


def guide_work(project: Path, model: LoadRequest, out: Path, values: Mapping[str, Value]) -> Work:
    """Return work that guides a network by a project's reviewed masks; parts `GuidedReport`, result `GuideResult`."""

    def run(watch: Watch) -> GuideResult:
        import torch

        from camviewer.pipeline.guide import guide_network
        from camviewer.training.guided import GuidedSettings

        torch.set_num_threads(max(1, cores() - 1))  # one core stays with the window
        settings = GuidedSettings(
            epochs=int(values["epochs"]),
            learning_rate=float(values["learning_rate"]),
            mask_weight=float(values["mask_weight"]),
            mining_weight=float(values["mining_weight"]),
        )
        return guide_network(
            project,
            model,
            out,
            settings=settings,
            on_step=watch.progress,
            on_epoch=watch.part,
            cancelled=watch.cancelled,
        )

    return Work(run, GUIDING)

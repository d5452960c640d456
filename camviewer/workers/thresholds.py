"""The threshold by evidence, as work beside the maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from camviewer.regions.rules import RegionRule
from camviewer.workers.jobs import JobKind, Work

if TYPE_CHECKING:
    from camviewer.pipeline.choose_threshold import Candidate as Candidate
    from camviewer.pipeline.choose_threshold import Redrawn as Redrawn
    from camviewer.pipeline.choose_threshold import ThresholdChoice as ThresholdChoice
    from camviewer.workers.worker import Watch

CHOOSING = JobKind("Comparing thresholds", "The thresholds could not be compared", lane="work", rank=0)
REDRAWING = JobKind("Redrawing masks", "The masks could not be redrawn", lane="work", rank=0)


def choose_work(project: Path) -> Work:
    """Return work that compares rules on the true and reviewed masks of a project; its result `ThresholdChoice`."""

    def run(watch: Watch) -> ThresholdChoice:
        from camviewer.pipeline.choose_threshold import choose_threshold

        return choose_threshold(project, on_image=watch.progress, cancelled=watch.cancelled)

    return Work(run, CHOOSING)


def redraw_work(project: Path, candidate: Candidate, total: int) -> Work:
    """Return work whose parts are `Redrawn`, one an image that nobody has decided on; the owner keeps them."""

    def run(watch: Watch) -> int:
        from camviewer.pipeline.choose_threshold import redraw

        done = 0
        for redrawn in redraw(project, candidate, cancelled=watch.cancelled):
            done += 1
            watch.part(redrawn)
            watch.progress(done, max(total, done))
        return done

    return Work(run, REDRAWING)


def rule_words(rule: RegionRule) -> str:
    """Return a rule as a person reads it."""
    from camviewer.pipeline.choose_threshold import rule_words as words

    return words(rule)

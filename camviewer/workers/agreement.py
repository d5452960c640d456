"""How alike maps are, as the window asks for it; see `camviewer.evaluation.agreement`."""

from __future__ import annotations

from camviewer.evaluation.agreement import peak_distance, pearson, region_overlap, spearman

__all__ = ["peak_distance", "pearson", "region_overlap", "spearman"]

"""What computing found in a project's images: the runs, their maps, and automatic regions.

`store_result` writes only the ``auto`` slot and ``auto`` boxes, and leaves the regions of reviewed images alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from camviewer.errors import ProjectError
from camviewer.project.file import now
from camviewer.project.records import ActivationMap, Box, Mask, Run
from camviewer.project.regions import RegionRows
from camviewer.project.rows import MAP_COLUMNS, flags_text, geometry_to_json, plain, read_map


class ResultRows(RegionRows):
    """The runs and maps."""

    # Runs

    def add_run(self, run_record: Run) -> int:
        """Keep what computed results and return its id; an equal run keeps its id."""
        text = json.dumps(run_record.to_json(), sort_keys=True, allow_nan=False)
        with self.transaction() as run:
            found = run("SELECT id FROM runs WHERE record = ?", (text,)).fetchone()
            if found:
                return int(found[0])
            return int(run("INSERT INTO runs (created_at, record) VALUES (?, ?)", (now(), text)).lastrowid)

    def run(self, run_id: int) -> Run:
        """Return a run.

        Raises:
            ProjectError: when it is not in the project.
        """
        row = self._one("SELECT record FROM runs WHERE id = ?", (run_id,))
        if row is None:
            raise ProjectError(f"Run {run_id} is not in {self.path.name}.")
        return Run.from_json(json.loads(row[0]))

    def runs(self) -> dict[int, Run]:
        """Return all runs by id, oldest first."""
        rows = self._all("SELECT id, record FROM runs ORDER BY id")
        return {int(run_id): Run.from_json(json.loads(text)) for run_id, text in rows}

    # Results

    def store_result(
        self,
        image_id: int,
        *,
        run_id: int | None,
        top: Sequence[tuple[int, float, float]] = (),
        maps: Sequence[ActivationMap] = (),
        boxes: Sequence[Box] | None = None,
        masks: Sequence[Mask] | None = None,
        doubt: float | None = None,
        findings: Sequence[str] = (),
    ) -> bool:
        """Keep what a run found in an image, in one transaction.

        Maps replace those of the same class, method and layer. Boxes and masks replace the automatic ones of the
        image; those a person touched stay. Regions of a reviewed image are not changed at all.

        Args:
            boxes, masks: None leaves the automatic ones as they are; an empty list removes them.
            doubt, findings: of these masks, see `ImageRecord`; kept with them alone.

        Returns:
            whether regions were written, False for a reviewed image.
        """
        with self.transaction() as run:
            status = self._status(image_id)
            for found in maps:
                self._write_map(image_id, run_id, found)
            keep = status == "reviewed"
            if boxes is not None and not keep:
                run("DELETE FROM boxes WHERE image_id = ? AND origin = 'auto'", (image_id,))
                for box in boxes:
                    self._write_box(image_id, replace(box, origin="auto", run=run_id))
            if masks is not None and not keep:
                run("DELETE FROM masks WHERE image_id = ? AND slot = 'auto'", (image_id,))
                for mask in masks:
                    self._write_mask(image_id, replace(mask, slot="auto", run=run_id))
                run(
                    "UPDATE images SET doubt = ?, findings = ? WHERE id = ?",
                    (doubt, flags_text(findings), image_id),
                )
            if top:
                run("UPDATE images SET top = ? WHERE id = ?", (json.dumps([list(row) for row in top]), image_id))
            new_status = "computed" if status in {"new", "failed"} else status
            run(
                "UPDATE images SET status = ?, error = '', changed_at = ? WHERE id = ?",
                (new_status, now(), image_id),
            )
        return not keep

    def store_failure(self, image_id: int, message: str) -> None:
        """Keep the sentence that says why an image could not be computed; regions and decisions stay."""
        with self.transaction() as run:
            status = self._status(image_id)
            new_status = "failed" if status in {"new", "computed", "failed"} else status
            run(
                "UPDATE images SET status = ?, error = ?, changed_at = ? WHERE id = ?",
                (new_status, plain(message), now(), image_id),
            )

    # Maps

    def maps(self, image_id: int) -> list[ActivationMap]:
        """Return an image's maps, oldest first; no model is needed to place them."""
        rows = self._all(
            f"SELECT {MAP_COLUMNS} FROM maps WHERE image_id = ? ORDER BY id",
            (image_id,),
        )
        with self._intact():
            return [read_map(row) for row in rows]

    def has_maps(self, image_id: int) -> bool:
        """Return whether an image was computed."""
        return self._one("SELECT 1 FROM maps WHERE image_id = ? LIMIT 1", (image_id,)) is not None

    def _write_map(self, image_id: int, run_id: int | None, found: ActivationMap) -> None:
        values = np.ascontiguousarray(found.values, dtype="<f4")
        self._connection.execute(
            "INSERT OR REPLACE INTO maps (image_id, run_id, class_index, method, layer, row_count, column_count, "
            "data, geometry, seconds, precision, flags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                image_id,
                run_id,
                found.class_index,
                found.method,
                found.layer,
                *values.shape,
                values.tobytes(),
                json.dumps(geometry_to_json(found.geometry)),
                float(found.seconds),
                found.precision,
                json.dumps(found.flags),
            ),
        )

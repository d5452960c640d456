"""The open project: its images, the one on the canvas, its regions and maps. Widgets show its signals, it shows none.

Everything that reads files runs in a task pool; everything that needs torch goes through `camviewer.ui.computing`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal, Slot

from camviewer.errors import CamviewerError, ProjectError
from camviewer.project.locate import open_folder
from camviewer.project.records import ActivationMap, Box, ClassTable, ImageRecord, Mask
from camviewer.project.store import SUFFIX, Project
from camviewer.project.temperature import Network, Temperature, set_temperature
from camviewer.project.unpacked import UnpackedMasks
from camviewer.ui.canvas.records import Region
from camviewer.ui.item_book import ItemBook
from camviewer.ui.project_images import ProjectImages
from camviewer.workers.tasks import FoundImage, TaskDone, TaskPool, read_pixels, scan_images

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".dcm", ".dicom")
WEIGHT_ENDINGS = (".pt", ".pth", ".safetensors", ".ckpt", ".bin", ".pkl")


@dataclass(frozen=True, slots=True, eq=False)
class ShownImage:
    """The image on the canvas.

    Attributes:
        record: of the project.
        path: absolute path of the file.
        pixels: upright RGB ``[H, W, 3]``; None while it is read or when it cannot be.
        error: sentence when it cannot be read.
        position, total: place in the project, from 1.
    """

    record: ImageRecord
    path: Path
    pixels: NDArray[np.uint8] | None
    error: str
    position: int
    total: int


class OpenProject(ProjectImages):
    """One open project and the image that is looked at; `Session` adds what a person does with it.

    Signals:
        project_opened: `Project`, or None when it was closed.
        project_closing: it is still open, for the last time.
        image_shown: `ShownImage`, or None. Comes twice: at once with the record, then with pixels.
        regions_changed: list of `Region` of the image on the canvas.
        maps_changed: list of `ActivationMap` of the image on the canvas, from the project.
        selection_changed: key of the selected region, or None.
        scan_ended: number of images of the project.
    """

    project_opened = Signal(object)
    project_closing = Signal()
    image_shown = Signal(object)
    regions_changed = Signal(object)
    maps_changed = Signal(object)
    selection_changed = Signal(object)
    scan_ended = Signal(int)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tasks = TaskPool(self)
        self.tasks.done.connect(self._on_task)
        self.tasks.partial.connect(self._on_found)
        self.synthetic = False
        self.current: ShownImage | None = None
        self.selected: Hashable | None = None
        self._hidden: set[Hashable] = set()
        self._regions: list[Region] | None = None
        self._masks = UnpackedMasks()
        self._wanted: Path | None = None

    # --- opening ------------------------------------------------------------------------------------------------------

    def open_paths(self, paths: list[Path]) -> None:
        """Open what was dropped or named: a project, a folder, or images. Checkpoints are not for here."""
        if not paths:
            return
        first = paths[0]
        if first.suffix == SUFFIX:
            self.open_project(first)
        elif first.is_dir():
            self.open_folder(first)
        else:
            self.open_images(paths)

    def open_folder(self, folder: Path) -> None:
        """Open the project of a folder, or make it, and look for images that are new."""
        self._open(lambda: open_folder(folder), scan=[folder])

    def open_images(self, paths: list[Path]) -> None:
        """Open image files in the project of their folder, and show the first."""
        files = [path.absolute() for path in paths]
        missing = [path for path in files if not path.is_file()]
        if missing:
            self.said.emit(f"{missing[0].name} is not there.", "Choose where it lies now.", "bad")
            return
        folder = Path(os.path.commonpath([path.parent for path in files]))
        self._wanted = files[0]
        self._open(lambda: open_folder(folder), scan=files)

    def open_project(self, path: Path) -> None:
        """Open a project file."""
        self._open(lambda: Project.open(path), scan=[])

    def open_at(self, path: Path, *, root: Path, synthetic: bool = False) -> None:
        """Open the project file at `path`, or make it there for the images below `root`."""

        def make() -> Project:
            if path.is_file():
                project = Project.open(path)
                project.set_root(root)
                return project
            return Project.create(path, root=root)

        self._open(make, scan=[root], synthetic=synthetic)

    def _open(self, make: Callable[[], Project], *, scan: list[Path], synthetic: bool = False) -> None:
        try:
            project = make()
            records = project.images()
            table = project.class_table()
            book = ItemBook(project, self._class_of_model)
        except CamviewerError as error:
            self._say_error(error)
            return
        wanted = self._wanted
        self.close_project()
        self._wanted = wanted
        self.project, self.table, self.synthetic, self._book = project, table, synthetic, book
        book.set_classes(table.model_names)
        self.undo.set_project(project)
        self._take(records)
        self.project_opened.emit(project)
        self.items_reset.emit(self._items())
        if scan:
            folders = list(scan)
            self.tasks.submit("scan", project.path, lambda reporter: scan_images(folders, reporter))
        else:
            self.scan_ended.emit(len(self._records))
        self._show_first()

    def save_as(self, path: Path) -> None:
        """Copy the project, with the edits that it did not take, and go on with the copy."""
        project, current = self.project, self.current
        if project is None:
            return
        try:
            with project.save_as(path) as copy:
                written = self.undo.write_into(copy)
        except CamviewerError as error:
            self._say_error(error)
            return
        self._open(lambda: Project.open(path), scan=[], synthetic=self.synthetic)
        if current is not None and current.record.id is not None:
            self.show_image(current.record.id)
        edits = {0: "", 1: "With the edit that could not be written before"}
        self.said.emit(
            f"Saved as {path.name}.", edits.get(written, f"With {written} edits that could not be written before"), "ok"
        )

    def close_project(self) -> None:
        """Close the project; it is its own autosave."""
        if self.project is not None:
            self.project_closing.emit()
        self.tasks.drop("scan")
        self.tasks.drop("image")
        self.undo.set_project(None)
        self._records.clear()
        self._order.clear()
        self._paths.clear()
        self._hidden.clear()
        self.current = None
        self.selected = None
        self._regions = None
        self._masks = UnpackedMasks()
        self._wanted = None
        if self.project is not None:
            self.project.close()
            self.project = self._book = None
            self.table = ClassTable()
            self.image_shown.emit(None)
            self.project_opened.emit(None)

    def close(self) -> bool:
        """End all threads; return whether they ended in time."""
        self.close_project()
        return self.tasks.close()

    def set_blind(self, blind: bool) -> None:
        """Let regions be without class, which would tell the prediction, or with theirs again."""
        self.blind = blind
        if self._book is not None:
            self._book.forget_outlines()
        if self.current is not None and self.current.record.id is not None:
            self.show_image(self.current.record.id)

    def _show_first(self) -> None:
        if self.current is not None and self._wanted is None:
            return
        project = self.project
        if project is None or not self._records:
            return
        if self._wanted is not None:
            record = project.image_at(project.relative(self._wanted))
            if record is None or record.id is None:
                return
            self._wanted = None
            self.show_image(record.id)
            return
        first = next((r for r in self._records.values() if r.status in ("new", "computed", "edited")), None)
        first = first or next(iter(self._records.values()))
        if first.id is not None:
            self.show_image(first.id)

    @Slot(object)
    def _on_found(self, part: TaskDone) -> None:
        if part.key != "scan" or self.project is None or part.subject != self.project.path:
            return
        project = self.project
        found: tuple[FoundImage, ...] = part.result
        records = [
            ImageRecord(
                path=project.relative(image.path),
                size=image.size,
                file_size=image.file_size,
                status="failed" if image.error else "new",
                error=image.error,
            )
            for image in found
        ]
        fresh = [record for record in records if record.path not in self._paths]
        if not fresh:
            return
        try:
            newest = max(self._records, default=0)
            project.add_images(fresh)
            added = project.images_after(newest)
        except CamviewerError as error:
            self._say_error(error)
            return
        if self._take(added):
            self.items_reset.emit(self._items())
        elif self._book is not None:
            self.items_found.emit([self._book.make(record) for record in added])
        self._show_first()

    # --- the image on the canvas --------------------------------------------------------------------------------------

    def show_image(self, image_id: int) -> None:
        """Put an image on the canvas; its pixels follow when they are read."""
        project, record = self.project, self._records.get(image_id)
        if project is None or record is None:
            return
        path = project.file_of(record)
        self.undo.end_merging()
        self._regions = None
        self.current = ShownImage(record, path, None, record.error, self._order[image_id], len(self._records))
        self.selected = None
        self._hidden.clear()
        self.image_shown.emit(self.current)
        if record.size == (0, 0) and record.error:
            return
        self.tasks.submit("image", image_id, lambda _reporter: read_pixels(path))

    @Slot(object)
    def _on_task(self, answer: TaskDone) -> None:
        if answer.key == "image":
            self._on_pixels(answer)
        elif answer.key == "scan":
            if answer.error:
                self.said.emit(answer.error, "", "bad")
            total = len(self._records)
            if not total:
                self.said.emit("No images here.", "JPEG, PNG, BMP, TIFF and WebP are read.", "warn")
            self.scan_ended.emit(total)

    def _on_pixels(self, answer: TaskDone) -> None:
        current = self.current
        if current is None or current.record.id != answer.subject:
            return
        if answer.error:
            self.store_failure(answer.subject, answer.error)
            current = self.current
            self.said.emit(answer.error, "", "bad")
            if current is None:
                return
        self.current = replace(current, pixels=answer.result, error=answer.error)
        self.image_shown.emit(self.current)
        if answer.result is not None:
            self.refresh_regions()
            self.refresh_maps()

    def refresh_maps(self) -> None:
        """Say which maps the project holds of the image on the canvas."""
        maps: list[ActivationMap] = []
        if self.project is not None and self.current is not None and self.current.record.id is not None:
            try:
                maps = self.project.maps(self.current.record.id)
            except ProjectError as error:
                self._say_error(error)
        self.maps_changed.emit(maps)

    def refresh_regions(self) -> None:
        """Read the regions of the image on the canvas again and say which they are."""
        self._regions = None
        self.regions_changed.emit(self.regions())

    def regions(self) -> list[Region]:
        """Return boxes and masks of the image on the canvas; read once, since masks of large images take their time."""
        if self._regions is None:
            self._regions = self._read_regions()
        return list(self._regions)

    def _read_regions(self) -> list[Region]:
        project, current = self.project, self.current
        if project is None or current is None or current.record.id is None:
            return []
        try:
            boxes = project.boxes(current.record.id)
            masks = self._masks.read(project, current.record.id)
        except ProjectError as error:
            self._say_error(error)
            return []
        regions = []
        key: Hashable
        for mask in masks:
            if not mask.pixels.any():
                continue
            key = ("mask", mask.class_id, mask.slot)
            regions.append(self._region(key, mask, mask.class_id, touched=mask.slot == "reviewed", score=None))
        for box in boxes:
            key = ("box", box.id, "")
            regions.append(self._region(key, box, box.class_id, touched=box.origin != "auto", score=box.score))
        return [
            replace(region, name=f"Region {number}") if not region.name else region
            for number, region in enumerate(regions, 1)
        ]

    def _region(self, key: Hashable, shape: Box | Mask, class_id: int, *, touched: bool, score: float | None) -> Region:
        name, colour = ("", None) if self.blind else self.class_of(class_id)
        return Region(key, shape, name, colour, touched, key not in self._hidden, "", score)

    def select(self, key: Hashable | None) -> None:
        """Select a region, or none."""
        if key != self.selected:
            self.selected = key
            self.selection_changed.emit(key)

    def show_region(self, key: Hashable, visible: bool) -> None:
        """Show or hide one region on the canvas."""
        (self._hidden.discard if visible else self._hidden.add)(key)
        self.refresh_regions()

    def find_region(self, key: Hashable | None) -> Region | None:
        """Return a region of the image on the canvas."""
        return next((region for region in self.regions() if region.key == key), None)

    # --- results ------------------------------------------------------------------------------------------------------

    def reload(self, image_id: int) -> None:
        """Read an image's record again and tell everyone."""
        record = self._renew(image_id)
        if record is None or self._book is None:
            return
        shown = self.current is not None and self.current.record.id == image_id
        if self.current is not None and shown:
            self.current = replace(self.current, record=record)
        self.item_changed.emit(self._book.make(record))
        if shown:
            self.refresh_regions()

    def reload_all(self) -> None:
        """Read all records again and tell everyone."""
        if self._renew_all() and self.current is not None and self.current.record.id is not None:
            self.reload(self.current.record.id)

    def store_failure(self, image_id: int, message: str) -> None:
        """Keep why an image cannot be read or computed."""
        if self.project is not None:
            project = self.project
            self._guarded(lambda: project.store_failure(image_id, message))
            self.reload(image_id)

    def set_model_classes(self, names: tuple[str, ...]) -> None:
        """Take the classes of a loaded model; regions get the names that they have now."""
        super().set_model_classes(names)
        if self.project is not None:
            self.refresh_regions()

    def set_temperature(self, network: Network, temperature: Temperature | None) -> None:
        """Keep the temperature of a network, or none, and show all probabilities by it.

        Raises:
            ProjectError: when the project cannot be written.
        """
        if self.project is not None:
            set_temperature(self.project, network, temperature)
            self.reload_all()
            self.refresh_maps()

    def _editable(self) -> tuple[Project | None, int]:
        if self.project is None or self.current is None or self.current.record.id is None:
            return None, 0
        return self.project, self.current.record.id

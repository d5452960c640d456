"""What is done with each kind of file: everything that opening it in the program would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from fuzz import seeds

Target = Callable[[Path], Iterator[Callable[[], object]]]
"""Yields what is to be tried with a file, each by itself: one that refuses does not spare the next."""


def image(path: Path) -> Iterator[Callable[[], object]]:
    """Header, pixels and thumbnail."""
    from camviewer.images.decode import read_header, read_image
    from camviewer.images.thumbnails import read_thumbnail

    yield lambda: read_header(path)
    yield lambda: read_image(path)
    yield lambda: read_thumbnail(path, side=16)


def checkpoint(path: Path) -> Iterator[Callable[[], object]]:
    """The file alone, and the network that it makes."""
    from camviewer.models.checkpoint import read_checkpoint
    from camviewer.models.load import load_classifier
    from camviewer.models.records import LoadRequest

    yield lambda: read_checkpoint(path)
    yield lambda: load_classifier(LoadRequest(weights=path, device="cpu"))


def project(path: Path) -> Iterator[Callable[[], object]]:
    """Every row of a project, and an edit."""
    from camviewer.project.records import Box
    from camviewer.project.store import Project

    def read() -> None:
        with Project.open(path) as opened:
            opened.class_table()
            opened.runs()
            opened.status_counts()
            opened.mask_summaries()
            for record in opened.images():
                opened.file_of(record)
                opened.maps(record.id)
                opened.boxes(record.id)
                opened.masks(record.id)
                opened.final_masks(record.id)

    def edit() -> None:
        with Project.open(path) as opened:
            for record in opened.images()[:2]:
                opened.add_box(record.id, Box(0, 0, 5, 5, 1))
                opened.set_note(record.id, "seen")

    yield read
    yield edit


def annotation(path: Path) -> Iterator[Callable[[], object]]:
    """Import into a project with the images, and as the truth of an evaluation."""
    from PIL import Image

    from camviewer.pipeline.importing import ImportRequest, import_annotations
    from camviewer.pipeline.truth import read_truth
    from camviewer.project.records import ClassTable, ImageRecord
    from camviewer.project.store import Project

    folder = path.parent / "images"
    if not folder.is_dir():
        folder.mkdir()
        for name in seeds.FILES:
            Image.new("RGB", seeds.SIZE, "white").save(folder / name)

    def into_project(source: Path) -> None:
        file = folder / "p.camviewer"
        for suffix in ("", "-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        with Project.create(file) as made:
            made.add_images([ImageRecord(PurePosixPath(name), seeds.SIZE) for name in seeds.FILES])
            made.set_class_table(ClassTable.for_model(("Melanoma",)))
            import_annotations(made, ImportRequest(source))

    yield lambda: into_project(path)
    yield lambda: read_truth(path, seeds.SIZE)


def table(path: Path) -> Iterator[Callable[[], object]]:
    """Class names, training labels, groups of a split."""
    from camviewer.models.labels import read_labels
    from camviewer.pipeline.split import read_columns, read_groups
    from camviewer.training.datasets import read_csv

    yield lambda: read_labels(path)
    yield lambda: read_columns(path)
    yield lambda: read_groups(path, column="dx")
    yield lambda: read_csv(path, images=path.parent)


def explained(path: Path) -> Iterator[Callable[[], object]]:
    """An explain folder whose explain.json this is."""
    from camviewer.formats.explain_reader import read_explain

    def read() -> None:
        folder = path.parent / "explained"
        folder.mkdir(exist_ok=True)
        (folder / "explain.json").write_bytes(path.read_bytes())
        read_explain(folder)

    yield read


TARGETS: dict[str, tuple[Target, Callable[[], seeds.Seeds]]] = {
    "image": (image, seeds.images),
    "checkpoint": (checkpoint, seeds.checkpoints),
    "project": (project, seeds.projects),
    "annotation": (annotation, seeds.annotations),
    "table": (table, lambda: seeds.CSVS),
    "explained": (explained, seeds.explained),
}

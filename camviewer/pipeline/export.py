"""A whole export: choose the images, write them in one format, say what was lost, and put it in place at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from camviewer import __version__
from camviewer.catalogue.formats import FormatSpec, format_spec
from camviewer.catalogue.parameters import Value, complete
from camviewer.errors import Cancelled, ExportError, FormatError, ImageError, ProjectError, UsageError
from camviewer.formats import disk
from camviewer.formats.output import Output
from camviewer.formats.pictures import IMAGE_MODES, ImageMode, is_turned, missing
from camviewer.formats.records import Context, Item, Writer, in_frame
from camviewer.formats.registry import writer
from camviewer.formats.strict_json import encode
from camviewer.pipeline.export_classes import ClassMapping
from camviewer.pipeline.export_records import ExportReport, ExportRequest
from camviewer.pipeline.export_source import Entry, Source, StatusFilter, open_source
from camviewer.pipeline.export_tally import Tally
from camviewer.pipeline.publish import MANIFEST, publish, report_name
from camviewer.pipeline.split import PARTS, check_ratios, read_groups, split

__all__ = ["ExportReport", "ExportRequest", "export"]

UNREADABLE, DOUBTFUL = "cannot be read", "in doubt"
REHEARSED = 8
"""Images of a trial run that are written in mind, whatever it takes; further ones as long as the time allows."""


def export(
    request: ExportRequest,
    *,
    dry_run: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    rehearse: float = 2.0,
) -> ExportReport:
    """Export, or only count with `dry_run`.

    A trial run does all that the export does but write, for as many images as `rehearse` allows; of the rest only the
    regions are counted, and the sizes of files are extrapolated.

    The result is written beside `request.out` and moved there when it is whole; cancelled, failed or killed, it
    leaves the folder as it was.

    Args:
        on_progress: called with (images done, images in all).
        cancelled: asked before each image.
        rehearse: seconds of a trial run.

    Raises:
        UsageError: for a wrong option.
        ExportError: when there is nothing to export or the disk does not take it.
        FormatError, ProjectError: when the source cannot be read.
        Cancelled: when `cancelled` says so.
    """
    spec = format_spec(request.format)
    options = complete(spec.parameters, request.options, owner=spec.title)
    if request.images is not None and request.images not in IMAGE_MODES:
        raise UsageError(f"Images can be handled as {', '.join(IMAGE_MODES)}, not {request.images!r}.")
    if request.max_doubt is not None and not 0 <= request.max_doubt <= 1:
        raise UsageError(f"A doubt lies between 0 and 1, not at {request.max_doubt:g}.")
    ratios = check_ratios(request.ratios) if request.ratios else ()
    source = open_source(request.source, regions=request.regions, image_root=request.image_root)
    try:
        return _Export(request, spec, options, ratios, source).run(
            rehearse if dry_run else None, on_progress or _ignore, cancelled or _never
        )
    finally:
        source.close()


def _ignore(_done: int, _total: int) -> None:
    pass


def _never() -> bool:
    return False


class _Export:
    """One export under way, and its steps in their order."""

    def __init__(
        self,
        request: ExportRequest,
        spec: FormatSpec,
        options: dict[str, Value],
        ratios: tuple[float, ...],
        source: Source,
    ) -> None:
        self._request = request
        self._spec = spec
        self._options = options
        self._ratios = ratios
        self._source = source
        self._status: StatusFilter = request.status or source.default_status
        self._classes = ClassMapping(source.categories, request.class_map)
        self._images: ImageMode = request.images or ("copy" if spec.images else "reference")
        self._tally = Tally(self._classes.categories)

    def run(
        self,
        rehearse: float | None,
        on_progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
    ) -> ExportReport:
        entries = self._choose()
        out = self._request.out.absolute()
        created = datetime.now(UTC).isoformat(timespec="seconds")
        staging = None if rehearse is not None else disk.partial_folder(out.parent)
        active: Writer | None = None
        try:
            output = Output(staging)
            active = writer(self._spec.name)(self._context(output, out, entries, created))
            steps = len(entries) * (2 if self._request.verify and staging is not None else 1)
            written = self._write(active, output, entries, rehearse, lambda done: on_progress(done, steps), cancelled)
            if not self._tally.images:
                raise ExportError(self._nothing())
            if not any(row.images for row in output.rows.values()):
                raise ExportError(f"There is nothing to write as {self._spec.title}: no image has what it holds.")
            output.begin()
            active.close()
            self._tally.extrapolate(output)
            output.write(MANIFEST, encode(self._manifest(created), indent=1))
            if staging is None:
                return self._report(output, dry_run=True)
            verified = self._request.verify and self._read_back(
                active, written, lambda done: on_progress(len(entries) + done, steps), cancelled
            )
            names = tuple(sorted(path.name for path in staging.iterdir()))
            report = replace(self._report(output), entries=names, verified=verified)
            output.write(report_name(self._spec.name), encode(report.to_json(), indent=1))
            publish(staging, out, format_name=self._spec.name)
            on_progress(steps, steps)
            return report
        finally:
            if active is not None:
                active.discard()
            if staging is not None:
                disk.remove(staging)

    def _write(
        self,
        active: Writer,
        output: Output,
        entries: list[Entry],
        rehearse: float | None,
        on_progress: Callable[[int], None],
        cancelled: Callable[[], bool],
    ) -> list[Entry]:
        """Write the images, or rehearse it for so many seconds; return those that could be read."""
        until = None if rehearse is None else time.monotonic() + rehearse
        written = []
        for done, entry in enumerate(entries if until is None else _every_part_first(entries)):
            if cancelled():
                raise Cancelled
            on_progress(done)
            fully = until is None or done < REHEARSED or time.monotonic() < until
            try:
                item = self._item(entry)
                if self._is_doubtful(item):
                    self._tally.leave_out(DOUBTFUL, entry.item.file)
                    continue
                if fully:
                    output.begin((item.stem, item.flat), item.split)
                    active.add(item)
                elif item.source is None and active.needs_images:
                    raise missing(item.file)
                loss = active.measure(item, self._options)
            except (ImageError, FormatError, ProjectError) as error:
                self._tally.leave_out(UNREADABLE, entry.item.file, error.message)
                continue
            if fully:
                output.end(loss.regions)
                if self._misleads(item):
                    self._tally.turned += 1
            self._tally.count(item, loss, rehearsed=fully)
            written.append(entry)
        return written

    def _read_back(
        self, active: Writer, entries: list[Entry], on_progress: Callable[[int], None], cancelled: Callable[[], bool]
    ) -> bool:
        """Compare every image with what the format's own reader finds; return whether it has one.

        Raises:
            ExportError: when one differs by other pixels than were counted.
        """
        for done, entry in enumerate(entries):
            if cancelled():
                raise Cancelled
            on_progress(done)
            item = self._item(entry)
            found = active.read_back(item)
            if found is None:
                return False
            expected = active.measure(item, self._options)
            if found != expected.pixels:
                raise ExportError(
                    f"{item.file} reads back with {found} other pixels instead of {expected.pixels}; nothing was "
                    "written. Please report this."
                )
        return True

    def _is_doubtful(self, item: Item) -> bool:
        limit = self._request.max_doubt
        if limit is None or item.reviewed:
            return False
        return any(not mask.reviewed and mask.doubt is not None and mask.doubt > limit for mask in item.masks)

    def _misleads(self, item: Item) -> bool:
        """Return whether readers may see the image itself turned against its regions."""
        if self._images != "reference" or self._spec.exactness in {"picture", "values"} or item.source is None:
            return False
        return is_turned(item.source)

    def _choose(self) -> list[Entry]:
        wanted = None if self._request.files is None else set(self._request.files)
        chosen = []
        for entry in self._source.entries(self._status):
            if wanted is not None and entry.item.file not in wanted:
                continue
            if entry.left_out:
                self._tally.leave_out(entry.left_out, entry.item.file)
            else:
                chosen.append(entry)
        if not chosen:
            raise ExportError(self._nothing())
        if not self._ratios:
            return chosen
        groups = self._groups(chosen)
        parts = split(groups, self._ratios, seed=self._request.seed)
        return [
            replace(entry, item=replace(entry.item, split=part, group=group))
            for entry, part, group in zip(chosen, parts, groups, strict=True)
        ]

    def _groups(self, chosen: Iterable[Entry]) -> list[str]:
        if self._request.groups is None:
            return [f"{entry.key}" for entry in chosen]
        known = read_groups(self._request.groups, column=self._request.group_column)
        groups = []
        for entry in chosen:
            group = known.get(PurePosixPath(entry.item.file).stem.casefold())
            if not group:
                self._tally.note(f"{entry.item.file} has no {self._request.group_column} and is a group of its own.")
            groups.append(f"group {group}" if group else f"image {entry.key}")
        return groups

    def _context(self, output: Output, out: Path, entries: list[Entry], created: str) -> Context:
        return Context(
            output=output,
            target=out,
            categories=self._classes.categories,
            options=self._options,
            splits=PARTS[: len(self._ratios)] if self._ratios else ("",),
            images=self._images,
            strip=self._images == "copy" if self._request.strip is None else self._request.strip,
            reviewed=all(entry.item.reviewed for entry in entries),
            created=created,
            total=len(entries),
            source=self._request.source.absolute().name,
            runs=tuple(self._source.runs()),
        )

    def _item(self, entry: Entry) -> Item:
        return in_frame(self._classes.apply(self._source.load(entry)))

    def _nothing(self) -> str:
        left_out = self._tally.left_out
        if not left_out:
            return "There is no image to export."
        reasons = ", ".join(f"{count} {why}" for why, count in sorted(left_out.items()))
        if self._status == "reviewed" and set(left_out) - {UNREADABLE, DOUBTFUL}:
            hint = " Review images first, or export all."
        else:
            hint = "".join(f" {sentence}" for sentence in self._tally.problems[:1])
        return f"There is nothing to export: {reasons}.{hint}"

    def _report(self, output: Output, *, dry_run: bool = False) -> ExportReport:
        return self._tally.report(self._spec.name, self._request.out, output.table(), dry_run=dry_run)

    def _manifest(self, created: str) -> dict[str, Any]:
        return {
            "schema": 1,
            "camviewer": __version__,
            "created": created,
            "format": self._spec.name,
            "options": self._options,
            "image_files": self._images,
            "status": self._status,
            "review": "unreviewed" if self._tally.unreviewed else "reviewed",
            "split": {"ratios": list(self._ratios), "seed": self._request.seed, "group": self._request.group_column},
            "classes": [{"id": entry.id, "name": entry.name} for entry in self._classes.categories],
            "runs": self._source.runs(),
            "images": self._tally.rows,
        }


def _every_part_first(entries: list[Entry]) -> list[Entry]:
    """Return the entries in an order in which the parts of the split take turns, so that each is rehearsed."""
    turn: dict[str, int] = {}
    ranked = []
    for entry in entries:
        turn[entry.item.split] = turn.get(entry.item.split, 0) + 1
        ranked.append((turn[entry.item.split], entry))
    return [entry for _, entry in sorted(ranked, key=lambda pair: pair[0])]

"""Makes the gallery's items: what the project knows of each image, gathered at once and renewed one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from camviewer.catalogue.diagnoses import code_of
from camviewer.errors import ProjectError
from camviewer.project.facts import LABEL, LESION, Fact, all_facts, facts_of
from camviewer.project.overview import MaskFigures, mask_figures
from camviewer.project.records import ImageRecord
from camviewer.project.store import Project
from camviewer.project.temperature import Network, Temperature, Top, networks, temperatures, tempered
from camviewer.ui.gallery.items import NO_OUTLINE, GalleryItem, ItemOutline, ShortNames, Value
from camviewer.ui.outlines import gallery_outline

NO_MASKS = MaskFigures(0, None)


class ItemBook:
    """The items of one project.

    Args:
        project: whose images they are.
        class_of: returns name and colour of a model class.
    """

    def __init__(self, project: Project, class_of: Callable[[int], tuple[str, str]]) -> None:
        self._project = project
        self._class_of = class_of
        self._names = ShortNames()
        self._outlines: dict[int, ItemOutline] = {}
        self._facts: dict[int, dict[str, Fact]] = all_facts(project)
        self._masks: dict[int, MaskFigures] = mask_figures(project)
        self._codes: frozenset[str] = frozenset()
        self._temperatures: dict[Network, Temperature] = temperatures(project)
        self._networks: dict[int, Network] = networks(project) if self._temperatures else {}

    def name(self, added: Iterable[ImageRecord]) -> bool:
        """Find short names for images; return whether one of those named before has changed."""
        return self._names.add({record.id: record.path.name for record in added if record.id is not None})

    def set_classes(self, names: Sequence[str]) -> None:
        """Say which classes the model knows, so that labels can be compared with predictions."""
        self._codes = frozenset(code_of(name) for name in names)
        self._outlines.clear()

    def renew(self, image_id: int) -> None:
        """Read again what the project knows of an image besides its record."""
        self._outlines.pop(image_id, None)
        self._facts[image_id] = facts_of(self._project, image_id)
        self._masks[image_id] = mask_figures(self._project, image_id).get(image_id, NO_MASKS)
        if self._temperatures:
            self._networks.update(networks(self._project, image_id))

    def forget_outlines(self) -> None:
        """Let all outlines be read again when they are drawn next."""
        self._outlines.clear()

    def renew_facts(self) -> None:
        """Read the facts of all images again."""
        self._facts = all_facts(self._project)

    def facts(self, image_id: int) -> dict[str, Fact]:
        """Return the facts of an image."""
        return dict(self._facts.get(image_id, {}))

    def temperature(self, network: Network) -> Temperature | None:
        """Return the temperature of a network, or None."""
        return self._temperatures.get(network)

    def temperature_at(self, record: ImageRecord) -> Temperature | None:
        """Return the temperature of the network that an image's predictions come from, or None."""
        network = self._networks.get(record.id or 0)
        return self._temperatures.get(network) if network is not None else None

    def top(self, record: ImageRecord) -> Top:
        """Return the predictions of an image, at the temperature of their network where one was fitted."""
        found = self.temperature_at(record)
        return record.top if found is None else tempered(record.top, found.value)

    def siblings(self, image_id: int) -> list[int]:
        """Return the other images of the same lesion."""
        lesion = self._facts.get(image_id, {}).get(LESION)
        if not lesion:
            return []
        return [other for other, facts in self._facts.items() if other != image_id and facts.get(LESION) == lesion]

    def make(self, record: ImageRecord) -> GalleryItem:
        """Return the item of an image."""
        assert record.id is not None
        name, colour, probability = "", "", None
        top = self.top(record)
        if top:
            index, _logit, probability = top[0]
            name, colour = self._class_of(index)
        return GalleryItem(
            id=record.id,
            path=self._project.file_of(record),
            name=record.path.name,
            label=self._names.of(record.id),
            status=record.status,
            class_name=name,
            class_colour=colour,
            probability=probability,
            error=record.error,
            values=self._values(record, name, top),
            run=self._masks.get(record.id, NO_MASKS).run,
        )

    def _values(self, record: ImageRecord, class_name: str, top: Top) -> dict[str, Value]:
        assert record.id is not None
        values: dict[str, Value] = dict(self._facts.get(record.id, {}))
        masks = self._masks.get(record.id)
        pixels = record.size[0] * record.size[1]
        if masks is not None and pixels:
            values["area"] = masks.area / pixels
        if len(top) > 1:
            values["entropy"] = entropy([share for _, _, share in top])
        if record.doubt is not None:
            values["doubt"] = record.doubt
        wrong = self._is_wrong(values.get(LABEL), class_name)
        if wrong is not None:
            values["wrong"] = float(wrong)
        for key, value in (
            ("flag", record.flags),
            ("finding", record.findings),
            ("reviewer", record.reviewer),
            ("note", record.note),
            ("edited", record.changed_at),
        ):
            if value:
                values[key] = value
        return values

    def _is_wrong(self, label: Value | None, class_name: str) -> bool | None:
        """Return whether label and prediction differ; None where the label is none of the model's classes."""
        code = code_of(str(label)) if label else ""
        if not class_name or code not in self._codes:
            return None
        return code_of(class_name) != code

    def outline(self, record: ImageRecord, colour_of: Callable[[int], str]) -> ItemOutline:
        """Return the outline of an image's largest mask, read when first drawn."""
        if record.id is None:
            return NO_OUTLINE
        found = self._outlines.get(record.id)
        if found is None:
            found = NO_OUTLINE
            masks = self._masks.get(record.id)
            if masks is not None and masks.area and record.size != (0, 0):
                try:
                    polygons, touched, class_id = gallery_outline(self._project, record)
                    found = ItemOutline(polygons, touched, colour_of(class_id))
                except ProjectError:
                    found = NO_OUTLINE  # a damaged region; whoever opens the image is told
            self._outlines[record.id] = found
        return found


def entropy(shares: Sequence[float]) -> float:
    """Return the Shannon entropy of probabilities over that of the uniform distribution, 0 to 1."""
    total = sum(shares)
    if total <= 0 or len(shares) < 2:
        return 0.0
    bits = -sum(share / total * math.log(share / total) for share in shares if share > 0)
    return min(1.0, max(0.0, bits / math.log(len(shares))))

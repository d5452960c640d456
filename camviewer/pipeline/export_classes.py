"""Classes of an export: renamed, united, or left out."""

from __future__ import annotations

from dataclasses import replace

from camviewer.errors import UsageError
from camviewer.formats.records import Category, Item, ItemMask


class ClassMapping:
    """Maps the classes of a source onto those of the export.

    Args:
        categories: of the source.
        class_map: new name by old name; an empty new name leaves the class out. Equal new names are one class.

    Raises:
        UsageError: when the map names a class that does not exist, or leaves none.
    """

    def __init__(self, categories: tuple[Category, ...], class_map: dict[str, str]) -> None:
        self._is_plain = not class_map
        unknown = set(class_map) - {entry.name for entry in categories}
        if unknown:
            raise UsageError(f"There is no class {min(unknown)!r} to map.")
        new: dict[str, Category] = {}
        self._new_id: dict[int, int] = {}
        for entry in categories:
            name = class_map.get(entry.name, entry.name).strip()
            if name:
                kept = new.setdefault(name, Category(len(new) + 1, name, entry.colour))
                self._new_id[entry.id] = kept.id
        if categories and not new:
            raise UsageError("Every class is left out. Keep at least one.")
        self.categories = categories if self._is_plain else tuple(new.values())
        self._names = {entry.id: entry.name for entry in self.categories}

    def apply(self, item: Item) -> Item:
        """Return the item with the export's classes; masks that become one class are united."""
        if self._is_plain:
            return item
        masks: dict[int, ItemMask] = {}
        for mask in item.masks:
            new = self._new_id.get(mask.class_id)
            if new is None:
                continue
            if new in masks:
                mask = replace(masks[new], pixels=masks[new].pixels | mask.pixels)
            masks[new] = replace(mask, class_id=new)
        ids = self._new_id
        return replace(
            item,
            masks=tuple(masks.values()),
            boxes=tuple(replace(box, class_id=ids[box.class_id]) for box in item.boxes if box.class_id in ids),
            maps=tuple(replace(found, class_id=ids[found.class_id]) for found in item.maps if found.class_id in ids),
            top=tuple(
                (ids[class_id], self._names[ids[class_id]], probability)
                for class_id, _, probability in item.top
                if class_id in ids
            ),
        )

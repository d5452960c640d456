"""Class numbers in grey PNGs: the folders of MMSegmentation and of nnU-Net v2."""

from __future__ import annotations

import numpy as np

from camviewer.catalogue.parameters import Value
from camviewer.errors import UsageError
from camviewer.formats.indexed import found_masks, measure_overlap, numbers, raster
from camviewer.formats.rasters import png
from camviewer.formats.records import Context, Item, Loss, Writer, differing
from camviewer.formats.strict_json import encode
from camviewer.formats.voc import read_indexed
from camviewer.project.records import BoolMask


class MmsegWriter(Writer):
    """Writes ``img_dir`` and ``ann_dir``; 0 is background, 255 is never used."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._numbers = numbers(context.categories, title="MMSegmentation")

    def add(self, item: Item) -> None:
        part = item.split or "train"
        self.context.place_image(item, f"img_dir/{part}/{item.stem}")
        self.context.output.write(f"ann_dir/{part}/{item.stem}.png", png(raster(item, self._numbers)))

    def close(self) -> None:
        names = ["background", *(entry.name for entry in self.context.categories)]
        self.context.output.write("classes.json", encode({"classes": names, "reduce_zero_label": False}, indent=1))

    def read_back(self, item: Item) -> int:
        values = read_indexed(self.context.output.path(f"ann_dir/{item.split or 'train'}/{item.stem}.png"))
        return differing(item, found_masks(values, self._numbers))

    @classmethod
    def measure(cls, item: Item, options: dict[str, Value]) -> Loss:
        return measure_overlap(item)


class NnunetWriter(Writer):
    """Writes ``DatasetNNN_Camviewer``: images as RGB PNG, labels as grey PNG, the uncertain band as the highest label.

    Training and validation images both go to ``imagesTr``, since nnU-Net makes its own folds; the test part goes to
    ``imagesTs`` and ``labelsTs``.
    """

    reads_images = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._numbers = numbers(context.categories, title="nnU-Net")
        self._low, self._high = float(context.options["ignore_from"]), float(context.options["ignore_to"])
        self._ignore = bool(context.options["ignore"])
        if self._ignore and self._low >= self._high:
            raise UsageError("The uncertain band needs a lower threshold below its upper one.")
        self._folder = f"Dataset{int(context.options['id']):03d}_Camviewer"
        self._training = 0

    def add(self, item: Item) -> None:
        test = item.split == "test"
        case = item.flat
        image = f"{self._folder}/{'imagesTs' if test else 'imagesTr'}/{case}_0000"
        # PNG and nothing else: the images share one ending with the labels.
        self.context.place_image(item, image, ending=".png", mode="copy", modes=frozenset({"RGB"}))
        values = raster(item, self._numbers)
        if self._ignore:
            values[self._uncertain(item)] = len(self._numbers) + 1
        self.context.output.write(self._label_path(item), png(values))
        self._training += not test

    def _label_path(self, item: Item) -> str:
        return f"{self._folder}/{'labelsTs' if item.split == 'test' else 'labelsTr'}/{item.flat}.png"

    def _uncertain(self, item: Item) -> BoolMask:
        """Return where a map is neither clearly in nor clearly out; nowhere in an image that a person reviewed."""
        band = np.zeros((item.size[1], item.size[0]), dtype=np.bool_)
        if item.reviewed or not item.maps:
            return band
        values = np.maximum(item.maps[0].geometry.upsample(item.maps[0].values), 0)
        peak = float(values.max())
        if peak > 0:
            band = np.asarray((values >= self._low * peak) & (values < self._high * peak), dtype=np.bool_)
        return band

    def close(self) -> None:
        labels = {"background": 0}
        for entry in self.context.categories:
            name = entry.name if entry.name not in labels and entry.name != "ignore" else f"{entry.name} {entry.id}"
            labels[name] = self._numbers[entry.id]
        if self._ignore:
            labels["ignore"] = len(self._numbers) + 1
        data = {
            "channel_names": {"0": "R", "1": "G", "2": "B"},
            "labels": labels,
            "numTraining": self._training,
            "file_ending": ".png",
        }
        self.context.output.write(f"{self._folder}/dataset.json", encode(data, indent=1))

    def read_back(self, item: Item) -> int | None:
        if self._ignore:  # the band hides pixels of the masks, as it should
            return None
        values = read_indexed(self.context.output.path(self._label_path(item)))
        return differing(item, found_masks(values, self._numbers))

    @classmethod
    def measure(cls, item: Item, options: dict[str, Value]) -> Loss:
        return measure_overlap(item)

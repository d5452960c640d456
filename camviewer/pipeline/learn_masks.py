"""Masks that learn: from confident and reviewed masks to a network, and from it to new masks for all the others.

Where images have regions of one class each, the network tells region from background, and a region is of its image's
class: which diagnosis a lesion has is no question of outlines. Only where regions of different classes stand in one
image does it learn to tell the classes apart, too; an image then gets the classes that it has masks of.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from camviewer.errors import Cancelled, ImageError, UsageError
from camviewer.images.geometry import Size
from camviewer.images.thumbnails import read_thumbnail, thumbnail_size
from camviewer.pipeline.learnable import Learnable, LearnTask
from camviewer.pipeline.versions import versions
from camviewer.project.mask_blob import MaskBlob, pack, unpack
from camviewer.project.records import BoolMask, Run
from camviewer.regions.rules import RegionRule
from camviewer.regions.shapes import components, filled
from camviewer.training.segmentation.settings import CurvePoint, LearnSettings

if TYPE_CHECKING:
    from camviewer.training.segmentation.fit import Example
    from camviewer.training.segmentation.network_file import MaskNetwork
    from camviewer.training.segmentation.predict import Form, Outlook
    from camviewer.training.segmentation.unet import UNet

Pixels = NDArray[np.uint8]

EXAMPLES = 3000
"""Automatic masks, at most, that a training looks at; a few minutes show no more of them."""
SPARE = 1.5
"""Pixels of a picture in memory over those of the network's input, so that views may come closer."""
TOGETHER = 64
PREVIEWED = 6
MIXED = 0.02
"""Share of images with regions of several classes from which on the network tells the classes apart."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """An image on the way: reduced pixels, its mask before and as the network would draw it now, bool ``[h, w]``."""

    key: int
    name: str
    pixels: Pixels
    before: BoolMask
    after: BoolMask
    doubt: float


@dataclass(frozen=True, slots=True, eq=False)
class Learnt:
    """What a training leaves.

    Attributes:
        network: `MaskNetwork.to_bytes`.
        sha256: of these bytes.
        record: JSON values: what was learnt from, the settings, the curve.
        messages: sentences on images that were left out.
    """

    network: bytes
    sha256: str
    record: dict[str, Any]
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """New masks of an image.

    Attributes:
        masks: packed, by class id; empty with an `error`.
        doubt: how likely they are wrong, 0..1.
        kept: overlap of the regions with those before; None where there were none.
        reason: why there is no mask.
        error: sentence, when the image cannot be read.
    """

    key: int
    masks: dict[int, MaskBlob]
    doubt: float = 1.0
    kept: float | None = None
    reason: str = ""
    error: str = ""


NOTHING = "the network sees no region"


def learn(
    task: LearnTask,
    settings: LearnSettings,
    *,
    start: bytes | None = None,
    state_file: Path | None = None,
    device: str = "auto",
    on_message: Callable[[str], None] | None = None,
    on_loaded: Callable[[int, int], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
    on_point: Callable[[CurvePoint, tuple[Preview, ...]], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Learnt:
    """Train a network on the masks of `task`.

    Args:
        task: images with masks.
        settings: how to train.
        start: network of an earlier round to go on from; ignored when it has other classes.
        state_file: where the state of the training is kept, so that it can go on after a kill.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        on_message: told of images that cannot be read.
        on_loaded: called with (images read, images in all) before the training.
        on_step: called with (steps done, steps in all).
        on_point: called with each point of the curve and a few doubtful images as they would look now.
        cancelled: asked all the time.

    Raises:
        UsageError: when there is nothing to learn from.
        CheckpointError: when the state cannot be kept.
        Cancelled: when `cancelled` says so.
    """
    from camviewer.models.classifier import choose_device
    from camviewer.training.segmentation.fit import fit
    from camviewer.training.segmentation.network_file import MaskNetwork

    began = time.perf_counter()
    chosen = chosen_images(task, settings)
    class_ids = told_apart(chosen)
    messages = list(task.messages)
    examples: list[Example] = []
    sources: list[Learnable] = []
    pixels = round(SPARE * settings.pixels)
    for done, (image, found) in enumerate(_read(chosen, pixels, cancelled), start=1):
        if isinstance(found, str):
            messages.append(f"{found} It is left out.")
            if on_message is not None:
                on_message(messages[-1])
        else:
            examples.append(_example(image, found, class_ids))
            sources.append(image)
        if on_loaded is not None:
            on_loaded(done, len(chosen))
    place = choose_device(device)
    form = form_of([image for image in sources if image.standing == "reviewed"] or sources)
    watched = _most_doubtful(sources, examples) if on_point is not None else []

    def tell(point: CurvePoint, network: UNet) -> None:
        if on_point is not None:
            on_point(point, tuple(_previews(network, watched, settings, form, place)))

    before = None if start is None else MaskNetwork.from_bytes(start, name="The network of the last round")
    fits = before is not None and (before.network.classes, before.network.base, before.network.levels) == (
        len(class_ids),
        settings.base,
        settings.levels,
    )
    fitted = fit(
        examples,
        settings,
        classes=len(class_ids),
        start=before.network if before is not None and fits else None,
        state_file=state_file,
        device=place,
        on_step=on_step,
        on_point=tell,
        cancelled=cancelled,
    )
    record = {
        "reviewed": sum(example.reviewed for example in examples),
        "automatic": sum(not example.reviewed for example in examples),
        "class_ids": list(class_ids),
        "continued": fits,
        "settings": asdict(settings),
        "points": [point.to_json() for point in fitted.points],
        "seconds": time.perf_counter() - began,
    }
    names = tuple(task.classes.get(class_id, "region") for class_id in class_ids)
    network = MaskNetwork(fitted.network, names, settings.pixels, form, record).to_bytes()
    return Learnt(network, hashlib.sha256(network).hexdigest(), record, tuple(messages))


def draw(
    task: LearnTask,
    network: bytes,
    *,
    device: str = "auto",
    on_image: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Drawn]:
    """Yield new masks of all images that nobody reviewed, in memory that does not grow with their number.

    Args:
        task: images; reviewed and left out ones are passed over.
        network: of `learn`.
        device: where to compute.
        on_image: called with (images done, images in all).
        cancelled: asked between images.

    Raises:
        CheckpointError: when the network is damaged.
        UsageError: when it draws classes that the task does not have.
        Cancelled: when `cancelled` says so.
    """
    from camviewer.models.classifier import choose_device
    from camviewer.training.segmentation.network_file import MaskNetwork
    from camviewer.training.segmentation.predict import predict

    learnt = MaskNetwork.from_bytes(network)
    class_ids = _class_ids(learnt, task)
    place = choose_device(device)
    open_images = [image for image in task.images if image.standing == "automatic"]
    done = 0
    for first in range(0, len(open_images), TOGETHER):
        group = open_images[first : first + TOGETHER]
        readable: list[Learnable] = []
        pictures: list[Pixels] = []
        for image, found in _read(group, learnt.pixels, cancelled):
            if isinstance(found, str):
                done += 1
                yield Drawn(image.key, {}, error=found)
            else:
                readable.append(image)
                pictures.append(found)
        for index, outlook in predict(learnt.network, pictures, learnt.pixels, device=place, cancelled=cancelled):
            done += 1
            yield _drawn(readable[index], outlook, class_ids, learnt.form)
            if on_image is not None:
                on_image(done, len(open_images))


def known(network: bytes) -> Learnt:
    """Return a network of an earlier round as if it had just been learnt, to draw with it as it is.

    Raises:
        CheckpointError: when it is damaged.
    """
    from camviewer.training.segmentation.network_file import MaskNetwork

    record = MaskNetwork.from_bytes(network, name="The network").record
    return Learnt(network, hashlib.sha256(network).hexdigest(), record, ())


def _class_ids(learnt: MaskNetwork, task: LearnTask) -> list[int]:
    """Return the ids that the network's classes have in this task, by their names."""
    if len(learnt.classes) == 1:
        return [next(iter(task.classes), 0)]
    ids = {name: class_id for class_id, name in task.classes.items()}
    missing = [name for name in learnt.classes if name not in ids]
    if missing:
        raise UsageError(f"The network draws {missing[0]}, which is no class here. Add it, or learn the masks anew.")
    return [ids[name] for name in learnt.classes]


def run_record(learnt: Learnt, task: LearnTask, *, number: int) -> Run:
    """Return what makes the masks of a round traceable."""
    settings = learnt.record["settings"]
    return Run(
        architecture="unet",
        weights=f"masks that learn, round {number}",
        weights_sha256=learnt.sha256,
        classes=tuple(task.classes.values()),
        preprocessing={"pixels": settings["pixels"]},
        layers=(),
        methods=(),
        method_parameters={},
        target="score",
        rule=RegionRule(),
        offset=True,
        tta="flip",
        fuse="none",
        seed=int(settings["seed"]),
        device="cpu",
        precision="fast",
        versions=versions(),
    )


# --- images -----------------------------------------------------------------------------------------------------------


def chosen_images(task: LearnTask, settings: LearnSettings) -> list[Learnable]:
    """Return what a training looks at: all reviewed images, and of the others the surest and a sample of the rest."""
    reviewed = [image for image in task.images if image.standing == "reviewed" and image.masks]
    automatic = sorted(
        (image for image in task.images if image.standing == "automatic" and _area(image)),
        key=lambda image: (image.doubt, image.key),
    )
    rng = np.random.default_rng(settings.seed)
    if len(reviewed) > EXAMPLES:
        reviewed = [reviewed[index] for index in sorted(rng.permutation(len(reviewed))[:EXAMPLES])]
    if len(automatic) > EXAMPLES:
        # Each doubt as often as it occurs: the share that counts as confident stays what it is.
        automatic = [automatic[index] for index in sorted(rng.permutation(len(automatic))[:EXAMPLES])]
    return reviewed + automatic


def told_apart(images: Sequence[Learnable]) -> tuple[int, ...]:
    """Return the class ids that the network has to tell apart; a single one stands for all classes."""
    present = [tuple(class_id for class_id, blob in image.masks.items() if blob.area) for image in images]
    ids = tuple(sorted({class_id for classes in present for class_id in classes}))
    several = sum(len(classes) > 1 for classes in present)
    regions = sum(bool(classes) for classes in present)
    return ids if several >= max(1, MIXED * regions) and several else ids[:1] or (0,)


def form_of(images: Sequence[Learnable]) -> Form:
    """Return what most masks look like: of one piece or several, with holes or without."""
    from camviewer.training.segmentation.predict import Form

    single, solid = [], []
    for image in images[:200]:
        for blob in image.masks.values():
            if blob.area:
                mask = unpack(blob)
                count, _, table = components(mask)
                single.append(count == 1 or int(table[1:, cv2.CC_STAT_AREA].max()) > 0.95 * blob.area)
                solid.append(int(filled(mask).sum()) < 1.02 * blob.area)
    if not single:
        return Form()
    return Form(float(np.mean(single)) > 0.9, float(np.mean(solid)) > 0.9)


def _area(image: Learnable) -> int:
    return sum(blob.area for blob in image.masks.values())


def _read(
    images: Sequence[Learnable], pixels: int, cancelled: Callable[[], bool] | None
) -> Iterator[tuple[Learnable, Pixels | str]]:
    """Yield each image with its reduced pixels, or with the sentence that says why it has none."""
    threads = min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="learn") as pool:
        waiting: deque[Future[Pixels | str]] = deque()
        try:
            for index, image in enumerate(images):
                if cancelled is not None and cancelled():
                    raise Cancelled
                for later in images[index + len(waiting) : index + 4 * threads]:
                    waiting.append(pool.submit(_reduced, later, pixels))
                yield image, waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _reduced(image: Learnable, pixels: int) -> Pixels | str:
    name = Path(image.name).name
    if image.path is None:
        return f"{name} is not there any more."
    side = side_for(image.size, pixels)
    try:
        found = read_thumbnail(image.path, side=side)
    except ImageError as error:
        return error.message
    except Exception as error:
        log.exception("reading %s", image.path)
        return f"{name} cannot be read ({type(error).__name__})."
    if (found.shape[1], found.shape[0]) != thumbnail_size(image.size, side):
        return f"{name} has another size than its masks."
    return found


def side_for(size: Size, pixels: int) -> int:
    """Return the longer side of an image of `size` that is reduced to about `pixels`."""
    return max(8, round(max(size) * math.sqrt(pixels / (size[0] * size[1]))))


def _example(image: Learnable, found: Pixels, class_ids: Sequence[int]) -> Example:
    from camviewer.training.segmentation.fit import Example

    labels = np.zeros(found.shape[:2], np.uint8)
    # Small regions last, so that a large one does not hide them.
    for class_id, blob in sorted(image.masks.items(), key=lambda entry: -entry[1].area):
        if blob.area:
            value = class_ids.index(class_id) + 1 if class_id in class_ids else 1
            labels[_shrunk(unpack(blob), (found.shape[1], found.shape[0]))] = value
    return Example(found, labels, image.standing == "reviewed", image.doubt)


def _shrunk(mask: BoolMask, size: Size) -> BoolMask:
    soft = cv2.resize(mask.astype(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA)
    return np.asarray(soft >= 128, np.bool_)


# --- masks ------------------------------------------------------------------------------------------------------------


def _drawn(image: Learnable, outlook: Outlook, class_ids: Sequence[int], form: Form) -> Drawn:
    among = [class_ids.index(class_id) for class_id in image.among if class_id in class_ids]
    if len(class_ids) == 1 and image.among:
        class_ids = image.among[:1]  # the network knows no classes: the region is of the one that the image has
    found = outlook.drawn(image.size, form, among=among if len(class_ids) > 1 else ())
    masks = {class_ids[index]: mask for index, mask in found.items()}
    kept = None
    if _area(image):
        kept = _overlap(_together(image.masks.values(), image.size), masks)
    packed = {class_id: pack(mask) for class_id, mask in masks.items()}
    return Drawn(image.key, packed, outlook.doubt, kept, "" if packed else NOTHING)


def _together(blobs: Any, size: Size) -> BoolMask:
    total = np.zeros((size[1], size[0]), np.bool_)
    for blob in blobs:
        if blob.area:
            total |= unpack(blob)
    return total


def _overlap(before: BoolMask, masks: dict[int, BoolMask]) -> float:
    after = np.zeros_like(before)
    for mask in masks.values():
        after |= mask
    either = int((before | after).sum())
    return int((before & after).sum()) / either if either else 1.0


def _most_doubtful(images: Sequence[Learnable], examples: Sequence[Example]) -> list[tuple[Learnable, Example]]:
    pairs = [pair for pair in zip(images, examples, strict=True) if not pair[1].reviewed]
    return sorted(pairs, key=lambda pair: (-pair[0].doubt, pair[0].key))[:PREVIEWED]


def _previews(
    network: UNet, watched: Sequence[tuple[Learnable, Example]], settings: LearnSettings, form: Form, device: Any
) -> Iterator[Preview]:
    from camviewer.training.segmentation.predict import predict

    pictures = [example.pixels for _, example in watched]
    for index, outlook in predict(network, pictures, settings.pixels, device=device):
        image, example = watched[index]
        size = (example.pixels.shape[1], example.pixels.shape[0])
        after = np.zeros((size[1], size[0]), np.bool_)
        for mask in outlook.drawn(size, form).values():
            after |= mask
        yield Preview(image.key, image.name, example.pixels, example.labels > 0, after, outlook.doubt)

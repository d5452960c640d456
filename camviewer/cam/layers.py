"""Which layers a method is made at, and how their output becomes activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from camviewer.cam.capture import Capture
from camviewer.catalogue.methods import method as method_spec
from camviewer.errors import MethodError
from camviewer.images.geometry import CellPositions, Size
from camviewer.models.classifier import Classifier
from camviewer.models.layout import Layout

RELU_SUFFIX = " (+ReLU)"
_KEPT_VIEWS = 256


@dataclass(frozen=True, slots=True)
class LayerView:
    """A tapped layer and how its output becomes ``A`` ``[K, h, w]``.

    Attributes:
        name: as shown: ``features (+ReLU)`` when a functional ReLU behind the module belongs to it.
        tap: module path and call, ``relu#2``.
        relu: whether `A` is the ReLU of the module's output.
        layout: of the module's output.
        cells: measured cell positions, or None when unknown.
        closed: whether the head's closed forms hold here.
    """

    name: str
    tap: str
    relu: bool
    layout: Layout
    cells: CellPositions | None
    closed: bool

    def activations(self, capture: Capture) -> Tensor:
        """Return ``A`` of a capture, float32."""
        A = capture.activations[self.tap]
        return A.relu() if self.relu else A


class Layers:
    """The layers of one classifier, for any input size."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._views: dict[tuple[str, Size], LayerView] = {}

    def view(self, layer: str, size: Size) -> LayerView:
        """Return how to read `layer`, the suggested one when empty.

        The suggested layer of a recognised head is what the head receives, a functional ReLU included.
        """
        if (layer, size) in self._views:
            return self._views[layer, size]
        classifier, head = self._classifier, self._classifier.head
        wants_relu = layer.endswith(RELU_SUFFIX) or (not layer and head.relu)
        found = classifier.tap(layer.removesuffix(RELU_SUFFIX), input_size=size)
        at_head = bool(head.layer) and self.same_tensor(found.name, head.layer, size)
        if wants_relu and not (at_head and head.relu):
            raise MethodError(
                f"There is no ReLU between {found.name} and the pooling; leave out {RELU_SUFFIX.strip()}."
            )
        closed_here = at_head and head.relu == wants_relu
        name = found.name + RELU_SUFFIX if wants_relu else found.name
        view = LayerView(name, found.name, wants_relu, found.layout, found.positions, closed_here)
        if len(self._views) > _KEPT_VIEWS:
            self._views.clear()
        self._views[layer, size] = view
        return view

    def same_tensor(self, first: str, second: str, size: Size) -> bool:
        nodes = {call.name: call.node for call in self._classifier.traced(size).calls if call.name in (first, second)}
        return nodes.get(first) is not None and nodes.get(first) is nodes.get(second)

    def of_method(self, method: str, names: Sequence[str], size: Size) -> list[LayerView]:
        """Return the layers a method is made at; the suggested one without `names`.

        Raises:
            MethodError: for CAM away from the head's input, with the reason.
            LayerError: when a layer does not exist or has no spatial map.
        """
        views = [self.view(name, size) for name in dict.fromkeys(names or [""])]
        if method_spec(method).needs != "head":
            return views
        head = self._classifier.head
        if head.kind == "none":
            raise MethodError(f"CAM is not defined for this network. {head.reason}")
        if any(self.same_tensor(view.tap, head.layer, size) for view in views):
            return [self.view("", size)]
        raise MethodError(
            f"CAM is defined only where the map enters the head, at {head.shown}; choose that layer or another method."
        )

"""The layer tree as an item model: rows by dotted name, a filter, ticks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from camviewer.workers.jobs import Layer

Index = QModelIndex | QPersistentModelIndex

TICK, NAME, TYPE, OUTPUT, STRIDE, FIELD, PARAMS, MS, FIT = range(9)
TITLES = ("", "Layer", "Type", "Output", "Stride", "Field", "Params", "ms", "CAM")
NUMBERS = frozenset({STRIDE, FIELD, PARAMS, MS})
LAYER_ROLE = Qt.ItemDataRole.UserRole

_TIPS = {
    TICK: "Tick several layers to fuse their maps",
    OUTPUT: "Channels × rows × columns",
    STRIDE: "Input pixels from one cell to the next",
    FIELD: "Receptive field: side of the input that one cell sees, in pixels",
    PARAMS: "Parameters, parts included",
    MS: "Milliseconds of one pass",
    FIT: "Whether a map can be made here",
}


@dataclass(eq=False, slots=True)
class Node:
    """One row and the rows below it."""

    layer: Layer
    parent: Node | None
    row: int
    children: list[Node] = field(default_factory=list)


def shape_text(shape: tuple[int, ...]) -> str:
    """Return ``512×15×19``; an en dash for what is no tensor."""
    return "×".join(str(length) for length in shape) or "–"


def count_text(count: int) -> str:
    """Return ``128``, ``9.4 k``, ``2.1 M`` or ``1.2 G``."""
    if count < 1000:
        return str(count)
    for unit, size in (("k", 1e3), ("M", 1e6), ("G", 1e9)):
        value = count / size
        if value < 999.5 or unit == "G":
            return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"
    return str(count)


def stride_text(layer: Layer) -> str:
    """Return the distance of cells in input pixels, one number where both axes agree."""
    if layer.positions is None:
        return "–"
    x, y = layer.positions.step
    return f"{x:g}" if abs(x - y) < 1e-6 else f"{x:g}×{y:g}"


def type_text(layer: Layer) -> str:
    """Return the class name, and how often it runs where that is not once."""
    if layer.calls == 0:
        return f"{layer.type}, never runs"
    return layer.type if layer.calls == 1 else f"{layer.type}, {layer.calls} calls"


def matches(layer: Layer, terms: Iterable[str]) -> bool:
    """Return whether every term is found in name, type or shape.

    A bare number means one side of the shape, or a part of the name, as a whole (``512`` is not found in 1512);
    ``7x7`` means neighbouring sides.
    """
    name, kind = layer.name.lower(), layer.type.lower()
    sides = [str(side) for side in layer.output_shape]
    shape = "x" + "x".join(sides) + "x"
    for term in terms:
        if term.isdigit():
            found = term in sides or term in name.split(".")
        elif re.fullmatch(r"\d+(x\d+)+", term):
            found = f"x{term}x" in shape
        else:
            found = term in name or term in kind
        if not found:
            return False
    return True


def terms_of(text: str) -> list[str]:
    """Return the words of a filter, lower case, with ``x`` for every multiplication sign."""
    return text.lower().replace("×", "x").split()


class LayerModel(QAbstractItemModel):
    """Layers as a tree; only what the filter lets through, with the rows above it.

    Signals:
        ticked: the user changed the ticks.
    """

    ticked = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._layers: tuple[Layer, ...] = ()
        self._suggested = ""
        self._roots: list[Node] = []
        self._nodes: dict[str, Node] = {}
        self._ticks: set[str] = set()
        self._terms: list[str] = []
        self._usable = False

    # --- contents -------------------------------------------------------------------------------------------------

    def set_layers(self, layers: Sequence[Layer]) -> None:
        """Show other layers, in depth-first order, without ticks."""
        self._layers, self._ticks = tuple(layers), set()
        self._rebuild()

    def set_filter(self, text: str, *, usable: bool) -> None:
        """Show only layers that match all terms of `text`, and where a map can be made if `usable`."""
        self._terms, self._usable = terms_of(text), usable
        self._rebuild()

    def filtered(self) -> bool:
        """Return whether the filter may hide rows."""
        return bool(self._terms) or self._usable

    def set_ticks(self, names: Iterable[str]) -> None:
        """Tick exactly these layers, without `ticked`."""
        self._ticks = set(names)
        self._refresh(self._roots)

    def ticks(self) -> tuple[str, ...]:
        """Return the ticked names in tree order, hidden ones included."""
        return tuple(layer.name for layer in self._layers if layer.name in self._ticks)

    def index_of(self, name: str) -> QModelIndex:
        """Return the first cell of a layer's row; invalid when it is not shown."""
        node = self._nodes.get(name)
        return QModelIndex() if node is None else self.createIndex(node.row, TICK, node)

    def names(self) -> tuple[str, ...]:
        """Return the names of all shown rows in order."""
        return tuple(self._nodes)

    def layer(self, index: Index) -> Layer | None:
        """Return the layer of a row."""
        node = index.internalPointer() if index.isValid() else None
        return node.layer if isinstance(node, Node) else None

    def _rebuild(self) -> None:
        self.beginResetModel()
        kept = [layer for layer in self._layers if self._passes(layer)]
        wanted = {layer.name for layer in kept}
        if self.filtered():
            for layer in kept:
                parts = layer.name.split(".")
                wanted.update(".".join(parts[:n]) for n in range(1, len(parts)))
        self._roots, self._nodes = [], {}
        # The last node of each depth is the parent of what follows one deeper.
        above: list[Node] = []
        for layer in self._layers:
            if layer.name not in wanted:
                continue
            del above[layer.depth :]
            parent = above[-1] if above else None
            siblings = parent.children if parent is not None else self._roots
            node = Node(layer, parent, len(siblings))
            siblings.append(node)
            self._nodes[layer.name] = node
            above.append(node)
        self.endResetModel()

    def _passes(self, layer: Layer) -> bool:
        if self._usable and layer.fit == "unusable":
            return False
        return matches(layer, self._terms)

    def _refresh(self, nodes: list[Node]) -> None:
        if nodes:
            first = self.createIndex(0, TICK, nodes[0])
            self.dataChanged.emit(first, self.createIndex(len(nodes) - 1, FIT, nodes[-1]))
        for node in nodes:
            self._refresh(node.children)

    # --- Qt's side ------------------------------------------------------------------------------------------------

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        if parent.column() > TICK:
            return 0
        return len(self._children(parent))

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return len(TITLES)

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008
        children = self._children(parent)
        if not (0 <= row < len(children) and 0 <= column < len(TITLES)):
            return QModelIndex()
        return self.createIndex(row, column, children[row])

    def parent(self, index: Index = QModelIndex()) -> QModelIndex:  # type: ignore[override]  # noqa: B008
        node = index.internalPointer() if index.isValid() else None
        if not isinstance(node, Node) or node.parent is None:
            return QModelIndex()
        return self.createIndex(node.parent.row, TICK, node.parent)

    def _children(self, parent: Index) -> list[Node]:
        if not parent.isValid():
            return self._roots
        node = parent.internalPointer()
        return node.children if isinstance(node, Node) else []

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(TITLES):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return TITLES[section]
        if role == Qt.ItemDataRole.ToolTipRole:
            return _TIPS.get(section)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if section in NUMBERS else Qt.AlignmentFlag.AlignLeft
            return (Qt.AlignmentFlag.AlignHCenter if section == FIT else side) | Qt.AlignmentFlag.AlignVCenter
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        layer = self.layer(index)
        if layer is None:
            return Qt.ItemFlag.NoItemFlags
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if index.column() == TICK and layer.fit != "unusable":
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        return flags

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        layer = self.layer(index)
        if role != Qt.ItemDataRole.CheckStateRole or layer is None or layer.fit == "unusable":
            return False
        # At least one layer stays ticked: a map is made somewhere.
        if layer.name in self._ticks:
            if len(self._ticks) == 1:
                return False
            self._ticks.discard(layer.name)
        else:
            self._ticks.add(layer.name)
        self._refresh_row(layer.name)
        self.ticked.emit()
        return True

    def _refresh_row(self, name: str) -> None:
        node = self._nodes.get(name)
        if node is not None:
            self.dataChanged.emit(self.createIndex(node.row, TICK, node), self.createIndex(node.row, FIT, node))

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        layer = self.layer(index)
        if layer is None:
            return None
        column = index.column()
        if role == LAYER_ROLE:
            return layer
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(layer, column)
        if role == Qt.ItemDataRole.CheckStateRole and column == TICK and layer.fit != "unusable":
            return Qt.CheckState.Checked if layer.name in self._ticks else Qt.CheckState.Unchecked
        if role == Qt.ItemDataRole.TextAlignmentRole and column in NUMBERS:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if role == Qt.ItemDataRole.ToolTipRole:
            return layer.reason if column == FIT else f"{layer.name}  {type_text(layer)}"
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return {TICK: f"Use {layer.name}", FIT: layer.fit}.get(column, self._text(layer, column))
        return None

    def _text(self, layer: Layer, column: int) -> str:
        if column == NAME:
            node = self._nodes.get(layer.name)
            above = node.parent.layer.name + "." if node is not None and node.parent is not None else ""
            return layer.name.removeprefix(above)
        if column == TYPE:
            return type_text(layer)
        if column == OUTPUT:
            return shape_text(layer.output_shape)
        if column == STRIDE:
            return stride_text(layer)
        if column == FIELD:
            return "–" if layer.receptive_field is None else str(layer.receptive_field)
        if column == PARAMS:
            return count_text(layer.parameters)
        if column == MS:
            return "–" if layer.seconds is None else f"{layer.seconds * 1000:.1f}"
        return ""
